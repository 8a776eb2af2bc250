"""The stack for every other Region that has buckets: it forwards the calls recorded there to the home region."""

from __future__ import annotations

from typing import Final

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from remediator.settings import Settings
from stacks.inbox import FORWARDER_PREFIX, inbox_arn
from stacks.queues import undelivered_queue
from stacks.watched_rules import WatchedRules, allow_rules, watched_rules

UNDELIVERED_NAME: Final = f"{FORWARDER_PREFIX}Undelivered"
"""Fixed name of the queue for events that could not be forwarded; the home region's dashboard shows it."""


class ForwarderStack(Stack):
    """Rules on the default event bus of a Region → the inbox bus of the home region.

    Sending to a bus in another Region requires a role:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, region: str) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=settings.account, region=region),
            description=f"Anyscale role remediator: forwards bucket and key calls in {region} to {settings.region}",
            tags={"application": "anyscale-role-remediator"},
        )
        inbox = inbox_arn(settings, self.account)
        undelivered = undelivered_queue(self, "Undelivered")
        queue = undelivered.node.default_child
        if not isinstance(queue, sqs.CfnQueue):
            raise TypeError("a Queue has a CfnQueue as its default child")
        queue.queue_name = UNDELIVERED_NAME
        allow_rules(undelivered)
        role = iam.Role(
            self,
            "Role",
            description="Allows EventBridge to send events to the inbox bus of the Anyscale role remediator",
            assumed_by=iam.ServicePrincipal(
                "events.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": self.account},
                    "ArnLike": {"aws:SourceArn": (f"arn:aws:events:{region}:{self.account}:rule/{FORWARDER_PREFIX}-*")},
                },
            ),
        )
        role.add_to_policy(iam.PolicyStatement(sid="Forward", actions=["events:PutEvents"], resources=[inbox]))
        rules = WatchedRules(
            self,
            "Rules",
            rules=watched_rules(settings, region, self.account),
            prefix=FORWARDER_PREFIX,
            target_arn=inbox,
            undelivered=undelivered,
            role=role,
        )
        rules.node.add_dependency(role)  # with its policy: EventBridge checks it when the target is created
        CfnOutput(
            self,
            "UndeliveredEventsUrl",
            value=undelivered.queue_url,
            description="Events that this Region's rules could not send to the home region",
        )
