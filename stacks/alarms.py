"""CloudWatch alarms on the remediator's own health, which no alert about a role reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from remediator.settings import Settings
from stacks.alerts import ALARM_PREFIX
from stacks.function import QueueFunction
from stacks.metrics import failed_deliveries, function_metric, lambda_metric, oldest_message_age, queue_depth

RUNBOOK: Final = "docs/runbook.md"

_MINUTE: Final = Duration.minutes(1)
_FIVE_MINUTES: Final = Duration.minutes(5)
_HOUR: Final = Duration.hours(1)
_SHARE_OF_WRITES: Final = 0.8
"""Share of the write limit: operators have time to raise the limit before repairs stop."""
_SHARE_MISSED: Final = 0.25
_SHORTEST_OVERDUE_MINUTES: Final = 60
"""Minimum for any sweep interval: one sweep of a large account can take 15 minutes, and a failed one is retried."""
_PARTS_OVERDUE: Final = 12

_Missing = cloudwatch.TreatMissingData
_Comparison = cloudwatch.ComparisonOperator


@dataclass(frozen=True, slots=True)
class Watched:
    """A queue that a function consumes, and its dead-letter queue.

    ``late_minutes`` is the age of the oldest message that indicates a problem.
    """

    queue: sqs.Queue
    dead_letters: sqs.Queue
    late_minutes: int


@dataclass(frozen=True, slots=True)
class _Alarm:
    """An alarm; its entry in the runbook has the same name.

    It goes off when ``metric`` breaches the threshold in ``needed`` of the last ``periods`` periods of the metric.
    ``advice`` says what to do in one or two sentences.
    """

    name: str
    advice: str
    metric: cloudwatch.Metric
    threshold: float = 1
    comparison: cloudwatch.ComparisonOperator = _Comparison.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
    periods: int = 1
    needed: int = 1
    missing: cloudwatch.TreatMissingData = _Missing.NOT_BREACHING


class Alarms(Construct):
    """The alarms, which notify the people topic when they go off.

    They send nothing on recovery: a new alarm starts by going to OK, so each deployment would send a message per alarm.
    Each alarm uses a single metric, which is easy to inspect in the console. The forwarders' queues have no alarms,
    because an alarm only works with metrics and topics of its own Region. The dashboard shows these queues; the sweep
    finds what is lost in them, and then ``events-missed`` goes off.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.Topic,
        queues: Mapping[str, Watched],
        undelivered: Mapping[str, sqs.Queue],
        functions: Mapping[str, QueueFunction],
        settings: Settings,
    ) -> None:
        """The keys of ``queues``, ``undelivered`` and ``functions`` are the names in the alarms."""
        super().__init__(scope, construct_id)
        notify_people = actions.SnsAction(topic)
        for alarm in (
            *_dead_letter_alarms(queues, undelivered),
            *_late_message_alarms(queues),
            *_function_alarms(functions),
            *_overall_alarms(settings),
            _delivery_alarm(topic),
        ):
            cloudwatch.Alarm(
                self,
                "".join(word.capitalize() for word in alarm.name.split("-")),
                alarm_name=f"{ALARM_PREFIX}{alarm.name}",
                alarm_description=f"{alarm.advice} See {RUNBOOK}#{alarm.name}",
                metric=alarm.metric,
                threshold=alarm.threshold,
                comparison_operator=alarm.comparison,
                evaluation_periods=alarm.periods,
                datapoints_to_alarm=alarm.needed,
                treat_missing_data=alarm.missing,
            ).add_alarm_action(notify_people)


def _dead_letter_alarms(queues: Mapping[str, Watched], undelivered: Mapping[str, sqs.Queue]) -> Iterator[_Alarm]:
    """SQS stops publishing metrics of a queue that is idle for some hours; missing data must not end an alarm.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
    """
    lost = {
        "intake": "Events could not be read. Find out why in the router's log, then send them back.",
        "work": "Roles could not be reconciled, and may be broken. Find out why in the reconciler's log, then send the"
        " requests back.",
        "sweep": "Sweeps kept failing, so that what events miss is not found. Find out why in the sweeper's log; the"
        " next sweep replaces those that failed.",
        "digest": "People could not be told of alerts. Find out why in the digester's log, then send the alerts back.",
        "slack": "Slack could not be told, while e-mail was. Find out why in the notifier's log, then send the messages"
        " back.",
    }
    kept = {
        "events": "EventBridge could not put events into the intake queue. See what the messages say of it; a sweep"
        " makes up for them.",
        "alerts": "SNS could not put alerts into the queue of the digester or of the notifier, so that people were not"
        " told. The messages are what they should have been told.",
    }
    for name, watched in queues.items():
        yield _Alarm(
            f"{name}-dead-letters", lost[name], queue_depth(watched.dead_letters, _MINUTE), missing=_Missing.IGNORE
        )
    for name, queue in undelivered.items():
        yield _Alarm(f"undelivered-{name}", kept[name], queue_depth(queue, _MINUTE), missing=_Missing.IGNORE)


