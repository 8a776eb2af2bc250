"""How the sides of a decision come together: identity policies, boundary, SCPs and the policy of the resource.

An explicit Deny on any side decides. Else every limit (SCPs, boundary) must allow the request, and so must one side
that grants: within an account the role's policies or the resource's, across accounts both.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-single-account.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from remediator.core.policy.evaluate import Hit, Source, Weighed
from remediator.core.policy.explain import Reason, conditions_in_words, reason
from remediator.core.policy.extent import ALWAYS, NEVER
from remediator.core.policy.principals import Named

Answer: TypeAlias = bool | None
"""Yes, no, or None: nobody can say."""

_MOST_REASONS = 4


class GrantVerdict(StrEnum):
    """Whether the role may make a request.

    MISSING: not granted, and an Allow on the right side would help. BLOCKED: an Allow would not help. UNDECIDED:
    nobody can say.
    """

    ALLOWED = "allowed"
    MISSING = "missing"
    BLOCKED = "blocked"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Side:
    """The documents of one side of the decision; ``unreadable`` are those that could not be read, with the reason."""

    sources: tuple[Source, ...] = ()
    unreadable: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What one side says about one request."""

    side: Side
    weighed: Weighed

    def allows(self, at_least: Named = Named.ROLE) -> Answer:
        """Whether it grants the request, to a caller that is named at least so directly."""
        answer: Answer = None if self.side.unreadable else False
        for hit in self.weighed.allows:
            if hit.named >= at_least:
                if hit.extent is ALWAYS:
                    return True
                if hit.extent.is_possible_everywhere:
                    answer = None
        return answer

    def denies(self) -> Answer:
        """Whether it denies the request, or part of what the request stands for, explicitly."""
        if not self.weighed.denials:
            return None if self.side.unreadable else False
        return True if any(hit.extent.is_certain_somewhere for hit in self.weighed.denials) else None


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that grants nothing by itself, but without whose Allow nothing is granted; ``name`` is for people."""

    name: str
    said: Said


@dataclass(frozen=True, slots=True)
class Sides:
    """All that is said about one request.

    ``what`` is the request in words. ``controls`` are the SCPs level by level, ``boundary`` the permissions boundary.
    ``cut_off`` says whether something else (Block Public Access) keeps the caller out whatever the policies say, and
    ``cut_off_because`` why.
    """

    what: str
    identity: Said
    resource: Said
    boundary: Limit | None = None
    controls: tuple[Limit, ...] = ()
    cut_off: Answer = False
    cut_off_because: Reason | None = None

    def parts(self) -> tuple[Said, ...]:
        """Every side that can deny."""
        if not self.controls and not self.boundary:
            return (self.identity, self.resource)
        return (self.identity, self.resource, *[limit.said for limit in self.limits()])

    def limits(self) -> tuple[Limit, ...]:
        """The SCPs and the boundary."""
        return (*self.controls, self.boundary) if self.boundary else self.controls


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one request, why, and on which side an Allow would help (``identity``, ``bucket_policy``)."""

    verdict: GrantVerdict
    because: tuple[Reason, ...]
    fix_by: tuple[str, ...] = ()


def all_of(answers: Iterable[Answer]) -> Answer:
    """Whether all of them are yes."""
    result: Answer = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            result = None
    return result


def any_of(answers: Iterable[Answer]) -> Answer:
    """Whether one of them is yes."""
    result: Answer = False
    for answer in answers:
        if answer is True:
            return True
        if answer is None:
            result = None
    return result


def bucket_access(sides: Sides, *, crosses_accounts: bool) -> Decision:
    """Decide a request to S3.

    Within the account, a bucket policy that names the role grants as the role's own policies do, and the boundary
    limits both; one that names the session, or everybody, grants past the boundary. One that names the account only
    leaves it to the role's policies.
    """
    boundary = sides.boundary.said.allows() if sides.boundary else True
    controls = all_of([limit.said.allows() for limit in sides.controls])
    identity = sides.identity.allows()
    if crosses_accounts:
        is_in = None if sides.cut_off is None else not sides.cut_off
        resource = sides.resource.allows(Named.PERHAPS)
        possible = all_of((controls, boundary, is_in))
        granted = all_of((possible, identity, resource))
        lacking = [name for name, answer in (("identity", identity), ("bucket_policy", resource)) if not answer]
        fix_by: tuple[str, ...] = ("+".join(lacking),)
    else:
        direct = sides.resource.allows(Named.SESSION)
        possible = all_of((controls, any_of((direct, boundary))))
        granted = all_of((controls, any_of((direct, all_of((boundary, any_of((identity, sides.resource.allows()))))))))
        fix_by = ("bucket_policy", "identity")
    return _decided(sides, granted, possible, fix_by)


