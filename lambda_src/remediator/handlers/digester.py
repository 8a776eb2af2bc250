"""The digester: hands alerts to people, the first of a storm one by one and the others as digests."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from functools import cache, partial
from typing import Final

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.core.alerts.digest import DIGEST
from remediator.flows.route_alert import Route, route_alert
from remediator.gateways.digests import DigestQueue, DigestWindows
from remediator.gateways.topic import PeopleMessage, PeopleTopic
from remediator.gateways.world import World
from remediator.handlers import consumer
from remediator.handlers.once import once

ENOUGH_MILLISECONDS: Final = 12_000
"""What is left for a message that is begun: half a dozen calls for an alert, and the pages of a digest."""


@cache
def _world(account: str) -> World:
    limit = consumer.settings().digest
    return consumer.make_world(
        account,
        digests=DigestWindows(
            consumer.client("dynamodb"), os.environ["HISTORY_TABLE"], alone=limit.alone, minutes=limit.minutes
        ),
        digest_queue=DigestQueue(consumer.client("sqs"), os.environ["CONSUMED_QUEUE_URL"]),
    )


@consumer.function
def handle(event: consumer.Event, context: LambdaContext) -> PartialItemFailureResponse:
    """Route a batch of the digest queue; a message that fails is retried alone."""
    account = consumer.account_of(context)
    counts: Counter[str] = Counter(AlertsTold=0, AlertsHeld=0, DigestsSent=0)

    def publish(message: PeopleMessage, deduplication_key: str) -> None:
        topic = PeopleTopic(consumer.client("sns"), os.environ["PEOPLE_TOPIC_ARN"])
        if once(partial(topic.publish, message), deduplication_key, context, function="DIGESTER", done="told"):
            counts["DigestsSent" if message.attributes["outcome"] == DIGEST else "AlertsTold"] += 1
        else:
            consumer.logger.info("sent already", deduplication_key=deduplication_key)

    def work(record: SQSRecord) -> None:
        consumer.require_time(context, ENOUGH_MILLISECONDS, "announce")
        sent_at = datetime.fromtimestamp(int(record.attributes.sent_timestamp) / 1000, UTC)
        routed = route_alert(record.body, sent_at, _world(account), publish)
        counts["AlertsHeld"] += routed.route is Route.HELD
        window = None if routed.window is None else routed.window.key
        consumer.logger.info(routed.route, alert=routed.alert_id, window=window, alerts=routed.alerts)

    answer = consumer.consume(event, context, work)
    consumer.count(**counts)
    return answer
