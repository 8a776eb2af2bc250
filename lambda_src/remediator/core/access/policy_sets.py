"""From what was observed of a role and a resource to the sides of the decisions about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, assert_never

from remediator.core.access.calls import session_of
from remediator.core.access.decision import PolicyAnswers
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.evaluate import Answer, PolicySet, Request, Source, weigh
from remediator.core.policy.principals import RoleSession
from remediator.core.policy.public import public_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Documents:
    """Every document that is about the role's requests to one resource.

    ``boundary`` is None where the role has none; ``levels`` are the SCPs level by level.
    """

    identity: PolicySet
    resource: PolicySet
    boundary: PolicySet | None
    levels: tuple[PolicySet, ...]
    caller: RoleSession

    def sources(self) -> tuple[Source, ...]:
        """All that could be read."""
        sides = (self.identity, self.resource, *([self.boundary] if self.boundary else []), *self.levels)
        return tuple([source for side in sides for source in side.sources])

    def about(self, request: Request, cut_off: tuple[Answer, str] = (False, "")) -> PolicyAnswers:
        """What they say about one request."""
        return PolicyAnswers(
            request,
            weigh(self.identity, request),
            weigh(self.resource, request, self.caller),
            weigh(self.boundary, request) if self.boundary else None,
            tuple([weigh(level, request) for level in self.levels]),
            *cut_off,
        )


def documents_about(
    role: Role, policies: RolePolicies, resource: PolicySet, evaluation_context: EvaluationContext
) -> Documents:
    """Gather the documents; one that could not be read is remembered on its side."""
    boundary = _boundary_set(role, policies)
    return Documents(
        identity=_identity_set(policies),
        resource=resource,
        boundary=boundary,
        levels=tuple(
            [
                PolicySet(
                    f"level {number} of the service control policies",
                    tuple([Source(f"a service control policy of level {number}", document) for document in level]),
                )
                for number, level in enumerate(evaluation_context.service_control_policies or (), start=1)
            ]
        ),
        caller=session_of(role, evaluation_context, is_bounded=boundary is not None),
    )


def _identity_set(policies: RolePolicies) -> PolicySet:
    """The role's inline and attached policies; a list or a document that could not be read is remembered."""
    sources: list[Source] = []
    unreadable: list[str] = []

    def take(name: str, policy: Reading[PolicyDocument]) -> None:
        document = _value(policy, name, unreadable)
        if document is not None:
            sources.append(Source(name, document))

    for inline in _value(policies.inline, "the list of the role's inline policies", unreadable) or ():
        take(f"inline policy `{inline.name}`", inline.document)
    for managed in _value(policies.attached, "the list of the role's managed policies", unreadable) or ():
        take(f"managed policy `{managed.arn.rpartition('/')[2]}`", managed.document)
    return PolicySet("the role's policies", tuple(sources), tuple(unreadable))


def policy_set(name: str, policy: Reading[PolicyDocument]) -> PolicySet:
    """The side that is a single policy, such as that of a bucket or a key."""
    unreadable: list[str] = []
    document = _value(policy, name, unreadable)
    return PolicySet(name, () if document is None else (Source(name, document),), tuple(unreadable))


def cut_off_by_public_access_block(bucket: Bucket) -> tuple[Answer, str]:
    """Whether RestrictPublicBuckets keeps other accounts out of the bucket, and the reason if it does or may.

    It does so while the bucket policy is public, even for accounts that the policy names.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    if not isinstance(bucket.policy, Present):
        return False, ""
    public = public_statements(bucket.policy.value)
    block = bucket.public_access_block
    if not public or (block is not None and not block.restrict_public_buckets):
        return False, ""
    because = f"because {public[0].name} of the bucket policy makes the bucket public"
    text = f"keeps other accounts out of {bucket.name} (RestrictPublicBuckets), {because}"
    if block is None:
        return None, f"Block Public Access was not checked; it may be that it {text}"
    return True, f"Block Public Access {text}"


def _boundary_set(role: Role, policies: RolePolicies) -> PolicySet | None:
    match policies.boundary:
        case Present(value=boundary):
            return policy_set(f"the permissions boundary `{boundary.arn.rpartition('/')[2]}`", boundary.document)
        case Absent() if role.boundary_arn is None:
            return None
        case Absent():
            name = f"the permissions boundary `{role.boundary_arn}`"
            return PolicySet("the permissions boundary", (), (f"{name} was not read",))
        case Unreadable(why=why):
            name = "the permissions boundary"
            return PolicySet(name, (), (f"{name} could not be read: {why}",))
        case _ as never:
            assert_never(never)


def _value(reading: Reading[T], name: str, unreadable: list[str]) -> T | None:
    match reading:
        case Present(value=value):
            return value
        case Absent():
            return None
        case Unreadable(why=why):
            unreadable.append(f"{name} could not be read: {why}")
            return None
        case _ as never:
            assert_never(never)
