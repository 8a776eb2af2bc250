"""The router: reads events and queues a request for each role that asks for us. It never writes IAM."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.errors import AwsError, MalformedEvent
from remediator.flows.dispatch import Dropped, Queued, dispatch
from remediator.gateways.iam import IamGateway
from remediator.gateways.queue import ConsumedQueue, WorkQueue
from remediator.handlers.runtime import CLIENT_CONFIG, account_of, failed_deliveries
from remediator.settings import Settings, load_settings

logger = Logger()
metrics = Metrics()
tracer = Tracer(patch_modules=("botocore",))


@cache
def _settings() -> Settings:
    return load_settings()


@cache
def _roles() -> IamGateway:
    return IamGateway(boto3.client("iam", config=CLIENT_CONFIG))


@cache
def _queue() -> WorkQueue:
    return WorkQueue(boto3.client("sqs", config=CLIENT_CONFIG), os.environ["WORK_QUEUE_URL"])


@cache
def _consumed_queue() -> ConsumedQueue:
    return ConsumedQueue(boto3.client("sqs", config=CLIENT_CONFIG), os.environ["CONSUMED_QUEUE_URL"])


@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handle(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Dispatch a batch of the intake queue; a record that fails is retried alone and ends in the dead-letter queue."""
    account = account_of(context.invoked_function_arn)
    metrics.add_metric("EventsReceived", MetricUnit.Count, len(event.get("Records", ())))

    def route(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id)
        try:
            envelope = json.loads(record.body)
        except (ValueError, RecursionError) as error:
            raise MalformedEvent(f"the message is not JSON: {error}") from error
        outcome = dispatch(
            envelope,
            account=account,
            roles=_roles(),
            queue=_queue(),
            settings=_settings(),
            now=datetime.now(UTC),
        )
        match outcome:
            case Queued(request=request):
                metrics.add_metric("EventsQueued", MetricUnit.Count, 1)
                logger.info("queued", role=request.role_name, event_id=request.cause.event_id, call=request.cause.call)
            case Dropped(why=why, role_name=role_name):
                metrics.add_metric("EventsIgnored", MetricUnit.Count, 1)
                logger.info("ignored", role=role_name, why=why)

    # A fresh processor each time: it keeps the failures of its batch. A batch in which every record failed is no
    # error of the function, whose alarm is about the function itself; the records speak through their queue.
    processor = BatchProcessor(
        event_type=EventType.SQS,
        raise_on_entire_batch_failure=False,
        logger=logger,  # type: ignore[arg-type]  # Powertools' Logger has the one method of logging.Logger that is used
    )
    answer = process_partial_response(event=event, record_handler=route, processor=processor, context=context)
    try:
        _consumed_queue().deliver_again(failed_deliveries(event, answer))
    except AwsError as error:
        logger.warning("failed messages come back later than they could", why=str(error))
    return answer
