"""Bring one role to its desired state: read, decide, write, and give the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from remediator.core.enrollment.approval import decide_approval
from remediator.core.enrollment.decide import Enrolled, Enrollment, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.enrollment.privilege import refuse_by_policies
from remediator.core.events.event import APPLY_CALL, CONSISTENCY_WINDOW, Cause, is_recent_cause
from remediator.core.events.sweep import is_sweep
from remediator.core.history.change import Change, ChangeContext, ChangeKind
from remediator.core.history.conflict import apply_operator_override, counted, counted_since, detect_conflict
from remediator.core.history.role_record import Conflict, RoleRecord
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import Finding
from remediator.core.model.instance_profile import InstanceProfiles
from remediator.core.model.observed import Observed
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentKind, Write
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import desired_of
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.effect import effect_of
from remediator.core.repair.instance_profile import usable_instance_profile
from remediator.core.repair.outcome import (
    Applied,
    Hold,
    NotApplied,
    Outcome,
    OutcomeKind,
    Unconfirmed,
    WriteResult,
    conclude,
)
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.errors import (
    ChangedMeanwhile,
    Misrouted,
    NotFoundError,
    NotYetVisible,
    TransientError,
    WritesCapped,
)
from remediator.flows.recorder import Recorder
from remediator.flows.recover import recover, trust_in_place
from remediator.flows.write import Changed, Engine
from remediator.gateways.world import World
from remediator.settings import Cloud, InstanceProfileMode, Mode

TAG_LAG: Final = timedelta(seconds=30)
"""How long a denied write is put down to a tag that IAM's authorization does not know of yet."""

_ENROLLING: Final = frozenset({"CreateRole", "TagRole"})
_BESIDE_BUCKETS: Final = frozenset({DocumentKind.TRUST_POLICY, DocumentKind.INSTANCE_PROFILE})
"""The documents that do not depend on what the buckets are like."""

ATTEMPTS: Final = 3
"""How often the role is read again when a document changes between the first read and the write."""


def reconcile(role_name: str, causes: tuple[Cause, ...], world: World, *, group: str | None) -> Outcome:
    """Reconcile one role of the account and give the outcome; doing it again writes nothing.

    ``causes`` are the calls that triggered it, oldest first. Where all of them are the remediator's own writes, nothing
    is written. ``group`` is the bucket of the request, whose group makes the remediator the only writer of what the
    repair may write.

    Raises TransientError, ChangedMeanwhile and NotYetVisible where another try can help and nothing was written; where
    something was, that is an outcome to notify of, and ``to_be_retried`` asks for the other try. Raises Misrouted where
    others may write the same documents at the same time, and MalformedRecord, and any AwsError, where the stored state
    of the role cannot be read: nothing is written then.
    """
    run = _Reconciliation(role_name, causes, world, group, world.clock())
    try:
        return run.to_the_end()
    except (TransientError, ChangedMeanwhile, Misrouted, NotYetVisible) as error:
        if not run.may_have_written:
            raise
        # Something was written: people must know now, because the next reconcile will find it in order.
        return run.interrupted(why=f"The rest is tried again within minutes: {error}")


