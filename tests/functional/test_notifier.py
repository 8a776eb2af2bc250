"""The notifier as Lambda calls it, with a server on this machine in Slack's place: nothing is lost, nothing doubled."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import botocore.session
import pytest
import urllib3
from botocore.exceptions import ClientError
from moto.sqs.models import sqs_backends

from remediator.errors import (
    AwsError,
    MessageRefused,
    NotFoundError,
    TransientError,
    UnusableSecret,
    WebhookError,
    WebhookRefused,
    WebhookThrottled,
    WebhookUnavailable,
)
from remediator.gateways import webhook as webhook_gateway
from remediator.gateways.aws_errors import ERROR_CLASSES
from remediator.gateways.queue import FailedDelivery
from remediator.gateways.secret import WebhookSecret
from remediator.gateways.webhook import Webhook, WebhookUrl
from remediator.handlers import consumer, notifier, once
from tests.examples import ACCOUNT
from tests.functional.slack_stand_in import (
    BROKEN,
    GONE,
    INVALID_BLOCKS,
    LATE,
    OK,
    THROTTLED,
    TOKEN,
    Answer,
    SlackStandIn,
)
from tests.functional.test_handlers import Context, forget
from tests.functional.world import TABLE, World
from tests.unit.alerts.samples import ALERTS

RECEIVES = 4
"""How often a message is delivered before it lies among the dead letters."""

SECRET = "anyscale-remediator/slack-webhook"
REPAIRED = ALERTS["repaired"].json
CONFLICT = ALERTS["contested"].json
FAILED = ALERTS["failed-retried"].json


class SlackQueue:
    """The queue in front of the notifier, delivered as Lambda does."""

    def __init__(self, world: World) -> None:
        self._skipped = 0
        self._sqs = world.sqs
        self.dead_url = self._sqs.create_queue(QueueName="slack-dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:slack-dead", "maxReceiveCount": RECEIVES}
        self.url = self._sqs.create_queue(
            QueueName="slack", Attributes={"VisibilityTimeout": "600", "RedrivePolicy": json.dumps(redrive)}
        )["QueueUrl"]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self._sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def deliver(self, context: Context | None = None) -> int:
        """Hand the messages that are due to the notifier, and delete what it took; how many that were."""
        received = self._sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", [])
        if not received:
            return 0
        event = {"Records": [_record(message) for message in received]}
        with everything_logged():
            answer = notifier.handle(event, context or Context())
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        taken = [message for message in received if message["MessageId"] not in failed]
        for message in taken:
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return len(taken)

    def waits(self) -> list[int]:
        """In how many seconds the messages are due again, rounded."""
        return [max(0, round(message.visible_at / 1000 - time.time())) for message in self._messages()]

    def wait(self) -> None:
        """Let so much time go by that every message is due, and Slack takes messages again."""
        self._skipped += 1000
        for message in self._messages():
            message.visible_at = 0

    def clock(self) -> float:
        """Seconds, those that went by in ``wait`` as well."""
        return time.monotonic() + self._skipped

    def deliver_to_the_end(self) -> int:
        """Deliver until nothing is left in the queue; how many rounds that took."""
        rounds = 0
        while self._messages():
            self.wait()
            self.deliver()
            rounds += 1
            assert rounds <= RECEIVES + 1
        return rounds

    def dead(self) -> list[str]:
        """What lies among the dead letters."""
        received = self._sqs.receive_message(QueueUrl=self.dead_url, MaxNumberOfMessages=10)
        return [message["Body"] for message in received.get("Messages", [])]

    def _messages(self) -> Any:
        return sqs_backends[ACCOUNT]["us-east-1"].queues["slack"]._messages


@contextmanager
def everything_logged() -> Iterator[None]:
    """As where somebody has set the level of a function's log to DEBUG."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(before)


def _record(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:slack",
        "awsRegion": "us-east-1",
    }


