# ruff: noqa: SLF001 - ministack offers no other way in; its version is pinned, and tests/e2e hold what is used here
"""Calls of IAM that ministack lacks, or answers otherwise than AWS.

- SetDefaultPolicyVersion is missing.
  https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html
- GetAccountAuthorizationDetails tells everything at once, whatever MaxItems and Marker say, and leaves out the
  permissions boundaries. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
- AddRoleToInstanceProfile needs no iam:PassRole on the role.
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
    handlers["GetAccountAuthorizationDetails"] = _in_pages(handlers["GetAccountAuthorizationDetails"])
    handlers["AddRoleToInstanceProfile"] = _if_passed(handlers["AddRoleToInstanceProfile"])


def _set_default_policy_version(parameters: Parameters) -> Answer:
    arn, version = iam._p(parameters, "PolicyArn"), iam._p(parameters, "VersionId")
    policy = iam._policies.get(arn)
    if policy is None or version not in policy["Versions"]:
        return _refused(HTTPStatus.NOT_FOUND, "NoSuchEntity", f"Policy {arn} version {version} does not exist.")
    for each in policy["Versions"].values():
        each["IsDefaultVersion"] = each["VersionId"] == version
    policy["DefaultVersionId"] = version
    policy["UpdateDate"] = iam._now()
    answer: Answer = iam._xml(HTTPStatus.OK, "SetDefaultPolicyVersionResponse", "")
    return answer


def _in_pages(tell_everything: Callable[[Parameters], Answer]) -> Callable[[Parameters], Answer]:
    ET.register_namespace("", _NAMESPACE)

    def tell_page(parameters: Parameters) -> Answer:
        size = int(iam._p(parameters, "MaxItems") or _PAGE)
        if not 1 <= size <= _LONGEST_PAGE:
            return _refused(HTTPStatus.BAD_REQUEST, "ValidationError", f"MaxItems is {size}, not 1 to {_LONGEST_PAGE}.")
        start = int(iam._p(parameters, "Marker") or 0)
        status, headers, body = tell_everything(parameters)
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
            result.find(_tag("IsTruncated")).text = "true"  # type: ignore[union-attr] # ministack always tells it
            ET.SubElement(result, _tag("Marker")).text = str(start + size)
        return status, headers, ET.tostring(root, encoding="utf-8", xml_declaration=True)

    return tell_page


def _add_boundary(entity: ET.Element, known: Mapping[str, Any]) -> None:
    if known.get("PermissionsBoundary"):
        boundary = ET.SubElement(entity, _tag("PermissionsBoundary"))
        ET.SubElement(boundary, _tag("PermissionsBoundaryType")).text = "PermissionsBoundaryPolicy"
        ET.SubElement(boundary, _tag("PermissionsBoundaryArn")).text = known["PermissionsBoundary"]


def _if_passed(add_role: Callable[[Parameters], Answer]) -> Callable[[Parameters], Answer]:
    def add_role_if_passed(parameters: Parameters) -> Answer:
        role = iam._roles.get(iam._p(parameters, "RoleName"))
        key = iam_evaluator._verified_key.get()
        if role and key:  # root has none
            denied = iam_evaluator.enforce(
                key,
                "iam:PassRole",
                "iam",
                "us-east-1",
                resource_arn=role["Arn"],
                service_context={"iam:PassedToService": "ec2.amazonaws.com"},
            )
            if denied:
                told = iam_actions.identity_denial_message(
                    "iam:PassRole", denied.principal_arn, role["Arn"], denied.decision == "Deny"
                )
                return _refused(HTTPStatus.FORBIDDEN, "AccessDenied", told)
        return add_role(parameters)

    return add_role_if_passed


def _refused(status: HTTPStatus, code: str, message: str) -> Answer:
    answer: Answer = iam._error(status, code, message)
    return answer


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"
