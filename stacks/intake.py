"""From CloudTrail's events to the intake queue."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Duration, Stack, Validations
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from remediator.core.event import DETAIL_TYPE, WATCHED_IAM_EVENTS
from stacks.queues import MAX_RECEIVE_COUNT, dead_letter_queue


class Intake(Construct):
    """A rule that keeps the watched calls that succeeded, and the queue that they wait in for the router.

    The queue between rule and function holds a storm back, and keeps what the function could not take.
    """

    def __init__(self, scope: Construct, construct_id: str, *, consumer_timeout: Duration) -> None:
        """``consumer_timeout`` is the time that the router has for a batch."""
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-queueconfig
            visibility_timeout=Duration.seconds(6 * consumer_timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=MAX_RECEIVE_COUNT, queue=self.dead_letters),
        )
        self.undelivered = dead_letter_queue(self, "Undelivered")
        Validations.of(self.undelivered).acknowledge(
            Acknowledgment(
                id="AwsSolutions-SQS3", reason="It is itself where the rule leaves the events it could not deliver."
            )
        )
        self.rule = events.Rule(
            self,
            "Rule",
            description="Successful IAM calls that can break or enrol a role of an Anyscale cluster",
            event_pattern=events.EventPattern(
                # Nobody but AWS can send an event with this source; without it anyone with PutEvents could forge one.
                source=["aws.iam"],
                account=[Stack.of(self).account],
                detail_type=[DETAIL_TYPE],
                detail={
                    "eventSource": ["iam.amazonaws.com"],
                    "eventName": list(WATCHED_IAM_EVENTS),
                    "errorCode": [{"exists": False}],
                },
            ),
            targets=[targets.SqsQueue(self.queue, dead_letter_queue=self.undelivered)],
        )
