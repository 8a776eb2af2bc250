"""What the reconciler's role is denied, whatever another policy allows it: all but what is declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk.assertions import Template

from remediator.permissions import RECONCILER, Access, Target
from remediator.settings import GrantLocation, InstanceProfileMode, Mode, Settings
from remediator.settings_check import parse_settings
from stacks.statements import allow_declared
from tests.infrastructure.templates import ACCOUNT, Synthesised, listed, resolved
from tests.infrastructure.test_functions import OURS, STACKS, a_role

TAGGED = ("iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy")
ON_PROFILES = ("iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile")
ON_BUCKETS = ("s3:PutBucketPolicy", "s3:DeleteBucketPolicy")

Statements = list[dict[str, Any]]


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Synthesised:
    """One of the synthesised stacks, by name."""
    found: Synthesised = request.getfixturevalue(request.param)
    return found


def covers(patterns: list[str], text: str) -> bool:
    """IAM's wildcards, by way of a regular expression."""
    return any(
        re.fullmatch(re.escape(each).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) for each in patterns
    )


def is_denied(statements: Statements, action: str, arn: str, *, tag: str | None) -> bool:
    """Whether a call is denied, on what carries a tag of that key, or none."""

    def is_about(statement: dict[str, Any], element: str, text: str) -> bool:
        if f"Not{element}" in statement:
            return not covers(statement[f"Not{element}"], text)
        return covers(statement[element], text)

    def holds(condition: Any) -> bool:
        assert list(condition) in ([], ["Null"])
        return all(
            (key != f"aws:ResourceTag/{tag}") is (absent == "true") for key, absent in condition.get("Null", {}).items()
        )

    return any(
        each["Effect"] == "Deny"
        and is_about(each, "Action", action)
        and is_about(each, "Resource", arn)
        and holds(each.get("Condition", {}))
        for each in statements
    )


def meant(pattern: str) -> Iterator[str]:
    """Some ARNs that a pattern of an Allow matches."""
    if "*" not in pattern and "?" not in pattern:
        yield pattern
    else:
        for text in ("", "x", "deep/path/x", "-7"):
            yield pattern.replace("*", text).replace("?", "7")


def assert_that_what_is_allowed_is_not_denied(statements: Statements, settings: Settings) -> None:
    allowed = [
        (action, arn)
        for statement in statements
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
        for pattern in statement["Resource"]
        for arn in meant(pattern)
    ]
    assert allowed
    for action, arn in allowed:
        assert not is_denied(statements, action, arn, tag=settings.enrollment_tag), (action, arn)


@STACKS
def test_nothing_that_is_allowed_is_denied(stack: Synthesised) -> None:
    statements = stack.statements_of("reconciler")
    assert_that_what_is_allowed_is_not_denied(statements, stack.settings)


def near(pattern: str) -> Iterator[str]:
    """Some that resemble what a pattern matches; a few of them may be matched all the same."""
    beginning, _, resource = pattern.rpartition(":")
    name = resource.replace("*", "x").replace("?", "7")
    yield f"{beginning}:{name[:-2]}"
    yield f"{beginning}:{name}"
    yield f"{beginning}:{name.replace('/', '/other/', 1)}"
    yield f"{beginning}:{name.replace('/', '/x', 1)}"
    yield f"{beginning}:{name}-2"
    yield f"{beginning}:{name.swapcase()}"
    yield f"{beginning.replace(ACCOUNT, '444455556666')}:{name}"


@pytest.mark.parametrize("stack", ["example", "mixed"], indirect=True)
def test_every_write_anywhere_else_is_denied(stack: Synthesised) -> None:
    settings = stack.settings
    statements = stack.statements_of("reconciler")
    iam = f"arn:aws:iam::{ACCOUNT}"
    repairing = [cloud for cloud in settings.clouds if cloud.mode is Mode.REPAIR]
    profiles = [cloud for cloud in repairing if cloud.instance_profile is InstanceProfileMode.REPAIR]
    granting = [cloud for cloud in repairing if GrantLocation.BUCKET_POLICY in (cloud.grant, cloud.former_grant)]
    everything = [
        *(f"{iam}:role/{pattern}" for cloud in settings.clouds for pattern in cloud.roles),
        *(f"{iam}:instance-profile/{pattern}" for cloud in settings.clouds for pattern in cloud.roles),
        *(f"arn:aws:s3:::{bucket.name}" for cloud in settings.clouds for bucket in cloud.buckets),
        f"{iam}:role/admin",
    ]
    targets: list[tuple[tuple[str, ...], list[str]]] = [
        (TAGGED, [f"{iam}:role/{pattern}" for cloud in repairing for pattern in cloud.roles]),
        (("iam:PassRole",), [f"{iam}:role/{pattern}" for cloud in profiles for pattern in cloud.roles]),
        (ON_PROFILES, [f"{iam}:instance-profile/{pattern}" for cloud in profiles for pattern in cloud.roles]),
        (
            ON_BUCKETS,
            [f"arn:aws:s3:::{bucket.name}" for cloud in granting for bucket in cloud.buckets],
        ),
    ]
    outside = 0
    for actions, patterns in targets:
        # One statement denies all writes of a service, so that what one of them may write, none is denied.
        spared = [each for others, found in targets if others[0][:3] == actions[0][:3] for each in found]
        for arn in (arn for pattern in everything for arn in near(pattern)):
            for action in actions:
                denied = is_denied(statements, action, arn, tag=settings.enrollment_tag)
                assert denied is not covers(spared if patterns else [], arn), (action, arn)
                outside += denied
    assert outside > 100


