"""Bring one role to its desired state: look, decide, apply, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from remediator import __version__
from remediator.core.enrollment.approval import decide_approval
from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.enrollment.privilege import refuse_by_policies
from remediator.core.events.event import APPLY_CALL, FRESH, Cause, is_fresh
from remediator.core.events.sweep import is_sweep
from remediator.core.history.change import Change, ChangeKind, document_of
from remediator.core.history.conflict import after_a_word, contested_by, counted, counted_since
from remediator.core.history.pause import Pause
from remediator.core.history.role_record import Contest, RoleMemory
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.role import Role
from remediator.core.model.step import BucketPolicyStep, InlinePolicyStep, InstanceProfileStep, Step, TrustStep
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import desired_of
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.instance_profile import usable_instance_profile
from remediator.core.repair.outcome import (
    Applied,
    Hold,
    NotApplied,
    Outcome,
    OutcomeKind,
    StepResult,
    Unconfirmed,
    conclude,
)
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.errors import (
    AwsError,
    ChangedMeanwhile,
    Misrouted,
    NotFoundError,
    NotYetVisible,
    TransientError,
    WritesCapped,
)
from remediator.flows.apply import BucketStore, Changed, RoleStore, Writer
from remediator.flows.history import History, Recorder
from remediator.flows.settle import settle
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
    settled: tuple[Change, ...] = ()
    untold: list[str] = field(default_factory=list)
    remembered: RoleMemory | None = None
    memory: RoleMemory | None = None
    hold: Hold | None = None
    again: bool = False

    @property
    def told(self) -> tuple[str, ...]:
        """The ids of the changes that the outcome tells of, and that are closed then.

        One whose document was written once more in a later attempt is not among them; the next look tells of it.
        """
        shown = {result.change_id for result in self.results.values()} | {change.change_id for change in self.settled}
        return tuple(change_id for change_id in self.untold if change_id in shown)

    @property
    def may_have_written(self) -> bool:
        return any(isinstance(result, (Applied, Unconfirmed)) for result in self.results.values()) or any(
            change.may_have_taken_effect for change in self.settled
        )


def reconcile(
    role_name: str,
    causes: tuple[Cause, ...],
    *,
    account: str,
    group: str | None,
    roles: RoleStore,
    buckets: BucketStore,
    history: History,
    settings: Settings,
    own_role_arn: str,
    own_roles: frozenset[str],
    paused: Pause,
    now: datetime,
    clock: Callable[[], datetime],
    pause: Callable[[float], None],
    on_trouble: Callable[[str, AwsError], None],
) -> Outcome:
    """Reconcile one role of ``account`` and say what came of it; doing it again writes nothing.

    ``causes`` are the calls that made us look, oldest first. Where all of them are our own writes, nothing is written.
    ``group`` is the bucket of the request, whose group makes us the only writer of what the repair may write.
    ``own_role_arn`` is the ARN of the role that we run as, and ``own_roles`` are the ARNs of all roles of the
    remediator. ``paused`` says what must not be written now. ``now`` is the time (with its zone) at which conditions on
    the date are judged, ``clock`` gives the time of each record, and ``pause`` waits for some seconds. ``on_trouble``
    is told of a change whose conclusion could not be recorded.
    Raises TransientError, ChangedMeanwhile and NotYetVisible where looking again later can help and nothing was
    written; where something was, that is an outcome to be told, and ``to_be_retried`` asks for the other look. Raises
    Misrouted where others may write the same documents at the same time, and MalformedRecord, and any AwsError, where
    what is remembered of the role cannot be read: nothing is written then.
    """
    own = bool(causes) and all(cause.actor.issuer_arn == own_role_arn for cause in causes)
    progress = _Progress()
    surroundings = EvaluationContext.at(now)
    calls = tuple(cause for cause in causes if not is_sweep(cause))  # that a sweep has come explains no contradiction
    run = _Run(
        role_name=role_name,
        causes=causes,
        account=account,
        group=group,
        roles=roles,
        buckets=buckets,
        history=history,
        settings=settings,
        surroundings=surroundings,
        own_role_arn=own_role_arn,
        own_roles=own_roles,
        paused=paused,
        now=now,
        clock=clock,
        pause=pause,
        on_trouble=on_trouble,
        own=own,
        fresh=any(is_fresh(cause, now) for cause in calls),
        tag_may_lag=any(is_fresh(cause, now, within=TAG_LAG) for cause in calls),
    )
    try:
        return run.to_the_end(progress)
    except (TransientError, ChangedMeanwhile, Misrouted, NotYetVisible) as error:
        if not progress.may_have_written:
            raise
        # Something was written: that must be told now, because the next look will find it in order.
        return run.interrupted(progress, why=f"The rest is tried again within minutes: {error}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    role_name: str
    causes: tuple[Cause, ...]
    account: str
    group: str | None
    roles: RoleStore
    buckets: BucketStore
    history: History
    settings: Settings
    surroundings: EvaluationContext
    own_role_arn: str
    own_roles: frozenset[str]
    paused: Pause
    now: datetime
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    on_trouble: Callable[[str, AwsError], None]
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
        reading = self.roles.read_role(self.role_name)
        enrollment = self._enrollment(reading.value) if isinstance(reading, Present) else None
        if isinstance(enrollment, Enrolled):
            self._must_be_in_its_group(enrollment.cloud)
        self._remember(reading, progress)
        match reading:
            case Absent():
                return self._ended(progress, OutcomeKind.NOT_ENROLLED, why="the role does not exist (any more)")
            case Unreadable(why=why):
                return self._ended(progress, OutcomeKind.FAILED, why=f"the role could not be read: {why}")
            case Present(value=role):
                pass
        assert enrollment is not None  # noqa: S101 - the role is present
        match enrollment:
            case NotEnrolled(why=why):
                if self.fresh and any(cause.call in _ENROLLING for cause in self.causes):
                    raise NotYetVisible(f"role {self.role_name} was enrolled a moment ago, and now it is not: {why}")
                assert progress.memory is not None  # noqa: S101 - it was read before the role was looked at
                progress.memory = replace(progress.memory, approval=None)
                return self._ended(progress, OutcomeKind.NOT_ENROLLED, role, why=why)
            case Off(why=why):
                return self._ended(progress, OutcomeKind.OFF, role, why=why)
            case Refused():
                return self._refused(progress, role, enrollment)
            case Enrolled():
                return self._repair(role, enrollment, progress)
            case _ as never:
                assert_never(never)

    def _enrollment(self, role: Role) -> NotEnrolled | Off | Refused | Enrolled:
        return decide_enrollment(role, self.settings, account=self.account, own_roles=self.own_roles)

    def _must_be_in_its_group(self, cloud: Cloud) -> None:
        bucket = self.settings.shared_bucket(cloud)
        if bucket != self.group:
            why = f"the request for role {self.role_name} is not in the group that owns what cloud {cloud.name} writes"
            raise Misrouted(why, bucket)

    def _remember(self, reading: Reading[Role], progress: _Progress) -> None:
        """Read what is remembered of the role, once, and settle what an earlier reconcile was interrupted in."""
        if progress.remembered is None:
            progress.remembered = self.history.read_memory(self.role_name)
            progress.memory = progress.remembered
            if not isinstance(reading, Unreadable):
                settled = settle(
                    progress.remembered.open_changes,
                    reading.value if isinstance(reading, Present) else None,
                    history=self.history,
                    roles=self.roles,
                    buckets=self.buckets,
                    now=self.now,
                    by_hand=any(cause.call == APPLY_CALL for cause in self.causes),
                )
                # Whoever undoes something knows of it.
                progress.settled = tuple(change for change in settled if change.kind is not ChangeKind.UNDO)
                progress.untold.extend(change.change_id for change in progress.settled if change.may_have_taken_effect)
        if isinstance(reading, Present):
            memory = progress.remembered.of(reading.value.role_id)
            progress.memory = after_a_word(
                memory, self.causes, limit=self.settings.contest, now=self.now, own_role_arn=self.own_role_arn
            )

    def _repair(self, role: Role, enrollment: Enrolled, progress: _Progress) -> Outcome:
        cloud = enrollment.cloud
        memory = progress.memory
        assert memory is not None  # noqa: S101 - it was read before the role was looked at
        approval = decide_approval(role, cloud.name, self.causes, memory.approval, self.settings.approvers)
        if isinstance(approval, Refused):
            return self._refused(progress, role, approval)
        progress.memory = memory = replace(memory, approval=approval)
        progress.role, progress.cloud = role, cloud.name
        desired = desired_of(cloud)
        policies = self.roles.read_policies(role)
        refused = refuse_by_policies(role, policies, cloud, self.surroundings)
        if refused is not None:
            return self._refused(progress, role, refused)
        buckets, unreached = self._read_buckets(cloud)
        looks_at_profiles = desired.instance_profile is not InstanceProfileMode.IGNORE
        profiles = self.roles.read_instance_profiles(self.role_name) if looks_at_profiles else None
        observed = Observed(role, policies, buckets, profiles)
        findings = diagnose(observed, self.surroundings, desired)
        plan = plan_repair(observed, findings, desired)
        if unreached is not None:
            # What our policies should say depends on all buckets; trust and the instance profile do not.
            plan = RepairPlan(tuple(s for s in plan.steps if isinstance(s, (TrustStep, InstanceProfileStep))), ())
        proposed = (*plan.steps, *plan.removals)
        hold = self._hold(enrollment)
        contest: Contest | None = None
        if proposed and hold is None and not self.own:
            contest = self._contest(memory, findings)
            if contest is None:
                proposed = self._apply(plan, observed, findings, enrollment, progress)
                hold = progress.hold
        if unreached is not None:
            raise unreached
        if contest is not None or not findings:
            progress.memory = replace(memory, contest=contest)
        all_findings = tuple(dict.fromkeys((*progress.repaired, *findings)))
        results = tuple(progress.results.values())
        kind = conclude(
            findings=all_findings,
            proposed=proposed,
            results=results,
            withheld=plan.withheld,
            settled=progress.settled,
        )
        return Outcome(
            kind=kind if contest is None else OutcomeKind.CONTESTED,
            account=self.account,
            role_name=self.role_name,
            causes=self.causes,
            role_arn=str(role.arn),
            cloud=cloud.name,
            findings=all_findings,
            proposed=proposed,
            results=results,
            withheld=plan.withheld,
            notes=(*enrollment.notes, *self._why_held(hold)),
            own=self.own,
            again=progress.again,
            hold=hold if proposed else None,
            contest=contest,
            settled=progress.settled,
            instance_profile=usable_instance_profile(observed, desired.instance_profile) if looks_at_profiles else None,
            untold=progress.told,
            remembered=progress.remembered,
            memory=progress.memory,
        )

    def _hold(self, enrollment: Enrolled) -> Hold | None:
        if enrollment.mode is Mode.OBSERVE:
            return Hold.OBSERVE
        return Hold.PAUSED if self.paused.holds(enrollment.cloud.name) else None

    def _why_held(self, hold: Hold | None) -> tuple[str, ...]:
        match hold:
            case Hold.PAUSED:
                return (self.paused.why,)
            case Hold.CAPPED:
                limit = self.settings.write_limit
                return (f"No more than {limit.writes} writes are made within {limit.minutes} minutes.",)
            case Hold.OBSERVE | None:
                return ()
            case _ as never:
                assert_never(never)

    def _contest(self, memory: RoleMemory, findings: tuple[Finding, ...]) -> Contest | None:
        """The contest that keeps us from writing: the one that is going on, or one that begins now."""
        if memory.contest is not None:
            return counted(memory.contest, self.causes, own_role_arn=self.own_role_arn)
        limit = self.settings.contest
        return contested_by(
            self.history.changes_since(self.role_name, counted_since(memory, limit, self.now)),
            findings,
            self.causes,
            limit=limit,
            now=self.now,
            own_role_arn=self.own_role_arn,
        )

    def _apply(
        self,
        plan: RepairPlan,
        observed: Observed,
        findings: tuple[Finding, ...],
        enrollment: Enrolled,
        progress: _Progress,
    ) -> tuple[Step, ...]:
        """Apply the steps one by one, and the removals once every step was seen to have taken effect.

        Gives the steps that were left undone, because no more may be written within this window.
        """
        created = observed.role.created
        recorder = Recorder(
            self.history,
            observed.role,
            enrollment.cloud.name,
            self.causes,
            __version__,
            self.clock,
            self.on_trouble,
            progress.untold,
        )
        writer = Writer(
            observed,
            self.roles,
            self.buckets,
            self.surroundings,
            recorder=recorder,
            is_enrolled_alike=lambda role: self._enrollment(role) == enrollment,
            pause=self.pause,
            tag_may_lag=self.tag_may_lag,
            role_may_lag=self.fresh or (created is not None and self.now - created < FRESH),
        )
        grant = enrollment.cloud.grant
        held = {withheld.finding for withheld in plan.withheld}
        findings = tuple(finding for finding in findings if finding not in held)
        complete = True
        left = [*plan.steps, *plan.removals]
        try:
            for step in plan.steps:
                repaired = tuple(finding for finding in findings if _is_repaired_by(finding, step, grant))
                progress.results[str(document_of(step))] = result = writer.apply(step, repaired)
                left.remove(step)
                if not isinstance(result, NotApplied):
                    progress.repaired.extend(repaired)
                complete = complete and isinstance(result, Applied)
            for removal in plan.removals if complete else ():
                repaired = tuple(finding for finding in findings if _is_taken_back_by(finding, removal))
                # Under a name of its own: before the removal, a step may have been written to the same document.
                result = writer.apply(removal, repaired, removal=True)
                progress.results[f"removal from {document_of(removal)}"] = result
                left.remove(removal)
                if not isinstance(result, NotApplied):
                    progress.repaired.extend(repaired)
        except WritesCapped:
            progress.hold = Hold.CAPPED
            return tuple(left)
        finally:
            progress.again = not recorder.conclude_again() or progress.again
        return ()

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

    def _refused(self, progress: _Progress, role: Role, refused: Refused) -> Outcome:
        ended = self._ended(progress, OutcomeKind.REFUSED, role, cloud=refused.cloud, why=refused.why)
        return replace(ended, refusal=refused.refusal)

    def interrupted(self, progress: _Progress, *, why: str) -> Outcome:
        """The outcome of a reconcile that was cut short after something was, or may have been, written."""
        return replace(self._ended(progress, OutcomeKind.FAILED, why=why), kind=OutcomeKind.FAILED, again=True)

    def _ended(
        self, progress: _Progress, kind: OutcomeKind, role: Role | None = None, *, cloud: str | None = None, why: str
    ) -> Outcome:
        """The outcome for a role that is not ours to repair (any more); what was written before that is still told."""
        results = tuple(progress.results.values())
        known = role or progress.role
        written = bool(results) or any(change.may_have_taken_effect for change in progress.settled)
        return Outcome(
            kind=conclude(results=results, settled=progress.settled) if written else kind,
            account=self.account,
            role_name=self.role_name,
            causes=self.causes,
            role_arn=None if known is None else str(known.arn),
            cloud=cloud or progress.cloud,
            why=why,
            findings=tuple(progress.repaired),
            results=results,
            own=self.own,
            again=progress.again,
            settled=progress.settled,
            untold=progress.told,
            remembered=progress.remembered,
            memory=progress.memory,
        )


def _is_repaired_by(finding: Finding, step: Step, grant: GrantSide) -> bool:
    """Whether a step repairs the finding, where missing grants are put on the side ``grant``."""
    match finding.code:
        case FindingCode.GRANT_MISSING if grant is GrantSide.BUCKET_POLICY:
            return isinstance(step, BucketPolicyStep) and step.bucket == finding.subject
        case FindingCode.GRANT_MISSING | FindingCode.KEY_MISSING:
            return isinstance(step, InlinePolicyStep)
        case FindingCode.TRUST_MISSING | FindingCode.GRANT_ALTERED | FindingCode.PROFILE_MISSING:
            return finding.subject == str(document_of(step))
        case _:
            return False


def _is_taken_back_by(finding: Finding, removal: Step) -> bool:
    return finding.code is FindingCode.GRANT_LEFTOVER and finding.subject == str(document_of(removal))
