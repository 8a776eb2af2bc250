"""From what was observed of a role and a resource to the sides of the decisions about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, assert_never

from remediator.core.access.calls import session_of
from remediator.core.access.decision import Answer, Limit, Said, Side, Sides
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.evaluate import Request, Source, weigh
from remediator.core.policy.explain import Reason
from remediator.core.policy.principals import RoleSession
from remediator.core.policy.public import public_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Documents:
    """Every document that is about the role's requests to one resource.

    ``boundary`` is None where the role has none; ``levels`` are the SCPs level by level.
    """

    identity: Side
    resource: Side
    boundary: Side | None
    boundary_name: str
    levels: tuple[Side, ...]
    caller: RoleSession

    def sources(self) -> tuple[Source, ...]:
        """All that could be read."""
        sides = (self.identity, self.resource, *([self.boundary] if self.boundary else []), *self.levels)
        return tuple([source for side in sides for source in side.sources])

    def about(self, request: Request, cut_off: tuple[Answer, Reason | None] = (False, None)) -> Sides:
        """What they say about one request."""
        boundary = self.boundary
        return Sides(
            request.what,
            Said(self.identity, weigh(self.identity.sources, request)),
            Said(self.resource, weigh(self.resource.sources, request, self.caller)),
            Limit(self.boundary_name, Said(boundary, weigh(boundary.sources, request))) if boundary else None,
            tuple(
                [
                    Limit(f"level {number} of the service control policies", Said(level, weigh(level.sources, request)))
                    for number, level in enumerate(self.levels, start=1)
                ]
            ),
            *cut_off,
        )


def documents_about(role: Role, policies: RolePolicies, resource: Side, surroundings: EvaluationContext) -> Documents:
    """Gather the documents; one that could not be read is remembered on its side."""
    boundary = _boundary_side(role, policies)
    levels = enumerate(surroundings.service_control_policies or (), start=1)
    return Documents(
        identity=_identity_side(policies),
        resource=resource,
        boundary=boundary,
        boundary_name=_boundary_name(policies),
        levels=tuple(
            [
                Side(tuple([Source(f"a service control policy of level {level}", document) for document in documents]))
                for level, documents in levels
            ]
        ),
        caller=session_of(role, surroundings, is_bounded=boundary is not None),
    )


def _identity_side(policies: RolePolicies) -> Side:
    """The role's inline and attached policies; a list or a document that could not be read is remembered."""
    sources: list[Source] = []
    unreadable: list[Reason] = []
    for policy in _listed(policies.inline, "the list of the role's inline policies", unreadable):
        _take(policy.document, f"inline policy `{policy.name}`", sources, unreadable)
    for managed in _listed(policies.attached, "the list of the role's managed policies", unreadable):
        _take(managed.document, f"managed policy `{managed.arn.rpartition('/')[2]}`", sources, unreadable)
    return Side(tuple(sources), tuple(unreadable))


def resource_side(name: str, policy: Reading[PolicyDocument]) -> Side:
    """The policy of a bucket or a key."""
    sources: list[Source] = []
    unreadable: list[Reason] = []
    _take(policy, name, sources, unreadable)
    return Side(tuple(sources), tuple(unreadable))


def cut_off_by_public_access_block(bucket: Bucket) -> tuple[Answer, Reason | None]:
    """Whether RestrictPublicBuckets keeps other accounts out of the bucket.

    It does so while the bucket policy is public, even for accounts that the policy names.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    if not isinstance(bucket.policy, Present):
        return False, None
    public = public_statements(bucket.policy.value)
    block = bucket.public_access_block
    if not public or (block is not None and not block.restrict_public_buckets):
        return False, None
    because = f"because {public[0].name} of the bucket policy makes the bucket public"
    text = f"keeps other accounts out of {bucket.name} (RestrictPublicBuckets), {because}"
    if block is None:
        return None, Reason("Block Public Access", None, f"was not looked at; it may be that it {text}")
    return True, Reason("Block Public Access", None, text)


def _boundary_side(role: Role, policies: RolePolicies) -> Side | None:
    name = _boundary_name(policies)
    match policies.boundary:
        case Present(value=boundary):
            return resource_side(name, boundary.document)
        case Absent() if role.boundary_arn is None:
            return None
        case Absent():
            return Side((), (Reason(f"the permissions boundary `{role.boundary_arn}`", None, "was not read"),))
        case Unreadable(why=why):
            return Side((), (Reason(name, None, f"could not be read: {why}"),))
        case _ as never:
            assert_never(never)


def _boundary_name(policies: RolePolicies) -> str:
    match policies.boundary:
        case Present(value=boundary):
            return f"the permissions boundary `{boundary.arn.rpartition('/')[2]}`"
        case _:
            return "the permissions boundary"


def _listed(reading: Reading[tuple[T, ...]], name: str, unreadable: list[Reason]) -> tuple[T, ...]:
    match reading:
        case Present(value=listed):
            return listed
        case Absent():
            return ()
        case Unreadable(why=why):
            unreadable.append(Reason(name, None, f"could not be read: {why}"))
            return ()
        case _ as never:
            assert_never(never)


def _take(policy: Reading[PolicyDocument], name: str, sources: list[Source], unreadable: list[Reason]) -> None:
    match policy:
        case Present(value=document):
            sources.append(Source(name, document))
        case Absent():
            pass
        case Unreadable(why=why):
            unreadable.append(Reason(name, None, f"could not be read: {why}"))
        case _ as never:
            assert_never(never)
