"""Hand a request to the work queue."""

from __future__ import annotations

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
