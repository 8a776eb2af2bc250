"""The resource to blame for what becomes of a role: one that a reason names, else one that changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from remediator.core.enrollment.decide import Refused
from remediator.core.enrollment.privilege import refuse_by_policies
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.policy.reading import Absent
from remediator_cli.checks.state import Comparison, Subject, findings_of, is_same_policy, key_of
from remediator_cli.iac.declared import DeclaredBucket, DeclaredPolicy, DeclaredRole, Place

_TRUST = frozenset(
    {FindingCode.TRUST_MISSING, FindingCode.TRUST_CONDITIONAL, FindingCode.TRUST_BLOCKED, FindingCode.TRUST_UNDECIDED}
)
PROFILE = frozenset({FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED, FindingCode.PROFILE_UNDECIDED})


def to_blame(finding: Finding, comparison: Comparison) -> Place:
    """The resource that makes the finding: one that its reasons name, else one that was taken away or changed."""
    now = comparison.now
    if finding.code in _TRUST:
        return now.place
    if finding.code in PROFILE:
        return next(_profiles_to_blame(finding, comparison), now.place)
    named = _named(finding, comparison)
    if named is not None:
        return named
    changed = tuple(_changed(finding, comparison))
    # Of several changes it is the one without which there is no such finding; where that takes more of them, the first.
    for place, undone in changed:
        left = findings_of(undone, comparison.desired)
        if not any((each.code, each.subject) == (finding.code, finding.subject) for each in left):
            return place
    return changed[0][0] if changed else now.place


def policy_to_blame(subject: Subject, was: DeclaredRole | None, refused: Refused) -> Place:
    """The policy that a role is refused for: one that the reason names, else one without which it would not be."""
    now = subject.declared
    for policy in now.policies:
        if policy.label in refused.why:
            return _place_of(policy, was)
    for policy in now.policies:
        less = replace(subject, declared=replace(now, policies=tuple(each for each in now.policies if each != policy)))
        if refuse_by_policies(less.role, less.policies(), less.cloud) is None:
            return _place_of(policy, was)
    return now.place


def _place_of(policy: DeclaredPolicy, was: DeclaredRole | None) -> Place:
    """Where a policy is written if the role had it before, else where the role is given it."""
    had = was is not None and any(key_of(each) == key_of(policy) for each in was.policies)
    return policy.written_at or policy.place if had else policy.place


def _place_of_boundary(now: DeclaredRole, was: DeclaredRole | None) -> Place:
    had = was is not None and was.boundary == now.boundary
    return now.boundary_place or now.place if had else now.place


def _named(finding: Finding, comparison: Comparison) -> Place | None:
    """The resource that a reason names: the first of those that changed, else the first."""
    now, was = comparison.now, comparison.was
    former = {key_of(policy): policy.document for policy in was.policies} if was else {}
    places: list[tuple[str, Place, bool]] = []
    for policy in now.policies:
        is_kept = is_same_policy(policy.document, former.get(key_of(policy), Absent()))
        places.append((policy.label, _place_of(policy, was), is_kept))
    is_kept = was is not None and is_same_policy(now.boundary_document, was.boundary_document)
    places.append(("permissions boundary", _place_of_boundary(now, was), is_kept))
    old, new = _bucket_before(finding, comparison), comparison.context.after.buckets.get(finding.subject)
    if new is not None:
        is_kept = old is not None and is_same_policy(new.policy, old.policy)
        places.append(("the bucket policy", new.place, is_kept))
    because = "\n".join(finding.because)
    found = [(is_kept, because.index(label), place) for label, place, is_kept in places if label in because]
    return min(found, key=lambda each: each[:2])[2] if found else None


def _bucket_before(finding: Finding, comparison: Comparison) -> DeclaredBucket | None:
    before = comparison.context.before
    return None if before is None else before.buckets.get(finding.subject)


def _changed(finding: Finding, comparison: Comparison) -> Iterator[tuple[Place, Subject]]:
    """What is no longer what it was, each with the role as if that had stayed: its policies, then its bucket's."""
    subject, was = comparison.subject, comparison.was
    yield from _changed_policies(subject, was) if was else ()
    old = _bucket_before(finding, comparison)
    new = comparison.context.after.buckets.get(finding.subject)
    if old is not None and (new is None or not is_same_policy(new.policy, old.policy)):
        buckets = {**subject.file.buckets, finding.subject: old}
        yield old.place, replace(subject, file=replace(subject.file, buckets=buckets))


def _changed_policies(subject: Subject, was: DeclaredRole) -> Iterator[tuple[Place, Subject]]:
    now = subject.declared
    present = {key_of(policy): policy for policy in now.policies}
    for policy in was.policies:
        left = present.get(key_of(policy))
        if left is None or not is_same_policy(left.document, policy.document):
            kept = tuple(each for each in now.policies if key_of(each) != key_of(policy))
            place = policy.place if left is None else _place_of(policy, was)
            yield place, replace(subject, declared=replace(now, policies=(*kept, policy)))


def _profiles_to_blame(finding: Finding, comparison: Comparison) -> Iterator[Place]:
    """The instance profiles of the role that changed, or that its name belongs to, or that a reason names."""
    now, file, before = comparison.now, comparison.context.after, comparison.context.before
    after = {profile.place.address: profile for profile in file.profiles}
    for profile in before.profiles if before else ():
        left = after.get(profile.place.address)
        is_kept = left is not None and (left.name, left.role) == (profile.name, profile.role)
        is_its_own = now.name in (profile.name, profile.role) or profile.role_address == now.place.address
        if is_its_own and not is_kept:
            yield profile.place
    reasons = "\n".join(finding.because)
    yield from (each.place for each in file.profiles if each.name == now.name or each.place.address in reasons)
