"""The functions as Lambda calls them: batches in, failures out, alerts published, nothing lost."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.sqs.models import sqs_backends

from remediator.core.events.request import ReconcileRequest, request_json
from remediator.core.events.watched import WATCHED_CALLS, Concern
from remediator.errors import ThrottledError, TransientError
from remediator.flows.reconcile import reconcile
from remediator.gateways.queue import FailedDelivery
from remediator.handlers import consumer, once, reconciler, router, sweeper
from tests.examples import (
    ACCOUNT,
    BUCKET,
    EC2_STATEMENT,
    ENROLLED,
    LAMBDA_STATEMENT,
    OWN_ROLE_ARN,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.world import PAUSE_PARAMETER, TABLE, World
from tests.unit.events.test_event import load


@dataclass
class Context:
    """What Lambda hands to a function."""

    function_name: str = "remediator"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:remediator"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    milliseconds_left: int = 120_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds_left


@pytest.fixture(autouse=True)
def functions(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions, with the environment and the configuration that the stack gives them."""
    monkeypatch.setenv("WORK_QUEUE_URL", world.queue_url)
    monkeypatch.setenv("SWEEP_QUEUE_URL", world.sweep_url)
    monkeypatch.setenv("CONSUMED_QUEUE_URL", world.consumed_url)
    monkeypatch.setenv("ALERTS_TOPIC_ARN", world.topic_arn)
    monkeypatch.setenv("REMEDIATOR_ROLE_ARN", OWN_ROLE_ARN)
    monkeypatch.setenv("HISTORY_TABLE", TABLE)
    monkeypatch.setenv("PAUSE_PARAMETER", PAUSE_PARAMETER)
    monkeypatch.setenv("MAX_RECEIVE_COUNT", "8")
    monkeypatch.setattr(consumer, "load_settings", lambda: world.settings)
    forget(router, sweeper, reconciler)
    yield
    forget(router, sweeper, reconciler)


def forget(*modules: ModuleType) -> None:
    """Have functions begin cold: nothing is kept from an invocation before."""
    for module in (consumer, once, *modules):
        for each in vars(module).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()


def hand(monkeypatch: pytest.MonkeyPatch, function: ModuleType, **gateways: Any) -> None:
    """Hand a function other gateways than it has made."""
    changed = replace(function._world(ACCOUNT), **gateways)
    monkeypatch.setattr(function, "_world", lambda account: changed)


