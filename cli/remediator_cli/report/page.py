"""A report as one page of HTML that needs nothing else: no network, no font, and to be read no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib import resources
from typing import Final

from remediator import __version__
from remediator.core.enrollment.decide import Enrolled
from remediator.core.history.role_record import RoleMemory
from remediator.core.model.finding import REPAIRABLE, Finding
from remediator.core.model.plain_text import document_diff
from remediator.core.model.write import Write
from remediator_cli.report.contents import STANDING_WORDS, Report, RoleReport, Standing
from remediator_cli.report.markup import Element, Node, Verbatim, element, render
from remediator_cli.report.past_page import past_section, repairs_text, time_element
from remediator_cli.report.table import Row, table

_MEANINGS: Final = {
    Standing.CONTESTED: "Somebody keeps undoing their repairs, so that nothing more is written.",
    Standing.NEEDS_PERSON: "Something is wrong that must not be repaired automatically.",
    Standing.WOULD_REPAIR: "What would be written stands with each.",
    Standing.REFUSED: "They carry the enrolment tag, but must not be touched.",
    Standing.NEARLY_ENROLLED: "They are not looked after. Enrol those that clusters use.",
    Standing.OFF: "Their own tag asks to leave them alone.",
    Standing.USABLE: "EC2 may assume them, and they reach their bucket.",
}
_IN_A_TABLE: Final = frozenset({Standing.NEARLY_ENROLLED, Standing.OFF, Standing.USABLE})
"""Of them there is little to say, and they are many."""

_LINE_END: Final = Verbatim("\n")
_DIFF_LINES: Final = {"+": "added", "-": "taken", "@": "place"}
_DIFF_NAMES: Final = 2
"""How many lines at the beginning of a diff only name its two sides."""


def report_page(report: Report) -> str:
    """The report as HTML.

    What may be loaded and run is named in the page itself: its own style sheet and its own script, by their hashes.
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy
    """
    style, script = _of_the_package("report.css"), _of_the_package("report.js")
    policy = (
        f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Anyscale roles in account {report.account}"
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="referrer", content="no-referrer"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            element("style", Verbatim(style)),
        ),
        element(
            "body",
            element("a", "Skip to the roles", href="#roles", class_="skip"),
            element("header", element("h1", title), element("p", *_made(report))),
            element("main", *_main(report)),
            element("footer", element("p", f"Made by remediator {__version__}. It only read, and changed nothing.")),
            element("script", Verbatim(script)),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{render(page)}\n"


def _of_the_package(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _made(report: Report) -> Iterator[Node]:
    yield "As it was at "
    yield time_element(report.at)
    scanned = report.fleet.survey.scanned
    yield f". The account has {scanned:,} role{'' if scanned == 1 else 's'}, "
    yield f"{len(report.roles):,} of them enrolled or nearly so."
    if report.past is not None:
        yield f" The history is that of {report.past.stack} in {report.past.region}."


def _main(report: Report) -> Iterator[Element]:
    yield from (element("p", notice, class_="notice") for notice in _notices(report))
    yield _counts(report)
    if report.past is not None:
        yield past_section(report.past)
    yield element("div", _filter(report), *_groups(report), id="roles", tabindex="-1")
    if report.fleet.survey.unjudged:
        yield _unjudged(report)
    if report.open_elsewhere:
        yield _open_elsewhere(report)


def _notices(report: Report) -> Iterator[str]:
    if report.fleet.denied:
        yield (
            f"The credentials may not call {', '.join(report.fleet.denied)}, so that what needs it was taken for "
            "unreadable."
        )
    yield from (str(note) for note in report.plan["notes"])
    if report.past is None:
        yield (
            f"Without history: {report.without_past}. So repairs, who breaks roles, and contests are not known here."
        )


def _counts(report: Report) -> Element:
    counts = [(standing, count) for standing, count in report.counts.items() if count or standing is not Standing.OFF]
    return element(
        "nav",
        element(
            "ul",
            *(element("li", _count(standing, count), class_=standing.value) for standing, count in counts),
        ),
        aria_label="Roles by how they stand",
        class_="counts",
    )


def _count(standing: Standing, count: int) -> Element:
    inside = (element("strong", f"{count:,}"), " ", element("span", STANDING_WORDS[standing]))
    return element("a", *inside, href=f"#{standing}") if count else element("span", *inside, class_="none")


def _filter(report: Report) -> Element:
    """Hidden as long as no script makes it work."""
    clouds = sorted({each.cloud for each in report.roles if each.cloud is not None})
    standings = [standing for standing, count in report.counts.items() if count]
    return element(
        "search",
        element(
            "form",
            element(
                "label", "Search ", element("input", type="search", id="words", placeholder="name, finding, bucket …")
            ),
            _choice("standing", "State ", ((each.value, STANDING_WORDS[each]) for each in standings)),
            _choice("cloud", "Cloud ", ((cloud, cloud) for cloud in clouds)),
            element("output", id="shown", aria_live="polite"),
            id="filter",
            hidden=True,
        ),
    )


def _choice(name: str, label: str, choices: Iterator[tuple[str, str]]) -> Element:
    options = (element("option", text, value=value) for value, text in choices)
    return element("label", label, element("select", element("option", "all", value=""), *options, id=name))


def _groups(report: Report) -> Iterator[Element]:
    if not report.roles:
        yield element("p", "No role is enrolled, or nearly so.")
    for standing in Standing:
        roles = [each for each in report.roles if each.standing is standing]
        if roles:
            yield element(
                "section",
                element(
                    "h2", f"{_title(standing)} ", element("span", f"{len(roles):,}", class_="size"), id=standing.value
                ),
                element("p", _MEANINGS[standing]),
                _group_table(standing, roles) if standing in _IN_A_TABLE else element("div", *map(_article, roles)),
                aria_labelledby=standing.value,
                class_=f"group {standing}",
            )


def _title(standing: Standing) -> str:
    return STANDING_WORDS[standing].capitalize()


def _group_table(standing: Standing, roles: list[RoleReport]) -> Element:
    if standing is Standing.USABLE:
        headings: tuple[str, ...] = ("Role", "Cloud", "Repaired", "Notes")
        return table("Usable roles", headings, (_usable_row(each) for each in roles))
    headings = ("Role", "Why", "To enrol it") if standing is Standing.NEARLY_ENROLLED else ("Role", "Why")
    return table(_title(standing), headings, (_row_with_reason(each) for each in roles))


def _usable_row(role: RoleReport) -> Row:
    notes = (*(element("p", note) for note in _notes(role)), *_open(role.memory))
    return _row(role, (role.cloud or "",), tuple(_repaired(role)), notes)


def _row_with_reason(role: RoleReport) -> Row:
    why = (element("p", role.why), *_open(role.memory))
    if role.standing is not Standing.NEARLY_ENROLLED:
        return _row(role, why)
    cloud = role.enrolling_cloud
    return _row(role, why, (element("code", f"remediator enroll {role.name} {cloud}"),) if cloud else ())


def _row(role: RoleReport, *cells: tuple[Node, ...]) -> Row:
    heading = (element("p", role.name), element("code", role.arn))
    return Row((heading, *cells), standing=role.standing.value, cloud=role.cloud or "")


def _article(role: RoleReport) -> Element:
    judgement = role.surveyed.judgement
    unless = " if it were not contested" if role.standing is Standing.CONTESTED else ""
    facts = [f"cloud {role.cloud}"] if role.cloud else []
    return element(
        "article",
        element("h3", role.name),
        element("p", element("code", role.arn), *(f" · {fact}" for fact in facts), class_="facts"),
        element("p", role.why) if role.why else None,
        *(element("p", note) for note in _notes(role)),
        *_open(role.memory, role.name),
        *(element("p", *_repaired(role)) for _ in range(role.repairs > 0)),
        element("ul", *(_finding(role, each) for each in judgement.findings), class_="findings")
        if judgement.findings
        else None,
        *(_write(write, f"Would be written{unless}") for write in judgement.plan.writes),
        *(_write(write, f"Would be taken back{unless}") for write in judgement.plan.removals),
        data_standing=role.standing.value,
        data_cloud=role.cloud or "",
    )


def _notes(role: RoleReport) -> Iterator[str]:
    enrollment = role.surveyed.judgement.enrollment
    if isinstance(enrollment, Enrolled):
        yield from enrollment.notes
    if role.is_observed_only:
        yield "Observed only: nothing is written."


def _repaired(role: RoleReport) -> Iterator[Node]:
    if role.last_repair is not None:
        yield f"{repairs_text(role.repairs)}, the last one at "
        yield time_element(role.last_repair)


def _open(memory: RoleMemory, name: str = "") -> Iterator[Element]:
    """What is still open of a role by the history; with its ``name``, how a contest is ended as well."""
    contest, incident = memory.contest, memory.incident
    if contest is not None:
        findings = ", ".join(f"{finding.code} ({finding.subject})" for finding in contest.findings)
        yield element(
            "p",
            "Contested since ",
            time_element(contest.since),
            ", until ",
            time_element(contest.until),
            f": {findings}. Undone by {'; '.join(contest.actors) or 'somebody'}. Calls since then: {contest.events:,}.",
            class_="contest",
        )
        if name:
            yield element("p", "When that is settled: ", element("code", f"remediator resume {name}"))
    if incident is not None:
        told = "" if incident.told else " Nobody was told of it yet as it is now."
        opened = time_element(incident.opened)
        yield element("p", "Open since ", opened, f": incident {incident.incident_id}.{told}", class_="incident")


def _finding(role: RoleReport, finding: Finding) -> Element:
    held = {each.finding for each in role.surveyed.judgement.plan.withheld}
    is_for_a_person = finding.code not in REPAIRABLE or finding in held
    meaning, *reasons = role.explained(finding)
    return element(
        "li",
        element("p", element("strong", finding.code), " ", element("span", finding.subject)),
        element("p", meaning),
        element("ul", *(element("li", reason) for reason in reasons)) if reasons else None,
        class_="person" if is_for_a_person else "repairable",
    )


def _write(write: Write, verb: str) -> Element:
    lines = document_diff(write.before, write.after).split("\n")
    return element(
        "details",
        element("summary", f"{verb}: {write.document}"),
        element("p", write.note) if write.note else None,
        element("pre", *(_diff_line(number, line) for number, line in enumerate(lines))),
    )


def _diff_line(number: int, line: str) -> Element:
    marked = "place" if number < _DIFF_NAMES else _DIFF_LINES.get(line[:1])
    return element("span", line, _LINE_END, class_=marked)


def _unjudged(report: Report) -> Element:
    rows = (
        Row(((each.name or "a role without a name",), (each.cloud or "",), (each.why,)))
        for each in report.fleet.survey.unjudged
    )
    return element(
        "section",
        element("h2", "Could not be judged", id="unjudged"),
        table("Roles that could not be judged", ("Role", "Cloud", "Why"), rows),
        aria_labelledby="unjudged",
    )


def _open_elsewhere(report: Report) -> Element:
    rows = (Row(((name,), tuple(_open(memory)))) for name, memory in report.open_elsewhere)
    return element(
        "section",
        element("h2", "Open in the history alone", id="elsewhere"),
        element("p", "These roles are not enrolled any more, or are gone. The next sweep closes what is open of them."),
        table("Roles of which something is open in the history alone", ("Role", "What is open"), rows),
        aria_labelledby="elsewhere",
    )
