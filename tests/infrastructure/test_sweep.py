"""What asks for a sweep on its own: the schedule, the end of a deployment, and whoever resumes the writes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.events.models import EventPattern

from remediator.core.events.sweep import SweepReason, SweepRequest, parse_sweep
from tests.infrastructure.templates import ACCOUNT, Synthesised, resolved

STACK = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/AnyscaleRemediator/11111111-2222-4333-8444-555555555555"


@pytest.fixture
def schedule(example: Synthesised) -> dict[str, Any]:
    _, found = example.named("AWS::Scheduler::Schedule", "Sweep")
    properties: dict[str, Any] = found["Properties"]
    return properties


def rule(example: Synthesised, name: str) -> dict[str, Any]:
    """A rule that asks for a sweep: ``Deployed`` or ``Resumed``."""
    _, rule = example.named("AWS::Events::Rule", f"Sweep{name}")
    properties: dict[str, Any] = rule["Properties"]
    return properties


def test_a_sweep_is_asked_for_as_often_as_configured(example: Synthesised, largest: Synthesised) -> None:
    for stack in (example, largest):
        (schedule,) = stack.resources("AWS::Scheduler::Schedule").values()
        minutes = stack.settings.sweep_minutes
        assert schedule["Properties"]["ScheduleExpression"] == f"rate({minutes} minutes)"
        assert schedule["Properties"]["State"] == "ENABLED"
        assert schedule["Properties"]["FlexibleTimeWindow"] == {"Mode": "OFF"}
        retried = schedule["Properties"]["Target"]["RetryPolicy"]
        assert retried["MaximumEventAgeInSeconds"] == minutes * 60, "then the next one comes"
        assert retried["MaximumRetryAttempts"] > 0


def test_the_schedule_sends_a_request_with_its_time_to_the_sweep_queue(
    example: Synthesised, schedule: dict[str, Any]
) -> None:
    queue, _ = example.named("AWS::SQS::Queue", "SweepQueue")
    letters, _ = example.named("AWS::SQS::Queue", "SweepDeadLetters")
    assert schedule["Target"]["Arn"] == f"{queue}.Arn"
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": f"{letters}.Arn"}
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    request = schedule["Target"]["Input"].replace("<aws.scheduler.scheduled-time>", "2026-03-04T10:00:00Z")
    time = datetime(2026, 3, 4, 10, tzinfo=UTC)
    assert parse_sweep(request) == SweepRequest(SweepReason.SCHEDULE, time=time)


def test_the_schedule_s_role_may_send_to_these_two_queues_and_is_assumed_by_our_schedules_only(
    example: Synthesised, schedule: dict[str, Any]
) -> None:
    role = schedule["Target"]["RoleArn"].removesuffix(".Arn")
    trust = example.resources("AWS::IAM::Role")[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust == [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "scheduler.amazonaws.com"},
            "Condition": {
                "StringEquals": {
                    "aws:SourceAccount": ACCOUNT,
                    "aws:SourceArn": f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule-group/default",
                }
            },
        }
    ]
    inline, managed = example.policies_of(role)
    statements = [statement for document in (*inline, *managed) for statement in document["Statement"]]
    queues = {example.named("AWS::SQS::Queue", name)[0] for name in ("SweepQueue", "SweepDeadLetters")}
    reached = {
        arn for s in statements for arn in ([s["Resource"]] if isinstance(s["Resource"], str) else s["Resource"])
    }
    assert reached == {f"{queue}.Arn" for queue in queues}
    actions = {
        action for s in statements for action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
    }
    assert "sqs:SendMessage" in actions
    assert actions <= {"sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"}


@pytest.mark.parametrize(
    ("change", "matches"),
    [
        ({}, True),
        ({"status-details": {"status": "UPDATE_COMPLETE", "status-reason": ""}}, True),
        ({"status-details": {"status": "UPDATE_IN_PROGRESS"}}, False),
        ({"status-details": {"status": "UPDATE_ROLLBACK_COMPLETE"}}, False),
        ({"status-details": {"status": "DELETE_COMPLETE"}}, False),
        ({"stack-id": STACK.replace("AnyscaleRemediator", "AnyscaleRemediatorForwarder-us-west-2")}, False),
    ],
)
def test_a_sweep_follows_each_deployment_of_this_stack_that_succeeded(
    example: Synthesised, change: dict[str, Any], matches: bool
) -> None:
    pattern = json.dumps(rule(example, "Deployed")["EventPattern"]).replace("AWS::StackId", STACK)
    event: Any = {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "CloudFormation Stack Status Change",
        "source": "aws.cloudformation",
        "account": ACCOUNT,
        "time": "2026-03-04T10:00:00Z",
        "region": "us-east-1",
        "resources": [STACK],
        "detail": {
            "stack-id": STACK,
            "status-details": {"status": "CREATE_COMPLETE", "status-reason": ""},
            "client-request-token": "",
            **change,
        },
    }
    assert EventPattern.load(pattern).matches_event(event) is matches
    event["source"] = "com.example.forged"
    assert not EventPattern.load(pattern).matches_event(event)


@pytest.mark.parametrize(
    ("change", "matches"),
    [
        ({}, True),
        ({"operation": "Create"}, False),
        ({"operation": "Delete"}, False),
        ({"operation": "LabelParameterVersion"}, False),
        ({"name": "/anyscale-remediator/other"}, False),
        ({"name": "anyscale-remediator/writes"}, False),
    ],
)
def test_a_sweep_follows_whenever_the_parameter_that_pauses_the_writes_is_set(
    example: Synthesised, change: dict[str, str], matches: bool
) -> None:
    pattern = json.dumps(rule(example, "Resumed")["EventPattern"])
    parameter = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/anyscale-remediator/writes"
    event: Any = {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Parameter Store Change",
        "source": "aws.ssm",
        "account": ACCOUNT,
        "time": "2026-03-04T10:00:00Z",
        "region": "us-east-1",
        "resources": [parameter],
        "detail": {"operation": "Update", "name": "/anyscale-remediator/writes", "type": "String", **change},
    }
    assert EventPattern.load(pattern).matches_event(event) is matches
    event["source"] = "com.example.forged"
    assert not EventPattern.load(pattern).matches_event(event)


@pytest.mark.parametrize("name", ["Deployed", "Resumed"])
def test_what_follows_is_a_constant_request(example: Synthesised, name: str) -> None:
    queue, _ = example.named("AWS::SQS::Queue", "SweepQueue")
    letters, _ = example.named("AWS::SQS::Queue", "SweepDeadLetters")
    (target,) = rule(example, name)["Targets"]
    assert target["Arn"] == f"{queue}.Arn"
    assert target["DeadLetterConfig"] == {"Arn": f"{letters}.Arn"}
    assert parse_sweep(target["Input"]) == SweepRequest(SweepReason.DEPLOYMENT)
    assert "InputPath" not in target


def test_the_schedule_is_named_in_the_outputs(example: Synthesised) -> None:
    name, _ = example.named("AWS::Scheduler::Schedule", "Sweep")
    assert resolved(example.template["Outputs"]["SweepScheduleName"]["Value"]) == name
