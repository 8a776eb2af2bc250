"""The outcome of one reconcile: the record that is logged, counted and reported."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias, assert_never

from remediator.core.events.event import Cause
from remediator.core.events.request import ReconcileRequest
from remediator.core.history.change import Change, ChangeState
from remediator.core.history.role_record import Conflict, RoleRecord
from remediator.core.model.finding import REPAIRABLE, BlockedRepair, Finding, FindingCode
from remediator.core.model.write import Write
from remediator.errors import AwsError


class OutcomeKind(StrEnum):
    """One word for the outcome."""

    NOT_ENROLLED = "not-enrolled"
    OFF = "off"
    CLEAN = "clean"
    REFUSED = "refused"
    WOULD_REPAIR = "would-repair"
    REPAIRED = "repaired"
    CONFLICT = "contested"
    MANUAL_ACTION = "needs-person"
    FAILED = "failed"


class Hold(StrEnum):
    """Why a repair that is possible is on hold."""

    OBSERVE = "observe"
    """The mode of the cloud or of the role is observe."""
    PAUSED = "paused"
    """An operator has paused all writes, or those of the cloud."""
    CAPPED = "capped"
    """The write limit of this window is reached."""


ALERTED = frozenset(
    {
        OutcomeKind.REFUSED,
        OutcomeKind.WOULD_REPAIR,
        OutcomeKind.REPAIRED,
        OutcomeKind.CONFLICT,
        OutcomeKind.MANUAL_ACTION,
        OutcomeKind.FAILED,
    }
)
"""The outcomes that are alerted; the others are logged only, unless they resolve an incident."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The document was written, and reading it back confirmed the effect.

    ``change_id`` is the id of its record in the history, here and in the other results.
    """

    write: Write
    change_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The document was, or may have been, written, but its effect is not visible yet. It is read again."""

    write: Write
    why: str
    change_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NotApplied:
    """The document was not written; ``why`` is the reason, ``error`` that of AWS where there is one.

    ``retried``: a later try can succeed. ``is_lost``: AWS did not answer, and the write is not visible; it may still
    take effect.
    """

    write: Write
    why: str
    retried: bool = False
    is_lost: bool = False
    change_id: str = field(default="", compare=False)
    error: AwsError | None = field(default=None, compare=False)


