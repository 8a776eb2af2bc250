"""What a person should hear of that no repair tells of: that the remediator itself does not work as it should."""

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
from stacks.metrics import age_of, count_of, depth_of, failed_deliveries_of, invocations_of

RUNBOOK: Final = "docs/runbook.md"

_MINUTE: Final = Duration.minutes(1)
_FIVE_MINUTES: Final = Duration.minutes(5)
_HOUR: Final = Duration.hours(1)
_SHARE_OF_WRITES: Final = 0.8
"""Of the limit: enough is left for a person to raise it before repairs stop."""
_SHARE_MISSED: Final = 0.25
_SHORTEST_OVERDUE_MINUTES: Final = 60
"""However often is swept: one sweep of a large account may take a quarter of an hour, and one that fails some tries."""
_PARTS_OVERDUE: Final = 12

_Missing = cloudwatch.TreatMissingData
_Comparison = cloudwatch.ComparisonOperator


@dataclass(frozen=True, slots=True)
class Watched:
    """A queue that a function works off, and where what keeps failing ends up.

    ``late_minutes`` is the age of its oldest message that nothing but trouble explains.
    """

    queue: sqs.Queue
    dead_letters: sqs.Queue
    late_minutes: int


@dataclass(frozen=True, slots=True)
class _Alarm:
    """An alarm; its name is also that of its entry in the runbook.

    It goes off when ``metric`` was so for ``needed`` of the last ``periods`` periods, each as long as the metric's own.
    ``advice`` says what to do in a sentence or two.
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
    """The alarms, which tell people by their topic when they go off.

    They say nothing when they are over: a new alarm is over with its first look, and a deployment would send a mail for
    each. None of them computes with more than one metric, so that each can be looked at as it is in the console. The
    queues of the forwarders have none, because an alarm sees only the metrics of its own Region and tells only topics
    there: the dashboard shows them, and what is lost in them the sweep finds, which ``events-missed`` tells of.
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
        """``queues``, ``undelivered`` and ``functions`` are by the names that the alarms give them."""
        super().__init__(scope, construct_id)
        tell = actions.SnsAction(topic)
        for alarm in (
            *_of_dead_letters(queues, undelivered),
            *_of_late_messages(queues),
            *_of_functions(functions),
            *_of_the_whole(settings),
            _of_failed_deliveries(topic),
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
            ).add_alarm_action(tell)


def _of_dead_letters(queues: Mapping[str, Watched], undelivered: Mapping[str, sqs.Queue]) -> Iterator[_Alarm]:
    """SQS stops counting in a queue that nobody has touched for some hours; until it counts again, nothing is over.

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
            f"{name}-dead-letters", lost[name], depth_of(watched.dead_letters, _MINUTE), missing=_Missing.IGNORE
        )
    for name, queue in undelivered.items():
        yield _Alarm(f"undelivered-{name}", kept[name], depth_of(queue, _MINUTE), missing=_Missing.IGNORE)


def _of_late_messages(queues: Mapping[str, Watched]) -> Iterator[_Alarm]:
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
            f"{name}-late", late[name], age_of(watched.queue, _FIVE_MINUTES), threshold=watched.late_minutes * 60
        )


def _of_functions(functions: Mapping[str, QueueFunction]) -> Iterator[_Alarm]:
    """A message that fails is no error of the function; an error means that it broke down or ran out of time.

    One throttle is made up for by the next try, and several within an hour are not by themselves.
    """
    for name, function in functions.items():
        yield _Alarm(
            f"{name}-errors",
            f"The {name} broke down or ran out of time. Read the end of its log; its messages are tried again.",
            invocations_of(function.function, "Errors", _FIVE_MINUTES),
        )
        yield _Alarm(
            f"{name}-throttled",
            f"Lambda keeps refusing to run the {name}. See what uses up the account's concurrency in this Region.",
            invocations_of(function.function, "Throttles", _FIVE_MINUTES),
            periods=12,
            needed=3,
        )


def _of_failed_deliveries(topic: sns.Topic) -> _Alarm:
    """An alarm that tells the topic which fails: whoever it still reaches hears that others do not."""
    return _Alarm(
        "people-not-reached",
        "SNS could not deliver a message for people by e-mail, to Amazon Q or to another subscriber. See which"
        " subscription fails, and what it did not get.",
        failed_deliveries_of(topic, _FIVE_MINUTES),
    )


def _of_the_whole(settings: Settings) -> Iterator[_Alarm]:
    yield _sweep_overdue(settings.sweep_minutes)
    yield _events_missed(settings.sweep_minutes)
    yield _Alarm(
        "no-events",
        "Not one event has come for a day. If somebody has changed a role or a policy since, see whether the trail is"
        " on and the rules are enabled.",
        count_of("router", "EventsReceived", _HOUR),
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
        count_of("reconciler", "Writes", Duration.minutes(limit.minutes)),
        threshold=math.ceil(limit.writes * _SHARE_OF_WRITES),
    )
    yield _Alarm(
        "alerts-lost",
        "SNS did not take an alert, which stands in the reconciler's log. See whether the topic and its key are as they"
        " were deployed.",
        count_of("reconciler", "AlertsLost", _FIVE_MINUTES),
    )


def _sweep_overdue(sweep_minutes: int) -> _Alarm:
    """No sweep for twice the time between two of them.

    The time is cut into many periods, because CloudWatch looks a few periods further back than it is told where some
    have no data; with two long ones it would find sweeps of long ago.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    minutes = max(2 * sweep_minutes, _SHORTEST_OVERDUE_MINUTES)
    return _Alarm(
        "sweep-overdue",
        f"No sweep has come to its end for {minutes} minutes, so that what events miss is not found. Read the end of"
        " the sweeper's log, and see whether the schedule is enabled.",
        count_of("sweeper", "SweepsCompleted", Duration.minutes(math.ceil(minutes / _PARTS_OVERDUE))),
        comparison=_Comparison.LESS_THAN_THRESHOLD,
        periods=_PARTS_OVERDUE,
        needed=_PARTS_OVERDUE,
        missing=_Missing.BREACHING,
    )


def _events_missed(sweep_minutes: int) -> _Alarm:
    """More than a quarter of the repairs were asked for by no event, again and again.

    Repairs are compared with repairs. Of the roles that a sweep of the schedule finds drifted nearly all count as
    missed, however few they are; and most events drift nothing, so that many of them would hide a trail that has
    gaps. The metric is 1 for a repair that only a sweep has asked for, else 0, and its average is the share. One time
    does not count: an event may have been on its way, or a deployment have changed what is asked for. Each period holds
    a sweep, and seven days are the most that CloudWatch looks back.
    """
    return _Alarm(
        "events-missed",
        f"More than {_SHARE_MISSED:.0%} of the repairs were of roles that only the sweep found. See whether the trail"
        " records everything and whether events lie undelivered.",
        count_of(
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