class Published:
    """What the notifier has logged and counted."""

    def __init__(self, log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
        self._log = log
        self._capsys = capsys
        self.out = ""

    @property
    def text(self) -> str:
        captured = self._capsys.readouterr()
        self.out += captured.out + captured.err
        return self._log.getvalue() + self.out

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    @property
    def counted(self) -> Counter[str]:
        assert self.text
        counted: Counter[str] = Counter()
        for line in map(json.loads, self.out.splitlines()):
            counted.update({name: int(sum(value)) for name, value in line.items() if isinstance(value, list)})
        return +counted


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def queue(world: World) -> SlackQueue:
    return SlackQueue(world)


@pytest.fixture
def secret(world: World, slack: SlackStandIn) -> Any:
    client = boto3.client("secretsmanager")
    client.create_secret(Name=SECRET, SecretString=slack.url())
    return client


def put(secret: Any, url: str) -> None:
    secret.put_secret_value(SecretId=SECRET, SecretString=url)


@pytest.fixture(autouse=True)
def told(
    world: World,
    queue: SlackQueue,
    slack: SlackStandIn,
    secret: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Published]:
    """The notifier with the environment that the stack gives it. Whatever happens, nothing may show the token."""
    monkeypatch.setenv("CONSUMED_QUEUE_URL", queue.url)
    monkeypatch.setenv("HISTORY_TABLE", TABLE)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setattr(webhook_gateway, "_TIMEOUT", urllib3.Timeout(connect=2, read=0.5))
    forget(notifier)
    hook = Webhook(slack.trust)
    monkeypatch.setattr(notifier, "_webhook", lambda: hook)
    monkeypatch.setattr(notifier, "PACE_SECONDS", 0)
    closed = notifier._Closed(queue.clock)
    monkeypatch.setattr(notifier, "_closed", lambda: closed)
    for library in ("botocore", "urllib3"):
        monkeypatch.setattr(logging.getLogger(library), "level", logging.NOTSET)
    log = io.StringIO()
    handler = consumer.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(log)
    told = Published(log, capsys)
    yield told
    handler.setStream(before or sys.stdout)
    forget(notifier)
    everything = told.text + caplog.text
    assert not any(part in everything for part in TOKEN.split("/"))


def headlines(slack: SlackStandIn) -> list[str]:
    """The first line of each message in the channel, without its sign."""
    return [message["text"].split("\n")[0].partition(" ")[2] for message in slack.channel]


REPAIRED_LINE = "Repaired: head-node (production)"
CONTESTED_LINE = "ACTION REQUIRED: repair loop on head-node (production)"
FAILED_LINE = "FAILED: repair of head-node, retrying (production)"


def test_a_message_is_posted_with_blocks_counted_and_logged_once(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    queue.send(REPAIRED)
    assert queue.deliver() == 1
    (message,) = slack.channel
    assert message["blocks"][0]["text"]["text"].startswith("✅ Repaired: head-node")
    assert [(line["message"], line["form"]) for line in told.lines] == [("posted", "blocks")]
    assert told.counted == {"SlackPosted": 1}


def test_an_alarm_of_cloudwatch_is_posted_too(queue: SlackQueue, slack: SlackStandIn) -> None:
    alarm = {
        "AlarmName": "Anyscale-DeadLetters",
        "AlarmDescription": "Messages that could not be taken.",
        "AWSAccountId": ACCOUNT,
        "AlarmArn": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:Anyscale-DeadLetters",
        "NewStateValue": "ALARM",
        "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed: 1 datapoint (3.0) was greater than 0.0 <!channel>.",
        "StateChangeTime": "2026-03-04T10:00:17.000+0000",
        "Region": "US East (N. Virginia)",
    }
    queue.send(json.dumps(alarm))
    assert queue.deliver() == 1
    assert "Anyscale-DeadLetters" in json.dumps(slack.channel)
    assert "<!channel>" not in json.dumps(slack.channel)


def test_a_message_that_is_delivered_twice_is_posted_once(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    queue.send(REPAIRED, CONFLICT, REPAIRED)
    assert queue.deliver() == 3
    queue.send(REPAIRED)
    assert queue.deliver() == 1
    assert sorted(headlines(slack)) == [CONTESTED_LINE, REPAIRED_LINE]
    assert Counter(line["message"] for line in told.lines) == {"posted": 2, "posted already": 2}
    assert told.counted == {"SlackPosted": 2}


def test_two_invocations_at_once_post_a_message_once(queue: SlackQueue, slack: SlackStandIn, told: Published) -> None:
    others: list[int] = []

    def deliver_again() -> None:
        queue.send(REPAIRED)
        others.append(queue.deliver())

    slack.script.append(Answer(while_waiting=deliver_again))
    queue.send(REPAIRED)
    assert queue.deliver() == 1
    assert others == [0]
    queue.wait()
    assert queue.deliver() == 1
    assert headlines(slack) == [REPAIRED_LINE]
    assert told.counted == {"SlackPosted": 1}


def test_what_was_posted_is_forgotten_after_a_day(world: World, queue: SlackQueue) -> None:
    queue.send(REPAIRED)
    queue.deliver()
    (item,) = world.dynamodb.scan(TableName=TABLE)["Items"]
    assert (item["pk"], item["status"]) == ({"S": "NOTIFIER"}, {"S": "COMPLETED"})
    assert abs(int(item["expires"]["N"]) - time.time() - 24 * 3600) < 60


def test_after_slack_takes_no_more_nothing_else_is_posted_until_it_does_again(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.extend([OK, THROTTLED])
    queue.send(REPAIRED, CONFLICT, FAILED)
    assert queue.deliver() == 1
    assert len(slack.requests) == 2
    assert all(5 <= seconds <= 7 for seconds in queue.waits())
    assert told.counted == {"SlackPosted": 1, "SlackThrottled": 2}
    queue.wait()
    assert queue.deliver() == 2
    assert sorted(headlines(slack)) == [CONTESTED_LINE, FAILED_LINE, REPAIRED_LINE]
    assert queue.dead() == []


def test_the_next_invocation_leaves_slack_alone_as_well(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.append(THROTTLED)
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    queue.send(CONFLICT)
    assert queue.deliver() == 0
    assert len(slack.requests) == 1
    assert told.counted == {"SlackThrottled": 2}
    assert queue.deliver_to_the_end() == 1
    assert sorted(headlines(slack)) == [CONTESTED_LINE, REPAIRED_LINE]


def test_posts_come_at_the_pace_that_slack_takes_and_what_it_refused_comes_back_at_that_pace(
    queue: SlackQueue, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(notifier, "PACE_SECONDS", 2)
    monkeypatch.setattr("remediator.handlers.consumer.time.sleep", slept.append)
    slack.script.extend([OK, OK, THROTTLED])
    queue.send(REPAIRED, CONFLICT, FAILED, ALERTS["clean"].json, ALERTS["test"].json)
    assert queue.deliver() == 2
    assert slept == [2, 2]
    first, second, third = sorted(queue.waits())
    assert 1 <= second - first <= 3
    assert 1 <= third - second <= 3


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry-After": "1"}, 1),
        ({"Retry-After": " 42 "}, 42),
        ({"Retry-After": "86400"}, 900),
        ({}, 30),
        ({"Retry-After": "0"}, 30),
        ({"Retry-After": "-5"}, 30),
        ({"Retry-After": "soon"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"Retry-After": "9" * 5000}, 30),
    ],
)
def test_how_long_slack_is_left_alone_is_what_it_says_or_half_a_minute(
    slack: SlackStandIn, header: dict[str, str], seconds: int
) -> None:
    slack.script.append(Answer(429, "", header))
    with pytest.raises(WebhookThrottled) as raised:
        Webhook(slack.trust).post(WebhookUrl.parse(slack.url()), "{}")
    assert raised.value.seconds == seconds


@pytest.mark.parametrize(("after", "delay"), [(7, 7), (5000, 900), (None, 30)])
def test_a_failed_delivery_waits_as_long_as_is_said(after: int | None, delay: int) -> None:
    assert FailedDelivery("r", 2, after).delay == delay


def test_where_slack_fails_the_message_comes_back_and_is_posted_once(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.extend([BROKEN, BROKEN])
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert all(13 <= seconds <= 15 for seconds in queue.waits())
    assert "Slack answered 500 rollup_error" in told.text
    assert queue.deliver_to_the_end() == 2
    assert headlines(slack) == [REPAIRED_LINE]
    assert told.counted == {"SlackPosted": 1, "SlackFailed": 2}


def test_a_message_that_fails_does_not_hold_up_the_others(queue: SlackQueue, slack: SlackStandIn) -> None:
    slack.script.append(BROKEN)
    queue.send(REPAIRED, CONFLICT, FAILED)
    assert queue.deliver() == 2
    queue.deliver_to_the_end()
    assert sorted(headlines(slack)) == [CONTESTED_LINE, FAILED_LINE, REPAIRED_LINE]


def test_what_slack_never_takes_ends_among_the_dead_letters(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.extend([BROKEN] * 100)
    queue.send(REPAIRED, CONFLICT)
    queue.deliver_to_the_end()
    assert sorted(queue.dead()) == sorted([REPAIRED, CONFLICT])
    assert len(slack.requests) == 2 * RECEIVES
    assert slack.channel == []
    assert told.counted == {"SlackFailed": 2 * RECEIVES}


@pytest.mark.parametrize("body", ["", "not json", "[]", "{}", '{"format": 99, "outcome": "repaired"}', "[" * 100_000])
def test_a_body_that_cannot_be_read_ends_among_the_dead_letters(
    body: str, queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    event = {"Records": [_record({"MessageId": "m", "ReceiptHandle": "r", "Body": body, "Attributes": {}})]}
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "1"
    if body:
        queue.send(body)
        queue.deliver_to_the_end()
        assert queue.dead() == [body]
    else:
        assert notifier.handle(event, Context())["batchItemFailures"] == [{"itemIdentifier": "m"}]
    assert slack.requests == []
    assert set(told.counted) == {"SlackFailed"}


def test_a_time_out_after_which_the_message_stands_in_the_channel_is_told_twice_and_never_not_at_all(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.append(LATE)
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert "whether the message was posted is not known" in told.text
    queue.deliver_to_the_end()
    assert headlines(slack) == [REPAIRED_LINE] * 2
    assert told.counted == {"SlackPosted": 1, "SlackFailed": 1}


def test_an_unknown_certificate_is_not_trusted(
    queue: SlackQueue, slack: SlackStandIn, told: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Webhook()
    known = notifier._webhook
    monkeypatch.setattr(notifier, "_webhook", lambda: stranger)
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert "TLS with Slack failed: its certificate is not to be trusted (unable to get local issuer" in told.text
    assert slack.requests == []
    monkeypatch.setattr(notifier, "_webhook", known)
    queue.deliver_to_the_end()
    assert headlines(slack) == [REPAIRED_LINE]


def test_a_server_that_is_not_there_is_tried_again(queue: SlackQueue, slack: SlackStandIn, told: Published) -> None:
    slack.close()
    queue.send(REPAIRED)
    queue.deliver_to_the_end()
    assert queue.dead() == [REPAIRED]
    assert "Slack could not be reached: no connection could be made" in told.text


def test_where_slack_refuses_the_blocks_the_message_is_posted_as_text(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.append(INVALID_BLOCKS)
    queue.send(REPAIRED)
    assert queue.deliver() == 1
    (message,) = slack.channel
    assert "blocks" not in message
    assert "What was wrong" in message["text"]
    assert [(line["message"], line["form"]) for line in told.lines] == [("posted", "plain")]


def test_where_slack_refuses_the_text_too_its_word_is_logged(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.extend([INVALID_BLOCKS, Answer(400, "no_text")])
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert "Slack does not take this message: 400 no_text" in told.text


@pytest.mark.parametrize("answer", [GONE, Answer(403, "action_prohibited"), Answer(410, "channel_is_archived")])
def test_a_refused_url_is_told_with_what_to_do_and_is_not_asked_again_at_once(
    answer: Answer, queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    slack.script.append(answer)
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert f"{answer.status} {answer.body}. Make a new incoming webhook for the channel in Slack" in told.text
    assert len(slack.requests) == 1


def test_a_url_that_was_changed_in_the_secret_is_taken_at_once(
    queue: SlackQueue, slack: SlackStandIn, secret: Any
) -> None:
    queue.send(REPAIRED)
    queue.deliver()
    slack.revoked.add(TOKEN)
    put(secret, json.dumps({"url": slack.url("T00000000/B00000000/another")}))
    queue.send(CONFLICT)
    assert queue.deliver() == 1
    assert headlines(slack) == [REPAIRED_LINE, CONTESTED_LINE]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_not_followed(status: int, queue: SlackQueue, slack: SlackStandIn) -> None:
    elsewhere = slack.url("T00000000/B00000000/elsewhere")
    slack.script.append(Answer(status, "", {"Location": elsewhere}))
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert slack.requests == [TOKEN]
    assert slack.channel == []


def test_an_answer_that_is_not_slacks_is_not_taken_for_ok(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    page = f"<html>/services/{TOKEN} is not here</html>"
    slack.script.append(Answer(200, page, is_posted=False))
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert "200, without a reason" in told.text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        (f"http://127.0.0.1/services/{TOKEN}", "it does not begin with https://"),
        (f"/services/{TOKEN}", "it does not begin with https://"),
        (f"https:///services/{TOKEN}", "it names no host"),
        (f"https://[/services/{TOKEN}", "it names no host"),
        (f"https://127.0.0.1:port/services/{TOKEN}", "it names no host"),
        (f"https://127.0.0.1/services/{TOKEN} and more", "it holds a character that no URL may hold"),
        (f'{{"url": "https://127.0.0.1/services/{TOKEN}"', "it is neither a URL nor JSON"),
        (f'{{"webhook": "https://127.0.0.1/services/{TOKEN}"}}', "its JSON has no text under `url`"),
        ('{"url": 7}', "its JSON has no text under `url`"),
    ],
)
def test_a_secret_that_holds_no_url_is_told_with_what_to_do(
    content: str, why: str, queue: SlackQueue, slack: SlackStandIn, secret: Any, told: Published
) -> None:
    if content:
        put(secret, content)
    else:
        secret.meta.events.register("after-call", lambda parsed, **_: parsed.pop("SecretString", None))
        notifier._secret.cache_clear()
    gateway = WebhookSecret(secret, SECRET, time.monotonic)
    with pytest.raises(UnusableSecret, match=f"{SECRET} does not hold the URL of a webhook: {why}") as raised:
        gateway.read()
    assert_shows_nothing(raised.value)
    if content:
        queue.send(REPAIRED)
        assert queue.deliver() == 0
        assert "Write into it the URL that Slack shows" in told.text


def test_the_secret_is_read_once_in_five_minutes(slack: SlackStandIn, secret: Any) -> None:
    seconds, calls = [0.0], []
    secret.meta.events.register("before-call.secrets-manager.GetSecretValue", lambda **_: calls.append(seconds[0]))
    gateway = WebhookSecret(secret, SECRET, lambda: seconds[0])
    for seconds[0] in (0.0, 299.0, 300.0, 301.0, 600.0):
        assert gateway.read().text == slack.url()
    assert calls == [0.0, 300.0, 600.0]


def test_a_secret_that_cannot_be_read_is_an_error_and_not_what_it_was(secret: Any) -> None:
    seconds = [0.0]
    gateway = WebhookSecret(secret, SECRET, lambda: seconds[0])
    gateway.read()
    secret.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    seconds[0] = 300.0
    for _ in range(2):
        with pytest.raises(NotFoundError):
            gateway.read()


def test_every_error_that_the_api_model_declares_for_our_call_is_known() -> None:
    model = botocore.session.get_session().get_service_model("secretsmanager").operation_model("GetSecretValue")
    for shape in model.error_shapes:
        assert issubclass(ERROR_CLASSES[shape.metadata.get("error", {}).get("code", shape.name)], AwsError)


def test_a_message_that_cannot_be_noted_beforehand_is_not_posted_and_comes_back(
    queue: SlackQueue, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTORY_TABLE", "no-such-table")
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert slack.requests == []
    monkeypatch.setenv("HISTORY_TABLE", TABLE)
    once.store.cache_clear()
    queue.deliver_to_the_end()
    assert headlines(slack) == [REPAIRED_LINE]


def failing(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """From now on DynamoDB refuses one kind of call to the notifier."""
    store = once.store("NOTIFIER")

    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, operation)

    store.client.meta.events.register(f"before-call.dynamodb.{operation}", fail)


def test_a_message_that_was_posted_but_not_noted_is_done_with(
    queue: SlackQueue, slack: SlackStandIn, told: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "UpdateItem")
    queue.send(REPAIRED)
    assert queue.deliver() == 1
    assert headlines(slack) == [REPAIRED_LINE]
    assert "that the message was posted could not be noted" in told.text


def test_slack_is_left_alone_even_if_that_nothing_was_posted_cannot_be_noted(
    queue: SlackQueue, slack: SlackStandIn, told: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "DeleteItem")
    slack.script.append(THROTTLED)
    queue.send(REPAIRED, CONFLICT)
    assert queue.deliver() == 0
    assert len(slack.requests) == 1
    assert all(5 <= seconds <= 7 for seconds in queue.waits())
    assert told.counted == {"SlackThrottled": 2}


def test_a_message_is_not_begun_when_the_invocation_is_about_to_end(
    queue: SlackQueue, slack: SlackStandIn, told: Published
) -> None:
    queue.send(REPAIRED)
    assert queue.deliver(Context(milliseconds_left=5_000)) == 0
    assert slack.requests == []
    assert told.counted == {}
    queue.deliver_to_the_end()
    assert headlines(slack) == [REPAIRED_LINE]


def test_messages_come_back_even_if_their_delay_cannot_be_set(
    queue: SlackQueue, slack: SlackStandIn, told: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        def deliver_again(self, failed: object) -> None:
            raise TransientError("sqs:ChangeMessageVisibility", "RequestThrottled", "")

    monkeypatch.setattr(consumer, "ConsumedQueue", lambda *_: Deaf())
    slack.script.append(BROKEN)
    queue.send(REPAIRED)
    assert queue.deliver() == 0
    assert "failed messages come back later than they could" in told.text
    queue.deliver_to_the_end()
    assert headlines(slack) == [REPAIRED_LINE]


def assert_shows_nothing(error: BaseException) -> None:
    """Neither the error nor any error behind it shows a part of the token."""
    seen: BaseException | None = error
    everything = "".join(traceback.format_exception(error))
    while seen is not None:
        everything += f"{seen!r} {vars(seen)!r} {seen.args!r}"
        seen = seen.__cause__ or seen.__context__
    assert not any(part in everything for part in TOKEN.split("/"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (THROTTLED, WebhookThrottled),
        (BROKEN, WebhookUnavailable),
        (Answer(503, "https://x/services/" + TOKEN), WebhookUnavailable),
        (Answer(408, ""), WebhookUnavailable),
        (LATE, WebhookUnavailable),
        (INVALID_BLOCKS, MessageRefused),
        (Answer(413, "too_large"), MessageRefused),
        (GONE, WebhookRefused),
        (Answer(401, TOKEN), WebhookRefused),
        (Answer(200, "not ok"), WebhookRefused),
        (Answer(204, ""), WebhookRefused),
    ],
)
def test_no_error_shows_the_url(answer: Answer, kind: type[WebhookError], slack: SlackStandIn) -> None:
    slack.script.append(answer)
    with pytest.raises(kind) as raised:
        Webhook(slack.trust).post(WebhookUrl.parse(slack.url()), "{}")
    assert_shows_nothing(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 70}.example/services/{TOKEN}",
        f"https://a..b/services/{TOKEN}",
        f"https://127.0.0.1:1/services/{TOKEN}",
        f"https://user@127.0.0.1:1/services/{TOKEN}",
    ],
)
def test_no_error_of_the_library_shows_the_url(url: str, slack: SlackStandIn) -> None:
    with pytest.raises(WebhookUnavailable) as raised:
        Webhook(slack.trust).post(WebhookUrl.parse(url), "{}")
    assert_shows_nothing(raised.value)


def test_a_url_shows_nothing_of_itself(slack: SlackStandIn) -> None:
    url = WebhookUrl.parse(slack.url())
    assert TOKEN not in f"{url} {url!r}"


def test_the_libraries_log_neither_the_path_nor_the_secret_even_where_everything_is_logged(
    slack: SlackStandIn, secret: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with everything_logged():
        Webhook(slack.trust).post(WebhookSecret(secret, SECRET, time.monotonic).read(), "{}")
        logging.getLogger("another").debug("is heard")
    assert "is heard" in caplog.text
    assert TOKEN not in caplog.text
    assert slack.channel == [{}]
