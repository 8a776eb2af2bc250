"""The functions: how they run, and that what their roles allow is exactly what is declared."""

from __future__ import annotations

import json

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

from remediator.errors import SettingsError
from remediator.permissions import IAM_WRITES, PERMISSIONS, RECONCILER, Access, Target
from remediator.settings import Mode, parse_settings
from stacks.statements import allow_declared
from tests.infrastructure.templates import ACCOUNT, Synthesised, allowed, resolved

STACKS = pytest.mark.parametrize("stack", ["example", "largest"], indirect=True)


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Synthesised:
    """One of the synthesised stacks, by name."""
    found: Synthesised = request.getfixturevalue(request.param)
    return found


def resources_of(target: Target, stack: Synthesised) -> set[str]:
    """The ARNs that a declared target means under a configuration."""
    clouds = stack.settings.clouds
    match target:
        case Target.ANY_ROLE:
            return {f"arn:aws:iam::{ACCOUNT}:role/*"}
        case Target.ENROLLED_ROLES:
            repairing = [cloud for cloud in clouds if cloud.mode is Mode.REPAIR]
            return {f"arn:aws:iam::{ACCOUNT}:role/{pattern}" for cloud in repairing for pattern in cloud.roles}
        case Target.ANY_MANAGED_POLICY:
            return {f"arn:aws:iam::{ACCOUNT}:policy/*", "arn:aws:iam::aws:policy/*"}
        case Target.CONFIGURED_BUCKETS:
            return {f"arn:aws:s3:::{bucket.name}" for cloud in clouds for bucket in cloud.buckets}


def test_there_is_one_function_per_declaration(example: Synthesised) -> None:
    handlers = {function["Properties"]["Handler"] for function in example.resources("AWS::Lambda::Function").values()}
    assert handlers == {f"remediator.handlers.{name}.handle" for name in PERMISSIONS}


