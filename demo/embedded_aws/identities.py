# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""Differences between ministack and AWS in IAM calls.

- SetDefaultPolicyVersion is missing.
  https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html
- GetAccountAuthorizationDetails returns everything in one page, ignoring MaxItems and Marker, and omits permissions
  boundaries. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
- AddRoleToInstanceProfile does not require iam:PassRole on the role.
  https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree as ET

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
_LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
_PAGE, _LONGEST_PAGE = 100, 1000

Answer = tuple[int, dict[str, str], bytes]
Parameters = Mapping[str, Any]


def install() -> None:
    """Make ministack answer as AWS does."""
    handlers = iam._IAM_HANDLERS
    handlers["SetDefaultPolicyVersion"] = _set_default_policy_version
    handlers["GetAccountAuthorizationDetails"] = _paginated(handlers["GetAccountAuthorizationDetails"])
    handlers["AddRoleToInstanceProfile"] = _with_pass_role(handlers["AddRoleToInstanceProfile"])


def _set_default_policy_version(parameters: Parameters) -> Answer:
    arn, version = iam._p(parameters, "PolicyArn"), iam._p(parameters, "VersionId")
    policy = iam._policies.get(arn)
    if policy is None or version not in policy["Versions"]:
        return _error(HTTPStatus.NOT_FOUND, "NoSuchEntity", f"Policy {arn} version {version} does not exist.")
    for each in policy["Versions"].values():
        each["IsDefaultVersion"] = each["VersionId"] == version
    policy["DefaultVersionId"] = version
    policy["UpdateDate"] = iam._now()
    answer: Answer = iam._xml(HTTPStatus.OK, "SetDefaultPolicyVersionResponse", "")
    return answer


def _paginated(list_all: Callable[[Parameters], Answer]) -> Callable[[Parameters], Answer]:
    ET.register_namespace("", _NAMESPACE)

    def list_page(parameters: Parameters) -> Answer:
        size = int(iam._p(parameters, "MaxItems") or _PAGE)
        if not 1 <= size <= _LONGEST_PAGE:
            return _error(HTTPStatus.BAD_REQUEST, "ValidationError", f"MaxItems is {size}, not 1 to {_LONGEST_PAGE}.")
        start = int(iam._p(parameters, "Marker") or 0)
        status, headers, body = list_all(parameters)
        root = ET.fromstring(body)  # noqa: S314 - ministack's own answer
        result = root[0]
        lists = [found for name in _LISTS if (found := result.find(_tag(name))) is not None]
        entities = [(listed, entity) for listed in lists for entity in listed]
        for position, (listed, entity) in enumerate(entities):
            if not start <= position < start + size:
                listed.remove(entity)
        for role in result.findall(f"{_tag('RoleDetailList')}/{_tag('member')}"):
            _add_boundary(role, iam._roles[role.findtext(_tag("RoleName"))])
        for user in result.findall(f"{_tag('UserDetailList')}/{_tag('member')}"):
            _add_boundary(user, iam._users[user.findtext(_tag("UserName"))])
        if start + size < len(entities):
            result.find(_tag("IsTruncated")).text = "true"  # type: ignore[union-attr] # ministack always returns it
            ET.SubElement(result, _tag("Marker")).text = str(start + size)
        return status, headers, ET.tostring(root, encoding="utf-8", xml_declaration=True)

    return list_page


def _add_boundary(entity: ET.Element, known: Mapping[str, Any]) -> None:
    if known.get("PermissionsBoundary"):
        boundary = ET.SubElement(entity, _tag("PermissionsBoundary"))
        ET.SubElement(boundary, _tag("PermissionsBoundaryType")).text = "PermissionsBoundaryPolicy"
        ET.SubElement(boundary, _tag("PermissionsBoundaryArn")).text = known["PermissionsBoundary"]


def _with_pass_role(add_role: Callable[[Parameters], Answer]) -> Callable[[Parameters], Answer]:
    def add_role_if_passed(parameters: Parameters) -> Answer:
        role = iam._roles.get(iam._p(parameters, "RoleName"))
        key = iam_evaluator._verified_key.get()
        if role and key:  # the root user has no key
            denied = iam_evaluator.enforce(
                key,
                "iam:PassRole",
                "iam",
                "us-east-1",
                resource_arn=role["Arn"],
                service_context={"iam:PassedToService": "ec2.amazonaws.com"},
            )
            if denied:
                message = iam_actions.identity_denial_message(
                    "iam:PassRole", denied.principal_arn, role["Arn"], denied.decision == "Deny"
                )
                return _error(HTTPStatus.FORBIDDEN, "AccessDenied", message)
        return add_role(parameters)

    return add_role_if_passed


def _error(status: HTTPStatus, code: str, message: str) -> Answer:
    answer: Answer = iam._error(status, code, message)
    return answer


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"
