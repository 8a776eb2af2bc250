"""What came of an account, as a JSON object, and as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Refused
from remediator.core.enrollment.misconfigured import Nearness
from remediator.core.model.finding import REPAIRABLE, Finding
from remediator.core.model.plain_text import document_diff, plain
from remediator.core.model.write import Write
from remediator.core.repair.outcome import OutcomeKind
from remediator.flows.survey import Surveyed
from remediator.settings import Settings
from remediator_cli.deployment.fleet import Fleet
from remediator_cli.terminal.diff import diff_text
from remediator_cli.terminal.finding_explanation import explained

_STYLES: Final = {
    OutcomeKind.CLEAN: "green",
    OutcomeKind.OFF: "dim",
    OutcomeKind.NOT_ENROLLED: "dim",
    OutcomeKind.WOULD_REPAIR: "yellow",
    OutcomeKind.REFUSED: "red",
    OutcomeKind.NEEDS_PERSON: "red",
}
_COUNTED: Final = {
    OutcomeKind.NEEDS_PERSON: "for a person",
    OutcomeKind.WOULD_REPAIR: "to be repaired",
    OutcomeKind.REFUSED: "refused",
    OutcomeKind.CLEAN: "clean",
    OutcomeKind.OFF: "off",
}
_MOST_UNTAGGED: Final = 20
"""How many untagged roles people are shown: a broad pattern matches hundreds."""


def fleet_record(fleet: Fleet, settings: Settings) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there."""
    found = fleet.survey
    return {
        "account": fleet.account,
        "scanned": found.scanned,
        "needs_something": found.needs_something,
        "roles": [_role_record(each) for each in found.roles],
        "unjudged": [{"name": each.name, "cloud": each.cloud, "why": each.why} for each in found.unjudged],
        "denied": list(fleet.denied),
        "notes": list(_notes(settings)),
    }


def fleet_text(fleet: Fleet, settings: Settings) -> RenderableType:
    """The summary first, then what needs a person or would be written, then what is nearly enrolled, then the rest."""
    found = fleet.survey
    shown = [each for each in found.roles if not _is_untagged(each)]
    order = list(_COUNTED)
    shown.sort(key=lambda each: order.index(each.judgement.kind) if each.judgement.kind in order else len(order))
    untagged = [each for each in found.roles if _is_untagged(each)]
    return Group(
        _summary(fleet),
        *(Text(note, style="yellow") for note in _notes(settings)),
        *(part for each in shown for part in (Text(), surveyed_text(each))),
        *_untagged_text(untagged),
    )


def surveyed_text(surveyed: Surveyed) -> RenderableType:
    """One role: what would become of it, what is wrong with it, and the diffs."""
    judgement = surveyed.judgement
    kind = judgement.kind
    title = Text.assemble((plain(judgement.scanned.role.arn.name), "bold"), "  ", (kind, _STYLES[kind]))
    if surveyed.cloud:
        title.append(plain(f"  cloud {surveyed.cloud}"))
    if surveyed.is_observed_only:
        title.append("  observed only: nothing is written", style="dim")
    return Group(title, Padding(Group(*_details(surveyed)), (0, 0, 0, 2)))


def write_text(write: Write, *, removal: bool = False) -> RenderableType:
    """A document that would be written, with its diff."""
    verb = "would be taken back from" if removal else "would be written:"
    heading = Text.assemble(f"{verb} ", (plain(str(write.document)), "bold"))
    note = [Text(plain(write.note))] if write.note else []
    return Group(heading, *note, Padding(diff_text(document_diff(write.before, write.after)), (0, 0, 0, 2)))


def finding_text(finding: Finding, held: tuple[str, ...] | None = None) -> RenderableType:
    """A finding with its reasons, and ``held``, what stands against its repair; or what a person can do about it."""
    is_for_a_person = finding.code not in REPAIRABLE or held is not None
    lines = [Text.assemble((finding.code, "red" if is_for_a_person else "yellow"), plain(f"  {finding.subject}"))]
    lines += [Text(plain(sentence)) for sentence in explained(finding, held or ())]
    return Group(lines[0], Padding(Group(*lines[1:]), (0, 0, 0, 2)))


