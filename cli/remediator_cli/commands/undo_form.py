"""What came of undoing a change, as a JSON object."""

from __future__ import annotations

from typing import Any

from remediator.core.history.change import Change
from remediator.core.history.undo import UndoRefused
from remediator.core.model.write import Write
from remediator.core.policy.document import Json
from remediator.flows.undo import NotUndone, Undone
from remediator_cli.commands.action_form import document_record, recorded


def undo_record(
    change: Change, planned: Write | UndoRefused, result: Undone | NotUndone | None, found: Json | None
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there.

    ``result`` is None where it was not tried. ``found`` is the document as it is where it differs from what the change
    left, else None.
    """
    done, why = _said(planned, result)
    return {
        "account": change.account,
        "role": {"name": change.role_name, "id": change.role_id, "arn": change.role_arn},
        "undoes": change.change_id,
        "document": document_record(change.document),
        "result": done,
        "why": why,
        "before": planned.before if isinstance(planned, Write) else change.after,
        "after": planned.after if isinstance(planned, Write) else change.before,
        "found": found,
        "warning": (planned.note or None) if isinstance(planned, Write) else None,
        "held_back": isinstance(result, Undone) or (isinstance(result, NotUndone) and result.is_held_back),
        "change": None if result is None else recorded(result.change),
        "trouble": (result.trouble or None) if isinstance(result, Undone) else None,
    }


def _said(planned: Write | UndoRefused, result: Undone | NotUndone | None) -> tuple[str, str | None]:
    """The word for what was done, and why it was not."""
    if isinstance(planned, UndoRefused):
        return "refused", planned.why
    if result is None:
        return "declined", "Nobody said yes."
    return ("undone", None) if isinstance(result, Undone) else ("not-undone", result.why)
