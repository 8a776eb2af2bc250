"""``remediator test-alert``: a test is sent like every alert, and recipients that would not get it are reported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest

from remediator.core.alerts.alert_json import parse_record
from remediator.core.alerts.notification import SystemNotice, SystemNoticeKind
from remediator_cli.deployment.subscriptions import Subscriptions, sort_subscriptions
from tests.cli.deployed import NOW, STACK, Deployed
from tests.cli.schemas import schema_errors
from tests.cli.terminal import ROOT, Remediator
from tests.cli.test_deployment import answered, failing
from tests.functional.world import PAUSE_PARAMETER, TABLE

ADDRESS = "ml-platform-oncall@example.com"
AMAZON_Q = "https://global.sns-api.chatbot.amazonaws.com"
SLACK_QUEUE = "AnyscaleRemediator-SlackQueue"
OUTPUTS = {"HistoryTableName": TABLE, "PauseParameterName": PAUSE_PARAMETER}
CDK = str(ROOT / "cdk.json")


class Channels:
    """The topics of a deployment, and a queue that receives every alert."""

    def __init__(self, deployed: Deployed) -> None:
        self._sns = boto3.client("sns")
        self._sqs = boto3.client("sqs")
        alerts, self.people = (
            self._sns.create_topic(Name=f"AnyscaleRemediator-{name}")["TopicArn"] for name in ("Alerts", "People")
        )
        self.machine, endpoint = self._queue("machine")
        self._sns.subscribe(
            TopicArn=alerts, Protocol="sqs", Endpoint=endpoint, Attributes={"RawMessageDelivery": "true"}
        )
        self.slack, self._slack_arn = self._queue(SLACK_QUEUE)
        self.outputs = {**OUTPUTS, "AlertsTopicArn": alerts, "PeopleTopicArn": self.people}
        deployed.deploy(self.outputs)

    def _queue(self, name: str) -> tuple[str, str]:
        url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return url, arn

    def subscribe(self, protocol: str, endpoint: str) -> None:
        """Subscribe an endpoint to the people topic."""
        self._sns.subscribe(TopicArn=self.people, Protocol=protocol, Endpoint=endpoint)

    def subscribe_slack(self, deployed: Deployed) -> None:
        """Subscribe the queue of the notifier, as a deployment with a webhook does."""
        self.subscribe("sqs", self._slack_arn)
        deployed.deploy({**self.outputs, "SlackQueueUrl": self.slack})

    def published(self) -> list[str]:
        """What the machine has got."""
        return [m["Body"] for m in self._sqs.receive_message(QueueUrl=self.machine).get("Messages", [])]


@pytest.fixture
def channels(deployed: Deployed) -> Channels:
    """Topics that no person is subscribed to."""
    return Channels(deployed)


def listing(monkeypatch: pytest.MonkeyPatch, *subscriptions: tuple[str, str, str]) -> None:
    """Have SNS list other subscriptions: protocol, endpoint, ARN. In moto none has to be confirmed."""
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out

    def answer(client: Any, name: str, parameters: Any) -> Any:
        if name == "ListSubscriptionsByTopic":
            return {"Subscriptions": listed(subscriptions)}
        return call(client, name, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", answer)


def listed(subscriptions: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    keys = ("Protocol", "Endpoint", "SubscriptionArn")
    return [dict(zip(keys, each, strict=True)) for each in subscriptions]


def test_a_test_goes_the_way_of_every_alert_and_says_who_has_sent_it(
    channels: Channels, remediator: Remediator
) -> None:
    channels.subscribe("email", ADDRESS)
    answer = remediator("test-alert", "--json")
    (record,) = channels.published()
    notice = parse_record(record)
    assert isinstance(notice, SystemNotice)
    assert (notice.kind, notice.account) == (SystemNoticeKind.TEST, channels.people.split(":")[4])
    assert boto3.client("sts").get_caller_identity()["Arn"] in notice.to_do[0]
    assert schema_errors("test-alert", answer.record) == []
    assert answer.record["id"] == notice.notification_id
    assert answer.record["time"] == NOW.replace(minute=12).isoformat()


def test_where_it_should_arrive_is_what_is_subscribed(
    deployed: Deployed, channels: Channels, remediator: Remediator
) -> None:
    channels.subscribe("email", ADDRESS)
    channels.subscribe("https", AMAZON_Q)
    channels.subscribe("https", "https://pager.example.com/")
    channels.subscribe_slack(deployed)
    answer = remediator("test-alert")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "A test was sent. Within a minute it should arrive\n"
        f"  at {ADDRESS}\n"
        "  in Slack, through Amazon Q\n"
        "  in Slack, through the webhook\n"
        "  and at whatever else is subscribed (1)\n"
    )
    record = remediator("test-alert", "--json").record
    assert {key: record[key] for key in ("emails", "unconfirmed", "amazon_q", "slack_webhook", "others")} == {
        "emails": [ADDRESS],
        "unconfirmed": [],
        "amazon_q": True,
        "slack_webhook": True,
        "others": 1,
    }


def test_an_address_that_has_not_confirmed_is_named_with_what_to_do(
    channels: Channels, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing(
        monkeypatch,
        ("email", ADDRESS, f"{channels.people}:1a2b3c4d"),
        ("email", "new@example.com", "PendingConfirmation"),
    )
    answer = remediator("test-alert", "--json")
    assert answer.code == 1
    assert (answer.record["emails"], answer.record["unconfirmed"]) == ([ADDRESS], ["new@example.com"])
    assert answer.err.startswith("new@example.com: the subscription is not confirmed")
    assert f"--topic-arn {channels.people} --protocol email --notification-endpoint new@example.com" in answer.err
    assert answer.err.count("\n") == 1
    assert len(channels.published()) == 1


def test_without_subscribers_it_is_an_error_with_a_remedy(channels: Channels, remediator: Remediator) -> None:
    answer = remediator("test-alert")
    assert (answer.code, answer.out) == (1, "A test was sent.\n")
    assert answer.err.startswith(f"{STACK}: no one receives alerts. Name recipients in the configuration")
    assert answer.err.count("\n") == 1


def test_who_is_configured_and_not_subscribed_is_named(
    channels: Channels, remediator: Remediator, tmp_path: Path
) -> None:
    channels.subscribe("email", "Other@example.com")
    configuration = json.loads((ROOT / "cdk.json").read_text())["context"]["remediator"]
    slack = {"slackWebhookSecret": "slack", "amazonQ": {"workspace": "T07EA123LEP", "channel": "C07EZ1ABC23"}}
    written = tmp_path / "settings.json"
    written.write_text(json.dumps({**configuration, **slack, "emails": [ADDRESS, "othEr@example.com"]}))
    answer = remediator("test-alert", "--settings", str(written))
    assert answer.code == 1
    assert [line.partition(":")[0] for line in answer.err.splitlines()] == [ADDRESS, "amazonQ", "slackWebhookSecret"]
    assert "this is configured but not subscribed" in answer.err


def test_who_is_configured_and_subscribed_is_not_complained_of(
    deployed: Deployed, channels: Channels, remediator: Remediator
) -> None:
    channels.subscribe("email", ADDRESS)
    answer = remediator("test-alert", "--settings", CDK)
    assert (answer.code, answer.err) == (0, "")


def test_every_page_of_the_subscriptions_is_read(channels: Channels, remediator: Remediator) -> None:
    addresses = [f"team-{number:03}@example.com" for number in range(150)]
    for address in addresses:
        channels.subscribe("email", address)
    assert sorted(remediator("test-alert", "--json").record["emails"]) == addresses


def test_the_address_of_a_stranger_is_neither_mark_up_nor_a_control_sequence(
    channels: Channels, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "[red]x[/red]\x1b[31m\n@example.com"
    listing(monkeypatch, ("email", hostile, "arn:aws:sns:x"), ("email", hostile, "PendingConfirmation"))
    answer = remediator("test-alert")
    assert "\x1b" not in answer.out + answer.err
    assert "[red]x[/red]" in answer.out
    assert (answer.out.count("\n"), answer.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("DescribeStacks", "cloudformation:DescribeStacks"),
        ("ListSubscriptionsByTopic", "sns:ListSubscriptionsByTopic"),
        ("GetCallerIdentity", "sts:GetCallerIdentity"),
        ("Publish", "sns:Publish"),
    ],
)
def test_a_call_that_is_denied_is_named(
    operation: str,
    action: str,
    channels: Channels,
    remediator: Remediator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, answered("AuthorizationError"), operation)
    answer = remediator("test-alert")
    assert (answer.code, answer.out) == (1, "")
    assert f"your credentials may not call {action}: no" in answer.err
    assert answer.err.count("\n") == 1


def test_a_key_that_cannot_be_used_is_reported_in_the_words_of_sns(
    channels: Channels, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, answered("KMSAccessDenied"), "Publish")
    answer = remediator("test-alert")
    assert (answer.code, answer.out) == (1, "")
    assert "sns:Publish" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("output", ["AlertsTopicArn", "PeopleTopicArn"])
def test_a_stack_without_the_topics_is_reported(
    output: str, deployed: Deployed, channels: Channels, remediator: Remediator
) -> None:
    deployed.deploy({name: value for name, value in channels.outputs.items() if name != output})
    answer = remediator("test-alert")
    assert (answer.code, answer.out) == (1, "")
    assert f"the stack {STACK} in us-east-1 has no output {output}" in answer.err
    assert channels.published() == []


def test_without_a_stack_it_says_where_it_looked(deployed: Deployed, remediator: Remediator) -> None:
    answer = remediator("test-alert", "--stack", "Another")
    assert (answer.code, answer.out) == (1, "")
    assert "there is no stack Another in us-east-1" in answer.err


def test_without_credentials_it_says_what_to_set(remediator: Remediator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    answer = remediator("test-alert")
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err


class TestSorting:
    def test_what_is_being_deleted_or_waits_for_a_machine_to_confirm_does_not_count(self) -> None:
        found = sort_subscriptions(
            listed([("email", ADDRESS, "Deleted"), ("https", AMAZON_Q, "PendingConfirmation")]), None
        )
        assert found == Subscriptions((), (), amazon_q=False, slack_webhook=False, others=0)
        assert not found.reach_anyone

    def test_another_queue_is_not_taken_for_that_of_the_notifier(self) -> None:
        queue = ("sqs", "arn:aws:sqs:us-east-1:111122223333:theirs", "arn:aws:sns:x")
        for slack_queue in (SLACK_QUEUE, None):
            found = sort_subscriptions(listed([queue]), slack_queue)
            assert (found.slack_webhook, found.others) == (False, 1)

    def test_e_mail_with_json_is_e_mail(self) -> None:
        found = sort_subscriptions(listed([("email-json", ADDRESS, "arn:aws:sns:x")]), None)
        assert found.emails == (ADDRESS,)
