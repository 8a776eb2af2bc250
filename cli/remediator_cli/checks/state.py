"""From what a file declares to the state that the remediator's own functions read.

What a file does not contain of the account counts as unchanged: it counts neither before nor after. A role is checked
by what the file removes, and not by what the file does not contain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from remediator.core.enrollment.decide import Enrolled
from remediator.core.model.bucket import Bucket, CustomerKey
from remediator.core.model.evaluation_context import EvaluationContext, Network
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_mapping, same_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.role_policy import OwnGrant, own_policy
from remediator.settings import PARTITION, BucketSettings, Cloud, InstanceProfileMode, Settings
from remediator_cli.iac.declared import Declared, DeclaredBucket, DeclaredPolicy, DeclaredProfile, DeclaredRole

_CONTEXT = EvaluationContext(network=Network.UNKNOWN)
NAMELESS = "NAME-OF-THE-ROLE"
"""The placeholder for the name of a role that AWS or the provider generates."""

_VERSION = "2012-10-17"
_LETS_ALL = read_mapping({"Version": _VERSION, "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


class Language(Enum):
    """The language of the code that is checked."""

    TERRAFORM = "terraform"
    CLOUDFORMATION = "cloudformation"


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The context in which all roles of a file are checked; ``account`` is the account to deploy to."""

    settings: Settings
    account: str
    language: Language
    before: Declared | None
    after: Declared


PolicyKey: TypeAlias = tuple[bool, str]
"""Which policy of a role is meant: whether it is a managed one, and its name or ARN."""


def key_of(policy: DeclaredPolicy) -> PolicyKey:
    """Which policy of its role it is."""
    return policy.is_managed, policy.name


