"""Alarms on the remediator itself: conditions that no alert about a role reports."""

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
"""Of the limit: enough is left for an operator to raise it before repairs stop."""
_SHARE_MISSED: Final = 0.25
_SHORTEST_OVERDUE_MINUTES: Final = 60
"""Whatever the interval: a sweep of a large account can take a quarter of an hour, and a failing one several tries."""
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
    """An alarm; its name is also that of its entry in the runbook.

    It goes off when ``metric`` breaches the threshold in ``needed`` of the last ``periods`` periods, each as long as
    the metric's own. ``advice`` says in a sentence or two what is wrong and what to do.
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

    They send nothing on recovery: a new alarm goes to OK first, so each deployment would send an e-mail per alarm. Each
    uses a single metric, which is easy to inspect in the console. The queues of the forwarders have none, because an
    alarm only works with metrics and topics of its own Region. The dashboard shows these queues, and the sweep finds
    what is lost in them, which ``events-missed`` reports.
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
        notify = actions.SnsAction(topic)
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
            ).add_alarm_action(notify)


def _dead_letter_alarms(queues: Mapping[str, Watched], undelivered: Mapping[str, sqs.Queue]) -> Iterator[_Alarm]:
    """SQS stops publishing metrics of an inactive queue after some hours; until it resumes, the alarm keeps its state.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
    """
    lost = {
        "intake": "Events could not be read. Find the error in the router's log, then redrive the dead-letter queue.",
        "work": "Roles could not be reconciled and may be broken. Find the error in the reconciler's log, then redrive"
        " the dead-letter queue.",
        "sweep": "Sweeps keep failing, so drift that events miss is not found. Find the error in the sweeper's log; the"
        " next sweep replaces the failed ones.",
        "digest": "Alerts were not sent to the people topic. Find the error in the digester's log, then redrive the"
        " dead-letter queue.",
        "slack": "Messages were not posted to Slack; e-mail is not affected. Find the error in the notifier's log, then"
        " redrive the dead-letter queue.",
    }
    kept = {
        "events": "EventBridge could not deliver events to the intake queue. The attributes of the messages have the"
        " error; a sweep covers the lost events.",
        "alerts": "SNS could not deliver alerts to the queue of the digester or the notifier, so they were not sent."
        " The messages are the alerts.",
    }
    for name, watched in queues.items():
        yield _Alarm(
            f"{name}-dead-letters", lost[name], queue_depth(watched.dead_letters, _MINUTE), missing=_Missing.IGNORE
        )
    for name, queue in undelivered.items():
        yield _Alarm(f"undelivered-{name}", kept[name], queue_depth(queue, _MINUTE), missing=_Missing.IGNORE)


def _late_message_alarms(queues: Mapping[str, Watched]) -> Iterator[_Alarm]:
    late = {
        "intake": "Events wait for the router. Check whether it runs, fails or is throttled.",
        "work": "Roles wait for the reconciler and may be broken until then. Check whether it runs, fails or is"
        " throttled.",
        "sweep": "Sweep requests wait for the sweeper. Check whether it runs, fails or is throttled.",
        "digest": "Alerts wait for the digester and are not sent. Check whether it runs, fails or is throttled.",
        "slack": "Messages wait to be posted to Slack. Check whether Slack accepts messages and the notifier runs.",
    }
    for name, watched in queues.items():
        yield _Alarm(
            f"{name}-late",
            late[name],
            oldest_message_age(watched.queue, _FIVE_MINUTES),
            threshold=watched.late_minutes * 60,
        )


def _function_alarms(functions: Mapping[str, QueueFunction]) -> Iterator[_Alarm]:
    """A failed message is no error of the function; an error means that it crashed or timed out.

    The next try covers a single throttle; several within an hour need an operator.
    """
    for name, function in functions.items():
        yield _Alarm(
            f"{name}-errors",
            f"The {name} crashed or timed out. Read the end of its log; its messages are retried.",
            lambda_metric(function.function, "Errors", _FIVE_MINUTES),
        )
        yield _Alarm(
            f"{name}-throttled",
            f"Lambda keeps throttling the {name}. Check what uses the account's concurrency in this Region.",
            lambda_metric(function.function, "Throttles", _FIVE_MINUTES),
            periods=12,
            needed=3,
        )


def _delivery_alarm(topic: sns.Topic) -> _Alarm:
    """An alarm that notifies the very topic that fails: subscribers that it still reaches learn that others are not."""
    return _Alarm(
        "people-not-reached",
        "SNS could not deliver a message of the people topic to a subscriber (e-mail, Amazon Q or other). Find the"
        " failing subscription and the messages that it missed.",
        failed_deliveries(topic, _FIVE_MINUTES),
    )


def _overall_alarms(settings: Settings) -> Iterator[_Alarm]:
    yield _sweep_overdue(settings.sweep_minutes)
    yield _events_missed(settings.sweep_minutes)
    yield _Alarm(
        "no-events",
        "No event arrived for a day. If a role or policy was changed since, check whether the trail is on and the rules"
        " are enabled.",
        function_metric("router", "EventsReceived", _HOUR),
        comparison=_Comparison.LESS_THAN_THRESHOLD,
        periods=24,
        needed=24,
        missing=_Missing.BREACHING,
    )
    limit = settings.write_limit
    yield _Alarm(
        "writes-near-limit",
        f"{_SHARE_OF_WRITES:.0%} of the {limit.writes} writes allowed within {limit.minutes} minutes are used; beyond"
        " them nothing is repaired. Find the cause with `remediator history`.",
        function_metric("reconciler", "Writes", Duration.minutes(limit.minutes)),
        threshold=math.ceil(limit.writes * _SHARE_OF_WRITES),
    )
    yield _Alarm(
        "alerts-lost",
        "SNS rejected an alert; it is in the reconciler's log. Check whether the topic and its key are as deployed.",
        function_metric("reconciler", "AlertsLost", _FIVE_MINUTES),
    )


def _sweep_overdue(sweep_minutes: int) -> _Alarm:
    """No sweep for twice the sweep interval.

    The time is divided into many periods, because CloudWatch evaluates a few more periods than configured where some
    have no data. With two long periods it would find old sweeps.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    minutes = max(2 * sweep_minutes, _SHORTEST_OVERDUE_MINUTES)
    return _Alarm(
        "sweep-overdue",
        f"No sweep has completed for {minutes} minutes, so drift that events miss is not found. Read the end of the"
        " sweeper's log, and check whether the schedule is enabled.",
        function_metric("sweeper", "SweepsCompleted", Duration.minutes(math.ceil(minutes / _PARTS_OVERDUE))),
        comparison=_Comparison.LESS_THAN_THRESHOLD,
        periods=_PARTS_OVERDUE,
        needed=_PARTS_OVERDUE,
        missing=_Missing.BREACHING,
    )


def _events_missed(sweep_minutes: int) -> _Alarm:
    """More than a quarter of the repairs were triggered by no event, repeatedly.

    Repairs are compared with repairs. Nearly all drift that a scheduled sweep finds counts as missed, however little it
    is; and most events cause no drift, so counting events would hide a trail with gaps. The metric is 1 for a repair
    that only a sweep triggered, otherwise 0, and its average is the share. A single period does not count: an event
    may have been in flight, or a deployment may have changed the configuration. Each period contains a sweep, and
    CloudWatch evaluates seven days at most.
    """
    return _Alarm(
        "events-missed",
        f"More than {_SHARE_MISSED:.0%} of the repairs were found only by the sweep. Check whether the trail records"
        " all events and whether events are undelivered.",
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