WriteResult: TypeAlias = Applied | Unconfirmed | NotApplied


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of reconciling one role.

    ``role_arn`` is None where the role could not be read, ``cloud`` where it is unknown. ``causes`` are the calls that
    triggered the reconcile, oldest first; ``own`` says that all of them were the remediator's own writes.

    ``results`` are the writes that were tried. ``proposed`` are those that were not, and ``hold`` is the reason, unless
    only own writes triggered the reconcile. ``refusal`` is the word for a refusal, ``conflict`` the conflict that stops
    writes. ``in_place`` are earlier trust repairs that are still in a refused role. ``recovered`` are earlier changes
    that were interrupted, with their result. ``notes`` are further sentences for an operator.

    ``again``: the request must go back to the queue, because not everything could be done or read. ``is_last``: it is
    not retried any more. ``unreported`` are the ids of changes that stay open until they are reported.
    ``instance_profile`` is the ARN for a compute configuration, None where none was read. ``stored_record`` is the role
    record as it was read, ``role_record`` as it is now except for alerts; both are None where the history was not read.
    """

    kind: OutcomeKind
    account: str
    role_name: str
    causes: tuple[Cause, ...]
    role_arn: str | None = None
    cloud: str | None = None
    why: str = ""
    findings: tuple[Finding, ...] = ()
    proposed: tuple[Write, ...] = ()
    results: tuple[WriteResult, ...] = ()
    blocked: tuple[BlockedRepair, ...] = ()
    notes: tuple[str, ...] = ()
    own: bool = False
    again: bool = False
    is_last: bool = False
    refusal: str | None = None
    hold: Hold | None = None
    conflict: Conflict | None = None
    in_place: tuple[Change, ...] = ()
    recovered: tuple[Change, ...] = ()
    instance_profile: str | None = None
    unreported: tuple[str, ...] = field(default=(), compare=False)
    stored_record: RoleRecord | None = field(default=None, compare=False)
    role_record: RoleRecord | None = field(default=None, compare=False)

    @property
    def writes(self) -> tuple[Write, ...]:
        """All writes of the plan, tried or only proposed."""
        return (*self.proposed, *(result.write for result in self.results))

    @property
    def manual_findings(self) -> tuple[Finding, ...]:
        """The findings that no write of the remediator repairs."""
        blocked = {each.finding for each in self.blocked}
        return tuple(finding for finding in self.findings if finding.code not in REPAIRABLE or finding in blocked)

    @property
    def worst_first(self) -> tuple[Finding, ...]:
        """The findings: a quarantine first, then what requires manual action, then what can be repaired."""
        quarantine = (finding for finding in self.findings if finding.code is FindingCode.QUARANTINED)
        return tuple(dict.fromkeys((*quarantine, *self.manual_findings, *self.findings)))

    @property
    def applied(self) -> tuple[Write, ...]:
        """The documents that were written and read back."""
        return tuple(result.write for result in self.results if isinstance(result, Applied))

    @property
    def to_be_retried(self) -> bool:
        """Whether the request must go back to the queue, where it is tried again."""
        return not self.is_last and (self.again or any(is_retried(result) for result in self.results))

    @property
    def may_have_written(self) -> bool:
        """Whether anything was, or may have been, written, so that the outcome must be alerted.

        An interrupted change counts as well: the reconcile that made it has alerted no one.
        """
        return any(isinstance(result, (Applied, Unconfirmed)) for result in self.results) or any(
            change.may_have_taken_effect for change in self.recovered
        )


def is_retried(result: WriteResult) -> bool:
    """Whether a later reconcile can turn the result into a better one."""
    match result:
        case Applied():
            return False
        case Unconfirmed():
            return True
        case NotApplied(retried=retried):
            return retried
        case _ as never:
            assert_never(never)


def conclude(
    *,
    findings: tuple[Finding, ...] = (),
    proposed: tuple[Write, ...] = (),
    results: tuple[WriteResult, ...] = (),
    blocked: tuple[BlockedRepair, ...] = (),
    recovered: tuple[Change, ...] = (),
) -> OutcomeKind:
    """The one word for a reconcile that ran to its end, the most urgent first.

    A failed write comes before manual action, that before a repair, and a repair before a proposal. An interrupted
    change is a repair if it was made after all. It requires manual action if its result is unknown, unless everything
    that it was for is repaired now.
    """
    if any(not isinstance(result, Applied) for result in results):
        return OutcomeKind.FAILED
    if blocked or any(finding.code not in REPAIRABLE for finding in findings):
        return OutcomeKind.MANUAL_ACTION
    if proposed:
        return OutcomeKind.WOULD_REPAIR
    if any(change.state is ChangeState.SUPERSEDED for change in recovered):
        return OutcomeKind.MANUAL_ACTION
    states = {change.state for change in recovered}
    if results or states & {ChangeState.COMPLETED, ChangeState.UNCONFIRMED}:
        return OutcomeKind.REPAIRED
    return OutcomeKind.MANUAL_ACTION if findings or ChangeState.UNKNOWN in states else OutcomeKind.CLEAN


def after_the_last_try(outcome: Outcome) -> Outcome:
    """The outcome of a last try: nothing is retried any more."""
    why = "All tries are used up; the request is in the dead-letter queue."
    return replace(
        outcome,
        kind=OutcomeKind.FAILED,
        is_last=True,
        why=f"{why} {outcome.why}" if outcome.why else why,
        results=tuple(
            replace(result, retried=False) if isinstance(result, NotApplied) else result for result in outcome.results
        ),
    )


def gave_up(request: ReconcileRequest, why: str) -> Outcome:
    """The outcome of a request about a role that could not even be read, after the last try."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        account=request.account,
        role_name=request.role_name,
        causes=(request.cause,),
        why=f"All tries failed; the request is in the dead-letter queue. Last error: {why}",
    )
