"""The functions: how they run, and that what their roles allow is exactly what is declared."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any, assert_never

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

from remediator.errors import SettingsError
from remediator.gateways import digests
from remediator.handlers import digester, notifier, reconciler
from remediator.permissions import IAM_WRITES, PERMISSIONS, RECONCILER, Access, Target
from remediator.settings import Cloud, InstanceProfileMode, Mode, Settings
from remediator.settings_check import parse_settings
from stacks.queues import MAX_RECEIVE_COUNT
from stacks.statements import allow_declared
from tests.infrastructure.conftest import WEBHOOK
from tests.infrastructure.templates import ACCOUNT, HOME, Synthesised, allowed, listed, resolved

STACKS = pytest.mark.parametrize("stack", ["example", "largest", "mixed"], indirect=True)


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Synthesised:
    """One of the synthesised stacks, by name."""
    found: Synthesised = request.getfixturevalue(request.param)
    return found


KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Condition = dict[str, dict[str, Any]]

OURS = {
    Target.HISTORY_TABLE: "HistoryTable.Arn",
    Target.HISTORY_LISTING: "HistoryTable.Arn/index/Listing",
    Target.PAUSE_PARAMETER: f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/anyscale-remediator/writes",
    Target.DIGESTER_ITEMS: "HistoryTable.Arn",
    Target.NOTIFIER_ITEMS: "HistoryTable.Arn",
}


def own(stack: Synthesised) -> dict[Target, str]:
    """The ARNs of the stack's own resources that calls are declared on."""
    table, _ = stack.named("AWS::DynamoDB::Table", "History")
    region = stack.settings.region
    return {
        Target.HISTORY_TABLE: f"{table}.Arn",
        Target.HISTORY_LISTING: f"{table}.Arn/index/Listing",
        Target.PAUSE_PARAMETER: (f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/anyscale-remediator/writes"),
        Target.DIGESTER_ITEMS: f"{table}.Arn",
        Target.NOTIFIER_ITEMS: f"{table}.Arn",
    }


def declared(  # noqa: C901, PLR0912 - one case for each target
    target: Target, settings: Settings, ours: dict[Target, str]
) -> list[tuple[str, Condition]]:
    """The ARNs that a declared target means under a configuration, each with the condition that calls on it have."""
    clouds = settings.clouds
    iam_of = f"arn:aws:iam::{ACCOUNT}"
    repairing = [cloud for cloud in clouds if cloud.mode is Mode.REPAIR]
    patterns = {p.text for cloud in repairing for p in cloud.roles}
    with_profiles = {
        p.text for cloud in repairing if cloud.instance_profile is InstanceProfileMode.REPAIR for p in cloud.roles
    }
    match target:
        case Target.WHOLE_ACCOUNT:
            return [("*", {})]
        case Target.ANY_ROLE:
            return [(f"{iam_of}:role/*", {})]
        case Target.ANY_INSTANCE_PROFILE:
            return [(f"{iam_of}:instance-profile/*", {})]
        case Target.ENROLLED_ROLES:
            tagged = {"Null": {f"aws:ResourceTag/{settings.enrollment_tag}": "false"}}
            return [(f"{iam_of}:role/{pattern}", tagged) for pattern in patterns]
        case Target.PASSED_ROLES:
            passed = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
            return [(f"{iam_of}:role/{pattern}", passed) for pattern in with_profiles]
        case Target.REPAIRED_INSTANCE_PROFILES:
            return [(f"{iam_of}:instance-profile/{pattern}", {}) for pattern in with_profiles]
        case Target.ANY_MANAGED_POLICY:
            return [(f"{iam_of}:policy/*", {}), ("arn:aws:iam::aws:policy/*", {})]
        case Target.CUSTOMER_POLICIES:
            return [(f"{iam_of}:policy/*", {})]
        case Target.CONFIGURED_BUCKETS:
            return bucket_arns(clouds)
        case Target.GRANTING_BUCKETS:
            return bucket_arns([cloud for cloud in repairing if cloud.writes_bucket_policies])
        case Target.CONFIGURED_KEYS:
            return [(key, {}) for key in {bucket.key for cloud in clouds for bucket in cloud.buckets} if key]
        case Target.HISTORY_TABLE | Target.HISTORY_LISTING | Target.PAUSE_PARAMETER:
            return [(ours[target], {})]
        case Target.DIGESTER_ITEMS:
            return [(ours[target], {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["DIGEST*"]}})]
        case Target.NOTIFIER_ITEMS:
            return [(ours[target], {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["NOTIFIER"]}})]
        case Target.SLACK_WEBHOOK:
            secret = settings.slack_webhook_secret or ""
            secrets = f"arn:aws:secretsmanager:{settings.region}:{ACCOUNT}:secret"
            return [(secret if secret.startswith("arn:") else f"{secrets}:{secret}-??????", {})]
        case _ as never:
            assert_never(never)


