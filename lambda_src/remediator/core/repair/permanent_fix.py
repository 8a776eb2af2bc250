"""How to make a repair permanent: the statements to put into Terraform or CloudFormation, for this very role."""

from __future__ import annotations

from remediator.core.model.finding import Finding
from remediator.core.policy.arn import RoleArn
from remediator.core.repair import bucket_policy, keys, role_policy, trust
from remediator.core.repair import instance_profile as profiles
from remediator.core.repair.infrastructure_code import PermanentFix
from remediator.settings import GrantLocation


def permanent_fix(
    role_arn: str | None,
    findings: tuple[Finding, ...],
    buckets: tuple[str, ...],
    grant: GrantLocation = GrantLocation.ROLE_POLICY,
    *,
    instance_profile: str | None = None,
) -> PermanentFix | None:
    """The code that keeps the findings from coming back; None where code cannot (nothing is missing).

    ``buckets`` are the names of the cloud's buckets, ``grant`` the side where it grants them. ``instance_profile`` is
    the ARN of the role's instance profile, None where there is none yet.
    """
    if role_arn is None:
        return None
    role = RoleArn.parse(role_arn)
    is_in_role = grant is GrantLocation.ROLE_POLICY
    parts = [
        *trust.permanent_fix(role, findings),
        *(() if is_in_role else bucket_policy.permanent_fix(role, findings, buckets)),
        *role_policy.permanent_fix(role, findings, buckets if is_in_role else ()),
        *keys.permanent_fix(role, findings),
        *profiles.permanent_fix(role, findings, instance_profile or profiles.own_instance_profile_arn(role)),
    ]
    if not parts:
        return None
    return PermanentFix(
        "\n\n".join(part.terraform for part in parts), "\n\n".join(part.cloudformation for part in parts)
    )
