"""A bucket of the cloud with its key, as S3 and KMS returned them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Present, Reading


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
class Bucket:
    """A bucket of the cloud.

    ``account`` is the account that owns it and ``region`` where it lives, both as configured and, for the account,
    enforced with ``ExpectedBucketOwner`` when it is read. ``policy`` is Absent where the bucket has none. ``key`` is
    the key that the configuration (or a case) names, None where it names none. ``encryption`` is the customer managed
    key that new objects are encrypted with by default, by its ARN where that could be found out and else as the bucket
    names it (an id, an alias); Present(None) where S3's own key or the AWS managed one is used, which need no grant.
    ``public_access_block`` and ``encryption`` are None where they were not looked at.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html
    """

    name: str
    account: str
    region: str
    policy: Reading[PolicyDocument]
    public_access_block: PublicAccessBlock | None = None
    key: CustomerKey | None = None
    encryption: Reading[str | None] | None = None
