"""The sweeper: looks at all enrolled roles, and queues those that need something. It repairs nothing."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import assert_never

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.events.sweep import Sweep, SweepCounts, SweepRequest, begin_sweep, parse_sweep
from remediator.core.model.scan import UnreadableRole
from remediator.errors import MalformedRequest
from remediator.flows.sweep import Completed, Continued, Swept, sweep
from remediator.gateways.account import AccountScan
from remediator.gateways.history import HistoryTable
from remediator.gateways.iam import IamGateway
from remediator.gateways.kms import KmsGateway
from remediator.gateways.queue import SweepQueue, WorkQueue
from remediator.gateways.s3 import S3Gateway
from remediator.gateways.world import World
from remediator.handlers.consumer import (
    SCAN_CLIENT_CONFIG,
    Event,
    account_of,
    client,
    consume,
    count,
    function,
    logger,
    now,
    settings,
    sleep,
)


@cache
def _roles() -> IamGateway:
    return IamGateway(client("iam"))


def _world(context: LambdaContext) -> World:
    deployed = settings()
    keys = KmsGateway(lambda region: client("kms", region))
    return World(
        account=account_of(context),
        settings=deployed,
        clock=now,
        sleep=sleep,
        roles=_roles(),
        buckets=S3Gateway(lambda region: client("s3", region), keys),
        scan=AccountScan(client("iam", config=SCAN_CLIENT_CONFIG), deployed.enrollment_tag),
        history=HistoryTable(
            client("dynamodb"),
            os.environ["HISTORY_TABLE"],
            limit=deployed.write_limit,
            keep_days=deployed.history_days,
        ),
        work=WorkQueue(client("sqs"), os.environ["WORK_QUEUE_URL"]),
        sweeps=SweepQueue(client("sqs"), os.environ["SWEEP_QUEUE_URL"]),
    )


@function
def handle(event: Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Answer a batch of the sweep queue: all that ask for a sweep with one, and each unfinished sweep with its rest."""
    world = cache(lambda: _world(context))  # a configuration that cannot be read fails the messages
    count(SweepRequestsReceived=len(event.get("Records", ())))
    errors: dict[Sweep, Exception | None] = {}

    @cache
    def begun() -> Sweep:
        return _begin(event, world())

    def answer_to(asked: Sweep) -> Exception | None:
        logger.append_keys(sweep_id=asked.sweep_id)
        try:
            remaining = context.get_remaining_time_in_millis
            swept = sweep(asked, world(), remaining=remaining, on_unreadable=_log_unreadable)
        except Exception as error:  # noqa: BLE001 - every message that asked for this sweep fails with it
            return error
        _log(swept, asked)
        return None

    def work(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id, sweep_id=None)
        message = parse_sweep(record.body)
        asked = message if isinstance(message, Sweep) else begun()
        if asked not in errors:
            errors[asked] = answer_to(asked)
        error = errors[asked]
        if error is not None:
            raise error

    return consume(event, context, work)


def _begin(event: Event, world: World) -> Sweep:
    """The one sweep that all messages of the batch ask for, except those that stand for an unfinished one.

    It is named after the first of them, so that it keeps its name when the batch is delivered once more.
    """
    interval = timedelta(minutes=world.settings.sweep_minutes)
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
    return begin_sweep(asking.values(), sweep_id=next(iter(asking)), started=world.clock(), interval=interval)


def _log_unreadable(role: UnreadableRole, error: Exception | None) -> None:
    logger.warning("role could not be judged", role=role.name, cloud=role.cloud, why=role.why, exc_info=error)


def _log(swept: Swept, asked: Sweep) -> None:
    if swept.sweep.restarted and not asked.restarted:
        logger.warning("AWS refused the marker of an unfinished sweep, which began anew")
    counts = swept.sweep.counts
    match swept:
        case Completed():
            count(SweepsCompleted=1, **_metrics(counts))
            message = "sweep completed"
        case Continued():
            count(SweepsContinued=1)
            message = "sweep to be continued"
        case _ as never:
            assert_never(never)
    logger.info(
        message,
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
