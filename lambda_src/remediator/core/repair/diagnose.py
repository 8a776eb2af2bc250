"""Compare what a role is with what its cloud needs, and write every difference down as a finding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from remediator.core.access.actions import REQUIRED_ACTIONS
from remediator.core.access.decision import GrantJudgement, GrantVerdict
from remediator.core.access.grants import judge_grants
from remediator.core.enrollment.quarantine import quarantine_findings
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import (
    OWN_POLICY_SUBJECT,
    REPAIRABLE,
    TRUST_SUBJECT,
    Finding,
    FindingCode,
    bucket_policy_subject,
)
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, Role, RolePolicies
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, same_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.bucket_policy import is_intact, is_turned_into_deny, named_roles, without_role
from remediator.core.repair.desired import Desired
from remediator.core.repair.instance_profile import profile_findings
from remediator.core.repair.keys import key_findings, keys_of
from remediator.core.repair.role_policy import OwnGrant, granted_by, own_policy, turned_into_deny
from remediator.core.repair.trust import TrustVerdict, judge_trust
from remediator.settings import GrantSide, InstanceProfileMode


def diagnose(
    observed: Observed,
    surroundings: EvaluationContext | None = None,
    desired: Desired = Desired(),  # noqa: B008  # it is frozen
) -> tuple[Finding, ...]:
    """Every difference between the observed state and a usable cluster role, trust first, then bucket by bucket.

    An empty answer means that EC2 may assume the role, that it can read and write all buckets of its cloud, and that
    nothing of ours is where it should not be. What is ours on the side where grants were put before does not count as
    a grant: so it is granted anew on the other side before it is taken back.
    """
    known = surroundings or EvaluationContext()
    counted = without_former_side(observed, desired)
    findings = [*_trust_findings(observed.role, known)]
    for name, reading in counted.buckets:
        findings.extend(_bucket_findings(counted, name, reading, known))
    findings.extend(key_findings(counted, known))
    findings.extend(_altered_grants(counted, findings, desired))
    findings.extend(_leftovers(observed, desired))
    if desired.instance_profile is not InstanceProfileMode.IGNORE:
        findings.extend(profile_findings(observed))
    findings.extend(quarantine_findings(observed.role, observed.policies))
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


def keys_to_grant(observed: Observed, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The keys that are missing a grant and of which at least one bucket can be used, or will be after the repair.

    Where all of them are for a person first, a grant on the key would not make them usable.
    """
    found = tuple(findings)
    for_a_person = {finding.subject for finding in found if finding.code not in REPAIRABLE}
    usable = {
        key.arn for key, buckets in keys_of(observed) if any(bucket.name not in for_a_person for bucket in buckets)
    }
    return tuple(f for f in found if f.code is FindingCode.KEY_MISSING and f.subject in usable)


def desired_own_grant(observed: Observed, findings: Iterable[Finding], desired: Desired) -> OwnGrant | None:
    """What our inline policy should grant; None where that cannot be said, because it could not be read.

    It names the buckets and keys of the cloud that are missing a grant, and those that it names already: it never comes
    to name one that is blocked, undecided or absent, because an Allow does not help there. Where grants are put into
    the bucket policies, it still names the buckets that it named before: they are taken back in a step of its own.
    """
    match own_policy_reading(observed.policies):
        case Present(value=document):
            named = granted_by(document, observed.role.arn.partition)
        case Absent():
            named = OwnGrant()
        case Unreadable():
            return None
        case _ as never:
            assert_never(never)
    found = tuple(findings)
    missing = {finding.subject for finding in found if finding.code is FindingCode.GRANT_MISSING}
    keys = {finding.subject for finding in keys_to_grant(observed, found)}
    of_cloud = {name for name, _ in observed.buckets}
    return OwnGrant.of(
        (missing if desired.grant is GrantSide.ROLE_POLICY else set()) | (set(named.buckets) & of_cloud),
        keys | (set(named.keys) & {key.arn for key, _ in keys_of(observed)}),
    )


def desired_own_policy(observed: Observed, findings: Iterable[Finding], desired: Desired) -> PolicyDocument | None:
    """Our inline policy as it should be; None where none is needed, or where it cannot be said."""
    grant = desired_own_grant(observed, findings, desired)
    if grant is None or grant == OwnGrant():
        return None
    return own_policy(own_policy_reading(observed.policies), grant, observed.role.arn.partition)


