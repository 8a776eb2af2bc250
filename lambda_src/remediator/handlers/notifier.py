"""The notifier: posts to Slack what people are notified of. It writes nothing but that it has."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import cache

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.alerts.slack_message import slack_message
from remediator.core.alerts.topic_messages import topic_message_layout
from remediator.errors import WebhookThrottled
from remediator.flows.post_to_slack import PostedAs, post_to_slack
from remediator.gateways.secret import WebhookSecret
from remediator.gateways.webhook import Webhook
from remediator.handlers import consumer
from remediator.handlers.once import once

ENOUGH_MILLISECONDS = 40_000
"""What is left for a message that is begun: at worst both its forms are posted to two URLs, and each answer is late."""

PACE_SECONDS = 2
"""Between two posts of an invocation: two run at the same time at most, and Slack takes one message a second.

https://docs.slack.dev/apis/web-api/rate-limits#incoming-webhooks
"""


@cache
def _webhook() -> Webhook:
    return Webhook()


@cache
def _secret() -> WebhookSecret:
    return WebhookSecret(consumer.client("secretsmanager"), os.environ["WEBHOOK_SECRET"], clock=time.monotonic)


@cache
def _closed() -> _Closed:
    return _Closed(clock=time.monotonic)


@consumer.function
def handle(event: consumer.Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Post a batch of the queue to Slack, each message once; one that fails is retried and ends in the dead letters.

    After Slack has said that it takes no more, nothing else is posted, and all of it comes back, one after the other,
    when Slack takes messages again.
    """
    counts: Counter[str] = Counter(SlackPosted=0, SlackThrottled=0, SlackFailed=0)
    put_off: dict[str, int] = {}

    def work(record: SQSRecord) -> None:
        if not _closed().seconds_left:
            consumer.require_time(context, ENOUGH_MILLISECONDS, "post")
        try:
            posted = _post_once(record.body, context, is_first=not counts["SlackPosted"])
        except IdempotencyAlreadyInProgressError:
            raise  # another invocation is about to post it; the next delivery finds that it has, or does it
        except Exception:
            left = _closed().seconds_left
            if left:
                # One after the other, so that they do not all meet the next refusal.
                put_off[record.receipt_handle] = left + PACE_SECONDS * len(put_off)
            counts["SlackThrottled" if left else "SlackFailed"] += 1
            raise
        counts["SlackPosted"] += posted is not None
        consumer.logger.info("posted already" if posted is None else "posted", form=posted)

    answer = consumer.consume(event, context, work, delays=put_off)
    consumer.count(**counts)
    return answer


class _Closed:
    """That Slack has said that it takes no more messages for some time, as long as that lasts; ``clock`` in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = clock()

    def close(self, seconds: int) -> None:
        """Nothing is to be posted for that long."""
        self._until = self._clock() + seconds

    @property
    def seconds_left(self) -> int:
        """For how many seconds more; 0 where Slack takes messages."""
        return max(0, math.ceil(self._until - self._clock()))


def _post_once(body: str, context: LambdaContext, *, is_first: bool) -> PostedAs | None:
    """Post what a message says, unless it was posted before; the form in which it was, or None.

    Nothing is posted before Slack takes messages again. All but the first of an invocation wait a little.
    """
    blocks, plain = slack_message(topic_message_layout(body))
    if left := _closed().seconds_left:
        raise WebhookThrottled(left)
    posted: list[PostedAs] = []

    def post_it() -> None:
        if not is_first:
            consumer.sleep(PACE_SECONDS)
        try:
            posted.append(post_to_slack(blocks, plain, _webhook(), _secret()))
        except WebhookThrottled as error:
            _closed().close(error.seconds)
            raise

    once(post_it, body, context, function="NOTIFIER", done="posted")
    return posted[0] if posted else None
