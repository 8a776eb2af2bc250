"""The reconciler: repairs the roles named in the work queue and notifies people. The only function that may repair."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import assert_never

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, SqsFifoPartialProcessor
from aws_lambda_powertools.utilities.batch.base import FailureResponse
from aws_lambda_powertools.utilities.batch.exceptions import ExceptionInfo
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.alerts.alert_layout import layout_of
from remediator.core.alerts.decide import decide_telling
from remediator.core.alerts.layout import email_text
from remediator.core.events.event import Cause
from remediator.core.events.request import parse_request
from remediator.core.events.sweep import is_sweep, seconds_since_event
from remediator.core.history.pause import Pause, parse_pause
from remediator.core.repair.outcome import (
    Applied,
    NotApplied,
    Outcome,
    OutcomeKind,
    Unconfirmed,
    WriteResult,
    after_the_last_try,
    gave_up,
)
from remediator.errors import AwsError, MalformedRequest, Misrouted, RemediatorError, TransientError
from remediator.flows.deliver import deliver, notification_of
from remediator.flows.reconcile import reconcile
from remediator.gateways.history import HistoryTable
from remediator.gateways.iam import IamGateway
from remediator.gateways.kms import KmsGateway
from remediator.gateways.parameter import PauseParameter
from remediator.gateways.queue import WorkQueue
from remediator.gateways.s3 import S3Gateway
from remediator.gateways.topic import PUBLISH, AlertsTopic
from remediator.gateways.world import World
from remediator.handlers.consumer import (
    WRITE_CLIENT_CONFIG,
    Event,
    account_of,
    client,
    consume,
    count,
    function,
    logger,
    metrics,
    now,
    require_time,
    settings,
    sleep,
)

ENOUGH_MILLISECONDS = 45_000
"""What is left for a role that is begun: at most a hundred calls, for a role of ten policies and a cloud of five
buckets with keys where everything has to be written, a few of them slow, and waiting until each write is seen.

Most roles need a dozen calls and a second. One that AWS keeps waiting longer is cut off by the function's timeout,
which is a multiple of this, and is looked at again when the message's visibility timeout ends.
"""


@cache
def _roles() -> IamGateway:
    return IamGateway(client("iam"), lambda: client("iam", config=WRITE_CLIENT_CONFIG))


@cache
def _pause_parameter() -> PauseParameter:
    return PauseParameter(client("ssm"), os.environ["PAUSE_PARAMETER"], clock=time.monotonic)


def _world(context: LambdaContext) -> World:
    deployed = settings()
    keys = KmsGateway(lambda region: client("kms", region))
    return World(
        account=account_of(context),
        settings=deployed,
        clock=now,
        sleep=sleep,
        own_role_arn=os.environ["REMEDIATOR_ROLE_ARN"],
        on_unrecorded=_log_unrecorded,
        roles=_roles(),
        buckets=S3Gateway(
            lambda region: client("s3", region), keys, lambda region: client("s3", region, WRITE_CLIENT_CONFIG)
        ),
        history=HistoryTable(
            client("dynamodb"),
            os.environ["HISTORY_TABLE"],
            limit=deployed.write_limit,
            keep_days=deployed.history_days,
        ),
        work=WorkQueue(client("sqs"), os.environ["CONSUMED_QUEUE_URL"]),
        alerts=AlertsTopic(client("sns"), os.environ["ALERTS_TOPIC_ARN"]),
    )


@function
def handle(event: Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Reconcile a batch of the work queue: each role once, in order; a failing role holds up only its own group.

    A group is one role, or all roles whose repair writes the policy of a common bucket.
    """
    made = cache(lambda: _world(context))  # a configuration that cannot be read fails the messages
    # All messages of the batch were sent before the role is read, so that one reconcile answers all of its causes.
    causes = _causes_by_role(event)
    count(RolesReceived=len(causes))
    done: set[str] = set()

    def work(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id, role=None, event_id=None)
        request = parse_request(record.body)
        logger.append_keys(role=request.role_name, event_id=request.cause.event_id)
        world = made()
        if request.account != world.account:
            raise RemediatorError(f"the request is for account {request.account}, and this is account {world.account}")
        if request.role_name in done:
            logger.info("reconciled already with an earlier message of this batch")
            return
        try:
            require_time(context, ENOUGH_MILLISECONDS, "reconcile")
            role_causes = causes[request.role_name]
            outcome = reconcile(request.role_name, role_causes, replace(world, paused=_paused()), group=request.bucket)
        except Misrouted as error:
            # Tags or configuration have changed since it was queued. Its cause goes with it, and so does its turn.
            world.work.send(replace(request, bucket=error.bucket))
            logger.info("queued again in another group", why=str(error))
            return
        except Exception as error:
            if _is_last_try(record):
                _tell(gave_up(request, _in_words(error)), world)
            raise
        retried = outcome.to_be_retried
        _tell(after_the_last_try(outcome) if retried and _is_last_try(record) else outcome, world)
        if retried:
            raise TransientError("repair", "to be retried", "what could be done was told, the rest is tried again")
        done.add(request.role_name)

    processor = _GroupProcessor(
        skip_group_on_error=True,
        logger=logger,  # type: ignore[arg-type]  # Powertools' Logger has the one method of logging.Logger that is used
    )
    processor.raise_on_entire_batch_failure = False  # the constructor does not take it
    return consume(event, context, work, processor=processor)


