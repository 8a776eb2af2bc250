"""The metrics that alarms and the dashboard look at: those that the functions count, and those of AWS.

A label is for the dashboard alone; an alarm on a metric with one becomes an alarm on an expression.
"""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

NAMESPACE: Final = "AnyscaleRemediator"
"""Of what the functions count, each with its own name as the one dimension ``service``: their number is fixed."""


def count_of(
    function: str,
    name: str,
    period: Duration,
    statistic: str = cloudwatch.Stats.SUM,
    label: str | None = None,
) -> cloudwatch.Metric:
    """What a function (``router``) counts under a name."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": function},
        statistic=statistic,
        period=period,
        label=label,
    )


def depth_of(queue: sqs.Queue, period: Duration, label: str | None = None) -> cloudwatch.Metric:
    """How many messages lie in a queue and are not just being worked on."""
    return queue.metric_approximate_number_of_messages_visible(
        period=period, statistic=cloudwatch.Stats.MAXIMUM, label=label
    )


def age_of(queue: sqs.Queue, period: Duration, label: str | None = None) -> cloudwatch.Metric:
    """How many seconds ago the oldest message of a queue was sent."""
    return queue.metric_approximate_age_of_oldest_message(
        period=period, statistic=cloudwatch.Stats.MAXIMUM, label=label
    )


def failed_deliveries_of(topic: sns.Topic, period: Duration) -> cloudwatch.Metric:
    """How many messages could not be delivered to a subscription of a topic.

    https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    """
    return topic.metric_number_of_notifications_failed(period=period, statistic=cloudwatch.Stats.SUM)


def invocations_of(
    function: lambda_.Function,
    name: str,
    period: Duration,
    statistic: str = cloudwatch.Stats.SUM,
    label: str | None = None,
) -> cloudwatch.Metric:
    """What Lambda counts of a function: ``Invocations``, ``Errors``, ``Throttles``, ``Duration``."""
    return function.metric(name, period=period, statistic=statistic, label=label)
