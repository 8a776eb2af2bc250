"""Windows of time that begin at fixed times, so that every function counts in the same ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from remediator.core.events.message_fields import Fields, json_line, read_message
from remediator.errors import MalformedAlert

_FORMAT: Final = 1
_DIGEST: Final = "digest"


@dataclass(frozen=True, slots=True)
class Window:
    """The alerts that were sent from ``start`` on and before ``end`` (both with their zone)."""

    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """The window as ISO 8601 writes it; ``parse_window`` reads it back."""
        return f"{self.start.isoformat()}/{self.end.isoformat()}"


def window_of(at: datetime, minutes: int) -> Window:
    """The window of that many minutes that a time lies in."""
    seconds = minutes * 60
    start = datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)
    return Window(start, start + timedelta(seconds=seconds))


def parse_window(key: str) -> Window:
    """The window of that key. Raises MalformedAlert for anything else."""
    try:
        start, end = map(datetime.fromisoformat, key.split("/"))
    except ValueError as error:
        raise MalformedAlert(f"{key[:80]!r} is not a window of alerts: {str(error)[:200]}") from error
    if start.tzinfo is None or end.tzinfo is None or end <= start:
        raise MalformedAlert(f"{key[:80]!r} is not a window of alerts: it names no zone, or ends before it begins")
    return Window(start.astimezone(UTC), end.astimezone(UTC))


def window_end_json(window: Window) -> str:
    """The message that asks for the digest of a window; ``parse_window_end`` reads it back."""
    return json_line({"format": _FORMAT, _DIGEST: window.start.isoformat(), "until": window.end.isoformat()})


def parse_window_end(text: str) -> Window | None:
    """The window whose digest a message asks for; None where it is another message.

    Raises MalformedAlert where it asks for a digest in a form that this version does not know.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedAlert(f"the message is not JSON: {str(error)[:200]}") from error
    if not isinstance(message, dict) or _DIGEST not in message:
        return None

    def read(fields: Fields) -> Window:
        return parse_window(f"{fields.text(_DIGEST)}/{fields.text('until')}")

    return read_message(text, "a message that asks for a digest", _FORMAT, read, MalformedAlert)
