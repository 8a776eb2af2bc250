"""Messages that are about no single role."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from remediator.core.alerts.severity import Severity
from remediator.core.alerts.window import window_of
from remediator.settings import WriteLimit


class NoticeKind(StrEnum):
    """What a notice is about; the values stand where those of outcomes stand."""

    LIMIT_REACHED = "limit-reached"
    """As much was written as is allowed within a window, so that nothing more is."""
    TEST = "test"
    """Somebody tries whether alerts arrive."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What it says, in no channel's form yet.

    ``notification_id`` has 32 hex digits; a notice that is published twice has the same one. ``title`` is what the
    subject says, ``headline`` the first line, and ``to_do`` what a person can do, a sentence each. ``limit`` is the
    limit of writes where the notice is about that.
    """

    notification_id: str
    kind: NoticeKind
    severity: Severity
    title: str
    headline: str
    account: str
    to_do: tuple[str, ...]
    limit: WriteLimit | None = None


def limit_reached(account: str, limit: WriteLimit, now: datetime) -> Notice:
    """That no more is written within the window that it is now; all about one window have the same id."""
    window = window_of(now, limit.minutes)
    return Notice(
        notification_id=_id(account, NoticeKind.LIMIT_REACHED, window.key),
        kind=NoticeKind.LIMIT_REACHED,
        severity=Severity.ERROR,
        title="the limit of writes is reached",
        headline=(
            f"Please look: {limit.writes} documents were written within {limit.minutes} minutes, which is the limit. "
            "Until the next window begins, nothing more is repaired."
        ),
        account=account,
        to_do=(
            "See who breaks so many roles: the history (remediator history) names who caused each repair.",
            "If it is intended, raise `writeLimit` in the configuration and deploy.",
            "What is still broken is found by the next sweep after the window ends.",
        ),
        limit=limit,
    )


def test_notice(account: str, sent_by: str, at: datetime) -> Notice:
    """A sample, by which a person sees whether alerts arrive; ``sent_by`` is the ARN of who sends it."""
    return Notice(
        notification_id=_id(account, sent_by, at.astimezone(UTC).isoformat()),
        kind=NoticeKind.TEST,
        severity=Severity.INFO,
        title="a test",
        headline="This is a test; nothing for you to do. Alerts of the remediator arrive here.",
        account=account,
        to_do=(
            f"{sent_by} has sent it with `remediator test-alert` at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.",
            "Where it should have arrived and has not, see docs/runbook.md.",
        ),
    )


def _id(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
