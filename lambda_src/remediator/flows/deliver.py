"""Tell people about an outcome, if it is one that they should know."""

from __future__ import annotations

from typing import Protocol

from remediator.core.message import Alert, describe, render
from remediator.core.outcome import Outcome
from remediator.settings import Settings


class AlertSink(Protocol):
    """Where alerts go."""

    def publish(self, alert: Alert) -> None:
        """Publish one alert."""
        ...


def alert_of(outcome: Outcome, settings: Settings) -> Alert | None:
    """The outcome's alert; None where nobody needs to be told."""
    if not outcome.is_told:
        return None
    cloud = None if outcome.cloud is None else settings.cloud(outcome.cloud)
    if cloud is None:
        notification = describe(outcome)
    else:
        buckets = tuple(bucket.name for bucket in cloud.buckets)
        notification = describe(outcome, buckets=buckets, grant=cloud.grant)
    return None if notification is None else render(notification)


def deliver(outcome: Outcome, *, topic: AlertSink, settings: Settings) -> None:
    """Publish the outcome's alert, if somebody needs to be told. Raises AwsError."""
    alert = alert_of(outcome, settings)
    if alert is not None:
        topic.publish(alert)
