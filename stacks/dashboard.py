"""The CloudWatch dashboard."""

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
from stacks.metrics import function_metric, lambda_metric, oldest_message_age, queue_depth

DASHBOARD_NAME: Final = "AnyscaleRemediator"
"""Its name is fixed, so it is easy to find in the console."""

_FIVE_MINUTES: Final = Duration.minutes(5)
_HALF: Final = 12
_THIRD: Final = 8


class Dashboard(Construct):
    """Repairs, open findings, sweep results, and the state of queues and functions.

    The dashboard shows every metric that the functions emit, and no other custom metric.
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
        """The keys of ``queues``, ``undelivered`` and ``functions`` are the names in the labels."""
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
                        markdown=(f"# Anyscale role remediator\nTo handle an alarm, find its name in `{RUNBOOK}`."),
                        width=24,
                        height=2,
                    )
                ],
                [
                    _counts("Repairs", "reconciler", "RolesRepaired", "RepairsProposed", "RepairsFailed"),
                    _counts(
                        "Manual action required", "reconciler", "RolesNeedingAPerson", "RolesContested", "RolesRefused"
                    ),
                    _writes(settings),
                ],
                [
                    _counts(
                        "Reconciled roles",
                        "reconciler",
                        *("RolesReceived", "Reconciled", "RolesClean", "RolesOff", "RolesNotEnrolled"),
                    ),
                    _counts("Events", "router", "EventsReceived", "EventsQueued", "EventsIgnored", "SweepsRequested"),
                    _missed(every_sweep),
                ],
                [
                    _counts(
                        "Sweep results",
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
                    _graph("Age of the oldest message (seconds)", _ages(queues), _THIRD),
                    _graph("Waiting messages", _depths(queues), _THIRD),
                    _graph("Failed messages", _failed(queues, undelivered, settings), _THIRD),
                ],
                [
                    _graph("Errors and throttles", _invocations(functions, "Errors", "Throttles"), _THIRD),
                    _graph("Duration (milliseconds)", _durations(functions), _THIRD),
                    _graph("Invocations", _invocations(functions, "Invocations"), _THIRD),
                ],
                [
                    _seconds_to_repair(),
                    _counts("Alerts that SNS rejected", "reconciler", "AlertsLost", width=_HALF),
                ],
                _notifications(functions),
            ],
        )


def _notifications(functions: Mapping[str, QueueFunction]) -> list[cloudwatch.IWidget]:
    people = ("AlertsTold", "AlertsHeld", "DigestsSent")
    slack = ("SlackPosted", "SlackThrottled", "SlackFailed")
    widgets: list[cloudwatch.IWidget] = [_counts("Messages to people", "digester", *people, width=_HALF)]
    if "notifier" in functions:
        widgets.append(_counts("Messages to Slack", "notifier", *slack, width=_HALF))
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
    return _graph(title, (function_metric(function, name, period, statistic) for name in names), width)


def _writes(settings: Settings) -> cloudwatch.GraphWidget:
    limit = settings.write_limit
    return cloudwatch.GraphWidget(
        title=f"Writes per {limit.minutes} minutes, and the write limit",
        left=[function_metric("reconciler", "Writes", Duration.minutes(limit.minutes))],
        left_annotations=[cloudwatch.HorizontalAnnotation(value=limit.writes, label="limit")],
        left_y_axis=cloudwatch.YAxisProps(min=0),
        width=_THIRD,
    )


def _seconds_to_repair() -> cloudwatch.GraphWidget:
    """From the call that broke a role until the verification of its repair."""
    statistics = {"p50": cloudwatch.Stats.percentile(50), "p99": cloudwatch.Stats.percentile(99)}
    return _graph(
        "Time to repair (seconds)",
        (
            function_metric("reconciler", "SecondsToRepair", _FIVE_MINUTES, statistic, label)
            for label, statistic in statistics.items()
        ),
        _HALF,
    )


def _missed(every_sweep: Duration) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title="Missed by events: roles (left), share of repairs (right)",
        left=[function_metric("sweeper", "DriftMissedByEvents", every_sweep)],
        left_y_axis=cloudwatch.YAxisProps(min=0),
        right=[function_metric("reconciler", "RepairsMissedByEvents", every_sweep, cloudwatch.Stats.AVERAGE)],
        right_y_axis=cloudwatch.YAxisProps(min=0, max=1),
        width=_THIRD,
    )


def _ages(queues: Mapping[str, Watched]) -> Iterable[cloudwatch.Metric]:
    return (oldest_message_age(watched.queue, _FIVE_MINUTES, name) for name, watched in queues.items())


def _depths(queues: Mapping[str, Watched]) -> Iterable[cloudwatch.Metric]:
    return (queue_depth(watched.queue, _FIVE_MINUTES, name) for name, watched in queues.items())


def _failed(
    queues: Mapping[str, Watched], undelivered: Mapping[str, sqs.Queue], settings: Settings
) -> Iterable[cloudwatch.Metric]:
    """Yield the depth of all dead-letter queues, including the forwarders' in other Regions."""
    for name, watched in queues.items():
        yield queue_depth(watched.dead_letters, _FIVE_MINUTES, name)
    for name, queue in undelivered.items():
        yield queue_depth(queue, _FIVE_MINUTES, f"undelivered {name}")
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
        lambda_metric(function.function, name, _FIVE_MINUTES, label=f"{function_name} {name}")
        for name in names
        for function_name, function in functions.items()
    )


def _durations(functions: Mapping[str, QueueFunction]) -> Iterable[cloudwatch.Metric]:
    return (
        lambda_metric(function.function, "Duration", _FIVE_MINUTES, cloudwatch.Stats.percentile(95), name)
        for name, function in functions.items()
    )
