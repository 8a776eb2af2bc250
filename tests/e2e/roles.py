"""Roles that the tests break, on the deployed stack."""

from __future__ import annotations

import json
from typing import Any, Final

from demo.account import BUCKET_ACCESS, CLOUD, LAMBDA_TRUST, ROLE_PATH, TAG, DemoAccount
from tests.e2e.trail import unique

ENROL: Final = [{"Key": TAG, "Value": CLOUD}]


def create(
    account: DemoAccount,
    trust: object = LAMBDA_TRUST,
    *,
    path: str = ROLE_PATH,
    tags: Any = ENROL,
    granted: bool = True,
) -> str:
    """Create a role with a name of its own, by default an enrolled one that lacks nothing but EC2's trust.

    One that is not ``granted`` lacks the bucket, and the instance profile too.
    """
    name = unique("node")
    account.as_alice.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))
    if granted:
        account.as_alice.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=json.dumps(BUCKET_ACCESS))
        account.create_instance_profile(name)
    if tags:
        account.as_alice.tag_role(RoleName=name, Tags=tags)
    return name
