"""Windows of time that begin at fixed times, so that whoever counts in them counts in the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from remediator.errors import MalformedAlert


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
