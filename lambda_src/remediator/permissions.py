"""Which calls to AWS each function makes, and on what: the one declaration.

The stack writes the IAM statements of the functions' roles from it, and tests hold both ends together. What the
functions need of their queues, topic, key, traces and logs is granted by the stack next to those resources.
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
    """What a call is made on; nothing where the configuration leaves it empty, as the keys of clouds without any."""

    WHOLE_ACCOUNT = "the account: the call knows no narrower resource"
    ANY_ROLE = "any role of the account"
    """Reading only: a role outside the allow list must be read to be refused with its reason."""
    ANY_INSTANCE_PROFILE = "any instance profile of the account"
    ENROLLED_ROLES = "roles that carry the enrollment tag and that a cloud in repair mode allows"
    PASSED_ROLES = "roles that a cloud in repair mode allows and whose instance profiles it repairs, to EC2 only"
    """Passing a role is not bound to its tags: IAM does not check them there."""
    REPAIRED_INSTANCE_PROFILES = "instance profiles whose paths and names such a cloud allows for roles"
    ANY_MANAGED_POLICY = "any managed policy, of the account or of AWS"
    CUSTOMER_POLICIES = "any managed policy of the account"
    CONFIGURED_BUCKETS = "the buckets in the configuration, each as long as its configured account owns it"
    GRANTING_BUCKETS = "those of clouds in repair mode that grant, or granted before, through bucket policies"
    CONFIGURED_KEYS = "the KMS keys in the configuration"
    HISTORY_TABLE = "the table of changes and of what is remembered of roles"
    HISTORY_LISTING = "its index, which lists the changes, without their documents, and the roles with something open"
    PAUSE_PARAMETER = "the parameter that pauses the writes"
    DIGESTER_ITEMS = "what the digester keeps in that table: items whose partition key begins with DIGEST"
    NOTIFIER_ITEMS = "what the notifier keeps in that table: items whose partition key is NOTIFIER"
    SLACK_WEBHOOK = "the secret with the URL of Slack's webhook"


@dataclass(frozen=True, slots=True)
class Permission:
    """That a function makes one call; ``action`` is the IAM action that authorizes it (``iam:GetRole``).

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """

    action: str
    access: Access
    target: Target


_BUCKETS: Final = (
    Permission("s3:GetBucketPolicy", Access.READ, Target.CONFIGURED_BUCKETS),
    Permission("s3:GetBucketPublicAccessBlock", Access.READ, Target.CONFIGURED_BUCKETS),
    Permission("s3:GetEncryptionConfiguration", Access.READ, Target.CONFIGURED_BUCKETS),
    Permission("kms:DescribeKey", Access.READ, Target.CONFIGURED_KEYS),
    Permission("kms:GetKeyPolicy", Access.READ, Target.CONFIGURED_KEYS),
)
_MANAGED_POLICIES: Final = (
    Permission("iam:GetPolicy", Access.READ, Target.ANY_MANAGED_POLICY),
    Permission("iam:GetPolicyVersion", Access.READ, Target.ANY_MANAGED_POLICY),
)

ROUTER: Final = (
    Permission("iam:GetRole", Access.READ, Target.ANY_ROLE),
    Permission("iam:ListEntitiesForPolicy", Access.READ, Target.CUSTOMER_POLICIES),
)

SWEEPER: Final = (
    Permission("iam:GetAccountAuthorizationDetails", Access.READ, Target.WHOLE_ACCOUNT),
    Permission("iam:ListInstanceProfiles", Access.READ, Target.ANY_INSTANCE_PROFILE),
    *_MANAGED_POLICIES,
    *_BUCKETS,
    Permission("dynamodb:Query", Access.READ, Target.HISTORY_LISTING),
)

RECONCILER: Final = (
    Permission("iam:GetRole", Access.READ, Target.ANY_ROLE),
    Permission("iam:ListRolePolicies", Access.READ, Target.ANY_ROLE),
    Permission("iam:GetRolePolicy", Access.READ, Target.ANY_ROLE),
    Permission("iam:ListAttachedRolePolicies", Access.READ, Target.ANY_ROLE),
    Permission("iam:ListInstanceProfilesForRole", Access.READ, Target.ANY_ROLE),
    Permission("iam:GetInstanceProfile", Access.READ, Target.ANY_INSTANCE_PROFILE),
    *_MANAGED_POLICIES,
    *_BUCKETS,
    # A transaction has no action of its own: it needs those of its items.
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    Permission("dynamodb:GetItem", Access.READ, Target.HISTORY_TABLE),
    Permission("dynamodb:Query", Access.READ, Target.HISTORY_TABLE),
    Permission("dynamodb:PutItem", Access.WRITE, Target.HISTORY_TABLE),
    Permission("dynamodb:UpdateItem", Access.WRITE, Target.HISTORY_TABLE),
    Permission("ssm:GetParameter", Access.READ, Target.PAUSE_PARAMETER),
    Permission("iam:UpdateAssumeRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
    Permission("iam:PutRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
    Permission("iam:DeleteRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
    Permission("s3:PutBucketPolicy", Access.WRITE, Target.GRANTING_BUCKETS),
    Permission("s3:DeleteBucketPolicy", Access.WRITE, Target.GRANTING_BUCKETS),
    Permission("iam:CreateInstanceProfile", Access.WRITE, Target.REPAIRED_INSTANCE_PROFILES),
    Permission("iam:AddRoleToInstanceProfile", Access.WRITE, Target.REPAIRED_INSTANCE_PROFILES),
    Permission("iam:PassRole", Access.WRITE, Target.PASSED_ROLES),
)

# Powertools notes with PutItem that a message is being told, with UpdateItem that it was, and takes the note away with
# DeleteItem where that failed. https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/
DIGESTER: Final = (
    Permission("dynamodb:GetItem", Access.READ, Target.DIGESTER_ITEMS),
    Permission("dynamodb:Query", Access.READ, Target.DIGESTER_ITEMS),
    Permission("dynamodb:PutItem", Access.WRITE, Target.DIGESTER_ITEMS),
    Permission("dynamodb:UpdateItem", Access.WRITE, Target.DIGESTER_ITEMS),
    Permission("dynamodb:DeleteItem", Access.WRITE, Target.DIGESTER_ITEMS),
)

NOTIFIER: Final = (
    Permission("secretsmanager:GetSecretValue", Access.READ, Target.SLACK_WEBHOOK),
    Permission("dynamodb:PutItem", Access.WRITE, Target.NOTIFIER_ITEMS),
    Permission("dynamodb:UpdateItem", Access.WRITE, Target.NOTIFIER_ITEMS),
    Permission("dynamodb:DeleteItem", Access.WRITE, Target.NOTIFIER_ITEMS),
)

PERMISSIONS: Final[Mapping[str, tuple[Permission, ...]]] = MappingProxyType(
    {"router": ROUTER, "sweeper": SWEEPER, "reconciler": RECONCILER, "digester": DIGESTER, "notifier": NOTIFIER}
)
"""The permissions of each function, by its name; there is a notifier only where a webhook is configured."""

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