def batch(*bodies: Any, source: str = "intake", group: str = "g") -> dict[str, Any]:
    """The event that Lambda makes of messages; a text goes in as it is, anything else as JSON."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": f"{group}{number}"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{source}",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def failures(answer: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def reconcile_queued(world: World) -> Any:
    """Hand what stands in the work queue to the reconciler, as Lambda does."""
    return reconciler.handle(batch(*(message["Body"] for message in world.queued())), Context())


def route(*bodies: Any) -> Any:
    return router.handle(batch(*bodies), Context())


UNANSWERED = ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")
THROTTLED = ClientError({"Error": {"Code": "Throttling"}}, "UpdateAssumeRolePolicy")


@pytest.mark.parametrize(
    ("call", "error", "after"),
    [
        ("iam.GetRole", UNANSWERED, ["ssm.GetParameter", "iam.GetRole", "iam.GetRole"]),
        ("iam.UpdateAssumeRolePolicy", UNANSWERED, ["iam.GetRole"]),
        ("iam.UpdateAssumeRolePolicy", THROTTLED, ["iam.GetRole"] * 3),
        ("iam.PutRolePolicy", UNANSWERED, ["iam.GetRolePolicy"]),
        ("iam.CreateInstanceProfile", UNANSWERED, ["iam.GetInstanceProfile"]),
        ("s3.PutBucketPolicy", UNANSWERED, ["s3.GetBucketPolicy"]),
    ],
)
def test_a_write_is_sent_once_after_each_look_and_a_read_up_to_three_times(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception, after: list[str]
) -> None:
    grant = "bucket-policy" if call.startswith("s3") else "role-policy"
    world.settings = settings(grant=grant, instanceProfile="repair")
    world.create_role(LAMBDA_STATEMENT, profile=False)
    route(load("UpdateAssumeRolePolicy"))
    sent: list[str] = []

    def on_the_wire(event_name: str, **_: Any) -> None:
        sent.append(event_name.removeprefix("before-send."))
        if sent[-1] == call:
            raise error

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    session = boto3.Session()
    session.events.register_first("before-send", on_the_wire)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    forget(reconciler)
    assert failures(reconcile_queued(world)) == ["m0"]
    assert [sent[number - 1] for number, each in enumerate(sent) if each == call] == after


@pytest.mark.parametrize("name", [call.name for call in WATCHED_CALLS if call.concern is Concern.ROLE])
def test_each_watched_call_on_a_broken_enrolled_role_ends_in_a_repaired_role_and_one_alert(
    world: World, name: str
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert failures(route(load(name))) == []
    assert failures(reconcile_queued(world)) == []
    assert world.trusts_ec2()
    (alert,) = world.alerts()
    assert alert["outcome"] == "repaired"
    assert alert["causes"][0]["call"] == name
    assert alert["attributes"] == {
        "outcome": "repaired",
        "news": "new",
        "severity": "info",
        "account": ACCOUNT,
        "role": "head-node",
        "cloud": "production",
    }


def test_a_batch_of_good_ignored_and_unreadable_messages_fails_only_the_unreadable_ones(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    failed_call = load("TagRole")
    failed_call["detail"].update(errorCode="AccessDenied", requestParameters=None)
    no_parameters = load("TagRole")
    no_parameters["detail"]["requestParameters"] = None
    answer = route("not json", failed_call, no_parameters, load("TagRole"), "{}", "[" * 100_000)
    assert failures(answer) == ["m0", "m2", "m4", "m5"]
    assert len(world.queued()) == 1


def test_a_batch_in_which_every_message_is_unreadable_is_no_error_of_the_function(world: World) -> None:
    assert failures(route("not json")) == ["m0"]
    assert failures(reconciler.handle(batch("not json"), Context())) == ["m0"]


def test_a_poisoned_request_holds_up_only_its_own_group(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    route(load("TagRole"))
    (message,) = world.queued()
    answer = reconciler.handle(batch("poison", message["Body"]), Context())
    assert failures(answer) == ["m0"]
    assert world.trusts_ec2()


def test_several_causes_of_one_batch_are_one_reconcile_and_one_alert_that_names_them_all(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    route(load("UpdateAssumeRolePolicy"), load("DeleteRolePolicy"))
    assert failures(reconcile_queued(world)) == []
    (alert,) = world.alerts()
    assert [cause["call"] for cause in alert["causes"]] == ["UpdateAssumeRolePolicy", "DeleteRolePolicy"]


def test_what_a_person_must_look_at_is_told_once_a_batch(world: World) -> None:
    world.create_role({**EC2_STATEMENT, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}})
    world.grant(bucket_grant())
    route(load("UpdateAssumeRolePolicy"), load("DeleteRolePolicy"))
    reconcile_queued(world)
    assert [alert["outcome"] for alert in world.alerts()] == ["needs-person"]


def test_nothing_is_told_where_nothing_is_wrong(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    route(load("TagRole"))
    assert failures(reconcile_queued(world)) == []
    assert world.alerts() == []


def test_a_request_for_another_account_is_kept_for_a_person(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    route(load("TagRole"))
    (message,) = world.queued()
    body = json.loads(message["Body"])
    body["account"] = "999999999999"
    assert failures(reconciler.handle(batch(body), Context())) == ["m0"]
    assert not world.trusts_ec2()


def test_a_configuration_that_is_wrong_fails_the_messages_and_loses_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remediator.errors import SettingsError  # noqa: PLC0415 - only this test needs it

    def broken() -> None:
        raise SettingsError(["clouds: missing"])

    monkeypatch.setattr(consumer, "load_settings", broken)
    assert failures(route(load("TagRole"))) == ["m0"]


def test_an_explicit_deny_ends_in_an_alert_that_says_what_blocks_and_where(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    deny = {
        "Sid": "Freeze",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    world.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    route(load("TagRole"))
    reconcile_queued(world)
    (alert,) = world.alerts()
    assert alert["attributes"]["outcome"] == "needs-person"
    text = json.dumps(alert)
    assert "Freeze" in text
    assert BUCKET in text


def test_one_line_is_logged_per_repair_and_it_is_structured(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.create_role(LAMBDA_STATEMENT, tags=ENROLLED)
    route(load("TagRole"))
    log = io.StringIO()
    handler = consumer.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(log)
    capsys.readouterr()
    try:
        reconcile_queued(world)
    finally:
        handler.setStream(before or sys.stdout)
    repairs = [line for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == "repaired"]
    assert len(repairs) == 1
    assert repairs[0]["findings"] == [
        {"code": "trust-missing", "subject": "trust policy"},
        {"code": "grant-missing", "subject": BUCKET},
    ]
    (metrics,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert metrics["RolesRepaired"] == [1.0]


def test_a_failed_message_and_those_behind_it_come_back_within_seconds(world: World) -> None:
    for body in ("poison", "more poison"):
        world.sqs.send_message(QueueUrl=world.consumed_url, MessageBody=body)
    received = world.sqs.receive_message(QueueUrl=world.consumed_url, MaxNumberOfMessages=10, VisibilityTimeout=360)
    event = batch(*(message["Body"] for message in received["Messages"]))
    for record, message in zip(event["Records"], received["Messages"], strict=True):
        record.update(messageId=message["MessageId"], receiptHandle=message["ReceiptHandle"])
        record["attributes"]["MessageGroupId"] = "one group"
    assert len(failures(reconciler.handle(event, Context()))) == 2
    ends = [message.visible_at for message in _messages(world.consumed_url)]
    assert all(0 < end / 1000 - time.time() <= 15 for end in ends)


def _messages(url: str) -> Any:
    """The messages of a queue with the time at which each becomes visible, which only moto's backend tells."""
    return sqs_backends[ACCOUNT]["us-east-1"].queues[url.rpartition("/")[2]]._messages


