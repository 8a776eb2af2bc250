"""Tell people about an outcome, if there is anything new in it, and remember what they were told."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from remediator.core.alerts.alert_json import Record, record_of
from remediator.core.alerts.decide import News, Telling, decide_telling
from remediator.core.alerts.describe import describe
from remediator.core.alerts.notice import limit_reached
from remediator.core.alerts.notification import Notification
from remediator.core.history.role_record import RoleMemory
from remediator.core.repair.outcome import Hold, Outcome
from remediator.settings import Settings


class AlertSink(Protocol):
    """Where alerts go."""

    def publish(self, record: Record) -> None:
        """Publish one alert."""
        ...


class MemoryStore(Protocol):
    """Where it is kept what is remembered; it promises what ``gateways.history.HistoryTable`` promises."""

    def close(self, change_id: str) -> None:
        """Take a change out of those that are open."""
        ...

    def write_memory(self, role_name: str, memory: RoleMemory) -> None:
        """Replace what is remembered of the role, if it is still what ``memory`` was made from."""
        ...

    def is_limit_told(self, at: datetime) -> bool:
        """Whether people know that no more may be written within the window of that time."""
        ...

    def note_limit_told(self, at: datetime) -> None:
        """Note that they do."""
        ...


def notification_of(outcome: Outcome, telling: Telling, settings: Settings) -> Notification | None:
    """What the alert about the outcome says; None where nobody needs to be told."""
    if telling.news is News.NONE:
        return None
    cloud = None if outcome.cloud is None else settings.cloud(outcome.cloud)
    if cloud is None:
        return describe(outcome, telling)
    buckets = tuple(bucket.name for bucket in cloud.buckets)
    return describe(outcome, telling, buckets=buckets, grant=cloud.grant)


def deliver(outcome: Outcome, *, topic: AlertSink, history: MemoryStore, settings: Settings, now: datetime) -> Telling:
    """Publish the outcome's alert, if there is anything new in it; then close its changes, and remember that.

    That the limit of writes is reached is told before, so that nothing comes between an alert and closing its changes.
    In this order, so that what could not be published is told with the next look: its changes are still open. If it is
    interrupted in between, people are told twice, and never not at all. Raises any AwsError of either; TransientError
    where somebody else has changed what is remembered of the role.
    """
    telling = decide_telling(outcome, now)
    notification = notification_of(outcome, telling, settings)
    if outcome.hold is Hold.CAPPED and not history.is_limit_told(now):
        # Two at the same time publish the same notice, with the same id, and people are shown one of them.
        topic.publish(record_of(limit_reached(outcome.account, settings.write_limit, now)))
        history.note_limit_told(now)
    if notification is not None:
        topic.publish(record_of(notification))
    for change_id in outcome.untold:
        history.close(change_id)
    remembered = outcome.remembered
    if remembered is not None and not telling.memory.says_the_same(remembered):
        history.write_memory(outcome.role_name, telling.memory)
    return telling
