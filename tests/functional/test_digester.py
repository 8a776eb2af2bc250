"""Alerts reach people: the first of a storm one by one, the others in one digest, none lost and none told twice."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from remediator.core.alerts.alert_json import parse_record, record_json
from remediator.core.alerts.decide import AlertReason
from remediator.core.alerts.notification import DocumentChange, Notification, WriteState, limit_reached
from remediator.core.alerts.topic_messages import topic_message_layout
from remediator.core.alerts.window import Window, parse_window_end, window_end_json, window_of
from remediator.core.repair.outcome import Applied, OutcomeKind
from remediator.errors import MalformedRecord
from remediator.flows.route_alert import LATE, Route, Routed, _cut, route_alert
from remediator.gateways.digests import DigestQueue, DigestWindows
from remediator.gateways.topic import PeopleTopic
from remediator.gateways.world import World
from remediator.handlers import consumer, digester
from remediator.settings import DigestLimit, WriteLimit
from tests.examples import ACCOUNT, ROLE_ARN, settings
from tests.functional.faults import interfering, raising
from tests.functional.test_handlers import Context, forget
from tests.functional.world import TABLE, create_history_table
from tests.unit.alerts.samples import GRANT_BLOCKED, alert, long, outcome, published
from tests.unit.history.changes import TRUST_STEP

MINUTES = 5
# Long enough ago for its window to be over, and its digest to be made at once.
SENT = window_of(datetime.now(UTC) - timedelta(minutes=30), MINUTES).start + timedelta(seconds=20)


class Killed(BaseException):
    """The function is ended on the spot, as by a time-out: nothing of it runs any more."""


@dataclass(frozen=True)
class Message:
    """A message of the digest queue."""

    body: str
    sent: datetime = SENT


def record(role: str = "head-node", kind: OutcomeKind = OutcomeKind.REPAIRED, **fields: Any) -> str:
    """What the alerts topic carries about a role."""
    arn = ROLE_ARN.replace("head-node", role)
    return alert(outcome(kind, role_name=role, role_arn=arn, **fields)).json


def storm(count: int, sent: datetime = SENT) -> list[Message]:
    """Alerts about that many roles, sent one after the other."""
    return [Message(record(f"role-{n}"), sent + timedelta(milliseconds=n)) for n in range(1, count + 1)]


@dataclass
class Outside:
    """What the digester sees of the world: the table, its own queue and the topic, in memory."""

    topic_arn: str
    queue_url: str
    limit: DigestLimit
    calls: list[str] = field(default_factory=list)
    moments: dict[tuple[int, str], Callable[[], None]] = field(default_factory=dict)

    def published(self) -> list[dict[str, Any]]:
        """What the topic was given, each as the forms of the channels."""
        sent: Any = sns_backends[ACCOUNT]["us-east-1"].topics[self.topic_arn].sent_notifications
        return [json.loads(each[1]) for each in sent]

    def attributes(self) -> list[Mapping[str, str]]:
        """The attributes of what the topic was given."""
        sent: Any = sns_backends[ACCOUNT]["us-east-1"].topics[self.topic_arn].sent_notifications
        return [{name: value["Value"] for name, value in each[3].items()} for each in sent]

    def alone(self) -> list[str]:
        """The roles that people were told of one by one, in order."""
        told = [json.loads(forms["default"]) for forms in self.published()]
        return [each["role"]["name"] for each in told if "role" in each]

    def digests(self) -> list[dict[str, Any]]:
        """The digests that people were told, in order."""
        told = [json.loads(forms["default"]) for forms in self.published()]
        return [each for each in told if each["outcome"] == "digest"]

    def told(self) -> Counter[str]:
        """How often people were told of each role."""
        in_digests = [role["name"] for each in self.digests() for group in each["groups"] for role in group["roles"]]
        return Counter((*self.alone(), *in_digests))

    def own_messages(self) -> list[Message]:
        """What the digester has sent itself, delayed or not; it is taken out of the queue."""
        queue = sqs_backends[ACCOUNT]["us-east-1"].queues["digest"]
        found = [Message(str(message.body)) for message in queue._messages]
        queue._messages.clear()
        return found

    def delays(self) -> list[int]:
        """The delays in seconds of what the digester has sent itself."""
        messages: list[Any] = sqs_backends[ACCOUNT]["us-east-1"].queues["digest"]._messages
        sent = ((message.sent_timestamp, message.delayed_until) for message in messages)
        return [round((until - at) / 1000) if until else 0 for at, until in sent]

    def handle(self, *messages: Message, milliseconds_left: int = 120_000) -> list[Message]:
        """The function takes a batch; the messages that it gives back."""
        event = {
            "Records": [
                {
                    "messageId": f"m{number}",
                    "receiptHandle": "r",
                    "body": message.body,
                    "attributes": {
                        "ApproximateReceiveCount": "1",
                        "SentTimestamp": str(round(message.sent.timestamp() * 1000)),
                    },
                    "messageAttributes": {},
                    "md5OfBody": "",
                    "eventSource": "aws:sqs",
                    "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:digest",
                    "awsRegion": "us-east-1",
                }
                for number, message in enumerate(messages)
            ]
        }
        context: Any = Context(milliseconds_left=milliseconds_left)
        failed: Any = digester.handle(event, context)["batchItemFailures"]
        return [messages[int(each["itemIdentifier"].removeprefix("m"))] for each in failed]

    def deliver_all(self, messages: Iterable[Message]) -> None:
        """Deliver messages in batches of ten, and again what is given back, until nothing is left."""
        waiting = list(messages)
        for _ in range(12):
            batches = [waiting[start : start + 10] for start in range(0, len(waiting), 10)]
            waiting = []
            for batch in batches:
                try:
                    waiting += self.handle(*batch)
                except Killed:
                    waiting += batch
                    self.time_passes()
            waiting += self.own_messages()
            if not waiting:
                return
            self.time_passes()
        pytest.fail(f"{len(waiting)} messages are given back again and again")

    def time_passes(self) -> None:
        """So much that an invocation that had begun to tell something is over for sure."""
        client: Any = boto3.client("dynamodb")
        calls, moments, self.moments = list(self.calls), self.moments, {}
        for item in client.scan(TableName=TABLE)["Items"]:
            if item.get("status", {}).get("S") == "INPROGRESS":
                client.put_item(TableName=TABLE, Item={**item, "in_progress_expiration": {"N": "0"}})
        self.calls, self.moments = calls, moments

    def flow(self, message: Message, now: datetime, **overrides: Any) -> Routed:
        """Route a message at a time of our choice, to people who are told whatever there is, however often."""
        table: Any = boto3.client("dynamodb")
        given: dict[str, Any] = {
            "digests": DigestWindows(table, TABLE, alone=self.limit.alone, minutes=self.limit.minutes),
            "digest_queue": DigestQueue(boto3.client("sqs"), self.queue_url),
            **overrides,
        }
        world = World(account=ACCOUNT, clock=lambda: now, **given)
        topic = PeopleTopic(boto3.client("sns"), self.topic_arn)
        return route_alert(message.body, message.sent, world, lambda alert, _: topic.publish(alert))


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """One session for all tests: it reads the models of AWS's APIs only once."""
    return boto3.Session()


