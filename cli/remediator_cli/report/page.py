"""A report as one page of HTML that needs nothing else: no network, no font, and to be read no script.

What the page looks like is in ``templates/``; here is what is counted and put in words for it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING, Final

from remediator import __version__
from remediator.core.model.plain_text import document_diff, plain
from remediator.core.model.write import Write
from remediator_cli.report.contents import STATUS_WORDS, Report, RoleStatus
from remediator_cli.report.past import Breaker, Past
from remediator_cli.terminal.command import suggested

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_TEXT_LIMIT: Final = 2_000
"""Characters. Longer than any ARN, and than any sentence that is meant to be read."""
_MEANINGS: Final = {
    RoleStatus.CONFLICT: "Another principal keeps undoing their repairs, so nothing more is written.",
    RoleStatus.MANUAL_ACTION: "Something is wrong that the remediator does not repair.",
    RoleStatus.WOULD_REPAIR: "Each shows what would be written.",
    RoleStatus.REFUSED: "They have the enrollment tag, but must not be managed.",
    RoleStatus.MISCONFIGURED: "They are not managed. Enroll those that clusters use.",
    RoleStatus.OFF: "Their own tag turns remediation off.",
    RoleStatus.USABLE: "EC2 can assume them, and they can use their bucket.",
}
_DIFF_LINES: Final = {"+": "added", "-": "taken", "@": "place"}
_DIFF_NAMES: Final = 2
"""How many lines at the beginning of a diff only name its two sides."""
_HEIGHT: Final = 100
_BAR_WIDTH: Final = 0.8
"""Of the width of a day: the rest is the gap to the next one."""
_MOST_BREAKERS: Final = 20
_MOST_NAMES: Final = 8


def report_page(report: Report) -> str:
    """The report as HTML.

    What may be loaded and run is named in the page itself: its own style sheet and its own script, by their hashes.
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy
    """
    style, script = (verbatim(_of_the_package(name)) for name in ("report.css", "report.js"))
    groups = [(standing, [each for each in report.roles if each.standing is standing]) for standing in RoleStatus]
    policy = (
        f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page: str = (
        environment()
        .get_template("page.html")
        .render(
            report=report,
            version=__version__,
            style=style,
            script=script,
            policy=policy,
            notices=tuple(_notices(report)),
            words=STATUS_WORDS,
            meanings=_MEANINGS,
            groups=[(standing, roles) for standing, roles in groups if roles],
            chart=report.past and _chart(report.past),
            breakers=report.past and _breakers(report.past),
        )
    )
    return page


def environment() -> Environment:
    """What makes HTML of a template: every text in it is escaped, on one line, and cut where it is very long."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415  # only a page pays for it
    from markupsafe import Markup  # noqa: PLC0415  # likewise

    made = Environment(
        loader=FunctionLoader(lambda name: "".join(map(str.strip, _of_the_package(f"templates/{name}").splitlines()))),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else plain(str(value), _TEXT_LIMIT),
    )
    made.filters |= {"number": _number, "counted": _counted, "diff_lines": _diff_lines, "first_names": _first_names}
    made.globals |= {"line_end": Markup("\n"), "suggested": suggested}
    return made


def verbatim(text: str) -> Markup:
    """A text of this package that the browser takes as it is: a style sheet, a script.

    Raises ValueError for one that could end its element, or begin a comment in it.
    """
    from markupsafe import Markup  # noqa: PLC0415  # only a page pays for it

    if "</" in text or "<!--" in text:
        raise ValueError("a text that a page contains verbatim must contain neither </ nor <!--")
    return Markup(text)  # noqa: S704  # it is a file of this package


def _of_the_package(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _number(count: int) -> str:
    return f"{count:,}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _notices(report: Report) -> Iterator[str]:
    if report.fleet.denied:
        denied = ", ".join(report.fleet.denied)
        yield f"The credentials may not call {denied}, so what needs it counts as unreadable."
    yield from report.plan["notes"]
    if report.past is None:
        yield f"Without history: {report.without_past}. Repairs, their causes, and conflicts are unknown."


def _diff_lines(write: Write) -> Iterator[tuple[str | None, str]]:
    """The lines of a diff, each after what it is."""
    for number, line in enumerate(document_diff(write.before, write.after).split("\n")):
        yield "place" if number < _DIFF_NAMES else _DIFF_LINES.get(line[:1]), line


@dataclass(frozen=True, slots=True)
class _Bar:
    """The repairs of a day, with the place of their bar in the chart."""

    day: date
    count: int
    x: str
    y: str
    height: str
    width: float = _BAR_WIDTH


def _chart(past: Past) -> Mapping[str, object]:
    most = max((count for _, count in past.by_day), default=0)
    total = sum(count for _, count in past.by_day)
    said = f"{_counted(total, 'repair')} from {past.first_day} to {past.today}"
    if total:
        day = next(day for day, count in past.by_day if count == most)
        said += f", most on {day}: {most:,}"
    bars = tuple(_bar(number, day, count, most) for number, (day, count) in enumerate(past.by_day) if count)
    return {"said": said, "most": most, "bars": bars}


def _bar(number: int, day: date, count: int, most: int) -> _Bar:
    height = _HEIGHT * count / most
    return _Bar(day, count, f"{number + (1 - _BAR_WIDTH) / 2:.1f}", f"{_HEIGHT - height:.2f}", f"{height:.2f}")


def _breakers(past: Past) -> Mapping[str, object]:
    found: tuple[Breaker, ...] = past.breakers
    return {"said": " ".join(_breakers_said(past, len(found))), "shown": found[:_MOST_BREAKERS]}


def _breakers_said(past: Past, found: int) -> Iterator[str]:
    if not past.repairs:
        yield "Nothing was repaired."
        return
    yield "Grouped by the role or user whose calls broke something."
    if past.asked_for:
        yield (
            f"No call broke what {_counted(past.asked_for, 'repair')} repaired: the role had just been created, "
            "enrolled or released, or an operator applied the repair."
        )
    if swept := past.unexplained - past.asked_for:
        yield f"No call is known for {_counted(swept, 'repair')}: a sweep found the problem."
    if found > _MOST_BREAKERS:
        yield f"The first {_MOST_BREAKERS} of {found:,} are shown."


def _first_names(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