def bucket_arns(clouds: Sequence[Cloud]) -> list[tuple[str, Condition]]:
    owners = {bucket.name: bucket.account or ACCOUNT for cloud in clouds for bucket in cloud.buckets}
    return [
        (f"arn:aws:s3:::{name}", {"StringEquals": {"aws:ResourceAccount": owner}}) for name, owner in owners.items()
    ]


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
    intake, work, sweep = (
        example.named("AWS::SQS::Queue", name)[0] for name in ("IntakeQueue", "WorkQueue", "SweepQueue")
    )
    digest, slack = (example.named("AWS::SQS::Queue", name)[0] for name in ("DigestQueue", "SlackQueue"))
    topic, _ = example.named("AWS::SNS::Topic", "Alerts")
    people, _ = example.named("AWS::SNS::Topic", "People")
    table, _ = example.named("AWS::DynamoDB::Table", "History")
    role = f"{example.role_of('reconciler')}.Arn"
    expected = {
        "router": {
            "CONSUMED_QUEUE_URL": intake,
            "WORK_QUEUE_URL": work,
            "SWEEP_QUEUE_URL": sweep,
            "REMEDIATOR_ROLE_ARN": role,
        },
        "sweeper": {
            "CONSUMED_QUEUE_URL": sweep,
            "WORK_QUEUE_URL": work,
            "SWEEP_QUEUE_URL": sweep,
            "HISTORY_TABLE": table,
        },
        "reconciler": {
            "CONSUMED_QUEUE_URL": work,
            "ALERTS_TOPIC_ARN": topic,
            "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT),
            "REMEDIATOR_ROLE_ARN": role,
            "HISTORY_TABLE": table,
            "PAUSE_PARAMETER": "/anyscale-remediator/writes",
        },
        "digester": {"CONSUMED_QUEUE_URL": digest, "PEOPLE_TOPIC_ARN": people, "HISTORY_TABLE": table},
        "notifier": {"CONSUMED_QUEUE_URL": slack, "WEBHOOK_SECRET": WEBHOOK, "HISTORY_TABLE": table},
    }
    for function in example.resources("AWS::Lambda::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]
        own = {name: value for name, value in variables.items() if not name.startswith("POWERTOOLS_")}
        assert own == expected[variables["POWERTOOLS_SERVICE_NAME"]]


@pytest.mark.parametrize(
    ("function", "seconds", "megabytes"),
    [
        *(("Router", 60, 256), ("Sweeper", 300, 512), ("Reconciler", 120, 256)),
        *(("Digester", 60, 256), ("Notifier", 120, 256)),
    ],
)
def test_each_function_has_the_time_and_the_memory_that_it_needs(
    example: Synthesised, function: str, seconds: int, megabytes: int
) -> None:
    _, found = example.named("AWS::Lambda::Function", function)
    assert (found["Properties"]["Timeout"], found["Properties"]["MemorySize"]) == (seconds, megabytes)


def test_what_a_function_keeps_for_a_message_that_it_begins_fits_into_its_time_several_times(
    example: Synthesised,
) -> None:
    kept = {"Reconciler": reconciler, "Digester": digester, "Notifier": notifier}
    for function, module in kept.items():
        _, found = example.named("AWS::Lambda::Function", function)
        assert found["Properties"]["Timeout"] * 1000 >= 2 * module.ENOUGH_MILLISECONDS, function


@STACKS
@pytest.mark.parametrize("function", PERMISSIONS)
def test_a_role_allows_of_what_concerns_others_exactly_what_is_declared(stack: Synthesised, function: str) -> None:
    expected = Counter(
        (permission.action, resource, json.dumps(condition))
        for permission in PERMISSIONS[function]
        for resource, condition in declared(permission.target, stack.settings, own(stack))
    )
    own_key = stack.named("AWS::KMS::Key", "Alerts")[0]
    granted = Counter(
        (action, resource, json.dumps(statement.get("Condition", {})))
        for statement in stack.statements_of(function)
        for action, resource in allowed([statement], "iam", "s3", "kms", "dynamodb", "ssm", "secretsmanager")
        if resource != f"{own_key}.Arn"
    )
    assert granted == expected
    assert set(granted.values()) == {1}, "nothing is allowed twice"


@STACKS
@pytest.mark.parametrize("function", [function for function in PERMISSIONS if function != "reconciler"])
def test_all_but_the_reconciler_can_write_nothing_but_messages_and_what_they_have_told(
    stack: Synthesised, function: str
) -> None:
    services = {"iam", "s3", "kms", "sns", "sqs", "events", "scheduler", "lambda", "sts", "cloudformation"}
    services |= {"dynamodb", "ssm", "secretsmanager"}
    notes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    telling = {"digester": notes | {"sns:Publish", "kms:Decrypt", "kms:GenerateDataKey*"}, "notifier": notes}
    for action, _ in allowed(stack.statements_of(function), *services):
        service, _, call = action.partition(":")
        # Of the queue that it works off, a function must take messages; see the test of its own queues.
        reads = call.startswith(("Get", "List", "Describe", "Query"))
        assert service == "sqs" or reads or action in telling.get(function, ()), action


@STACKS
@pytest.mark.parametrize(
    ("function", "modules", "keys"),
    [("digester", (digester, digests), "DIGEST*"), ("notifier", (notifier,), "NOTIFIER")],
)
def test_what_tells_people_reaches_its_own_items_of_the_history_only(
    stack: Synthesised, function: str, modules: tuple[ModuleType, ...], keys: str
) -> None:
    of_the_table = [
        statement
        for statement in stack.statements_of(function)
        if statement["Effect"] == "Allow" and any(action.startswith("dynamodb:") for action in statement["Action"])
    ]
    assert of_the_table
    for statement in of_the_table:
        assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys]}}
    sources = "".join(map(inspect.getsource, modules))
    used = re.findall(r'function="([^"]+)"|f"([A-Z]+#)', sources)
    assert used
    assert all(fnmatchcase("".join(found), keys) for found in used)
    assert not any(fnmatchcase(theirs, keys) for theirs in ("ROLE#head-node", "WRITES"))