def test_every_function_runs_the_newest_python_on_arm_with_traces_and_its_own_logs(example: Synthesised) -> None:
    groups = example.resources("AWS::Logs::LogGroup")
    used = set()
    for function in example.resources("AWS::Lambda::Function").values():
        properties = function["Properties"]
        assert properties["Runtime"] == "python3.14"
        assert properties["Architectures"] == ["arm64"]
        assert properties["TracingConfig"] == {"Mode": "Active"}
        assert properties["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == "AnyscaleRemediator"
        used.add(properties["LoggingConfig"]["LogGroup"])
    assert used == set(groups)


@STACKS
def test_logs_are_kept_as_long_as_configured_and_go_with_the_stack(stack: Synthesised) -> None:
    for group in stack.resources("AWS::Logs::LogGroup").values():
        assert group["Properties"]["RetentionInDays"] == stack.settings.log_retention_days
        assert group["DeletionPolicy"] == "Delete"


def test_the_functions_are_told_where_to_send(example: Synthesised) -> None:
    queue, _ = example.named("AWS::SQS::Queue", "WorkQueue")
    topic, _ = example.named("AWS::SNS::Topic", "Alerts")
    _, router = example.named("AWS::Lambda::Function", "Router")
    _, reconciler = example.named("AWS::Lambda::Function", "Reconciler")
    assert router["Properties"]["Environment"]["Variables"]["WORK_QUEUE_URL"] == queue
    assert router["Properties"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == "router"
    assert reconciler["Properties"]["Environment"]["Variables"]["ALERTS_TOPIC_ARN"] == topic
    assert reconciler["Properties"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == "reconciler"
    role = example.role_of("reconciler")
    assert reconciler["Properties"]["Environment"]["Variables"]["REMEDIATOR_ROLE_ARN"] == f"{role}.Arn"


@STACKS
@pytest.mark.parametrize("function", PERMISSIONS)
def test_a_role_allows_of_iam_and_s3_exactly_what_is_declared(stack: Synthesised, function: str) -> None:
    declared = {
        (permission.action, resource)
        for permission in PERMISSIONS[function]
        for resource in resources_of(permission.target, stack)
    }
    granted = list(allowed(stack.statements_of(function), "iam", "s3"))
    assert set(granted) == declared
    assert len(granted) == len(declared)


@STACKS
def test_every_write_is_bound_to_roles_with_the_enrolment_tag(stack: Synthesised) -> None:
    writes = {permission.action for permission in RECONCILER if permission.access is Access.WRITE}
    statements = [s for s in stack.statements_of("reconciler") if s["Effect"] == "Allow" and writes & set(s["Action"])]
    assert statements
    for statement in statements:
        assert statement["Condition"] == {"Null": {f"aws:ResourceTag/{stack.settings.enrollment_tag}": "false"}}
        assert not {resource for resource in statement["Resource"] if resource.endswith(":role/*")}


@STACKS
def test_the_reconciler_may_not_write_to_the_roles_of_the_remediator(stack: Synthesised) -> None:
    (deny,) = [statement for statement in stack.statements_of("reconciler") if statement["Effect"] == "Deny"]
    assert set(deny["Action"]) == set(IAM_WRITES)
    assert set(deny["Resource"]) == {f"{role}.Arn" for role in stack.resources("AWS::IAM::Role")}
    assert "Condition" not in deny


@pytest.mark.parametrize("function", PERMISSIONS)
def test_nothing_but_traces_is_allowed_on_everything(example: Synthesised, function: str) -> None:
    everywhere = {
        action
        for statement in example.statements_of(function)
        if statement["Effect"] == "Allow" and "*" in statement["Resource"]
        for action in statement["Action"]
    }
    assert everywhere == {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def test_each_function_reaches_its_own_queues_key_topic_and_logs_only(example: Synthesised) -> None:
    services = ("sqs", "sns", "kms", "logs", "lambda", "events", "dynamodb", "ssm", "sts", "secretsmanager")
    intake, work, topic, key, router_logs, reconciler_logs = (
        example.named(kind, beginning)[0]
        for kind, beginning in (
            ("AWS::SQS::Queue", "IntakeQueue"),
            ("AWS::SQS::Queue", "WorkQueue"),
            ("AWS::SNS::Topic", "Alerts"),
            ("AWS::KMS::Key", "Alerts"),
            ("AWS::Logs::LogGroup", "Router"),
            ("AWS::Logs::LogGroup", "Reconciler"),
        )
    )
    router = set(allowed(example.statements_of("router"), *services))
    reconciler = set(allowed(example.statements_of("reconciler"), *services))
    receive = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}
    look = {"sqs:GetQueueAttributes", "sqs:GetQueueUrl"}
    write_logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert router == {
        *((action, f"{intake}.Arn") for action in receive | look),
        *((action, f"{work}.Arn") for action in look | {"sqs:SendMessage"}),
        *((action, f"{router_logs}.Arn") for action in write_logs),
    }
    assert reconciler == {
        *((action, f"{work}.Arn") for action in receive | look),
        ("sns:Publish", topic),
        *((action, f"{key}.Arn") for action in ("kms:Decrypt", "kms:GenerateDataKey*")),
        *((action, f"{reconciler_logs}.Arn") for action in write_logs),
    }


def test_only_lambda_may_assume_the_roles(example: Synthesised) -> None:
    for role in example.resources("AWS::IAM::Role").values():
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


@STACKS
@pytest.mark.parametrize("function", PERMISSIONS)
def test_the_policies_of_a_role_fit_the_limits_of_iam(stack: Synthesised, function: str) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html; references count as real ARNs."""
    inline, managed = stack.policies_of(stack.role_of(function))
    sizes = [len(json.dumps(lengthened(document), separators=(",", ":"))) for document in managed]
    assert sum(len(json.dumps(lengthened(document), separators=(",", ":"))) for document in inline) <= 10_240
    assert all(size <= 6_144 for size in sizes)
    assert len(sizes) <= 10


def lengthened(value: object) -> object:
    """A policy whose references are as long as the longest ARN of a resource of ours can be."""
    match value:
        case dict():
            return {key: lengthened(inner) for key, inner in value.items()}
        case list():
            return [lengthened(inner) for inner in value]
        case str() if value.endswith(".Arn"):
            return f"arn:aws:service:us-gov-west-1:{ACCOUNT}:{'x' * 80}"
        case _:
            return value


def test_where_no_cloud_repairs_nothing_may_be_written() -> None:
    settings = parse_settings(
        {
            "clouds": {
                "watched": {
                    "buckets": [{"name": "acme", "region": "us-east-1"}],
                    "roles": ["anyscale/*"],
                    "mode": "observe",
                }
            }
        }
    )
    stack, role = a_role()
    allow_declared(role, RECONCILER, settings)
    (policy,) = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    actions = {
        action
        for statement in resolved(policy["Properties"]["PolicyDocument"]["Statement"])
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert actions == {permission.action for permission in RECONCILER if permission.access is Access.READ}


def test_more_patterns_than_a_role_can_hold_are_refused_with_what_to_do() -> None:
    patterns = [f"anyscale/{'x' * 480}/{number}" for number in range(100)]
    buckets = [{"name": "acme", "region": "us-east-1"}]
    settings = parse_settings({"clouds": {"wide": {"buckets": buckets, "roles": patterns}}})
    _, role = a_role()
    with pytest.raises(SettingsError, match="use fewer or broader role patterns"):
        allow_declared(role, RECONCILER, settings)


def a_role() -> tuple[Stack, iam.Role]:
    stack = Stack(App(analytics_reporting=False), "Small", env=Environment(region="us-east-1"))
    return stack, iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
