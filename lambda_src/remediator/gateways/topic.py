"""Publish alerts: for machines as JSON, and for people in the form of each channel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from remediator.core.alerts.alert_json import attributes_of, record_json
from remediator.core.alerts.notification import Notification, SystemNotice
from remediator.gateways.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_sns.client import SNSClient

PUBLISH: Final = "sns:Publish"
"""The operation of the errors that mean that an alert was not published."""

MESSAGE_LIMIT: Final = 250_000
"""Bytes of all forms together; SNS takes 262,144, the attributes included.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (Message)
"""


@dataclass(frozen=True, slots=True)
class PeopleMessage:
    """One message, in the form of each channel.

    ``email`` is text, ``chat`` a custom notification of Amazon Q, ``default`` the JSON for whatever else subscribes.
    ``subject`` has at most 99 ASCII characters on one line. ``attributes`` are what subscriptions filter on.
    """

    subject: str
    email: str
    chat: str
    default: str
    attributes: Mapping[str, str]

    @property
    def text(self) -> str:
        """What is handed to SNS, which gives each protocol its own form.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (MessageStructure)
        """
        forms = {"default": self.default, "email": self.email, "https": self.chat}
        return json.dumps(forms, ensure_ascii=False, separators=(",", ":"))

    @property
    def size(self) -> int:
        """Bytes of what is handed to SNS, without the attributes."""
        return len(self.text.encode())


class _Topic:
    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def _publish(self, attributes: Mapping[str, str], **message: Any) -> None:  # noqa: ANN401 - the SDK's own arguments
        """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""
        with translated(PUBLISH):
            self._client.publish(
                TopicArn=self._arn,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
                **message,
            )


class AlertsTopic(_Topic):
    """The SNS topic that machines subscribe to: it carries every alert."""

    def publish(self, alert: Notification | SystemNotice) -> None:
        """Publish one alert as JSON, with attributes to filter on. Raises any AwsError."""
        self._publish(attributes_of(alert), Message=record_json(alert))


class PeopleTopic(_Topic):
    """The SNS topic that people subscribe to: e-mail, Amazon Q, and the queue of the notifier."""

    def publish(self, message: PeopleMessage) -> None:
        """Publish one message. Raises any AwsError."""
        self._publish(message.attributes, Subject=message.subject, Message=message.text, MessageStructure="json")
