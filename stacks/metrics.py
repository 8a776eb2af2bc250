"""The metrics of the alarms and the dashboard: those that the functions emit, and those of AWS services.

Labels are for the dashboard only: the CDK turns an alarm on a labeled metric into an alarm on an expression.
"""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

NAMESPACE: Final = "AnyscaleRemediator"
"""Namespace of the functions' metrics. The one dimension, ``service``, is the function's name."""


def function_metric(
    function: str,
    name: str,
    period: Duration,
    statistic: str = cloudwatch.Stats.SUM,
    label: str | None = None,
) -> cloudwatch.Metric:
    """Return a metric that a function, for example ``router``, emits."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": function},
        statistic=statistic,
        period=period,
        label=label,
    )


def queue_depth(queue: sqs.Queue, period: Duration, label: str | None = None) -> cloudwatch.Metric:
    """Return the number of messages in a queue that no consumer has in flight."""
    return queue.metric_approximate_number_of_messages_visible(
        period=period, statistic=cloudwatch.Stats.MAXIMUM, label=label
    )


def oldest_message_age(queue: sqs.Queue, period: Duration, label: str | None = None) -> cloudwatch.Metric:
    """Return the age of a queue's oldest message, in seconds."""
    return queue.metric_approximate_age_of_oldest_message(
        period=period, statistic=cloudwatch.Stats.MAXIMUM, label=label
    )


def failed_deliveries(topic: sns.Topic, period: Duration) -> cloudwatch.Metric:
    """Return the number of messages that SNS could not deliver to a subscription of a topic.

    https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    """
    return topic.metric_number_of_notifications_failed(period=period, statistic=cloudwatch.Stats.SUM)


def lambda_metric(
    function: lambda_.Function,
    name: str,
    period: Duration,
    statistic: str = cloudwatch.Stats.SUM,
    label: str | None = None,
) -> cloudwatch.Metric:
    """Return a metric that Lambda emits for a function: ``Invocations``, ``Errors``, ``Throttles``, ``Duration``."""
    return function.metric(name, period=period, statistic=statistic, label=label)
