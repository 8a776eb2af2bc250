"""What the tests of the embedded AWS share: names of their own, patience, and a queue that hears events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from demo.embedded import EmbeddedAws, allow, policy_document
from demo.embedded_aws import ACCOUNT

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

SECONDS = 120
SERVICES = ("aws.iam", "aws.kms", "aws.s3")

Seen = TypeVar("Seen")


def unique(kind: str) -> str:
    """A name that nothing else has."""
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def eventually(look: Callable[[], Seen], what: str) -> Seen:
    """What ``look`` returns once it is true; fails the test if it is not within some seconds."""
    deadline = time.monotonic() + SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS} seconds"
        time.sleep(0.05)
    return seen


class HearingQueue:
    """A queue that EventBridge may send to, and what has come to it so far."""

    def __init__(self, aws: EmbeddedAws, region: str, *, admits: str | None = "events.amazonaws.com") -> None:
        """``admits`` is the service that the queue's policy lets send, None for no policy."""
        self._sqs: SQSClient = aws.client("sqs", region=region)
        name = unique("hearing")
        self.arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
        sending = allow("sqs:SendMessage", self.arn, Principal={"Service": admits})
        policy = {"Policy": json.dumps(policy_document(sending))} if admits else {}
        self.url = self._sqs.create_queue(QueueName=name, Attributes=policy)["QueueUrl"]
        self.heard: list[Any] = []

    def look(self) -> list[Any]:
        """Every message so far, as JSON, oldest first."""
        while messages := self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.heard.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.heard


class Trail:
    """A queue behind a rule on a region's default bus, which takes every event of the recorded services."""

    def __init__(self, aws: EmbeddedAws, region: str, sources: Sequence[str] = SERVICES) -> None:
        self._queue = HearingQueue(aws, region)
        events: EventBridgeClient = aws.client("events", region=region)
        label = unique("trail")
        events.put_rule(Name=label, EventPattern=json.dumps({"source": list(sources)}))
        assert (
            events.put_targets(Rule=label, Targets=[{"Id": "queue", "Arn": self._queue.arn}])["FailedEntryCount"] == 0
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event so far."""
        return self._queue.look()

    def first(self, matches: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The first event that matches, waited for."""
        seen = eventually(lambda: next(filter(matches, self.events), None), what)
        assert seen is not None
        return seen

    def event(self, call: str, **detail: object) -> dict[str, Any]:
        """The first event about a call whose detail has these values, waited for."""

        def matches(event: dict[str, Any]) -> bool:
            told = event["detail"]
            return told["eventName"] == call and all(told.get(key) == value for key, value in detail.items())

        return self.first(matches, f"an event about {call} with {detail}")

    def detail(self, call: str, **detail: object) -> dict[str, Any]:
        """The record in that event."""
        record: dict[str, Any] = self.event(call, **detail)["detail"]
        return record
