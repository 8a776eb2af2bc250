"""What came of taking back what is ours, as a JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remediator.core.repair.removal import Taking
from remediator.flows.taking_back import Found, NotTakenBack, TakenBack
from remediator_cli.commands.action_form import document_record, recorded


def taking_back_record(
    account: str,
    stack: str | None,
    found: Found,
    result: str,
    why: str | None,
    results: Sequence[TakenBack | NotTakenBack] = (),
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there.

    ``stack`` is None where there is none, and so no history; ``results`` are those of the documents in their order, and
    empty where nothing was tried.
    """
    tried: Sequence[TakenBack | NotTakenBack | None] = results or [None] * len(found.takings)
    return {
        "account": account,
        "stack": stack,
        "result": result,
        "why": why,
        "takings": [_taking_record(*each) for each in zip(found.takings, tried, strict=True)],
        "left": [{"what": left.what, "why": left.why} for left in found.left],
    }


def _taking_record(taking: Taking, result: TakenBack | NotTakenBack | None) -> dict[str, Any]:
    done = isinstance(result, TakenBack)
    return {
        "document": document_record(taking.document),
        "role": None if taking.role is None else {"name": taking.role.name, "arn": str(taking.role)},
        "before": taking.before,
        "after": taking.after,
        "loses": taking.loses,
        "taken_back": None if result is None else done,
        "why": result.why if isinstance(result, NotTakenBack) else None,
        "change": recorded(result.change) if isinstance(result, TakenBack) else None,
        "trouble": (result.trouble or None) if isinstance(result, TakenBack) else None,
    }
