"""What came of one repair by the hand of a person, as a JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from remediator.core.history.change import ChangeState
from remediator.core.model.role import Role
from remediator.core.model.write import Write
from remediator.core.repair.outcome import Applied, NotApplied, Outcome, Unconfirmed, WriteResult
from remediator_cli.commands.action_form import contest_record, document_record, role_record


def apply_record(
    role: Role,
    outcome: Outcome,
    result: str,
    *,
    why: str = "",
    held_back_by: str | None = None,
    told: bool | None = None,
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there.

    ``told`` says whether people were told, and what they were told was remembered; it is None where that was not tried.
    """
    sentences = filter(None, (why or outcome.why, *outcome.notes))
    contest = contest_record(outcome.contest)
    return {
        "account": outcome.account,
        "role": role_record(role),
        "cloud": outcome.cloud,
        "result": result,
        "outcome": outcome.kind,
        "why": " ".join(sentences) or None,
        "held_back_by": held_back_by,
        "refusal": outcome.refusal,
        "findings": [
            {
                "code": finding.code,
                "subject": finding.subject,
                "because": list(finding.because),
                "actions": list(finding.actions),
            }
            for finding in outcome.findings
        ],
        "withheld": [
            {"code": each.finding.code, "subject": each.finding.subject, "because": list(each.because)}
            for each in outcome.withheld
        ],
        "writes": list(_writes(outcome)),
        "contest": None if contest is None else {**contest, "stored": told is not False},
        "told": told,
    }


def _writes(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for result in outcome.results:
        state, why = _state(result)
        change = {"id": result.change_id, "state": state} if result.change_id else None
        yield {**_write_record(result.write), "state": state, "why": why or None, "change": change}
    for write in outcome.proposed:
        yield {**_write_record(write), "state": "proposed", "why": None, "change": None}


def _state(result: WriteResult) -> tuple[ChangeState, str]:
    match result:
        case Applied():
            return ChangeState.COMPLETED, ""
        case Unconfirmed(why=why):
            return ChangeState.UNCONFIRMED, why
        case NotApplied(why=why, is_lost=True):
            return ChangeState.INTENDED, why
        case NotApplied(why=why):
            return ChangeState.NOT_WRITTEN, why
        case _ as never:
            assert_never(never)


def _write_record(write: Write) -> dict[str, Any]:
    return {"document": document_record(write.document), "before": write.before, "after": write.after}
