"""The reconciler: repairs the roles named in the work queue and notifies people. The only function that may repair."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import cache
from typing import Final

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.events.event import Cause
from remediator.core.events.request import parse_request
from remediator.core.history.pause import Pause, parse_pause
from remediator.core.repair.outcome import after_the_last_try, gave_up
from remediator.errors import AwsError, MalformedRequest, Misrouted, RemediatorError, TransientError
from remediator.flows.reconcile import reconcile
from remediator.gateways.iam import IamGateway
from remediator.gateways.parameter import PauseParameter
from remediator.gateways.queue import WorkQueue
from remediator.gateways.topic import AlertsTopic
from remediator.gateways.world import World
from remediator.handlers import consumer, deployed
from remediator.handlers.report import report

ENOUGH_MILLISECONDS: Final = 45_000
"""What is left for a role that is begun: at most a hundred calls, for a role of ten policies and a cloud of five
buckets with keys where everything has to be written, a few of them slow, and waiting until each write is seen.

Most roles need a dozen calls and a second. One that AWS keeps waiting longer is cut off by the function's timeout,
which is a multiple of this, and is checked again when the message's visibility timeout ends.
"""


@cache
def _world(account: str) -> World:
    return consumer.make_world(
        account,
        own_role_arn=os.environ["REMEDIATOR_ROLE_ARN"],
        on_unrecorded=_log_unrecorded,
        roles=IamGateway(consumer.client("iam"), lambda: consumer.client("iam", config=consumer.WRITE_CLIENT_CONFIG)),
        buckets=deployed.buckets(is_written=True),
        history=deployed.history(),
        work=WorkQueue(consumer.client("sqs"), os.environ["CONSUMED_QUEUE_URL"]),
        alerts=AlertsTopic(consumer.client("sns"), os.environ["ALERTS_TOPIC_ARN"]),
    )


@cache
def _pause_parameter() -> PauseParameter:
    return PauseParameter(consumer.client("ssm"), os.environ["PAUSE_PARAMETER"], clock=time.monotonic)


@consumer.function
def handle(event: consumer.Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Reconcile a batch of the work queue: each role once, in order; a failing role holds up only its own group.

    A group is one role, or all roles whose repair writes the policy of a common bucket.
    """
    account = consumer.account_of(context)
    # All messages of the batch were sent before the role is read, so that one reconcile answers all of its causes.
    causes = _causes_by_role(event)
    consumer.count(RolesReceived=len(causes))
    done: set[str] = set()

    def work(record: SQSRecord) -> None:
        request = parse_request(record.body)
        role_name = request.role_name
        consumer.logger.append_keys(role=role_name, event_id=request.cause.event_id)
        if request.account != account:
            raise RemediatorError(f"the request is for account {request.account}, and this is account {account}")
        if role_name in done:
            consumer.logger.info("reconciled already with an earlier message of this batch")
            return
        world = _world(account)
        try:
            consumer.require_time(context, ENOUGH_MILLISECONDS, "reconcile")
            outcome = reconcile(role_name, causes[role_name], replace(world, paused=_paused()), group=request.bucket)
        except Misrouted as error:
            # Tags or configuration have changed since it was queued. Its cause goes with it, and so does its turn.
            world.work.send(replace(request, bucket=error.bucket))
            consumer.logger.info("queued again in another group", why=str(error))
            return
        except Exception as error:
            if consumer.is_last_try(record):
                report(gave_up(request, _in_words(error)), world)
            raise
        retried = outcome.to_be_retried
        report(after_the_last_try(outcome) if retried and consumer.is_last_try(record) else outcome, world)
        if retried:
            raise TransientError("repair", "to be retried", "what could be done was reported, the rest is retried")
        done.add(role_name)

    return consumer.consume(event, context, work, is_fifo=True)


def _in_words(error: Exception) -> str:
    """Why a try failed; what was not foreseen may quote anything, and is told by its kind alone."""
    if isinstance(error, RemediatorError):
        return str(error)
    return f"{type(error).__name__}, which the remediator did not expect: its log has the details."


def _causes_by_role(event: consumer.Event) -> dict[str, tuple[Cause, ...]]:
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
        return parse_pause(_pause_parameter().read()).under(consumer.settings())
    except TransientError:
        raise  # the next try may know
    except AwsError as error:
        consumer.logger.exception(
            "whether writes are paused cannot be read, so that nothing is written", why=str(error)
        )
        return Pause(everything=True, why=f"Nothing is written, because whether writes are paused is unknown: {error}")


def _log_unrecorded(change_id: str, error: AwsError) -> None:
    consumer.logger.warning("the result of a change is recorded at the next check", change_id=change_id, why=str(error))