@dataclass(slots=True)
class _Reconciliation:
    """One reconcile of one role, over all its attempts: what was asked for, and what was tried so far.

    ``results`` has the latest result for each document, ``repaired`` the findings that were written for. ``stored`` is
    the state of the role as it was stored, ``memory`` what it becomes. ``recovered`` are the changes of an interrupted
    reconcile, ``untold`` the ids of changes that people were not notified of yet. ``hold`` and ``contest`` say what
    kept the last attempt from writing.
    """

    role_name: str
    causes: tuple[Cause, ...]
    world: World
    group: str | None
    now: datetime
    results: dict[str, WriteResult] = field(default_factory=dict)
    repaired: list[Finding] = field(default_factory=list)
    role: Role | None = None
    cloud: str | None = None
    recovered: tuple[Change, ...] = ()
    unreported: list[str] = field(default_factory=list)
    stored: RoleRecord | None = None
    role_record: RoleRecord = field(default_factory=RoleRecord)
    hold: Hold | None = None
    conflict: Conflict | None = None
    again: bool = False

    @property
    def may_have_written(self) -> bool:
        return any(isinstance(result, (Applied, Unconfirmed)) for result in self.results.values()) or any(
            change.may_have_taken_effect for change in self.recovered
        )

    @property
    def context(self) -> EvaluationContext:
        """What conditions are evaluated by: the time of this reconcile."""
        return EvaluationContext.at(self.now)

    @property
    def own(self) -> bool:
        """Whether only the remediator's own writes triggered it."""
        issuer = self.world.own_role_arn
        return bool(self.causes) and all(cause.actor.issuer_arn == issuer for cause in self.causes)

    def is_recent(self, within: timedelta = CONSISTENCY_WINDOW) -> bool:
        """Whether a call was made so recently that AWS may not show it yet; a sweep explains no contradiction."""
        return any(is_recent_cause(cause, self.now, within=within) for cause in self.causes if not is_sweep(cause))

    def to_the_end(self) -> Outcome:
        for _ in range(ATTEMPTS):
            try:
                outcome = self._attempt()
            except (Changed, NotFoundError):
                continue
            if outcome.to_be_retried and not outcome.may_have_written:
                reasons = "; ".join(result.why for result in outcome.results if not isinstance(result, Applied))
                raise TransientError("repair", "to be retried", reasons)
            return outcome
        raise ChangedMeanwhile(f"role {self.role_name} changed {ATTEMPTS} times while it was about to be repaired")

    def _attempt(self) -> Outcome:
        reading = self.world.roles.read_role(self.role_name)
        match reading:
            case Present(value=role):
                return self._present(role)
            case Absent():
                self._recall(reading)
                return self._ended(OutcomeKind.NOT_ENROLLED, why="the role does not exist (any more)")
            case Unreadable(why=why):
                self._recall(reading)
                return self._ended(OutcomeKind.FAILED, why=f"the role could not be read: {why}")
            case _ as never:
                assert_never(never)

    def _present(self, role: Role) -> Outcome:
        enrollment = self._enrollment(role)
        if isinstance(enrollment, Enrolled):
            self._must_be_in_its_group(enrollment.cloud)
        self.role_record = apply_operator_override(
            self._recall(Present(role)).for_role_id(role.role_id),
            self.causes,
            limit=self.world.settings.contest,
            now=self.now,
            own_role_arn=self.world.own_role_arn,
        )
        match enrollment:
            case NotEnrolled(why=why):
                if self.is_recent() and any(cause.call in _ENROLLING for cause in self.causes):
                    raise NotYetVisible(f"role {self.role_name} was enrolled a moment ago, and now it is not: {why}")
                self.role_record = replace(self.role_record, approval=None)
                return self._ended(OutcomeKind.NOT_ENROLLED, role, why=why)
            case Off(why=why):
                return self._ended(OutcomeKind.OFF, role, why=why)
            case Refused():
                return self._refused(role, enrollment)
            case Enrolled():
                return self._repair(role, enrollment)
            case _ as never:
                assert_never(never)

    def _enrollment(self, role: Role) -> Enrollment:
        return decide_enrollment(role, self.world.settings, account=self.world.account)

    def _must_be_in_its_group(self, cloud: Cloud) -> None:
        bucket = self.world.settings.shared_bucket(cloud)
        if bucket != self.group:
            why = f"the request for role {self.role_name} is not in the group that owns what cloud {cloud.name} writes"
            raise Misrouted(why, bucket)

    def _recall(self, reading: Reading[Role]) -> RoleRecord:
        """Read the stored state of the role, once, and recover the changes that an earlier reconcile left open."""
        if self.stored is None:
            self.stored = self.role_record = self.world.history.read_role_record(self.role_name)
            if not isinstance(reading, Unreadable):
                role = reading.value if isinstance(reading, Present) else None
                by_hand = any(cause.call == APPLY_CALL for cause in self.causes)
                recovered = recover(self.stored.open_changes, role, self.world, by_hand=by_hand)
                # Whoever undoes something knows of it.
                self.recovered = tuple(change for change in recovered if change.kind is not ChangeKind.UNDO)
                self.unreported.extend(change.change_id for change in self.recovered if change.may_have_taken_effect)
        return self.stored

    def _repair(self, role: Role, enrollment: Enrolled) -> Outcome:
        cloud, settings = enrollment.cloud, self.world.settings
        approval = decide_approval(role, cloud.name, self.causes, self.role_record.approval, settings.approvers)
        if isinstance(approval, Refused):
            return self._refused(role, approval)
        self.role_record = replace(self.role_record, approval=approval)
        self.role, self.cloud = role, cloud.name
        policies = self.world.roles.read_policies(role)
        refused = refuse_by_policies(role, policies, cloud, self.context)
        if refused is not None:
            return self._refused(role, refused)
        buckets, unreached = self._read_buckets(cloud)
        return self._bring_to_desired(
            Observed(role, policies, buckets, self._read_profiles(cloud)), enrollment, unreached
        )

    def _bring_to_desired(self, observed: Observed, enrollment: Enrolled, unreached: TransientError | None) -> Outcome:
        """Write what is wanting. Raises ``unreached``, the error of a bucket that could not be reached, at the end."""
        desired = desired_of(enrollment.cloud)
        findings = diagnose(observed, self.context, desired)
        plan = plan_repair(observed, findings, desired)
        if unreached is not None:
            # What the remediator's policies should say depends on all buckets; trust and the instance profile do not.
            beside = tuple(each for each in plan.writes if each.document.kind in _BESIDE_BUCKETS)
            self._write(RepairPlan(beside, ()), observed, enrollment, findings)
            raise unreached
        proposed = self._write(plan, observed, enrollment, findings)
        if self.conflict is not None or not findings:
            self.role_record = replace(self.role_record, conflict=self.conflict)
        reads_profiles = observed.profiles is not None
        findings = tuple(dict.fromkeys((*self.repaired, *findings)))
        results = tuple(self.results.values())
        kind = conclude(
            findings=findings, proposed=proposed, results=results, blocked=plan.blocked, recovered=self.recovered
        )
        return replace(
            self._outcome(kind if self.conflict is None else OutcomeKind.CONFLICT, self.role, self.cloud),
            findings=findings,
            proposed=proposed,
            blocked=plan.blocked,
            notes=(*enrollment.notes, *self._why_held()),
            hold=self.hold if proposed else None,
            conflict=self.conflict,
            instance_profile=usable_instance_profile(observed, desired.instance_profile) if reads_profiles else None,
        )

    def _write(
        self, plan: RepairPlan, observed: Observed, enrollment: Enrolled, findings: tuple[Finding, ...]
    ) -> tuple[Write, ...]:
        """Make the writes of the plan unless something keeps the remediator from it, and give those that were not
        made."""
        proposed = (*plan.writes, *plan.removals)
        self.hold, self.conflict = self._hold(enrollment), None
        if not proposed or self.hold is not None or self.own:
            return proposed
        self.conflict = self._conflict(findings)
        return self._carry_out(plan, observed, enrollment) if self.conflict is None else proposed

    def _hold(self, enrollment: Enrolled) -> Hold | None:
        if enrollment.mode is Mode.OBSERVE:
            return Hold.OBSERVE
        return Hold.PAUSED if self.world.paused.holds(enrollment.cloud.name) else None

    def _why_held(self) -> tuple[str, ...]:
        match self.hold:
            case Hold.PAUSED:
                return (self.world.paused.why,)
            case Hold.CAPPED:
                limit = self.world.settings.write_limit
                return (f"No more than {limit.writes} writes are made within {limit.minutes} minutes.",)
            case Hold.OBSERVE | None:
                return ()
            case _ as never:
                assert_never(never)

    def _conflict(self, findings: tuple[Finding, ...]) -> Conflict | None:
        """The conflict that keeps the remediator from writing: the one that is going on, or one that begins now."""
        own_role_arn, limit = self.world.own_role_arn, self.world.settings.contest
        if self.role_record.conflict is not None:
            return counted(self.role_record.conflict, self.causes, own_role_arn=own_role_arn)
        since = counted_since(self.role_record, limit, self.now)
        recent = self.world.history.changes_since(self.role_name, since)
        return detect_conflict(recent, findings, self.causes, limit=limit, now=self.now, own_role_arn=own_role_arn)

    def _carry_out(self, plan: RepairPlan, observed: Observed, enrollment: Enrolled) -> tuple[Write, ...]:
        """Make the writes one by one, and the removals once every write was seen to have taken effect.

        Gives the writes that were not made, because no more may be made within this window.
        """
        role = observed.role
        occasion = ChangeContext.for_role(role, enrollment.cloud.name, self.causes)
        recorder = Recorder(self.world, occasion, self.unreported)
        engine = Engine(
            self.world,
            recorder,
            is_enrolled_alike=lambda now: self._enrollment(now) == enrollment,
            tag_may_lag=self.is_recent(within=TAG_LAG),
            role_may_lag=self.is_recent()
            or (role.created is not None and self.now - role.created < CONSISTENCY_WINDOW),
        )
        left = [*plan.writes, *plan.removals]
        complete = True
        try:
            for write in plan.writes:
                result = engine.carry_out(write, ChangeKind.REPAIR, effect_of(write, observed, self.context))
                self._note(str(write.document), result)
                left.remove(write)
                complete = complete and isinstance(result, Applied)
            for removal in plan.removals if complete else ():
                effect = effect_of(removal, observed, self.context, is_removal=True)
                # Under a name of its own: the same document may have been written before the removal.
                self._note(f"removal from {removal.document}", engine.carry_out(removal, ChangeKind.REMOVAL, effect))
                left.remove(removal)
        except WritesCapped:
            self.hold = Hold.CAPPED
            return tuple(left)
        finally:
            self.again = not recorder.conclude_again() or self.again
        return ()

    def _note(self, what: str, result: WriteResult) -> None:
        self.results[what] = result
        if not isinstance(result, NotApplied):
            self.repaired.extend(result.write.findings)

    def _read_buckets(self, cloud: Cloud) -> tuple[tuple[tuple[str, Reading[Bucket]], ...], TransientError | None]:
        """The buckets that could be reached, and the error of one that could not be reached for now."""
        reached: list[tuple[str, Reading[Bucket]]] = []
        unreached: TransientError | None = None
        for bucket in cloud.buckets:
            account = bucket.account or cloud.account or self.world.account
            try:
                reading = self.world.buckets.read_bucket(
                    bucket.name, region=bucket.region, account=account, key=bucket.key
                )
            except TransientError as error:
                unreached = error
            else:
                reached.append((bucket.name, reading))
        return tuple(reached), unreached

    def _read_profiles(self, cloud: Cloud) -> InstanceProfiles | None:
        if cloud.instance_profile is InstanceProfileMode.IGNORE:
            return None
        return self.world.roles.read_instance_profiles(self.role_name)

    def _refused(self, role: Role, refused: Refused) -> Outcome:
        ended = self._ended(OutcomeKind.REFUSED, role, cloud=refused.cloud, why=refused.why)
        earlier = () if self.may_have_written else trust_in_place(role, self.world)
        return replace(ended, refusal=refused.refusal, in_place=earlier)

    def interrupted(self, *, why: str) -> Outcome:
        """The outcome of a reconcile that was cut short after something was, or may have been, written."""
        return self._ended(OutcomeKind.FAILED, why=why)

    def _ended(self, kind: OutcomeKind, role: Role | None = None, *, cloud: str | None = None, why: str) -> Outcome:
        """The outcome for a role that is not the remediator's to repair (any more), with what was written before that.

        After a write, a refusal and a failure stay what they are, and a failure is tried again. Any other end becomes
        that of the writes, as no one would be notified of it otherwise.
        """
        if kind is OutcomeKind.FAILED:
            self.again |= self.may_have_written
        elif kind is not OutcomeKind.REFUSED and (self.results or self.may_have_written):
            kind = conclude(results=tuple(self.results.values()), recovered=self.recovered)
        return replace(self._outcome(kind, role or self.role, cloud or self.cloud), why=why)

    def _outcome(self, kind: OutcomeKind, role: Role | None, cloud: str | None) -> Outcome:
        shown = {result.change_id for result in self.results.values()} | {each.change_id for each in self.recovered}
        return Outcome(
            kind=kind,
            account=self.world.account,
            role_name=self.role_name,
            causes=self.causes,
            role_arn=None if role is None else str(role.arn),
            cloud=cloud,
            findings=tuple(self.repaired),
            results=tuple(self.results.values()),
            own=self.own,
            again=self.again,
            recovered=self.recovered,
            # One whose document was written once more in a later attempt is left to the next reconcile.
            unreported=tuple(change_id for change_id in self.unreported if change_id in shown),
            stored_record=self.stored,
            role_record=self.role_record if self.stored is not None else None,
        )
