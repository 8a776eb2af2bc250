"""The event bus of the home region that the forwarders of other Regions send to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from remediator.settings import Settings
from stacks.watched_rules import RULE_PREFIX, WatchedRules, forwarded_rule

FORWARDER_PREFIX: Final = f"{RULE_PREFIX}Forwarder"
"""The beginning of the names of the forwarders' rules; the inbox admits no others."""

_BUS_NAME: Final = f"{RULE_PREFIX}Inbox"


def inbox_arn(settings: Settings, account: str) -> str:
    """The ARN of the bus. Its name is fixed, so that a stack of another Region can name it."""
    return f"arn:aws:events:{settings.region}:{account}:event-bus/{_BUS_NAME}"


class Inbox(Construct):
    """A bus for the rules of our forwarders alone, and a rule that sends what they let through to the intake queue.

    Its policy admits the rules by name and Region. Principals of the account that may call PutEvents everywhere need
    no such policy; they cannot forge an event, because nobody but AWS can send one whose source begins with ``aws.``.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-example-policy-restrict-rule.html
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        regions: Sequence[str],
        queue: sqs.Queue,
        undelivered: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        account = Stack.of(self).account
        self.arn = inbox_arn(settings, account)
        forwarders = [f"arn:aws:events:{region}:{account}:rule/{FORWARDER_PREFIX}-*" for region in regions]
        bus = events.CfnEventBus(
            self,
            "Bus",
            name=_BUS_NAME,
            description="Where the forwarders of the Anyscale role remediator send calls on buckets and keys elsewhere",
            policy={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "OurForwarders",
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                        "Action": "events:PutEvents",
                        "Resource": self.arn,
                        "Condition": {"ArnLike": {"aws:SourceArn": forwarders}},
                    }
                ],
            },
        )
        WatchedRules(
            self,
            "Rules",
            rules=[forwarded_rule(regions, account)],
            prefix=RULE_PREFIX,
            target_arn=queue.queue_arn,
            undelivered=undelivered,
            bus=bus,
        )
