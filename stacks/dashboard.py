"""How it is going, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from remediator.settings import Settings
from stacks.alarms import RUNBOOK, Watched
from stacks.forwarder_stack import UNDELIVERED_NAME
from stacks.function import QueueFunction
from stacks.metrics import age_of, count_of, depth_of, invocations_of

DASHBOARD_NAME: Final = "AnyscaleRemediator"
"""Its name is fixed, so that it can be found in the console."""

_FIVE_MINUTES: Final = Duration.minutes(5)
_HALF: Final = 12
_THIRD: Final = 8


class Dashboard(Construct):
    """What was repaired, what is open, what the sweep finds, and whether queues and functions keep up.

    It has every metric that the functions count, and none of another name.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        queues: Mapping[str, Watched],
        undelivered: Mapping[str, sqs.Queue],
        functions: Mapping[str, QueueFunction],
        settings: Settings,
    ) -> None:
        """``queues``, ``undelivered`` and ``functions`` are by the names that people are shown."""
        super().__init__(scope, construct_id)
        every_sweep = Duration.minutes(max(settings.sweep_minutes, 5))
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=DASHBOARD_NAME,
            default_interval=Duration.days(1),
            widgets=[
                [
                    cloudwatch.TextWidget(
                        markdown=(
                            "# Anyscale role remediator\nWhat to do about an alarm stands under its name in "
                            f"`{RUNBOOK}`."
                        ),
                        width=24,
                        height=2,
                    )
                ],
                [
                    _counts("Repairs", "reconciler", "RolesRepaired", "RepairsProposed", "RepairsFailed"),
                    _counts("For a person", "reconciler", "RolesNeedingAPerson", "RolesContested", "RolesRefused"),
                    _writes(settings),
                ],
                [
                    _counts(
                        "What was looked at",
                        "reconciler",
                        *("RolesReceived", "Reconciled", "RolesClean", "RolesOff", "RolesNotEnrolled"),
                    ),
                    _counts("Events", "router", "EventsReceived", "EventsQueued", "EventsIgnored", "SweepsRequested"),
                    _missed(every_sweep),
                ],
                [
                    _counts(
                        "What each sweep finds",
                        "sweeper",
                        *("SweepRolesScanned", "SweepRolesEnrolled", "SweepRolesClean", "SweepRolesDrifted"),
                        *("SweepRolesRefused", "SweepRolesUndecided", "SweepRolesUnreadable"),
                        *("SweepRolesQueued", "SweepRolesUnsettled"),
                        period=every_sweep,
                        width=_HALF,
                        statistic=cloudwatch.Stats.MAXIMUM,
                    ),
                    _counts(
                        "Sweeps",
                        "sweeper",
                        *("SweepRequestsReceived", "SweepsCompleted", "SweepsContinued"),
                        period=every_sweep,
                        width=_HALF,
                    ),
                ],
                [
                    _graph("Age of the oldest message, in seconds", _ages(queues), _THIRD),
                    _graph("Waiting messages", _depths(queues), _THIRD),
                    _graph("Messages that failed", _failed(queues, undelivered, settings), _THIRD),
                ],
                [
                    _graph("Errors and throttles", _invocations(functions, "Errors", "Throttles"), _THIRD),
                    _graph("Duration, in milliseconds", _durations(functions), _THIRD),
                    _graph("Invocations, which is what costs", _invocations(functions, "Invocations"), _THIRD),
                ],
                [
                    _seconds_to_repair(),
                    _counts("Alerts that SNS did not take", "reconciler", "AlertsLost", width=_HALF),
                ],
                _reported(functions),
            ],
        )


def _reported(functions: Mapping[str, QueueFunction]) -> list[cloudwatch.IWidget]:
    people = ("AlertsTold", "AlertsHeld", "DigestsSent")
    slack = ("SlackPosted", "SlackThrottled", "SlackFailed")
    widgets: list[cloudwatch.IWidget] = [_counts("What people were told", "digester", *people, width=_HALF)]
    if "notifier" in functions:
        widgets.append(_counts("What Slack was told", "notifier", *slack, width=_HALF))
    return widgets


