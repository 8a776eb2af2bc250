"""What an alert says, about one role or about no single one, in no channel's form yet."""

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
    """How soon a person should look: not at all, during the day, now."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class WriteState(StrEnum):
    """What became of a write."""

    APPLIED = "applied"
    """It was written and read back."""
    PROPOSED = "proposed"
    """It was not written, but would be."""
    UNCONFIRMED = "unconfirmed"
    """It was written, or may have been, and is not seen."""
    NOT_APPLIED = "not applied"
    """It was tried, and not written."""


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One document before and after, as JSON objects; ``note`` says why it is in its state.

    ``before`` is None where it did not exist, ``after`` where it does not exist any more. ``change_id`` is that of the
    record in the history, empty where nothing was to be written.
    """

    document: str
    state: WriteState
    before: Json | None
    after: Json | None
    note: str = ""
    change_id: str = ""


Point: TypeAlias = tuple[str, ...]
"""One thing that is wrong, or to do: a sentence, and further sentences that explain it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """An alert about one role.

    ``notification_id`` is made from what it says, 32 hex digits: an outcome that is told twice, because it could not be
    remembered that it was told, has the same one. ``incident_id`` is the same in all alerts about one incident of a
    role, from the first to its resolution. ``title`` is what the subject says of the role, ``headline`` the first line.
    Without ``documents`` those of the changes were left out, because they were too long.
    """

    notification_id: str
    kind: OutcomeKind
    hold: Hold | None
    reason: AlertReason
    incident_id: str | None
    severity: Severity
    title: str
    headline: str
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
    """What a notice is about; the values stand where those of outcomes stand."""

    LIMIT_REACHED = "limit-reached"
    """As much was written as is allowed within a window, so that nothing more is."""
    TEST = "test"
    """Somebody tries whether alerts arrive."""


@dataclass(frozen=True, slots=True)
class SystemNotice:
    """A message that is about no single role.

    ``notification_id`` has 32 hex digits; a notice that is published twice has the same one. ``title`` is what the
    subject says, ``headline`` the first line, and ``to_do`` what a person can do, a sentence each. ``limit`` is the
    limit of writes where the notice is about that.
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
    """That no more is written within the window that it is now; all about one window have the same id."""
    window = window_of(now, limit.minutes)
    return SystemNotice(
        notification_id=_id(account, SystemNoticeKind.LIMIT_REACHED, window.key),
        kind=SystemNoticeKind.LIMIT_REACHED,
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


def test_system_notice(account: str, sent_by: str, at: datetime) -> SystemNotice:
    """A sample, by which a person sees whether alerts arrive; ``sent_by`` is the ARN of who sends it."""
    return SystemNotice(
        notification_id=_id(account, sent_by, at.astimezone(UTC).isoformat()),
        kind=SystemNoticeKind.TEST,
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
