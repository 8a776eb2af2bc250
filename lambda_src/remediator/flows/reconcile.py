"""Bring one role to its desired state: look, decide, re-read, write, read back, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, assert_never

from remediator.core.diagnose import Finding, FindingCode, Observed, diagnose
from remediator.core.enrollment import Enrolled, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.event import Cause, is_fresh
from remediator.core.outcome import Applied, NotApplied, Outcome, OutcomeKind, StepResult, Unconfirmed, conclude
from remediator.core.plan import InlinePolicyStep, Step, TrustStep, plan_repair
from remediator.core.policy.document import PolicyDocument, same_policy
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.state import Bucket, Role, RolePolicies, Surroundings
from remediator.core.trust import TrustVerdict, judge_trust
from remediator.errors import (
    AwsError,
    ChangedMeanwhile,
    DeniedError,
    NotFoundError,
    NotYetVisible,
    TransientError,
)
from remediator.settings import Cloud, Mode, Settings

TAG_LAG = timedelta(seconds=30)
"""How long a denied write is put down to a tag that IAM's authorisation does not know of yet."""

_ENROLLING = frozenset({"CreateRole", "TagRole"})

ATTEMPTS = 3
"""How often we look anew when a document changes between looking and writing."""

READ_BACK_PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each try to see a write: IAM is eventually consistent, and AWS gives no number.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""


class RoleStore(Protocol):
    """Where roles are read and repaired; the methods promise what ``gateways.iam.IamGateway`` promises."""

    def read_role(self, role_name: str) -> Reading[Role]:
        """The role with its tags and trust policy."""
        ...

    def read_policies(self, role: Role) -> RolePolicies:
        """All identity policies and the boundary."""
        ...

    def read_inline_policy(self, role_name: str, policy_name: str) -> Reading[PolicyDocument]:
        """One inline policy."""
        ...

    def write_trust(self, role_name: str, document: PolicyDocument) -> None:
        """Replace the trust policy."""
        ...

    def write_inline_policy(self, role_name: str, policy_name: str, document: PolicyDocument) -> None:
        """Create or replace an inline policy."""
        ...


class BucketReader(Protocol):
    """Where buckets are read."""

    def read_bucket(self, name: str, *, region: str, account: str) -> Reading[Bucket]:
        """The bucket with its policy, if ``account`` owns it."""
        ...


class _Changed(Exception):
    """What is there is not what the plan was made for."""


@dataclass(slots=True)
class _Progress:
    """What has been tried so far, over all attempts: the latest result for each document, and what it repaired."""

    results: dict[str, StepResult] = field(default_factory=dict)
    repaired: list[Finding] = field(default_factory=list)
    role: Role | None = None
    cloud: str | None = None

    @property
    def may_have_written(self) -> bool:
        return any(isinstance(result, (Applied, Unconfirmed)) for result in self.results.values())


def reconcile(
    role_name: str,
    causes: tuple[Cause, ...],
    *,
    account: str,
    roles: RoleStore,
    buckets: BucketReader,
    settings: Settings,
    own_role_arn: str,
    now: datetime,
    pause: Callable[[float], None],
) -> Outcome:
    """Reconcile one role of ``account`` and say what came of it; doing it again writes nothing.

    ``causes`` are the calls that made us look, oldest first. Where all of them are our own writes, nothing is written.
    ``own_role_arn`` is the ARN of the role that we run as, ``now`` the time (with its zone) at which conditions on
    the date are judged, and ``pause`` waits for some seconds.
    Raises TransientError, ChangedMeanwhile and NotYetVisible where looking again later can help and nothing was
    written; where something was, that is an outcome to be told, and ``to_be_retried`` asks for the other look.
    """
    own = bool(causes) and all(cause.actor.issuer_arn == own_role_arn for cause in causes)
    progress = _Progress()
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    surroundings = Surroundings(context={"aws:CurrentTime": (at,)})
    fresh = any(is_fresh(cause, now) for cause in causes)
    tag_may_lag = any(is_fresh(cause, now, within=TAG_LAG) for cause in causes)
    run = _Run(role_name, causes, account, roles, buckets, settings, surroundings, pause, own, fresh, tag_may_lag)
    try:
        return run.to_the_end(progress)
    except (TransientError, ChangedMeanwhile, NotYetVisible) as error:
        if not progress.may_have_written:
            raise
        # Something was written: that must be told now, because the next look will find it in order.
        return run.interrupted(progress, why=f"The rest is tried again within minutes: {error}")


