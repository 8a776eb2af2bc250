"""What came of one reconcile: the record that is logged, counted and told to people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, assert_never

from remediator.core.event import Cause
from remediator.core.finding import REPAIRABLE, Finding
from remediator.core.plan import Step, Withheld
from remediator.core.request import ReconcileRequest


class OutcomeKind(StrEnum):
    """One word for what came of it."""

    NOT_ENROLLED = "not-enrolled"
    OFF = "off"
    CLEAN = "clean"
    REFUSED = "refused"
    WOULD_REPAIR = "would-repair"
    REPAIRED = "repaired"
    NEEDS_PERSON = "needs-person"
    FAILED = "failed"


TOLD = frozenset(
    {
        OutcomeKind.REFUSED,
        OutcomeKind.WOULD_REPAIR,
        OutcomeKind.REPAIRED,
        OutcomeKind.NEEDS_PERSON,
        OutcomeKind.FAILED,
    }
)
"""The outcomes that a person should know of; the others only stand in the log."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The step was written, and reading it back showed that it does what it was written for."""

    step: Step


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The step was, or may have been, written, but its effect could not be seen yet; it is looked at again."""

    step: Step
    why: str


@dataclass(frozen=True, slots=True)
class NotApplied:
    """The step was not written; ``why`` is what AWS answered. ``retried``: trying again later can help."""

    step: Step
    why: str
    retried: bool = False


StepResult: TypeAlias = Applied | Unconfirmed | NotApplied


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of reconciling one role.

    ``role_arn`` is None where the role could not be read. ``cloud`` is None where it is unknown. ``results`` are the
    steps that were tried, ``proposed`` the steps that observe mode left undone. ``causes`` are the calls that made us
    look, oldest first; ``own`` says that all of them were our own writes. ``notes`` are further sentences for a person.
    ``again`` says that the request must go back to the queue, because not everything could be done or seen.
    """

    kind: OutcomeKind
    account: str
    role_name: str
    causes: tuple[Cause, ...]
    role_arn: str | None = None
    cloud: str | None = None
    why: str = ""
    findings: tuple[Finding, ...] = ()
    proposed: tuple[Step, ...] = ()
    results: tuple[StepResult, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    notes: tuple[str, ...] = ()
    own: bool = False
    again: bool = False

    @property
    def is_told(self) -> bool:
        """Whether people are told. What our own write left over was told when it was written."""
        return self.kind in TOLD and not self.own

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of the plan, tried or only proposed."""
        return (*self.proposed, *(result.step for result in self.results))

    @property
    def for_a_person(self) -> tuple[Finding, ...]:
        """The findings that no write of ours repairs."""
        held = {withheld.finding for withheld in self.withheld}
        return tuple(finding for finding in self.findings if finding.code not in REPAIRABLE or finding in held)

    @property
    def applied(self) -> tuple[Step, ...]:
        """The steps that were written and seen."""
        return tuple(result.step for result in self.results if isinstance(result, Applied))

    @property
    def to_be_retried(self) -> bool:
        """Whether the request must go back to the queue."""
        return self.again or any(is_retried(result) for result in self.results)

    @property
    def may_have_written(self) -> bool:
        """Whether anything was written, or may have been, so that people must be told whatever comes next."""
        return any(isinstance(result, (Applied, Unconfirmed)) for result in self.results)


def is_retried(result: StepResult) -> bool:
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
    proposed: tuple[Step, ...] = (),
    results: tuple[StepResult, ...] = (),
    withheld: tuple[Withheld, ...] = (),
) -> OutcomeKind:
    """The one word for a reconcile that ran to its end, the most urgent first.

    A failed write comes before findings for a person, those before a repair, and a repair before a proposal.
    """
    if any(not isinstance(result, Applied) for result in results):
        return OutcomeKind.FAILED
    if withheld or any(finding.code not in REPAIRABLE for finding in findings):
        return OutcomeKind.NEEDS_PERSON
    if results:
        return OutcomeKind.REPAIRED
    if proposed:
        return OutcomeKind.WOULD_REPAIR
    return OutcomeKind.NEEDS_PERSON if findings else OutcomeKind.CLEAN


def gave_up(request: ReconcileRequest, why: str) -> Outcome:
    """The outcome of a request that kept failing until nobody tries any longer."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        account=request.account,
        role_name=request.role_name,
        causes=(request.cause,),
        why=f"Every try failed, and the request now lies in the dead-letter queue. The last time: {why}",
    )
