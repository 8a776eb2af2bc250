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

from remediator.core.policy.evaluate import Answer, Hit, Request, Weighed
from remediator.core.policy.explain import conditions_in_words, reason
from remediator.core.policy.extent import ALWAYS, NEVER
from remediator.core.policy.principals import Named

_MOST_REASONS = 4


class GrantVerdict(StrEnum):
    """Whether the role may make a request.

    MISSING: not granted, and an Allow on the right side would help. BLOCKED: an Allow would not help. UNDECIDED: the
    policies do not say, or could not be read.
    """

    ALLOWED = "allowed"
    MISSING = "missing"
    BLOCKED = "blocked"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class GrantEvaluation:
    """The verdict on one action of the role on a bucket (for a KMS action: on the key of the bucket).

    ``fix_by`` holds the sides where an Allow would help: ``identity``, ``bucket_policy`` or
    ``identity+bucket_policy`` where both are needed; several where any of them will do; empty unless it is missing.
    """

    action: str
    verdict: GrantVerdict
    because: tuple[str, ...]
    fix_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.verdict}: {'; '.join(self.because)}"


@dataclass(frozen=True, slots=True)
class PolicyAnswers:
    """All that is said about one request.

    ``boundary`` is the permissions boundary, ``controls`` are the SCPs level by level: they grant nothing, but nothing
    is granted without them. ``cut_off`` says whether something else (Block Public Access) keeps the caller out
    whatever the policies say, and ``cut_off_because`` why; it is empty where nothing may.
    """

    request: Request
    identity: Weighed
    resource: Weighed
    boundary: Weighed | None = None
    controls: tuple[Weighed, ...] = ()
    cut_off: Answer = False
    cut_off_because: str = ""

    def all(self) -> tuple[Weighed, ...]:
        """Every side that can deny."""
        return (self.identity, self.resource, *self.limits())

    def limits(self) -> tuple[Weighed, ...]:
        """The SCPs and the boundary."""
        return (*self.controls, self.boundary) if self.boundary else self.controls


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


def bucket_access(sides: PolicyAnswers, *, crosses_accounts: bool) -> tuple[GrantEvaluation, ...]:
    """Decide a request to S3, for each of its actions.

    Within the account, a bucket policy that names the role grants as the role's own policies do, and the boundary
    limits both; one that names the session, or everybody, grants past the boundary. One that names the account only
    leaves it to the role's policies.
    """
    controls, boundary = _limits_allow(sides)
    identity = sides.identity.is_granted()
    if crosses_accounts:
        is_in = None if sides.cut_off is None else not sides.cut_off
        resource = sides.resource.is_granted(Named.PERHAPS)
        possible = all_of((controls, boundary, is_in))
        granted = all_of((possible, identity, resource))
        lacking = [name for name, answer in (("identity", identity), ("bucket_policy", resource)) if not answer]
        return _decided(sides, granted, possible, ("+".join(lacking),))
    direct, as_role = sides.resource.is_granted(Named.SESSION), sides.resource.is_granted()
    possible = all_of((controls, any_of((direct, boundary))))
    within_boundary = all_of((boundary, any_of((identity, as_role))))
    granted = all_of((controls, any_of((direct, within_boundary))))
    return _decided(sides, granted, possible, ("bucket_policy", "identity"))


def key_access(sides: PolicyAnswers, *, crosses_accounts: bool) -> tuple[GrantEvaluation, ...]:
    """Decide a request to KMS: the key policy has the first word, the role's policies count only if it lets them.

    https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html#key-policy-default-allow-root-enable-iam
    """
    controls, boundary = _limits_allow(sides)
    identity = sides.identity.is_granted()
    delegated = sides.resource.is_granted(Named.ACCOUNT)
    if crosses_accounts:
        possible = all_of((controls, boundary, delegated))
        return _decided(sides, all_of((possible, identity)), possible, ("identity",))
    direct, as_role = sides.resource.is_granted(Named.SESSION), sides.resource.is_granted()
    possible = all_of((controls, any_of((direct, all_of((boundary, delegated))))))
    within_boundary = all_of((boundary, any_of((as_role, all_of((delegated, identity))))))
    granted = all_of((controls, any_of((direct, within_boundary))))
    return _decided(sides, granted, possible, ("identity",))


