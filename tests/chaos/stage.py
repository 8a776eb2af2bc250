"""The whole product on an account in memory: its functions, its queues with their dead letters, and redelivery."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import boto3
import botocore.client
import pytest
from moto import mock_aws
from moto.core.utils import unix_time_millis
from moto.moto_api._internal import mock_random
from moto.sqs.models import sqs_backends

from remediator.core.history.change import Change, ChangeState
from remediator.gateways.webhook import WebhookUrl
from remediator.handlers import consumer, digester, notifier, once, reconciler, router, sweeper
from remediator.settings import DigestLimit, Settings
from remediator_cli.deployment import aws
from remediator_cli.terminal import clock
from tests.chaos.calls import Killed, Request, Seam, webhook_error
from tests.examples import ACCOUNT, BUCKET, OWN_ROLE_ARN
from tests.functional.test_handlers import Context
from tests.functional.world import PAUSE_PARAMETER, TABLE, World
from tests.unit.events.test_event import load

REGION: Final = "us-east-1"
MAX_RECEIVES: Final = 8
MOST_ROUNDS: Final = 40
START: Final = datetime(2040, 3, 4, 10, 1, tzinfo=UTC)
"""Long after the roles of any run were created, and the same in each: windows end at certain times of the day."""
SECRET: Final = "anyscale-remediator/slack-webhook"


@dataclass(frozen=True, slots=True)
class Function:
    """A function and the queue that it works off; ``seconds`` is its time-out."""

    name: str
    module: ModuleType
    queue: str
    seconds: int


FUNCTIONS: Final = (
    Function("router", router, "intake", 60),
    Function("sweeper", sweeper, "sweep", 300),
    Function("reconciler", reconciler, "work.fifo", 120),
    Function("digester", digester, "digest", 60),
    Function("notifier", notifier, "slack", 120),
)


class Account(World):
    """The account in memory; its clients are those of the functions, which the seam tells apart by who is running."""

    def _recorded(self, client: Any) -> Any:
        return client


def clock_of(now: Callable[[], datetime]) -> type[datetime]:
    """A ``datetime`` whose ``now`` is what it is told."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return now()

    return Clock


def times_of(now: Callable[[], datetime], sleep: Callable[[float], None]) -> SimpleNamespace:
    """What stands for the module ``time``, as far as the functions use it."""
    return SimpleNamespace(monotonic=lambda: now().timestamp(), sleep=sleep)


