"""An evaluation as one JSON object, in the form of docs/evaluation.schema.json."""

from __future__ import annotations

from typing import Any

from remediator_cli.checks.evaluation import CaseWrite, Evaluation, NotRepaired


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


def _write(planned: CaseWrite) -> dict[str, Any]:
    record: dict[str, Any] = {
        "document": str(planned.write.document),
        "call": planned.call,
        "edit": planned.edit.value,
        "before": planned.write.before,
        "after": planned.write.after,
    }
    if planned.write.note:
        record["note"] = planned.write.note
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