def without_former_side(observed: Observed, desired: Desired) -> Observed:
    """What is observed, less what is ours on the side where grants are no longer put and from where we may take it."""
    role = observed.role.arn
    match desired.grant:
        case GrantSide.BUCKET_POLICY:
            own = own_policy_reading(observed.policies)
            if (
                not isinstance(observed.policies.inline, Present)
                or not isinstance(own, Present)
                or own.value.faults
                or turned_into_deny(own.value)
            ):
                return observed
            kept = own_policy(own, OwnGrant.of(keys=granted_by(own.value, role.partition).keys), role.partition)
            others = tuple(each for each in observed.policies.inline.value if each.name != OWN_POLICY_NAME)
            mine = () if kept is None else (InlinePolicy(OWN_POLICY_NAME, Present(kept)),)
            return replace(observed, policies=replace(observed.policies, inline=Present((*others, *mine))))
        case GrantSide.ROLE_POLICY if desired.writes_bucket_policies:
            return replace(
                observed, buckets=tuple((name, _without_role(reading, role)) for name, reading in observed.buckets)
            )
        case GrantSide.ROLE_POLICY:
            return observed
        case _ as never:
            assert_never(never)


def _without_role(reading: Reading[Bucket], role: RoleArn) -> Reading[Bucket]:
    match reading:
        case Present(value=Bucket(policy=Present(value=document)) as bucket):
            return Present(replace(bucket, policy=Present(without_role(document, bucket.name, role))))
        case _:
            return reading


def _trust_findings(role: Role, surroundings: EvaluationContext) -> tuple[Finding, ...]:
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
    observed: Observed, name: str, reading: Reading[Bucket], surroundings: EvaluationContext
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


def _altered_grants(observed: Observed, findings: Iterable[Finding], desired: Desired) -> Iterable[Finding]:
    findings = tuple(findings)
    if desired.grant is GrantSide.BUCKET_POLICY:
        wrong = {finding.subject for finding in findings}
        for name, reading in observed.buckets:
            if name not in wrong and isinstance(reading, Present) and _is_altered(reading.value, observed.role.arn):
                because = "the statement that we keep in the bucket policy names somebody else, or was changed"
                yield Finding(FindingCode.GRANT_ALTERED, bucket_policy_subject(name), (because,))
    if any(finding.subject != TRUST_SUBJECT for finding in findings):
        # A missing grant restores our statements anyway. Where a bucket is blocked, undecided, absent or of somebody
        # else, our statements are left as they are: restoring them could grant on such a bucket.
        return
    current = own_policy_reading(observed.policies)
    if not isinstance(current, Present) or current.value.faults or turned_into_deny(current.value):
        return  # where somebody made a Deny of it, somebody means it; the blocked grant is told
    wanted = desired_own_policy(observed, findings, desired)
    if wanted is None or same_policy(current.value, wanted):
        return
    granted = granted_by(current.value, observed.role.arn.partition)
    named = {name for name, _ in observed.buckets} | {key.arn for key, _ in keys_of(observed)}
    beyond = sorted({*granted.buckets, *granted.keys} - named)
    because = (
        f"the inline policy {OWN_POLICY_NAME} grants {', '.join(beyond)}, which is not of the role's cloud"
        if beyond
        else f"the statements that we wrote into the inline policy {OWN_POLICY_NAME} were changed"
    )
    yield Finding(FindingCode.GRANT_ALTERED, OWN_POLICY_SUBJECT, (because,))


def _is_altered(bucket: Bucket, role: RoleArn) -> bool:
    match bucket.policy:
        case Present(value=document) if not document.faults and not is_turned_into_deny(document):
            return not is_intact(document, bucket.name, role)
        case _:
            return False


def _leftovers(observed: Observed, desired: Desired) -> Iterable[Finding]:
    """What is ours on the side where grants are no longer put."""
    role = observed.role.arn
    match desired.grant:
        case GrantSide.BUCKET_POLICY:
            own = own_policy_reading(observed.policies)
            if isinstance(own, Present) and granted_by(own.value, role.partition).buckets:
                because = "grants are put into the bucket policies now, and this policy still grants the buckets"
                yield Finding(FindingCode.GRANT_LEFTOVER, OWN_POLICY_SUBJECT, (because,))
        case GrantSide.ROLE_POLICY:
            for name, reading in observed.buckets:
                if (
                    isinstance(reading, Present)
                    and isinstance(reading.value.policy, Present)
                    and str(role) in named_roles(reading.value.policy.value, role.account)
                ):
                    because = "grants are put into the role now, and our statement in this policy still names the role"
                    yield Finding(FindingCode.GRANT_LEFTOVER, bucket_policy_subject(name), (because,))
        case _ as never:
            assert_never(never)


def _sentences(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons))
