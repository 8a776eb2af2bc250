"""Roles as the alerts of the samples are about, judged by the product's own functions.

Findings, reasons and documents are what the product makes of these roles, so that no sample says what no role causes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remediator.core.enrollment.decide import NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.enrollment.privilege import refuse_by_policies
from remediator.core.history.change import Change, ChangeState, settlement
from remediator.core.model.bucket import Bucket, CustomerKey
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.instance_profile import InstanceProfiles
from remediator.core.model.observed import Observed
from remediator.core.model.role import InlinePolicy, ManagedPolicy, RolePolicies
from remediator.core.policy.document import Json
from remediator.core.policy.reading import Absent, Present, Reading
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.settings import GrantLocation, InstanceProfileMode
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, a_role, bucket_grant, document, settings
from tests.unit.history.changes import a_change

KEY_ARN = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NO_POLICIES = RolePolicies(Present(()), Present(()))
GRANTED = replace(NO_POLICIES, inline=Present((InlinePolicy("bucket", Present(document(bucket_grant()))),)))
_FREEZE = {
    "Sid": "Freeze",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:PutObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/*",
}
_OWNER_ALONE = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/key-admin"},
    "Action": "kms:*",
    "Resource": "*",
}
_DENY_ALL = ManagedPolicy(
    "arn:aws:iam::aws:policy/AWSDenyAll", Present(document({"Effect": "Deny", "Action": "*", "Resource": "*"}))
)
REPORT_PROFILE = Desired(instance_profile=InstanceProfileMode.REPORT)
REPAIR_PROFILE = Desired(instance_profile=InstanceProfileMode.REPAIR, instance_profiles=settings().clouds[0].roles)


def observed(
    *trust: Mapping[str, object],
    policies: RolePolicies = GRANTED,
    bucket: Mapping[str, object] | None = None,
    key: Mapping[str, object] | None = None,
) -> Observed:
    """The example role with these trust statements, and its bucket with one statement in its policy or its key's."""
    with_key = None if key is None else CustomerKey(KEY_ARN, Present(document(key)))
    policy = Absent() if bucket is None else Present(document(bucket))
    return Observed(
        a_role(*trust), policies, ((BUCKET, Present(Bucket(BUCKET, ACCOUNT, "us-east-1", policy, key=with_key))),)
    )


def planned(state: Observed, desired: Desired = Desired()) -> tuple[tuple[Finding, ...], RepairPlan]:  # noqa: B008  # it is frozen
    """The findings about a state, and the plan that repairs them."""
    findings = diagnose(state, None, desired)
    return findings, plan_repair(state, findings, desired)


def padding(size: int) -> Mapping[str, object]:
    """A trust statement of about that many characters."""
    names = [f"arn:aws:iam::{ACCOUNT}:role/worker-{number:03}" for number in range(size // 46)]
    return {"Effect": "Allow", "Principal": {"AWS": names}, "Action": "sts:TagSession"}


def finding(findings: tuple[Finding, ...], code: FindingCode) -> Finding:
    """The one finding of that code."""
    (found,) = (each for each in findings if each.code is code)
    return found


BROKEN, BROKEN_PLAN = planned(observed(LAMBDA_STATEMENT, policies=NO_POLICIES))
TRUST_MISSING = finding(BROKEN, FindingCode.TRUST_MISSING)
GRANT_MISSING = finding(BROKEN, FindingCode.GRANT_MISSING)
TRUST_STEP, GRANT_STEP = BROKEN_PLAN.writes

TO_BUCKET_POLICY, TO_BUCKET_POLICY_PLAN = planned(
    observed(EC2_STATEMENT, policies=NO_POLICIES),
    Desired(grant=GrantLocation.BUCKET_POLICY, writes_bucket_policies=True),
)
FROZEN = diagnose(observed(EC2_STATEMENT, bucket=_FREEZE))
HALF_FROZEN, HALF_FROZEN_PLAN = planned(observed(LAMBDA_STATEMENT, bucket=_FREEZE))
FULL, FULL_PLAN = planned(observed(padding(2_000)))
LOCKED_KEY = diagnose(observed(EC2_STATEMENT, key=_OWNER_ALONE))
CONDITIONAL = diagnose(
    observed({**EC2_STATEMENT, "Condition": {"StringEquals": {"aws:SourceAccount": "999988887777"}}})
)
_WITHOUT_PROFILE = replace(observed(EC2_STATEMENT), profiles=InstanceProfiles(Present(()), Absent()))
NO_PROFILE, NO_PROFILE_PLAN = planned(_WITHOUT_PROFILE, REPORT_PROFILE)
NEW_PROFILE_PLAN = planned(_WITHOUT_PROFILE, REPAIR_PROFILE)[1]
QUARANTINED = diagnose(observed(EC2_STATEMENT, policies=replace(GRANTED, attached=Present((_DENY_ALL,)))))


def refused(*, arn: str, powerful: bool = False) -> Refused:
    """Why a role of that ARN is refused: by its name, or because its policies make it privileged."""
    role = a_role(EC2_STATEMENT, arn=arn)
    enrollment = decide_enrollment(role, settings(), account=ACCOUNT)
    if isinstance(enrollment, Refused):
        return enrollment
    assert powerful
    policies = replace(NO_POLICIES, attached=Present((_ADMINISTRATOR,)))
    (cloud,) = settings().clouds
    refusal = refuse_by_policies(role, policies, cloud)
    assert refusal is not None
    return refusal


_ADMINISTRATOR = ManagedPolicy(
    "arn:aws:iam::aws:policy/AdministratorAccess",
    Present(document({"Effect": "Allow", "Action": "*", "Resource": "*"})),
)


def why_not_managed(tags: Mapping[str, str]) -> str:
    """Why a role with these tags is not managed, or is off."""
    enrollment = decide_enrollment(a_role(EC2_STATEMENT, tags=tags), settings(), account=ACCOUNT)
    assert isinstance(enrollment, (NotEnrolled, Off))
    return enrollment.why


def recovered(now: Reading[Json], **fields: Any) -> Change:
    """The interrupted repair of the trust policy, by what the document is now."""
    change = a_change(state=ChangeState.INTENDED, **fields)
    state, why = settlement(change, now)
    return replace(change, state=state, why=why)