@dataclass(frozen=True, slots=True)
class _Run:
    role_name: str
    causes: tuple[Cause, ...]
    account: str
    roles: RoleStore
    buckets: BucketReader
    settings: Settings
    surroundings: Surroundings
    pause: Callable[[float], None]
    own: bool
    fresh: bool
    tag_may_lag: bool

    def to_the_end(self, progress: _Progress) -> Outcome:
        for _ in range(ATTEMPTS):
            try:
                outcome = self.attempt(progress)
            except (_Changed, NotFoundError):
                continue
            if outcome.to_be_retried and not outcome.may_have_written:
                reasons = "; ".join(result.why for result in outcome.results if not isinstance(result, Applied))
                raise TransientError("repair", "to be retried", reasons)
            return outcome
        raise ChangedMeanwhile(f"role {self.role_name} changed {ATTEMPTS} times while it was about to be repaired")

    def attempt(self, progress: _Progress) -> Outcome:
        match self.roles.read_role(self.role_name):
            case Absent():
                return self._ended(progress, OutcomeKind.NOT_ENROLLED, why="the role does not exist (any more)")
            case Unreadable(why=why):
                return self._ended(progress, OutcomeKind.FAILED, why=f"the role could not be read: {why}")
            case Present(value=role):
                pass
        enrollment = decide_enrollment(role, self.settings, account=self.account)
        match enrollment:
            case NotEnrolled(why=why):
                if self.fresh and any(cause.call in _ENROLLING for cause in self.causes):
                    raise NotYetVisible(f"role {self.role_name} was enrolled a moment ago, and now it is not: {why}")
                return self._ended(progress, OutcomeKind.NOT_ENROLLED, role, why=why)
            case Off(why=why):
                return self._ended(progress, OutcomeKind.OFF, role, why=why)
            case Refused(why=why, cloud=cloud_name):
                return self._ended(progress, OutcomeKind.REFUSED, role, cloud=cloud_name, why=why)
            case Enrolled():
                return self._repair(role, enrollment, progress)
            case _ as never:
                assert_never(never)

    def _repair(self, role: Role, enrollment: Enrolled, progress: _Progress) -> Outcome:
        progress.role, progress.cloud = role, enrollment.cloud.name
        policies = self.roles.read_policies(role)
        buckets, unreached = self._read_buckets(enrollment.cloud)
        observed = Observed(role, policies, buckets)
        findings = diagnose(observed, self.surroundings)
        plan = plan_repair(observed, findings)
        # What our own policy should say depends on all buckets; trust does not.
        steps = tuple(step for step in plan.steps if unreached is None or isinstance(step, TrustStep))
        proposed: tuple[Step, ...] = ()
        if enrollment.mode is Mode.OBSERVE or self.own:
            proposed = steps
        else:
            for step in steps:
                progress.results[_document_of(step)] = result = self._apply(step, role, enrollment)
                if not isinstance(result, NotApplied):
                    progress.repaired.extend(finding for finding in findings if _is_repaired_by(finding, step))
        if unreached is not None:
            raise unreached
        all_findings = tuple(dict.fromkeys((*progress.repaired, *findings)))
        results = tuple(progress.results.values())
        return Outcome(
            kind=conclude(findings=all_findings, proposed=proposed, results=results, withheld=plan.withheld),
            account=self.account,
            role_name=self.role_name,
            causes=self.causes,
            role_arn=str(role.arn),
            cloud=enrollment.cloud.name,
            findings=all_findings,
            proposed=proposed,
            results=results,
            withheld=plan.withheld,
            notes=enrollment.notes,
            own=self.own,
        )

    def _read_buckets(self, cloud: Cloud) -> tuple[tuple[tuple[str, Reading[Bucket]], ...], TransientError | None]:
        """The buckets that could be reached, and the error of one that could not be reached for now."""
        reached: list[tuple[str, Reading[Bucket]]] = []
        unreached: TransientError | None = None
        for bucket in cloud.buckets:
            account = bucket.account or cloud.account or self.account
            try:
                reading = self.buckets.read_bucket(bucket.name, region=bucket.region, account=account)
            except TransientError as error:
                unreached = error
            else:
                reached.append((bucket.name, reading))
        return tuple(reached), unreached

    def _apply(self, step: Step, role: Role, enrollment: Enrolled) -> StepResult:
        """Write one step if everything is still as planned, and see that it took effect; raises _Changed otherwise."""
        now = self._still_as_planned(role, enrollment)
        match step:
            case TrustStep():
                if not isinstance(now.trust, Present) or not same_policy(now.trust.value, step.before):
                    raise _Changed
                write = partial(self.roles.write_trust, self.role_name, step.after)
                return self._write(step, write, self._is_trusted)
            case InlinePolicyStep():
                if not self._is_still(step):
                    raise _Changed
                write = partial(self.roles.write_inline_policy, self.role_name, step.name, step.after)
                return self._write(step, write, partial(self._is_written, step))
            case _ as never:
                assert_never(never)

    def _write(self, step: Step, write: Callable[[], None], is_in_effect: Callable[[], bool]) -> StepResult:
        lost: TransientError | None = None
        try:
            write()
        except TransientError as error:
            lost = error  # it may have taken effect all the same: an answer can be lost
        except DeniedError as error:
            # Our permission hangs on the enrolment tag, and IAM may not know of a fresh one yet.
            return NotApplied(step, str(error), retried=self.tag_may_lag)
        except NotFoundError:
            raise
        except AwsError as error:
            return NotApplied(step, str(error))
        try:
            if self._seen(is_in_effect, (0.0,) if lost else READ_BACK_PAUSES):
                return Applied(step)
        except TransientError as error:
            return Unconfirmed(step, f"Reading it back failed: {error}")
        if lost is not None:
            return NotApplied(step, str(lost), retried=True)
        return Unconfirmed(step, "Reading it back does not show it yet; or somebody has undone it at once.")

    def _still_as_planned(self, role: Role, enrollment: Enrolled) -> Role:
        """The role as it is just before a write: the same one, enrolled in the same way. Raises _Changed otherwise."""
        match self.roles.read_role(self.role_name):
            case Present(value=now) if (
                now.role_id == role.role_id
                and decide_enrollment(now, self.settings, account=self.account) == enrollment
            ):
                return now
            case _:
                raise _Changed

    def _is_trusted(self) -> bool:
        reading = self.roles.read_role(self.role_name)
        return isinstance(reading, Present) and judge_trust(reading.value, self.surroundings).verdict is TrustVerdict.OK

    def _is_still(self, step: InlinePolicyStep) -> bool:
        match self.roles.read_inline_policy(self.role_name, step.name):
            case Present(value=now):
                return step.before is not None and same_policy(now, step.before)
            case Absent():
                return step.before is None
            case Unreadable():
                return False
            case _ as never:
                assert_never(never)

    def _is_written(self, step: InlinePolicyStep) -> bool:
        reading = self.roles.read_inline_policy(self.role_name, step.name)
        return isinstance(reading, Present) and same_policy(reading.value, step.after)

    def _seen(self, look: Callable[[], bool], pauses: tuple[float, ...]) -> bool:
        for seconds in pauses:
            if seconds:
                self.pause(seconds)
            if look():
                return True
        return False

    def interrupted(self, progress: _Progress, *, why: str) -> Outcome:
        """The outcome of a reconcile that was cut short after something was, or may have been, written."""
        return replace(self._ended(progress, OutcomeKind.FAILED, why=why), kind=OutcomeKind.FAILED, again=True)

    def _ended(
        self, progress: _Progress, kind: OutcomeKind, role: Role | None = None, *, cloud: str | None = None, why: str
    ) -> Outcome:
        """The outcome for a role that is not ours to repair (any more); what was written before that is still told."""
        results = tuple(progress.results.values())
        known = role or progress.role
        return Outcome(
            kind=conclude(results=results) if results else kind,
            account=self.account,
            role_name=self.role_name,
            causes=self.causes,
            role_arn=None if known is None else str(known.arn),
            cloud=cloud or progress.cloud,
            why=why,
            findings=tuple(progress.repaired),
            results=results,
            own=self.own,
        )


def _document_of(step: Step) -> str:
    match step:
        case TrustStep():
            return "trust policy"
        case InlinePolicyStep(name=name):
            return f"inline policy {name}"
        case _ as never:
            assert_never(never)


def _is_repaired_by(finding: Finding, step: Step) -> bool:
    match step:
        case TrustStep():
            return finding.code is FindingCode.TRUST_MISSING
        case InlinePolicyStep():
            return finding.code in {FindingCode.GRANT_MISSING, FindingCode.GRANT_ALTERED}
        case _ as never:
            assert_never(never)
