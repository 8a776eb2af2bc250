"""Scan the whole account for the roles that carry the enrollment tag, and for others that matter to who asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.role import InlinePolicy, Role
from remediator.core.model.scan import Scanned, ScannedPage, ScannedRole, UnreadableRole
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import read_policy
from remediator.errors import UnknownAwsError
from remediator.gateways.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient

_OPERATION: Final = "iam:GetAccountAuthorizationDetails"
_PAGE_SIZE: Final = 1000
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html (RoleName)
_ROLE_NAME: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


class AccountScan:
    """All roles of the account, of which those are kept that carry the tag ``enrollment_tag``, whatever its value.

    So are those of which ``also`` says so, by their ARNs and tags.
    """

    def __init__(
        self,
        client: IAMClient,
        enrollment_tag: str,
        *,
        also: Callable[[RoleArn, Mapping[str, str]], bool] | None = None,
    ) -> None:
        self._client = client
        self._tag = enrollment_tag
        self._also = also

    def page(self, marker: str | None = None) -> ScannedPage:
        """The page that ``marker`` leads to, None for the first one, in one call.

        A page may hold fewer roles than it could, or none, and not be the last. Raises any AwsError; a marker that AWS
        does not know (any more) is a RejectedError or an UnknownAwsError.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
        """
        further: Any = {} if marker is None else {"Marker": marker}
        with translated(_OPERATION):
            answer = self._client.get_account_authorization_details(Filter=["Role"], MaxItems=_PAGE_SIZE, **further)
        following = answer.get("Marker") if answer.get("IsTruncated") else None
        # The SDK's paginator would take a page without a marker for the last one, and the roles behind it for none.
        if answer.get("IsTruncated") and (not following or following == marker):
            raise UnknownAwsError(_OPERATION, "no way on", "there is another page, but no marker that leads to it")
        listed = answer.get("RoleDetailList", [])  # of an empty page it may be left out
        kept = tuple(scanned for raw in listed if (scanned := self._scanned(raw)) is not None)
        return ScannedPage(kept, len(listed), following)

    def instance_profiles(self) -> dict[str, InstanceProfile]:
        """All instance profiles of the account by their names, at most a thousand in a call.

        Raises any AwsError: without the permission to list them, nobody could say which names are taken.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfiles.html
        """
        with translated("iam:ListInstanceProfiles"):
            pages = self._client.get_paginator("list_instance_profiles").paginate(
                PaginationConfig={"PageSize": _PAGE_SIZE}
            )
            listed = [profile for page in pages for profile in page["InstanceProfiles"]]
        return {
            profile["InstanceProfileName"]: InstanceProfile(
                arn=profile["Arn"],
                name=profile["InstanceProfileName"],
                role_names=tuple(role["RoleName"] for role in profile["Roles"]),
            )
            for profile in listed
        }

    def _scanned(self, raw: object) -> Scanned | None:
        """A role, or None where it is certain that it does not carry the tag, and it does not matter otherwise."""
        name: str | None = None
        cloud: str | None = None
        try:
            fields = _mapping(raw)
            name = _role_name(fields)
            tags = _tags(fields)
            if self._tag in tags:
                cloud = tags[self._tag]
            elif self._also is None or not self._also(RoleArn.parse(_text(fields, "Arn")), tags):
                return None
            return _role(fields, tags)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one role must not hide the others
            return UnreadableRole(name, cloud, f"{type(error).__name__}: {error}")


def _role(fields: Mapping[str, object], tags: Mapping[str, str]) -> ScannedRole:
    """Raises MalformedArn, KeyError, TypeError or ValueError for a role that no account can have."""
    arn = RoleArn.parse(_text(fields, "Arn"))
    if arn.name != _role_name(fields):
        raise ValueError("the role's name is none that a role can have, or not that of its ARN")
    created = fields.get("CreateDate")
    if created is not None and not isinstance(created, datetime):
        raise TypeError("`CreateDate` is not a time")
    boundary = fields.get("PermissionsBoundary")
    return ScannedRole(
        role=Role(
            arn=arn,
            role_id=_text(fields, "RoleId"),
            tags=tags,
            trust=read_policy(fields.get("AssumeRolePolicyDocument")),
            boundary_arn=None if boundary is None else _text(_mapping(boundary), "PermissionsBoundaryArn"),
            created=created,
        ),
        inline=tuple(
            InlinePolicy(_text(policy, "PolicyName"), read_policy(policy["PolicyDocument"]))
            for policy in _list(fields, "RolePolicyList")
        ),
        attached=tuple(_text(policy, "PolicyArn") for policy in _list(fields, "AttachedManagedPolicies")),
        profiles=tuple(
            InstanceProfile(
                arn=_text(profile, "Arn"),
                name=_text(profile, "InstanceProfileName"),
                role_names=tuple(_text(role, "RoleName") for role in _list(profile, "Roles")),
            )
            for profile in _list(fields, "InstanceProfileList")
        ),
    )


def _role_name(fields: Mapping[str, object]) -> str | None:
    name = fields.get("RoleName")
    return name if isinstance(name, str) and _ROLE_NAME.fullmatch(name) else None


def _tags(fields: Mapping[str, object]) -> dict[str, str]:
    return {_text(tag, "Key"): _text(tag, "Value") for tag in _list(fields, "Tags")} if "Tags" in fields else {}


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"where an object must be, there is a {type(value).__name__}")
    return value


def _list(fields: Mapping[str, object], key: str) -> tuple[Mapping[str, object], ...]:
    value = fields[key]
    if not isinstance(value, list | tuple):
        raise TypeError(f"`{key}` is not a list")
    return tuple(_mapping(each) for each in value)


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str):
        raise TypeError(f"`{key}` is not a text")
    return value
