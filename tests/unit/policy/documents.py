"""Short ways to write policy documents, roles and buckets in tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.core.model.bucket import Bucket, CustomerKey, PublicAccessBlock
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_mapping
from remediator.core.policy.edit import replace_own_statements
from remediator.core.policy.reading import Absent, Present, Reading
from remediator.core.repair.bucket_policy import bucket_policy_statement, granting_bucket_policy
from remediator.core.repair.role_policy import OwnGrant, own_policy

ACCOUNT = "111111111111"
OTHER_ACCOUNT = "222222222222"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/anyscale/cluster"
ROLE_ID = "AROAEXAMPLECLUSTER001"
BUCKET = "data-bucket"
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
KEY_ARN = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOTH = [BUCKET_ARN, f"{BUCKET_ARN}/*"]
EC2 = {"Service": "ec2.amazonaws.com"}

Statement = dict[str, Any]


def document(*statements: Statement, version: str = "2012-10-17") -> PolicyDocument:
    return read_mapping({"Version": version, "Statement": list(statements)})


def allow(**elements: Any) -> Statement:
    return {"Effect": "Allow", "Action": "s3:*", "Resource": BOTH, **elements}


def deny(**elements: Any) -> Statement:
    return {"Effect": "Deny", "Action": "s3:*", "Resource": BOTH, **elements}


def trust(**elements: Any) -> Statement:
    return {"Effect": "Allow", "Principal": EC2, "Action": "sts:AssumeRole", **elements}


def role(
    *trust_statements: Statement, arn: str = ROLE_ARN, tags: dict[str, str] | None = None, boundary: str | None = None
) -> Role:
    return Role(RoleArn.parse(arn), ROLE_ID, tags or {}, Present(document(*trust_statements)), boundary)


def policies(*inline: PolicyDocument, boundary: PolicyDocument | None = None) -> RolePolicies:
    limit: Reading[ManagedPolicy] = Absent()
    if boundary is not None:
        limit = Present(ManagedPolicy(f"arn:aws:iam::{ACCOUNT}:policy/Limit", Present(boundary)))
    named = tuple(InlinePolicy(f"p{number}", Present(each)) for number, each in enumerate(inline, start=1))
    return RolePolicies(Present(named), Present(()), limit)


def bucket(
    policy: PolicyDocument | None = None,
    *,
    account: str = ACCOUNT,
    block: PublicAccessBlock | None = PublicAccessBlock(),  # noqa: B008  # it is frozen
    key_policy: PolicyDocument | None = None,
    key_arn: str = KEY_ARN,
) -> Bucket:
    return Bucket(
        BUCKET,
        account,
        "us-west-2",
        Absent() if policy is None else Present(policy),
        block,
        None if key_policy is None else CustomerKey(key_arn, Present(key_policy)),
    )


def our_policy(current: Reading[PolicyDocument], *buckets: str, keys: tuple[str, ...] = ()) -> PolicyDocument:
    """Our inline policy with a grant that is not empty."""
    after = own_policy(current, OwnGrant.of(buckets, keys), "aws")
    assert after is not None
    return after


def our_bucket_policy(current: Reading[PolicyDocument], *roles: str) -> PolicyDocument:
    """The policy of the bucket with our statement for some roles, by their ARNs."""
    after = granting_bucket_policy(current, BUCKET, roles, "aws")
    assert after is not None
    return after


def our_bucket_statement(*roles: str) -> Statement:
    """Our statement in the policy of the bucket."""
    return bucket_policy_statement(BUCKET, roles or (ROLE_ARN,), "aws")


def upserted(before: PolicyDocument | None, statements: tuple[Mapping[str, object], ...]) -> PolicyDocument:
    """The document with statements of ours, whatever else of ours is in it."""
    after = replace_own_statements(before, frozenset(str(each["Sid"]) for each in statements), statements)
    assert after is not None
    return after
