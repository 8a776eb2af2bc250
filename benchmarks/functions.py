"""The functions as Lambda calls them, in this process, on an account in memory."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

import boto3

from remediator.handlers import consumer, reconciler, router
from tests.examples import ACCOUNT, OWN_ROLE_ARN
from tests.functional.world import PAUSE_PARAMETER, TABLE, World


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda hands to a function."""

    function_name: str = "remediator"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:remediator"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds that are left: always enough."""
        return 300_000


def batch(*bodies: str) -> dict[str, Any]:
    """The event that Lambda makes of messages."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": f"g{number}"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


@contextmanager
def deployed(world: World, session: boto3.Session) -> Iterator[None]:
    """The functions with the environment and the configuration that the stack gives them, warm but for the pause.

    Their clients are made by ``session`` and stay from one account to the next, as they do from one event to the next;
    whether writes are paused is asked anew. What they log and count goes to a text that nobody reads.
    """
    given = {
        "WORK_QUEUE_URL": world.queue_url,
        "SWEEP_QUEUE_URL": world.sweep_url,
        "CONSUMED_QUEUE_URL": world.consumed_url,
        "ALERTS_TOPIC_ARN": world.topic_arn,
        "REMEDIATOR_ROLE_ARN": OWN_ROLE_ARN,
        "HISTORY_TABLE": TABLE,
        "PAUSE_PARAMETER": PAUSE_PARAMETER,
        "MAX_RECEIVE_COUNT": "8",
    }
    unread = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, given))
        stack.enter_context(mock.patch.object(boto3, "DEFAULT_SESSION", session))
        stack.enter_context(redirect_stdout(unread))
        stack.enter_context(mock.patch.object(consumer, "load_settings", return_value=world.settings))
        for made in (consumer.settings, reconciler._world, router._world):  # noqa: SLF001 - as below
            made.cache_clear()  # another account may be configured in another way
        _log_to(consumer, unread)
        reconciler._pause_parameter.cache_clear()  # noqa: SLF001 - it remembers for a minute what it has read
        for warm in (reconciler._world, router._world):  # noqa: SLF001 - what a warm function has made already
            warm(ACCOUNT)
        yield


def _log_to(module: ModuleType, stream: io.StringIO) -> None:
    module.logger.registered_handler.setStream(stream)


def route_then_reconcile(world: World, event: Any, timed: Callable[[Callable[[], object]], None]) -> None:  # noqa: ANN401 - an event is JSON of any shape
    """Hand an event to the router, and what it queues to the reconciler; ``timed`` runs each of the two.

    Raises RuntimeError where a function hands a message back.
    """
    timed(lambda: _taken(router.handle(batch(json.dumps(event)), Context())))
    queued = [message["Body"] for message in world.queued()]
    if queued:
        timed(lambda: _taken(reconciler.handle(batch(*queued), Context())))


def _taken(answer: Any) -> None:  # noqa: ANN401 - what Powertools answers
    if answer["batchItemFailures"]:
        raise RuntimeError(f"The function hands messages back, so that nothing was measured: {answer}")
