"""Bring one role to its desired state: look, decide, re-read, write, read back, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, assert_never

from remediator.core.diagnose import Finding, FindingCode, Observed, diagnose
from remediator.core.enrollment import Enrolled, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.event import Cause
from remediator.core.outcome import Applied, NotApplied, Outcome, OutcomeKind, StepResult, conclude
from remediator.core.plan import InlinePolicyStep, Step, TrustStep, plan_repair
from remediator.core.policy.document import PolicyDocument, same_policy
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.state import Bucket, Role, RolePolicies, Surroundings
from remediator.core.trust import TrustVerdict, judge_trust
from remediator.errors import (
    AwsError,
    ChangedMeanwhile,
    NotFoundError,
    TransientError,
)
from remediator.settings import Cloud, Mode, Settings

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
    """What has been written so far, over all attempts, and the findings that led to it."""

    results: list[StepResult] = field(default_factory=list)
    repaired: list[Finding] = field(default_factory=list)


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
    Raises TransientError and ChangedMeanwhile where nothing was written and looking again later can help.
    """
    own = bool(causes) and all(cause.actor.issuer_arn == own_role_arn for cause in causes)
    progress = _Progress()
    surroundings = Surroundings(context={"aws:CurrentTime": (now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),)})
    run = _Run(role_name, causes, account, roles, buckets, settings, surroundings, pause, own)
    for _ in range(ATTEMPTS):
        try:
            outcome = run.attempt(progress)
        except (_Changed, NotFoundError):
            continue
        if outcome.to_be_retried and not outcome.applied:
            raise TransientError(
                "repair", "to be retried", "; ".join(r.why for r in outcome.results if isinstance(r, NotApplied))
            )
        return outcome
    raise ChangedMeanwhile(f"role {role_name} changed {ATTEMPTS} times while it was about to be repaired")


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
        observed = Observed(role, self.roles.read_policies(role), self._read_buckets(enrollment.cloud))
        findings = diagnose(observed, self.surroundings)
        plan = plan_repair(observed, findings)
        proposed: tuple[Step, ...] = ()
        if enrollment.mode is Mode.OBSERVE or self.own:
            proposed = plan.steps
        else:
            for step in plan.steps:
                result = self._apply(step, role, enrollment)
                progress.results.append(result)
                if isinstance(result, Applied):
                    progress.repaired.extend(finding for finding in findings if _is_repaired_by(finding, step))
        all_findings = tuple(dict.fromkeys((*progress.repaired, *findings)))
        results = tuple(progress.results)
        kind = conclude(findings=all_findings, proposed=proposed, results=results, withheld=plan.withheld)
        return Outcome(
            kind=kind,
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

    def _read_buckets(self, cloud: Cloud) -> tuple[tuple[str, Reading[Bucket]], ...]:
        return tuple(
            (
                bucket.name,
                self.buckets.read_bucket(
                    bucket.name, region=bucket.region, account=bucket.account or cloud.account or self.account
                ),
            )
            for bucket in cloud.buckets
        )

    def _apply(self, step: Step, role: Role, enrollment: Enrolled) -> StepResult:
        try:
            match step:
                case TrustStep():
                    seen = self._apply_trust(step, role, enrollment)
                case InlinePolicyStep():
                    seen = self._apply_inline_policy(step)
                case _ as never:
                    assert_never(never)
        except TransientError as error:
            return NotApplied(step, str(error), retried=True)
        except NotFoundError:
            raise
        except AwsError as error:
            return NotApplied(step, str(error))
        if not seen:
            return NotApplied(step, "It was written, but reading it back does not show it.", retried=True)
        return Applied(step)

    def _apply_trust(self, step: TrustStep, role: Role, enrollment: Enrolled) -> bool:
        match self.roles.read_role(self.role_name):
            case Present(value=now) if (
                now.role_id == role.role_id
                and isinstance(now.trust, Present)
                and same_policy(now.trust.value, step.before)
                and decide_enrollment(now, self.settings, account=self.account) == enrollment
            ):
                pass
            case _:
                raise _Changed
        self.roles.write_trust(self.role_name, step.after)
        return self._seen(self._is_trusted)

    def _is_trusted(self) -> bool:
        reading = self.roles.read_role(self.role_name)
        return isinstance(reading, Present) and judge_trust(reading.value, self.surroundings).verdict is TrustVerdict.OK

    def _apply_inline_policy(self, step: InlinePolicyStep) -> bool:
        match self.roles.read_inline_policy(self.role_name, step.name):
            case Present(value=now) if step.before is not None and same_policy(now, step.before):
                pass
            case Absent() if step.before is None:
                pass
            case _:
                raise _Changed
        self.roles.write_inline_policy(self.role_name, step.name, step.after)
        return self._seen(lambda: self._is_written(step))

    def _is_written(self, step: InlinePolicyStep) -> bool:
        reading = self.roles.read_inline_policy(self.role_name, step.name)
        return isinstance(reading, Present) and same_policy(reading.value, step.after)

    def _seen(self, look: Callable[[], bool]) -> bool:
        for seconds in READ_BACK_PAUSES:
            if seconds:
                self.pause(seconds)
            if look():
                return True
        return False

    def _ended(
        self, progress: _Progress, kind: OutcomeKind, role: Role | None = None, *, cloud: str | None = None, why: str
    ) -> Outcome:
        """The outcome for a role that is not ours to repair (any more); what was written before that is still told."""
        results = tuple(progress.results)
        return Outcome(
            kind=conclude(results=results) if results else kind,
            account=self.account,
            role_name=self.role_name,
            causes=self.causes,
            role_arn=None if role is None else str(role.arn),
            cloud=cloud,
            why=why,
            findings=tuple(progress.repaired),
            results=results,
            own=self.own,
        )


def _is_repaired_by(finding: Finding, step: Step) -> bool:
    match step:
        case TrustStep():
            return finding.code is FindingCode.TRUST_MISSING
        case InlinePolicyStep():
            return finding.code in {FindingCode.GRANT_MISSING, FindingCode.GRANT_ALTERED}
        case _ as never:
            assert_never(never)
