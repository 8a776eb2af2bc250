"""Read roles, their policies and their instance profiles, and write what a repair of a role may write."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NoReturn

from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, policy_text, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import AwsError, NotFoundError, RejectedError, TransientError
from remediator.gateways.aws_errors import reading, translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_iam.type_defs import InstanceProfileTypeDef, RoleTypeDef

_KEPT_VERSIONS = 500
_EXISTS = frozenset({"EntityAlreadyExists", "EntityAlreadyExistsException"})


class IamGateway:
    """IAM as the flows see it.

    Every method raises TransientError where trying again later can help. A read that AWS refuses for another reason is
    no error but the reading Unreadable, because it must be told to a person. Writes raise any AwsError. They go through
    the client that ``writing`` gives, which must not try a second time by itself (``flows.writing``); without it there
    is nothing to write with.
    """

    def __init__(self, client: IAMClient, writing: Callable[[], IAMClient] | None = None) -> None:
        self._client = client
        self._writing = _only_reads if writing is None else cache(writing)
        # A version of a managed policy never changes. The key has the policy's id, not its ARN: a policy that is
        # deleted and created again keeps its ARN, and its first version is v1 once more.
        self._versions: dict[tuple[str, str], Reading[PolicyDocument]] = {}

    def read_role(self, role_name: str) -> Reading[Role]:
        """The role with its tags and trust policy, in one call.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
        """
        return reading("iam:GetRole", lambda: _role(self._client.get_role(RoleName=role_name)["Role"]))

    def read_policies(self, role: Role) -> RolePolicies:
        """All identity policies of the role and its boundary.

        Raises NotFoundError where the role, or a policy that was just listed, has gone in the meantime.
        """
        return RolePolicies(
            inline=self._inline_policies(role.arn.name),
            attached=self._attached_policies(role.arn.name),
            boundary=Absent() if role.boundary_arn is None else Present(self.read_managed_policy(role.boundary_arn)),
        )

    def read_inline_policy(self, role_name: str, policy_name: str) -> Reading[PolicyDocument]:
        """One inline policy of the role.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html
        """
        read = reading(
            "iam:GetRolePolicy", lambda: self._client.get_role_policy(RoleName=role_name, PolicyName=policy_name)
        )
        return read_policy(read.value["PolicyDocument"]) if isinstance(read, Present) else read

    def read_managed_policy(self, arn: str) -> ManagedPolicy:
        """A managed policy in its default version, in two calls, or one where that version is known already.

        Raises NotFoundError where there is no such policy.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
        """
        try:
            with translated("iam:GetPolicy"):
                policy = self._client.get_policy(PolicyArn=arn)["Policy"]
            key = (policy["PolicyId"], policy["DefaultVersionId"])
            if key not in self._versions:
                with translated("iam:GetPolicyVersion"):
                    answer = self._client.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
                if len(self._versions) >= _KEPT_VERSIONS:
                    self._versions.clear()
                self._versions[key] = read_policy(answer["PolicyVersion"].get("Document"))
        except (TransientError, NotFoundError):
            raise
        except AwsError as error:
            return ManagedPolicy(arn, Unreadable(str(error)))
        return ManagedPolicy(arn, self._versions[key])

    def read_instance_profiles(self, role_name: str) -> InstanceProfiles:
        """The instance profiles that hold the role, and the one of its name where none of those has it.

        One call (for each page), and a second one where the role is not in the instance profile of its name. Raises
        NotFoundError where the role is gone.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfilesForRole.html
        """

        def listed() -> tuple[InstanceProfile, ...]:
            pages = self._client.get_paginator("list_instance_profiles_for_role").paginate(RoleName=role_name)
            return tuple(_instance_profile(each) for page in pages for each in page["InstanceProfiles"])

        holding = reading("iam:ListInstanceProfilesForRole", listed, must_exist=True)
        if not isinstance(holding, Present) or any(profile.name == role_name for profile in holding.value):
            return InstanceProfiles(holding=holding)
        return InstanceProfiles(holding=holding, namesake=self.read_instance_profile(role_name))

    def read_instance_profile(self, name: str) -> Reading[InstanceProfile]:
        """The instance profile of that name.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetInstanceProfile.html
        """
        return reading(
            "iam:GetInstanceProfile",
            lambda: _instance_profile(self._client.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]),
        )

    def roles_of_policy(self, policy_arn: str) -> Reading[tuple[str, ...]]:
        """The names of the roles that a managed policy is attached to or bounds, each once and sorted.

        Without a PolicyUsageFilter AWS lists both usages.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html
        """

        def listed() -> tuple[str, ...]:
            paginator = self._client.get_paginator("list_entities_for_policy")
            pages = paginator.paginate(PolicyArn=policy_arn, EntityFilter="Role")
            return tuple(sorted({role["RoleName"] for page in pages for role in page["PolicyRoles"]}))

        return reading("iam:ListEntitiesForPolicy", listed)

    def write_trust(self, role_name: str, document: PolicyDocument) -> None:
        """Replace the role's trust policy by ``document``.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html
        """
        with translated("iam:UpdateAssumeRolePolicy"):
            self._writing().update_assume_role_policy(RoleName=role_name, PolicyDocument=policy_text(document))

    def write_inline_policy(self, role_name: str, policy_name: str, document: PolicyDocument) -> None:
        """Create or replace one inline policy of the role.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
        """
        with translated("iam:PutRolePolicy"):
            self._writing().put_role_policy(
                RoleName=role_name, PolicyName=policy_name, PolicyDocument=policy_text(document)
            )

    def delete_inline_policy(self, role_name: str, policy_name: str) -> None:
        """Delete one inline policy of the role; that it is gone already is no error.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRolePolicy.html
        """
        try:
            with translated("iam:DeleteRolePolicy"):
                self._writing().delete_role_policy(RoleName=role_name, PolicyName=policy_name)
        except NotFoundError:
            return

    def create_instance_profile(self, name: str, path: str) -> None:
        """Create an empty instance profile; that there is one of that name already is no error.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateInstanceProfile.html
        """
        try:
            with translated("iam:CreateInstanceProfile"):
                self._writing().create_instance_profile(InstanceProfileName=name, Path=path)
        except RejectedError as error:
            if error.code not in _EXISTS:
                raise

    def add_role_to_instance_profile(self, name: str, role_name: str) -> None:
        """Put the role into an instance profile, which has room for one; this takes iam:PassRole on the role.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
        """
        with translated("iam:AddRoleToInstanceProfile"):
            self._writing().add_role_to_instance_profile(InstanceProfileName=name, RoleName=role_name)

    def remove_role_from_instance_profile(self, name: str, role_name: str) -> None:
        """Take the role out of an instance profile; that it is not in it any more is no error.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveRoleFromInstanceProfile.html
        """
        try:
            with translated("iam:RemoveRoleFromInstanceProfile"):
                self._writing().remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role_name)
        except NotFoundError:
            return

    def delete_instance_profile(self, name: str) -> None:
        """Delete an instance profile, which must be empty; that it is gone already is no error.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteInstanceProfile.html
        """
        try:
            with translated("iam:DeleteInstanceProfile"):
                self._writing().delete_instance_profile(InstanceProfileName=name)
        except NotFoundError:
            return

    def tag_role(self, role_name: str, key: str, value: str) -> None:
        """Set a tag of the role, whether or not it has one of that key.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagRole.html
        """
        with translated("iam:TagRole"):
            # It replaces no document, but one tag, which belongs to the remediator: sent again, it says the same.
            self._client.tag_role(RoleName=role_name, Tags=[{"Key": key, "Value": value}])

    def _inline_policies(self, role_name: str) -> Reading[tuple[InlinePolicy, ...]]:
        def listed() -> list[str]:
            pages = self._client.get_paginator("list_role_policies").paginate(RoleName=role_name)
            return [name for page in pages for name in page["PolicyNames"]]

        names = reading("iam:ListRolePolicies", listed, must_exist=True)
        if not isinstance(names, Present):
            return names
        policies = []
        for name in names.value:
            document = self.read_inline_policy(role_name, name)
            if isinstance(document, Absent):
                raise NotFoundError("iam:GetRolePolicy", "NoSuchEntity", f"inline policy {name} of {role_name} is gone")
            policies.append(InlinePolicy(name, document))
        return Present(tuple(policies))

    def _attached_policies(self, role_name: str) -> Reading[tuple[ManagedPolicy, ...]]:
        def listed() -> list[str]:
            pages = self._client.get_paginator("list_attached_role_policies").paginate(RoleName=role_name)
            return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]

        arns = reading("iam:ListAttachedRolePolicies", listed, must_exist=True)
        if not isinstance(arns, Present):
            return arns
        return Present(tuple(self.read_managed_policy(arn) for arn in arns.value))


def _only_reads() -> NoReturn:
    raise TypeError("this gateway has no client to write with")


def _role(role: RoleTypeDef) -> Role:
    return Role(
        arn=RoleArn.parse(role["Arn"]),
        role_id=role["RoleId"],
        tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
        trust=read_policy(role.get("AssumeRolePolicyDocument")),
        boundary_arn=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        created=role["CreateDate"],
    )


def _instance_profile(profile: InstanceProfileTypeDef) -> InstanceProfile:
    return InstanceProfile(
        arn=profile["Arn"],
        name=profile["InstanceProfileName"],
        role_names=tuple(role["RoleName"] for role in profile["Roles"]),
    )
