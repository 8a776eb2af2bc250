"""The message of the work queue: which role to reconcile, and what made us look."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from remediator.core.event import Actor, Cause, RoleTrigger
from remediator.errors import MalformedRequest

FORMAT = 1
"""Version of the message's form; a message of another version is dead-lettered, never guessed at."""


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """Reconcile this role: a name and the cause, never a copy of state."""

    account: str
    role_name: str
    cause: Cause

    @property
    def group(self) -> str:
        """The FIFO group (at most 128 characters): one per owner of the documents that a repair may write.

        Messages of one group are handled one after the other, so that a role has one writer at a time.
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html (MessageGroupId)
        """
        return f"{self.account}/role/{self.role_name}"

    @property
    def deduplication_id(self) -> str:
        """64 hex digits made of the event's id and the role.

        Made of the role alone, SQS would swallow a second, real change of the same role for five minutes.
        """
        return hashlib.sha256(f"{self.cause.event_id}\n{self.account}\n{self.role_name}".encode()).hexdigest()


def request_for(trigger: RoleTrigger) -> ReconcileRequest:
    """The request that a trigger asks for."""
    return ReconcileRequest(account=trigger.account, role_name=trigger.role_name, cause=trigger.cause)


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
        cause = message["cause"]
        request = ReconcileRequest(
            account=_string(message, "account"),
            role_name=_string(message, "role_name"),
            cause=Cause(
                event_id=_string(cause, "event_id"),
                call=_string(cause, "call"),
                time=_string(cause, "time"),
                actor=Actor(
                    kind=_string(cause["actor"], "kind"),
                    arn=_string(cause["actor"], "arn"),
                    issuer_arn=_optional_string(cause["actor"], "issuer_arn"),
                    invoked_by=_optional_string(cause["actor"], "invoked_by"),
                    user_agent=_optional_string(cause["actor"], "user_agent"),
                ),
            ),
        )
    except (KeyError, TypeError) as error:
        raise MalformedRequest(f"the message lacks a field or holds a wrong one: {error}") from error
    return request


def _string(fields: dict[str, object], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not value:
        raise TypeError(f"`{key}` must be a text")
    return value


def _optional_string(fields: dict[str, object], key: str) -> str | None:
    return None if fields[key] is None else _string(fields, key)
