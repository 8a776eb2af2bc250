"""What came of enrolling a role, and of ending that, as JSON objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.core.model.role import Role
from remediator.flows.survey import Survey, Surveyed
from remediator.settings import Settings
from remediator_cli.commands.action_form import role_record
from remediator_cli.commands.fleet_form import fleet_record
from remediator_cli.deployment.fleet import Fleet


def enrolled_record(
    role: Role, tag: Mapping[str, Any], result: str, why: str | None, foreseen: Surveyed, settings: Settings
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there. What is foreseen is that of ``plan``."""
    alone = Fleet(role.arn.account, Survey(1, (foreseen,), ()), ())
    (planned,) = fleet_record(alone, settings)["roles"]
    return {
        **unenrolled_record(role, tag, result, why),
        "foreseen": planned,
        "approvers": [str(each) for each in settings.approvers],
    }


def unenrolled_record(role: Role, tag: Mapping[str, Any], result: str, why: str | None) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there."""
    return {
        "account": role.arn.account,
        "role": role_record(role),
        "result": result,
        "why": why,
        "tag": dict(tag),
    }
