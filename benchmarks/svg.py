"""Simple SVG plots: bars and lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Final

_WIDTH: Final = 720
_LEFT: Final = 250
_RIGHT: Final = 90
_TOP: Final = 48
_ROW: Final = 30
_BAR: Final = 18
_LINES_HEIGHT: Final = 336
_LINES_TOP: Final = 64
_LINES_LEFT: Final = 70
_BOTTOM: Final = 56
_STEPS: Final = 5

_INK: Final = "#1f2933"
_PALE: Final = "#d9dee4"
_BLUE: Final = "#2f6fb0"
_GRAY: Final = "#8a97a5"
_RED: Final = "#b3372f"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; ``low`` and ``high`` are its quartiles, if any; a ``baseline`` has another color."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: bool = False


def bars(title: str, unit: str, rows: Sequence[Bar], *, aim: tuple[str, float] | None = None) -> str:
    """Draw horizontal bars; ``aim`` is the text and value of a target line that no bar should cross."""
    most = max([*(row.high or row.value for row in rows), *([aim[1]] if aim else [])])
    scale = (_WIDTH - _LEFT - _RIGHT) / most

    def drawn() -> Iterator[str]:
        for number, row in enumerate(rows):
            top = _TOP + number * _ROW
            middle = top + _BAR / 2
            end = _LEFT + row.value * scale
            yield _text(_LEFT - 10, middle + 4, row.label, "end")
            yield _box(_LEFT, top, row.value * scale, _BAR, _GRAY if row.baseline else _BLUE)
            if row.low is not None and row.high is not None:
                yield _line(_LEFT + row.low * scale, middle, _LEFT + row.high * scale, middle, _INK)
                end = max(end, _LEFT + row.high * scale)
            yield _text(end + 6, middle + 4, _number(row.value))
        bottom = _TOP + len(rows) * _ROW
        if aim:
            at = _LEFT + aim[1] * scale
            yield _line(at, _TOP - 6, at, bottom, _RED, dashed=True)
            yield _text(at, bottom + 14, aim[0], "middle", _RED)
        yield _text(_LEFT, bottom + 34, unit)

    return _drawing(title, _TOP + len(rows) * _ROW + 46, drawn())


def line(title: str, across: str, up: str, points: Sequence[tuple[float, float]], *, marked: bool = False) -> str:
    """Draw one line through points, starting at zero; ``marked`` points are labeled with their values."""
    right, bottom = _WIDTH - _RIGHT, _LINES_HEIGHT - _BOTTOM
    x_most, y_most = _rounded(max(x for x, _ in points)), _rounded(max(y for _, y in points))

    def at(x: float, y: float) -> tuple[float, float]:
        return _LINES_LEFT + x / x_most * (right - _LINES_LEFT), bottom - y / y_most * (bottom - _LINES_TOP)

    def drawn() -> Iterator[str]:
        for step in range(_STEPS + 1):
            x, y = x_most * step / _STEPS, y_most * step / _STEPS
            yield _line(_LINES_LEFT, at(0, y)[1], right, at(0, y)[1], _PALE)
            yield _text(_LINES_LEFT - 8, at(0, y)[1] + 4, _number(y), "end")
            yield _text(at(x, 0)[0], bottom + 18, _number(x), "middle")
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        yield f'<polyline points="{path}" fill="none" stroke="{_BLUE}" stroke-width="2"/>'
        for x, y in points if marked else ():
            yield f'<circle cx="{at(x, y)[0]:.1f}" cy="{at(x, y)[1]:.1f}" r="4" fill="{_BLUE}"/>'
            yield _text(at(x, y)[0] + 8, at(x, y)[1] - 8, _number(y))
        yield _text((_LINES_LEFT + right) / 2, bottom + 40, across, "middle")
        yield _text(_LINES_LEFT, _LINES_TOP - 10, up)

    return _drawing(title, _LINES_HEIGHT, drawn())


def _drawing(title: str, height: float, parts: Iterator[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="13" role="img">'
    )
    ground = f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#ffffff"/>'
    heading = f'<text x="16" y="24" fill="{_INK}" font-size="15" font-weight="bold">{escape(title)}</text>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, heading, *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str = "start", ink: str = _INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" text-anchor="{anchor}">{escape(text)}</text>'


def _box(x: float, y: float, width: float, height: float, ink: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{ink}"/>'


def _line(x: float, y: float, to_x: float, to_y: float, ink: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{ink}"{dashes}/>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _rounded(most: float) -> float:
    """Return the smallest number of at least ``most`` that divides well into five steps."""
    magnitude = 10.0 ** floor(log10(most))
    return next(step * magnitude for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if step * magnitude >= most)