def _late_message_alarms(queues: Mapping[str, Watched]) -> Iterator[_Alarm]:
    late = {
        "intake": "Events wait for the router. See whether it runs, fails or is throttled.",
        "work": "Roles wait for the reconciler, and may be broken until it comes to them. See whether it runs, fails"
        " or is throttled.",
        "sweep": "Requests for a sweep wait for the sweeper. See whether it runs, fails or is throttled.",
        "digest": "Alerts wait for the digester, and people do not hear of them. See whether it runs, fails or is"
        " throttled.",
        "slack": "Messages wait to be posted to Slack. See whether Slack takes any, and whether the notifier runs.",
    }
    for name, watched in queues.items():
        yield _Alarm(
            f"{name}-late",
            late[name],
            oldest_message_age(watched.queue, _FIVE_MINUTES),
            threshold=watched.late_minutes * 60,
        )


def _function_alarms(functions: Mapping[str, QueueFunction]) -> Iterator[_Alarm]:
    """A failed message is not a function error; an error is a crash or a timeout.

    The next attempt makes up for one throttle, but not for throttles in several periods within an hour.
    """
    for name, function in functions.items():
        yield _Alarm(
            f"{name}-errors",
            f"The {name} broke down or ran out of time. Read the end of its log; its messages are tried again.",
            lambda_metric(function.function, "Errors", _FIVE_MINUTES),
        )
        yield _Alarm(
            f"{name}-throttled",
            f"Lambda keeps refusing to run the {name}. See what uses up the account's concurrency in this Region.",
            lambda_metric(function.function, "Throttles", _FIVE_MINUTES),
            periods=12,
            needed=3,
        )


def _delivery_alarm(topic: sns.Topic) -> _Alarm:
    """Return an alarm that notifies the failing topic itself: the subscriptions that still work report the failure."""
    return _Alarm(
        "people-not-reached",
        "SNS could not deliver a message for people by e-mail, to Amazon Q or to another subscriber. See which"
        " subscription fails, and what it did not get.",
        failed_deliveries(topic, _FIVE_MINUTES),
    )


def _overall_alarms(settings: Settings) -> Iterator[_Alarm]:
    yield _sweep_overdue(settings.sweep_minutes)
    yield _events_missed(settings.sweep_minutes)
    yield _Alarm(
        "no-events",
        "Not one event has come for a day. If somebody has changed a role or a policy since, see whether the trail is"
        " on and the rules are enabled.",
        function_metric("router", "EventsReceived", _HOUR),
        comparison=_Comparison.LESS_THAN_THRESHOLD,
        periods=24,
        needed=24,
        missing=_Missing.BREACHING,
    )
    limit = settings.write_limit
    yield _Alarm(
        "writes-near-limit",
        f"{_SHARE_OF_WRITES:.0%} of the {limit.writes} writes that may be made within {limit.minutes} minutes have been"
        " made; beyond them nothing is repaired. See who breaks so many roles.",
        function_metric("reconciler", "Writes", Duration.minutes(limit.minutes)),
        threshold=math.ceil(limit.writes * _SHARE_OF_WRITES),
    )
    yield _Alarm(
        "alerts-lost",
        "SNS did not take an alert, which stands in the reconciler's log. See whether the topic and its key are as they"
        " were deployed.",
        function_metric("reconciler", "AlertsLost", _FIVE_MINUTES),
    )


def _sweep_overdue(sweep_minutes: int) -> _Alarm:
    """Return an alarm that goes off after twice the sweep interval without a sweep.

    The time is split into many short periods: if some have no data, CloudWatch evaluates a few more periods further
    back. With two long periods it would find old sweeps.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    minutes = max(2 * sweep_minutes, _SHORTEST_OVERDUE_MINUTES)
    return _Alarm(
        "sweep-overdue",
        f"No sweep has come to its end for {minutes} minutes, so that what events miss is not found. Read the end of"
        " the sweeper's log, and see whether the schedule is enabled.",
        function_metric("sweeper", "SweepsCompleted", Duration.minutes(math.ceil(minutes / _PARTS_OVERDUE))),
        comparison=_Comparison.LESS_THAN_THRESHOLD,
        periods=_PARTS_OVERDUE,
        needed=_PARTS_OVERDUE,
        missing=_Missing.BREACHING,
    )


def _events_missed(sweep_minutes: int) -> _Alarm:
    """Return an alarm that goes off if no event triggered more than a quarter of the repairs, in several periods.

    The share is taken of repairs, not of drifted roles or of events. Nearly all drifted roles that a scheduled sweep
    finds count as missed, however few; and most events cause no drift, so their number would hide a trail with gaps.
    The metric is 1 for a repair that only a sweep requested, else 0; its average is the share. A single period does not
    count: an event may have been in transit, or a deployment may have changed the desired state. Each period contains a
    sweep, and seven days is the longest range that CloudWatch evaluates.
    """
    return _Alarm(
        "events-missed",
        f"More than {_SHARE_MISSED:.0%} of the repairs were of roles that only the sweep found. See whether the trail"
        " records everything and whether events lie undelivered.",
        function_metric(
            "reconciler",
            "RepairsMissedByEvents",
            Duration.minutes(max(sweep_minutes, 60)),
            cloudwatch.Stats.AVERAGE,
        ),
        threshold=_SHARE_MISSED,
        comparison=_Comparison.GREATER_THAN_THRESHOLD,
        periods=7,
        needed=3,
    )