@STACKS
def test_every_write_is_bound_to_what_the_configuration_names_and_to_a_condition(stack: Synthesised) -> None:
    writes = {
        permission.action
        for permission in RECONCILER
        if permission.access is Access.WRITE and permission.target not in OURS
    }
    statements = [s for s in stack.statements_of("reconciler") if s["Effect"] == "Allow" and writes & set(s["Action"])]
    assert statements
    for statement in statements:
        # An instance profile that does not exist yet has nothing to bind the call to; PassRole beside it has.
        assert "Condition" in statement or all("InstanceProfile" in action for action in statement["Action"])
        assert not [
            arn for arn in statement["Resource"] if arn.rpartition(":")[2] in ("*", "role/*", "instance-profile/*")
        ]


@STACKS
def test_the_reconciler_may_not_write_to_the_roles_of_the_remediator_nor_pass_them(stack: Synthesised) -> None:
    (deny,) = [each for each in stack.statements_of("reconciler") if each.get("Sid") == "NeverOwnRoles"]
    assert deny["Effect"] == "Deny"
    assert set(deny["Action"]) == set(IAM_WRITES)
    assert deny["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/{HOME}*"]
    assert "Condition" not in deny


@pytest.mark.parametrize("function", PERMISSIONS)
def test_nothing_is_allowed_on_everything_but_what_knows_no_narrower_resource(
    example: Synthesised, function: str
) -> None:
    everywhere = {
        action
        for statement in example.statements_of(function)
        if statement["Effect"] == "Allow" and "*" in statement["Resource"]
        for action in statement["Action"]
    }
    scan = {"iam:GetAccountAuthorizationDetails"} if function == "sweeper" else set()
    assert everywhere == {"xray:PutTraceSegments", "xray:PutTelemetryRecords"} | scan


