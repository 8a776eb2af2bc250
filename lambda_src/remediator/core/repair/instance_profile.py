"""The instance profile of a role: can instances get the role? Anyscale looks for one that has the role's own name.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html#ec2-instance-profile
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import assert_never

from remediator.core.history.change import Change
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.observed import Observed
from remediator.core.model.write import DocumentId, DocumentKind, Write, instance_profile_json
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import Desired
from remediator.core.repair.infrastructure_code import PermanentFix, hcl, subjects_of, yaml
from remediator.core.repair.write_blockers import Planned, Retained, block_repairs
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


def assess(observed: Observed, desired: Desired) -> tuple[Finding, ...]:
    """What is wrong with the instance profile of the role's name; empty where it holds it, or was not looked at."""
    if observed.profiles is None or desired.instance_profile is InstanceProfileMode.IGNORE:
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


def repair(observed: Observed, findings: tuple[Finding, ...], desired: Desired) -> tuple[Planned, ...]:
    """The write that puts the role into the instance profile of its name, and creates that where there is none."""
    missing = tuple(finding for finding in findings if finding.code is FindingCode.PROFILE_MISSING)
    if not missing:
        return ()
    if desired.instance_profile is not InstanceProfileMode.REPAIR:
        return block_repairs(
            missing, "The configuration does not allow it: `instanceProfile` of the cloud is not `repair`."
        )
    if observed.profiles is None or observed.profiles.namesake is None:
        return block_repairs(missing, "Whether an instance profile of that name exists was not checked.")
    role = observed.role.arn
    path, before = role.path, None
    match observed.profiles.namesake:
        case Present(value=profile):
            _, _, path_and_name = profile.arn.partition(":instance-profile/")
            if not any(pattern.matches(path_and_name) for pattern in desired.instance_profiles):
                why = f"It exists as {profile.arn}, under a path that no role pattern of the cloud allows, and there"
                return block_repairs(missing, f"{why} the remediator may not write.")
            path = path_of_instance_profile(profile.arn)
            before = instance_profile_json(role.name, path)
        case _:
            pass
    document = DocumentId(DocumentKind.INSTANCE_PROFILE, role.name, path=path)
    return (Write(document, before, instance_profile_json(role.name, path, role.name), missing),)


def removal(made: Change, profile: Reading[InstanceProfile]) -> Write | Retained | None:
    """The write that deletes an instance profile that the change ``made`` created; None where there is none any more.

    Only an empty one goes: what others put into it is theirs, and instances may be running with it.
    """
    name = made.document.name
    match profile:
        case Absent():
            return None
        case Unreadable(why=why):
            return Retained(str(made.document), f"It could not be read: {why}")
        case Present(value=found) if found.role_names:
            holds = ", ".join(found.role_names)
            return Retained(
                str(made.document),
                f"The remediator has created it, and it holds the role {holds}, which instances may use. When none "
                f"does: aws iam remove-role-from-instance-profile --instance-profile-name {name} --role-name "
                f"{found.role_names[0]} && aws iam delete-instance-profile --instance-profile-name {name}",
            )
        case Present():
            empty = instance_profile_json(name, made.document.path or "/")
            return Write(made.document, empty, None, note="It is empty, so that nothing uses it.")
        case _ as never:
            assert_never(never)


def permanent_fix(role: RoleArn, findings: tuple[Finding, ...], arn: str) -> Iterable[PermanentFix]:
    """The instance profile that is to have that ARN, or the name of the role."""
    if not subjects_of(findings, FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED):
        return
    path = path_of_instance_profile(arn) if arn.endswith(f"/{role.name}") else role.path
    terraform = (
        'resource "aws_iam_instance_profile" "anyscale_node" {',
        f'  name = "{role.name}"',
        f"  path = {hcl(path)}",
        f'  role = "{role.name}"',
        "}",
    )
    properties = {"InstanceProfileName": role.name, "Path": path, "Roles": [role.name]}
    cloudformation = {"AnyscaleNodeInstanceProfile": {"Type": "AWS::IAM::InstanceProfile", "Properties": properties}}
    yield PermanentFix("\n".join(terraform), yaml(cloudformation))
