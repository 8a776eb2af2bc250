"""Apply the steps of a plan: look again just before each write, write, and read back what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, assert_never

from remediator.core.access.actions import REQUIRED_ACTIONS
from remediator.core.access.grants import GrantVerdict, judge_grants
from remediator.core.history.change import ChangeKind
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import Finding
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.observed import Observed
from remediator.core.model.role import Role, RolePolicies
from remediator.core.model.step import BucketPolicyStep, InlinePolicyStep, InstanceProfileStep, Step, TrustStep
from remediator.core.policy.document import PolicyDocument, same_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.bucket_policy import is_intact, named_roles
from remediator.core.repair.outcome import Applied, NotApplied, StepResult, Unconfirmed
from remediator.core.repair.trust import TrustVerdict, judge_trust
from remediator.errors import (
    AwsError,
    DeniedError,
    NotFoundError,
    QuotaError,
    RejectedError,
    ThrottledError,
    TransientError,
)
from remediator.flows.history import Recorder
from remediator.flows.writing import send

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

    def read_instance_profiles(self, role_name: str) -> InstanceProfiles:
        """The instance profiles that hold the role, and the one of its name."""
        ...

    def read_instance_profile(self, name: str) -> Reading[InstanceProfile]:
        """The instance profile of that name."""
        ...

    def write_trust(self, role_name: str, document: PolicyDocument) -> None:
        """Replace the trust policy."""
        ...

    def write_inline_policy(self, role_name: str, policy_name: str, document: PolicyDocument) -> None:
        """Create or replace an inline policy."""
        ...

    def delete_inline_policy(self, role_name: str, policy_name: str) -> None:
        """Delete an inline policy."""
        ...

    def create_instance_profile(self, name: str, path: str) -> None:
        """Create an empty instance profile."""
        ...

    def add_role_to_instance_profile(self, name: str, role_name: str) -> None:
        """Put the role into an instance profile."""
        ...


class BucketStore(Protocol):
    """Where buckets are read and granted; the methods promise what ``gateways.s3.S3Gateway`` promises."""

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:
        """The bucket with all that its grants depend on, if ``account`` owns it."""
        ...

    def read_policy(self, name: str, *, region: str, account: str) -> Reading[PolicyDocument]:
        """The policy of the bucket."""
        ...

    def write_policy(self, name: str, document: PolicyDocument, *, region: str, account: str) -> None:
        """Create or replace the policy of the bucket."""
        ...

    def delete_policy(self, name: str, *, region: str, account: str) -> None:
        """Delete the policy of the bucket."""
        ...


class Changed(Exception):
    """What is there is not what the plan was made for."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the steps that were planned for what was ``observed``.

    ``recorder`` records each step before it is written, and what came of it.
    ``is_enrolled_alike`` says whether a role, as it is now, is still enrolled in the way that the plan was made for.
    ``pause`` waits for some seconds. ``tag_may_lag`` says that the role may have been tagged so lately that IAM does
    not authorise us yet, ``role_may_lag`` that it may have been created so lately that S3 does not know it yet.
    """

    observed: Observed
    roles: RoleStore
    buckets: BucketStore
    surroundings: EvaluationContext
    recorder: Recorder
    is_enrolled_alike: Callable[[Role], bool]
    pause: Callable[[float], None]
    tag_may_lag: bool
    role_may_lag: bool

    def apply(self, step: Step, findings: tuple[Finding, ...], *, removal: bool = False) -> StepResult:
        """Record one step, which repairs the findings; write it if everything is as planned; see that it took effect.

        A ``removal`` takes back what is ours on the former side; what the role may use is seen to by the other side.
        Raises Changed where something is not as planned any more, NotFoundError where something has gone in the
        meantime, TransientError where it could not be asked for, or recorded, and WritesCapped where no more may be
        written within this window; in neither case was the step written. The record is made before the last look, so
        that as little time as possible lies between that and the write.
        """
        try:
            change = self.recorder.intend(step, findings, ChangeKind.REMOVAL if removal else ChangeKind.REPAIR)
        except TransientError:
            raise
        except AwsError as error:
            return NotApplied(step, f"It could not be recorded, and nothing is written without a record: {error}")
        try:
            result = self._applied(step, removal=removal)
        except Changed:
            self.recorder.abandon(change, "The document, or the role, had changed before it was to be written.")
            raise
        except AwsError as error:
            self.recorder.abandon(change, f"What is there could not be looked at before it was to be written: {error}")
            raise
        self.recorder.conclude(change, result)
        return replace(result, change_id=change.change_id)

    def _applied(self, step: Step, *, removal: bool) -> StepResult:
        match step:
            case TrustStep():
                write = partial(self.roles.write_trust, self._role_name, step.after)
                return self._write(step, write, self._is_trusted)
            case InlinePolicyStep():
                return self._write(step, partial(self._write_inline, step), partial(self._is_inline, step))
            case BucketPolicyStep():
                is_in_effect = partial(self._is_taken_back if removal else self._is_granted, step)
                return self._write(step, partial(self._write_bucket, step), is_in_effect)
            case InstanceProfileStep():
                return self._apply_profile(step)
            case _ as never:
                assert_never(never)

    def _look(self, step: Step) -> None:
        """Look just before a write whether everything is as planned. Raises Changed where it is not."""
        now = self._still_as_planned()
        match step:
            case TrustStep():
                _must_be(now.trust, step.before)
            case InlinePolicyStep():
                _must_be(self.roles.read_inline_policy(self._role_name, step.name), step.before)
            case BucketPolicyStep():
                _must_be(self._bucket_policy(step), step.before)
            case InstanceProfileStep():
                if self.roles.read_instance_profiles(self._role_name) != self.observed.profiles:
                    raise Changed
            case _ as never:
                assert_never(never)

    @property
    def _role_name(self) -> str:
        return self.observed.role.arn.name

    def _still_as_planned(self) -> Role:
        """The role as it is just before a write: the same one, enrolled in the same way. Raises Changed otherwise."""
        match self.roles.read_role(self._role_name):
            case Present(value=now) if now.role_id == self.observed.role.role_id and self.is_enrolled_alike(now):
                return now
            case _:
                raise Changed

    def _write(
        self,
        step: Step,
        write: Callable[[], None],
        is_in_effect: Callable[[], bool],
        look: Callable[[], None] | None = None,
    ) -> StepResult:
        look = look or partial(self._look, step)
        look()
        failed = send(write, look, self.pause)
        match failed:
            case None:
                pass
            case ThrottledError():
                return NotApplied(step, str(failed), retried=True)
            case TransientError():
                pass  # it may have taken effect all the same: an answer can be lost
            case DeniedError():
                # Our permission to write to the role hangs on the enrolment tag; IAM may not know of a fresh one yet.
                by_tag = isinstance(step, (TrustStep, InlinePolicyStep))
                return NotApplied(step, str(failed), retried=by_tag and self.tag_may_lag)
            case RejectedError():
                return self._rejected(step, failed)
            case NotFoundError():
                raise failed
            case _:
                return NotApplied(step, str(failed))
        try:
            if self._seen(is_in_effect, READ_BACK_PAUSES):
                return Applied(step)
        except (TransientError, NotFoundError) as error:
            return Unconfirmed(step, f"Reading it back failed: {error}")
        if failed is not None:
            return NotApplied(step, str(failed), retried=True, is_lost=True)
        return Unconfirmed(step, "Reading it back does not show it yet; or somebody has undone it at once.")

    def _seen(self, look: Callable[[], bool], pauses: tuple[float, ...]) -> bool:
        for seconds in pauses:
            if seconds:
                self.pause(seconds)
            if look():
                return True
        return False

    def _rejected(self, step: Step, error: RejectedError) -> StepResult:
        """AWS refuses the document, which for a bucket may mean a principal that S3 does not know (any more).

        A role that was deleted shows as its id when the policy is read again, and then it can be left out.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
        """
        if not isinstance(step, BucketPolicyStep):
            return NotApplied(step, str(error))
        _must_be(self._bucket_policy(step), step.before)
        return NotApplied(step, str(error), retried=self.role_may_lag)

    def _is_trusted(self) -> bool:
        reading = self.roles.read_role(self._role_name)
        return isinstance(reading, Present) and judge_trust(reading.value, self.surroundings).verdict is TrustVerdict.OK

    def _write_inline(self, step: InlinePolicyStep) -> None:
        if step.after is None:
            self.roles.delete_inline_policy(self._role_name, step.name)
        else:
            self.roles.write_inline_policy(self._role_name, step.name, step.after)

    def _is_inline(self, step: InlinePolicyStep) -> bool:
        return _is(self.roles.read_inline_policy(self._role_name, step.name), step.after)

    def _bucket_policy(self, step: BucketPolicyStep) -> Reading[PolicyDocument]:
        return self.buckets.read_policy(step.bucket, region=step.region, account=step.account)

    def _write_bucket(self, step: BucketPolicyStep) -> None:
        if step.after is None:
            self.buckets.delete_policy(step.bucket, region=step.region, account=step.account)
        else:
            self.buckets.write_policy(step.bucket, step.after, region=step.region, account=step.account)

    def _is_granted(self, step: BucketPolicyStep) -> bool:
        """Whether our statement is as it was written, as far as this role goes, and the role may use the bucket.

        It is not compared as text, because S3 does not keep the spelling; and others may be named in it by now.
        """
        now = self._bucket_policy(step)
        return self._names_role(now) is self._names_role(_reading(step.after)) and self._may_use(step.bucket, now)

    def _is_taken_back(self, step: BucketPolicyStep) -> bool:
        now = self._bucket_policy(step)
        return not isinstance(now, Unreadable) and not self._names_role(now)

    def _names_role(self, policy: Reading[PolicyDocument]) -> bool:
        arn = self.observed.role.arn
        return isinstance(policy, Present) and str(arn) in named_roles(policy.value, arn.account)

    def _may_use(self, name: str, policy: Reading[PolicyDocument]) -> bool:
        """Whether the role may use the bucket under this policy, in which our statement, if any, is as we write it."""
        role = self.observed.role
        if isinstance(policy, Present) and not is_intact(policy.value, name, role.arn):
            return False
        verdicts = [
            judgement.verdict
            for bucket_name, reading in self.observed.buckets
            if bucket_name == name and isinstance(reading, Present)
            for judgement in judge_grants(
                role, self.observed.policies, replace(reading.value, policy=policy), self.surroundings
            )
            if judgement.action in REQUIRED_ACTIONS
        ]
        return bool(verdicts) and all(verdict is GrantVerdict.ALLOWED for verdict in verdicts)

    def _apply_profile(self, step: InstanceProfileStep) -> StepResult:
        """Two writes where the instance profile is new; one that was made and stays empty is told as such."""
        if step.is_new:
            made = self._write(
                step, partial(self.roles.create_instance_profile, step.name, step.path), self._profile_exists
            )
            if not isinstance(made, Applied):
                return made
        try:
            # One that we have just made holds nothing of others, and a look that failed would hide that we made it.
            look = _nothing if step.is_new else None
            added = self._write(step, partial(self._add_to_profile, step), self._is_in_profile, look)
        except NotFoundError as error:
            if not step.is_new:
                raise
            added = NotApplied(step, str(error))
        if step.is_new and isinstance(added, NotApplied):
            return Unconfirmed(step, f"It was created, and the role could not be put into it: {added.why}")
        return added

    def _add_to_profile(self, step: InstanceProfileStep) -> None:
        try:
            self.roles.add_role_to_instance_profile(step.name, self._role_name)
        except (QuotaError, RejectedError):
            # The place may be taken by our role: somebody else has put it there since we looked.
            if not self._is_in_profile():
                raise

    def _profile_exists(self) -> bool:
        profiles = self.roles.read_instance_profiles(self._role_name)
        return isinstance(profiles.namesake, Present) or _is_among(profiles.holding, self._role_name)

    def _is_in_profile(self) -> bool:
        return _is_among(self.roles.read_instance_profiles(self._role_name).holding, self._role_name)


def _nothing() -> None:
    return


def _is_among(profiles: Reading[tuple[InstanceProfile, ...]], name: str) -> bool:
    return isinstance(profiles, Present) and any(profile.name == name for profile in profiles.value)


def _is(reading: Reading[PolicyDocument], document: PolicyDocument | None) -> bool:
    """Whether exactly this was read; None stands for a document that does not exist."""
    match reading:
        case Present(value=now):
            return document is not None and same_policy(now, document)
        case Absent():
            return document is None
        case Unreadable():
            return False
        case _ as never:
            assert_never(never)


def _must_be(reading: Reading[PolicyDocument], before: PolicyDocument | None) -> None:
    if not _is(reading, before):
        raise Changed


def _reading(document: PolicyDocument | None) -> Reading[PolicyDocument]:
    return Absent() if document is None else Present(document)
