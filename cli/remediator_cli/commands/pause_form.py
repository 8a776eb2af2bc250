"""What came of pausing and resuming, as JSON objects."""

from __future__ import annotations

from typing import Any, assert_never

from remediator.core.history.pause import Pause
from remediator.core.model.role import Role
from remediator.flows.resume import NothingToResume, NotResumed, Resumed
from remediator.settings import MODE_TAG, Mode
from remediator_cli.commands.action_form import contest_record, pause_record, role_record, tag_record
from remediator_cli.deployment.stack_outputs import Deployment


def writes_record(
    account: str, deployment: Deployment, result: str, before: Pause, after: Pause, *, checked: bool = True
) -> dict[str, Any]:
    """What is paused; ``checked`` says whether the clouds that were named are known to be there.

    The members are in their fixed order; all of them are always there.
    """
    return {
        "account": account,
        "stack": deployment.stack,
        "region": deployment.region,
        "result": result,
        "before": pause_record(before),
        "paused": pause_record(after),
        "checked": checked,
    }


def resumed_record(role: Role, result: Resumed | NothingToResume | NotResumed) -> dict[str, Any]:
    """One role; the members are in their fixed order, and all of them are always there."""
    was = role.tags.get(MODE_TAG)
    record: dict[str, Any] = {"account": role.arn.account, "role": role_record(role)}
    match result:
        case Resumed(contest=contest, tag=tag):
            ended, set_to = contest_record(contest), tag_record(MODE_TAG, tag, Mode.REPAIR)
            return {**record, "result": "resumed", "why": None, "tag": set_to, "contest": ended}
        case NothingToResume():
            word, why = "nothing-to-resume", None
        case NotResumed(why=why):
            word = "not-resumed"
        case _ as never:
            assert_never(never)
    return {**record, "result": word, "why": why, "tag": tag_record(MODE_TAG, was, was), "contest": None}
