"""Runs the functions as Lambda does, but in this process and on an account in memory."""

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
    """The context object that Lambda passes to a function."""

    function_name: str = "remediator"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:remediator"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining milliseconds: always enough."""
        return 300_000


def batch(*bodies: str) -> dict[str, Any]:
    """Return the event that Lambda makes from messages."""
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
    """Prepare the functions with the stack's environment and configuration, warm except for the pause parameter.

    Their clients come from ``session`` and are reused between accounts, as they are between events; the pause parameter
    is read again. Logs and metrics are discarded.
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
    discarded = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, given))
        stack.enter_context(mock.patch.object(boto3, "DEFAULT_SESSION", session))
        stack.enter_context(redirect_stdout(discarded))
        stack.enter_context(mock.patch.object(consumer, "load_settings", return_value=world.settings))
        for made in (consumer.settings, reconciler._world, router._world):  # noqa: SLF001 - as below
            made.cache_clear()  # another account may have another configuration
        _log_to(consumer, discarded)
        reconciler._pause_parameter.cache_clear()  # noqa: SLF001 - it caches the value for a minute
        for warm in (reconciler._world, router._world):  # noqa: SLF001 - already created in a warm function
            warm(ACCOUNT)
        yield


def _log_to(module: ModuleType, stream: io.StringIO) -> None:
    module.logger.registered_handler.setStream(stream)


def route_then_reconcile(world: World, event: Any, timed: Callable[[Callable[[], object]], None]) -> None:  # noqa: ANN401 - an event is JSON of any shape
    """Pass an event to the router, and the messages that it queues to the reconciler; ``timed`` runs each function.

    Raises RuntimeError if a function fails a message.
    """
    timed(lambda: _require_success(router.handle(batch(json.dumps(event)), Context())))
    queued = [message["Body"] for message in world.queued()]
    if queued:
        timed(lambda: _require_success(reconciler.handle(batch(*queued), Context())))


def _require_success(response: Any) -> None:  # noqa: ANN401 - the result of Powertools
    if response["batchItemFailures"]:
        raise RuntimeError(f"The function failed messages, so nothing was measured: {response}")
