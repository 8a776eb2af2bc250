"""Example values that many tests share: a configuration, roles, documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.core.events.event import Actor, Cause
from remediator.core.model.role import Role
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_policy
from remediator.core.policy.reading import Present, Reading
from remediator.settings import Settings
from remediator.settings_check import parse_settings

ACCOUNT = "111122223333"
OUTSIDE = "525325868955"
BUCKET = "anyscale-production-data"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/anyscale/production/head-node"
OWN_ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/AnyscaleRemediator-ReconcilerRole"
ENROLLED = {"anyscale:cluster-role": "production"}

LAMBDA_STATEMENT = {
    "Sid": "Lambda",
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
EC2_STATEMENT = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def settings(**changes: Any) -> Settings:
    """A configuration with the cloud ``production``; keyword arguments change or add keys of that cloud."""
    cloud = {
        "buckets": [{"name": BUCKET, "region": "us-east-1"}],
        "roles": ["anyscale/production/*"],
        **changes,
    }
    return parse_settings({"clouds": {"production": cloud}})


def policy(*statements: Mapping[str, object]) -> dict[str, object]:
    """A policy document of the current version."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def document(*statements: Mapping[str, object]) -> PolicyDocument:
    """The same, understood."""
    reading = read_policy(policy(*statements))
    assert isinstance(reading, Present)
    return reading.value


def bucket_grant(bucket: str = BUCKET, *actions: str) -> dict[str, object]:
    """A statement that allows everything, or some actions, on a bucket and its objects."""
    return {
        "Effect": "Allow",
        "Action": list(actions) or "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }


def a_role(
    *trust: Mapping[str, object],
    tags: Mapping[str, str] | None = None,
    arn: str = ROLE_ARN,
    reading: Reading[PolicyDocument] | None = None,
) -> Role:
    """An enrolled role with the given trust statements (or the given reading of its trust policy)."""
    return Role(
        arn=RoleArn.parse(arn),
        role_id="AROAEXAMPLEHEADNODE01",
        tags=ENROLLED if tags is None else tags,
        trust=Present(document(*trust)) if reading is None else reading,
    )


def a_cause(
    call: str = "UpdateAssumeRolePolicy",
    *,
    actor: str = f"arn:aws:iam::{ACCOUNT}:user/alice",
    issuer: str | None = None,
) -> Cause:
    """A call by alice, or by a session of the role ``issuer``."""
    kind = "IAMUser" if issuer is None else "AssumedRole"
    return Cause(
        event_id="11111111-2222-4333-8444-555555555555",
        call=call,
        time="2026-03-04T10:00:17Z",
        actor=Actor(kind=kind, arn=actor, issuer_arn=issuer, user_agent="aws-cli/2.31.5"),
    )
