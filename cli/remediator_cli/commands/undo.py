"""``remediator undo``: put back what was there before a change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from remediator.core.events.event import Cause
from remediator.core.history.change import Change, split_change_id
from remediator.core.history.undo import UndoRefused
from remediator.core.model.plain_text import plain
from remediator.core.model.write import Write
from remediator.core.policy.document import Json
from remediator.core.policy.reading import Present, Reading
from remediator.errors import AwsError, MalformedRecord, RemediatorError
from remediator.flows.documents import read_document
from remediator.flows.undo import NotUndone, Undone, plan_undo
from remediator.flows.undo import undo as undo_change
from remediator.settings import MODE_TAG
from remediator_cli.deployment import aws
from remediator_cli.deployment.stack_outputs import find_deployment
from remediator_cli.rendering.documents import changed_text, diff_text
from remediator_cli.rendering.records import document_record, recorded, role_of_change
from remediator_cli.terminal import clock
from remediator_cli.terminal.command import suggested
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack, Yes
from remediator_cli.terminal.output import OutputFormat, agreed, decline, print_error, print_text, record

EXAMPLES = """
remediator undo head-node/20260304T100020000000Z-1a2b3c4d
remediator undo --yes head-node/20260304T100020000000Z-1a2b3c4d
"""


def undo(
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="The id of a change, as the history lists it.")],
    yes: Yes = False,
    form: OutputFormat = OutputFormat.TEXT,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Undo one change, and set the role to observe.

    Shows the diff and asks first. The document becomes what it was before the change. In observe mode later drift is
    reported, not repaired. If the document has changed since, nothing is written, and the difference is shown.

    Writes with your credentials, which must be allowed to tag the role and to write the document.
    """
    try:
        split_change_id(change)
    except MalformedRecord as error:
        raise typer.BadParameter(str(error), param_hint="CHANGE") from error
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        recorded = deployment.history().read_change(change)
        if recorded is None:
            raise RemediatorError(f"the history has no change {change}. To list the changes: {suggested('history')}")
        caller = deployment.account.caller(deployment.region)
        world = deployment.world(recorded.account)
        documents = partial(read_document, recorded.document, recorded.role_name, world)
        planned = plan_undo(recorded, world)
        if isinstance(planned, UndoRefused):
            _say_refused(change, planned, form)
            record(form, lambda: undo_record(recorded, planned, None, _found(documents, planned.diff)))
            raise typer.Exit(ExitCode.ERROR)
        if not agreed(form, _plan(recorded, planned), "Undo it?", yes=yes):
            decline(change, form, lambda: undo_record(recorded, planned, None, None))
        cause = Cause(recorded.change_id, "Undo", f"{clock.now():%Y-%m-%dT%H:%M:%SZ}", caller)
        result = undo_change(recorded, planned, cause, world)
        _say(recorded, result, form)
        diff = result.diff if isinstance(result, NotUndone) else ""
        record(form, lambda: undo_record(recorded, planned, result, _found(documents, diff)))
    raise typer.Exit(ExitCode.OK if isinstance(result, Undone) else ExitCode.ERROR)


def _found(look: Callable[[], Reading[Json]], diff: str) -> Json | None:
    """The document as it is, where people are shown by what it differs; None where it cannot be read (any more)."""
    if not diff:
        return None
    try:
        found = look()
    except AwsError:
        return None
    return found.value if isinstance(found, Present) else None


def _plan(change: Change, planned: Write) -> Group:
    title = Text.assemble((plain(change.role_name), "bold"), f"  {plain(str(change.document))}  would become")
    warning = [Text(planned.note, style="yellow")] if planned.note else []
    return Group(
        title,
        changed_text(planned.before, planned.after),
        *warning,
        Text("First the role is set to observe, unless its tag stops repairs already."),
    )


def _say_refused(change_id: str, refused: UndoRefused, form: OutputFormat) -> None:
    print_error(change_id, f"not undone. {refused.why}")
    if refused.diff:
        print_text(diff_text(refused.diff), form)


def _say(change: Change, result: Undone | NotUndone, form: OutputFormat) -> None:
    if isinstance(result, Undone):
        print_text(Text(f"Undone, and recorded as {result.change.change_id}."), form)
        print_text(Text(f"The role is now in observe mode (tag {MODE_TAG}). To let it be repaired again:"), form)
        print_text(Text(f"  {suggested(f'resume {change.role_name}')}"), form)
        if result.trouble:
            print_error(change.change_id, result.trouble)
        return
    resume = f" The role is in observe mode; to let it be repaired: {suggested(f'resume {change.role_name}')}"
    print_error(change.change_id, f"{result.why}{resume if result.is_on_hold else ''}")
    if result.diff:
        print_text(diff_text(result.diff), form)


def undo_record(
    change: Change, planned: Write | UndoRefused, result: Undone | NotUndone | None, found: Json | None
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there.

    ``result`` is None where it was not tried. ``found`` is the document as it is where it differs from what the change
    left, else None.
    """
    done, why = _said(planned, result)
    return {
        "account": change.account,
        "role": role_of_change(change),
        "undoes": change.change_id,
        "document": document_record(change.document),
        "result": done,
        "why": why,
        "before": planned.before if isinstance(planned, Write) else change.after,
        "after": planned.after if isinstance(planned, Write) else change.before,
        "found": found,
        "warning": (planned.note or None) if isinstance(planned, Write) else None,
        "held_back": isinstance(result, Undone) or (isinstance(result, NotUndone) and result.is_on_hold),
        "change": None if result is None else recorded(result.change),
        "trouble": (result.trouble or None) if isinstance(result, Undone) else None,
    }


def _said(planned: Write | UndoRefused, result: Undone | NotUndone | None) -> tuple[str, str | None]:
    """The word for what was done, and why it was not."""
    if isinstance(planned, UndoRefused):
        return "refused", planned.why
    if result is None:
        return "declined", "Not confirmed."
    return ("undone", None) if isinstance(result, Undone) else ("not-undone", result.why)