@STACKS
def test_a_role_without_the_enrollment_tag_is_never_written_to(stack: Synthesised) -> None:
    statements = stack.statements_of("reconciler")
    tag = stack.settings.enrollment_tag
    allowed = [each for each in statements if each["Effect"] == "Allow" and set(TAGGED) & set(each["Action"])]
    arns = [arn for each in allowed for pattern in each["Resource"] for arn in meant(pattern)]
    assert arns
    for action in TAGGED:
        for arn in arns:
            assert is_denied(statements, action, arn, tag=None)
            assert is_denied(statements, action, arn, tag=f"{tag}x")


@STACKS
@pytest.mark.parametrize(
    "action",
    [
        *("iam:AttachRolePolicy", "iam:CreateRole", "iam:CreateUser", "iam:DeleteRole", "iam:TagRole", "iam:UntagRole"),
        *("iam:PutUserPolicy", "iam:CreatePolicyVersion", "iam:RemoveRoleFromInstanceProfile", "sts:AssumeRole"),
        *("s3:GetObject", "s3:PutObject", "s3:DeleteBucket", "s3:PutBucketPublicAccessBlock", "kms:PutKeyPolicy"),
        *("dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:Scan", "ssm:PutParameter", "sqs:PurgeQueue"),
        *("lambda:UpdateFunctionCode", "ec2:RunInstances", "logs:DeleteLogGroup", "sns:Subscribe", "events:PutEvents"),
    ],
)
def test_what_the_reconciler_does_not_need_is_denied_everywhere(stack: Synthesised, action: str) -> None:
    statements = stack.statements_of("reconciler")
    for arn in ("*", *(arn for each in statements for pattern in each.get("Resource", ()) for arn in meant(pattern))):
        assert is_denied(statements, action, arn, tag=stack.settings.enrollment_tag)


@STACKS
def test_no_other_table_may_be_written(stack: Synthesised) -> None:
    statements = stack.statements_of("reconciler")
    for action in ("dynamodb:PutItem", "dynamodb:UpdateItem"):
        assert is_denied(statements, action, f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/other", tag=None)


def test_in_the_largest_deployment_what_is_far_from_the_configuration_is_still_denied(largest: Synthesised) -> None:
    statements = largest.statements_of("reconciler")
    tag = largest.settings.enrollment_tag
    for role in ("admin", "aws-reserved/sso.amazonaws.com/admin", "anyscale", "anyscale/other/x", "acme-other"):
        assert is_denied(statements, "iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/{role}", tag=tag), role
    for bucket in ("other", "acme-other", "acme-machine-learning-other"):
        assert is_denied(statements, "s3:PutBucketPolicy", f"arn:aws:s3:::{bucket}", tag=tag), bucket


@pytest.mark.parametrize("wild", ["*", "*/deep-?", "-?"])
@pytest.mark.parametrize("count", [1, 7, 40, 90])
def test_however_many_patterns_there_are_what_they_allow_is_not_denied(count: int, wild: str) -> None:
    roles = [f"team-{number % 5}/machine-learning/cluster-{number * 7_919}{wild}" for number in range(count)]
    buckets = [{"name": f"acme-{number * 7_919}", "region": "us-east-1"} for number in range(count)]
    cloud = {"buckets": buckets, "roles": roles, "grant": "bucket-policy", "instanceProfile": "repair"}
    settings = parse_settings({"clouds": {"many": cloud}})
    stack, role = a_role()
    allow_declared(role, RECONCILER, settings, own_resources=OURS)
    template = Template.from_stack(stack)
    statements = [
        listed(statement)
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for found in template.find_resources(kind).values()
        for statement in resolved(found["Properties"]["PolicyDocument"]["Statement"])
    ]
    assert {each["Sid"] for each in statements if each["Effect"] == "Deny"} == {
        *("NothingElse", "NeverWithoutTheTag", "IamNowhereElse", "S3NowhereElse", "DynamodbNowhereElse")
    }
    assert_that_what_is_allowed_is_not_denied(statements, settings)


@STACKS
@pytest.mark.parametrize("function", ["digester", "notifier"])
def test_what_tells_people_is_denied_what_it_does_not_need(stack: Synthesised, function: str) -> None:
    statements = stack.statements_of(function)
    assert_that_what_is_allowed_is_not_denied(statements, stack.settings)
    for action in ("iam:PutRolePolicy", "iam:GetRole", "s3:PutBucketPolicy", "kms:PutKeyPolicy", "dynamodb:Scan"):
        assert is_denied(statements, action, "*", tag=stack.settings.enrollment_tag), action
    other = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/other"
    assert is_denied(statements, "dynamodb:PutItem", other, tag=None)
    reads_secrets = function == "notifier"
    assert is_denied(statements, "secretsmanager:GetSecretValue", "*", tag=None) is not reads_secrets
    assert is_denied(statements, "secretsmanager:PutSecretValue", "*", tag=None)


def test_the_functions_that_write_nothing_need_no_such_bounds(example: Synthesised) -> None:
    for function in ("router", "sweeper"):
        assert {each["Effect"] for each in example.statements_of(function)} == {"Allow"}


def test_every_write_is_bounded_by_its_service() -> None:
    writes = {permission.action for permission in RECONCILER if permission.access is Access.WRITE}
    ours = {permission.action for permission in RECONCILER if permission.target is Target.HISTORY_TABLE}
    assert writes - ours == {*TAGGED, *ON_PROFILES, *ON_BUCKETS, "iam:PassRole"}
