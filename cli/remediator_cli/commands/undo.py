"""``remediator undo``: put back what was there before a change."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from remediator.core.change import Change, split_change_id
from remediator.core.event import Actor, Cause
from remediator.core.plain_text import document_diff, plain
from remediator.core.undo import Undo, UndoRefused
from remediator.errors import MalformedRecord, RemediatorError
from remediator.flows.undo import NotUndone, Undone, plan_undo
from remediator.flows.undo import undo as undo_change
from remediator.settings import MODE_TAG
from remediator_cli import aws, clock
from remediator_cli.deployment import find_deployment
from remediator_cli.diff import diff_text
from remediator_cli.exits import ExitCode
from remediator_cli.options import DEFAULT_STACK, Region, SettingsFile, Stack, Yes
from remediator_cli.output import complain, confirmed, tell

EXAMPLES = """
remediator undo head-node/20260304T100020000000Z-1a2b3c4d
remediator undo --yes head-node/20260304T100020000000Z-1a2b3c4d
"""


def undo(
    change: Annotated[
        str, typer.Argument(metavar="CHANGE", show_default=False, help="The id of a change, as the history lists it.")
    ],
    yes: Yes = False,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Put back what was there before a change, and set the role to observe, so that it is not repaired again at once.

    Shows the diff and asks. If the document is not what the change left any more, nothing is done, and it is shown by
    what it differs.

    Writes with the credentials of the current profile, which must be allowed to tag the role and to write the document
    that was changed.
    """
    try:
        split_change_id(change)
    except MalformedRecord as error:
        raise typer.BadParameter(str(error), param_hint="CHANGE") from error
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        history = deployment.history()
        recorded = history.read_change(change)
        if recorded is None:
            raise RemediatorError(
                f"there is no change {change} in the history (any more). `remediator history` lists those there are"
            )
        caller = deployment.account.caller(deployment.region)
        roles, buckets = deployment.account.iam(), deployment.account.buckets()
        planned = plan_undo(recorded, roles=roles, buckets=buckets)
        if isinstance(planned, UndoRefused):
            _say_refused(change, planned)
            raise typer.Exit(ExitCode.ERROR)
        tell(_plan(planned))
        if not yes and not confirmed("Undo it?"):
            complain(change, "nothing was changed")
            raise typer.Exit(ExitCode.ERROR)
        result = undo_change(
            planned,
            _cause(recorded, caller),
            roles=roles,
            buckets=buckets,
            history=history,
            clock=clock.now,
            pause=time.sleep,
        )
    _say(recorded, result)


def _cause(change: Change, caller: Actor) -> Cause:
    return Cause(event_id=change.change_id, call="Undo", time=clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"), actor=caller)


def _plan(planned: Undo) -> Group:
    change = planned.change
    title = Text.assemble((plain(change.role_name), "bold"), f"  {plain(str(change.document))}  would become")
    diff = Padding(diff_text(document_diff(planned.now, planned.after)), (0, 0, 0, 2))
    warning = [Text(planned.warning, style="yellow")] if planned.warning else []
    return Group(
        title,
        diff,
        *warning,
        Text("First the role is set to observe, unless its tag holds the remediator back already."),
    )


def _say_refused(change_id: str, refused: UndoRefused) -> None:
    complain(change_id, f"not undone. {refused.why}")
    if refused.diff:
        tell(Padding(diff_text(refused.diff), (0, 0, 0, 2)))


def _say(change: Change, result: Undone | NotUndone) -> None:
    if isinstance(result, Undone):
        tell(Text(f"Undone, and recorded as {result.change.change_id}."))
        tell(Text(f"The tag {MODE_TAG} now holds the remediator back. To end that:"))
        tell(Text(f"  remediator resume {change.role_name}"))
        if result.trouble:
            complain(change.change_id, result.trouble)
        return
    resume = f" Its tag now holds the remediator back; `remediator resume {change.role_name}` ends that."
    complain(change.change_id, f"{result.why}{resume if result.is_held_back else ''}")
    if result.diff:
        tell(Padding(diff_text(result.diff), (0, 0, 0, 2)))
    raise typer.Exit(ExitCode.ERROR)
