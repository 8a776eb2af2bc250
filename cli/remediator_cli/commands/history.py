"""``remediator history``: what the remediator has changed, and why."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import typer
from rich.text import Text

from remediator.core.history.change import Change, split_change_id
from remediator.core.policy.arn import RoleArn
from remediator.errors import MalformedRecord, RemediatorError
from remediator_cli.commands.history_form import change_record, change_text, history_table
from remediator_cli.deployment import aws
from remediator_cli.deployment.stack_outputs import Deployment, find_deployment
from remediator_cli.terminal.options import DEFAULT_STACK, NamedRole, Region, SettingsFile, Stack, named_role
from remediator_cli.terminal.output import Form, form_of, show, tell

_MOST: Final = 10_000
"""How many changes can be listed at most."""

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
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, max=_MOST, help="How many at most.")] = 50,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """List the changes that were made to a role, or to all, newest first; or show one change with its diff.

    Calls cloudformation:DescribeStacks, dynamodb:Query and dynamodb:GetItem with the credentials of the current
    profile, and sts:GetCallerIdentity for a ROLE that is given by its ARN.
    """
    form = form_of(json)
    is_change = what is not None and "/" in what and not what.startswith("arn:")
    if is_change and what is not None:
        try:
            split_change_id(what)
        except MalformedRecord as error:
            raise typer.BadParameter(str(error), param_hint="CHANGE") from error
    named = None if what is None or is_change else named_role(what)
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        if is_change and what is not None:
            _show_change(deployment, what, form)
        else:
            _list_changes(deployment, named, most, form)


def _changes_of(deployment: Deployment, arn: RoleArn) -> tuple[Change, ...]:
    """The changes of the role with that very ARN, newest first; the history finds them by its name.

    Raises RemediatorError where the ARN is that of another account, or only roles with another path had that name.
    """
    account = deployment.account.number(deployment.region)
    if arn.account != account:
        raise RemediatorError(
            f"{arn} was given, and your credentials are for account {account}, as is the history of the stack "
            f"{deployment.stack}. Set AWS_PROFILE to a profile of account {arn.account}, or give the role's name alone"
        )
    found = deployment.history().list_changes(arn.name, most=_MOST)
    same = tuple(change for change in found if change.role_arn == str(arn))
    if found and not same:
        raise RemediatorError(
            f"{arn} was given, and the history knows the role of that name as {found[0].role_arn}. Give that ARN, or "
            "the role's name alone"
        )
    return same


def _show_change(deployment: Deployment, change_id: str, form: Form) -> None:
    change = deployment.history().read_change(change_id)
    if change is None:
        raise RemediatorError(
            f"there is no change {change_id} in the history (any more). `remediator history` lists those there are"
        )
    show(form, change_record(change, with_documents=True), partial(change_text, change))


def _list_changes(deployment: Deployment, named: NamedRole | None, most: int, form: Form) -> None:
    role_name = None if named is None else named.name
    if named is None or named.arn is None:
        changes = deployment.history().list_changes(role_name, most=most)
    else:
        changes = _changes_of(deployment, named.arn)[:most]
    if form is Form.JSON:
        for change in changes:
            show(form, change_record(change), Text)
    elif changes:
        tell(history_table(changes))
    else:
        tell(Text(f"No change{f' of {role_name}' if role_name else ''} is recorded."))
