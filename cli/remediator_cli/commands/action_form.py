"""What the JSON objects of the commands that change something have in common."""

from __future__ import annotations

from typing import Any

from remediator.core.history.change import Change
from remediator.core.history.pause import Pause
from remediator.core.history.role_record import Contest
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentId


def role_record(role: Role) -> dict[str, Any]:
    """A role by its name, its unique id and its ARN."""
    return {"name": role.arn.name, "id": role.role_id, "arn": str(role.arn)}


def tag_record(key: str, before: str | None, after: str | None) -> dict[str, Any]:
    """A tag as it was and as it is; None where the role does not carry it."""
    return {"key": key, "before": before, "after": after}


def document_record(document: DocumentId) -> dict[str, Any]:
    """A document as the history names it."""
    return {"kind": document.kind, "name": document.name or None, "region": document.region}


def recorded(change: Change | None) -> dict[str, Any] | None:
    """A change by its id in the history, with its state; None where none was recorded."""
    return None if change is None else {"id": change.change_id, "state": change.state}


def contest_record(contest: Contest | None) -> dict[str, Any] | None:
    """Since when it lasts, and who undoes our repairs; None where there is none."""
    return None if contest is None else {"since": contest.since.isoformat(), "undone_by": list(contest.actors)}


def pause_record(pause: Pause) -> dict[str, Any]:
    """What is paused."""
    return {"everything": pause.everything, "clouds": sorted(pause.clouds)}
