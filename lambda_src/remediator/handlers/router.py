"""The router: reads events, and queues a request for each role that asks for us, or for a sweep. It writes nothing."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import cache
from typing import Any, assert_never

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.errors import AwsError, MalformedEvent, TransientError
from remediator.flows.dispatch import Dispatched, Dropped, Queued, SweepQueued, dispatch
from remediator.gateways.iam import IamGateway
from remediator.gateways.queue import ConsumedQueue, SweepQueue, WorkQueue
from remediator.handlers.runtime import CLIENT_CONFIG, account_of, failed_deliveries, own_roles
from remediator.settings import Settings, load_settings

ENOUGH_MILLISECONDS = 12_000
"""What is left for an event that is begun: one about a managed policy reads dozens of roles, and queues them."""

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
def _sweeps() -> SweepQueue:
    return SweepQueue(boto3.client("sqs", config=CLIENT_CONFIG), os.environ["SWEEP_QUEUE_URL"])


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
        logger.append_keys(message_id=record.message_id, event_id=None, call=None)
        if context.get_remaining_time_in_millis() < ENOUGH_MILLISECONDS:
            raise TransientError("dispatch", "too little time", "the invocation is about to end; the next one does it")
        try:
            envelope = json.loads(record.body)
        except (ValueError, RecursionError) as error:
            raise MalformedEvent(f"the message is not JSON: {error}") from error
        logger.append_keys(event_id=_named(envelope, "eventID"), call=_named(envelope, "eventName"))
        dispatched = dispatch(
            envelope,
            account=account,
            roles=_roles(),
            queue=_queue(),
            sweeps=_sweeps(),
            settings=_settings(),
            own_role_arn=os.environ["REMEDIATOR_ROLE_ARN"],
            own_roles=own_roles(),
            now=datetime.now(UTC),
        )
        metrics.add_metric(_metric(dispatched), MetricUnit.Count, 1)
        for each in dispatched:
            _log(each)

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


def _named(envelope: object, key: str) -> str | None:
    """What an event says of itself, for the log: read before anybody knows whether it is one."""
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    value = detail.get(key) if isinstance(detail, dict) else None
    return value if isinstance(value, str) else None


def _metric(dispatched: tuple[Dispatched, ...]) -> str:
    """What the event counts as: one that asked for a sweep, for at least one role, or for nothing."""
    if any(isinstance(each, SweepQueued) for each in dispatched):
        return "SweepsRequested"
    return "EventsQueued" if any(isinstance(each, Queued) for each in dispatched) else "EventsIgnored"


def _log(dispatched: Dispatched) -> None:
    match dispatched:
        case Queued(request=request):
            logger.info("queued", role=request.role_name, group=request.group)
        case SweepQueued(request=sweep):
            logger.info("sweep requested", clouds="all" if sweep.clouds is None else sweep.clouds)
        case Dropped(why=why, role_name=role_name):
            logger.info("ignored", role=role_name, why=why)
        case _ as never:
            assert_never(never)
