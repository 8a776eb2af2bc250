"""``remediator resume``: let a role, or everything, be repaired again."""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import typer
from rich.text import Text

from remediator.core.events.event import utc_minute
from remediator.core.history.pause import RUNNING, Pause, parse_pause
from remediator.core.history.role_record import Conflict
from remediator.core.model.plain_text import plain
from remediator.core.model.role import Role
from remediator.errors import RemediatorError
from remediator.flows.resume import NotResumed, Resumed
from remediator.flows.resume import resume as resume_role
from remediator.settings import MODE_TAG, Mode
from remediator_cli.deployment import aws
from remediator_cli.deployment.one_role import read_role
from remediator_cli.deployment.stack_outputs import Deployment, find_deployment
from remediator_cli.rendering.records import conflict_record, role_record, tag_record, writes_record
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack, Yes, named_role
from remediator_cli.terminal.output import OutputFormat, agreed, decline, print_text, record

EXAMPLES = """
remediator resume head-node
remediator resume
"""


def resume(
    role: Annotated[
        str | None,
        typer.Argument(metavar="ROLE", help="The role's name or its ARN; none: everything that is paused."),
    ] = None,
    yes: Yes = False,
    form: OutputFormat = OutputFormat.TEXT,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """End a pause, or let a role be repaired again.

    With a ROLE, its conflict ends and its tag anyscale:remediation is set to repair; the remediator then checks it
    within seconds. Without a ROLE, every pause ends after a confirmation, and a sweep checks every role.
    """
    named = None if role is None else named_role(role)
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        if named is None:
            _resume_writes(deployment, form, yes=yes)
        else:
            _resume_role(deployment, read_role(deployment.account, named), form)


def _resume_role(deployment: Deployment, role: Role, form: OutputFormat) -> None:
    name = role.arn.name
    result = resume_role(name, deployment.world(role.arn.account))
    match result:
        case Resumed(conflict=conflict, tag=tag):
            if conflict is not None:
                print_text(Text(_conflict_ended(conflict)), form)
            was = "" if tag is None else f"; it was {plain(tag)}"
            print_text(Text(f"The tag {MODE_TAG} of {name} is set to {Mode.REPAIR}{was}."), form)
            print_text(Text("The remediator checks the role now, and repairs what its cloud allows."), form)
        case None:
            print_text(Text(f"There is nothing to resume: {name} is neither in conflict nor on hold by its tag."), form)
        case NotResumed():
            pass
        case _ as never:
            assert_never(never)
    record(form, lambda: resumed_record(role, result))
    if isinstance(result, NotResumed):
        raise RemediatorError(result.why)


def _conflict_ended(conflict: Conflict) -> str:
    undone_by = "".join(f"\n  undone by {plain(actor)}" for actor in conflict.actors)
    return f"The conflict since {utc_minute(conflict.since)} has ended.{undone_by}"


def _resume_writes(deployment: Deployment, form: OutputFormat, *, yes: bool) -> None:
    account = deployment.account.number(deployment.region) if form is OutputFormat.JSON else ""
    switch = deployment.pause_switch()
    paused = parse_pause(switch.read())
    if paused == Pause():
        print_text(Text("There is nothing to resume: no writes are paused."), form)
        record(form, lambda: writes_record(account, deployment, "nothing-to-resume", paused, paused))
        return
    if not agreed(form, Text(paused.why), "Resume all writes?", yes=yes):
        decline(switch.name, form, lambda: writes_record(account, deployment, "declined", paused, paused))
    switch.write(RUNNING)
    print_text(Text("Writes have resumed. A sweep checks every enrolled role now."), form)
    record(form, lambda: writes_record(account, deployment, "resumed", paused, Pause()))


def resumed_record(role: Role, result: Resumed | NotResumed | None) -> dict[str, Any]:
    """One role."""
    was = role.tags.get(MODE_TAG)
    record: dict[str, Any] = {"account": role.arn.account, "role": role_record(role)}
    match result:
        case Resumed(conflict=conflict, tag=tag):
            ended, set_to = conflict_record(conflict), tag_record(MODE_TAG, tag, Mode.REPAIR)
            return {**record, "result": "resumed", "why": None, "tag": set_to, "contest": ended}
        case None:
            word, why = "nothing-to-resume", None
        case NotResumed(why=why):
            word = "not-resumed"
        case _ as never:
            assert_never(never)
    return {**record, "result": word, "why": why, "tag": tag_record(MODE_TAG, was, was), "contest": None}