def _role_record(surveyed: Surveyed) -> dict[str, Any]:
    judgement = surveyed.judgement
    role, enrollment, near = judgement.scanned.role, judgement.enrollment, surveyed.near
    refused = enrollment if isinstance(enrollment, Refused) else judgement.refused
    return {
        "role": {"name": role.arn.name, "id": role.role_id, "arn": str(role.arn)},
        "cloud": surveyed.cloud,
        "state": judgement.kind,
        "mode": enrollment.mode if isinstance(enrollment, Enrolled) else None,
        "needs_something": surveyed.needs_something,
        "refusal": None if refused is None else refused.refusal,
        "why": surveyed.why or None,
        "nearly": None if near is None else {"what": near.nearness, "why": near.why, "cloud": near.cloud},
        "findings": [
            {
                "code": finding.code,
                "subject": finding.subject,
                "because": list(finding.because),
                "actions": list(finding.actions),
            }
            for finding in judgement.findings
        ],
        "withheld": [
            {"code": each.finding.code, "subject": each.finding.subject, "because": list(each.because)}
            for each in judgement.plan.withheld
        ],
        "writes": [
            *(_write_record(write, removal=False) for write in judgement.plan.writes),
            *(_write_record(write, removal=True) for write in judgement.plan.removals),
        ],
        "notes": list(enrollment.notes) if isinstance(enrollment, Enrolled) else [],
    }


def _write_record(write: Write, *, removal: bool) -> dict[str, Any]:
    document = write.document
    return {
        "document": {"kind": document.kind, "name": document.name or None, "region": document.region},
        "removal": removal,
        "before": write.before,
        "after": write.after,
        "note": write.note,
    }


def _summary(fleet: Fleet) -> Text:
    found = fleet.survey
    kinds = Counter(each.judgement.kind for each in found.roles)
    mistakes = sum(
        each.judgement.kind is OutcomeKind.NOT_ENROLLED and each.near is not None and each.near.is_a_mistake
        for each in found.roles
    )
    observed = sum(each.judgement.kind is OutcomeKind.WOULD_REPAIR and each.is_observed_only for each in found.roles)
    kinds[OutcomeKind.WOULD_REPAIR] -= observed
    parts = [f"{kinds[kind]} {words}" for kind, words in _COUNTED.items() if kinds[kind]]
    parts += [f"{observed} broken, and only observed"] * (observed > 0)
    parts += [f"{mistakes} with a tag that does not enrol"] * (mistakes > 0)
    parts += [f"{len(found.unjudged)} could not be judged"] * bool(found.unjudged)
    said = ", ".join(parts) or "no role is enrolled, or nearly so"
    style = "yellow" if found.needs_something or found.unjudged else "green"
    roles = f"{found.scanned:,} role{'' if found.scanned == 1 else 's'}"
    return Text(f"Account {fleet.account}, {roles}: {said}.", style=style)


def _notes(settings: Settings) -> Iterator[str]:
    if settings.approvers:
        allowed = ", ".join(map(str, settings.approvers))
        yield (
            f"Whether an approver has enrolled a role stands in the history alone, and is not looked at here: roles "
            f"that none of {allowed} has tagged since the remediator was deployed wait for that."
        )


def _is_untagged(surveyed: Surveyed) -> bool:
    return surveyed.near is not None and surveyed.near.nearness is Nearness.UNTAGGED


def _details(surveyed: Surveyed) -> Iterator[RenderableType]:
    judgement, near = surveyed.judgement, surveyed.near
    if why := near.why if near is not None else surveyed.why:
        yield Text(plain(why))
    if isinstance(judgement.enrollment, NotEnrolled) and near is not None and near.cloud is not None:
        yield Text(plain(f"To enrol it: remediator enroll {judgement.scanned.role.arn.name} {near.cloud}"), style="dim")
    if isinstance(judgement.enrollment, Enrolled):
        yield from (Text(plain(note)) for note in judgement.enrollment.notes)
    held = {each.finding: each.because for each in judgement.plan.withheld}
    yield from (finding_text(finding, held.get(finding)) for finding in judgement.findings)
    yield from (write_text(write) for write in judgement.plan.writes)
    yield from (write_text(write, removal=True) for write in judgement.plan.removals)


def _untagged_text(untagged: list[Surveyed]) -> Iterator[RenderableType]:
    if not untagged:
        return
    more = f", of which {_MOST_UNTAGGED} are shown" if len(untagged) > _MOST_UNTAGGED else ""
    yield Text()
    yield Text(f"{len(untagged)} allowed by the configuration, but without the enrolment tag{more}:")
    for each in untagged[:_MOST_UNTAGGED]:
        cloud = each.near.cloud if each.near is not None else None
        hint = f"  remediator enroll {each.judgement.scanned.role.arn.name} {cloud or 'CLOUD'}"
        yield Text(plain(hint), style="dim")
