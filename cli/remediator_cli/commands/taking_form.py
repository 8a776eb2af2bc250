"""What came of taking back what is ours, as a JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remediator.core.repair.removal import Removal
from remediator.flows.remove_grants import FoundGrants, NotRemoved, Removed
from remediator_cli.commands.action_form import document_record, recorded


def taking_back_record(
    account: str,
    stack: str | None,
    found: FoundGrants,
    result: str,
    why: str | None,
    results: Sequence[Removed | NotRemoved] = (),
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there.

    ``stack`` is None where there is none, and so no history; ``results`` are those of the documents in their order, and
    empty where nothing was tried.
    """
    tried: Sequence[Removed | NotRemoved | None] = results or [None] * len(found.removals)
    return {
        "account": account,
        "stack": stack,
        "result": result,
        "why": why,
        "takings": [_removal_record(*each) for each in zip(found.removals, tried, strict=True)],
        "left": [{"what": left.what, "why": left.why} for left in found.left],
    }


def _removal_record(removal: Removal, result: Removed | NotRemoved | None) -> dict[str, Any]:
    done = isinstance(result, Removed)
    return {
        "document": document_record(removal.write.document),
        "role": None if removal.role is None else {"name": removal.role.name, "arn": str(removal.role)},
        "before": removal.write.before,
        "after": removal.write.after,
        "loses": removal.write.note,
        "taken_back": None if result is None else done,
        "why": result.why if isinstance(result, NotRemoved) else None,
        "change": recorded(result.change) if isinstance(result, Removed) else None,
        "trouble": (result.trouble or None) if isinstance(result, Removed) else None,
    }
