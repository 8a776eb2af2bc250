"""Our own inline policy in a role: what its statements grant, and what stands against writing them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from remediator.core.access.actions import (
    KEY_ACTIONS,
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.model.own_names import BUCKET_SID, KEYS_SID, OBJECTS_SID, OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, Role, RolePolicies
from remediator.core.policy.arn import service_by_s3
from remediator.core.policy.document import PolicyDocument, policy_size
from remediator.core.policy.edit import replace_own_statements
from remediator.core.policy.explain import Obstacle
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.write_blockers import faults_obstacles, unmodifiable_obstacles

_OWN_SIDS = frozenset({BUCKET_SID, OBJECTS_SID, KEYS_SID})

INLINE_QUOTA = 10_240
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

_REGION_IN_ARN = 3


@dataclass(frozen=True, slots=True)
class OwnGrant:
    """What our inline policy grants: the use of buckets, by their names, and of KMS keys, by their ARNs; sorted."""

    buckets: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, buckets: Iterable[str] = (), keys: Iterable[str] = ()) -> OwnGrant:
        """The grant of all of them, each once."""
        return cls(tuple(sorted(set(buckets))), tuple(sorted(set(keys))))


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


def own_key_statement(keys: tuple[str, ...], partition: str) -> dict[str, object]:
    """Our statement for KMS keys given by ARN: they may be used through S3 only, in the Regions of the keys.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """
    arns = sorted(set(keys))
    services = sorted({service_by_s3(arn.split(":")[_REGION_IN_ARN], partition) for arn in arns})
    return {
        "Sid": KEYS_SID,
        "Effect": "Allow",
        "Action": [*KEY_ACTIONS],
        "Resource": arns,
        "Condition": {"StringEquals": {"kms:ViaService": services}},
    }


def own_policy(current: Reading[PolicyDocument], grant: OwnGrant, partition: str) -> PolicyDocument | None:
    """Our inline policy as it should be for this grant; statements that somebody else put into it stay.

    None where nothing would be left in it, so that it should not exist. A present document with faults comes back as
    it is. Raises ValueError where the present one could not be read: it must not be overwritten.
    """
    statements: list[dict[str, object]] = []
    if grant.buckets:
        statements += own_grant_statements(grant.buckets, partition)
    if grant.keys:
        statements.append(own_key_statement(grant.keys, partition))
    match current:
        case Present(value=document):
            return replace_own_statements(document, _OWN_SIDS, statements)
        case Absent():
            return replace_own_statements(None, _OWN_SIDS, statements)
        case Unreadable(why=why):
            raise ValueError(f"{OWN_POLICY_NAME} must not be written over a policy that could not be read: {why}")
        case _ as never:
            assert_never(never)


def granted_by(document: PolicyDocument, partition: str) -> OwnGrant:
    """The buckets and keys that our own statements in our inline policy name now."""
    start = f"arn:{partition}:s3:::"
    buckets: set[str] = set()
    keys: set[str] = set()
    for statement in document.statements:
        if statement.resources is None or statement.resources.negated:
            continue
        arns = statement.resources.patterns
        if statement.sid in (BUCKET_SID, OBJECTS_SID):
            buckets |= {arn.removeprefix(start).partition("/")[0] for arn in arns if arn.startswith(start)}
        elif statement.sid == KEYS_SID:
            keys |= {arn for arn in arns if arn.startswith(f"arn:{partition}:kms:")}
    return OwnGrant.of(buckets, keys)


def turned_into_deny(document: PolicyDocument) -> bool:
    """Whether somebody made a Deny of one of our statements in our inline policy: then it is theirs, and stays."""
    return any(statement.sid in _OWN_SIDS and statement.effect == "Deny" for statement in document.statements)


def inline_write_obstacles(
    role: Role, policies: RolePolicies, after: PolicyDocument | None, quota: int = INLINE_QUOTA
) -> tuple[Obstacle, ...]:
    """What stands against writing ``after`` as our inline policy, or deleting it; empty where nothing is known to.

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
    obstacles = [*unmodifiable_obstacles(role)]
    total = 0 if after is None else policy_size(after)
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
    if after is not None and total > quota:
        text = f"The role's inline policies would have {total:,} characters together; the quota is {quota:,}."
        obstacles.append(Obstacle("quota", text))
    return tuple(obstacles)