@contextmanager
def run_without_log() -> Iterator[None]:
    """The functions log what goes wrong, which here is everything."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@dataclass
class Stage:
    """What a test acts on: ``account``, the ``seam`` of all calls, the ``time``, and what people were told."""

    account: Account
    seam: Seam
    time: datetime
    slack: list[str] = field(default_factory=list)
    _sent: dict[str, datetime] = field(default_factory=dict)
    _persons: list[Callable[[], bool]] = field(default_factory=list)
    _begun: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _events: int = 0

    def configure(self, settings: Settings) -> None:
        """Deploy a configuration; alerts after the first one of a window come as a digest."""
        self.account.settings = replace(settings, digest=DigestLimit(alone=1, minutes=5))
        _forget()

    def event(self, name: str, *, arn: str | None = None, **parameters: object) -> None:
        """Have CloudTrail deliver one of the events of ``tests/events``, as of now, with an id and parameters.

        ``arn`` is that of the resource that it names beside its parameters.
        """
        event = load(name)
        detail = event["detail"]
        detail["eventTime"] = f"{self.time - timedelta(seconds=3):%Y-%m-%dT%H:%M:%SZ}"
        self._events += 1
        detail["eventID"] = f"{self._events:08}-0000-4000-8000-000000000000"
        detail["requestParameters"].update(parameters)
        for resource in detail["resources"] if arn else ():
            resource["ARN"] = arn
        self.send("intake", json.dumps(event))

    def send(self, queue: str, body: str) -> None:
        """Put a message into a queue, into a group of its own where it has groups."""
        grouped = (
            {"MessageGroupId": "alone", "MessageDeduplicationId": str(len(body))} if queue.endswith("fifo") else {}
        )
        self.account.sqs.send_message(QueueUrl=_url(queue), MessageBody=body, **grouped)

    def ask_a_person(self, act: Callable[[], bool]) -> None:
        """Have a person at a terminal do something, and again until it gives True, three times at most."""
        self._persons.append(act)

    def sweep(self, *, first_of_the_day: bool = False) -> None:
        """Have the schedule ask for a sweep; in the first one of a day, everything is told."""
        time = f"{self.time:%Y-%m-%dT00:00:00Z}" if first_of_the_day else f"{self.time:%Y-%m-%dT%H:%M:%SZ}"
        self.send("sweep", json.dumps({"format": 1, "reason": "schedule", "time": time}))

    def run(self) -> None:
        """Let the functions work until nothing waits in any queue but in those of the dead letters."""
        for _ in range(MOST_ROUNDS):
            persons, self._persons = self._persons, []
            busy = bool(persons)
            for act in persons:
                self._act(act)
            for function in FUNCTIONS:
                busy = self._deliver(function) or busy
            if not busy and not self._anything_left():
                return
            if not busy:
                self.time_passes()
        pytest.fail(f"it does not come to rest: {self.waiting()}")

    def _act(self, act: Callable[[], bool], tries: int = 3) -> None:
        for _ in range(tries):
            self.seam.function = "person"
            try:
                if act():
                    return
            except Killed:
                self.time += timedelta(seconds=1)  # the terminal was closed; the person opens another one
            finally:
                self.seam.function = None
            self.time += timedelta(seconds=20)

    def _deliver(self, function: Function) -> bool:
        """Hand a batch of its queue to a function, and delete what it took; whether there was any."""
        sqs, url = self.account.sqs, _url(function.queue)
        received = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=6 * function.seconds
        ).get("Messages", [])
        if not received:
            return False
        event = {"Records": [self._record(message, function.queue) for message in received]}
        context: Any = Context(milliseconds_left=function.seconds * 1000)
        self.seam.function = function.name
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CONSUMED_QUEUE_URL", url)  # all functions of the stage have one environment
                answer = function.module.handle(event, context)
        except Killed:
            return True  # all of it comes again when its visibility timeout ends
        finally:
            self.seam.function = None
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in received:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _record(self, message: Any, queue: str) -> dict[str, Any]:
        sent = self._sent.setdefault(message["MessageId"], self.time)
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": {**message["Attributes"], "SentTimestamp": str(round(sent.timestamp() * 1000))},
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
            "awsRegion": REGION,
        }

    def now(self) -> datetime:
        """The time; a little goes by with every look at the clock."""
        self.time += timedelta(milliseconds=1)
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let some seconds go by."""
        self.time += timedelta(seconds=seconds)

    def time_goes_by(self, *, minutes: int) -> None:
        """Let some time go by in which nobody does anything."""
        self.time += timedelta(minutes=minutes)

    def time_passes(self) -> None:
        """Let so much time go by that the first message that waits is due."""
        waiting = [message for each in FUNCTIONS for message in _queues()[each.queue]._messages]
        now = unix_time_millis()
        step = max(0.0, min(max(message.visible_at, message.delayed_until) for message in waiting) - now)
        self._end_invocations(self.time)
        self.time += timedelta(milliseconds=step)
        for message in waiting:
            # moto has a clock of its own, which is the machine's.
            message.visible_at -= step + 1
            message.delayed_until -= step + 1
        self._end_invocations(self.time)

    def _end_invocations(self, now: datetime) -> None:
        """What an invocation has begun to tell, another one may tell when the first is over for sure."""
        seconds = {each.name.upper(): each.seconds for each in FUNCTIONS}
        for item in self.account.dynamodb.scan(TableName=TABLE)["Items"]:
            if item.get("status", {}).get("S") == "INPROGRESS":
                begun = self._begun.setdefault((item["pk"]["S"], item["sk"]["S"]), now)
                if now - begun >= timedelta(seconds=seconds[item["pk"]["S"]]):
                    over = {**item, "in_progress_expiration": {"N": "0"}}
                    self.account.dynamodb.put_item(TableName=TABLE, Item=over)

    def _anything_left(self) -> bool:
        return bool(self._persons) or any(self.waiting().values())

    def waiting(self) -> dict[str, int]:
        """How many messages are in each queue that a function works off."""
        queues = _queues()
        return {each.queue: len(queues[each.queue]._messages) for each in FUNCTIONS}

    def dead(self) -> dict[str, list[str]]:
        """The bodies of the dead letters, by the queue that they came from."""
        queues = _queues()
        found = {each.queue: [str(m.body) for m in queues[_dead(each.queue)]._messages] for each in FUNCTIONS}
        return {name: bodies for name, bodies in found.items() if bodies}

    def dead_ids(self) -> set[str]:
        """The ids of the dead letters, by which the functions' logs name them."""
        return {message.id for each in FUNCTIONS for message in _queues()[_dead(each.queue)]._messages}

    def redrive(self) -> None:
        """Put all dead letters back where they came from, as a person does in the console."""
        queues = _queues()
        for each in FUNCTIONS:
            dead = queues[_dead(each.queue)]
            for message in list(dead._messages):
                grouped = {"MessageGroupId": message.group_id} if message.group_id else {}
                unique = {"MessageDeduplicationId": f"redriven {message.id}"} if message.group_id else {}
                self.account.sqs.send_message(QueueUrl=_url(each.queue), MessageBody=message.body, **grouped, **unique)
            dead._messages.clear()

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that machines were given, in order."""
        return [json.loads(str(message.body)) for message in _queues()["machines"]._messages]

    def people(self) -> list[dict[str, Any]]:
        """What people were told by the topic for them, in order."""
        return [json.loads(str(message.body)) for message in _queues()["readers"]._messages]

    def unconcluded(self) -> list[Change]:
        """The changes of which nobody has recorded what came of them."""
        return [change for change in self.account.changes(None) if change.state is ChangeState.INTENDED]


class Hook:
    """Slack's webhook: what is posted stands in the channel; it can go wrong like a call of AWS."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def post(self, url: WebhookUrl, message: str) -> None:
        request = Request(self._stage.seam.function or "", "slack", "Post", None, {})
        self._stage.seam.take(request, lambda: self._stage.slack.append(message), webhook_error)


