"""Post a message to Slack: to the URL read again where the former one is refused, and as text where blocks are."""

from __future__ import annotations

from enum import StrEnum

from remediator.errors import MessageRefused, WebhookRefused
from remediator.gateways.secret import WebhookSecret
from remediator.gateways.webhook import Webhook, WebhookUrl


class PostedAs(StrEnum):
    """In which form a message was posted."""

    BLOCKS = "blocks"
    PLAIN = "plain"


def post_to_slack(blocks: str, plain: str, webhook: Webhook, secret: WebhookSecret) -> PostedAs:
    """Post a message once, ``plain`` in place of ``blocks`` only where Slack does not take them.

    Raises any WebhookError, AwsError or UnusableSecret; WebhookRefused only where the URL is refused that the secret
    holds now.
    """
    url = secret.read()
    try:
        return _in_any_form(blocks, plain, webhook, url)
    except WebhookRefused:
        renewed = secret.refetch()
        if renewed == url:
            raise
    return _in_any_form(blocks, plain, webhook, renewed)


def _in_any_form(blocks: str, plain: str, webhook: Webhook, url: WebhookUrl) -> PostedAs:
    try:
        webhook.post(url, blocks)
    except MessageRefused:
        webhook.post(url, plain)
        return PostedAs.PLAIN
    return PostedAs.BLOCKS
