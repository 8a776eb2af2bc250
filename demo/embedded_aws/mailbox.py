# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""The mailbox: keeps the e-mails that SNS sends, which ministack only logs.

On AWS, the recipient must confirm a subscription in the first e-mail; here it is not necessary. The footer with the
unsubscribe link is omitted. https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import sns

_NO_SUBJECT = "AWS Notification Message"

_delivered: list[dict[str, str]] = []


def install() -> None:
    """Make ministack keep every e-mail."""
    fan_out = sns._fanout

    def fan_out_and_keep(
        topic_arn: str,
        message_id: str,
        message: str,
        subject: str,
        message_structure: str = "",
        message_attributes: Mapping[str, Any] | None = None,
        **fifo: str,
    ) -> None:
        fan_out(topic_arn, message_id, message, subject, message_structure, message_attributes, **fifo)
        topic = sns._topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
        body = sns._resolve_message_for_protocol(message, message_structure, "email")
        _delivered.extend(
            {"to": subscription["endpoint"], "subject": subject or _NO_SUBJECT, "body": body}
            for subscription in topic["subscriptions"]
            if subscription["protocol"] == "email"
            and sns._matches_filter_policy(subscription, message_attributes or {}, body)
        )

    sns._fanout = fan_out_and_keep


def delivered() -> list[dict[str, str]]:
    """Return all e-mails so far, oldest first, each with ``to``, ``subject`` and ``body``."""
    return list(_delivered)