def _graph(title: str, metrics: Iterable[cloudwatch.Metric], width: int) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title, left=list(metrics), left_y_axis=cloudwatch.YAxisProps(min=0), width=width
    )


def _counts(
    title: str,
    function: str,
    *names: str,
    period: Duration = _FIVE_MINUTES,
    width: int = _THIRD,
    statistic: str = cloudwatch.Stats.SUM,
) -> cloudwatch.GraphWidget:
    return _graph(title, (count_of(function, name, period, statistic) for name in names), width)


def _writes(settings: Settings) -> cloudwatch.GraphWidget:
    limit = settings.write_limit
    return cloudwatch.GraphWidget(
        title=f"Writes within {limit.minutes} minutes, and their limit",
        left=[count_of("reconciler", "Writes", Duration.minutes(limit.minutes))],
        left_annotations=[cloudwatch.HorizontalAnnotation(value=limit.writes, label="limit")],
        left_y_axis=cloudwatch.YAxisProps(min=0),
        width=_THIRD,
    )


def _seconds_to_repair() -> cloudwatch.GraphWidget:
    """From the call that broke a role until its repair was read back."""
    statistics = {"half of them": cloudwatch.Stats.percentile(50), "99 of 100": cloudwatch.Stats.percentile(99)}
    return _graph(
        "Seconds from a change to its repair",
        (
            count_of("reconciler", "SecondsToRepair", _FIVE_MINUTES, statistic, label)
            for label, statistic in statistics.items()
        ),
        _HALF,
    )


def _missed(every_sweep: Duration) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title="Missed by events: roles, and share of the repairs",
        left=[count_of("sweeper", "DriftMissedByEvents", every_sweep)],
        left_y_axis=cloudwatch.YAxisProps(min=0),
        right=[count_of("reconciler", "RepairsMissedByEvents", every_sweep, cloudwatch.Stats.AVERAGE)],
        right_y_axis=cloudwatch.YAxisProps(min=0, max=1),
        width=_THIRD,
    )


def _ages(queues: Mapping[str, Watched]) -> Iterable[cloudwatch.Metric]:
    return (age_of(watched.queue, _FIVE_MINUTES, name) for name, watched in queues.items())


def _depths(queues: Mapping[str, Watched]) -> Iterable[cloudwatch.Metric]:
    return (depth_of(watched.queue, _FIVE_MINUTES, name) for name, watched in queues.items())


def _failed(
    queues: Mapping[str, Watched], undelivered: Mapping[str, sqs.Queue], settings: Settings
) -> Iterable[cloudwatch.Metric]:
    """The queues of what failed, those of the forwarders in other Regions as well."""
    for name, watched in queues.items():
        yield depth_of(watched.dead_letters, _FIVE_MINUTES, name)
    for name, queue in undelivered.items():
        yield depth_of(queue, _FIVE_MINUTES, f"undelivered {name}")
    for region in settings.other_regions:
        yield cloudwatch.Metric(
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            dimensions_map={"QueueName": UNDELIVERED_NAME},
            region=region,
            statistic=cloudwatch.Stats.MAXIMUM,
            period=_FIVE_MINUTES,
            label=f"undelivered events in {region}",
        )


def _invocations(functions: Mapping[str, QueueFunction], *names: str) -> Iterable[cloudwatch.Metric]:
    return (
        invocations_of(function.function, name, _FIVE_MINUTES, label=f"{function_name} {name}")
        for name in names
        for function_name, function in functions.items()
    )


def _durations(functions: Mapping[str, QueueFunction]) -> Iterable[cloudwatch.Metric]:
    return (
        invocations_of(function.function, "Duration", _FIVE_MINUTES, cloudwatch.Stats.percentile(95), name)
        for name, function in functions.items()
    )
