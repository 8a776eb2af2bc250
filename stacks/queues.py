"""The work queue, the queues before and after it, and the queues for failed messages."""

from __future__ import annotations

from typing import Final

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

MAX_RECEIVE_COUNT: Final = 8
"""Attempts per message: with the functions' growing delays, enough for an AWS outage of about half an hour."""


class FifoWorkQueue(Construct):
    """The FIFO queue of roles to reconcile: one message group per document, so each document has one writer at a time.

    In high-throughput mode, groups do not share one limit, and a deduplication id applies within its group.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, consumer_timeout: Duration) -> None:
        """``consumer_timeout`` is the reconciler's timeout for a batch."""
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
    """A queue that receives a topic's raw messages for a function that passes them on.

    Its policy allows SNS to send for that topic only. SNS needs no access to a key, because SQS encrypts the queue with
    a key of its own.
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
        """``undelivered`` keeps what SNS cannot deliver; ``consumer_timeout`` is the function's timeout for a batch."""
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
    """Create a standard queue, whose messages can arrive out of order and more than once.

    ``consumer_timeout`` is the function's timeout for a batch. ``batching_window`` is how long Lambda waits for a batch
    to fill; None means no wait.
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
    """Create a queue that keeps failed messages for 14 days, the SQS maximum, so operators can inspect and redrive."""
    return sqs.Queue(
        scope,
        construct_id,
        fifo=fifo or None,  # CloudFormation does not accept FifoQueue: false
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )


def undelivered_queue(scope: Construct, construct_id: str) -> sqs.Queue:
    """Create a queue that keeps, for 14 days, what rules or topics could not deliver."""
    queue = dead_letter_queue(scope, construct_id)
    Validations.of(queue).acknowledge(
        Acknowledgment(id="AwsSolutions-SQS3", reason="This is the dead-letter queue of rules and topics.")
    )
    return queue