@pytest.fixture
def outside_with(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """Makes a world in which so many alerts of a window are told one by one."""
    make_call: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out
    worlds: list[Outside] = []

    def counted(client: Any, operation: str, arguments: Any) -> Any:
        world = worlds[-1]
        world.calls.append(operation)
        number = len(world.calls)
        world.moments.pop((number, "before"), _nothing)()
        try:
            return make_call(client, operation, arguments)
        finally:  # a condition that does not hold is an answer too
            world.moments.pop((number, "after"), _nothing)()

    @contextmanager
    def make(alone: int = 5) -> Iterator[Outside]:
        with mock_aws(), monkeypatch.context() as patch:
            patch.setattr(boto3, "DEFAULT_SESSION", session)
            create_history_table(boto3.client("dynamodb"))
            topic_arn = boto3.client("sns").create_topic(Name="people")["TopicArn"]
            queue_url = boto3.client("sqs").create_queue(QueueName="digest")["QueueUrl"]
            world = Outside(topic_arn, queue_url, DigestLimit(alone, MINUTES))
            worlds.append(world)
            patch.setenv("PEOPLE_TOPIC_ARN", topic_arn)
            patch.setenv("HISTORY_TABLE", TABLE)
            patch.setenv("CONSUMED_QUEUE_URL", queue_url)
            patch.setattr(consumer, "load_settings", lambda: replace(settings(), digest=world.limit))
            patch.setattr(botocore.client.BaseClient, "_make_api_call", counted)
            forget(digester)
            yield world
            forget(digester)

    return make


@pytest.fixture
def outside(outside_with: Any) -> Iterator[Outside]:
    """A world with the default limit: five alerts of five minutes."""
    with outside_with() as world:
        yield world


def _nothing() -> None:
    return


def kill() -> None:
    raise Killed


def test_of_three_hundred_alerts_five_are_told_alone_and_all_others_in_one_digest(outside: Outside) -> None:
    outside.deliver_all(storm(300))
    assert outside.alone() == [f"role-{n}" for n in range(1, 6)]
    (digest,) = outside.digests()
    assert digest["alerts"] == 295
    assert [(group["outcome"], group["count"]) for group in digest["groups"]] == [("repaired", 295)]
    first = outside.published()[-1]["email"].splitlines()[0]
    assert first.startswith("user/alice via the AWS CLI changed 295 roles between ")
    assert "all repaired. No action needed now." in first


def test_a_few_alerts_are_each_told_alone_in_the_form_of_every_channel(outside: Outside) -> None:
    body = record("worker", OutcomeKind.MANUAL_ACTION, findings=(GRANT_BLOCKED,), results=())
    assert outside.handle(Message(body)) == []
    (forms,) = outside.published()
    assert forms["default"] == body
    assert forms["email"].startswith("The role cannot use the bucket, and a new Allow cannot change that. ")
    assert json.loads(forms["https"])["source"] == "custom"
    assert outside.attributes() == [
        {
            "outcome": "needs-person",
            "news": "new",
            "severity": "error",
            "account": ACCOUNT,
            "role": "worker",
            "cloud": "production",
        }
    ]
    assert outside.own_messages() == []


def test_every_protocol_gets_its_own_form_and_a_queue_the_json(outside: Outside) -> None:
    sqs: Any = boto3.client("sqs")
    url = sqs.create_queue(QueueName="slack")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(
        TopicArn=outside.topic_arn, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    (message,) = storm(1)
    outside.handle(message)
    assert [each["Body"] for each in sqs.receive_message(QueueUrl=url)["Messages"]] == [message.body]


def test_a_digest_carries_attributes_to_filter_on_and_can_be_laid_out_again(outside: Outside) -> None:
    body = record("worker", OutcomeKind.MANUAL_ACTION, findings=(GRANT_BLOCKED,), results=())
    outside.deliver_all([*storm(8), Message(body)])
    digest = outside.published()[-1]
    assert outside.attributes()[-1] == {"outcome": "digest", "severity": "error", "account": ACCOUNT}
    assert digest["email"].splitlines()[0] == "1 of 4 roles requires an operator now; the others: 3 repaired."
    assert topic_message_layout(digest["default"]).headline == digest["email"].splitlines()[0]
    assert json.loads(digest["https"])["content"]["title"].endswith(
        "ACTION REQUIRED: 1 of 4 roles changed by user/alice via the AWS CLI (production)"
    )


def test_alerts_of_two_windows_are_counted_apart(outside: Outside) -> None:
    outside.deliver_all([*storm(7), *storm(7, SENT + timedelta(minutes=MINUTES))])
    # The same ids, sent once more: they are known.
    assert outside.told() == Counter({f"role-{n}": 1 for n in range(1, 8)})
    later = [Message(record(f"later-{n}"), SENT + timedelta(minutes=MINUTES)) for n in range(7)]
    outside.deliver_all(later)
    assert len(outside.alone()) == 10
    assert [digest["alerts"] for digest in outside.digests()] == [2, 2]


@pytest.mark.parametrize("seed", range(4))
def test_duplicates_in_any_order_and_any_window_tell_nothing_twice(seed: int, outside: Outside) -> None:
    messages = storm(12)
    again = [replace(message, sent=message.sent + timedelta(minutes=MINUTES)) for message in messages]
    everything = [*messages, *messages, *again]
    random.Random(seed).shuffle(everything)  # noqa: S311 - an order that is the same in every run
    half = everything[: len(everything) // 2]
    outside.deliver_all(half)
    outside.deliver_all([*everything, *half])
    assert set(outside.told()) == {f"role-{n}" for n in range(1, 13)}
    assert set(outside.told().values()) == {1}


def test_a_crash_before_or_after_any_call_loses_nothing_and_doubles_nothing_but_what_was_just_told(
    outside_with: Any,
) -> None:
    messages = storm(3)
    with outside_with(alone=1) as world:
        world.deliver_all(messages)
        calls = list(world.calls)
    roles = {"role-1", "role-2", "role-3"}
    for number in range(1, len(calls) + 1):
        for moment in ("before", "after"):
            with outside_with(alone=1) as world:
                world.moments[number, moment] = kill
                world.deliver_all(messages)
                assert not world.moments, "nobody was killed"
                place = (number, moment, calls[number - 1])
                assert set(world.told()) == roles, place
                told_but_not_noted = (moment == "after" and calls[number - 1] == "Publish") or (
                    moment == "before" and calls[number - 2] == "Publish"
                )
                doubled = [role for role, times in world.told().items() if times > 1]
                assert bool(doubled) is told_but_not_noted, place
                assert len({forms["default"] for forms in world.published()}) == 2, place


def test_two_invocations_at_the_same_time_tell_nothing_twice(outside_with: Any) -> None:
    messages = storm(3)
    with outside_with(alone=1) as world:
        world.deliver_all(messages)
        calls = len(world.calls)
    for number in range(1, calls + 1):
        with outside_with(alone=1) as world:

            def other(world: Outside = world) -> None:
                world.handle(*reversed(messages))

            world.moments[number, "before"] = other
            world.deliver_all(messages)
            world.deliver_all(messages)
            assert world.told() == Counter({"role-1": 1, "role-2": 1, "role-3": 1}), number


def test_a_digest_is_made_while_another_alert_comes_in_and_that_one_is_not_lost(outside_with: Any) -> None:
    messages = storm(3)
    late = Message(record("late"))
    with outside_with(alone=1) as world:
        world.handle(*messages)
        begun = len(world.calls)
        world.deliver_all(world.own_messages())
        calls = len(world.calls)
    for number in range(begun + 1, calls + 1):
        for moment in ("before", "after"):
            with outside_with(alone=1) as world:

                def other(world: Outside = world) -> None:
                    assert world.handle(late) == []

                world.handle(*messages)
                world.moments[number, moment] = other
                world.deliver_all(world.own_messages())
                assert world.told() == Counter({"role-1": 1, "role-2": 1, "role-3": 1, "late": 1}), (number, moment)


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "UpdateItem", "Query", "SendMessage", "Publish"])
def test_a_call_that_fails_fails_its_message_alone_and_the_next_try_tells(
    operation: str, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = storm(7)
    throttled: Any = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
    real: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out
    failing = iter([True])

    def once(client: Any, name: str, arguments: Any) -> Any:
        if name == operation and next(failing, False):
            raise ClientError(throttled, name)
        return real(client, name, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", once)
    outside.deliver_all(messages)
    assert next(failing, None) is None
    assert outside.told() == Counter({f"role-{n}": 1 for n in range(1, 8)})


def test_an_alert_that_comes_after_its_digest_was_made_is_told_in_the_window_of_now(outside: Outside) -> None:
    window = window_of(SENT, MINUTES)
    over = window.end + LATE + timedelta(seconds=1)
    for message in storm(7):
        outside.flow(message, SENT)
    assert outside.flow(Message(window_end_json(window)), over) == Routed(Route.DIGEST, window=window, alerts=2)
    first, second = Message(record("late-1")), Message(record("late-2"))
    assert outside.flow(first, over).route is Route.INDIVIDUAL
    for message in [Message(record(f"now-{n}"), over) for n in range(4)]:
        assert outside.flow(message, over).route is Route.INDIVIDUAL
    held = outside.flow(second, over)
    assert held.route is Route.HELD
    assert held.window == window_of(over, MINUTES)
    assert outside.flow(first, over + timedelta(hours=1)).route is Route.INDIVIDUAL
    assert outside.flow(second, over + timedelta(hours=1)) == held


def test_nothing_is_added_to_a_window_that_is_closed_even_if_the_limit_was_raised_since(outside: Outside) -> None:
    window = window_of(SENT, MINUTES)
    over = window.end + LATE + timedelta(seconds=1)
    for message in storm(7):
        outside.flow(message, SENT)
    outside.flow(Message(window_end_json(window)), over)
    outside.limit = DigestLimit(6, MINUTES)
    for message in [Message(record(f"now-{n}"), over) for n in range(6)]:
        assert outside.flow(message, over).route is Route.INDIVIDUAL
    held = outside.flow(Message(record("late")), over)
    assert held.route is Route.HELD
    assert held.window == window_of(over, MINUTES)


def test_an_alert_that_comes_late_to_a_window_that_is_still_open_ends_it_at_once(outside: Outside) -> None:
    for message in storm(5):
        outside.flow(message, SENT)
    assert outside.own_messages() == []
    assert outside.flow(Message(record("late")), SENT + timedelta(hours=1)).route is Route.HELD
    assert outside.delays() == [0]
    outside.deliver_all(outside.own_messages())
    assert outside.told()["late"] == 1


def test_a_digest_of_one_alert_reads_like_that_alert(outside: Outside) -> None:
    outside.deliver_all(storm(6))
    text = outside.published()[-1]["email"]
    assert text.startswith("EC2 trust and access to s3://")
    assert text.count("No action needed now.") == 1
    assert "role-6 (production)" in text


def test_the_end_of_a_window_is_asked_for_once_and_a_little_after_it(outside: Outside) -> None:
    window = window_of(SENT, MINUTES)
    for message in storm(9):
        outside.flow(message, SENT)
    assert outside.delays() == [round((window.end + LATE - SENT).total_seconds())]
    (message,) = outside.own_messages()
    assert parse_window_end(message.body) == window


def test_a_window_that_is_not_over_is_asked_for_again_and_not_closed(outside: Outside) -> None:
    long_window = Window(SENT, SENT + timedelta(hours=2))
    assert outside.flow(Message(window_end_json(long_window)), SENT) == Routed(Route.RESCHEDULED, window=long_window)
    assert outside.delays() == [900]
    early = window_of(SENT, MINUTES)
    for message in storm(6):
        outside.flow(message, SENT)
    outside.own_messages()
    assert outside.flow(Message(window_end_json(early)), early.end).route is Route.RESCHEDULED
    assert outside.delays() == [10]
    assert outside.flow(Message(record("role-7")), early.end).route is Route.HELD


def test_a_crash_between_asking_and_noting_it_asks_twice_and_tells_one_digest(outside: Outside) -> None:
    for message in storm(5):
        outside.handle(message)
    windows = DigestWindows(boto3.client("dynamodb"), TABLE, alone=5, minutes=MINUTES)
    dying = interfering(windows, before_note_asked=raising(Killed()))  # type: ignore[arg-type]  # not an Exception, on purpose
    (sixth,) = [Message(record("role-6"))]
    with pytest.raises(Killed):
        outside.flow(sixth, datetime.now(UTC), digests=dying)
    assert outside.handle(sixth) == []
    asked = outside.own_messages()
    assert len(asked) == 2
    outside.deliver_all(asked)
    assert [digest["alerts"] for digest in outside.digests()] == [1]


def test_a_message_that_ends_a_window_too_early_comes_again(outside: Outside) -> None:
    early = window_of(datetime.now(UTC) + timedelta(minutes=30), MINUTES)
    assert outside.handle(Message(window_end_json(early))) == []
    assert [parse_window_end(message.body) for message in outside.own_messages()] == [early]
    assert outside.handle(Message(window_end_json(window_of(SENT, MINUTES)))) == []
    assert outside.published() == []


def test_nothing_is_told_of_a_window_in_which_nothing_waits(outside: Outside) -> None:
    window = window_of(SENT, MINUTES)
    assert outside.flow(Message(window_end_json(window)), window.end + LATE) == Routed(Route.EMPTY, window=window)
    assert outside.published() == []


def test_that_the_limit_is_reached_is_told_at_once_in_a_storm(outside: Outside) -> None:
    outside.handle(*storm(9))
    notice = published(limit_reached(ACCOUNT, WriteLimit(500, 60), SENT)).json
    assert outside.handle(Message(notice), Message(notice)) == []
    assert [json.loads(forms["default"])["outcome"] for forms in outside.published()] == [
        *["repaired"] * 5,
        "limit-reached",
    ]
    assert outside.attributes()[-1] == {"outcome": "limit-reached", "severity": "error", "account": ACCOUNT}


def test_the_last_alert_about_a_role_is_what_a_digest_says_of_it(outside: Outside) -> None:
    broken = record("worker", OutcomeKind.MANUAL_ACTION, findings=(GRANT_BLOCKED,), results=())
    resolved = alert(outcome(OutcomeKind.CLEAN, role_name="worker", findings=(), results=()), AlertReason.RESOLVED).json
    later = [Message(resolved, SENT + timedelta(seconds=9)), Message(broken, SENT + timedelta(seconds=5))]
    outside.deliver_all([*storm(5), *later])
    (digest,) = outside.digests()
    assert [(group["outcome"], group["count"]) for group in digest["groups"]] == [("clean", 1)]
    assert digest["alerts"] == 2


def test_with_a_limit_of_none_everything_waits_for_the_digest(outside_with: Any) -> None:
    with outside_with(alone=0) as world:
        world.deliver_all(storm(2))
        assert (world.alone(), [digest["alerts"] for digest in world.digests()]) == ([], [2])


def test_a_limit_that_is_raised_while_a_window_runs_tells_nothing_twice(outside: Outside) -> None:
    messages = storm(8)
    outside.handle(*messages)
    outside.limit = DigestLimit(10, MINUTES)
    forget(digester)
    outside.deliver_all(messages)
    assert set(outside.told().values()) == {1}
    assert len(outside.told()) == 8


def test_the_same_alert_is_told_again_when_it_is_sent_again_after_more_than_a_day(outside: Outside) -> None:
    messages = storm(6)
    later = timedelta(days=1, minutes=10)
    for message in messages:
        outside.flow(message, message.sent)
    held = outside.flow(replace(messages[5], sent=SENT + later), SENT + later)
    assert held.route is Route.INDIVIDUAL


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "7",
        '{"format": 2, "outcome": "repaired"}',
        '{"format": 1, "digest": "yesterday", "until": "today"}',
        '{"format": 9, "digest": "2026-03-04T10:00:00+00:00", "until": "2026-03-04T10:05:00+00:00"}',
        '{"format": 1, "digest": "2026-03-04T10:00:00+00:00"}',
        '{"format": 1, "digest": "2026-03-04T10:00:00", "until": "2026-03-04T10:05:00"}',
    ],
)
def test_what_cannot_be_read_is_given_back_and_holds_up_nothing(body: str, outside: Outside) -> None:
    odd = Message(body)
    assert outside.handle(odd, Message(record("worker"))) == [odd]
    assert outside.alone() == ["worker"]


def test_a_message_is_not_begun_when_the_invocation_is_about_to_end(outside: Outside) -> None:
    (message,) = storm(1)
    assert outside.handle(message, milliseconds_left=5_000) == [message]
    assert outside.published() == []
    assert outside.handle(message) == []
    assert outside.alone() == ["role-1"]


def test_what_failed_is_delivered_again_soon_and_trouble_with_that_is_only_logged(outside: Outside) -> None:
    odd = Message("no JSON")
    assert outside.handle(odd) == [odd]
    assert outside.calls == ["ChangeMessageVisibilityBatch"]

    def refuse() -> None:
        raise ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "ChangeMessageVisibilityBatch")

    outside.moments[2, "before"] = refuse
    assert outside.handle(odd) == [odd]
    assert outside.moments == {}


