"""Named policy scenarios: documents in, verdicts out, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.core.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_policy
from remediator.core.reading import Absent, Present, Reading
from remediator.core.state import (
    Bucket,
    CustomerKey,
    InlinePolicy,
    ManagedPolicy,
    PublicAccessBlock,
    Role,
    RolePolicies,
    Surroundings,
)

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario: ``expected`` is the part of the same name of the line, and ``sentence`` what it is about."""

    id: str
    sentence: str
    role: Role
    policies: RolePolicies
    bucket: Bucket
    surroundings: Surroundings
    expected: dict[str, Any]


def read_cases(name: str) -> list[Case]:
    """All cases of a file beside this one."""
    return [case_from(json.loads(line)) for line in (HERE / name).read_text().splitlines()]


def case_from(line: dict[str, Any]) -> Case:
    """The case that one parsed line describes."""
    return Case(
        id=line["id"],
        sentence=line["what"],
        role=role_from(line["role"]),
        policies=policies_from(line["role"]),
        bucket=bucket_from(line["bucket"]),
        surroundings=surroundings_from(line.get("env") or {}),
        expected=line["expected"],
    )


def role_from(role: dict[str, Any]) -> Role:
    """The role, without its policies."""
    boundary = role.get("boundary")
    return Role(
        arn=RoleArn.parse(role["arn"]),
        role_id=role["role_id"],
        tags=role["tags"],
        trust=read_policy(role["trust"]),
        boundary_arn=boundary["arn"] if boundary else None,
    )


def policies_from(role: dict[str, Any]) -> RolePolicies:
    """The role's policies."""
    boundary: Reading[ManagedPolicy] = Absent()
    if role.get("boundary"):
        boundary = Present(ManagedPolicy(role["boundary"]["arn"], read_policy(role["boundary"]["document"])))
    return RolePolicies(
        inline=Present(tuple(InlinePolicy(name, read_policy(each)) for name, each in role["inline"].items())),
        attached=Present(tuple(ManagedPolicy(each["arn"], read_policy(each["document"])) for each in role["managed"])),
        boundary=boundary,
    )


def bucket_from(bucket: dict[str, Any]) -> Bucket:
    """The bucket, with its key where it is the customer's."""
    encryption = bucket["encryption"]
    key = None
    if "key_policy" in encryption:
        key = CustomerKey(encryption["key_arn"], read_policy(encryption["key_policy"]))
    block = bucket.get("bpa") or {}
    return Bucket(
        name=bucket["name"],
        account=bucket["account"],
        region=bucket["region"],
        policy=read_policy(bucket["policy"]),
        public_access_block=PublicAccessBlock(
            block.get("BlockPublicPolicy", False), block.get("RestrictPublicBuckets", False)
        ),
        key=key,
    )


def surroundings_from(env: dict[str, Any]) -> Surroundings:
    """What the case says about the requests."""
    levels = env.get("scp")
    context = {
        key: (value,) if isinstance(value, str) else tuple(value) for key, value in env.get("context", {}).items()
    }
    return Surroundings(
        organization=env.get("org"),
        service_control_policies=None
        if levels is None
        else tuple(tuple(_document(each) for each in level) for level in levels),
        context=context,
    )


def _document(value: object) -> PolicyDocument:
    reading = read_policy(value)
    assert isinstance(reading, Present)
    return reading.value
