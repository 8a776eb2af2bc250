"""The one table of API calls: those that can break, mend or enrol a role, and those that look as if they could.

The rules of the stacks, the parser of events, the fixtures of the tests and docs/events.md are all held to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

IAM, S3, KMS = "iam.amazonaws.com", "s3.amazonaws.com", "kms.amazonaws.com"

BUS_SOURCES: Mapping[str, str] = MappingProxyType({IAM: "aws.iam", S3: "aws.s3", KMS: "aws.kms"})
"""The source on the event bus of each event source of CloudTrail."""


class Concern(StrEnum):
    """What a call names, and so where the roles that it concerns are to be found."""

    ROLE = "role"
    """The role itself, by its name."""
    INSTANCE_PROFILE = "instance profile"
    """An instance profile by its name; what matters is the role of the same name."""
    MANAGED_POLICY = "managed policy"
    """A managed policy by its ARN: every role that it is attached to, or that it bounds."""
    BUCKET = "bucket"
    """A bucket by its name: every enrolled role of the clouds that it belongs to."""
    ACCOUNT = "account"
    """The account as a whole: every enrolled role."""
    KEY = "key"
    """A KMS key by its ARN: every enrolled role of the clouds with a bucket that it encrypts."""


@dataclass(frozen=True, slots=True)
class WatchedCall:
    """One API call that can break, repair or enroll a role.

    ``event_source`` and ``name`` are as CloudTrail spells them, which is not always the name of the API operation.
    ``effect`` says in a few words what the call can do to a role.
    """

    event_source: str
    name: str
    concern: Concern
    effect: str

    @property
    def bus_source(self) -> str:
        """The event's source on the event bus."""
        return BUS_SOURCES[self.event_source]


def _iam(name: str, concern: Concern, effect: str) -> WatchedCall:
    return WatchedCall(IAM, name, concern, effect)


def _s3(name: str, concern: Concern, effect: str) -> WatchedCall:
    return WatchedCall(S3, name, concern, effect)


def _kms(name: str, effect: str) -> WatchedCall:
    return WatchedCall(KMS, name, Concern.KEY, effect)


WATCHED_CALLS = (
    _iam("CreateRole", Concern.ROLE, "enrolls a role that is created with the tag; there is no TagRole for it"),
    _iam("DeleteRole", Concern.ROLE, "ends an enrollment"),
    _iam("UpdateAssumeRolePolicy", Concern.ROLE, "replaces the trust policy"),
    _iam("TagRole", Concern.ROLE, "enrolls a role, or changes its mode"),
    _iam("UntagRole", Concern.ROLE, "ends an enrollment, or changes the mode"),
    _iam("PutRolePolicy", Concern.ROLE, "changes what the role may use"),
    _iam("DeleteRolePolicy", Concern.ROLE, "changes what the role may use"),
    _iam("AttachRolePolicy", Concern.ROLE, "changes what the role may use"),
    _iam("DetachRolePolicy", Concern.ROLE, "changes what the role may use"),
    _iam("PutRolePermissionsBoundary", Concern.ROLE, "limits what the role may use"),
    _iam("DeleteRolePermissionsBoundary", Concern.ROLE, "ends a limit on what the role may use"),
    _iam("CreatePolicyVersion", Concern.MANAGED_POLICY, "changes a managed policy, if the version becomes its default"),
    _iam("SetDefaultPolicyVersion", Concern.MANAGED_POLICY, "changes a managed policy"),
    _iam("AddRoleToInstanceProfile", Concern.ROLE, "makes the role usable by instances"),
    _iam("RemoveRoleFromInstanceProfile", Concern.ROLE, "keeps instances from using the role"),
    _iam("CreateInstanceProfile", Concern.INSTANCE_PROFILE, "makes an instance profile, which is still without a role"),
    _iam("DeleteInstanceProfile", Concern.INSTANCE_PROFILE, "keeps instances from using the role"),
    _s3("CreateBucket", Concern.BUCKET, "makes a bucket, which has no policy yet"),
    _s3("DeleteBucket", Concern.BUCKET, "takes the bucket away"),
    _s3("PutBucketPolicy", Concern.BUCKET, "changes who may use the bucket"),
    _s3("DeleteBucketPolicy", Concern.BUCKET, "changes who may use the bucket"),
    _s3("PutBucketPublicAccessBlock", Concern.BUCKET, "can keep a bucket policy from being written"),
    _s3("DeleteBucketPublicAccessBlock", Concern.BUCKET, "lets a bucket policy be written again"),
    _s3("PutBucketEncryption", Concern.BUCKET, "changes the key that the role must be able to use"),
    _s3("DeleteBucketEncryption", Concern.BUCKET, "changes the key that the role must be able to use"),
    _s3("PutBucketOwnershipControls", Concern.BUCKET, "changes whom new objects belong to"),
    _s3("DeleteBucketOwnershipControls", Concern.BUCKET, "changes whom new objects belong to"),
    _s3("PutAccountPublicAccessBlock", Concern.ACCOUNT, "can keep bucket policies from being written"),
    _s3("DeleteAccountPublicAccessBlock", Concern.ACCOUNT, "lets bucket policies be written again"),
    _kms("PutKeyPolicy", "changes who may use the key"),
    _kms("DisableKey", "makes the bucket's objects unreadable"),
    _kms("EnableKey", "makes the bucket's objects readable again"),
    _kms("ScheduleKeyDeletion", "makes the bucket's objects unreadable, in the end permanently"),
    _kms("CancelKeyDeletion", "keeps the key; it is disabled until it is enabled"),
)
"""https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
https://docs.aws.amazon.com/kms/latest/developerguide/logging-using-cloudtrail.html
"""

WATCHED: Mapping[tuple[str, str], WatchedCall] = MappingProxyType(
    {(call.event_source, call.name): call for call in WATCHED_CALLS}
)

UNWATCHED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (IAM, "CreatePolicy"): "a new managed policy is attached to nothing yet",
        (IAM, "DeletePolicy"): "a managed policy must be detached from every role before it can be deleted",
        (IAM, "DeletePolicyVersion"): "the default version of a managed policy cannot be deleted",
        (IAM, "UpdateRole"): "description and session duration do not matter to a cluster",
        (IAM, "UpdateRoleDescription"): "the description does not matter to a cluster",
        (IAM, "TagInstanceProfile"): "the tags of an instance profile enroll nothing",
        (IAM, "UntagInstanceProfile"): "the tags of an instance profile enroll nothing",
        (IAM, "CreateServiceLinkedRole"): "a service-linked role belongs to its service and is never enrolled",
        (S3, "PutBucketAcl"): "within an account access is decided by policies; ACLs are not evaluated",
        (S3, "PutBucketTagging"): "a bucket comes from the configuration, never from its tags",
        (KMS, "CreateGrant"): "grants on a key are not checked",
        (KMS, "RevokeGrant"): "grants on a key are not checked",
        (KMS, "RetireGrant"): "grants on a key are not checked",
        (KMS, "UpdateAlias"): "a key is configured by its ARN; a bucket that names it by an alias is left to the sweep",
        (KMS, "DeleteAlias"): "a key is configured by its ARN; a bucket that names it by an alias is left to the sweep",
    }
)
"""Calls that look as if they concerned us, each with the reason why they do not, for people who ask about them."""


def watched_names(event_source: str, *concerns: Concern) -> tuple[str, ...]:
    """The names of the watched calls of an event source, of the given concerns only, in the order of the table."""
    return tuple(call.name for call in WATCHED_CALLS if call.event_source == event_source and call.concern in concerns)
