"""What the remediator would do with the roles of an account, as a JSON object and as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Refused
from remediator.core.enrollment.misconfigured import MisconfigurationKind
from remediator.core.model.plain_text import plain
from remediator.core.model.write import Write
from remediator.core.repair.outcome import OutcomeKind
from remediator.flows.survey import Surveyed
from remediator.settings import Settings
from remediator_cli.deployment.fleet import Fleet
from remediator_cli.rendering.documents import write_text
from remediator_cli.rendering.findings import finding_text
from remediator_cli.rendering.layout import indented
from remediator_cli.rendering.records import blocked_repair_records, document_record, finding_records, role_record
from remediator_cli.terminal.command import suggested

_STYLES: Final = {
    OutcomeKind.CLEAN: "green",
    OutcomeKind.OFF: "dim",
    OutcomeKind.NOT_ENROLLED: "dim",
    OutcomeKind.WOULD_REPAIR: "yellow",
    OutcomeKind.REFUSED: "red",
    OutcomeKind.MANUAL_ACTION: "red",
}
_COUNTED: Final = {
    OutcomeKind.MANUAL_ACTION: "manual action required",
    OutcomeKind.WOULD_REPAIR: "to be repaired",
    OutcomeKind.REFUSED: "refused",
    OutcomeKind.CLEAN: "clean",
    OutcomeKind.OFF: "off",
}
_MOST_UNTAGGED: Final = 20
"""How many untagged roles people are shown: a broad pattern matches hundreds."""


def fleet_record(fleet: Fleet, settings: Settings) -> dict[str, Any]:
    found = fleet.survey
    return {
        "account": fleet.account,
        "scanned": found.scanned,
        "needs_something": found.needs_something,
        "roles": [surveyed_record(each) for each in found.roles],
        "unjudged": [{"name": each.name, "cloud": each.cloud, "why": each.why} for each in found.unjudged],
        "denied": list(fleet.denied),
        "notes": list(_notes(settings)),
    }


def fleet_text(fleet: Fleet, settings: Settings) -> RenderableType:
    """The summary first, then what requires manual action or would be written, then misconfigured enrollments."""
    order = list(_COUNTED)
    shown = sorted(
        (each for each in fleet.survey.roles if not _is_untagged(each)),
        key=lambda each: order.index(each.assessment.kind) if each.assessment.kind in order else len(order),
    )
    return Group(
        _summary(fleet),
        *(Text(note, style="yellow") for note in _notes(settings)),
        *(part for each in shown for part in (Text(), surveyed_text(each))),
        *_untagged_text([each for each in fleet.survey.roles if _is_untagged(each)]),
    )


def surveyed_record(surveyed: Surveyed) -> dict[str, Any]:
    """One role."""
    assessment, near = surveyed.assessment, surveyed.near
    enrollment, plan = assessment.enrollment, assessment.plan
    enrolled = enrollment if isinstance(enrollment, Enrolled) else None
    refused = enrollment if isinstance(enrollment, Refused) else assessment.refused
    return {
        "role": role_record(assessment.scanned.role),
        "cloud": surveyed.cloud,
        "state": assessment.kind,
        "mode": enrolled and enrolled.mode,
        "needs_something": surveyed.needs_something,
        "refusal": refused and refused.refusal,
        "why": surveyed.why or None,
        "nearly": near and {"what": near.nearness, "why": near.why, "cloud": near.cloud},
        "findings": finding_records(assessment.findings),
        "withheld": blocked_repair_records(plan.blocked),
        "writes": [
            *(_write_record(write, removal=False) for write in plan.writes),
            *(_write_record(write, removal=True) for write in plan.removals),
        ],
        "notes": list(enrolled.notes) if enrolled else [],
    }


def surveyed_text(surveyed: Surveyed) -> RenderableType:
    """One role: what would become of it, what is wrong with it, and the diffs."""
    kind = surveyed.assessment.kind
    title = Text.assemble((plain(surveyed.assessment.scanned.role.arn.name), "bold"), "  ", (kind, _STYLES[kind]))
    if surveyed.cloud:
        title.append(plain(f"  cloud {surveyed.cloud}"))
    if surveyed.is_observed_only:
        title.append("  observed only: nothing is written", style="dim")
    return Group(title, indented(*_details(surveyed)))


def _write_record(write: Write, *, removal: bool) -> dict[str, Any]:
    return {
        "document": document_record(write.document),
        "removal": removal,
        "before": write.before,
        "after": write.after,
        "note": write.note,
    }


def _summary(fleet: Fleet) -> Text:
    found = fleet.survey
    kinds = Counter(each.assessment.kind for each in found.roles)
    mistakes = sum(map(_is_mistaken, found.roles))
    observed = sum(each.is_observed_only for each in found.roles if each.assessment.kind is OutcomeKind.WOULD_REPAIR)
    kinds[OutcomeKind.WOULD_REPAIR] -= observed
    counted = (
        *((kinds[kind], words) for kind, words in _COUNTED.items()),
        (observed, "broken, observed only"),
        (mistakes, "with a misconfigured enrollment"),
        (len(found.unjudged), "could not be checked"),
    )
    said = ", ".join(f"{count} {words}" for count, words in counted if count) or "no role is enrolled"
    style = "yellow" if found.needs_something or found.unjudged else "green"
    roles = f"{found.scanned:,} role{'' if found.scanned == 1 else 's'}"
    return Text(f"Account {fleet.account}, {roles}: {said}.", style=style)


def _is_mistaken(surveyed: Surveyed) -> bool:
    is_not_enrolled = surveyed.assessment.kind is OutcomeKind.NOT_ENROLLED
    return is_not_enrolled and surveyed.near is not None and surveyed.near.is_intended


def _notes(settings: Settings) -> Iterator[str]:
    if settings.approvers:
        allowed = ", ".join(map(str, settings.approvers))
        yield (
            f"Only the history shows whether an approver enrolled a role; it is not read here. Roles that none of "
            f"{allowed} has tagged since the remediator was deployed wait for an approver."
        )


def _is_untagged(surveyed: Surveyed) -> bool:
    return surveyed.near is not None and surveyed.near.nearness is MisconfigurationKind.UNTAGGED


def _details(surveyed: Surveyed) -> Iterator[RenderableType]:
    assessment, near = surveyed.assessment, surveyed.near
    if why := near.why if near is not None else surveyed.why:
        yield Text(plain(why))
    match assessment.enrollment:
        case NotEnrolled() if near is not None and near.cloud is not None:
            hint = f"To enroll it: {suggested(f'enroll {assessment.scanned.role.arn.name} {near.cloud}')}"
            yield Text(plain(hint), style="dim")
        case Enrolled(notes=notes):
            yield from (Text(plain(note)) for note in notes)
        case _:
            pass
    blocked = {each.finding: each for each in assessment.plan.blocked}
    yield from (finding_text(finding, blocked.get(finding)) for finding in assessment.findings)
    yield from (write_text(write) for write in assessment.plan.writes)
    yield from (write_text(write, removal=True) for write in assessment.plan.removals)


def _untagged_text(untagged: list[Surveyed]) -> Iterator[RenderableType]:
    if not untagged:
        return
    more = f", of which {_MOST_UNTAGGED} are shown" if len(untagged) > _MOST_UNTAGGED else ""
    yield Text()
    yield Text(f"{len(untagged)} allowed by the configuration, but without the enrollment tag{more}:")
    for each in untagged[:_MOST_UNTAGGED]:
        cloud = (each.near.cloud if each.near is not None else None) or "CLOUD"
        name = each.assessment.scanned.role.arn.name
        hint = f"  {suggested(f'enroll {name} {cloud}')}"
        yield Text(plain(hint), style="dim")
