"""What all functions share: how they consume the messages of a queue, their log, their clients and their world."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.base import FailureResponse
from aws_lambda_powertools.utilities.batch.exceptions import ExceptionInfo
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from remediator import __version__
from remediator.errors import AwsError, MalformedArn, TransientError
from remediator.gateways.queue import ConsumedQueue, FailedDelivery
from remediator.gateways.world import World
from remediator.settings import Settings, load_settings

Event = dict[str, Any]
Handler = Callable[[Event, Any], PartialItemFailureResponse]

CLIENT_CONFIG: Final = Config(
    # Standard mode backs off with jitter; what is still throttled after that goes back to the queue.
    # https://docs.aws.amazon.com/boto3/latest/guide/retries.html
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=5,
    user_agent_extra=f"anyscale-role-remediator/{__version__}",
)

WRITE_CLIENT_CONFIG: Final = CLIENT_CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""For documents of IAM and S3: what the SDK sent again would not have been read again (``flows.write``)."""

SCAN_CLIENT_CONFIG: Final = CLIENT_CONFIG.merge(Config(read_timeout=30))
"""For calls whose answer holds a thousand roles, which IAM takes its time for."""

_ACCOUNT_FIELD: Final = 4
_KEYS_OF_A_MESSAGE: Final = ("call", "event_id", "role", "sweep_id")
"""What handlers add to the log while they work on one message."""
_NO_DELAYS: Final[Mapping[str, int]] = MappingProxyType({})

logger = Logger()
metrics = Metrics()
tracer = Tracer(patch_modules=("botocore",))


def function(handle: Handler) -> Handler:
    """The handler as Lambda starts it: traced, with its metrics written at the end, and with the keys of its log."""
    logged = logger.inject_lambda_context(clear_state=True)(handle)
    traced: Handler = tracer.capture_lambda_handler(capture_response=False)(metrics.log_metrics(logged))
    return traced


@cache
def client(service: str, region: str | None = None, config: Config = CLIENT_CONFIG) -> Any:  # noqa: ANN401 - boto3 makes its clients' classes at run time
    """The client of a service, in a Region other than the function's own where one is given."""
    return boto3.client(service, region_name=region, config=config)


@cache
def settings() -> Settings:
    """The configuration that was deployed with the function."""
    return load_settings()


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def sleep(seconds: float) -> None:
    """Wait for some seconds."""
    time.sleep(seconds)


def make_world(account: str, **of_the_function: Any) -> World:  # noqa: ANN401 - fields of World
    """The world of a function: what all have in common, and what it has besides."""
    return World(account=account, settings=settings(), clock=now, sleep=sleep, **of_the_function)


def account_of(context: LambdaContext) -> str:
    """The account (12 digits) that a function runs in, from the ARN under which it was invoked.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html (invoked_function_arn)
    """
    fields = context.invoked_function_arn.split(":")
    if len(fields) <= _ACCOUNT_FIELD or not fields[_ACCOUNT_FIELD].isdigit():
        raise MalformedArn(f"{context.invoked_function_arn!r} is not the ARN of a function")
    return fields[_ACCOUNT_FIELD]


def require_time(context: LambdaContext, milliseconds: int, operation: str) -> None:
    """Raises TransientError where less is left of the invocation than a message takes at worst."""
    if context.get_remaining_time_in_millis() < milliseconds:
        raise TransientError(operation, "too little time", "the invocation is about to end; the next one does it")


def is_last_try(record: SQSRecord) -> bool:
    """Whether the message goes to the dead-letter queue if it fails now."""
    return int(record.attributes.approximate_receive_count) >= int(os.environ["MAX_RECEIVE_COUNT"])


def count(**counts: int) -> None:
    """Add to metrics, each by its name."""
    for name, value in counts.items():
        metrics.add_metric(name, MetricUnit.Count, value)


def consume(
    event: Event,
    context: LambdaContext,
    work: Callable[[SQSRecord], None],
    *,
    is_fifo: bool = False,
    delays: Mapping[str, int] = _NO_DELAYS,
) -> PartialItemFailureResponse:
    """Hand each message to ``work``; those for which it raises are delivered again soon, and end in the dead letters.

    A batch in which every message failed is no error of the function, whose alarm is about the function itself; the
    messages speak through their queue. ``delays`` says after how many seconds messages come back, by their receipts,
    where ``work`` knows that.
    """

    def work_on(record: SQSRecord) -> None:
        logger.append_keys(**dict.fromkeys(_KEYS_OF_A_MESSAGE), message_id=record.message_id)
        work(record)

    # A fresh processor each time: it keeps the failures of its batch.
    processor = _GroupProcessor(skip_group_on_error=True) if is_fifo else BatchProcessor(event_type=EventType.SQS)
    processor.raise_on_entire_batch_failure = False
    processor.logger = logger  # type: ignore[assignment]  # Powertools' Logger has the one method that is used
    answer = process_partial_response(event=event, record_handler=work_on, processor=processor, context=context)
    failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    again = [
        FailedDelivery(
            record["receiptHandle"],
            int(record["attributes"]["ApproximateReceiveCount"]),
            delays.get(record["receiptHandle"]),
        )
        for record in event["Records"]
        if record["messageId"] in failed
    ]
    try:
        ConsumedQueue(client("sqs"), os.environ["CONSUMED_QUEUE_URL"]).deliver_again(again)
    except AwsError as error:
        logger.warning("failed messages come back later than they could", why=str(error))
    return answer


class _GroupProcessor(SqsFifoPartialProcessor):
    """Skips what waits behind a message that failed and comes again, and goes on behind one that was given up.

    What waits was delivered as often, so that it would be given up together with it, without ever having been tried.
    """

    def failure_handler(self, record: SQSRecord, exception: ExceptionInfo) -> FailureResponse:
        """Note that a message failed, and with it the rest of its group where it comes again."""
        if is_last_try(record):
            return BatchProcessor.failure_handler(self, record, exception)
        return super().failure_handler(record, exception)
