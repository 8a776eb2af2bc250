"""The queue that decides what is reconciled when, those before it and after it, and those that keep what failed."""

from __future__ import annotations

from typing import Final

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

MAX_RECEIVE_COUNT: Final = 8
"""How often a message is tried: with the functions' growing delays, for about half an hour of trouble at AWS."""


class FifoWorkQueue(Construct):
    """The FIFO queue of roles to reconcile: one message group per document, so that each has one writer at a time.

    High throughput: the groups do not share one limit, and a deduplication id counts within its group.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, consumer_timeout: Duration) -> None:
        """``consumer_timeout`` is the time that the reconciler has for a batch."""
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", fifo=True)
        self.queue = sqs.Queue(
            self,
            "Queue",
            fifo=True,
            deduplication_scope=sqs.DeduplicationScope.MESSAGE_GROUP,
            fifo_throughput_limit=sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=_visibility(consumer_timeout),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=MAX_RECEIVE_COUNT, queue=self.dead_letters),
        )


class TopicQueue(Construct):
    """A queue of what a topic carries, each message as it was published, for a function that tells it on.

    Its policy lets SNS send for that topic alone. SNS needs no key for a queue that SQS encrypts with its own.
    https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.Topic,
        undelivered: sqs.Queue,
        consumer_timeout: Duration,
    ) -> None:
        """``undelivered`` keeps what SNS cannot deliver, ``consumer_timeout`` is what the function has for a batch."""
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = standard_queue(self, "Queue", dead_letters=self.dead_letters, consumer_timeout=consumer_timeout)
        topic.add_subscription(
            subscriptions.SqsSubscription(self.queue, raw_message_delivery=True, dead_letter_queue=undelivered)
        )


def standard_queue(
    scope: Construct,
    construct_id: str,
    *,
    dead_letters: sqs.Queue,
    consumer_timeout: Duration,
    batching_window: Duration | None = None,
) -> sqs.Queue:
    """A queue whose messages may come in any order and twice, for a function that has ``consumer_timeout`` for a batch.

    ``batching_window`` is how long Lambda waits for a batch to fill, None where it does not wait.
    """
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        visibility_timeout=_visibility(consumer_timeout, batching_window),
        dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=MAX_RECEIVE_COUNT, queue=dead_letters),
    )


def _visibility(consumer_timeout: Duration, batching_window: Duration | None = None) -> Duration:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-queueconfig."""
    waiting = batching_window.to_seconds() if batching_window else 0
    return Duration.seconds(6 * consumer_timeout.to_seconds() + waiting)


def dead_letter_queue(scope: Construct, construct_id: str, *, fifo: bool = False) -> sqs.Queue:
    """A queue that keeps what failed for as long as SQS can: 14 days, for a person to look at and send back."""
    return sqs.Queue(
        scope,
        construct_id,
        fifo=fifo or None,  # CloudFormation knows no FifoQueue: false
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )


def undelivered_queue(scope: Construct, construct_id: str) -> sqs.Queue:
    """A queue that keeps, for 14 days, what rules or topics could not deliver."""
    queue = dead_letter_queue(scope, construct_id)
    Validations.of(queue).acknowledge(
        Acknowledgment(
            id="AwsSolutions-SQS3", reason="It is itself where rules and topics leave what they could not deliver."
        )
    )
    return queue
