"""Hand requests to the work queue and to the sweep queue, and have what failed delivered again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from remediator.core.events.request import ReconcileRequest, request_json
from remediator.core.events.sweep import SweepMessage, sweep_json
from remediator.errors import AwsError, TransientError, UnknownAwsError
from remediator.gateways.aws_errors import ERROR_CLASSES, translated

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

_AT_ONCE: Final = 10
"""Entries of one batch call at most.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
"""

_T = TypeVar("_T")


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

    def send_all(self, requests: Iterable[ReconcileRequest]) -> None:
        """Queue many requests as ``send`` queues one, ten in a call.

        Every one is tried, unless a call fails as a whole. Raises an AwsError, which names the roles of those that SQS
        did not take; sending all again does no harm. Ten fit into a call (1 MiB) whatever their causes are: their
        texts were cut when the events were read.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
        """
        failed: list[tuple[ReconcileRequest, BatchResultErrorEntryTypeDef]] = []
        for chunk in _chunks(requests):
            with translated("sqs:SendMessage"):
                answer = self._client.send_message_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {
                            "Id": str(number),
                            "MessageBody": request_json(request),
                            "MessageGroupId": request.group,
                            "MessageDeduplicationId": request.deduplication_id,
                        }
                        for number, request in enumerate(chunk)
                    ],
                )
            failed.extend((chunk[int(entry["Id"])], entry) for entry in answer.get("Failed", ()))
        if failed:
            raise _not_taken(failed)


class SweepQueue:
    """The standard queue in front of the sweeper."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, request: SweepMessage) -> None:
        """Queue what asks for a sweep, or a sweep to go on with."""
        with translated("sqs:SendMessage"):
            self._client.send_message(QueueUrl=self._url, MessageBody=sweep_json(request))


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A message that was received, for the ``count``-th time (from 1), and could not be taken.

    ``after`` are the seconds to wait, where somebody has said so, at most 15 minutes.
    """

    receipt: str
    count: int
    after: int | None = None

    @property
    def delay(self) -> int:
        """Seconds until it is delivered again: ``after``; else 15, then twice as long each time, at most 15 minutes."""
        wanted = 15 * 2 ** (self.count - 1) if self.after is None else self.after
        return int(min(wanted, 900))


class ConsumedQueue:
    """The queue that a function consumes."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def deliver_again(self, failed: Iterable[FailedDelivery]) -> None:
        """Have failed messages delivered again soon, instead of when their visibility timeout ends.

        That timeout is six times the function's, minutes long: too long to wait because of one throttled call. In a
        FIFO queue the messages behind a failed one must be given back too, or they go on blocking their group.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
        """
        for chunk in _chunks(failed):
            with translated("sqs:ChangeMessageVisibility"):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": delivery.receipt, "VisibilityTimeout": delivery.delay}
                        for number, delivery in enumerate(chunk)
                    ],
                )


def _chunks(items: Iterable[_T]) -> Iterator[tuple[_T, ...]]:
    remaining = iter(items)
    while chunk := tuple(islice(remaining, _AT_ONCE)):
        yield chunk


def _not_taken(failed: list[tuple[ReconcileRequest, BatchResultErrorEntryTypeDef]]) -> AwsError:
    """The error of those that SQS did not take: the first that trying again cannot help, else the first."""
    kinds = [(_kind_of(entry), entry) for _, entry in failed]
    kind, entry = next((each for each in kinds if not issubclass(each[0], TransientError)), kinds[0])
    names = sorted({request.role_name for request, _ in failed})
    shown = ", ".join(names[:_AT_ONCE]) + (f" and {len(names) - _AT_ONCE} more" if len(names) > _AT_ONCE else "")
    why = entry.get("Message") or "SQS does not say why"
    return kind("sqs:SendMessage", entry["Code"], f"not queued: {shown}; {why}")


def _kind_of(entry: BatchResultErrorEntryTypeDef) -> type[AwsError]:
    return ERROR_CLASSES.get(entry["Code"], UnknownAwsError if entry["SenderFault"] else TransientError)
