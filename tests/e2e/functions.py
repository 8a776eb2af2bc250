"""Functions of Lambda that the tests of the embedded AWS make."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo.embedded import EmbeddedAws, allow, policy_document
from tests.e2e.trail import unique

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient

TRUST_LAMBDA = json.dumps(policy_document(allow("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})))


def make_function(
    aws: EmbeddedAws,
    code: str,
    *,
    environment: Mapping[str, str] | None = None,
    statements: tuple[Mapping[str, object], ...] = (),
) -> str:
    """Create a function of one module, under a role that may do what the statements say; returns its name."""
    iam: IAMClient = aws.client("iam")
    functions: LambdaClient = aws.client("lambda")
    function = unique("function")
    role = iam.create_role(RoleName=function, AssumeRolePolicyDocument=TRUST_LAMBDA)["Role"]["Arn"]
    if statements:
        policy = json.dumps(policy_document(*statements))
        iam.put_role_policy(RoleName=function, PolicyName="Work", PolicyDocument=policy)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", code)
    functions.create_function(
        FunctionName=function,
        Runtime="python3.13",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": packed.getvalue()},
        Timeout=20,
        Environment={"Variables": dict(environment or {})},
    )
    return function
