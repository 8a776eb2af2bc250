"""The path from CloudTrail events to the intake queue."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from constructs import Construct

from remediator.settings import Settings
from stacks.inbox import Inbox
from stacks.queues import dead_letter_queue, standard_queue, undelivered_queue
from stacks.watched_rules import RULE_PREFIX, WatchedRules, allow_rules, watched_rules


class Intake(Construct):
    """Rules that match successful watched calls, and the queue in which they wait for the router.

    The queue absorbs an event storm and keeps events that the router could not process. ``inbox`` receives the events
    of other Regions; it is None if no bucket is in another Region.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, consumer_timeout: Duration) -> None:
        """``consumer_timeout`` is the router's timeout for a batch."""
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = standard_queue(self, "Queue", dead_letters=self.dead_letters, consumer_timeout=consumer_timeout)
        self.undelivered = undelivered_queue(self, "Undelivered")
        for queue in (self.queue, self.undelivered):
            allow_rules(queue)
        WatchedRules(
            self,
            "Rules",
            rules=watched_rules(settings, settings.region, Stack.of(self).account),
            prefix=RULE_PREFIX,
            target_arn=self.queue.queue_arn,
            undelivered=self.undelivered,
        )
        regions = settings.other_regions
        self.inbox = (
            Inbox(self, "Inbox", settings=settings, regions=regions, queue=self.queue, undelivered=self.undelivered)
            if regions
            else None
        )
