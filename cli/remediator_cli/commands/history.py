"""``remediator history``: what the remediator has changed, and why."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.events.actors import describe_actor
from remediator.core.events.event import Cause
from remediator.core.events.sweep import is_sweep
from remediator.core.history.change import Change, ChangeKind, ChangeState, split_change_id
from remediator.core.model.plain_text import plain
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.reading import Absent
from remediator.errors import MalformedRecord, RemediatorError
from remediator_cli.deployment import aws
from remediator_cli.deployment.stack_outputs import Deployment, find_deployment
from remediator_cli.rendering.documents import changed_text
from remediator_cli.rendering.layout import facts
from remediator_cli.rendering.records import document_record, role_of_change
from remediator_cli.terminal.command import suggested
from remediator_cli.terminal.options import DEFAULT_STACK, Region, RoleOption, SettingsFile, Stack, named_role
from remediator_cli.terminal.output import OutputFormat, print_text, show

_COMPARED: Final = 1_000
"""The number of changes whose role names a misspelled name is compared with, newest first."""
_MOST: Final = 10_000
"""The maximum of ``--limit``."""

_STYLES = {
    ChangeState.COMPLETED: "green",
    ChangeState.INTENDED: "yellow",
    ChangeState.UNCONFIRMED: "yellow",
    ChangeState.NOT_WRITTEN: "dim",
    ChangeState.SUPERSEDED: "magenta",
    ChangeState.UNKNOWN: "magenta",
}

EXAMPLES = """
remediator history
remediator history head-node --limit 5
remediator history head-node/20260304T100020000000Z-1a2b3c4d
remediator history --json | jq 'select(.state == "unconfirmed")'
"""


def history(
    what: Annotated[
        str | None, typer.Argument(metavar="ROLE|CHANGE", help="A role by its name or ARN, or the id of a change.")
    ] = None,
    form: OutputFormat = OutputFormat.TEXT,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=_MOST, help="The maximum number of changes.")
    ] = 50,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """List the changes that the remediator made, or show one.

    Lists the changes of one role or of all, newest first. A single change is shown with its diff.

    Calls cloudformation:DescribeStacks, dynamodb:Query and dynamodb:GetItem; iam:GetRole for a role without changes,
    and sts:GetCallerIdentity for a role that is given by its ARN.
    """
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
            _list_changes(deployment, named, limit, form)


def _changes_of(deployment: Deployment, arn: RoleArn) -> tuple[Change, ...]:
    """The changes of the role with that very ARN, newest first; the history finds them by its name.

    Raises RemediatorError where the ARN is that of another account, or only roles with another path had that name.
    """
    account = deployment.account.number(deployment.region)
    if arn.account != account:
        raise RemediatorError(
            f"{arn} was given, and your credentials are for account {account}, as is the history of the stack "
            f"{deployment.stack}. Use --profile with a profile of account {arn.account}, or give the role's name alone"
        )
    found = deployment.history().list_changes(arn.name, most=_MOST)
    same = tuple(change for change in found if change.role_arn == str(arn))
    if found and not same:
        raise RemediatorError(
            f"{arn} was given, and the history records the role of that name as {found[0].role_arn}. Give that ARN, or "
            "the role's name alone"
        )
    return same


def _show_change(deployment: Deployment, change_id: str, form: OutputFormat) -> None:
    change = deployment.history().read_change(change_id)
    if change is None:
        raise RemediatorError(f"the history has no change {change_id}. To list the changes: {suggested('history')}")
    show(form, change_record(change, with_documents=True), partial(change_text, change))


def _list_changes(deployment: Deployment, named: RoleOption | None, limit: int, form: OutputFormat) -> None:
    role_name = None if named is None else named.name
    if named is None or named.arn is None:
        changes = deployment.history().list_changes(role_name, most=limit)
    else:
        changes = _changes_of(deployment, named.arn)[:limit]
    if not changes and role_name is not None:
        _must_exist(deployment, role_name)
    if form is OutputFormat.JSON:
        for change in changes:
            show(form, change_record(change), Text)
    else:
        of_role = "" if role_name is None else f" of {role_name}"
        print_text(history_table(changes) if changes else Text(f"No changes{of_role} are recorded."))


def _must_exist(deployment: Deployment, role_name: str) -> None:
    """Raises RemediatorError where a role without changes does not exist either: its name is probably misspelled."""
    if isinstance(deployment.account.iam().read_role(role_name), Absent):
        known = {change.role_name for change in deployment.history().list_changes(most=_COMPARED)}
        alike = get_close_matches(role_name, known, n=1)
        raise RemediatorError(
            f"no changes of {role_name} are recorded, and the account has no such role. "
            f"{f'Did you mean {alike[0]}? ' if alike else ''}To list all changes: {suggested('history')}"
        )


def change_record(change: Change, *, with_documents: bool = False) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there, ``before`` and ``after`` where asked for."""
    return {
        "change": change.change_id,
        "time": change.intended_at.isoformat(),
        "kind": change.kind,
        "state": change.state,
        "why": change.why,
        "concluded": None if change.concluded_at is None else change.concluded_at.isoformat(),
        "account": change.account,
        "role": role_of_change(change),
        "cloud": change.cloud,
        "document": document_record(change.document),
        "findings": [{"code": finding.code, "subject": finding.subject} for finding in change.findings],
        "causes": [
            {
                "event_id": cause.event_id,
                "call": cause.call,
                "time": cause.time,
                "actor": cause.actor.arn,
                "actor_type": cause.actor.kind,
                "role": cause.actor.issuer_arn,
                "invoked_by": cause.actor.invoked_by,
                "user_agent": cause.actor.user_agent,
            }
            for cause in change.causes
        ],
        "code_version": change.code_version,
        **({"before": change.before, "after": change.after} if with_documents else {}),
    }


