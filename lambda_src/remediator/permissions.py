"""Which calls to AWS each function makes, and on what: the one declaration.

The stack writes the IAM statements of the functions' roles from it, and tests hold both ends together. What the
functions need of their queues, topic, key, traces and logs is granted by the stack beside those resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Access(StrEnum):
    """What a call does to what it is made on."""

    READ = "read"
    WRITE = "write"


class Target(StrEnum):
    """What a call is made on."""

    ANY_ROLE = "any role of the account"
    """Reading only: a role outside the allow list must be read to be refused with its reason."""
    ENROLLED_ROLES = "roles that carry the enrolment tag and that a cloud in repair mode allows"
    ANY_MANAGED_POLICY = "any managed policy, of the account or of AWS"
    CONFIGURED_BUCKETS = "the buckets in the configuration"


@dataclass(frozen=True, slots=True)
class Permission:
    """That a function makes one call; ``action`` is the IAM action that authorises it (``iam:GetRole``).

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """

    action: str
    access: Access
    target: Target


ROUTER: Final = (Permission("iam:GetRole", Access.READ, Target.ANY_ROLE),)

RECONCILER: Final = (
    Permission("iam:GetRole", Access.READ, Target.ANY_ROLE),
    Permission("iam:ListRolePolicies", Access.READ, Target.ANY_ROLE),
    Permission("iam:GetRolePolicy", Access.READ, Target.ANY_ROLE),
    Permission("iam:ListAttachedRolePolicies", Access.READ, Target.ANY_ROLE),
    Permission("iam:GetPolicy", Access.READ, Target.ANY_MANAGED_POLICY),
    Permission("iam:GetPolicyVersion", Access.READ, Target.ANY_MANAGED_POLICY),
    Permission("s3:GetBucketPolicy", Access.READ, Target.CONFIGURED_BUCKETS),
    Permission("iam:UpdateAssumeRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
    Permission("iam:PutRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
)

PERMISSIONS: Final[Mapping[str, tuple[Permission, ...]]] = MappingProxyType(
    {"router": ROUTER, "reconciler": RECONCILER}
)
"""The permissions of each function, by its name."""

IAM_WRITES: Final = tuple(
    sorted(
        {
            permission.action
            for permissions in PERMISSIONS.values()
            for permission in permissions
            if permission.access is Access.WRITE and permission.action.startswith("iam:")
        }
    )
)
"""Every IAM action that any function writes with; all of them are denied on the functions' own roles."""
