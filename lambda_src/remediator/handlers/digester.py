"""The digester: hands alerts to people, the first of a storm one by one and the others as digests."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from functools import cache, partial
from typing import Final, assert_never

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.alerts.digest import DIGEST
from remediator.flows.announce import (
    Announced,
    AskedAgain,
    DigestTold,
    HeldBack,
    NothingHeld,
    ToldAlone,
    announce,
)
from remediator.gateways.digests import DigestQueue, DigestWindows
from remediator.gateways.people_topic import PeopleMessage, PeopleTopic
from remediator.handlers.consumer import Event, client, consume, count, function, logger, now, require_time, settings
from remediator.handlers.once import once

ENOUGH_MILLISECONDS: Final = 12_000
"""What is left for a message that is begun: half a dozen calls for an alert, and the pages of a digest."""


@function
def handle(event: Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Announce a batch of the digest queue; a record that fails is retried alone and ends in the dead-letter queue."""
    counts: Counter[str] = Counter()
    ends = DigestQueue(client("sqs"), os.environ["CONSUMED_QUEUE_URL"])
    topic = PeopleTopic(client("sns"), os.environ["PEOPLE_TOPIC_ARN"])

    def tell(message: PeopleMessage, told_as: str) -> None:
        if once(partial(topic.publish, message), told_as, context, function="DIGESTER", done="told"):
            counts["DigestsSent" if message.attributes["outcome"] == DIGEST else "AlertsTold"] += 1
        else:
            logger.info("told already", told_as=told_as)

    @cache
    def windows() -> DigestWindows:
        limit = settings().digest
        return DigestWindows(client("dynamodb"), os.environ["HISTORY_TABLE"], alone=limit.alone, minutes=limit.minutes)

    def work(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id)
        require_time(context, ENOUGH_MILLISECONDS, "announce")
        sent_at = datetime.fromtimestamp(int(record.attributes.sent_timestamp) / 1000, UTC)
        announced = announce(record.body, sent_at=sent_at, now=now(), windows=windows(), ends=ends, tell=tell)
        counts["AlertsHeld"] += isinstance(announced, HeldBack)
        _log(announced)

    answer = consume(event, context, work)
    count(**{name: counts[name] for name in ("AlertsTold", "AlertsHeld", "DigestsSent")})
    return answer


def _log(announced: Announced) -> None:
    match announced:
        case ToldAlone(alert_id):
            logger.info("told alone", alert=alert_id)
        case HeldBack(alert_id, window):
            logger.info("held for a digest", alert=alert_id, window=window.key)
        case DigestTold(window, alerts):
            logger.info("digest told", window=window.key, alerts=alerts)
        case AskedAgain(window):
            logger.info("the window is not over yet", window=window.key)
        case NothingHeld(window):
            logger.info("nothing waits for the digest", window=window.key)
        case _ as never:
            assert_never(never)