def _limits_allow(sides: PolicyAnswers) -> tuple[Answer, Answer]:
    """Whether the SCPs allow the request, and whether the boundary does."""
    controls = all_of([level.is_granted() for level in sides.controls])
    return controls, sides.boundary.is_granted() if sides.boundary else True


def _decided(
    sides: PolicyAnswers, granted: Answer, possible: Answer, fix_by: tuple[str, ...]
) -> tuple[GrantEvaluation, ...]:
    denied = any_of([side.is_denied() for side in sides.all()])
    verdict = _verdict(denied, granted, possible)
    reasons = tuple(_REASONS[verdict](sides))
    if verdict is not GrantVerdict.MISSING:
        fix_by = ()
    return tuple([GrantEvaluation(action, verdict, reasons, fix_by) for action in sides.request.actions])


def _verdict(denied: Answer, granted: Answer, possible: Answer) -> GrantVerdict:
    if denied is True or possible is False:
        return GrantVerdict.BLOCKED
    if denied is False and granted is True:
        return GrantVerdict.ALLOWED
    if denied is False and granted is False and possible is True:
        return GrantVerdict.MISSING
    return GrantVerdict.UNDECIDED


def _why_allowed(sides: PolicyAnswers) -> list[str]:
    hits = [hit for hit in (*sides.identity.allows, *sides.resource.allows) if hit.extent is ALWAYS]
    return [reason(hit.source.name, hit.statement, f"allows {sides.request.what}") for hit in hits[:_MOST_REASONS]]


def _why_blocked(sides: PolicyAnswers) -> list[str]:
    what = sides.request.what
    denials = [hit for side in sides.all() for hit in side.denials if hit.extent.is_certain_somewhere]
    if denials:
        return [
            _denial(hit, "denies", what if hit.extent is ALWAYS else f"a part of {what}")
            for hit in denials[:_MOST_REASONS]
        ]
    return _why_impossible(sides) or [
        f"{sides.resource.side.name} does not let the role's own policies decide on {what}"
    ]


def _why_impossible(sides: PolicyAnswers) -> list[str]:
    because = [
        f"{limit.side.name} does not allow {sides.request.what}"
        for limit in sides.limits()
        if limit.is_granted() is False
    ]
    return [*because, sides.cut_off_because] if sides.cut_off else because


def _why_missing(sides: PolicyAnswers) -> list[str]:
    because = [f"no policy allows {sides.request.what}"]
    for side in (sides.identity, sides.resource):
        because += [
            reason(hit.source.name, hit.statement, _why_not_enough(hit)) for hit in (*side.allows, *side.misses)
        ]
    return because[:_MOST_REASONS]


def _why_not_enough(hit: Hit) -> str:
    if hit.is_elsewhere:
        return "allows it on other resources only"
    words = conditions_in_words(hit.statement)
    if hit.extent is NEVER:
        return f"allows it only{words}, which these requests do not meet"
    return "allows it, which is not enough by itself" if hit.extent is ALWAYS else f"allows a part of it only{words}"


def _why_undecided(sides: PolicyAnswers) -> list[str]:
    what = sides.request.what
    because: list[str] = []
    for side in sides.all():
        because += side.side.unreadable
        because += [_denial(hit, "may deny", what) for hit in side.denials]
    because += [
        reason(
            hit.source.name,
            hit.statement,
            f"may allow {what}{conditions_in_words(hit.statement)}, which cannot be said here",
        )
        for side in sides.all()
        for hit in side.allows
        if hit.extent is not ALWAYS and hit.extent.is_possible_everywhere
    ]
    if sides.cut_off is None:
        because.append(sides.cut_off_because)
    return because[:_MOST_REASONS]


def _denial(hit: Hit, verb: str, what: str) -> str:
    whom = ""
    if hit.statement.principals is not None and hit.statement.principals.negated:
        whom = " to every principal that is not listed together with its account, and to every role with a boundary"
    return reason(hit.source.name, hit.statement, f"{verb} {what}{whom}{conditions_in_words(hit.statement)}")


_REASONS = {
    GrantVerdict.ALLOWED: _why_allowed,
    GrantVerdict.BLOCKED: _why_blocked,
    GrantVerdict.MISSING: _why_missing,
    GrantVerdict.UNDECIDED: _why_undecided,
}
