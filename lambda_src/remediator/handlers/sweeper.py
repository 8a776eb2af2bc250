"""The sweeper: checks all enrolled roles, and queues those that need something. It repairs nothing."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.events.sweep import Sweep, SweepCounts, SweepRequest, begin_sweep, parse_sweep
from remediator.core.model.scan import UnreadableRole
from remediator.errors import MalformedRequest
from remediator.flows.sweep import Swept, sweep
from remediator.gateways.account import AccountScan
from remediator.gateways.iam import IamGateway
from remediator.gateways.queue import SweepQueue, WorkQueue
from remediator.gateways.world import World
from remediator.handlers import consumer, deployed


@cache
def _world(account: str) -> World:
    return consumer.make_world(
        account,
        roles=IamGateway(consumer.client("iam")),
        buckets=deployed.buckets(is_written=False),
        scan=AccountScan(
            consumer.client("iam", config=consumer.SCAN_CLIENT_CONFIG), consumer.settings().enrollment_tag
        ),
        history=deployed.history(),
        work=WorkQueue(consumer.client("sqs"), os.environ["WORK_QUEUE_URL"]),
        sweeps=SweepQueue(consumer.client("sqs"), os.environ["SWEEP_QUEUE_URL"]),
    )


@consumer.function
def handle(event: consumer.Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Answer a batch of the sweep queue: all that ask for a sweep with one, and each unfinished sweep with its rest."""
    account = consumer.account_of(context)
    consumer.count(SweepRequestsReceived=len(event.get("Records", ())))

    @cache
    def begun() -> Sweep:
        return _begin(event, _world(account))

    @cache
    def error_of(asked: Sweep) -> Exception | None:
        """Sweep once; every message that asked for this sweep fails with it."""
        consumer.logger.append_keys(sweep_id=asked.sweep_id)
        try:
            remaining = context.get_remaining_time_in_millis
            _log(sweep(asked, _world(account), remaining=remaining, on_unreadable=_log_unreadable), asked)
        except Exception as error:  # noqa: BLE001 - raised by each of its messages
            return error
        return None

    def work(record: SQSRecord) -> None:
        message = parse_sweep(record.body)
        error = error_of(message if isinstance(message, Sweep) else begun())
        if error is not None:
            raise error

    return consumer.consume(event, context, work)


def _begin(event: consumer.Event, world: World) -> Sweep:
    """The one sweep that all messages of the batch ask for, except those that stand for an unfinished one.

    It is named after the first of them, so that it keeps its name when the batch is delivered once more.
    """
    asking: dict[str, SweepRequest] = {}
    for record in event["Records"]:
        try:
            message = parse_sweep(record["body"])
        except MalformedRequest:
            continue  # it fails in its own turn, where it is reported
        if isinstance(message, SweepRequest):
            sent = record["attributes"].get("SentTimestamp")
            known = message.time or (None if sent is None else datetime.fromtimestamp(int(sent) / 1000, UTC))
            asking[record["messageId"]] = replace(message, time=known)
    interval = timedelta(minutes=world.settings.sweep_minutes)
    return begin_sweep(asking.values(), sweep_id=next(iter(asking)), started=world.clock(), interval=interval)


def _log_unreadable(role: UnreadableRole) -> None:
    consumer.logger.warning(
        "role could not be evaluated", role=role.name, cloud=role.cloud, why=role.why, exc_info=role.error
    )


def _log(swept: Swept, asked: Sweep) -> None:
    if swept.sweep.restarted and not asked.restarted:
        consumer.logger.warning("AWS refused the marker of an unfinished sweep, which began again")
    counts = swept.sweep.counts
    if swept.is_complete:
        consumer.count(SweepsCompleted=1, **_metrics(counts))
    else:
        consumer.count(SweepsContinued=1)
    consumer.logger.info(
        "sweep completed" if swept.is_complete else "sweep to be continued",
        started=swept.sweep.started.isoformat(),
        scheduled=asked.scheduled,
        thorough=asked.thorough,
        calls=[each.cause.call for each in asked.causes],
        **asdict(counts),
    )


def _metrics(counts: SweepCounts) -> dict[str, int]:
    return {
        "SweepRolesScanned": counts.scanned,
        "SweepRolesEnrolled": counts.enrolled,
        "SweepRolesClean": counts.clean,
        "SweepRolesDrifted": counts.drifted,
        "SweepRolesRefused": counts.refused,
        "SweepRolesUndecided": counts.undecided,
        "SweepRolesUnreadable": counts.unreadable,
        "SweepRolesQueued": counts.queued,
        "SweepRolesUnsettled": counts.unsettled,
        "DriftMissedByEvents": counts.missed,
    }
