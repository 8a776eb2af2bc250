"""What a role and its buckets are, as AWS returned them: the observed state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading


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

    ``role_id`` is the unique id (``AROA…``); ``tags`` keep their case, as IAM does. ``created`` is when the role was
    created, with its zone, None where that is unknown.
    """

    arn: RoleArn
    role_id: str
    tags: Mapping[str, str]
    trust: Reading[PolicyDocument]
    boundary_arn: str | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """An instance profile, by its ARN and its name; ``role_names`` are the roles in it, one at most.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html#ec2-instance-profile
    """

    arn: str
    name: str
    role_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InstanceProfiles:
    """The instance profiles of a role: those that hold it, and the one that has its name.

    ``namesake`` is None where it was not looked at, because it holds the role, or to save a call.
    """

    holding: Reading[tuple[InstanceProfile, ...]]
    namesake: Reading[InstanceProfile] | None = None


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


class KeyState(StrEnum):
    """Whether a KMS key can be used at all.

    https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
    """

    ENABLED = "enabled"
    DISABLED = "disabled"
    PENDING_DELETION = "pending deletion"
    UNAVAILABLE = "unavailable"
    """Its key material is missing, or its key store cannot be reached."""


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A customer managed KMS key that a bucket is encrypted with; ``state`` is Absent where there is no such key."""

    arn: str
    policy: Reading[PolicyDocument]
    state: Reading[KeyState] = field(default_factory=lambda: Present(KeyState.ENABLED))


@dataclass(frozen=True, slots=True)
class DefaultEncryption:
    """How a bucket encrypts new objects by default.

    ``key`` is the customer managed key, by its ARN where that could be found out and else as the bucket names it (an
    id, an alias); None where S3's own key or the AWS managed one is used, which need no grant.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html
    """

    key: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of the cloud.

    ``account`` is the account that owns it and ``region`` where it lives, both as configured and, for the account,
    enforced with ``ExpectedBucketOwner`` when it is read. ``policy`` is Absent where the bucket has none. ``key`` is
    the key that the configuration (or a case) names, None where it names none. ``public_access_block`` and
    ``encryption`` are None where they were not looked at.
    """

    name: str
    account: str
    region: str
    policy: Reading[PolicyDocument]
    public_access_block: PublicAccessBlock | None = None
    key: CustomerKey | None = None
    encryption: Reading[DefaultEncryption] | None = None


class Network(StrEnum):
    """How requests reach S3, where the condition keys that are given do not say it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-vpc-endpoint.html
    """

    NAT = "nat"
    """By HTTPS from a public address."""
    UNKNOWN = "unknown"
    """So, or through a VPC endpoint."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known about the requests to judge, beyond the documents.

    ``organization`` is the id (``o-…``) of the organization of the role's account, None where unknown.
    ``service_control_policies`` are the SCPs level by level from the root down (each level is a tuple of documents),
    None where they are unknown. ``context`` adds or overrides single condition keys, with their values. ``network`` is
    the way to S3.
    """

    organization: str | None = None
    service_control_policies: tuple[tuple[PolicyDocument, ...], ...] | None = None
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    network: Network = Network.NAT

    @classmethod
    def at(cls, now: datetime) -> Surroundings:
        """What the deployed functions know of requests that are made now: the time, and not the way to S3."""
        time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(context={"aws:CurrentTime": (time,)}, network=Network.UNKNOWN)
