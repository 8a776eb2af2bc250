"""The part of a report's page that tells of the past: repairs of each day, and after whose calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from remediator_cli.report.markup import Element, element
from remediator_cli.report.past import Breaker, Past
from remediator_cli.report.table import Row, table

_HEIGHT: Final = 100
_BAR_WIDTH: Final = 0.8
"""Of the width of a day: the rest is the gap to the next one."""
_MOST_BREAKERS: Final = 20
_MOST_NAMES: Final = 8


def past_section(past: Past) -> Element:
    """The section on what the history tells."""
    cut = (
        element(
            "p",
            f"There are more changes than the {len(past.changes):,} that were read, so that the oldest are missing.",
            class_="notice",
        )
        if past.is_cut
        else None
    )
    return element(
        "section",
        element("h2", f"The last {days_text(past.days)}", id="past-title"),
        cut,
        element("div", _chart(past), _breakers(past), class_="columns"),
        id="past",
        aria_labelledby="past-title",
    )


def time_element(at: datetime) -> Element:
    """A time (with its zone) to the minute, in UTC."""
    return element("time", f"{at:%Y-%m-%d %H:%M} UTC", datetime=at.isoformat(timespec="seconds"))


def days_text(days: int) -> str:
    """A number of days in words."""
    return "day" if days == 1 else f"{days} days"


def repairs_text(count: int) -> str:
    """A number of repairs in words."""
    return f"{count:,} repair{'' if count == 1 else 's'}"


def _chart(past: Past) -> Element:
    most = max((count for _, count in past.by_day), default=0)
    total = sum(count for _, count in past.by_day)
    said = f"{repairs_text(total)} from {past.first_day} to {past.today}"
    if total:
        day, count = max(past.by_day, key=lambda each: each[1])
        said += f", most on {day}: {count:,}"
    return element(
        "figure",
        element("h3", "Repairs by day"),
        element("p", f"{said}. A repair is one document that was written."),
        *(_bars(past, most, said) if total else ()),
    )


def _bars(past: Past, most: int, said: str) -> Iterator[Element]:
    yield element(
        "div",
        element("span", f"{most:,}", class_="most", aria_hidden="true"),
        element(
            "svg",
            *(_bar(number, day, count, most) for number, (day, count) in enumerate(past.by_day) if count),
            viewBox=f"0 0 {past.days} {_HEIGHT}",
            preserveAspectRatio="none",
            role="img",
            aria_label=said,
        ),
        class_="chart",
    )
    yield element(
        "div",
        element("span", past.first_day.isoformat()),
        element("span", past.today.isoformat()),
        class_="axis",
        aria_hidden="true",
    )
    yield element(
        "details",
        element("summary", "As a table"),
        table(
            "Repairs by day",
            ("Day (UTC)", "Repairs"),
            (Row(((day.isoformat(),), (f"{count:,}",))) for day, count in past.by_day if count),
        ),
    )


def _bar(number: int, day: date, count: int, most: int) -> Element:
    height = _HEIGHT * count / most
    return element(
        "rect",
        element("title", f"{day}: {repairs_text(count)}"),
        x=f"{number + (1 - _BAR_WIDTH) / 2:.1f}",
        y=f"{_HEIGHT - height:.2f}",
        width=str(_BAR_WIDTH),
        height=f"{height:.2f}",
    )


def _breakers(past: Past) -> Element:
    found = past.breakers
    return element(
        "div",
        element("h3", "Who breaks roles"),
        element("p", _breakers_said(past)),
        table(
            "After whose calls roles had to be repaired, most repairs first",
            ("Who", "With", "Repairs", "Roles", "Last"),
            (_breaker_row(each) for each in found[:_MOST_BREAKERS]),
        )
        if found
        else None,
    )


def _breakers_said(past: Past) -> str:
    if not past.repairs:
        return "Nothing was repaired."
    found = len(past.breakers)
    said = ["By the role or user behind the calls after which something had to be repaired."]
    if past.asked_for:
        said.append(
            f"Nobody broke what {repairs_text(past.asked_for)} mended: the role had just been created, enrolled or "
            "released, or a person asked."
        )
    if swept := past.unexplained - past.asked_for:
        said.append(f"Of {repairs_text(swept)} no call is known: a sweep found what was broken.")
    if found > _MOST_BREAKERS:
        said.append(f"The first {_MOST_BREAKERS} of {found:,} are shown.")
    return " ".join(said)


def _breaker_row(breaker: Breaker) -> Row:
    more = len(breaker.roles) - _MOST_NAMES
    names = ", ".join(breaker.roles[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
    return Row(
        (
            (element("code", breaker.principal),),
            (", ".join(breaker.tools) or "unknown",),
            (f"{breaker.repairs:,}",),
            (names,),
            (time_element(breaker.last),),
        )
    )
