"""Publish alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remediator.core.alerts.alert_json import attributes_of, record_json
from remediator.core.alerts.notification import Notice, Notification
from remediator.gateways.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_sns.client import SNSClient


PUBLISH: Final = "sns:Publish"
"""The operation of the errors that mean that an alert was not published."""


class AlertsTopic:
    """The SNS topic that machines subscribe to: it carries every alert."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, alert: Notification | Notice) -> None:
        """Publish one alert as JSON, with attributes to filter on.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
        """
        with translated(PUBLISH):
            self._client.publish(
                TopicArn=self._arn,
                Message=record_json(alert),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes_of(alert).items()
                },
            )
