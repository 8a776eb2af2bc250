"""Can instances get the role? Anyscale looks for an instance profile that has the role's own name.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html#ec2-instance-profile
"""

from __future__ import annotations

import json
from typing import assert_never

from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.observed import Observed
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.settings import InstanceProfileMode


def own_instance_profile_arn(role: RoleArn) -> str:
    """The ARN of the instance profile that has the role's name, and that is made under the role's path."""
    return f"arn:{role.partition}:iam::{role.account}:instance-profile{role.path}{role.name}"


def usable_instance_profile(observed: Observed, mode: InstanceProfileMode) -> str:
    """The ARN of the instance profile that a compute configuration can name, now or when the repair is made.

    It is the one of the role's name, unless only another one holds the role and nobody is about to change that.
    """
    role = observed.role.arn
    if observed.profiles is None:
        return own_instance_profile_arn(role)
    holding = observed.profiles.holding.value if isinstance(observed.profiles.holding, Present) else ()
    namesake = observed.profiles.namesake
    by_name = [profile.arn for profile in holding if profile.name == role.name]
    if isinstance(namesake, Present) and set(namesake.value.role_names) <= {role.name}:
        by_name.append(namesake.value.arn)
    if by_name:
        return by_name[0]
    if holding and not (mode is InstanceProfileMode.REPAIR and isinstance(namesake, Absent)):
        return min(profile.arn for profile in holding)
    return own_instance_profile_arn(role)


def path_of_instance_profile(arn: str) -> str:
    """The path in the ARN of an instance profile, with its slashes: ``/`` or ``/anyscale/production/``."""
    path, _, _ = arn.partition(":instance-profile")[2].rpartition("/")
    return f"{path}/"


def compute_configuration(instance_profile_arn: str) -> str:
    """The advanced configuration of an Anyscale compute configuration that names an instance profile, as JSON.

    It takes the ARN of the instance profile; the ARN of the role does not work.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IamInstanceProfileSpecification.html
    """
    return json.dumps({"IamInstanceProfile": {"Arn": instance_profile_arn}}, indent=2)


def profile_findings(observed: Observed) -> tuple[Finding, ...]:
    """What is wrong with the instance profile of the role's name; empty where it holds it, or was not looked at."""
    if observed.profiles is None:
        return ()
    role = observed.role.arn
    others: tuple[str, ...] = ()
    match observed.profiles.holding:
        case Present(value=holding):
            if any(profile.name == role.name for profile in holding):
                return ()
            others = tuple(
                f"the role is in {profile.arn} instead, which a compute configuration can name" for profile in holding
            )
        case Absent():
            pass
        case Unreadable(why=why):
            return (Finding(FindingCode.PROFILE_UNDECIDED, f"instance profile {role.name}", (why,)),)
        case _ as never:
            assert_never(never)
    return _namesake_findings(observed.profiles.namesake or Absent(), role, others)


def _namesake_findings(
    namesake: Reading[InstanceProfile], role: RoleArn, others: tuple[str, ...]
) -> tuple[Finding, ...]:
    match namesake:
        case Absent():
            code, because = FindingCode.PROFILE_MISSING, "it does not exist"
        case Present(value=profile) if role.name in profile.role_names:
            return ()
        case Present(value=profile) if profile.role_names:
            code = FindingCode.PROFILE_OCCUPIED
            because = f"it holds the role {profile.role_names[0]}, and an instance profile has room for one"
        case Present():
            code, because = FindingCode.PROFILE_MISSING, "it exists, and no role is in it"
        case Unreadable(why=why):
            code, because = FindingCode.PROFILE_UNDECIDED, why
        case _ as never:
            assert_never(never)
    return (Finding(code, f"instance profile {role.name}", (because, *others)),)
