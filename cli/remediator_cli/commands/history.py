"""``remediator history``: what the remediator has changed, and why."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from remediator.core.change import split_change_id
from remediator.errors import MalformedRecord, RemediatorError
from remediator_cli import aws
from remediator_cli.deployment import Deployment, find_deployment
from remediator_cli.history_form import change_record, change_text, history_table
from remediator_cli.options import DEFAULT_STACK, Region, SettingsFile, Stack, role_name_of
from remediator_cli.output import Form, show, tell

EXAMPLES = """
remediator history
remediator history head-node --most 5
remediator history head-node/20260304T100020000000Z-1a2b3c4d
remediator history --json | jq 'select(.state == "unconfirmed")'
"""


def history(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[ROLE|CHANGE]", show_default=False, help="A role by its name or ARN, or the id of a change."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, max=10_000, help="How many at most.")] = 50,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """List the changes that were made to a role, or to all, newest first; or show one change with its diff.

    Calls cloudformation:DescribeStacks, dynamodb:Query and dynamodb:GetItem with the credentials of the current
    profile.
    """
    form = Form.JSON if json else Form.HUMAN
    is_change = what is not None and "/" in what and not what.startswith("arn:")
    if is_change and what is not None:
        try:
            split_change_id(what)
        except MalformedRecord as error:
            raise typer.BadParameter(str(error), param_hint="CHANGE") from error
    role_name = None if what is None else role_name_of(what)
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        if is_change and what is not None:
            _show_change(deployment, what, form)
        else:
            _list_changes(deployment, role_name, most, form)


def _show_change(deployment: Deployment, change_id: str, form: Form) -> None:
    change = deployment.history().read_change(change_id)
    if change is None:
        raise RemediatorError(
            f"there is no change {change_id} in the history (any more). `remediator history` lists those there are"
        )
    show(form, change_record(change, with_documents=True), partial(change_text, change))


def _list_changes(deployment: Deployment, role_name: str | None, most: int, form: Form) -> None:
    changes = deployment.history().list_changes(role_name, most=most)
    if form is Form.JSON:
        for change in changes:
            show(form, change_record(change), Text)
    elif changes:
        tell(history_table(changes))
    else:
        tell(Text(f"No change{f' of {role_name}' if role_name else ''} is recorded."))
