"""Our own statement in the policy of a bucket: whom it names, and what stands against writing it.

It is one statement for all roles, under a fixed Sid. Everything else in the policy is somebody else's.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from remediator.core.access.actions import (
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.model.bucket import Bucket
from remediator.core.model.own_names import BUCKET_POLICY_SID
from remediator.core.model.role import Role
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, policy_text, read_mapping
from remediator.core.policy.edit import replace_own_statements
from remediator.core.policy.explain import Obstacle
from remediator.core.policy.public import public_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.policy.statement import Statement
from remediator.core.repair.write_blockers import faults_obstacles, stale_obstacles
from remediator.errors import MalformedArn

BUCKET_POLICY_QUOTA = 20 * 1_024
"""Bytes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"""

_OWN_SIDS = frozenset({BUCKET_POLICY_SID})
_ACTIONS = (*REQUIRED_OBJECT_ACTIONS, *WANTED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS, *WANTED_BUCKET_ACTIONS)


def bucket_policy_statement(bucket: str, role_arns: Iterable[str], partition: str) -> dict[str, object]:
    """Our statement in the policy of a bucket, given by name: these roles may do all that a cluster does.

    S3 applies each action to the kind of resource that it is for, so that one statement serves both kinds.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Sid": BUCKET_POLICY_SID,
        "Effect": "Allow",
        "Principal": {"AWS": sorted(set(role_arns))},
        "Action": [*_ACTIONS],
        "Resource": [arn, f"{arn}/*"],
    }


def granting_bucket_policy(
    current: Reading[PolicyDocument], bucket: str, role_arns: Iterable[str], partition: str
) -> PolicyDocument | None:
    """The policy of the bucket with our statement for exactly these roles, and everything else as it was.

    Without roles our statement goes, and None means that nothing is left, so that the policy should not exist. A
    present document with faults comes back as it is. Raises ValueError where the present one could not be read.
    """
    arns = tuple(role_arns)
    statements = [bucket_policy_statement(bucket, arns, partition)] if arns else []
    match current:
        case Present(value=document):
            return replace_own_statements(document, _OWN_SIDS, statements)
        case Absent():
            return replace_own_statements(None, _OWN_SIDS, statements)
        case Unreadable(why=why):
            raise ValueError(f"the policy of {bucket} must not be written over one that could not be read: {why}")
        case _ as never:
            assert_never(never)


def without_role(document: PolicyDocument, bucket: str, role: RoleArn) -> PolicyDocument:
    """The policy as it would be if our statement did not name the role; for judging, never for writing.

    A document with faults, one without our statement and one that somebody turned into a Deny come back as they are.
    """
    named = named_roles(document, role.account)
    if str(role) not in named or document.faults or is_turned_into_deny(document):
        return document
    after = granting_bucket_policy(Present(document), bucket, named - {str(role)}, role.partition)
    return after or read_mapping({**document.raw, "Statement": []})


def named_roles(document: PolicyDocument, account: str) -> frozenset[str]:
    """The ARNs of the roles of ``account`` that our statement names.

    Anything else that stands there is none of ours: the id of a deleted role (``AROA…``), a user, everybody.
    """
    return frozenset(
        name
        for statement in _ours(document)
        if statement.principals is not None and not statement.principals.negated
        for name in statement.principals.aws
        if _is_role_of(name, account)
    )


def is_intact(document: PolicyDocument, bucket: str, role: RoleArn) -> bool:
    """Whether our statement, if there is one, is as we write it: for roles of the account only, without conditions."""
    ours = _ours(document)
    if not ours:
        return True
    wanted = read_mapping(
        {"Statement": [bucket_policy_statement(bucket, named_roles(document, role.account), role.partition)]}
    ).statements[0]
    return len(ours) == 1 and _meaning(ours[0]) == _meaning(wanted)


def is_turned_into_deny(document: PolicyDocument) -> bool:
    """Whether somebody made a Deny of our statement: then it is theirs, and stays."""
    return any(statement.effect == "Deny" for statement in _ours(document))


def bucket_policy_write_obstacles(
    role: Role, bucket: Bucket, after: PolicyDocument | None, quota: int = BUCKET_POLICY_QUOTA
) -> tuple[Obstacle, ...]:
    """What stands against writing ``after`` as the policy of the bucket, or deleting it; empty where nothing is known.

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
            if is_turned_into_deny(before):
                text = f"Somebody has turned our statement `{BUCKET_POLICY_SID}` into a Deny; a Deny is never removed."
                obstacles.append(Obstacle("denied", text))
        case Absent():
            pass
        case Unreadable(why=why):
            obstacles.append(Obstacle("unread", f"The bucket policy could not be read: {why}"))
        case _ as never:
            assert_never(never)
    if after is None:
        return tuple(obstacles)
    obstacles += stale_obstacles(name, after, role.role_id)
    if bucket.public_access_block is not None and bucket.public_access_block.block_public_policy:
        obstacles += [
            Obstacle("public", f"BlockPublicPolicy refuses the bucket policy, because {each.name} makes it public.")
            for each in public_statements(after)
        ]
    size = len(policy_text(after).encode())
    if size > quota:
        text = (
            f"The bucket policy would have {size:,} bytes; the quota is {quota:,}, and it cannot be raised. Shorten "
            "it, or set the cloud's `grant` to role-policy, which has a quota for each role, and its `formerGrant` to "
            "bucket-policy."
        )
        obstacles.append(Obstacle("quota", text))
    return tuple(obstacles)


def _ours(document: PolicyDocument) -> tuple[Statement, ...]:
    return tuple(statement for statement in document.statements if statement.sid == BUCKET_POLICY_SID)


def _is_role_of(name: str, account: str) -> bool:
    try:
        return RoleArn.parse(name).account == account
    except MalformedArn:
        return False


def _meaning(statement: Statement) -> tuple[object, ...]:
    """What a statement says, whatever the spelling: S3 may give a list of one back as a text, or in another order."""
    principals, actions, resources = statement.principals, statement.actions, statement.resources
    return (
        statement.effect,
        principals
        and (
            principals.negated,
            frozenset(principals.aws),
            (principals.service, principals.federated, principals.canonical_user),
        ),
        actions and (actions.negated, frozenset(actions.patterns)),
        resources and (resources.negated, frozenset(resources.patterns)),
        statement.has_condition,
    )
