"""Bring one role to its desired state: look, decide, apply, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from remediator.core.desired import desired_of
from remediator.core.diagnose import diagnose
from remediator.core.enrollment import Enrolled, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.event import FRESH, Cause, is_fresh
from remediator.core.finding import TRUST_SUBJECT, Finding, FindingCode, bucket_policy_subject
from remediator.core.observed import Observed
from remediator.core.outcome import Applied, NotApplied, Outcome, OutcomeKind, StepResult, Unconfirmed, conclude
from remediator.core.plan import (
    BucketPolicyStep,
    InlinePolicyStep,
    InstanceProfileStep,
    RepairPlan,
    Step,
    TrustStep,
    plan_repair,
)
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.state import Bucket, Role, Surroundings
from remediator.core.sweep import is_sweep
from remediator.errors import ChangedMeanwhile, NotFoundError, NotYetVisible, TransientError
from remediator.flows.apply import BucketStore, Changed, RoleStore, Writer
from remediator.settings import Cloud, GrantSide, InstanceProfileMode, Mode, Settings

TAG_LAG = timedelta(seconds=30)
"""How long a denied write is put down to a tag that IAM's authorisation does not know of yet."""

_ENROLLING = frozenset({"CreateRole", "TagRole"})

ATTEMPTS = 3
"""How often we look anew when a document changes between looking and writing."""


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
    buckets: BucketStore,
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
    calls = tuple(cause for cause in causes if not is_sweep(cause))  # that a sweep has come explains no contradiction
    fresh = any(is_fresh(cause, now) for cause in calls)
    tag_may_lag = any(is_fresh(cause, now, within=TAG_LAG) for cause in calls)
    run = _Run(role_name, causes, account, roles, buckets, settings, surroundings, now, pause, own, fresh, tag_may_lag)
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
    buckets: BucketStore
    settings: Settings
    surroundings: Surroundings
    now: datetime
    pause: Callable[[float], None]
    own: bool
    fresh: bool
    tag_may_lag: bool

    def to_the_end(self, progress: _Progress) -> Outcome:
        for _ in range(ATTEMPTS):
            try:
                outcome = self.attempt(progress)
            except (Changed, NotFoundError):
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
        desired = desired_of(enrollment.cloud)
        policies = self.roles.read_policies(role)
        buckets, unreached = self._read_buckets(enrollment.cloud)
        looks_at_profiles = desired.instance_profile is not InstanceProfileMode.IGNORE
        profiles = self.roles.read_instance_profiles(self.role_name) if looks_at_profiles else None
        observed = Observed(role, policies, buckets, profiles)
        findings = diagnose(observed, self.surroundings, desired)
        plan = plan_repair(observed, findings, desired)
        if unreached is not None:
            # What our policies should say depends on all buckets; trust and the instance profile do not.
            plan = RepairPlan(tuple(s for s in plan.steps if isinstance(s, (TrustStep, InstanceProfileStep))), ())
        proposed: tuple[Step, ...] = ()
        if enrollment.mode is Mode.OBSERVE or self.own:
            proposed = (*plan.steps, *plan.removals)
        else:
            self._apply(plan, observed, findings, enrollment, progress)
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

    def _apply(
        self,
        plan: RepairPlan,
        observed: Observed,
        findings: tuple[Finding, ...],
        enrollment: Enrolled,
        progress: _Progress,
    ) -> None:
        """Apply the steps one by one, and the removals once every step was seen to have taken effect."""
        created = observed.role.created
        writer = Writer(
            observed,
            self.roles,
            self.buckets,
            self.surroundings,
            is_enrolled_alike=lambda role: decide_enrollment(role, self.settings, account=self.account) == enrollment,
            pause=self.pause,
            tag_may_lag=self.tag_may_lag,
            role_may_lag=self.fresh or (created is not None and self.now - created < FRESH),
        )
        grant = enrollment.cloud.grant
        held = {withheld.finding for withheld in plan.withheld}
        findings = tuple(finding for finding in findings if finding not in held)
        complete = True
        for step in plan.steps:
            progress.results[_document_of(step)] = result = writer.apply(step)
            if not isinstance(result, NotApplied):
                progress.repaired.extend(finding for finding in findings if _is_repaired_by(finding, step, grant))
            complete = complete and isinstance(result, Applied)
        for removal in plan.removals if complete else ():
            # Under a name of its own: before the removal, a step may have been written to the same document.
            progress.results[f"removal from {_document_of(removal)}"] = result = writer.apply(removal, removal=True)
            if not isinstance(result, NotApplied):
                progress.repaired.extend(finding for finding in findings if _is_taken_back_by(finding, removal))

    def _read_buckets(self, cloud: Cloud) -> tuple[tuple[tuple[str, Reading[Bucket]], ...], TransientError | None]:
        """The buckets that could be reached, and the error of one that could not be reached for now."""
        reached: list[tuple[str, Reading[Bucket]]] = []
        unreached: TransientError | None = None
        for bucket in cloud.buckets:
            account = bucket.account or cloud.account or self.account
            try:
                reading = self.buckets.read_bucket(bucket.name, region=bucket.region, account=account, key=bucket.key)
            except TransientError as error:
                unreached = error
            else:
                reached.append((bucket.name, reading))
        return tuple(reached), unreached

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
    """What a step writes, in the words of a finding's subject."""
    match step:
        case TrustStep():
            return TRUST_SUBJECT
        case InlinePolicyStep(name=name):
            return f"inline policy {name}"
        case BucketPolicyStep(bucket=bucket):
            return bucket_policy_subject(bucket)
        case InstanceProfileStep(name=name):
            return f"instance profile {name}"
        case _ as never:
            assert_never(never)


def _is_repaired_by(finding: Finding, step: Step, grant: GrantSide) -> bool:
    """Whether a step repairs the finding, where missing grants are put on the side ``grant``."""
    match finding.code:
        case FindingCode.GRANT_MISSING if grant is GrantSide.BUCKET_POLICY:
            return isinstance(step, BucketPolicyStep) and step.bucket == finding.subject
        case FindingCode.GRANT_MISSING | FindingCode.KEY_MISSING:
            return isinstance(step, InlinePolicyStep)
        case FindingCode.TRUST_MISSING | FindingCode.GRANT_ALTERED | FindingCode.PROFILE_MISSING:
            return finding.subject == _document_of(step)
        case _:
            return False


def _is_taken_back_by(finding: Finding, removal: Step) -> bool:
    return finding.code is FindingCode.GRANT_LEFTOVER and finding.subject == _document_of(removal)
