"""Make the alert of an outcome: what is wrong, what was done about it, and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import assert_never

from remediator.core.alerts.decide import AlertDecision, AlertReason
from remediator.core.alerts.headlines import first_line, is_pending, opened, subject_of, title_of
from remediator.core.alerts.next_steps import next_steps
from remediator.core.alerts.notification import DocumentChange, Notification, Point, Severity, WriteState
from remediator.core.history.change import ChangeState
from remediator.core.history.conflict import mode_command, resume_command
from remediator.core.model.finding import FindingCode
from remediator.core.model.write import Write
from remediator.core.policy.arn import RoleArn
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator.core.repair.instance_profile import compute_configuration, own_instance_profile_arn
from remediator.core.repair.outcome import Applied, NotApplied, Outcome, OutcomeKind, Unconfirmed
from remediator.core.repair.permanent_fix import permanent_fix
from remediator.settings import GrantLocation

_PROFILE_CODES = frozenset({FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED, FindingCode.PROFILE_UNDECIDED})

_SEVERITIES = {
    OutcomeKind.OFF: Severity.WARNING,
    OutcomeKind.WOULD_REPAIR: Severity.WARNING,
    OutcomeKind.REFUSED: Severity.WARNING,
    OutcomeKind.CONFLICT: Severity.ERROR,
    OutcomeKind.MANUAL_ACTION: Severity.ERROR,
    OutcomeKind.FAILED: Severity.ERROR,
}
"""Of the outcomes that are more than information."""

_NOT_WRITTEN_TO = frozenset({OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF, OutcomeKind.CLEAN, OutcomeKind.REFUSED})
"""The outcomes after which the remediator does not write to the role, so that it need not be turned off."""


def describe(
    outcome: Outcome,
    decision: AlertDecision,
    *,
    buckets: tuple[str, ...] = (),
    grant: GrantLocation = GrantLocation.ROLE_POLICY,
) -> Notification:
    """The alert about an outcome.

    ``buckets`` are the names of the cloud's buckets and ``grant`` its grant location, for the code that makes the
    repair permanent.
    """
    permanent = permanent_fix(
        outcome.role_arn, outcome.findings, buckets, grant, instance_profile=outcome.instance_profile
    )
    return Notification(
        notification_id=_notification_id(outcome, decision.reason),
        kind=outcome.kind,
        hold=outcome.hold,
        reason=decision.reason,
        incident_id=decision.incident_id,
        severity=_severity(outcome),
        title=title_of(outcome),
        subject=subject_of(outcome, decision),
        headline=first_line(outcome, decision, has_fix=permanent is not None),
        since=opened(outcome, decision),
        role_name=outcome.role_name,
        role_arn=outcome.role_arn,
        account=outcome.account,
        cloud=outcome.cloud,
        wrong=tuple(_wrong(outcome)),
        changes=tuple(_changes(outcome)),
        to_do=tuple(next_steps(outcome)),
        causes=outcome.causes,
        permanent=permanent,
        compute_configuration=_compute_configuration(outcome),
        undo=tuple(f"remediator undo {change_id}" for change_id in _written(outcome)),
        resume=resume_command(outcome.role_name) if outcome.kind is OutcomeKind.CONFLICT else None,
        pause=_turn_off(outcome),
        findings=outcome.findings,
    )


def _notification_id(outcome: Outcome, reason: AlertReason) -> str:
    """Derived from findings, results and the events that led to them; not from the time or the incident."""
    parts = (
        *(outcome.account, outcome.role_name, outcome.kind, reason, outcome.hold or "", outcome.refusal or ""),
        *sorted(f"{finding.code} {finding.subject}" for finding in outcome.findings),
        *(f"{type(result).__name__} {result.change_id}" for result in outcome.results),
        *(f"{change.state} {change.change_id}" for change in outcome.recovered),
        *sorted(cause.event_id for cause in outcome.causes),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _severity(outcome: Outcome) -> Severity:
    if is_pending(outcome):
        return Severity.WARNING
    if outcome.kind is OutcomeKind.REFUSED and (outcome.in_place or outcome.may_have_written):
        return Severity.ERROR
    if outcome.kind is OutcomeKind.NOT_ENROLLED and outcome.role_arn is not None:
        return Severity.WARNING
    return _SEVERITIES.get(outcome.kind, Severity.INFO)


def _wrong(outcome: Outcome) -> Iterable[Point]:
    if outcome.why:
        yield (outcome.why,)
    for finding in outcome.findings:
        actions = f" ({', '.join(finding.actions)})" if finding.actions else ""
        yield f"{finding.subject}: {FINDING_TEXTS[finding.code].meaning}{actions}", *finding.because
    yield from ((note,) for note in outcome.notes)


def _changes(outcome: Outcome) -> Iterable[DocumentChange]:
    for recovered in (*outcome.in_place, *outcome.recovered):
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
    earlier = (*outcome.in_place, *outcome.recovered)
    yield from (change.change_id for change in earlier if change.state is ChangeState.COMPLETED)
    yield from (result.change_id for result in outcome.results if isinstance(result, Applied) and result.change_id)


def _compute_configuration(outcome: Outcome) -> str | None:
    """The compute configuration that names the instance profile, where a finding is about it; None elsewhere."""
    if outcome.role_arn is None or not any(finding.code in _PROFILE_CODES for finding in outcome.findings):
        return None
    return compute_configuration(outcome.instance_profile or own_instance_profile_arn(RoleArn.parse(outcome.role_arn)))


def _turn_off(outcome: Outcome) -> str | None:
    if outcome.role_arn is None or outcome.kind in _NOT_WRITTEN_TO:
        return None
    if any(finding.code is FindingCode.QUARANTINED for finding in outcome.findings):
        return None
    return mode_command(outcome.role_name, "off")