@cache
def session() -> boto3.Session:
    """One session for all stages: it reads the models of AWS's APIs only once."""
    return boto3.Session()


@cache
def client(service: str, region: str) -> Any:
    """One client for all stages and functions, because making one takes longer than most calls."""
    return session().client(service, region_name=region)


@contextmanager
def stage() -> Iterator[Stage]:
    """An account with the cloud's bucket and everything that the stacks deploy, before anybody does anything."""
    make_call: Any = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out
    seam = Seam(make_call)

    def get_client(service: str, *, region_name: str = REGION, config: Any = None) -> Any:
        return client(service, region_name)

    def call(client: Any, operation: str, arguments: Any) -> Any:
        return seam.call(client, operation, arguments)

    with run_without_log(), mock_aws(), pytest.MonkeyPatch.context() as patch:
        mock_random.seed(1)  # the same ids of roles and keys in every telling
        patch.setattr(boto3, "client", get_client)
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        made = Stage(_account(), seam, START)
        _deploy(made, patch)
        _forget()
        yield made
        _forget()


def _account() -> Account:
    account = Account()
    (subscribed,) = account.sns.list_subscriptions()["Subscriptions"]
    account.sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    for function in FUNCTIONS:
        fifo = {"FifoQueue": "true"} if function.queue.endswith(".fifo") else {}
        account.sqs.create_queue(QueueName=_dead(function.queue), Attributes=fifo)
        policy = {"deadLetterTargetArn": _arn("sqs", _dead(function.queue)), "maxReceiveCount": MAX_RECEIVES}
        if function.queue in {"intake", "digest", "slack"}:
            account.sqs.create_queue(QueueName=function.queue)
        account.sqs.set_queue_attributes(
            QueueUrl=_url(function.queue), Attributes={"RedrivePolicy": json.dumps(policy)}
        )
    people = account.sns.create_topic(Name="people")["TopicArn"]
    for topic, queues in ((account.topic_arn, ("digest", "machines")), (people, ("slack", "readers"))):
        for queue in queues:
            account.sqs.create_queue(QueueName=queue)
            account.sns.subscribe(
                TopicArn=topic,
                Protocol="sqs",
                Endpoint=_arn("sqs", queue),
                Attributes={"RawMessageDelivery": "true"},
            )
    client("secretsmanager", REGION).create_secret(Name=SECRET, SecretString="https://hooks.slack.com/services/T0/B0/x")
    return account


def _deploy(made: Stage, patch: pytest.MonkeyPatch) -> None:
    account = made.account
    environment = {
        "WORK_QUEUE_URL": account.queue_url,
        "SWEEP_QUEUE_URL": account.sweep_url,
        "ALERTS_TOPIC_ARN": account.topic_arn,
        "PEOPLE_TOPIC_ARN": _arn("sns", "people"),
        "REMEDIATOR_ROLE_ARN": OWN_ROLE_ARN,
        "HISTORY_TABLE": TABLE,
        "PAUSE_PARAMETER": PAUSE_PARAMETER,
        "MAX_RECEIVE_COUNT": str(MAX_RECEIVES),
        "WEBHOOK_SECRET": SECRET,
    }
    for name, value in environment.items():
        patch.setenv(name, value)
    patch.setattr(consumer, "load_settings", lambda: account.settings)
    times = times_of(made.now, made.sleep)
    patch.setattr(consumer, "datetime", clock_of(made.now))
    for module in (consumer, reconciler, notifier, aws):
        patch.setattr(module, "time", times)
    patch.setattr(clock, "now", made.now)
    patch.setattr(notifier, "_webhook", lambda: Hook(made))


def _forget() -> None:
    for module in (consumer, once, *(function.module for function in FUNCTIONS)):
        for each in vars(module).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()


def _queues() -> Any:
    return sqs_backends[ACCOUNT][REGION].queues


def _url(queue: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}"


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def _dead(queue: str) -> str:
    return f"dead-{queue}"


__all__ = ["BUCKET", "FUNCTIONS", "Function", "Stage", "stage"]
