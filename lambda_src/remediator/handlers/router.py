"""The router: reads events, and queues a request for each enrolled role, or for a sweep. It writes nothing."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Final, assert_never

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.events.request import ReconcileRequest
from remediator.core.events.sweep import SweepRequest
from remediator.errors import MalformedEvent
from remediator.flows.dispatch import Dispatched, Dropped, dispatch
from remediator.gateways.iam import IamGateway
from remediator.gateways.queue import SweepQueue, WorkQueue
from remediator.gateways.world import World
from remediator.handlers import consumer

ENOUGH_MILLISECONDS: Final = 12_000
"""What is left for an event that is begun: one about a managed policy reads dozens of roles, and queues them."""


@cache
def _world(account: str) -> World:
    return consumer.make_world(
        account,
        own_role_arn=os.environ["REMEDIATOR_ROLE_ARN"],
        roles=IamGateway(consumer.client("iam")),
        work=WorkQueue(consumer.client("sqs"), os.environ["WORK_QUEUE_URL"]),
        sweeps=SweepQueue(consumer.client("sqs"), os.environ["SWEEP_QUEUE_URL"]),
    )


@consumer.function
def handle(event: consumer.Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Dispatch a batch of the intake queue; a message that fails is retried alone."""
    account = consumer.account_of(context)
    consumer.count(EventsReceived=len(event.get("Records", ())))

    def work(record: SQSRecord) -> None:
        consumer.require_time(context, ENOUGH_MILLISECONDS, "dispatch")
        try:
            envelope = json.loads(record.body)
        except (ValueError, RecursionError) as error:
            raise MalformedEvent(f"the message is not JSON: {error}") from error
        consumer.logger.append_keys(event_id=_named(envelope, "eventID"), call=_named(envelope, "eventName"))
        dispatched = dispatch(envelope, _world(account))
        consumer.count(**{_metric(dispatched): 1})
        for each in dispatched:
            _log(each)

    return consumer.consume(event, context, work)


def _named(envelope: object, key: str) -> str | None:
    """What an event says of itself, for the log: read before it is known whether it is one."""
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    value = detail.get(key) if isinstance(detail, dict) else None
    return value if isinstance(value, str) else None


def _metric(dispatched: tuple[Dispatched, ...]) -> str:
    """What the event counts as: one that asked for a sweep, for at least one role, or for nothing."""
    if any(isinstance(each, SweepRequest) for each in dispatched):
        return "SweepsRequested"
    return "EventsQueued" if any(isinstance(each, ReconcileRequest) for each in dispatched) else "EventsIgnored"


def _log(dispatched: Dispatched) -> None:
    match dispatched:
        case ReconcileRequest():
            consumer.logger.info("queued", role=dispatched.role_name, group=dispatched.group)
        case SweepRequest(clouds=clouds):
            consumer.logger.info("sweep requested", clouds="all" if clouds is None else clouds)
        case Dropped(why=why, role_name=role_name):
            consumer.logger.info("ignored", role=role_name, why=why)
        case _ as never:
            assert_never(never)
