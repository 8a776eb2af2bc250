"""The message of the work queue: which role to reconcile, and what triggered the check."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from remediator.core.events.event import Cause, RoleTrigger
from remediator.core.events.message_fields import Fields, json_line, read_cause, read_message
from remediator.errors import MalformedRequest

FORMAT = 2
"""Version of the message's form; a message of another version is dead-lettered, never guessed at."""


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """Reconcile this role: a name and the cause, never a copy of state.

    ``bucket`` stands for all buckets whose policies the repair may write (``Settings.shared_bucket``), None where it
    writes only to the role.
    """

    account: str
    role_name: str
    cause: Cause
    bucket: str | None = None

    @property
    def group(self) -> str:
        """The FIFO group (at most 128 characters): one per owner of the documents that a repair may write.

        Messages of one group are handled one after the other, so that a role and the policy of a bucket have one
        writer at a time.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html (MessageGroupId)
        """
        owner = f"role/{self.role_name}" if self.bucket is None else f"bucket/{self.bucket}"
        return f"{self.account}/{owner}"

    @property
    def deduplication_id(self) -> str:
        """64 hex digits made of the event's id and the role.

        Made of the role alone, SQS would swallow a second, real change of the same role for five minutes.
        """
        return hashlib.sha256(f"{self.cause.event_id}\n{self.account}\n{self.role_name}".encode()).hexdigest()


def request_for(trigger: RoleTrigger, *, bucket: str | None = None) -> ReconcileRequest:
    """The request that a trigger asks for; ``bucket`` as in ReconcileRequest."""
    return ReconcileRequest(trigger.account, trigger.role_name, trigger.cause, bucket)


def request_json(request: ReconcileRequest) -> str:
    """The request as one line of JSON; ``parse_request`` reads it back."""
    return json_line({"format": FORMAT, **asdict(request)})


def parse_request(text: str) -> ReconcileRequest:
    """Read a message of the work queue.

    Raises MalformedRequest, saying what is wrong, for anything that ``request_json`` of this version did not write.
    """
    return read_message(text, "a request to reconcile a role", FORMAT, _request, MalformedRequest)


def _request(message: Fields) -> ReconcileRequest:
    return ReconcileRequest(
        account=message.text("account"),
        role_name=message.text("role_name"),
        cause=message.read("cause", read_cause),
        bucket=message.text_or_none("bucket"),
    )
