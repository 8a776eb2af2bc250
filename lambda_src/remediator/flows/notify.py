"""Notify people of an outcome, if there is anything new in it, and remember that."""

from __future__ import annotations

from remediator.core.alerts.decide import AlertDecision, AlertReason, decide_alert
from remediator.core.alerts.describe import describe
from remediator.core.alerts.notification import Notification, limit_reached
from remediator.core.repair.outcome import Hold, Outcome
from remediator.gateways.world import World
from remediator.settings import Settings


def notification_of(outcome: Outcome, telling: AlertDecision, settings: Settings) -> Notification | None:
    """What the alert about the outcome says; None where nobody needs to be told."""
    if telling.reason is AlertReason.NONE:
        return None
    cloud = None if outcome.cloud is None else settings.cloud(outcome.cloud)
    if cloud is None:
        return describe(outcome, telling)
    buckets = tuple(bucket.name for bucket in cloud.buckets)
    return describe(outcome, telling, buckets=buckets, grant=cloud.grant)


def notify(outcome: Outcome, world: World) -> AlertDecision:
    """Publish the outcome's alert, if there is anything new in it; then close its changes, and remember that.

    That the limit of writes is reached is told before, so that nothing comes between an alert and closing its changes.
    In this order, so that what could not be published is told with the next look: its changes are still open. If it is
    interrupted in between, people are told twice, and never not at all. Raises any AwsError of either; TransientError
    where somebody else has changed what is remembered of the role.
    """
    now = world.clock()
    telling = decide_alert(outcome, now)
    notification = notification_of(outcome, telling, world.settings)
    if outcome.hold is Hold.CAPPED and not world.history.limit_was_reported(now):
        # Two at the same time publish the same notice, with the same id, and people are shown one of them.
        world.alerts.publish(limit_reached(outcome.account, world.settings.write_limit, now))
        world.history.note_limit_reported(now)
    if notification is not None:
        world.alerts.publish(notification)
    for change_id in outcome.unreported:
        world.history.close(change_id)
    stored_record = outcome.stored_record
    if stored_record is not None and not telling.role_record.says_the_same(stored_record):
        world.history.write_role_record(outcome.role_name, telling.role_record)
    return telling
