"""The sweeper: looks at all enrolled roles, and queues those that need something. It repairs nothing."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, assert_never

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.events.sweep import Sweep, SweepCounts, SweepRequest, begin_sweep, parse_sweep
from remediator.core.model.scan import UnreadableRole
from remediator.errors import AwsError, MalformedRequest
from remediator.flows.sweep import Completed, Continued, Swept, sweep
from remediator.gateways.account import AccountScan
from remediator.gateways.history import HistoryTable
from remediator.gateways.iam import IamGateway
from remediator.gateways.kms import KmsGateway
from remediator.gateways.queue import ConsumedQueue, SweepQueue, WorkQueue
from remediator.gateways.s3 import S3Gateway
from remediator.handlers.deployed_history import history_of
from remediator.handlers.runtime import (
    CLIENT_CONFIG,
    SCAN_CLIENT_CONFIG,
    account_of,
    failed_deliveries,
    own_roles,
)
from remediator.settings import Settings, load_settings

logger = Logger()
metrics = Metrics()
tracer = Tracer(patch_modules=("botocore",))


@cache
def _settings() -> Settings:
    return load_settings()


@cache
def _scan() -> AccountScan:
    return AccountScan(boto3.client("iam", config=SCAN_CLIENT_CONFIG), _settings().enrollment_tag)


@cache
def _policies() -> IamGateway:
    return IamGateway(boto3.client("iam", config=CLIENT_CONFIG))


@cache
def _buckets() -> S3Gateway:
    return S3Gateway(
        lambda region: boto3.client("s3", region_name=region, config=CLIENT_CONFIG),
        KmsGateway(lambda region: boto3.client("kms", region_name=region, config=CLIENT_CONFIG)),
    )


@cache
def _history() -> HistoryTable:
    return history_of(_settings())


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
    """Answer a batch of the sweep queue: all that ask for a sweep with one, and each unfinished sweep with its rest."""
    account = account_of(context.invoked_function_arn)
    now = datetime.now(UTC)
    metrics.add_metric("SweepRequestsReceived", MetricUnit.Count, len(event.get("Records", ())))
    errors: dict[Sweep, Exception | None] = {}

    @cache
    def begun() -> Sweep:
        return _begin(event, now)

    def answer_to(asked: Sweep) -> Exception | None:
        logger.append_keys(sweep_id=asked.sweep_id)
        try:
            swept = sweep(
                asked,
                account=account,
                scan=_scan(),
                policies=_policies(),
                buckets=_buckets(),
                queue=_queue(),
                sweeps=_sweeps(),
                settings=_settings(),
                own_roles=own_roles(),
                unsettled=_history().unsettled_roles,
                now=now,
                remaining=context.get_remaining_time_in_millis,
                on_unreadable=_log_unreadable,
            )
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

    processor = BatchProcessor(
        event_type=EventType.SQS,
        raise_on_entire_batch_failure=False,  # the reason is the router's
        logger=logger,  # type: ignore[arg-type]  # Powertools' Logger has the one method of logging.Logger that is used
    )
    answer = process_partial_response(event=event, record_handler=work, processor=processor, context=context)
    try:
        _consumed_queue().deliver_again(failed_deliveries(event, answer))
    except AwsError as error:
        logger.warning("failed messages come back later than they could", why=str(error))
    return answer


def _begin(event: dict[str, Any], now: datetime) -> Sweep:
    """The one sweep that all messages of the batch ask for, except those that stand for an unfinished one.

    It is named after the first of them, so that it keeps its name when the batch is delivered once more.
    """
    interval = timedelta(minutes=_settings().sweep_minutes)
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
    return begin_sweep(asking.values(), sweep_id=next(iter(asking)), started=now, interval=interval)


def _log_unreadable(role: UnreadableRole, error: Exception | None) -> None:
    logger.warning("role could not be judged", role=role.name, cloud=role.cloud, why=role.why, exc_info=error)


def _log(swept: Swept, asked: Sweep) -> None:
    if swept.sweep.restarted and not asked.restarted:
        logger.warning("AWS refused the marker of an unfinished sweep, which began anew")
    counts = swept.sweep.counts
    match swept:
        case Completed():
            metrics.add_metric("SweepsCompleted", MetricUnit.Count, 1)
            for name, count in _metrics(counts).items():
                metrics.add_metric(name, MetricUnit.Count, count)
            message = "sweep completed"
        case Continued():
            metrics.add_metric("SweepsContinued", MetricUnit.Count, 1)
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