@pytest.mark.parametrize(("count", "seconds"), [(1, 15), (2, 30), (4, 120), (7, 900), (1000, 900)])
def test_a_message_that_keeps_failing_is_delivered_less_and_less_often(count: int, seconds: int) -> None:
    assert FailedDelivery("r", count).delay == seconds


def test_a_role_is_not_begun_when_the_invocation_is_about_to_end(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    route(load("TagRole"))
    (message,) = world.queued()
    assert failures(reconciler.handle(batch(message["Body"]), Context(milliseconds_left=5_000))) == ["m0"]
    assert world.trust() == [LAMBDA_STATEMENT]
    assert failures(reconciler.handle(batch(message["Body"]), Context())) == []
    assert world.trusts_ec2()


class Broken:
    """A reader of buckets that AWS throttles."""

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Any:
        raise TransientError("s3:GetBucketPolicy", "SlowDown", "Please reduce your request rate.")


def test_a_request_that_keeps_failing_is_told_with_its_last_try(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create_role(EC2_STATEMENT)
    route(load("TagRole"))
    (message,) = world.queued()
    hand(monkeypatch, reconciler, buckets=Broken())
    for count in range(1, 9):
        event = batch(message["Body"])
        event["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(count)
        assert failures(reconciler.handle(event, Context())) == ["m0"]
        assert len(world.alerts()) == (1 if count == 8 else 0)


@pytest.mark.parametrize(
    ("fault", "milliseconds_left", "said"),
    [
        (KeyError("CreateDate"), 300_000, "KeyError"),
        (None, 5_000, "too little time"),
    ],
)
def test_whatever_the_last_try_ends_with_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Exception | None, milliseconds_left: int, said: str
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    route(load("TagRole"))
    (message,) = world.queued()
    if fault is not None:
        monkeypatch.setattr(reconciler, "reconcile", Mock(side_effect=fault))
    for count in (7, 8):
        event = batch(message["Body"])
        event["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(count)
        assert failures(reconciler.handle(event, Context(milliseconds_left=milliseconds_left))) == ["m0"]
        alerts = world.alerts()
        assert len(alerts) == count - 7
    (told,) = alerts
    assert told["outcome"] == "failed"
    assert said in told["wrong"][0]


def test_what_waits_behind_a_role_that_keeps_failing_is_not_given_up_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("head-node", "worker", "third")
    for name in names:
        world.create_role(LAMBDA_STATEMENT, name=name)
        world.iam.put_role_policy(RoleName=name, PolicyName="s3", PolicyDocument=json.dumps(policy(bucket_grant())))
    bodies = [request_json(ReconcileRequest(ACCOUNT, name, a_cause())) for name in names]
    of_others = reconcile

    def fails_for_the_first(role_name: str, *args: Any, **kwargs: Any) -> Any:
        if role_name == names[0]:
            raise TransientError("iam:GetRole", "Throttling", "Rate exceeded")
        return of_others(role_name, *args, **kwargs)

    monkeypatch.setattr(reconciler, "reconcile", fails_for_the_first)
    for count in range(1, 9):
        event = batch(*bodies)
        for record in event["Records"]:
            record["attributes"] |= {"ApproximateReceiveCount": str(count), "MessageGroupId": "one bucket"}
        failed = failures(reconciler.handle(event, Context()))
        assert failed == (["m0", "m1", "m2"] if count < 8 else ["m0"])
    assert [world.trusts_ec2(name) for name in names] == [False, True, True]
    assert sorted(alert["outcome"] for alert in world.alerts()) == ["failed", "repaired", "repaired"]


def test_a_write_that_is_not_seen_with_the_last_try_either_is_told_as_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    route(load("TagRole"))
    (message,) = world.queued()
    undo = json.dumps(policy(LAMBDA_STATEMENT))
    at_once = world.disturbed_roles(
        after_write_trust=lambda: world.iam.update_assume_role_policy(RoleName="head-node", PolicyDocument=undo)
    )
    hand(monkeypatch, reconciler, roles=at_once)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    event = batch(message["Body"])
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "8"
    assert failures(reconciler.handle(event, Context())) == ["m0"]
    (told,) = world.alerts()
    assert [change["state"] for change in told["changes"]] == ["unconfirmed"]
    assert told["severity"] == "error"
    assert told["headline"].startswith("A repair was started and not completed")
    assert "dead-letter queue" in told["wrong"][0]
    assert told["incident"] is not None


def test_an_unreadable_request_is_logged_under_its_own_message_and_no_others(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    route(load("TagRole"))
    (message,) = world.queued()
    log = io.StringIO()
    handler = consumer.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(log)
    try:
        reconciler.handle(batch(message["Body"], "poison"), Context())
    finally:
        handler.setStream(before or sys.stdout)
    (warning,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "WARNING"]
    assert warning["message_id"] == "m1"
    assert warning.get("role") is None


class Deaf:
    """A topic that takes nothing."""

    def publish(self, alert: Any) -> None:
        raise ThrottledError("sns:Publish", "Throttling", "Rate exceeded")


def test_an_alert_that_cannot_be_published_stands_in_the_log_and_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    route(load("TagRole"))
    hand(monkeypatch, reconciler, alerts=Deaf())
    log = io.StringIO()
    handler = consumer.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(log)
    capsys.readouterr()
    try:
        assert failures(reconcile_queued(world)) == ["m0"]
    finally:
        handler.setStream(before or sys.stdout)
    (error,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "ERROR"]
    assert "No action needed now." in error["alert"]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["AlertsLost"] == [1.0]
