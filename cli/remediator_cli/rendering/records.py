"""What the JSON objects of several commands have in common. Their members have a fixed order and are always there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from remediator.core.history.change import Change
from remediator.core.history.pause import Pause
from remediator.core.history.role_record import Conflict
from remediator.core.model.finding import BlockedRepair, Finding
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentId
from remediator_cli.deployment.stack_outputs import Deployment


def role_record(role: Role) -> dict[str, Any]:
    """A role by its name, its unique id and its ARN."""
    return {"name": role.arn.name, "id": role.role_id, "arn": str(role.arn)}


def role_of_change(change: Change) -> dict[str, Any]:
    """The same for the role of a change."""
    return {"name": change.role_name, "id": change.role_id, "arn": change.role_arn}


def tag_record(key: str, before: str | None, after: str | None) -> dict[str, Any]:
    """A tag as it was and as it is; None where the role does not carry it."""
    return {"key": key, "before": before, "after": after}


def document_record(document: DocumentId) -> dict[str, Any]:
    """A document as the history names it."""
    return {"kind": document.kind, "name": document.name or None, "region": document.region}


def finding_records(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings with their reasons, and the actions that they are about."""
    return [
        {"code": each.code, "subject": each.subject, "because": list(each.because), "actions": list(each.actions)}
        for each in findings
    ]


def blocked_repair_records(blocked: Iterable[BlockedRepair]) -> list[dict[str, Any]]:
    """Findings whose repair is blocked, with the reasons."""
    found = ((each.finding, list(each.because)) for each in blocked)
    return [{"code": each.code, "subject": each.subject, "because": because} for each, because in found]


def recorded(change: Change | None) -> dict[str, Any] | None:
    """A change by its id in the history, with its state; None where none was recorded."""
    return None if change is None else {"id": change.change_id, "state": change.state}


def conflict_record(conflict: Conflict | None) -> dict[str, Any] | None:
    """Since when it lasts, and who undoes the repairs; None where there is none."""
    return None if conflict is None else {"since": conflict.since.isoformat(), "undone_by": list(conflict.actors)}


def pause_record(pause: Pause) -> dict[str, Any]:
    """What is paused."""
    return {"everything": pause.everything, "clouds": sorted(pause.clouds)}


def writes_record(
    account: str, deployment: Deployment, result: str, before: Pause, after: Pause, *, checked: bool = True
) -> dict[str, Any]:
    """What was paused and is; ``checked`` says whether the clouds that were named are known to be there."""
    return {
        "account": account,
        "stack": deployment.stack,
        "region": deployment.region,
        "result": result,
        "before": pause_record(before),
        "paused": pause_record(after),
        "checked": checked,
    }


def enrollment_record(role: Role, tag: dict[str, Any], result: str, why: str | None) -> dict[str, Any]:
    """The result of setting or removing the enrollment tag of a role."""
    return {"account": role.arn.account, "role": role_record(role), "result": result, "why": why, "tag": tag}
