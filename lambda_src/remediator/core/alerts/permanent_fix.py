"""How to make a repair permanent: the statements to put into Terraform or CloudFormation, for this very role."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from remediator.core.alerts.notification import PermanentFix
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.policy.arn import RoleArn
from remediator.core.repair.bucket_policy import bucket_policy_statement
from remediator.core.repair.instance_profile import own_instance_profile_arn, path_of_instance_profile
from remediator.core.repair.key_statement import key_policy_statement
from remediator.core.repair.role_policy import own_grant_statements, own_key_statement
from remediator.core.repair.trust import ec2_trust_statement
from remediator.settings import GrantSide

_TRUST = frozenset({FindingCode.TRUST_MISSING, FindingCode.TRUST_CONDITIONAL})

SUGGESTED_POLICY_NAME = "anyscale-bucket-access"
"""Not the name of our own policy: two owners of one policy would overwrite each other."""


def permanent_fix(
    role_arn: str | None,
    findings: tuple[Finding, ...],
    buckets: tuple[str, ...],
    grant: GrantSide = GrantSide.ROLE_POLICY,
    *,
    instance_profile: str | None = None,
) -> PermanentFix | None:
    """The code that keeps the findings from coming back; None where code cannot (nothing is missing).

    ``buckets`` are the names of the cloud's buckets, ``grant`` the side where it grants them. ``instance_profile`` is
    the ARN of the role's instance profile, None where there is none yet.
    """
    if role_arn is None:
        return None
    role = RoleArn.parse(role_arn)
    parts = [
        *_trust(role, findings),
        *_grants(role, findings, buckets, grant),
        *_key_policies(role, findings),
        *_profile(role, findings, instance_profile or own_instance_profile_arn(role)),
    ]
    if not parts:
        return None
    return PermanentFix(
        "\n\n".join(part.terraform for part in parts), "\n\n".join(part.cloudformation for part in parts)
    )


def _subjects(findings: tuple[Finding, ...], *codes: FindingCode) -> list[str]:
    return sorted({finding.subject for finding in findings if finding.code in codes})


def _trust(role: RoleArn, findings: tuple[Finding, ...]) -> Iterator[PermanentFix]:
    if any(finding.code in _TRUST for finding in findings):
        statement = _without_sid(ec2_trust_statement(role.partition))
        yield PermanentFix(_terraform_trust(statement), _cloudformation_trust(role, statement))


def _grants(
    role: RoleArn, findings: tuple[Finding, ...], buckets: tuple[str, ...], grant: GrantSide
) -> Iterator[PermanentFix]:
    missing = tuple(name for name in _subjects(findings, FindingCode.GRANT_MISSING) if name in buckets)
    statements: list[Mapping[str, object]] = []
    if missing and grant is GrantSide.ROLE_POLICY:
        statements += own_grant_statements(missing, role.partition)
    elif missing:
        yield from (_bucket_policy(role, bucket) for bucket in missing)
    if keys := _subjects(findings, FindingCode.KEY_MISSING):
        statements.append(own_key_statement(tuple(keys), role.partition))
    if statements:
        plain = [_without_sid(statement) for statement in statements]
        yield PermanentFix(_terraform_grant(role, plain), _cloudformation_grant(role, plain))


def _bucket_policy(role: RoleArn, bucket: str) -> PermanentFix:
    statement = _without_sid(bucket_policy_statement(bucket, (str(role),), role.partition))
    return PermanentFix(
        f"# Add this to the Statement list of the policy (jsonencode) of the aws_s3_bucket_policy of {bucket}:\n"
        f"{_hcl(statement)}",
        f"# AWS::S3::BucketPolicy of {bucket}: add this to PolicyDocument.Statement, beside what is there\n"
        f"{_yaml([statement])}",
    )


def _key_policies(role: RoleArn, findings: tuple[Finding, ...]) -> Iterator[PermanentFix]:
    for key in _subjects(findings, FindingCode.KEY_BEYOND_ROLE):
        statement = key_policy_statement(role)
        yield PermanentFix(
            f"# Add this to the Statement list of the policy (jsonencode) of the aws_kms_key {key}:\n{_hcl(statement)}",
            f"# AWS::KMS::Key {key}: add this to KeyPolicy.Statement, beside what is there\n{_yaml([statement])}",
        )


def _profile(role: RoleArn, findings: tuple[Finding, ...], arn: str) -> Iterator[PermanentFix]:
    if not _subjects(findings, FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED):
        return
    path = path_of_instance_profile(arn) if arn.endswith(f"/{role.name}") else role.path
    profile = {
        "Type": "AWS::IAM::InstanceProfile",
        "Properties": {"InstanceProfileName": role.name, "Path": path, "Roles": [role.name]},
    }
    yield PermanentFix(
        "\n".join(
            (
                'resource "aws_iam_instance_profile" "anyscale_node" {',
                f'  name = "{role.name}"',
                f"  path = {_hcl(path)}",
                f'  role = "{role.name}"',
                "}",
            )
        ),
        _yaml({"AnyscaleNodeInstanceProfile": profile}),
    )


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
    # Within quotes these would begin a template.
    # https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")


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
