"""Whether a role may be managed: a tag is a request, the configuration is the authority.

Anybody with ``iam:TagRole`` could otherwise buy EC2 trust for an administrator's role.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from remediator.core.enrollment.own_roles import is_own_role
from remediator.core.model.role import Role
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.policy.statement import Principals, Statement
from remediator.settings import MODE_TAG, Cloud, Mode, Settings

EKS_POD_IDENTITY = "pods.eks.amazonaws.com"

AWS_OWNED_PATHS: Final = ("/aws-service-role/", "/aws-reserved/")
"""Roles that belong to AWS services."""

_OFF = "off"
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_ACCOUNT_OF_ARN = re.compile(r"arn:[^:]+:(?:iam|sts)::(\d{12}):.+", re.ASCII | re.DOTALL)
_UNIQUE_ID = re.compile(r"A(?:ROA|IDA|GPA|NPA|NVA|IPA|PKA|SCA)[A-Z0-9]{12,}", re.ASCII)


class Refusal(StrEnum):
    """Why a role that carries the enrollment tag is skipped."""

    UNKNOWN_CLOUD = "unknown-cloud"
    NOT_ALLOWED = "not-allowed"
    SERVICE_ROLE = "service-role"
    OTHER_ACCOUNT = "other-account"
    TRUSTS_OTHERS = "trusts-others"
    TRUST_UNREADABLE = "trust-unreadable"
    OWN_ROLE = "own-role"
    POWERFUL = "powerful"
    PRIVILEGES_UNKNOWN = "power-unknown"
    BOUNDARY_LACKING = "boundary-lacking"
    NOT_APPROVED = "not-approved"


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """The role does not carry the enrollment tag."""

    why: str


@dataclass(frozen=True, slots=True)
class Off:
    """The role is enrolled, and its own tag asks to be skipped."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The role carries the enrollment tag, but must not be touched; ``cloud`` is the name in the tag."""

    refusal: Refusal
    why: str
    cloud: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The role belongs to ``cloud``; ``mode`` is what may be done; ``notes`` are sentences for a person."""

    cloud: Cloud
    mode: Mode
    notes: tuple[str, ...] = ()


Enrollment: TypeAlias = NotEnrolled | Off | Refused | Enrolled


def decide_enrollment(role: Role, settings: Settings, *, account: str) -> Enrollment:
    """Say whether the role is enrolled, by its tags, its name and its trust policy; ``account`` belongs to the
    remediator.

    The tag names the cloud, the configuration must allow the role for that cloud, and the tag ``anyscale:remediation``
    may narrow what the configuration permits, never widen it.
    """
    name = role.tags.get(settings.enrollment_tag)
    if name is None:
        return NotEnrolled(_untagged(role, settings.enrollment_tag))
    asked = role.tags.get(MODE_TAG)
    if asked is not None and asked.strip().casefold() == _OFF:
        return Off(f"the tag {MODE_TAG} of the role is {asked!r}")
    if is_own_role(role.arn):
        return Refused(Refusal.OWN_ROLE, "The role is one of the remediator's own, which it never touches.", name)
    refusal = _refusal(role, name, settings, account)
    if refusal is not None:
        return refusal
    cloud = settings.cloud(name)
    assert cloud is not None  # noqa: S101 - an unknown cloud has been refused above
    return _with_mode(cloud, asked)


def _untagged(role: Role, key: str) -> str:
    # IAM keeps the case of a tag's key, and so does the comparison; the log says who got it nearly right.
    near = [other for other in role.tags if other.casefold() == key.casefold()]
    hint = f"; it has {near[0]!r}, which differs in case" if near else ""
    return f"the role does not carry the tag {key!r}{hint}"


def _with_mode(cloud: Cloud, asked: str | None) -> Enrolled:
    wanted = Mode.REPAIR if asked is None else asked.strip().casefold()
    if wanted == Mode.REPAIR:
        return Enrolled(cloud, cloud.mode)
    if wanted == Mode.OBSERVE:
        return Enrolled(cloud, Mode.OBSERVE)
    # Somebody wanted to hold us back and misspelt it: writing on would be the worse mistake.
    note = f"The tag {MODE_TAG} is {asked!r}; it is read as observe, since it is none of repair, observe and off."
    return Enrolled(cloud, Mode.OBSERVE, (note,))


def _refusal(role: Role, cloud_name: str, settings: Settings, account: str) -> Refused | None:
    cloud = settings.cloud(cloud_name)
    if cloud is None:
        known = ", ".join(sorted(cloud.name for cloud in settings.clouds))
        why = f"The tag {settings.enrollment_tag} names the cloud {cloud_name!r}, which is not configured ({known})."
        return Refused(Refusal.UNKNOWN_CLOUD, why, cloud_name)
    refused = _by_arn(role.arn, cloud, account) or _by_trust(role)
    return None if refused is None else Refused(*refused, cloud_name)


def _by_arn(arn: RoleArn, cloud: Cloud, account: str) -> tuple[Refusal, str] | None:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
    # https://docs.aws.amazon.com/singlesignon/latest/userguide/using-service-linked-roles.html (aws-reserved)
    if arn.path.startswith(AWS_OWNED_PATHS):
        return Refusal.SERVICE_ROLE, "The role belongs to an AWS service, and only that service may change it."
    expected = cloud.account or account
    if not arn.account == expected == account:
        why = f"The role is in account {arn.account}, and the roles of cloud {cloud.name} are in {expected}."
        return Refusal.OTHER_ACCOUNT, why
    if not cloud.allows(arn.path_and_name):
        patterns = ", ".join(str(pattern) for pattern in cloud.roles)
        why = f"Cloud {cloud.name} is not configured to allow role/{arn.path_and_name}, only {patterns}."
        return Refusal.NOT_ALLOWED, why
    return None


def _by_trust(role: Role) -> tuple[Refusal, str] | None:
    match role.trust:
        case Present(value=document):
            sign = sign_of_others(document, account=role.arn.account)
            return None if sign is None else (Refusal.TRUSTS_OTHERS, sign)
        case Absent():
            return Refusal.TRUST_UNREADABLE, "The role has no trust policy to check."
        case Unreadable(why=why):
            return Refusal.TRUST_UNREADABLE, f"The role's trust policy cannot be read: {why}"
        case _ as never:
            assert_never(never)


def sign_of_others(trust: PolicyDocument, *, account: str) -> str | None:
    """Why this is no role of cluster nodes: somebody else than services and principals of ``account`` may assume it.

    Anyscale's own control-plane role trusts Anyscale's account under an ExternalId; a role of a Kubernetes operator
    trusts a federation or EKS Pod Identity. EC2 trust on such a role would be a privilege escalation: whoever may start
    an instance with it would gain what was meant for others. None where there is no such sign.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
    """
    return next((sign for statement in trust.statements if (sign := _sign(statement, account)) is not None), None)


def _sign(statement: Statement, account: str) -> str | None:
    if statement.effect == "Deny":
        return None
    where = f"The {statement.name} of the trust policy"
    if statement.faults or statement.effect is None or statement.principals is None:
        return f"{where} cannot be understood, so that it is unknown whom it trusts."
    if (trusted := _other_principals(statement.principals, account)) is not None:
        return f"{where} trusts {trusted}."
    if any(condition.key.casefold() == "sts:externalid" for condition in statement.conditions):
        return f"{where} asks for an ExternalId, as Anyscale's control-plane role does."
    return None


def _other_principals(principals: Principals, account: str) -> str | None:
    if principals.negated:
        return "everybody but a few (NotPrincipal)"
    if principals.federated:
        return f"a federation ({_first(principals.federated)}), so this is not a role of EC2 instances"
    if EKS_POD_IDENTITY in principals.service:
        return "EKS Pod Identity, so this is not a role of EC2 instances"
    outside = [principal for principal in principals.aws if not _is_inside(principal, account)]
    if not outside:
        return None
    return f"{_first(outside)}, which is outside this account, as Anyscale's control-plane role does"


def _is_inside(principal: str, account: str) -> bool:
    """Whether an AWS principal is of the account, or the id of something deleted, which nobody can assume.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    if _ACCOUNT.fullmatch(principal):
        return principal == account
    match = _ACCOUNT_OF_ARN.fullmatch(principal)
    if match is not None:
        return match[1] == account
    return _UNIQUE_ID.fullmatch(principal) is not None


def _first(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
    return f"{listed[0]}{more}"
