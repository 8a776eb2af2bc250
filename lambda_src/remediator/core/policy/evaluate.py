"""Which statements of some documents allow or deny a request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from remediator.core.policy.conditions import conditions_extent
from remediator.core.policy.context import Context, Unresolved, has_variable, pieces_glob, resolve
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.extent import ALWAYS, NEVER, UNKNOWN, Extent, both, either, opposite
from remediator.core.policy.matching import Resource, glob_extent, text_extent, text_matches
from remediator.core.policy.principals import Named, RoleSession, service_is_named
from remediator.core.policy.statement import Patterns, Statement

Answer: TypeAlias = bool | None
"""Yes, no, or None: it cannot be decided."""


@dataclass(frozen=True, slots=True)
class Request:
    """Requests that are alike: each of ``actions``, as AWS spells them, on ``target``, in ``context``.

    Every statement that is weighed covers all of the actions or none. ``what`` is the request in words.
    """

    actions: tuple[str, ...]
    target: Resource
    context: Context
    what: str


@dataclass(frozen=True, slots=True)
class Source:
    """A document and its name for people ("inline policy `s3`")."""

    name: str
    document: PolicyDocument


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policies of one side of a decision (the role's own, the boundary, …), and its name for people.

    ``unreadable`` are sentences about the policies that could not be read.
    """

    name: str
    sources: tuple[Source, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A statement that speaks about a request: for how many of the requests, and as what it names the caller.

    ``is_elsewhere`` is true where it covers the action, on other resources only.
    """

    source: Source
    statement: Statement
    extent: Extent
    named: Named = Named.SESSION
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one side says about one request.

    ``allows`` and ``denials`` are the statements that hold, perhaps or in part only; ``misses`` the Allows of this
    action that hold for no request.
    """

    side: PolicySet
    allows: tuple[Hit, ...] = ()
    denials: tuple[Hit, ...] = ()
    misses: tuple[Hit, ...] = ()

    def is_granted(self, at_least: Named = Named.ROLE) -> Answer:
        """Whether the request is granted to a caller that is named at least so directly."""
        answer: Answer = None if self.side.unreadable else False
        for hit in self.allows:
            if hit.named >= at_least:
                if hit.extent is ALWAYS:
                    return True
                if hit.extent.is_possible_everywhere:
                    answer = None
        return answer

    def is_denied(self) -> Answer:
        """Whether the request, or part of what it stands for, is denied explicitly."""
        if not self.denials:
            return None if self.side.unreadable else False
        return True if any(hit.extent.is_certain_somewhere for hit in self.denials) else None


def weigh(side: PolicySet, request: Request, caller: RoleSession | None = None) -> Weighed:
    """What a side says about a request.

    ``caller`` is given for the policy of a resource, whose statements name principals, and None for a policy that is
    attached to the caller.
    """
    if not side.sources:
        return Weighed(side)
    allows: list[Hit] = []
    denials: list[Hit] = []
    misses: list[Hit] = []
    for source in side.sources:
        for statement in source.document.statements:
            if not _is_about(statement, request.actions[0]):
                continue
            named, who = _caller_named(statement, caller)
            if who is NEVER:
                continue
            covered = both(who, _resources_extent(statement, request))
            extent = _where_conditions_hold(covered, statement, request)
            if statement.effect == "Allow":
                (misses if extent is NEVER else allows).append(Hit(source, statement, extent, named, covered is NEVER))
            elif extent is not NEVER:
                denials.append(Hit(source, statement, extent))
    return Weighed(side, tuple(allows), tuple(denials), tuple(misses))


def _where_conditions_hold(covered: Extent, statement: Statement, request: Request) -> Extent:
    if covered is NEVER or not statement.conditions:
        return covered
    return both(covered, conditions_extent(statement, request.context))


def weigh_service(source: Source, request: Request, service: str) -> tuple[tuple[Hit, ...], tuple[Hit, ...]]:
    """What a trust policy says to a service that assumes the role: the Allows and the Denies that are about it.

    An Allow is listed whether or not its Condition holds, a Deny only where its Condition holds or may hold.
    """
    allows: list[Hit] = []
    denials: list[Hit] = []
    for statement in source.document.statements:
        if statement.effect is None or not _is_about(statement, request.actions[0]):
            continue
        on_role = ALWAYS if statement.resources is None else _resources_extent(statement, request)
        covered = both(_service_named(statement, service), on_role)
        if covered is NEVER:
            continue
        hit = Hit(source, statement, _where_conditions_hold(covered, statement, request))
        if statement.effect == "Allow":
            allows.append(hit)
        elif hit.extent is not NEVER:
            denials.append(hit)
    return tuple(allows), tuple(denials)


def _service_named(statement: Statement, service: str) -> Extent:
    # As a Deny, what cannot be understood may be about any service.
    if statement.effect == "Deny" and (statement.principals is None or statement.actions is None):
        return UNKNOWN
    return ALWAYS if service_is_named(statement.principals, service) else NEVER


def _caller_named(statement: Statement, caller: RoleSession | None) -> tuple[Named, Extent]:
    if statement.effect is None:
        return Named.NOT, NEVER
    if caller is None:
        return Named.SESSION, ALWAYS
    if statement.effect == "Deny":
        return Named.SESSION, caller.denied_by(statement.principals)
    named = caller.allowed_as(statement.principals)
    if named is Named.PERHAPS:
        return named, UNKNOWN
    return named, NEVER if named is Named.NOT else ALWAYS


def _is_about(statement: Statement, action: str) -> bool:
    # A statement whose actions cannot be understood grants nothing; as a Deny it may be about any action.
    if statement.actions is None:
        return statement.effect == "Deny"
    return actions_match(statement.actions, action)


def actions_match(actions: Patterns, action: str) -> bool:
    """Whether an Action or NotAction element covers an action; names are not case-sensitive.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    return _any_matches(actions.patterns, action.lower()) is not actions.negated


@lru_cache(4096)
def _any_matches(patterns: tuple[str, ...], lowered: str) -> bool:
    return any(text_matches(pattern.lower(), lowered) for pattern in patterns)


def alike(sources: Iterable[Source], actions: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The actions in groups that no statement of the documents says apart, so that each group is weighed once."""
    groups = [actions]
    for source in sources:
        for statement in source.document.statements:
            covered = _covered(statement.actions, actions)
            if covered and covered is not actions:
                groups = [part for group in groups for part in _parted(group, covered)]
    return tuple(groups)


def _parted(group: tuple[str, ...], covered: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """The actions of a group that are covered, and the others; no empty part."""
    inside = tuple([action for action in group if action in covered])
    if not inside or len(inside) == len(group):
        return (group,)
    return (inside, tuple([action for action in group if action not in covered]))


def allowed_at_all(sources: Iterable[Source], actions: tuple[str, ...]) -> frozenset[str]:
    """Those of the actions that an Allow of the documents is about, on whatever resource and condition."""
    return frozenset(
        action
        for source in sources
        for statement in source.document.statements
        if statement.effect == "Allow"
        for action in _covered(statement.actions, actions)
    )


def tested(sources: Iterable[Source], keys: frozenset[str]) -> bool:
    """Whether a Condition of the documents tests one of these keys, given in lower case."""
    return any(
        condition.key.lower() in keys
        for source in sources
        for statement in source.document.statements
        for condition in statement.conditions
    )


def _covered(element: Patterns | None, actions: tuple[str, ...]) -> tuple[str, ...]:
    return () if element is None else _covered_by(element.patterns, element.negated, actions)


@lru_cache(4096)
def _covered_by(patterns: tuple[str, ...], negated: bool, actions: tuple[str, ...]) -> tuple[str, ...]:
    covered = tuple([action for action in actions if _any_matches(patterns, action.lower()) is not negated])
    return actions if len(covered) == len(actions) else covered


def _resources_extent(statement: Statement, request: Request) -> Extent:
    resources = statement.resources
    if statement.actions is None:
        return UNKNOWN
    if resources is None:
        return UNKNOWN if statement.effect == "Deny" else NEVER
    extent = NEVER
    for pattern in resources.patterns:
        extent = either(extent, _resource_extent(pattern, statement, request, resources.negated))
        if extent is ALWAYS:
            break
    return opposite(extent) if resources.negated else extent


def _resource_extent(pattern: str, statement: Statement, request: Request, negated: bool) -> Extent:
    if not (statement.has_variables and has_variable(pattern)):
        return text_extent(pattern, request.target)
    pieces = resolve(pattern, request.context)
    if pieces is Unresolved.UNKNOWN or (pieces is Unresolved.NOT_PRESENT and negated):
        return UNKNOWN
    if pieces is Unresolved.NOT_PRESENT:
        return NEVER
    assert not isinstance(pieces, Unresolved)  # noqa: S101  # both of its members have been answered
    return glob_extent(pieces_glob(pieces), request.target)