def test_what_was_told_counts_and_what_waits_does_too(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    outside.deliver_all([*storm(7), *storm(1)])
    counted: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        if line.startswith('{"_aws"'):
            values = json.loads(line)
            counted.update({name: int(sum(value)) for name, value in values.items() if isinstance(value, list)})
    assert counted == {"AlertsTold": 5, "AlertsHeld": 2, "DigestsSent": 1}


def test_that_it_was_told_and_could_not_be_noted_is_no_failure(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    (message,) = storm(1)
    real: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out

    def not_noted(client: Any, name: str, arguments: Any) -> Any:
        if name == "UpdateItem" and arguments["Key"]["pk"] == {"S": "DIGESTER"}:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, name)
        return real(client, name, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", not_noted)
    assert outside.handle(message) == []
    assert outside.alone() == ["role-1"]


def test_an_alert_that_was_kept_and_is_gone_is_an_error_and_no_digest_without_it(outside: Outside) -> None:
    outside.handle(*storm(7))
    (end,) = outside.own_messages()
    table: Any = boto3.client("dynamodb")
    (first, *_) = [item for item in table.scan(TableName=TABLE)["Items"] if item["sk"]["S"].startswith("HELD#")]
    table.delete_item(TableName=TABLE, Key={"pk": first["pk"], "sk": first["sk"]})
    assert outside.handle(end) == [end]
    with pytest.raises(MalformedRecord, match="1 are not there any more"):
        outside.flow(end, datetime.now(UTC))
    assert outside.digests() == []
    table.put_item(TableName=TABLE, Item={**first, "alert": {"S": "{}"}})
    assert outside.handle(end) == [end]
    table.put_item(TableName=TABLE, Item=first)
    assert outside.handle(end) == []
    assert [digest["alerts"] for digest in outside.digests()] == [2]


def test_everything_that_is_noted_is_deleted_in_the_end(outside: Outside) -> None:
    outside.deliver_all(storm(7))
    table: Any = boto3.client("dynamodb")
    items = table.scan(TableName=TABLE)["Items"]
    assert items
    for item in items:
        assert item["pk"]["S"].startswith("DIGEST"), item
        assert timedelta() < datetime.fromtimestamp(int(item["expires"]["N"]), UTC) - SENT < timedelta(days=31)


def with_documents(count: int, lines: int) -> str:
    """A record with so many documents of so many lines."""
    message = parse_record(record())
    assert isinstance(message, Notification)
    document = {f"key{n}": '"quoted" é' * 15 for n in range(lines)}
    changes = tuple(
        DocumentChange(f"policy {n}", WriteState.APPLIED, None, document, change_id=f"c{n}") for n in range(count)
    )
    return record_json(replace(message, changes=changes))


def with_notes(count: int) -> str:
    """A record with so many changes, each with a long sentence on what became of it."""
    message = parse_record(record())
    assert isinstance(message, Notification)
    note = "It may have been written. " * 23
    changes = (DocumentChange(f"policy {n}", WriteState.UNCONFIRMED, None, None, note, f"c{n}") for n in range(count))
    return record_json(replace(message, changes=tuple(changes)))


def with_reasons(count: int, length: int) -> str:
    """A record with so many things that are wrong, each for eight reasons of that length."""
    message = parse_record(record())
    assert isinstance(message, Notification)
    reasons = tuple("because " * (length // 8) for _ in range(8))
    wrong = tuple((f"{n} is wrong", *reasons) for n in range(count))
    findings = tuple(replace(GRANT_BLOCKED, subject=f"bucket-{n}", because=reasons) for n in range(count))
    return record_json(replace(message, wrong=wrong, findings=findings))


CUT = "\n(Shortened. Everything: remediator history head-node)\n"


@pytest.mark.parametrize(
    ("body", "left_out", "is_cut"),
    [
        (with_documents(1, 200), set(), False),
        (with_documents(4, 150), {"documents"}, False),
        (with_documents(1, 700), {"documents"}, False),
        (with_reasons(36, 296), {"documents"}, True),
        (with_reasons(50, 296), {"documents", "reasons"}, False),
        (with_notes(240), {"documents"}, True),
        (with_notes(320), {"documents", "reasons"}, True),
    ],
    ids=["small", "many-documents", "a-long-document", "reasons", "more-reasons", "notes", "more-notes"],
)
def test_whatever_an_alert_holds_the_message_fits_and_says_what_it_leaves_out(
    body: str, left_out: set[str], is_cut: bool, outside: Outside
) -> None:
    assert json.loads(body)["documentsLeftOut"] is False
    assert outside.handle(Message(body)) == []
    (forms,) = outside.published()
    size = len(json.dumps(forms, ensure_ascii=False, separators=(",", ":")).encode())
    told = json.loads(forms["default"])
    assert size <= 250_000
    assert len(forms["email"]) > 40_000 or not is_cut
    assert told["id"] == json.loads(body)["id"]
    assert told["documentsLeftOut"] is ("documents" in left_out)
    assert any(finding["because"] for finding in told["findings"]) is ("reasons" not in left_out)
    assert isinstance(parse_record(forms["default"]), Notification)
    assert forms["email"].startswith("EC2 trust and access to s3://")
    either = (CUT, CUT.replace("history", "plan --role"))  # where nothing was written, the history knows nothing of it
    assert forms["email"].endswith(either) is is_cut


@pytest.mark.parametrize("room", range(100, 400, 7))
def test_an_email_is_cut_between_two_lines_and_takes_no_more_room_than_there_is(room: int) -> None:
    lines = [f'line {n} says "é"\n' for n in range(30)]
    cut = _cut("".join(lines), room, "remediator history head-node")
    assert len(json.dumps(cut, ensure_ascii=False).encode()) <= room + len('""')
    whole = cut.removesuffix(CUT)
    assert whole == "".join(lines[: whole.count("\n")])


def test_the_longest_alert_that_can_be_published_reaches_people(outside: Outside) -> None:
    longest = alert(long(outcome(results=(Applied(TRUST_STEP),)))).json
    assert outside.handle(Message(longest)) == []
    assert json.loads(outside.published()[0]["default"])["id"] == json.loads(longest)["id"]
