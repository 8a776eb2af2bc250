"""What a role and its buckets are, as AWS returned them: the observed state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from remediator.core.arn import RoleArn
from remediator.core.policy.document import PolicyDocument
from remediator.core.reading import Absent, Reading


@dataclass(frozen=True, slots=True)
class InlinePolicy:
    """A policy that lives inside the role, under ``name``."""

    name: str
    document: Reading[PolicyDocument]


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy in its default version: attached to the role, or its permissions boundary."""

    arn: str
    document: Reading[PolicyDocument]


@dataclass(frozen=True, slots=True)
class Role:
    """A role as ``iam:GetRole`` shows it: one call, no policies.

    ``role_id`` is the unique id (``AROA…``); ``tags`` keep their case, as IAM does.
    """

    arn: RoleArn
    role_id: str
    tags: Mapping[str, str]
    trust: Reading[PolicyDocument]
    boundary_arn: str | None = None


@dataclass(frozen=True, slots=True)
class RolePolicies:
    """All identity policies of a role, and its boundary.

    A list that could not be read is Unreadable as a whole: an unknown policy might hold a Deny.
    ``boundary`` is Absent where the role has none.
    """

    inline: Reading[tuple[InlinePolicy, ...]]
    attached: Reading[tuple[ManagedPolicy, ...]]
    boundary: Reading[ManagedPolicy] = field(default_factory=Absent)


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """The two Block Public Access settings that matter for policies; both false where nothing is configured.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """

    block_public_policy: bool = False
    restrict_public_buckets: bool = False


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """The customer managed KMS key that a bucket encrypts with by default."""

    arn: str
    policy: Reading[PolicyDocument]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the cloud.

    ``account`` is the account that owns it and ``region`` where it lives, both as configured and, for the account,
    enforced with ``ExpectedBucketOwner`` when it is read. ``policy`` is Absent where the bucket has none.
    ``public_access_block`` and ``key`` are None where they were not looked at.
    """

    name: str
    account: str
    region: str
    policy: Reading[PolicyDocument]
    public_access_block: PublicAccessBlock | None = None
    key: CustomerKey | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known about the requests to judge, beyond the documents.

    ``organization`` is the id (``o-…``) of the organization of the role's account, None where unknown.
    ``service_control_policies`` are the SCPs level by level from the root down (each level is a tuple of documents),
    None where they are unknown. ``context`` adds or overrides single condition keys, with their values.
    """

    organization: str | None = None
    service_control_policies: tuple[tuple[PolicyDocument, ...], ...] | None = None
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
