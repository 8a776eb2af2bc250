"""Our own statements for S3: what they grant, where they are written, and what stands against writing them."""

from __future__ import annotations

import hashlib
from typing import assert_never

from remediator.core.policy.document import PolicyDocument, policy_size, policy_text
from remediator.core.policy.edit import upsert_statements
from remediator.core.policy.explain import Obstacle
from remediator.core.policy.limits import faults_obstacles, stale_obstacles
from remediator.core.policy.public import public_statements
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.state import Bucket, InlinePolicy, Role, RolePolicies

REQUIRED_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
REQUIRED_BUCKET_ACTIONS = ("s3:ListBucket",)
"""What a cluster cannot work without."""
WANTED_OBJECT_ACTIONS = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
WANTED_BUCKET_ACTIONS = ("s3:ListBucketMultipartUploads", "s3:GetBucketLocation")
"""What large uploads and clear errors take; granted along with the required ones."""

OWN_POLICY_NAME = "AnyscaleRemediatorS3Access"
BUCKET_SID = "AnyscaleRemediatorBucket"
OBJECTS_SID = "AnyscaleRemediatorObjects"

INLINE_QUOTA = 10_240
ATTACHED_QUOTA = 10
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
BUCKET_POLICY_QUOTA = 20 * 1_024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"""


def own_grant_statements(buckets: tuple[str, ...], partition: str) -> tuple[dict[str, object], dict[str, object]]:
    """Our two statements for buckets given by name: one on the buckets, one on their objects; the names sorted."""
    arns = [f"arn:{partition}:s3:::{name}" for name in sorted(set(buckets))]
    return (
        {
            "Sid": BUCKET_SID,
            "Effect": "Allow",
            "Action": [*REQUIRED_BUCKET_ACTIONS, *WANTED_BUCKET_ACTIONS],
            "Resource": arns,
        },
        {
            "Sid": OBJECTS_SID,
            "Effect": "Allow",
            "Action": [*REQUIRED_OBJECT_ACTIONS, *WANTED_OBJECT_ACTIONS],
            "Resource": [f"{arn}/*" for arn in arns],
        },
    )


def own_policy(current: Reading[PolicyDocument], buckets: tuple[str, ...], partition: str) -> PolicyDocument:
    """Our inline policy as it should be for these buckets; statements that somebody else put into it stay.

    A present document with faults comes back as it is. Raises ValueError where the present one could not be read: it
    must not be overwritten.
    """
    statements = own_grant_statements(buckets, partition)
    match current:
        case Present(value=document):
            return upsert_statements(document, statements)
        case Absent():
            return upsert_statements(None, statements)
        case Unreadable(why=why):
            raise ValueError(f"{OWN_POLICY_NAME} must not be written over a policy that could not be read: {why}")
        case _ as never:
            assert_never(never)


def buckets_granted_by(document: PolicyDocument, partition: str) -> tuple[str, ...]:
    """The names of the buckets that our own statements in our inline policy name now, sorted."""
    start = f"arn:{partition}:s3:::"
    names = set()
    for statement in document.statements:
        if statement.sid in (BUCKET_SID, OBJECTS_SID) and statement.resources and not statement.resources.negated:
            names |= {
                arn.removeprefix(start).partition("/")[0]
                for arn in statement.resources.patterns
                if arn.startswith(start)
            }
    return tuple(sorted(names))


def turned_into_deny(document: PolicyDocument) -> bool:
    """Whether somebody made a Deny of one of our statements in our inline policy: then it is theirs, and stays."""
    return any(
        statement.sid in (BUCKET_SID, OBJECTS_SID) and statement.effect == "Deny" for statement in document.statements
    )


def inline_write_obstacles(
    policies: RolePolicies, after: PolicyDocument, quota: int = INLINE_QUOTA
) -> tuple[Obstacle, ...]:
    """What stands against writing ``after`` as our inline policy; empty where nothing is known to.

    ``quota`` is in characters, for all inline policies of the role together. Our old policy does not count, because
    the new one takes its place.
    """
    inline: tuple[InlinePolicy, ...] = ()
    match policies.inline:
        case Present(value=listed):
            inline = listed
        case Absent():
            pass
        case Unreadable(why=why):
            return (Obstacle("unread", f"The list of the role's inline policies could not be read: {why}"),)
        case _ as never:
            assert_never(never)
    obstacles: list[Obstacle] = []
    total = policy_size(after)
    for policy in inline:
        is_own = policy.name == OWN_POLICY_NAME
        if isinstance(policy.document, Present):
            if is_own:
                obstacles += faults_obstacles(f"the inline policy {OWN_POLICY_NAME}", policy.document.value)
                if turned_into_deny(policy.document.value):
                    text = (
                        f"Somebody has turned our statement in {OWN_POLICY_NAME} into a Deny; a Deny is never removed."
                    )
                    obstacles.append(Obstacle("denied", text))
            else:
                total += policy_size(policy.document.value)
        elif is_own and isinstance(policy.document, Unreadable):
            why = policy.document.why
            obstacles.append(Obstacle("unread", f"The inline policy {OWN_POLICY_NAME} could not be read: {why}"))
    if total > quota:
        text = f"The role's inline policies would have {total:,} characters together; the quota is {quota:,}."
        obstacles.append(Obstacle("quota", text))
    return tuple(obstacles)


def attach_obstacles(policies: RolePolicies, quota: int = ATTACHED_QUOTA) -> tuple[Obstacle, ...]:
    """What stands against attaching one more managed policy to the role."""
    match policies.attached:
        case Unreadable(why=why):
            return (Obstacle("unread", f"The list of the role's managed policies could not be read: {why}"),)
        case Present(value=attached) if len(attached) >= quota:
            return (Obstacle("quota", f"The role has {len(attached)} managed policies; the quota is {quota}."),)
        case _:
            return ()


def bucket_policy_statements(role: Role, bucket: str) -> tuple[dict[str, object], dict[str, object]]:
    """Our two statements for one role in the policy of a bucket, given by name.

    Their Sids end with eight hex digits made of the role's ARN, so that several roles can share a bucket.
    """
    mark = hashlib.sha256(str(role.arn).encode()).hexdigest()[:8]
    principal = {"AWS": str(role.arn)}
    on_bucket, on_objects = own_grant_statements((bucket,), role.arn.partition)
    return (
        {**on_bucket, "Sid": f"{BUCKET_SID}{mark}", "Principal": principal},
        {**on_objects, "Sid": f"{OBJECTS_SID}{mark}", "Principal": principal},
    )


def bucket_policy_write_obstacles(
    role: Role, bucket: Bucket, after: PolicyDocument, quota: int = BUCKET_POLICY_QUOTA
) -> tuple[Obstacle, ...]:
    """What stands against writing ``after`` as the policy of the bucket; empty where nothing is known to.

    ``quota`` is in bytes of UTF-8.
    """
    name = "the bucket policy"
    obstacles: list[Obstacle] = []
    if bucket.account != role.arn.account:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html (MethodNotAllowed)
        text = f"The bucket {bucket.name} belongs to account {bucket.account}; only that account can write its policy."
        obstacles.append(Obstacle("other-account", text))
    match bucket.policy:
        case Present(value=before):
            obstacles += faults_obstacles(name, before)
        case Absent():
            pass
        case Unreadable(why=why):
            obstacles.append(Obstacle("unread", f"The bucket policy could not be read: {why}"))
        case _ as never:
            assert_never(never)
    obstacles += stale_obstacles(name, after, role.role_id)
    if bucket.public_access_block is not None and bucket.public_access_block.block_public_policy:
        obstacles += [
            Obstacle("public", f"BlockPublicPolicy refuses the bucket policy, because {each.name} makes it public.")
            for each in public_statements(after)
        ]
    size = len(policy_text(after).encode())
    if size > quota:
        obstacles.append(Obstacle("quota", f"The bucket policy would have {size:,} bytes; the quota is {quota:,}."))
    return tuple(obstacles)
