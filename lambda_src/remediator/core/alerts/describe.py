"""Make the notification of an outcome: what is wrong, what was done about it, and what there is to do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC
from typing import assert_never

from remediator.core.alerts.decide import AlertDecision, AlertReason
from remediator.core.alerts.finding_texts import FINDING_TEXTS
from remediator.core.alerts.notification import DocumentChange, Notification, Point, Severity, WriteState
from remediator.core.history.change import Change, ChangeState
from remediator.core.history.conflict import resume_command
from remediator.core.history.role_record import Conflict
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.write import Write
from remediator.core.policy.arn import RoleArn
from remediator.core.repair.instance_profile import compute_configuration, own_instance_profile_arn
from remediator.core.repair.outcome import Applied, Hold, NotApplied, Outcome, OutcomeKind, Unconfirmed, is_retried
from remediator.core.repair.permanent_fix import permanent_fix
from remediator.settings import MODE_TAG, GrantLocation

_PROFILE_CODES = frozenset({FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED, FindingCode.PROFILE_UNDECIDED})

_SEVERITIES = {
    OutcomeKind.WOULD_REPAIR: Severity.WARNING,
    OutcomeKind.REFUSED: Severity.WARNING,
    OutcomeKind.CONFLICT: Severity.ERROR,
    OutcomeKind.MANUAL_ACTION: Severity.ERROR,
    OutcomeKind.FAILED: Severity.ERROR,
}
"""Of the outcomes that are more than information."""

_TITLES = {
    OutcomeKind.NOT_ENROLLED: "no longer looked after",
    OutcomeKind.OFF: "left alone",
    OutcomeKind.CLEAN: "resolved",
    OutcomeKind.REPAIRED: "repaired",
    OutcomeKind.REFUSED: "refused",
    OutcomeKind.CONFLICT: "contested, no longer repaired",
    OutcomeKind.MANUAL_ACTION: "needs a person",
}

_HEADLINES = {
    OutcomeKind.NOT_ENROLLED: "Not looked after any more; nothing for you to do. What was wrong was not repaired.",
    OutcomeKind.OFF: "Left alone, as its tag asks for; nothing for you to do. What was wrong was not repaired.",
    OutcomeKind.CLEAN: "Resolved; nothing for you to do. What you were told of is in order again.",
    OutcomeKind.REPAIRED: "Repaired; nothing for you to do now. To keep it so, change the code that broke it.",
    OutcomeKind.REFUSED: "Refused to look after this role; nothing was written. Please correct tag or settings.",
    OutcomeKind.CONFLICT: "Please decide: somebody keeps undoing this repair, so we have stopped repairing this role.",
}

_HALF_WAY_HEADLINES = {
    OutcomeKind.REPAIRED: "Repaired, and not looked after any more; nothing for you to do. What else is wrong is not "
    "repaired.",
    OutcomeKind.REFUSED: "Refused to look after this role any more; what was or may have been written before that is "
    "shown below. Please correct tag or settings.",
}
"""Of a role that was refused, or lost its tag, between two writes."""

_HELD = {
    Hold.OBSERVE: (
        "broken, not repaired (observe mode)",
        "Broken, and left as it is because observe mode writes nothing. Please repair it.",
        (
            "Make the changes below; or have us make them: give the cloud the mode `repair`, and the role's tag "
            f"{MODE_TAG} no other one."
        ),
    ),
    Hold.PAUSED: (
        "broken, not repaired (writes are paused)",
        "Broken, and left as it is because writes are paused. Please repair it, or resume the writes.",
        "Make the changes below; or have us make them: `remediator resume` lets the writes go on.",
    ),
    Hold.CAPPED: (
        "repaired in part only (the limit of writes)",
        "Repaired in part only, because as much was written as is allowed. Please see who breaks so much.",
        (
            "See who breaks so much: `remediator history` names who caused each repair. The next sweep after the "
            "window repairs the rest."
        ),
    ),
    None: (
        "repaired in part",
        "Repaired in part; nothing for you to do now. The next sweep repairs the rest.",
        "",
    ),
}
"""By what holds a repair up: the title, the headline, and what to do."""

_NOT_WRITTEN_TO = frozenset({OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF, OutcomeKind.CLEAN, OutcomeKind.REFUSED})
"""The outcomes after which the remediator does not write to the role: it need not be kept from that."""


def describe(
    outcome: Outcome,
    telling: AlertDecision,
    *,
    buckets: tuple[str, ...] = (),
    grant: GrantLocation = GrantLocation.ROLE_POLICY,
) -> Notification:
    """What to tell people about an outcome in which there is something new.

    ``buckets`` are the names of the cloud's buckets, and ``grant`` is the side where it grants them, for the text on
    how to make the repair permanent.
    """
    contested = outcome.kind is OutcomeKind.CONFLICT
    headline = _headline(outcome)
    return Notification(
        notification_id=_notification_id(outcome, telling.reason),
        kind=outcome.kind,
        hold=outcome.hold,
        reason=telling.reason,
        incident_id=telling.incident_id,
        severity=Severity.WARNING if _ends_by_itself(outcome) else _SEVERITIES.get(outcome.kind, Severity.INFO),
        title=_title(outcome),
        headline=f"Still so after a day. {headline}" if telling.reason is AlertReason.REMINDER else headline,
        role_name=outcome.role_name,
        role_arn=outcome.role_arn,
        account=outcome.account,
        cloud=outcome.cloud,
        wrong=tuple(_wrong(outcome)),
        changes=tuple(_changes(outcome)),
        to_do=tuple(_to_do(outcome)),
        causes=outcome.causes,
        permanent=permanent_fix(
            outcome.role_arn, outcome.findings, buckets, grant, instance_profile=outcome.instance_profile
        ),
        compute_configuration=_compute_configuration(outcome),
        undo=tuple(f"remediator undo {change_id}" for change_id in _written(outcome)),
        resume=resume_command(outcome.role_name) if contested else None,
        pause=_pause(outcome),
        findings=outcome.findings,
    )


def _notification_id(outcome: Outcome, reason: AlertReason) -> str:
    """By what was found and done, and by the events that led to it; not by when it was told, or to which incident."""
    parts = (
        *(outcome.account, outcome.role_name, outcome.kind, reason, outcome.hold or "", outcome.refusal or ""),
        *sorted(f"{finding.code} {finding.subject}" for finding in outcome.findings),
        *(f"{type(result).__name__} {result.change_id}" for result in outcome.results),
        *(f"{change.state} {change.change_id}" for change in outcome.recovered),
        *sorted(cause.event_id for cause in outcome.causes),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _title(outcome: Outcome) -> str:
    match outcome.kind:
        case OutcomeKind.WOULD_REPAIR:
            title, _, _ = _HELD[outcome.hold]
            return title
        case OutcomeKind.FAILED if _ends_by_itself(outcome):
            return "repair not finished yet"
        case OutcomeKind.FAILED:
            return "repair failed" if outcome.results or outcome.is_last else "could not be looked at"
        case kind:
            return _TITLES[kind]


def _headline(outcome: Outcome) -> str:
    match outcome.kind:
        case OutcomeKind.WOULD_REPAIR:
            _, headline, _ = _HELD[outcome.hold]
            return headline
        case OutcomeKind.MANUAL_ACTION:
            return f"Please look: {_manual_action_reason(outcome)}"
        case OutcomeKind.FAILED:
            return _failed_headline(outcome)
        case OutcomeKind.REFUSED | OutcomeKind.REPAIRED as kind if outcome.why and outcome.may_have_written:
            return _HALF_WAY_HEADLINES[kind]
        case kind:
            return _HEADLINES[kind]


def _manual_action_reason(outcome: Outcome) -> str:
    if any(finding.code is FindingCode.QUARANTINED for finding in outcome.findings):
        return "somebody has shut this role on purpose, so nothing is repaired."
    if outcome.applied:
        return "part of it was repaired, the rest must not be repaired automatically."
    if not outcome.findings and outcome.recovered:
        if any(change.state is ChangeState.SUPERSEDED for change in outcome.recovered):
            return "a repair was interrupted, and somebody has changed the document since."
        return "a repair was interrupted, and whether it was in force for a time is not known."
    return "something is wrong that must not be repaired automatically."


def _failed_headline(outcome: Outcome) -> str:
    if _ends_by_itself(outcome):
        if outcome.again:
            return "Written in part; nothing for you to do now. The rest is tried again within minutes."
        return "Written, but not all of it is seen yet; nothing for you to do now. We look again within minutes."
    if outcome.is_last and outcome.may_have_written:
        return "Please look: a repair was begun and not finished, and is not tried again by itself."
    if not outcome.results:
        return "Please look: whether this role is broken could not be found out."
    if outcome.to_be_retried and not outcome.manual_findings:
        return (
            "A repair failed, and is tried again within minutes. Please look if you are not told soon that it worked."
        )
    return "Please look: a repair failed."


def _ends_by_itself(outcome: Outcome) -> bool:
    """Whether all that could be written was, so that it only has to be seen or finished, and is told in the end.

    A write that failed is none of this even if it is tried again: that it fails for good would be nothing new.
    """
    if outcome.kind is not OutcomeKind.FAILED or outcome.manual_findings or outcome.is_last:
        return False
    if any(isinstance(result, NotApplied) for result in outcome.results):
        return False
    return outcome.again or bool(outcome.results)


def _wrong(outcome: Outcome) -> Iterable[Point]:
    if outcome.why:
        yield (outcome.why,)
    for finding in outcome.findings:
        actions = f" ({', '.join(finding.actions)})" if finding.actions else ""
        yield f"{finding.subject}: {FINDING_TEXTS[finding.code].meaning}{actions}", *finding.because
    yield from ((note,) for note in outcome.notes)


def _changes(outcome: Outcome) -> Iterable[DocumentChange]:
    for recovered in outcome.recovered:
        if recovered.may_have_taken_effect:
            state = WriteState.APPLIED if recovered.state is ChangeState.COMPLETED else WriteState.UNCONFIRMED
            yield DocumentChange(
                str(recovered.document), state, recovered.before, recovered.after, recovered.why, recovered.change_id
            )
    for write in outcome.proposed:
        yield _change(write, WriteState.PROPOSED)
    for result in outcome.results:
        match result:
            case Applied(write=write, change_id=change_id):
                yield _change(write, WriteState.APPLIED, change_id=change_id)
            case Unconfirmed(write=write, why=why, change_id=change_id):
                yield _change(write, WriteState.UNCONFIRMED, why, change_id)
            case NotApplied(write=write, why=why, change_id=change_id):
                yield _change(write, WriteState.NOT_APPLIED, why, change_id)
            case _ as never:
                assert_never(never)


def _change(write: Write, state: WriteState, note: str = "", change_id: str = "") -> DocumentChange:
    note = " ".join(filter(None, (write.note, note)))
    return DocumentChange(str(write.document), state, write.before, write.after, note, change_id)


def _written(outcome: Outcome) -> Iterable[str]:
    """The ids of the changes that can be undone."""
    yield from (change.change_id for change in outcome.recovered if change.state is ChangeState.COMPLETED)
    yield from (result.change_id for result in outcome.results if isinstance(result, Applied) and result.change_id)


def _to_do(outcome: Outcome) -> Iterable[Point]:
    if outcome.conflict is not None:
        yield _to_decide(outcome.conflict)
    yield from _about_findings(outcome)
    yield from (_about_write(result) for result in outcome.results if isinstance(result, NotApplied))
    yield from _about_interrupted(outcome.recovered)
    if outcome.kind is OutcomeKind.WOULD_REPAIR and outcome.hold is not None:
        yield _HELD[outcome.hold][-1:]
    if outcome.kind is OutcomeKind.FAILED and (outcome.is_last or not (outcome.results or outcome.again)):
        yield ("Mend what is named above, then let the remediator look again by touching a tag of the role.",)


def _about_findings(outcome: Outcome) -> Iterable[Point]:
    for blocked in outcome.blocked:
        yield _advice(blocked.finding), *(f"We did not do it ourselves: {reason}" for reason in blocked.because)
    held = {blocked.finding for blocked in outcome.blocked}
    yield from ((_advice(finding),) for finding in outcome.manual_findings if finding not in held)


def _to_decide(conflict: Conflict) -> Point:
    undoing = conflict.actors or ("nobody that an event has told of",)
    decide = (
        "Decide with whoever undoes it: change their code as below, or take the role out of our hands. Then let us "
        "repair it again with the command below; or wait until "
        f"{conflict.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
    )
    return decide, *(f"Undone by {actor}" for actor in undoing)


def _about_write(failed: NotApplied) -> Point:
    again = (
        "It is tried again within minutes."
        if is_retried(failed)
        else "It is not tried again by itself. Mend what AWS complains of, or make the change below."
    )
    return f"{failed.write.document}: {again}", failed.why


def _about_interrupted(recovered: Iterable[Change]) -> Iterable[Point]:
    for change in recovered:
        if change.state is ChangeState.SUPERSEDED:
            yield (f"{change.document}: See whether what we meant to write, below, is still wanted.",)
        if change.state is ChangeState.UNKNOWN:
            yield (f"{change.document}: Only CloudTrail can tell whether it was, for a time, as is shown below.",)


def _advice(finding: Finding) -> str:
    return f"{finding.subject}: {FINDING_TEXTS[finding.code].to_do}"


def _compute_configuration(outcome: Outcome) -> str | None:
    """What to write into a compute configuration, where the instance profile is the matter; None elsewhere."""
    if outcome.role_arn is None or not any(finding.code in _PROFILE_CODES for finding in outcome.findings):
        return None
    return compute_configuration(outcome.instance_profile or own_instance_profile_arn(RoleArn.parse(outcome.role_arn)))


def _pause(outcome: Outcome) -> str | None:
    if outcome.role_arn is None or outcome.kind in _NOT_WRITTEN_TO:
        return None
    return f"aws iam tag-role --role-name {outcome.role_name} --tags Key={MODE_TAG},Value=off"
