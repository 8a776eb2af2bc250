"""What came of one reconcile: the record that is logged, counted and told to people."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias, assert_never

from remediator.core.events.event import Cause
from remediator.core.events.request import ReconcileRequest
from remediator.core.history.change import Change, ChangeState
from remediator.core.history.role_record import Conflict, RoleRecord
from remediator.core.model.finding import REPAIRABLE, BlockedRepair, Finding
from remediator.core.model.write import Write


class OutcomeKind(StrEnum):
    """One word for what came of it."""

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
    """Why nothing is written although something could be."""

    OBSERVE = "observe"
    """The mode of the cloud or of the role says so."""
    PAUSED = "paused"
    """Somebody has paused all writes, or those for the cloud."""
    CAPPED = "capped"
    """As many writes as the configuration allows were made within this window."""


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
"""The outcomes that a person should know of; the others only stand in the log."""


@dataclass(frozen=True, slots=True)
class Applied:
    """It was written, and reading it back showed that it does what it was written for.

    ``change_id`` is the id of its record in the history, here and in the other results.
    """

    write: Write
    change_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """It was, or may have been, written, but its effect could not be seen yet; it is looked at again."""

    write: Write
    why: str
    change_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NotApplied:
    """It was not written; ``why`` is what AWS answered. ``retried``: trying again later can help.

    ``is_lost``: no answer came, and the write was not seen to take effect either, which it may still do.
    """

    write: Write
    why: str
    retried: bool = False
    is_lost: bool = False
    change_id: str = field(default="", compare=False)


WriteResult: TypeAlias = Applied | Unconfirmed | NotApplied


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of reconciling one role.

    ``role_arn`` is None where the role could not be read. ``cloud`` is None where it is unknown. ``results`` are the
    writes that were tried, ``proposed`` those that were not, and ``hold`` why, if not because only we
    ourselves made us look. ``refusal`` is the word for a refusal, ``contest`` the contest that keeps us from writing.
    ``settled`` are earlier changes that were interrupted, with what became of them. ``causes`` are the calls that made
    us look, oldest first; ``own`` says that all of them were our own writes. ``notes`` are further sentences for a
    person. ``again`` says that the request must go back to the queue, because not everything could be done or seen, and
    ``is_last`` that nobody tries any longer.
    ``untold`` are the ids of changes that stay open until people were told of them.
    ``instance_profile`` is the ARN of the one that a compute configuration can name, None where none was looked at.
    ``remembered`` is what was remembered of the role before, and ``memory`` what is now, except for what people are
    told; both are None where the history was not reached.
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
        """The findings that no write of ours repairs."""
        held = {blocked.finding for blocked in self.blocked}
        return tuple(finding for finding in self.findings if finding.code not in REPAIRABLE or finding in held)

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
        """Whether anything was written, or may have been, so that people must be told whatever comes next.

        A change that was interrupted counts as well: whoever was interrupted has told nobody of it.
        """
        return any(isinstance(result, (Applied, Unconfirmed)) for result in self.results) or any(
            change.may_have_taken_effect for change in self.recovered
        )


def is_retried(result: WriteResult) -> bool:
    """Whether looking again later can turn the result into a better one."""
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

    A failed write comes before findings for a person, those before a repair, and a repair before a proposal. A change
    that was interrupted is a repair if it was made after all, and for a person if nobody can say so, unless all that it
    was for is repaired now.
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
    """What would be tried again, where that was the last try: nothing ends by itself any more."""
    why = "This was the last try, and the request now lies in the dead-letter queue."
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
    """The outcome of a request about a role that could not even be looked at, when nobody tries any longer."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        account=request.account,
        role_name=request.role_name,
        causes=(request.cause,),
        why=f"Every try failed, and the request now lies in the dead-letter queue. The last time: {why}",
    )
