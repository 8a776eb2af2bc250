"""The rule lets in the watched calls that succeeded in our account, and nothing else."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from remediator.core.event import WATCHED_CALLS, WATCHED_IAM_EVENTS
from tests.infrastructure.templates import ACCOUNT, Synthesised

EVENTS = Path(__file__).parent.parent / "events"
Event = dict[str, Any]


@pytest.fixture
def pattern(example: Synthesised) -> dict[str, Any]:
    _, rule = example.named("AWS::Events::Rule", "Intake")
    found: dict[str, Any] = rule["Properties"]["EventPattern"]
    return found


def matches(pattern: dict[str, Any], event: Event) -> bool:
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))  # type: ignore[arg-type] # it is JSON


def an_event(name: str = "UpdateAssumeRolePolicy", **changes: object) -> Event:
    """A watched call that succeeded; keyword arguments change its record (``detail``)."""
    event: Event = json.loads((EVENTS / f"{name}.json").read_text())
    assert event["account"] == ACCOUNT
    event["detail"] |= changes
    return event


def test_the_rule_names_the_calls_of_the_table_and_no_other(pattern: dict[str, Any]) -> None:
    assert pattern["detail"]["eventName"] == list(WATCHED_IAM_EVENTS)
    assert set(pattern["detail"]["eventSource"]) == {call.event_source for call in WATCHED_CALLS}
    assert set(pattern["source"]) == {call.bus_source for call in WATCHED_CALLS}


@pytest.mark.parametrize("name", WATCHED_IAM_EVENTS)
def test_a_watched_call_that_succeeded_is_let_in(pattern: dict[str, Any], name: str) -> None:
    assert matches(pattern, an_event(name))


@pytest.mark.parametrize("name", WATCHED_IAM_EVENTS)
@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntityException", "MalformedPolicyDocumentException"])
def test_a_call_that_failed_is_left_out(pattern: dict[str, Any], name: str, code: str) -> None:
    assert not matches(pattern, an_event(name, errorCode=code, requestParameters=None))


@pytest.mark.parametrize("name", ["GetRole", "DeleteRole", "updateassumerolepolicy", "CreateUser"])
def test_another_call_is_left_out(pattern: dict[str, Any], name: str) -> None:
    assert not matches(pattern, an_event(eventName=name))


def test_a_call_of_another_service_is_left_out(pattern: dict[str, Any]) -> None:
    assert not matches(pattern, an_event(eventSource="s3.amazonaws.com"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", "com.example.forged"),
        ("source", "aws.s3"),
        ("account", "999988887777"),
        ("detail-type", "AWS Console Sign In via CloudTrail"),
    ],
)
def test_an_event_that_is_not_ours_or_not_from_iam_is_left_out(pattern: dict[str, Any], key: str, value: str) -> None:
    event = copy.deepcopy(an_event())
    event[key] = value
    assert not matches(pattern, event)


def test_the_rule_fits_the_limit_of_a_pattern(pattern: dict[str, Any]) -> None:
    assert len(json.dumps(pattern, separators=(",", ":"))) <= 2048


def test_the_rule_is_on_the_default_bus_and_sends_to_the_intake_alone(example: Synthesised) -> None:
    _, rule = example.named("AWS::Events::Rule", "Intake")
    intake, _ = example.named("AWS::SQS::Queue", "IntakeQueue")
    undelivered, _ = example.named("AWS::SQS::Queue", "IntakeUndelivered")
    assert "EventBusName" not in rule["Properties"]
    assert rule["Properties"]["State"] == "ENABLED"
    (target,) = rule["Properties"]["Targets"]
    assert target["Arn"] == f"{intake}.Arn"
    assert target["DeadLetterConfig"]["Arn"] == f"{undelivered}.Arn"
