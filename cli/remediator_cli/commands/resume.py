"""``remediator resume``: let a role, or everything, be repaired again."""

from __future__ import annotations

from typing import Annotated, assert_never

import typer
from rich.text import Text

from remediator.core.memory import Contest
from remediator.core.pause import RUNNING, Pause, parse_pause
from remediator.core.plain_text import plain
from remediator.errors import RemediatorError
from remediator.flows.resume import NothingToResume, NotResumed, Resumed
from remediator.flows.resume import resume as resume_role
from remediator.settings import MODE_TAG, Mode
from remediator_cli import aws, clock
from remediator_cli.deployment import Deployment, find_deployment
from remediator_cli.exits import ExitCode
from remediator_cli.options import DEFAULT_STACK, Region, SettingsFile, Stack, Yes, role_name_of
from remediator_cli.output import complain, confirmed, tell

EXAMPLES = """
remediator resume head-node
remediator resume
"""


def resume(
    role: Annotated[
        str | None,
        typer.Argument(
            metavar="[ROLE]", show_default=False, help="The role's name or its ARN; none: everything that is paused."
        ),
    ] = None,
    yes: Yes = False,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Let a role be repaired again that is contested, or that was set to observe; or end the pause of all writes.

    With a ROLE its contest ends, and its tag anyscale:remediation is set to repair; the remediator then looks at it at
    once. Without one, everything that is paused goes on, which is asked for first; a sweep then looks at every role.
    """
    role_name = None if role is None else role_name_of(role)
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        if role_name is None:
            _resume_writes(deployment, yes=yes)
        else:
            _resume_role(deployment, role_name)


def _resume_role(deployment: Deployment, role_name: str) -> None:
    result = resume_role(role_name, roles=deployment.account.iam(), history=deployment.history(), now=clock.now())
    match result:
        case Resumed(contest=contest, tag=tag):
            if contest is not None:
                tell(Text(_contest_ended(contest)))
            was = "" if tag is None else f"; it was {plain(tag)}"
            tell(Text(f"The tag {MODE_TAG} of {role_name} is set to {Mode.REPAIR}{was}."))
            tell(
                Text(
                    "The remediator looks at the role at once, and repairs what the configuration of its cloud allows."
                )
            )
        case NothingToResume():
            tell(Text(f"There is nothing to resume: {role_name} is neither contested nor held back by its tag."))
        case NotResumed(why=why):
            raise RemediatorError(why)
        case _ as never:
            assert_never(never)


def _contest_ended(contest: Contest) -> str:
    undone_by = "".join(f"\n  undone by {plain(actor)}" for actor in contest.actors)
    return f"The contest since {contest.since:%Y-%m-%d %H:%M} UTC is ended.{undone_by}"


def _resume_writes(deployment: Deployment, *, yes: bool) -> None:
    switch = deployment.pause_switch()
    paused = parse_pause(switch.read())
    if paused == Pause():
        tell(Text("There is nothing to resume: no writes are paused."))
        return
    tell(Text(paused.why))
    if not yes and not confirmed("Let all writes go on?"):
        complain(switch.name, "nothing was changed")
        raise typer.Exit(ExitCode.ERROR)
    switch.write(RUNNING)
    tell(Text("Writes go on. A sweep looks at every enrolled role now."))
