"""The digester: hands alerts to people, the first of a storm one by one and the others as digests."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, assert_never

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
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyPersistenceLayerError
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.alerts.digest import DIGEST
from remediator.errors import AwsError, TransientError
from remediator.flows.announce import (
    Announced,
    AskedAgain,
    DigestTold,
    HeldBack,
    NothingHeld,
    ToldAlone,
    announce,
)
from remediator.gateways.digests import DigestQueue, DigestWindows
from remediator.gateways.people_topic import PeopleMessage, PeopleTopic
from remediator.gateways.queue import ConsumedQueue
from remediator.handlers.runtime import CLIENT_CONFIG, failed_deliveries
from remediator.settings import Settings, load_settings

ENOUGH_MILLISECONDS: Final = 12_000
"""What is left for a message that is begun: half a dozen calls for an alert, and the pages of a digest."""

_REMEMBERED_SECONDS: Final = 24 * 60 * 60

logger = Logger()
metrics = Metrics()
tracer = Tracer(patch_modules=("botocore",))


@cache
def _settings() -> Settings:
    return load_settings()


@cache
def _windows() -> DigestWindows:
    limit = _settings().digest
    return DigestWindows(
        boto3.client("dynamodb", config=CLIENT_CONFIG),
        os.environ["HISTORY_TABLE"],
        alone=limit.alone,
        minutes=limit.minutes,
    )


@cache
def _ends() -> DigestQueue:
    return DigestQueue(boto3.client("sqs", config=CLIENT_CONFIG), os.environ["CONSUMED_QUEUE_URL"])


@cache
def _topic() -> PeopleTopic:
    return PeopleTopic(boto3.client("sns", config=CLIENT_CONFIG), os.environ["PEOPLE_TOPIC_ARN"])


@cache
def _told() -> DynamoDBPersistenceLayer:
    """What was told, in the history table."""
    return DynamoDBPersistenceLayer(
        os.environ["HISTORY_TABLE"],
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value="DIGESTER",
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
    """Announce a batch of the digest queue; a record that fails is retried alone and ends in the dead-letter queue."""
    counts: Counter[str] = Counter()
    people = _ToldOnce(context, counts)

    def work(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id)
        if context.get_remaining_time_in_millis() < ENOUGH_MILLISECONDS:
            raise TransientError("announce", "too little time", "the invocation is about to end; the next one does it")
        announced = announce(
            record.body,
            sent_at=datetime.fromtimestamp(int(record.attributes.sent_timestamp) / 1000, UTC),
            now=datetime.now(UTC),
            windows=_windows(),
            ends=_ends(),
            people=people,
        )
        counts["AlertsHeld"] += isinstance(announced, HeldBack)
        _log(announced)

    processor = BatchProcessor(
        event_type=EventType.SQS,
        raise_on_entire_batch_failure=False,  # the reason is the router's
        logger=logger,  # type: ignore[arg-type]  # Powertools' Logger has the one method of logging.Logger that is used
    )
    answer = process_partial_response(event=event, record_handler=work, processor=processor, context=context)
    for name in ("AlertsTold", "AlertsHeld", "DigestsSent"):
        metrics.add_metric(name, MetricUnit.Count, counts[name])
    try:
        _consumed_queue().deliver_again(failed_deliveries(event, answer))
    except AwsError as error:
        logger.warning("failed messages come back later than they could", why=str(error))
    return answer


class _ToldOnce:
    """The topic for people, which is told the same once a day at most; ``counts`` says how much was told."""

    def __init__(self, context: LambdaContext, counts: Counter[str]) -> None:
        self._context = context
        self._counts = counts

    def tell(self, message: PeopleMessage, *, told_as: str) -> None:
        """Publish a message, unless one was published under that name within a day."""
        published = False

        def publish(*, told_as: str) -> None:  # noqa: ARG001 - Powertools takes the key of the record from it
            nonlocal published
            _topic().publish(message)
            published = True

        once = idempotent_function(
            publish,
            data_keyword_argument="told_as",
            persistence_store=_told(),
            # The context says when this invocation ends, after which another one may tell what this one has begun.
            config=IdempotencyConfig(
                expires_after_seconds=_REMEMBERED_SECONDS, hash_function="sha256", lambda_context=self._context
            ),
            key_prefix="told",
        )
        try:
            once(told_as=told_as)
        except IdempotencyPersistenceLayerError as error:
            if not published:
                raise
            # It is done with, and would be told twice if its message were delivered again.
            logger.warning("that the message was told could not be noted", why=str(error))
        if published:
            self._counts["DigestsSent" if message.attributes["outcome"] == DIGEST else "AlertsTold"] += 1
        else:
            logger.info("told already", told_as=told_as)


def _log(announced: Announced) -> None:
    match announced:
        case ToldAlone(alert_id):
            logger.info("told alone", alert=alert_id)
        case HeldBack(alert_id, window):
            logger.info("held for a digest", alert=alert_id, window=window.key)
        case DigestTold(window, alerts):
            logger.info("digest told", window=window.key, alerts=alerts)
        case AskedAgain(window):
            logger.info("the window is not over yet", window=window.key)
        case NothingHeld(window):
            logger.info("nothing waits for the digest", window=window.key)
        case _ as never:
            assert_never(never)
