"""What an operator has to do, chosen by what prevents the repair; each step can be carried out as it is written."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.core.alerts.notification import Point
from remediator.core.events.event import utc_minute
from remediator.core.history.change import Change, ChangeState
from remediator.core.history.conflict import mode_command, resume_command
from remediator.core.history.role_record import Conflict
from remediator.core.model.finding import BlockedRepair, Finding, FindingCode
from remediator.core.model.own_names import TRUST_SID
from remediator.core.model.write import DocumentKind
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator.core.repair.outcome import Hold, NotApplied, Outcome, OutcomeKind, is_retried
from remediator.core.repair.write_blockers import QUOTA_REMEDIES
from remediator.errors import DeniedError, QuotaError, RejectedError, TransientError
from remediator.settings import MODE_TAG, Mode

_HOLD_STEPS = {
    Hold.OBSERVE: "Make the changes below. Or let the remediator repair it: set the mode of the cloud to `repair` and "
    f"remove the role's tag {MODE_TAG}, if it has one.",
    Hold.PAUSED: "Make the changes below. Or let the remediator repair it: run `remediator resume`.",
    Hold.CAPPED: "Find the cause with `remediator history`, which names the caller of each repair. The next scheduled "
    "sweep after the window repairs the rest.",
}


def next_steps(outcome: Outcome) -> Iterable[Point]:
    """The steps, the most important first; each may be followed by sentences that explain it."""
    if outcome.conflict is not None:
        yield _decide(outcome.role_name, outcome.conflict)
    if outcome.in_place:
        yield (
            f"Remove the statement {TRUST_SID} from the trust policy: run the undo command below.",
            "The role was refused after the repair, so EC2 trust on it is no longer wanted.",
        )
    yield from _for_findings(outcome)
    failed = (result for result in outcome.results if isinstance(result, NotApplied))
    yield from (_for_failed_write(result, outcome.role_name) for result in failed)
    yield from _for_interrupted(outcome.recovered)
    if outcome.kind is OutcomeKind.WOULD_REPAIR and outcome.hold is not None:
        yield (_HOLD_STEPS[outcome.hold],)
    if outcome.kind is OutcomeKind.REFUSED and not outcome.in_place:
        yield ("Correct the role, its tags or the remediator's configuration as named above, or remove the tag.",)
    if outcome.kind is OutcomeKind.NOT_ENROLLED and outcome.role_arn is not None:
        yield (f"If this was not intended, enroll the role again: remediator enroll {outcome.role_name} CLOUD",)
    if outcome.kind is OutcomeKind.OFF:
        yield (f"To have it repaired, turn remediation on: {mode_command(outcome.role_name, Mode.REPAIR)}",)
    if outcome.kind is OutcomeKind.FAILED and (outcome.is_last or not (outcome.results or outcome.again)):
        yield (
            f"Retry now: remediator apply {outcome.role_name}",
            "If the call was denied, allow it to the remediator's role first.",
            "If AWS failed to answer, check AWS Health. The next scheduled sweep retries.",
        )


def _for_findings(outcome: Outcome) -> Iterable[Point]:
    if any(finding.code is FindingCode.QUARANTINED for finding in outcome.findings):
        yield from ((_advice(each),) for each in outcome.findings if each.code is FindingCode.QUARANTINED)
        return  # nothing else is repaired before, nor has to be
    for blocked in outcome.blocked:
        yield from _for_blocked(blocked)
    of_blocked = {blocked.finding for blocked in outcome.blocked}
    yield from ((_advice(finding),) for finding in outcome.manual_findings if finding not in of_blocked)


def _for_blocked(blocked: BlockedRepair) -> Iterable[Point]:
    """The remedy for what blocks the write. That of the finding would not help where the write is impossible."""
    subject, reasons = blocked.finding.subject, tuple(f"Not repaired: {reason}" for reason in blocked.because)
    if not blocked.to_do:
        yield _advice(blocked.finding), *reasons
        return
    first, *others = blocked.to_do
    yield f"{subject}: {first}", *reasons
    yield from ((f"{subject}: {other}",) for other in others)


def _advice(finding: Finding) -> str:
    return f"{finding.subject}: {FINDING_TEXTS[finding.code].to_do}"


def _decide(role_name: str, conflict: Conflict) -> Point:
    undoing = conflict.actors or ("an unknown principal; no event named one",)
    resume = f"then let the remediator repair the role: {resume_command(role_name)}"
    return (
        f"If the change is not intended, correct the code below, {resume}",
        "If it is intended, turn remediation off for this role with the command below.",
        f"Without a decision, automatic repair resumes at {utc_minute(conflict.until)}.",
        *(f"Undone by {actor}" for actor in undoing),
    )


def _for_failed_write(failed: NotApplied, role_name: str) -> Point:
    document = str(failed.write.document)
    if is_retried(failed):
        return f"{document}: No action needed yet; it is retried within minutes.", failed.why
    again = f"Then run `remediator apply {role_name}`, or wait for the next scheduled sweep."
    match failed.error:
        case QuotaError():
            remedy = QUOTA_REMEDIES[failed.write.document.kind]
        case DeniedError() if failed.write.document.kind is DocumentKind.BUCKET_POLICY:
            remedy = "Allow the call in the bucket policy and in every service control policy that denies it."
        case DeniedError():
            remedy = "Find the service control policy or boundary that denies the call to the remediator's role."
        case RejectedError():
            remedy = "Remove from the document what AWS rejects, for example a principal that no longer exists."
        case TransientError():
            remedy = "AWS did not answer. Check AWS Health for this service."
        case _:
            remedy = "Make the change below yourself, or resolve the error."
    return f"{document}: {remedy} {again}", failed.why


def _for_interrupted(recovered: Iterable[Change]) -> Iterable[Point]:
    for change in recovered:
        if change.state is ChangeState.SUPERSEDED:
            yield (f"{change.document}: Check whether the intended change below is still needed, and apply it if so.",)
        if change.state is ChangeState.UNKNOWN:
            yield (f"{change.document}: Check in CloudTrail whether the change below was in effect for a time.",)