def key_access(sides: Sides, *, crosses_accounts: bool) -> Decision:
    """Decide a request to KMS: the key policy has the first word, the role's policies count only if it lets them.

    https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html#key-policy-default-allow-root-enable-iam
    """
    boundary = sides.boundary.said.allows() if sides.boundary else True
    controls = all_of([limit.said.allows() for limit in sides.controls])
    identity = sides.identity.allows()
    delegated = sides.resource.allows(Named.ACCOUNT)
    if crosses_accounts:
        possible = all_of((controls, boundary, delegated))
        granted = all_of((possible, identity))
    else:
        direct, as_role = sides.resource.allows(Named.SESSION), sides.resource.allows()
        possible = all_of((controls, any_of((direct, all_of((boundary, delegated))))))
        granted = all_of(
            (controls, any_of((direct, all_of((boundary, any_of((as_role, all_of((delegated, identity)))))))))
        )
    return _decided(sides, granted, possible, ("identity",))


def _decided(sides: Sides, granted: Answer, possible: Answer, fix_by: tuple[str, ...]) -> Decision:
    denied = any_of([part.denies() for part in sides.parts()])
    if denied is True or possible is False:
        return Decision(GrantVerdict.BLOCKED, _why_blocked(sides))
    if granted is True and denied is False:
        return Decision(GrantVerdict.ALLOWED, _why_allowed(sides))
    if granted is False and denied is False and possible is True:
        return Decision(GrantVerdict.MISSING, _why_missing(sides), fix_by)
    return Decision(GrantVerdict.UNDECIDED, _why_undecided(sides))


def _why_allowed(sides: Sides) -> tuple[Reason, ...]:
    hits = [hit for said in (sides.identity, sides.resource) for hit in said.weighed.allows if hit.extent is ALWAYS]
    return tuple([reason(hit.source.name, hit.statement, f"allows {sides.what}") for hit in hits[:_MOST_REASONS]])


def _why_blocked(sides: Sides) -> tuple[Reason, ...]:
    because = [
        _denial(hit, "denies", sides.what)
        for part in sides.parts()
        for hit in part.weighed.denials
        if hit.extent.is_certain_somewhere
    ]
    if because:
        return tuple(because[:_MOST_REASONS])
    because = [
        Reason(limit.name, None, f"does not allow {sides.what}")
        for limit in sides.limits()
        if limit.said.allows() is False
    ]
    if sides.cut_off and sides.cut_off_because:
        because.append(sides.cut_off_because)
    if not because:
        because.append(
            Reason(
                _name_of(sides.resource, "the key policy"),
                None,
                f"does not let the role's own policies decide on {sides.what}",
            )
        )
    return tuple(because)


def _why_missing(sides: Sides) -> tuple[Reason, ...]:
    because = [Reason("no policy", None, f"allows {sides.what}")]
    for said in (sides.identity, sides.resource):
        for hit in (*said.weighed.allows, *said.weighed.misses):
            words = conditions_in_words(hit.statement)
            if hit.is_elsewhere:
                text = "allows it on other resources only"
            elif hit.extent is NEVER:
                text = f"allows it only{words}, which these requests do not meet"
            elif hit.extent is ALWAYS:
                text = "allows it, which is not enough by itself"
            else:
                text = f"allows a part of it only{words}"
            because.append(reason(hit.source.name, hit.statement, text))
    return tuple(because[:_MOST_REASONS])


def _why_undecided(sides: Sides) -> tuple[Reason, ...]:
    because: list[Reason] = []
    for part in sides.parts():
        because += part.side.unreadable
        because += [_denial(hit, "may deny", sides.what) for hit in part.weighed.denials]
    for said in (sides.identity, sides.resource, *[limit.said for limit in sides.limits()]):
        because += [
            reason(
                hit.source.name,
                hit.statement,
                f"may allow {sides.what}{conditions_in_words(hit.statement)}, which cannot be said here",
            )
            for hit in said.weighed.allows
            if hit.extent is not ALWAYS and hit.extent.is_possible_everywhere
        ]
    if sides.cut_off is None and sides.cut_off_because:
        because.append(sides.cut_off_because)
    return tuple(because[:_MOST_REASONS])


def _denial(hit: Hit, verb: str, what: str) -> Reason:
    part = "" if hit.extent is ALWAYS or verb == "may deny" else "a part of "
    whom = ""
    if hit.statement.principals is not None and hit.statement.principals.negated:
        whom = " to every principal that is not listed together with its account, and to every role with a boundary"
    return reason(hit.source.name, hit.statement, f"{verb} {part}{what}{whom}{conditions_in_words(hit.statement)}")


def _name_of(said: Said, otherwise: str) -> str:
    return said.side.sources[0].name if said.side.sources else otherwise