def role_of(declared: DeclaredRole, context: CheckContext) -> Role:
    """The role by itself, without what is not known yet. Raises MalformedArn for an impossible name."""
    name = declared.name.value if isinstance(declared.name, Present) else NAMELESS
    path = declared.path.value if isinstance(declared.path, Present) else "/"
    account = declared.account or context.account
    return Role(
        arn=RoleArn.parse(f"arn:aws:iam::{account}:role{path}{name}"),
        role_id=declared.role_id or "",
        tags={key: value.value for key, value in declared.tags.items() if isinstance(value, Present)},
        trust=declared.trust,
        boundary_arn=declared.boundary.value if isinstance(declared.boundary, Present) else None,
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """A role as it is declared at one time, in the cloud that it is checked for.

    ``unread`` are the policies that it has before and after and that the file does not show, ``is_boundary_kept`` says
    that its boundary is such a policy. Neither of them counts.
    """

    declared: DeclaredRole
    role: Role
    cloud: Cloud
    unread: frozenset[PolicyKey]
    is_boundary_kept: bool
    file: Declared
    context: CheckContext

    def policies(self) -> RolePolicies:
        """The policies of the role, and its boundary; one that the file does not show is Unreadable."""
        listed = [policy for policy in self.declared.policies if key_of(policy) not in self.unread]
        inline = tuple(
            InlinePolicy(policy.name, self._shown_or_own(policy)) for policy in listed if not policy.is_managed
        )
        attached = tuple(ManagedPolicy(policy.name, policy.document) for policy in listed if policy.is_managed)
        boundary: Reading[ManagedPolicy]
        match self.declared.boundary:
            case Present(value=arn):
                boundary = Present(ManagedPolicy(arn, self.declared.boundary_document))
            case Absent() | Unreadable() as boundary:
                pass
        return RolePolicies(Present(inline), Present(attached), boundary)

    def observed(self) -> Observed:
        """Everything that the remediator would read."""
        policies = self.policies()
        if self.is_boundary_kept and isinstance(policies.boundary, Present):
            lets_all = ManagedPolicy(policies.boundary.value.arn, Present(_LETS_ALL))
            policies = replace(policies, boundary=Present(lets_all))
        return Observed(
            role=self.role,
            policies=policies,
            buckets=tuple((bucket.name, self._bucket_or_none(bucket)) for bucket in self.cloud.buckets),
            profiles=None if self.cloud.instance_profile is InstanceProfileMode.IGNORE else self._profiles(),
        )

    def _shown_or_own(self, policy: DeclaredPolicy) -> Reading[PolicyDocument]:
        """The remediator's own policy is known even where the file has its name only."""
        if policy.name != OWN_POLICY_NAME or not isinstance(policy.document, Unreadable):
            return policy.document
        own = granting(self.cloud)
        return policy.document if own is None else Present(own)

    def _bucket_or_none(self, bucket: BucketSettings) -> Reading[Bucket]:
        lost = self.file.lost.get(bucket.name)
        if lost is not None and lost.is_certain:
            return Absent()
        return Present(self._bucket(bucket, self.file.buckets.get(bucket.name)))

    def _bucket(self, bucket: BucketSettings, declared: DeclaredBucket | None) -> Bucket:
        return Bucket(
            name=bucket.name,
            account=bucket.account or self.context.account,
            region=bucket.region,
            policy=Absent() if declared is None else declared.policy,
            public_access_block=None if declared is None else declared.block,
            key=None if bucket.key is None else CustomerKey(bucket.key, Present(_leaving_it_to_iam(self.role.arn))),
        )

    def _profiles(self) -> InstanceProfiles:
        name = self.role.arn.name
        known = list(filter(None, map(self._profile, self.file.profiles)))
        holding = tuple(profile for profile in known if name in profile.role_names)
        if all(profile.name != name for profile in holding) and (why := next(self._unknown_profiles(), None)):
            return InstanceProfiles(Unreadable(why))
        namesake = next((profile for profile in known if profile.name == name), None)
        return InstanceProfiles(Present(holding), Absent() if namesake is None else Present(namesake))

    def _profile(self, declared: DeclaredProfile) -> InstanceProfile | None:
        if not isinstance(declared.name, Present):
            return None
        role, name = self.role.arn, declared.name.value
        arn = f"arn:{role.partition}:iam::{role.account}:instance-profile/{name}"
        match declared.role:
            case Present(value=held):
                return InstanceProfile(arn, name, (held,))
            case Absent():
                return InstanceProfile(arn, name, ())
            case Unreadable():
                return None

    def _unknown_profiles(self) -> Iterator[str]:
        """Why one of the instance profiles may be that of the role."""
        if isinstance(self.declared.name, Unreadable):
            yield self.declared.name.why
        for each in self.file.profiles:
            if isinstance(each.role, Unreadable) and each.role_address is None:
                yield each.role.why
            elif isinstance(each.name, Unreadable) and (
                each.role_address == self.declared.place.address or each.role == self.declared.name
            ):
                yield each.name.why


def subject_of(
    declared: DeclaredRole, other: DeclaredRole | None, cloud: Cloud, file: Declared, context: CheckContext
) -> Subject:
    """A role at one time; ``other`` is the same role at the other time, None where there is none."""
    unread: frozenset[PolicyKey] = frozenset()
    is_boundary_kept = False
    if other is not None:
        unread = _unread(declared) & _unread(other)
        is_boundary_kept = (
            isinstance(declared.boundary, Present)
            and declared.boundary == other.boundary
            and isinstance(declared.boundary_document, Unreadable)
            and isinstance(other.boundary_document, Unreadable)
        )
    return Subject(declared, role_of(declared, context), cloud, unread, is_boundary_kept, file, context)


def granting(cloud: Cloud) -> PolicyDocument | None:
    """The remediator's own policy for all buckets and keys of a cloud."""
    keys = (bucket.key for bucket in cloud.buckets if bucket.key is not None)
    return own_policy(Absent(), OwnGrant.of((bucket.name for bucket in cloud.buckets), keys), PARTITION)


def _unread(role: DeclaredRole) -> frozenset[PolicyKey]:
    return frozenset(key_of(policy) for policy in role.policies if isinstance(policy.document, Unreadable))


def _leaving_it_to_iam(role: RoleArn) -> PolicyDocument:
    """A key policy that grants the role nothing by itself, and is not in its way.

    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    account = f"arn:{role.partition}:iam::{role.account}:root"
    return read_mapping(
        {
            "Version": _VERSION,
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}],
        }
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """An enrolled role after the change, and what was wrong before; ``prior`` is None where that is unknown."""

    subject: Subject
    enrolled: Enrolled
    was: DeclaredRole | None
    desired: Desired
    findings: tuple[Finding, ...]
    prior: tuple[Finding, ...] | None

    @property
    def now(self) -> DeclaredRole:
        """The role as it is declared after the change."""
        return self.subject.declared

    @property
    def context(self) -> CheckContext:
        """The context in which all roles of the file are checked."""
        return self.subject.context


def findings_of(subject: Subject, desired: Desired) -> tuple[Finding, ...]:
    """What is wrong with a role; a leftover grant of the remediator breaks nothing."""
    found = diagnose(subject.observed(), _CONTEXT, desired)
    return tuple(each for each in found if each.code is not FindingCode.GRANT_LEFTOVER)


def is_same_policy(one: Reading[PolicyDocument], other: Reading[PolicyDocument]) -> bool:
    """Whether two readings certainly show one and the same document, or none."""
    match one, other:
        case Present(value=mine), Present(value=theirs):
            return same_policy(mine, theirs)
        case Absent(), Absent():
            return True
        case _:
            return False


def called(role: DeclaredRole) -> str:
    """The role's name, or its address where it has no name yet."""
    return role.name.value if isinstance(role.name, Present) else role.place.address
