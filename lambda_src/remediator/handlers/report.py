"""What the reconciler does with an outcome: it logs and counts it, and notifies people."""

from __future__ import annotations

from datetime import datetime
from typing import Final, assert_never

from aws_lambda_powertools.metrics import MetricUnit

from remediator.core.alerts.alert_layout import layout_of
from remediator.core.alerts.decide import decide_alert
from remediator.core.alerts.layout import email_text
from remediator.core.events.sweep import is_sweep, seconds_since_event
from remediator.core.repair.outcome import Applied, NotApplied, Outcome, OutcomeKind, Unconfirmed, WriteResult
from remediator.errors import AwsError
from remediator.flows.notify import notification_of, notify
from remediator.gateways.topic import PUBLISH
from remediator.gateways.world import World
from remediator.handlers import consumer

_METRICS: Final = {
    OutcomeKind.NOT_ENROLLED: "RolesNotEnrolled",
    OutcomeKind.OFF: "RolesOff",
    OutcomeKind.CLEAN: "RolesClean",
    OutcomeKind.REFUSED: "RolesRefused",
    OutcomeKind.WOULD_REPAIR: "RepairsProposed",
    OutcomeKind.REPAIRED: "RolesRepaired",
    OutcomeKind.CONFLICT: "RolesContested",
    OutcomeKind.MANUAL_ACTION: "RolesNeedingAPerson",
    OutcomeKind.FAILED: "RepairsFailed",
}


def report(outcome: Outcome, world: World) -> None:
    """Log and count the outcome, and notify people if there is anything new in it. Raises what ``notify`` raises."""
    now = world.clock()
    _count(outcome, now)
    _log(outcome)
    try:
        telling = notify(outcome, world)
    except AwsError as error:
        if error.operation != PUBLISH:
            consumer.logger.warning("the alert could not be recorded, and may be sent once more", why=str(error))
            raise
        # What was written is told with the next look, since its changes are still open; anything else, if it stays.
        consumer.count(AlertsLost=1)
        notification = notification_of(outcome, decide_alert(outcome, now), world.settings)
        alert = "" if notification is None else email_text(layout_of(notification))
        consumer.logger.exception("the alert could not be published", why=str(error), alert=alert)
        raise
    consumer.logger.info("told", reason=telling.reason, incident=telling.incident_id)


def _count(outcome: Outcome, now: datetime) -> None:
    consumer.count(
        **{"Reconciled": 1, _METRICS[outcome.kind]: 1, "Writes": sum(map(_counts_as_write, outcome.results))}
    )
    if outcome.kind is not OutcomeKind.REPAIRED:
        return
    # One value for each repair, so that their average is the share of the repairs that no event has asked for.
    consumer.count(RepairsMissedByEvents=int(all(map(is_sweep, outcome.causes))))
    if (waited := seconds_since_event(outcome.causes, now)) is not None:
        consumer.metrics.add_metric("SecondsToRepair", MetricUnit.Seconds, waited)


def _log(outcome: Outcome) -> None:
    consumer.logger.info(
        outcome.kind,
        role_arn=outcome.role_arn,
        cloud=outcome.cloud,
        why=outcome.why,
        own_event=outcome.own,
        findings=[{"code": finding.code, "subject": finding.subject} for finding in outcome.findings],
        applied=[write.document.kind for write in outcome.applied],
        changes=[result.change_id for result in outcome.results if result.change_id],
        recovered=[change.change_id for change in outcome.recovered],
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
