"""How to make a repair permanent: the statements to put into Terraform or CloudFormation, for this very role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from remediator.core.arn import RoleArn
from remediator.core.diagnose import Finding, FindingCode
from remediator.core.grants import own_grant_statements
from remediator.core.trust import ec2_trust_statement

_TRUST = frozenset({FindingCode.TRUST_MISSING, FindingCode.TRUST_CONDITIONAL})
_GRANT = frozenset({FindingCode.GRANT_MISSING})

SUGGESTED_POLICY_NAME = "anyscale-bucket-access"
"""Not the name of our own policy: two owners of one policy would overwrite each other."""


@dataclass(frozen=True, slots=True)
class PermanentFix:
    """The same fix in both languages; each text is complete but for the names that only the reader's code knows."""

    terraform: str
    cloudformation: str


def permanent_fix(role_arn: str | None, findings: tuple[Finding, ...], buckets: tuple[str, ...]) -> PermanentFix | None:
    """The code that keeps the findings from coming back; None where code cannot (nothing is missing)."""
    if role_arn is None:
        return None
    role = RoleArn.parse(role_arn)
    terraform: list[str] = []
    cloudformation: list[str] = []
    if any(finding.code in _TRUST for finding in findings):
        statement = _without_sid(ec2_trust_statement(role.partition))
        terraform.append(_terraform_trust(statement))
        cloudformation.append(_cloudformation_trust(role, statement))
    missing = {finding.subject for finding in findings if finding.code in _GRANT}
    if missing:
        statements = [
            _without_sid(s) for s in own_grant_statements(tuple(sorted(missing & set(buckets))), role.partition)
        ]
        terraform.append(_terraform_grant(role, statements))
        cloudformation.append(_cloudformation_grant(role, statements))
    return PermanentFix("\n\n".join(terraform), "\n\n".join(cloudformation)) if terraform else None


def _terraform_trust(statement: Mapping[str, object]) -> str:
    return "\n".join(
        (
            "# Add this to the Statement list of the role's assume_role_policy (jsonencode), beside what is there:",
            _hcl(statement),
        )
    )


def _terraform_grant(role: RoleArn, statements: list[Mapping[str, object]]) -> str:
    return "\n".join(
        (
            'resource "aws_iam_role_policy" "anyscale_bucket_access" {',
            f'  name   = "{SUGGESTED_POLICY_NAME}"',
            f'  role   = "{role.name}"',
            f"  policy = jsonencode({_hcl({'Version': '2012-10-17', 'Statement': statements}, '  ')})",
            "}",
        )
    )


def _cloudformation_trust(role: RoleArn, statement: Mapping[str, object]) -> str:
    return "\n".join(
        (
            f"# AWS::IAM::Role {role.name}: add this to AssumeRolePolicyDocument.Statement, beside what is there",
            _yaml([statement]),
        )
    )


def _cloudformation_grant(role: RoleArn, statements: list[Mapping[str, object]]) -> str:
    policy = {
        "Type": "AWS::IAM::RolePolicy",
        "Properties": {
            "RoleName": role.name,
            "PolicyName": SUGGESTED_POLICY_NAME,
            "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
        },
    }
    return _yaml({"AnyscaleBucketAccess": policy})


def _without_sid(statement: Mapping[str, object]) -> Mapping[str, object]:
    return {key: value for key, value in statement.items() if key != "Sid"}


def _hcl(value: object, indent: str = "") -> str:
    """A JSON value as an HCL expression.

    https://developer.hashicorp.com/terraform/language/expressions/types
    """
    inner = f"{indent}  "
    if isinstance(value, Mapping):
        lines = [f"{inner}{key} = {_hcl(item, inner)}" for key, item in value.items()]
        return "\n".join(("{", *lines, f"{indent}}}"))
    if isinstance(value, (list, tuple)):
        lines = [f"{inner}{_hcl(item, inner)}," for item in value]
        return "\n".join(("[", *lines, f"{indent}]"))
    return json.dumps(value)


def _yaml(value: object, indent: str = "") -> str:
    """A JSON value as block-style YAML; scalars are written as JSON strings, which YAML reads the same way.

    https://yaml.org/spec/1.2.2/#rule-c-double-quoted
    """
    if isinstance(value, Mapping):
        return "\n".join(_yaml_entry(f"{indent}{key}:", item, indent) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "\n".join(_yaml_item(item, indent) for item in value)
    return f"{indent}{json.dumps(value)}"


def _yaml_entry(head: str, value: object, indent: str) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return f"{head}\n{_yaml(value, indent + '  ')}"
    return f"{head} {json.dumps(value)}"


def _yaml_item(value: object, indent: str) -> str:
    block = _yaml(value, f"{indent}  ")
    return f"{indent}- {block.lstrip()}"
