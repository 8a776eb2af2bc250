"""From CloudTrail's events to the intake queue."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from constructs import Construct

from remediator.settings import Settings
from stacks.inbox import Inbox
from stacks.queues import dead_letter_queue, standard_queue, undelivered_queue
from stacks.watched_rules import RULE_PREFIX, WatchedRules, admit_rules, watched_rules


class Intake(Construct):
    """Rules that keep the watched calls that succeeded, and the queue that they wait in for the router.

    The queue between rules and function holds a storm back, and keeps what the function could not take. ``inbox`` is
    where other Regions send theirs, None where no bucket lives elsewhere.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, consumer_timeout: Duration) -> None:
        """``consumer_timeout`` is the time that the router has for a batch."""
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = standard_queue(self, "Queue", dead_letters=self.dead_letters, consumer_timeout=consumer_timeout)
        self.undelivered = undelivered_queue(self, "Undelivered")
        for queue in (self.queue, self.undelivered):
            admit_rules(queue)
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
