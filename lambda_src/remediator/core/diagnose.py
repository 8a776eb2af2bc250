"""Compare what a role is with what its cloud needs, and write every difference down as a finding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from remediator.core.desired import Desired
from remediator.core.grants import (
    OWN_POLICY_NAME,
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    GrantJudgement,
    GrantVerdict,
    buckets_granted_by,
    judge_grants,
    own_policy,
)
from remediator.core.policy.document import PolicyDocument, same_policy
from remediator.core.policy.explain import Reason
from remediator.core.policy.own import turned_into_deny
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.state import Bucket, InstanceProfiles, Role, RolePolicies, Surroundings
from remediator.core.trust import TrustVerdict, judge_trust


class FindingCode(StrEnum):
    """Everything that can be wrong with an enrolled role; each has a message and a row in the documentation."""

    TRUST_MISSING = "trust-missing"
    TRUST_CONDITIONAL = "trust-conditional"
    TRUST_BLOCKED = "trust-blocked"
    TRUST_UNDECIDED = "trust-undecided"
    GRANT_MISSING = "grant-missing"
    GRANT_BLOCKED = "grant-blocked"
    GRANT_UNDECIDED = "grant-undecided"
    GRANT_ALTERED = "grant-altered"
    GRANT_BEYOND_ROLE = "grant-beyond-role"
    BUCKET_ABSENT = "bucket-absent"
    BUCKET_UNREADABLE = "bucket-unreadable"


REPAIRABLE = frozenset({FindingCode.TRUST_MISSING, FindingCode.GRANT_MISSING, FindingCode.GRANT_ALTERED})
"""The findings that adding, or restoring, a statement of ours can repair. All others are for a person."""

TRUST_SUBJECT = "trust policy"

REQUIRED_ACTIONS = frozenset((*REQUIRED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS))


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between the observed role and the desired one.

    ``subject`` is what it is about: ``trust policy``, or the name of a bucket. ``because`` are the reasons, most
    telling first. ``actions`` are the API actions that are missing, blocked or undecided, sorted.
    """

    code: FindingCode
    subject: str
    because: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """The role with its policies and the buckets of its cloud, by name, as they are now.

    ``profiles`` is None where instance profiles were not looked at.
    """

    role: Role
    policies: RolePolicies
    buckets: tuple[tuple[str, Reading[Bucket]], ...]
    profiles: InstanceProfiles | None = None


def diagnose(
    observed: Observed,
    surroundings: Surroundings | None = None,
    desired: Desired = Desired(),  # noqa: B008  # it is frozen
) -> tuple[Finding, ...]:
    """Every difference between the observed state and a usable cluster role, trust first, then bucket by bucket.

    An empty answer means that EC2 may assume the role and that it can read and write all buckets of its cloud.
    """
    known = surroundings or Surroundings()
    findings = [*_trust_findings(observed.role, known)]
    for name, reading in observed.buckets:
        findings.extend(_bucket_findings(observed, name, reading, known))
    findings.extend(_altered_grant(observed, findings))
    return tuple(findings)


def own_policy_reading(policies: RolePolicies) -> Reading[PolicyDocument]:
    """Our own inline policy on the role: Absent where the role has none, Unreadable where that cannot be said."""
    match policies.inline:
        case Present(value=inline):
            return next((policy.document for policy in inline if policy.name == OWN_POLICY_NAME), Absent())
        case Absent():
            return Absent()
        case Unreadable() as unreadable:
            return unreadable
        case _ as never:
            assert_never(never)


def desired_own_policy(observed: Observed, findings: Iterable[Finding]) -> PolicyDocument | None:
    """Our inline policy as it should be; None where none is needed, or where it cannot be said.

    It names the buckets of the cloud that are missing a grant, and those that it names already: it never comes to name
    a bucket that is blocked, undecided or absent, because an Allow does not help there.
    """
    current = own_policy_reading(observed.policies)
    partition = observed.role.arn.partition
    wanted = {finding.subject for finding in findings if finding.code is FindingCode.GRANT_MISSING}
    match current:
        case Present(value=document):
            named = set(buckets_granted_by(document, partition))
            wanted |= named & {name for name, _ in observed.buckets}
        case Absent():
            pass
        case Unreadable():
            return None
        case _ as never:
            assert_never(never)
    return own_policy(current, tuple(sorted(wanted)), partition) if wanted else None


def _trust_findings(role: Role, surroundings: Surroundings) -> tuple[Finding, ...]:
    judgement = judge_trust(role, surroundings)
    codes = {
        TrustVerdict.OK: None,
        TrustVerdict.MISSING: FindingCode.TRUST_MISSING,
        TrustVerdict.CONDITIONAL: FindingCode.TRUST_CONDITIONAL,
        TrustVerdict.BLOCKED: FindingCode.TRUST_BLOCKED,
        TrustVerdict.UNDECIDED: FindingCode.TRUST_UNDECIDED,
    }
    code = codes[judgement.verdict]
    return () if code is None else (Finding(code, TRUST_SUBJECT, _sentences(judgement.because), ("sts:AssumeRole",)),)


def _bucket_findings(
    observed: Observed, name: str, reading: Reading[Bucket], surroundings: Surroundings
) -> tuple[Finding, ...]:
    match reading:
        case Absent():
            return (Finding(FindingCode.BUCKET_ABSENT, name),)
        case Unreadable(why=why):
            return (Finding(FindingCode.BUCKET_UNREADABLE, name, (why,)),)
        case Present(value=bucket):
            judgements = judge_grants(observed.role, observed.policies, bucket, surroundings)
            return _grant_findings(name, [j for j in judgements if j.action in REQUIRED_ACTIONS])
        case _ as never:
            assert_never(never)


def _grant_findings(bucket: str, required: list[GrantJudgement]) -> tuple[Finding, ...]:
    # One finding per bucket, for the worst verdict: where one required action is blocked or undecided, granting the
    # others would not make the cluster work, and would pre-empt the person who has to look at it anyway.
    for verdict, code in (
        (GrantVerdict.BLOCKED, FindingCode.GRANT_BLOCKED),
        (GrantVerdict.UNDECIDED, FindingCode.GRANT_UNDECIDED),
        (GrantVerdict.MISSING, FindingCode.GRANT_MISSING),
    ):
        hit = [judgement for judgement in required if judgement.verdict is verdict]
        if hit:
            reasons = _sentences(tuple(reason for judgement in hit for reason in judgement.because))
            beyond = verdict is GrantVerdict.MISSING and not all("identity" in judgement.fix_by for judgement in hit)
            actions = tuple(sorted(judgement.action for judgement in hit))
            return (Finding(FindingCode.GRANT_BEYOND_ROLE if beyond else code, bucket, reasons, actions),)
    return ()


def _altered_grant(observed: Observed, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    findings = tuple(findings)
    if any(finding.subject != TRUST_SUBJECT for finding in findings):
        # A missing grant restores our statements anyway. Where a bucket is blocked, undecided, absent or of somebody
        # else, our statements are left as they are: restoring them could grant on such a bucket.
        return ()
    current = own_policy_reading(observed.policies)
    desired = desired_own_policy(observed, findings)
    if desired is None or not isinstance(current, Present) or same_policy(current.value, desired):
        return ()
    if turned_into_deny(current.value):
        return ()  # somebody means it; the blocked grant is told
    because = f"the statements that we wrote into the inline policy {OWN_POLICY_NAME} were changed"
    return (Finding(FindingCode.GRANT_ALTERED, OWN_POLICY_NAME, (because,)),)


def _sentences(reasons: Iterable[Reason]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(reason) for reason in reasons))
