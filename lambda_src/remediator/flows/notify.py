"""Publish the alert of an outcome, if anything in it is new, and record that."""

from __future__ import annotations

from remediator.core.alerts.decide import AlertDecision, AlertReason, decide_alert
from remediator.core.alerts.describe import describe
from remediator.core.alerts.notification import Notification, limit_reached
from remediator.core.repair.outcome import Hold, Outcome
from remediator.gateways.world import World
from remediator.settings import Settings


def notification_of(outcome: Outcome, decision: AlertDecision, settings: Settings) -> Notification | None:
    """The alert about the outcome; None where none is due."""
    if decision.reason is AlertReason.NONE:
        return None
    cloud = None if outcome.cloud is None else settings.cloud(outcome.cloud)
    if cloud is None:
        return describe(outcome, decision)
    buckets = tuple(bucket.name for bucket in cloud.buckets)
    return describe(outcome, decision, buckets=buckets, grant=cloud.grant)


def notify(outcome: Outcome, world: World) -> AlertDecision:
    """Publish the outcome's alert, if anything in it is new; then close its changes, and write the role record.

    The order matters: what could not be published is alerted by the next reconcile, because its changes are still open.
    An interruption in between leads to a second alert, never to none. The notice of the write limit comes first, so
    that nothing lies between an alert and closing its changes. Raises any AwsError; TransientError where another
    function has changed the role record.
    """
    now = world.clock()
    decision = decide_alert(outcome, now)
    notification = notification_of(outcome, decision, world.settings)
    if outcome.hold is Hold.CAPPED and not world.history.limit_was_reported(now):
        # Two functions at the same time publish the same notice with the same id, and one of them is sent on.
        world.alerts.publish(limit_reached(outcome.account, world.settings.write_limit, now))
        world.history.note_limit_reported(now)
    if notification is not None:
        world.alerts.publish(notification)
    for change_id in outcome.unreported:
        world.history.close(change_id)
    stored_record = outcome.stored_record
    if stored_record is not None and not decision.role_record.says_the_same(stored_record):
        world.history.write_role_record(outcome.role_name, decision.role_record)
    return decision