class _GroupProcessor(SqsFifoPartialProcessor):
    """Skips what waits behind a message that failed and comes again, and goes on behind one that was given up.

    What waits was delivered as often, so that it would be given up together with it, without ever having been tried.
    """

    def failure_handler(self, record: SQSRecord, exception: ExceptionInfo) -> FailureResponse:
        """Note that a message failed, and with it the rest of its group where it comes again."""
        if _is_last_try(record):
            return BatchProcessor.failure_handler(self, record, exception)
        return super().failure_handler(record, exception)


def _in_words(error: Exception) -> str:
    """Why a try failed; what was not foreseen may quote anything, and is told by its kind alone."""
    if isinstance(error, RemediatorError):
        return str(error)
    return f"{type(error).__name__}, which the remediator did not expect: its log has the details."


def _is_last_try(record: SQSRecord) -> bool:
    """Whether the message goes to the dead-letter queue if it fails now."""
    return int(record.attributes.approximate_receive_count) >= int(os.environ["MAX_RECEIVE_COUNT"])


def _causes_by_role(event: Event) -> dict[str, tuple[Cause, ...]]:
    causes: dict[str, tuple[Cause, ...]] = {}
    for record in event.get("Records", ()):
        try:
            request = parse_request(record["body"])
        except MalformedRequest:
            continue  # it fails in its own turn, where it is reported
        causes[request.role_name] = (*causes.get(request.role_name, ()), request.cause)
    return causes


def _paused() -> Pause:
    """What must not be written now; everything, where that cannot be found out."""
    try:
        return parse_pause(_pause_parameter().read()).under(settings())
    except TransientError:
        raise  # the next try may know
    except AwsError as error:
        logger.exception("whether writes are paused cannot be read, so that nothing is written", why=str(error))
        return Pause(everything=True, why=f"Nothing is written, because whether writes are paused is unknown: {error}")


def _log_unrecorded(change_id: str, error: AwsError) -> None:
    logger.warning("what came of a change is recorded at the next look", change_id=change_id, why=str(error))


def _tell(outcome: Outcome, world: World) -> None:
    _log(outcome, world.clock())
    try:
        telling = deliver(outcome, world)
    except AwsError as error:
        if error.operation != PUBLISH:
            logger.warning("what was told could not be remembered, and may be told once more", why=str(error))
            raise
        # What was written is told with the next look, since its changes are still open; anything else, if it stays.
        count(AlertsLost=1)
        logger.exception("the alert could not be published", why=str(error), alert=_text_of(outcome, world))
        raise
    logger.info("told", news=telling.news, incident=telling.incident_id)


def _text_of(outcome: Outcome, world: World) -> str:
    notification = notification_of(outcome, decide_telling(outcome, world.clock()), world.settings)
    return "" if notification is None else email_text(layout_of(notification))


def _log(outcome: Outcome, now: datetime) -> None:
    count(**{"Reconciled": 1, _METRICS[outcome.kind]: 1, "Writes": sum(map(_counts_as_write, outcome.results))})
    if outcome.kind is OutcomeKind.REPAIRED:
        # One value for each repair, so that their average is the share of the repairs that no event has asked for.
        missed = all(map(is_sweep, outcome.causes))
        count(RepairsMissedByEvents=int(missed))
        if (waited := seconds_since_event(outcome.causes, now)) is not None:
            metrics.add_metric("SecondsToRepair", MetricUnit.Seconds, waited)
    logger.info(
        outcome.kind,
        role_arn=outcome.role_arn,
        cloud=outcome.cloud,
        why=outcome.why,
        own_event=outcome.own,
        findings=[{"code": finding.code, "subject": finding.subject} for finding in outcome.findings],
        applied=[write.document.kind for write in outcome.applied],
        changes=[result.change_id for result in outcome.results if result.change_id],
        settled=[change.change_id for change in outcome.settled],
        hold=outcome.hold,
        actors=[cause.actor.arn for cause in outcome.causes],
        calls=[cause.call for cause in outcome.causes],
    )


def _counts_as_write(result: WriteResult) -> bool:
    """Whether the result counts towards the limit of writes: it was written, or may have been."""
    match result:
        case Applied() | Unconfirmed():
            return True
        case NotApplied(is_lost=is_lost):
            return is_lost
        case _ as never:
            assert_never(never)


_METRICS = {
    OutcomeKind.NOT_ENROLLED: "RolesNotEnrolled",
    OutcomeKind.OFF: "RolesOff",
    OutcomeKind.CLEAN: "RolesClean",
    OutcomeKind.REFUSED: "RolesRefused",
    OutcomeKind.WOULD_REPAIR: "RepairsProposed",
    OutcomeKind.REPAIRED: "RolesRepaired",
    OutcomeKind.CONTESTED: "RolesContested",
    OutcomeKind.NEEDS_PERSON: "RolesNeedingAPerson",
    OutcomeKind.FAILED: "RepairsFailed",
}
