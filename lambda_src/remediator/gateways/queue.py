"""Hand a request to the work queue, and have what failed delivered again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remediator.core.request import ReconcileRequest, request_json
from remediator.gateways.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient


class WorkQueue:
    """The FIFO queue in front of the reconciler."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, request: ReconcileRequest) -> None:
        """Queue the request in its group; the same event about the same role is queued once in five minutes.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        """
        with translated("sqs:SendMessage"):
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=request_json(request),
                MessageGroupId=request.group,
                MessageDeduplicationId=request.deduplication_id,
            )


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A message that was received, for the ``count``-th time (from 1), and could not be taken."""

    receipt: str
    count: int

    @property
    def delay(self) -> int:
        """Seconds until it is delivered again: 15, then twice as long each time, at most 15 minutes."""
        return int(min(15 * 2 ** (self.count - 1), 900))


class ConsumedQueue:
    """The queue that a function works off."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def deliver_again(self, failed: Iterable[FailedDelivery]) -> None:
        """Have failed messages (10 at most) delivered again soon, instead of when their visibility timeout ends.

        That timeout is six times the function's, minutes long: too long to wait because of one throttled call. In a
        FIFO queue the messages behind a failed one must be given back too, or they go on blocking their group.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
        """
        entries = [
            {"Id": str(number), "ReceiptHandle": delivery.receipt, "VisibilityTimeout": delivery.delay}
            for number, delivery in enumerate(failed)
        ]
        if entries:
            with translated("sqs:ChangeMessageVisibility"):
                self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]  # a list of the entries' dictionaries
