"""Notify people of an outcome, if there is anything new in it, and remember that."""

from __future__ import annotations

from remediator.core.alerts.decide import News, Telling, decide_telling
from remediator.core.alerts.describe import describe
from remediator.core.alerts.notification import Notification, limit_reached
from remediator.core.repair.outcome import Hold, Outcome
from remediator.gateways.world import World
from remediator.settings import Settings


def notification_of(outcome: Outcome, telling: Telling, settings: Settings) -> Notification | None:
    """What the alert about the outcome says; None where nobody needs to be told."""
    if telling.news is News.NONE:
        return None
    cloud = None if outcome.cloud is None else settings.cloud(outcome.cloud)
    if cloud is None:
        return describe(outcome, telling)
    buckets = tuple(bucket.name for bucket in cloud.buckets)
    return describe(outcome, telling, buckets=buckets, grant=cloud.grant)


def notify(outcome: Outcome, world: World) -> Telling:
    """Publish the outcome's alert, if there is anything new in it; then close its changes, and remember that.

    That the limit of writes is reached is told before, so that nothing comes between an alert and closing its changes.
    In this order, so that what could not be published is told with the next look: its changes are still open. If it is
    interrupted in between, people are told twice, and never not at all. Raises any AwsError of either; TransientError
    where somebody else has changed what is remembered of the role.
    """
    now = world.clock()
    telling = decide_telling(outcome, now)
    notification = notification_of(outcome, telling, world.settings)
    if outcome.hold is Hold.CAPPED and not world.history.is_limit_told(now):
        # Two at the same time publish the same notice, with the same id, and people are shown one of them.
        world.alerts.publish(limit_reached(outcome.account, world.settings.write_limit, now))
        world.history.note_limit_told(now)
    if notification is not None:
        world.alerts.publish(notification)
    for change_id in outcome.untold:
        world.history.close(change_id)
    remembered = outcome.remembered
    if remembered is not None and not telling.memory.says_the_same(remembered):
        world.history.write_memory(outcome.role_name, telling.memory)
    return telling
