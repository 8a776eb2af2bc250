"""Publish alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from remediator.core.message import Alert
from remediator.gateways.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_sns.client import SNSClient


PUBLISH: Final = "sns:Publish"
"""The operation of the errors that mean that an alert was not published."""


class AlertsTopic:
    """The SNS topic that people and machines subscribe to."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, alert: Alert) -> None:
        """Publish one alert: text for e-mail, JSON for every other protocol, attributes to filter on.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
        """
        with translated(PUBLISH):
            self._client.publish(
                TopicArn=self._arn,
                Subject=alert.subject,
                MessageStructure="json",
                Message=alert.message,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in alert.attributes.items()
                },
            )
