"""Many requests at once, and many messages that are to come back."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.sqs.models import sqs_backends

from remediator.core.events.request import ReconcileRequest, parse_request
from remediator.core.events.sweep import SweepReason, SweepRequest, parse_sweep
from remediator.errors import AwsError, RejectedError, TransientError, UnknownAwsError
from remediator.gateways.queue import ConsumedQueue, FailedDelivery, SweepQueue, WorkQueue
from tests.examples import ACCOUNT, a_cause
from tests.functional.world import World


def request(number: int) -> ReconcileRequest:
    return ReconcileRequest(ACCOUNT, f"role-{number:02}", a_cause())


def taken(world: World) -> list[ReconcileRequest]:
    """The requests of the work queue, which is empty afterwards."""
    requests = []
    while received := world.sqs.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in received:
            requests.append(parse_request(message["Body"]))
            world.sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return requests


def test_many_requests_are_queued_ten_at_a_time_each_in_its_group_and_once(world: World) -> None:
    requests = [request(number) for number in range(25)]
    for _ in range(2):
        world.queue.send_all(requests)
    assert world.calls == ["SendMessageBatch"] * 6
    world.queue.send(requests[0])
    assert sorted(taken(world), key=lambda each: each.role_name) == requests


def test_no_requests_are_no_call(world: World) -> None:
    world.queue.send_all(())
    assert world.calls == []


def refusing(world: World, **codes: tuple[str, bool]) -> WorkQueue:
    """The work queue, whose batches leave out the roles that are named, each with a code and whose fault it is."""
    client: Any = boto3.client("sqs")

    def leave_out(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        bodies = {entry["Id"]: parse_request(entry["MessageBody"]).role_name for entry in params["Entries"]}
        refused = {
            number: codes[name.replace("-", "_")] for number, name in bodies.items() if name.replace("-", "_") in codes
        }
        params["Entries"] = [entry for entry in params["Entries"] if entry["Id"] not in refused]
        context["refused"] = refused

    def tell(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        failed = [
            {"Id": number, "Code": code, "SenderFault": ours, "Message": "as asked for"}
            for number, (code, ours) in context["refused"].items()
        ]
        parsed["Failed"] = failed

    client.meta.events.register("provide-client-params.sqs.SendMessageBatch", leave_out)
    client.meta.events.register("after-call.sqs.SendMessageBatch", tell)
    return WorkQueue(client, world.queue_url)


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        ({"role_03": ("InternalError", False)}, TransientError),
        ({"role_03": ("SomethingNew", False)}, TransientError),
        ({"role_03": ("InvalidMessageContents", True)}, UnknownAwsError),
        ({"role_03": ("InternalError", False), "role_21": ("InvalidParameter", True)}, RejectedError),
    ],
)
def test_requests_that_are_not_taken_are_named_and_the_others_are_queued(
    world: World, codes: dict[str, tuple[str, bool]], error: type[AwsError]
) -> None:
    with pytest.raises(error, match="not queued: role-03") as raised:
        refusing(world, **codes).send_all(request(number) for number in range(25))
    left_out = {name.replace("_", "-") for name in codes}
    assert all(name in str(raised.value) for name in left_out)
    assert len(taken(world)) == 25 - len(left_out)


def test_of_many_requests_that_are_not_taken_only_some_are_named(world: World) -> None:
    codes = {f"role_{number:02}": ("InternalError", False) for number in range(25) if number % 10}
    with pytest.raises(TransientError, match=r"role-09, role-11 and 12 more;"):
        refusing(world, **codes).send_all(request(number) for number in range(25))


def test_a_batch_that_is_refused_as_a_whole_is_an_error(world: World) -> None:
    client: Any = boto3.client("sqs")

    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "RequestThrottled", "Message": "slowly"}}, "SendMessageBatch")

    client.meta.events.register("before-call.sqs.SendMessageBatch", fail)
    with pytest.raises(TransientError):
        WorkQueue(client, world.queue_url).send_all([request(1)])


def test_a_request_for_a_sweep_arrives_as_it_was_sent(world: World) -> None:
    asked = SweepRequest(SweepReason.EVENT, ("production",), a_cause("PutBucketPolicy"))
    SweepQueue(world.sqs, world.sweep_url).send(asked)
    (message,) = world.sqs.receive_message(QueueUrl=world.sweep_url)["Messages"]
    assert parse_sweep(message["Body"]) == asked
    assert json.loads(message["Body"])["format"] == 1


def test_many_failed_messages_come_back_within_seconds(world: World) -> None:
    for number in range(25):
        world.sqs.send_message(QueueUrl=world.consumed_url, MessageBody=str(number))
    failed: list[FailedDelivery] = []
    while received := world.sqs.receive_message(
        QueueUrl=world.consumed_url, MaxNumberOfMessages=10, VisibilityTimeout=3_600
    ).get("Messages"):
        failed.extend(FailedDelivery(message["ReceiptHandle"], 1) for message in received)
    assert len(failed) == 25
    ConsumedQueue(world.sqs, world.consumed_url).deliver_again(failed)
    messages = sqs_backends[ACCOUNT]["us-east-1"].queues["consumed"]._messages
    assert all(0 < message.visible_at / 1000 - time.time() <= 15 for message in messages)
