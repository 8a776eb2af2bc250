"""The message of the work queue: which role to reconcile, and what made us look."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from remediator.core.events.event import Cause, RoleTrigger
from remediator.core.events.message_fields import read_cause, read_optional_text, read_text
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
    return json.dumps({"format": FORMAT, **asdict(request)}, separators=(",", ":"))


def parse_request(text: str) -> ReconcileRequest:
    """Read a message of the work queue.

    Raises MalformedRequest, saying what is wrong, for anything that ``request_json`` of this version did not write.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"the message is not JSON: {error}") from error
    if not isinstance(message, dict) or message.get("format") != FORMAT:
        raise MalformedRequest(f"the message is not of format {FORMAT}, the one that this version understands")
    try:
        return ReconcileRequest(
            account=read_text(message, "account"),
            role_name=read_text(message, "role_name"),
            cause=read_cause(message["cause"]),
            bucket=read_optional_text(message, "bucket"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedRequest(f"the message lacks a field or holds a wrong one: {str(error)[:200]}") from error
