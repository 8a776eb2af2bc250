"""IAM statements, made from the declaration of what each function calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam

from remediator.errors import SettingsError
from remediator.permissions import Permission, Target
from remediator.settings import Mode, Settings

# A role holds 10 managed policies of 6,144 characters, and 10,240 characters of inline policies. The CDK moves what
# does not fit the inline policy into managed ones, statement by statement: two statements of this size fit into each.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_STATEMENT_CHARACTERS: Final = 2_500
_ROLE_CHARACTERS: Final = 50_000


@dataclass(frozen=True, slots=True)
class _Scope:
    """The resources of a Target. ``account`` stands as it is in a text, so that findings can be named as well."""

    sid: str
    resources: tuple[str, ...]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    why_wildcards: str = ""


def allow_declared(role: iam.Role, permissions: Sequence[Permission], settings: Settings) -> None:
    """Allow a function's role exactly what is declared, nowhere else than declared.

    Raises SettingsError where the buckets and role patterns of the configuration do not fit into a role's policies.
    """
    account = Stack.of(role).account
    characters = 0
    for target, group in groupby(sorted(permissions, key=lambda permission: permission.target), key=lambda p: p.target):
        actions = [permission.action for permission in group]
        scope = _scope(target, settings, account)
        characters += sum(map(len, scope.resources))
        for number, resources in enumerate(_chunks(scope.resources), start=1):
            role.add_to_policy(
                iam.PolicyStatement(
                    sid=f"{scope.sid}{number if number > 1 else ''}",
                    actions=actions,
                    resources=resources,
                    conditions=scope.conditions,
                )
            )
        for resource in _scope(target, settings, settings.account or "<AWS::AccountId>").resources:
            if "*" in resource:
                Validations.of(role).acknowledge(
                    Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{resource}]", reason=scope.why_wildcards)
                )
    if characters > _ROLE_CHARACTERS:
        fault = (
            f"clouds: the buckets and role patterns make {characters} characters of IAM policy, and a role holds "
            f"{_ROLE_CHARACTERS}; use fewer or broader role patterns, or several deployments"
        )
        raise SettingsError([fault])


def _scope(target: Target, settings: Settings, account: str) -> _Scope:
    iam_of = f"arn:{settings.partition}:iam::{account}"
    match target:
        case Target.ANY_ROLE:
            return _Scope(
                "ReadRoles",
                (f"{iam_of}:role/*",),
                why_wildcards="Reading only. A role outside the allow list must be read to be refused with its reason.",
            )
        case Target.ENROLLED_ROLES:
            patterns = [p.text for cloud in settings.clouds if cloud.mode is Mode.REPAIR for p in cloud.roles]
            return _Scope(
                "RepairEnrolledRoles",
                tuple(f"{iam_of}:role/{pattern}" for pattern in dict.fromkeys(patterns)),
                {"Null": {f"aws:ResourceTag/{settings.enrollment_tag}": "false"}},
                "The allow list of the configuration, whose wildcards mean to us what they mean to IAM.",
            )
        case Target.ANY_MANAGED_POLICY:
            return _Scope(
                "ReadManagedPolicies",
                (f"{iam_of}:policy/*", f"arn:{settings.partition}:iam::aws:policy/*"),
                why_wildcards="Reading only. Whether a role has access depends on every policy attached to it.",
            )
        case Target.CONFIGURED_BUCKETS:
            names = [bucket.name for cloud in settings.clouds for bucket in cloud.buckets]
            return _Scope(
                "ReadBucketPolicies",
                tuple(f"arn:{settings.partition}:s3:::{name}" for name in dict.fromkeys(names)),
            )


def _chunks(resources: Sequence[str]) -> Iterator[list[str]]:
    """Cut a list of resources so that each part fits one statement."""
    chunk: list[str] = []
    for resource in resources:
        if chunk and sum(map(len, chunk)) + len(resource) > _STATEMENT_CHARACTERS:
            yield chunk
            chunk = []
        chunk.append(resource)
    if chunk:
        yield chunk
