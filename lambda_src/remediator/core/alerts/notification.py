"""What people and machines are told of one look at a role: one value, in no channel's form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from remediator.core.alerts.decide import News
from remediator.core.alerts.severity import Severity
from remediator.core.events.event import Cause
from remediator.core.model.finding import Finding
from remediator.core.policy.document import Json
from remediator.core.repair.outcome import Hold, OutcomeKind


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
class Change:
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


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is wrong, or to do: a sentence, and further sentences that explain it."""

    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PermanentFix:
    """The same fix in both languages; each text is complete but for the names that only the reader's code knows."""

    terraform: str
    cloudformation: str


@dataclass(frozen=True, slots=True)
class Notification:
    """Everything that an alert says, in no channel's form yet.

    ``notification_id`` is made from what it says, 32 hex digits: an outcome that is told twice, because it could not be
    remembered that it was told, has the same one. ``incident_id`` is the same in all alerts about one incident of a
    role, from the first to its resolution. ``title`` is what the subject says of the role, ``headline`` the first line.
    Without ``documents`` those of the changes were left out, because they were too long.
    """

    notification_id: str
    kind: OutcomeKind
    hold: Hold | None
    news: News
    incident_id: str | None
    severity: Severity
    title: str
    headline: str
    role_name: str
    role_arn: str | None
    account: str
    cloud: str | None
    wrong: tuple[Point, ...]
    changes: tuple[Change, ...]
    to_do: tuple[Point, ...]
    causes: tuple[Cause, ...]
    permanent: PermanentFix | None
    compute_configuration: str | None
    undo: tuple[str, ...]
    resume: str | None
    pause: str | None
    findings: tuple[Finding, ...]
    documents: bool = True
