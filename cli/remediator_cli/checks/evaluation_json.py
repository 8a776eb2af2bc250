"""An evaluation as one JSON object, in the form of docs/evaluation.schema.json."""

from __future__ import annotations

from typing import Any

from remediator_cli.checks.evaluation import Evaluation, NotRepaired, Write


def evaluation_record(evaluation: Evaluation) -> dict[str, Any]:
    """The members in their fixed order; ``kms`` is there only where the bucket has a customer managed key."""
    record: dict[str, Any] = {
        "id": evaluation.id,
        "ec2_trust": evaluation.trust.verdict.value,
        "s3": {each.action: each.verdict.value for each in evaluation.grants},
    }
    if evaluation.key:
        record["kms"] = {each.action: each.verdict.value for each in evaluation.key}
    record["because"] = list(evaluation.because)
    record["repair"] = {
        "fix_by": {each.action: sorted(each.fix_by) for each in (*evaluation.grants, *evaluation.key) if each.fix_by},
        "writes": [_write(each) for each in evaluation.writes],
        "withheld": [_withheld(each) for each in evaluation.withheld],
        "refused": evaluation.refused,
    }
    return record


def _write(write: Write) -> dict[str, Any]:
    record: dict[str, Any] = {
        "document": write.document,
        "call": write.call,
        "edit": write.edit.value,
        "before": None if write.before is None else write.before.raw,
        "after": None if write.after is None else write.after.raw,
    }
    if write.note:
        record["note"] = write.note
    return record


def _withheld(withheld: NotRepaired) -> dict[str, Any]:
    record: dict[str, Any] = {
        "finding": str(withheld.finding),
        "subject": withheld.subject,
        "actions": list(withheld.actions),
        "because": list(withheld.because),
    }
    if withheld.statements:
        record["statements"] = list(withheld.statements)
    return record