def test_each_function_reaches_its_own_queues_key_topic_and_logs_only(example: Synthesised) -> None:
    services = (
        "sqs",
        "sns",
        "kms",
        "logs",
        "lambda",
        "events",
        "dynamodb",
        "ssm",
        "sts",
        "secretsmanager",
        "scheduler",
    )
    intake, work, sweep, digest, slack, topic, people, key = (
        example.named(kind, beginning)[0]
        for kind, beginning in (
            ("AWS::SQS::Queue", "IntakeQueue"),
            ("AWS::SQS::Queue", "WorkQueue"),
            ("AWS::SQS::Queue", "SweepQueue"),
            ("AWS::SQS::Queue", "DigestQueue"),
            ("AWS::SQS::Queue", "SlackQueue"),
            ("AWS::SNS::Topic", "Alerts"),
            ("AWS::SNS::Topic", "People"),
            ("AWS::KMS::Key", "Alerts"),
        )
    )
    router_logs, sweeper_logs, reconciler_logs, digester_logs, notifier_logs = (
        example.named("AWS::Logs::LogGroup", name.capitalize())[0] for name in PERMISSIONS
    )
    table, _ = example.named("AWS::DynamoDB::Table", "History")
    reached = {function: set(allowed(example.statements_of(function), *services)) for function in PERMISSIONS}
    receive = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}
    look = {"sqs:GetQueueAttributes", "sqs:GetQueueUrl"}
    write_logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert reached["router"] == {
        *((action, f"{intake}.Arn") for action in receive | look),
        *((action, f"{work}.Arn") for action in look | {"sqs:SendMessage"}),
        *((action, f"{sweep}.Arn") for action in look | {"sqs:SendMessage"}),
        *((action, f"{router_logs}.Arn") for action in write_logs),
    }
    assert reached["sweeper"] == {
        *((action, f"{sweep}.Arn") for action in receive | look | {"sqs:SendMessage"}),
        *((action, f"{work}.Arn") for action in look | {"sqs:SendMessage"}),
        *((action, f"{sweeper_logs}.Arn") for action in write_logs),
        ("dynamodb:Query", f"{table}.Arn/index/Listing"),
    }
    assert reached["reconciler"] == {
        *((action, f"{table}.Arn") for action in ("dynamodb:GetItem", "dynamodb:Query")),
        *((action, f"{table}.Arn") for action in ("dynamodb:PutItem", "dynamodb:UpdateItem")),
        ("ssm:GetParameter", own(example)[Target.PAUSE_PARAMETER]),
        *((action, f"{work}.Arn") for action in receive | look | {"sqs:SendMessage"}),
        ("sns:Publish", topic),
        *((action, f"{key}.Arn") for action in ("kms:Decrypt", "kms:GenerateDataKey*")),
        *((action, f"{reconciler_logs}.Arn") for action in write_logs),
    }
    assert reached["digester"] == {
        *((action, f"{digest}.Arn") for action in receive | look | {"sqs:SendMessage"}),
        *((action, f"{table}.Arn") for action in ("dynamodb:GetItem", "dynamodb:Query")),
        *((action, f"{table}.Arn") for action in ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")),
        ("sns:Publish", people),
        *((action, f"{key}.Arn") for action in ("kms:Decrypt", "kms:GenerateDataKey*")),
        *((action, f"{digester_logs}.Arn") for action in write_logs),
    }
    assert reached["notifier"] == {
        *((action, f"{slack}.Arn") for action in receive | look),
        *((action, f"{table}.Arn") for action in ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{WEBHOOK}-??????"),
        *((action, f"{notifier_logs}.Arn") for action in write_logs),
    }


@pytest.mark.parametrize("function", PERMISSIONS)
def test_only_lambda_may_assume_the_roles_of_the_functions(example: Synthesised, function: str) -> None:
    role = example.resources("AWS::IAM::Role")[example.role_of(function)]
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
            return f"arn:aws:service:ap-southeast-2:{ACCOUNT}:{'x' * 80}"
        case _:
            return value


def test_where_no_cloud_repairs_nothing_may_be_written() -> None:
    settings = parse_settings(
        {
            "clouds": {
                "watched": {
                    "buckets": [{"name": "acme", "region": "us-east-1", "key": KEY}],
                    "roles": ["anyscale/*"],
                    "mode": "observe",
                    "grant": "bucket-policy",
                    "instanceProfile": "repair",
                }
            }
        }
    )
    stack, role = a_role()
    allow_declared(role, RECONCILER, settings, own_resources=OURS)
    (policy,) = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    statements = [listed(statement) for statement in resolved(policy["Properties"]["PolicyDocument"]["Statement"])]
    actions = {action for each in statements if each["Effect"] == "Allow" for action in each["Action"]}
    ours = {permission.action for permission in RECONCILER if permission.target is Target.HISTORY_TABLE}
    assert actions == {permission.action for permission in RECONCILER if permission.access is Access.READ} | ours


@pytest.mark.parametrize("account", [None, ACCOUNT])
@pytest.mark.parametrize(
    "options",
    [{}, {"grant": "bucket-policy"}, {"instanceProfile": "repair"}],
    ids=["on the roles' side", "on the buckets' side", "with instance profiles"],
)
def test_fifty_clouds_whose_buckets_have_a_key_each_fit_into_a_role(
    options: dict[str, str], account: str | None
) -> None:
    clouds = {
        f"cloud-{cloud:02}": {
            "buckets": [
                {
                    "name": f"acme-{cloud:02}-{number}-".ljust(63, "x"),
                    "region": "us-east-1",
                    "key": f"{KEY[:-4]}{cloud:02}{number:02}",
                }
                for number in range(5)
            ],
            "roles": [f"anyscale/machine-learning/cloud-{cloud:02}/{part}-*" for part in ("head", "worker")],
            **options,
        }
        for cloud in range(50)
    }
    settings = parse_settings({"clouds": clouds, **({"account": account} if account else {})})
    stack, role = a_role()
    allow_declared(role, RECONCILER, settings, own_resources=OURS)
    template = Template.from_stack(stack)
    for kind, longest, most in (("AWS::IAM::Policy", 8_500, 1), ("AWS::IAM::ManagedPolicy", 6_144, 10)):
        found = [resolved(policy["Properties"]["PolicyDocument"]) for policy in template.find_resources(kind).values()]
        assert 1 <= len(found) <= most
        assert all(len(json.dumps(document, separators=(",", ":"))) <= longest for document in found)


def test_more_patterns_than_a_role_can_hold_are_refused_with_what_to_do() -> None:
    patterns = [f"anyscale/{'x' * 480}/{number}" for number in range(150)]
    buckets = [{"name": "acme", "region": "us-east-1"}]
    settings = parse_settings({"clouds": {"wide": {"buckets": buckets, "roles": patterns}}})
    _, role = a_role()
    with pytest.raises(
        SettingsError, match=r"need 1\d managed policies .* limit is 10; use fewer or broader role patterns"
    ):
        allow_declared(role, RECONCILER, settings, own_resources=OURS)


def a_role() -> tuple[Stack, iam.Role]:
    stack = Stack(App(analytics_reporting=False), "Small", env=Environment(region="us-east-1"))
    return stack, iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
