"""What all functions share: how they consume the messages of a queue, their log, their clock and their clients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BasePartialBatchProcessor,
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from remediator import __version__
from remediator.errors import AwsError, MalformedArn, TransientError
from remediator.gateways.queue import ConsumedQueue, FailedDelivery
from remediator.settings import Settings, load_settings

Event = dict[str, Any]
Handler = Callable[[Event, Any], PartialItemFailureResponse]

CLIENT_CONFIG = Config(
    # Standard mode backs off with jitter; what is still throttled after that goes back to the queue.
    # https://docs.aws.amazon.com/boto3/latest/guide/retries.html
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=5,
    user_agent_extra=f"anyscale-role-remediator/{__version__}",
)

WRITE_CLIENT_CONFIG = CLIENT_CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""For documents of IAM and S3: what the SDK sent again would not have been read again (``flows.write``)."""

SCAN_CLIENT_CONFIG = CLIENT_CONFIG.merge(Config(read_timeout=30))
"""For calls whose answer holds a thousand roles, which IAM takes its time for."""

_ACCOUNT_FIELD = 4

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


def count(**counts: int) -> None:
    """Add to metrics, each by its name."""
    for name, value in counts.items():
        metrics.add_metric(name, MetricUnit.Count, value)


def consume(
    event: Event,
    context: LambdaContext,
    work: Callable[[SQSRecord], None],
    *,
    processor: BasePartialBatchProcessor | None = None,
    delays: dict[str, int] | None = None,
) -> PartialItemFailureResponse:
    """Hand each message to ``work``, and have those for which it raises delivered again soon.

    A batch in which every message failed is no error of the function, whose alarm is about the function itself; the
    messages speak through their queue. ``processor`` is one for a FIFO queue, ``delays`` says after how many seconds
    messages come back, by their receipts, where that is known; both are made anew for each batch.
    """
    made = processor or BatchProcessor(
        event_type=EventType.SQS,
        raise_on_entire_batch_failure=False,
        logger=logger,  # type: ignore[arg-type]  # Powertools' Logger has the one method of logging.Logger that is used
    )
    answer = process_partial_response(event=event, record_handler=work, processor=made, context=context)
    known = delays or {}
    failed = (replace(each, after=known.get(each.receipt)) for each in _failed_deliveries(event, answer))
    try:
        ConsumedQueue(client("sqs"), os.environ["CONSUMED_QUEUE_URL"]).deliver_again(failed)
    except AwsError as error:
        logger.warning("failed messages come back later than they could", why=str(error))
    return answer


def _failed_deliveries(event: Event, answer: PartialItemFailureResponse) -> tuple[FailedDelivery, ...]:
    """The messages of a batch that failed or were skipped, by the answer that Lambda is given."""
    failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    return tuple(
        FailedDelivery(record["receiptHandle"], int(record["attributes"]["ApproximateReceiveCount"]))
        for record in event["Records"]
        if record["messageId"] in failed
    )
