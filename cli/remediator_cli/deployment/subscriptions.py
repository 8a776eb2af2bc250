"""Whom the topic for people reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from remediator.settings import Settings

_AMAZON_Q: Final = "https://global.sns-api.chatbot.amazonaws.com"
"""https://docs.aws.amazon.com/chatbot/latest/adminguide/chatbot-troubleshooting.html."""
_PENDING: Final = "PendingConfirmation"
"""The value in place of a subscription's ARN until it is confirmed.

https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
"""


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Who is subscribed to the topic for people.

    ``emails`` are addresses that have confirmed, ``unconfirmed`` those that have yet to. ``amazon_q`` says whether
    Amazon Q is subscribed, ``slack_webhook`` whether the queue of the notifier is, and ``others`` how many others are.
    """

    emails: tuple[str, ...]
    unconfirmed: tuple[str, ...]
    amazon_q: bool
    slack_webhook: bool
    others: int

    @property
    def reach_anyone(self) -> bool:
        """Whether alerts reach anyone now."""
        return bool(self.emails or self.amazon_q or self.slack_webhook or self.others)

    def lacking(self, settings: Settings) -> tuple[str, ...]:
        """The configured recipients that are not subscribed, each as the configuration names it."""
        known = {address.lower() for address in (*self.emails, *self.unconfirmed)}
        return (
            *(address for address in settings.emails if address.lower() not in known),
            *(("amazonQ",) if settings.amazon_q and not self.amazon_q else ()),
            *(("slackWebhookSecret",) if settings.slack_webhook_secret and not self.slack_webhook else ()),
        )


def sort_subscriptions(listed: Iterable[Mapping[str, str]], slack_queue: str | None) -> Subscriptions:
    """The subscriptions as SNS lists them; ``slack_queue`` is the name of the notifier's queue, None where none is."""
    emails: list[str] = []
    unconfirmed: list[str] = []
    amazon_q = slack_webhook = False
    others = 0
    for each in listed:
        protocol, endpoint, arn = each["Protocol"], each.get("Endpoint", ""), each["SubscriptionArn"]
        if arn == _PENDING:
            unconfirmed += [endpoint] if protocol.startswith("email") else []
        elif not arn.startswith("arn:"):
            continue  # it is being deleted
        elif protocol.startswith("email"):
            emails.append(endpoint)
        elif endpoint.startswith(_AMAZON_Q):
            amazon_q = True
        elif protocol == "sqs" and endpoint.rpartition(":")[2] == slack_queue:
            slack_webhook = True
        else:
            others += 1
    return Subscriptions(tuple(emails), tuple(unconfirmed), amazon_q, slack_webhook, others)
