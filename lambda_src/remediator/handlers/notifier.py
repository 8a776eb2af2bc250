"""The notifier: posts to Slack what people are told. It writes nothing but that it has."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.alerts.slack_message import slack_message
from remediator.core.alerts.topic_messages import published_layout
from remediator.errors import AwsError, TransientError, WebhookThrottled
from remediator.flows.post import PostedAs, post
from remediator.gateways.queue import ConsumedQueue
from remediator.gateways.secret import WebhookSecret
from remediator.gateways.webhook import Webhook
from remediator.handlers.runtime import CLIENT_CONFIG, failed_deliveries

ENOUGH_MILLISECONDS = 40_000
"""What is left for a message that is begun: at worst both its forms are posted to two URLs, and each answer is late."""

PACE_SECONDS = 2
"""Between two posts of an invocation: two run at the same time at most, and Slack takes one message a second.

https://docs.slack.dev/apis/web-api/rate-limits#incoming-webhooks
"""

REMEMBERED_SECONDS = 24 * 60 * 60
"""How long what was posted is not posted again; no queue delivers a message for the second time later than that."""

logger = Logger()
metrics = Metrics()
tracer = Tracer(patch_modules=("botocore",))


@cache
def _webhook() -> Webhook:
    return Webhook()


@cache
def _secret() -> WebhookSecret:
    return WebhookSecret(
        boto3.client("secretsmanager", config=CLIENT_CONFIG), os.environ["WEBHOOK_SECRET"], clock=time.monotonic
    )


@cache
def _closed() -> _Closed:
    return _Closed(clock=time.monotonic)


@cache
def _posted() -> DynamoDBPersistenceLayer:
    """What was posted, in the history table."""
    return DynamoDBPersistenceLayer(
        os.environ["HISTORY_TABLE"],
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value="NOTIFIER",
        expiry_attr="expires",
        boto3_client=boto3.client("dynamodb", config=CLIENT_CONFIG),
    )


@cache
def _consumed_queue() -> ConsumedQueue:
    return ConsumedQueue(boto3.client("sqs", config=CLIENT_CONFIG), os.environ["CONSUMED_QUEUE_URL"])


@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Post a batch of the queue to Slack, each message once; one that fails is retried and ends in the dead letters.

    After Slack has said that it takes no more, nothing else is posted, and all of it comes back, one after the other,
    when Slack takes messages again.
    """
    counts: Counter[str] = Counter()
    put_off: dict[str, int] = {}

    def work(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id)
        if not _closed().seconds_left and context.get_remaining_time_in_millis() < ENOUGH_MILLISECONDS:
            raise TransientError("post", "too little time", "the invocation is about to end; the next one does it")
        try:
            posted = _post_once(record.body, context, is_first=not counts["SlackPosted"])
        except IdempotencyAlreadyInProgressError:
            raise  # another invocation is about to post it; the next delivery finds that it has, or does it
        except Exception:
            left = _closed().seconds_left
            if left:
                # One after the other, so that they do not all meet the next refusal.
                put_off[record.receipt_handle] = left + PACE_SECONDS * len(put_off)
            counts["SlackThrottled" if left else "SlackFailed"] += 1
            raise
        counts["SlackPosted"] += posted is not None
        if posted is None:
            logger.info("posted already")
        else:
            logger.info("posted", form=posted)

    processor = BatchProcessor(
        event_type=EventType.SQS,
        raise_on_entire_batch_failure=False,  # the reason is the router's
        logger=logger,  # type: ignore[arg-type]  # Powertools' Logger has the one method of logging.Logger that is used
    )
    answer = process_partial_response(event=event, record_handler=work, processor=processor, context=context)
    for name in ("SlackPosted", "SlackThrottled", "SlackFailed"):
        metrics.add_metric(name, MetricUnit.Count, counts[name])
    failed = (replace(delivery, after=put_off.get(delivery.receipt)) for delivery in failed_deliveries(event, answer))
    try:
        _consumed_queue().deliver_again(failed)
    except AwsError as error:
        logger.warning("failed messages come back later than they could", why=str(error))
    return answer


class _Closed:
    """That Slack has said that it takes no more messages for some time, as long as that lasts; ``clock`` in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = clock()

    def close(self, seconds: int) -> None:
        """Nothing is to be posted for that long."""
        self._until = self._clock() + seconds

    @property
    def seconds_left(self) -> int:
        """For how many seconds more; 0 where Slack takes messages."""
        return max(0, math.ceil(self._until - self._clock()))


def _post_once(body: str, context: LambdaContext, *, is_first: bool) -> PostedAs | None:
    """Post what a message says, unless it was posted before; the form in which it was, or None.

    Nothing is posted before Slack takes messages again. All but the first of an invocation wait a little.
    """
    message = slack_message(published_layout(body))
    if left := _closed().seconds_left:
        raise WebhookThrottled(left)
    posted: list[PostedAs] = []

    def post_it(*, body: str) -> None:  # noqa: ARG001 - Powertools takes the key of the record from it
        if not is_first:
            time.sleep(PACE_SECONDS)
        try:
            posted.append(post(message, webhook=_webhook(), secret=_secret()))
        except WebhookThrottled as error:
            _closed().close(error.seconds)
            raise

    once = idempotent_function(
        post_it,
        data_keyword_argument="body",
        persistence_store=_posted(),
        # The context says when this invocation ends, after which another one may post what this one has begun.
        config=IdempotencyConfig(
            expires_after_seconds=REMEMBERED_SECONDS, hash_function="sha256", lambda_context=context
        ),
        key_prefix="posted",
    )
    try:
        once(body=body)
    except IdempotencyPersistenceLayerError as error:
        if not posted:
            raise
        # It is done with, and would be posted twice if it were delivered again.
        logger.warning("that the message was posted could not be noted", why=str(error))
    return posted[0] if posted else None
