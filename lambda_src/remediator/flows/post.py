"""Post a message to Slack: to the URL read anew where the former one is refused, and as text where blocks are."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from remediator.core.alerts.slack_message import SlackMessage
from remediator.errors import MessageRefused, WebhookRefused
from remediator.gateways.webhook import WebhookUrl


class UrlSource(Protocol):
    """Where the URL is kept; it promises what ``gateways.secret.WebhookSecret`` promises."""

    def read(self) -> WebhookUrl:
        """The URL, as it is now or was a short while ago."""
        ...

    def read_anew(self) -> WebhookUrl:
        """The URL as it is now."""
        ...


class Poster(Protocol):
    """What posts; it promises what ``gateways.webhook.Webhook`` promises."""

    def post(self, url: WebhookUrl, message: str) -> None:
        """Post the message."""
        ...


class PostedAs(StrEnum):
    """In which form a message was posted."""

    BLOCKS = "blocks"
    PLAIN = "plain"


def post(message: SlackMessage, *, webhook: Poster, secret: UrlSource) -> PostedAs:
    """Post the message once.

    Raises any WebhookError, AwsError or UnusableSecret; WebhookRefused only where the URL is refused that the secret
    holds now.
    """
    url = secret.read()
    try:
        return _in_any_form(message, webhook, url)
    except WebhookRefused:
        renewed = secret.read_anew()
        if renewed == url:
            raise
    return _in_any_form(message, webhook, renewed)


def _in_any_form(message: SlackMessage, webhook: Poster, url: WebhookUrl) -> PostedAs:
    try:
        webhook.post(url, message.blocks)
    except MessageRefused:
        webhook.post(url, message.plain)
        return PostedAs.PLAIN
    return PostedAs.BLOCKS
