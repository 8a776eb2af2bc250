"""The content of an alert about one role, and of a system notice, independent of the channel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from remediator.core.alerts.decide import AlertReason
from remediator.core.alerts.window import window_of
from remediator.core.events.event import Cause
from remediator.core.model.finding import Finding
from remediator.core.policy.document import Json
from remediator.core.repair.infrastructure_code import PermanentFix
from remediator.core.repair.outcome import Hold, OutcomeKind
from remediator.settings import WriteLimit


class Severity(StrEnum):
    """How soon an operator should act: not at all, during the day, now."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class WriteState(StrEnum):
    """The result of a write."""

    APPLIED = "applied"
    """Written and read back."""
    PROPOSED = "proposed"
    """Not written, but would be."""
    UNCONFIRMED = "unconfirmed"
    """Written, or may have been, and not visible yet."""
    NOT_APPLIED = "not applied"
    """Tried, and not written."""


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One document before and after, as JSON objects; ``note`` explains its state.

    ``before`` is None where the document did not exist, ``after`` where it no longer exists. ``change_id`` is the id of
    the record in the history, empty where nothing was to be written.
    """

    document: str
    state: WriteState
    before: Json | None
    after: Json | None
    note: str = ""
    change_id: str = ""


Point: TypeAlias = tuple[str, ...]
"""A finding or a step: one sentence, and further sentences that explain it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """An alert about one role.

    ``notification_id`` (32 hex digits) is derived from the content, so that an outcome that is alerted twice has the
    same one. ``incident_id`` is the same in all alerts about one incident of a role, from the first to its resolution.
    ``title`` is the state in a few words, ``subject`` the subject line, ``headline`` the first line. ``since`` is when
    the incident was opened, None where nothing is open. ``documents`` is False where the documents of the changes were
    left out because they were too long.
    """

    notification_id: str
    kind: OutcomeKind
    hold: Hold | None
    reason: AlertReason
    incident_id: str | None
    severity: Severity
    title: str
    subject: str
    headline: str
    since: datetime | None
    role_name: str
    role_arn: str | None
    account: str
    cloud: str | None
    wrong: tuple[Point, ...]
    changes: tuple[DocumentChange, ...]
    to_do: tuple[Point, ...]
    causes: tuple[Cause, ...]
    permanent: PermanentFix | None
    compute_configuration: str | None
    undo: tuple[str, ...]
    resume: str | None
    pause: str | None
    findings: tuple[Finding, ...]
    documents: bool = True


class SystemNoticeKind(StrEnum):
    """The subject of a system notice; its values share a field with the outcomes of alerts."""

    LIMIT_REACHED = "limit-reached"
    """The write limit of a window is reached."""
    TEST = "test"
    """An operator tests whether alerts arrive."""


@dataclass(frozen=True, slots=True)
class SystemNotice:
    """A message that is about no single role.

    ``notification_id`` has 32 hex digits; a notice that is published twice has the same one. ``title`` is the subject
    line, ``headline`` the first line, and ``to_do`` the next steps, a sentence each. ``limit`` is the write limit where
    the notice is about that.
    """

    notification_id: str
    kind: SystemNoticeKind
    severity: Severity
    title: str
    headline: str
    account: str
    to_do: tuple[str, ...]
    limit: WriteLimit | None = None


def limit_reached(account: str, limit: WriteLimit, now: datetime) -> SystemNotice:
    """The notice that the write limit of the current window is reached; all notices of one window have the same id."""
    window = window_of(now, limit.minutes)
    return SystemNotice(
        notification_id=_id(account, SystemNoticeKind.LIMIT_REACHED, window.key),
        kind=SystemNoticeKind.LIMIT_REACHED,
        severity=Severity.ERROR,
        title="ACTION REQUIRED: write limit reached, repairs are on hold",
        headline=(
            f"The remediator wrote {limit.writes} documents within {limit.minutes} minutes, which is the limit. "
            f"Repairs are on hold until {window.end:%H:%M} UTC."
        ),
        account=account,
        to_do=(
            "Find the cause: remediator history names the caller behind each repair.",
            "If so many writes are expected, raise `writeLimit` in the configuration and deploy.",
            "The next scheduled sweep after the window repairs what is still broken.",
        ),
        limit=limit,
    )


def test_system_notice(account: str, sent_by: str, at: datetime) -> SystemNotice:
    """A test notice, to check that alerts arrive; ``sent_by`` is the ARN of the sender."""
    return SystemNotice(
        notification_id=_id(account, sent_by, at.astimezone(UTC).isoformat()),
        kind=SystemNoticeKind.TEST,
        severity=Severity.INFO,
        title="Test: alerts of the Anyscale role remediator arrive here",
        headline="This is a test. No action needed.",
        account=account,
        to_do=(
            f"{sent_by} sent it with `remediator test-alert` at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.",
            "If it is missing in a channel, see docs/runbook.md.",
        ),
    )


def _id(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
