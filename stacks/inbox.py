"""The event bus in the home region that receives events from the forwarders in other Regions."""

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
"""Name prefix of the forwarders' rules; the inbox accepts events from no other rule."""

_BUS_NAME: Final = f"{RULE_PREFIX}Inbox"


def inbox_arn(settings: Settings, account: str) -> str:
    """Return the ARN of the bus. Its name is fixed, so a stack in another Region can refer to it."""
    return f"arn:aws:events:{settings.region}:{account}:event-bus/{_BUS_NAME}"


class Inbox(Construct):
    """A bus that only the forwarders' rules can send to, and a rule that sends their events to the intake queue.

    The bus policy allows the rules by name and Region. Principals in the account that may call PutEvents on any bus do
    not need it. They still cannot forge an event: only AWS can send one whose source begins with ``aws.``.
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
            description="Receives events from the Anyscale role remediator's forwarders in other Regions",
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