def history_table(changes: Iterable[Change]) -> RenderableType:
    """Each change with its id, findings and causes, next to its time in UTC."""
    rows = ((f"{change.intended_at:%Y-%m-%d %H:%M:%S}", Text("\n").join(_lines(change))) for change in changes)
    return facts(rows, style="dim")


def change_text(change: Change) -> RenderableType:
    """Everything that is known of one change, with its diff."""
    said = {
        "role": f"{change.role_arn} ({change.role_id})",
        "cloud": change.cloud or "unknown",
        "document": str(change.document),
        "findings": ", ".join(_findings(change)) or "none",
        "intended": f"{change.intended_at:%Y-%m-%d %H:%M:%S} UTC by version {change.code_version}",
        "concluded": "not yet" if change.concluded_at is None else f"{change.concluded_at:%Y-%m-%d %H:%M:%S} UTC",
        "because of": "\n".join(f"{line}\n  event {cause.event_id}" for cause, line in _causes(change)),
    }
    rows = ((name, Text("\n".join(plain(line) for line in value.split("\n")))) for name, value in said.items())
    return Group(_title(change), Text(change.change_id), facts(rows), changed_text(change.before, change.after))


def _lines(change: Change) -> Iterable[Text]:
    yield _title(change)
    yield Text(change.change_id, style="cyan")
    if change.findings:
        yield Text(plain(", ".join(_findings(change))))
    yield from (Text(plain(line)) for _, line in _causes(change))


def _title(change: Change) -> Text:
    state = Text(change.state, style=_STYLES[change.state])
    if change.why:
        state.append(plain(f" ({change.why})"), style="not bold")
    return Text.assemble(
        (plain(change.role_name), "bold"), "  ", plain(str(change.document)), "  ", change.kind, " ", state
    )


def _findings(change: Change) -> Iterable[str]:
    for finding in change.findings:
        same = finding.subject == str(change.document)
        yield finding.code if same else f"{finding.code} ({finding.subject})"


def _causes(change: Change) -> Iterable[tuple[Cause, str]]:
    for cause in change.causes:
        if is_sweep(cause):
            yield cause, "found by a sweep"
        elif change.kind is ChangeKind.UNDO:
            yield cause, f"{cause.actor.arn} undid {cause.event_id}"
        else:
            yield cause, f"after {cause.call} by {describe_actor(cause.actor)}"
