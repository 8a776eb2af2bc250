"""``remediator remove-grants``: remove what the remediator owns in roles and buckets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.events.event import Cause
from remediator.core.history.pause import parse_pause
from remediator.core.model.plain_text import plain
from remediator.core.model.write import DocumentKind
from remediator.core.repair.removal import Removal
from remediator.core.repair.write_blockers import Retained
from remediator.errors import NotFoundError, RemediatorError
from remediator.flows.remove_grants import FoundGrants, NotRemoved, Removed, find_grants, remove
from remediator.gateways.world import World
from remediator.settings import Settings
from remediator_cli.deployment import aws
from remediator_cli.deployment.one_role import read_role
from remediator_cli.deployment.stack_outputs import Deployment, NotDeployed, PauseSwitch, find_deployment
from remediator_cli.rendering.documents import changed_text
from remediator_cli.rendering.layout import indented
from remediator_cli.rendering.records import document_record, recorded
from remediator_cli.terminal import clock
from remediator_cli.terminal.command import suggested
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack, Yes, named_role
from remediator_cli.terminal.output import OutputFormat, confirmed, decline, present, print_error, print_text, record
from remediator_cli.terminal.settings_file import DEFAULT_FILE, needed_settings, own_account

PAUSE_PARAMETER = "/anyscale-remediator/writes"
"""What every deployment calls the parameter that pauses it; it goes with the stack."""

EXAMPLES = """
remediator remove-grants
remediator remove-grants --role head-node
remediator remove-grants --yes --settings cdk.json
"""


def remove_grants(
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role", metavar="NAME", help="Only the grants of this role, by its name or ARN; may be repeated."
        ),
    ] = None,
    yes: Yes = False,
    form: OutputFormat = OutputFormat.TEXT,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Remove everything that the remediator has granted. CLUSTERS LOSE THEIR ACCESS.

    Removes its inline policy, its statements in trust policies and in the policies of the configured buckets, and empty
    instance profiles that it created. Everything else in these documents stays. Shows the diffs and asks first.

    A running remediator would restore the grants: pause it (`remediator pause`), unenroll the roles, or delete its
    stack first. With a deployment, each write is recorded in its history.
    """
    named = tuple(named_role(each, param_hint="--role") for each in role or ())
    configuration = needed_settings(settings)
    with aws.answered():
        deployment = _deployment(stack, region or configuration.region, settings or DEFAULT_FILE)
        behind = aws.account()
        caller = behind.caller(configuration.region)
        account = own_account(caller.arn, configuration)
        for each in (each for each in named if each.arn is not None):
            read_role(behind, each)
        world = _world(behind, deployment, configuration, account)
        has_history = deployment is not None
        found = find_grants(world, frozenset(each.name for each in named), has_history=has_history)
        if found.unknown:
            raise RemediatorError(f"there is no role {', '.join(found.unknown)} in account {account}")
        recorded = partial(removal_record, account, None if deployment is None else deployment.stack, found)
        present(form, _shown(found, deployment, stack), asks=bool(found.removals) and not yes)
        if not found.removals:
            record(form, lambda: recorded("nothing", None))
            raise typer.Exit(ExitCode.OK)
        if why := _why_it_comes_back(found, deployment, configuration):
            record(form, lambda: recorded("running", why))
            raise RemediatorError(f"nothing was changed: {why}")
        count = len(found.removals)
        documents = "this document" if count == 1 else f"these {count} documents"
        if not yes and not confirmed(f"Remove the grants in {documents}?"):
            decline("remove-grants", form, lambda: recorded("declined", "Not confirmed."))
        cause = Cause("what was granted", "RemoveGrants", f"{clock.now():%Y-%m-%dT%H:%M:%SZ}", caller)
        results = []
        for sequence, removal in enumerate(found.removals):
            results.append(remove(removal, cause, world, sequence=sequence, has_history=has_history))
            _say(removal, results[-1], form)
    _end(results, form, recorded)


def _end(
    results: Sequence[Removed | NotRemoved], form: OutputFormat, recorded: Callable[..., dict[str, Any]]
) -> NoReturn:
    is_done = all(isinstance(result, Removed) for result in results)
    record(form, lambda: recorded("taken-back" if is_done else "incomplete", None, results))
    raise typer.Exit(ExitCode.OK if is_done else ExitCode.ERROR)


def _deployment(stack: str, region: str, settings: Path) -> Deployment | None:
    """The deployment, None where it is deleted already.

    A stack of another name still runs: the parameter that pauses it has the same name in every deployment. Raises
    NotDeployed where that is there and the stack is not.
    """
    try:
        return find_deployment(stack, region, settings)
    except NotDeployed:
        try:
            PauseSwitch(aws.account(), region, PAUSE_PARAMETER).read()
        except NotFoundError:
            return None
        raise


def _world(behind: aws.Account, deployment: Deployment | None, settings: Settings, account: str) -> World:
    from remediator.gateways.account import AccountScan  # noqa: PLC0415  # only commands that ask AWS pay for it

    scan = AccountScan(behind.scan_client(), settings.enrollment_tag, also=lambda _arn, _tags: True)
    return (behind if deployment is None else deployment).world(account, settings=settings, scan=scan)


def _why_it_comes_back(found: FoundGrants, deployment: Deployment | None, settings: Settings) -> str:
    """Why the remediator would restore what is removed, and what to do; empty where it would not."""
    if deployment is None:
        return ""
    if other := deployment.other_configuration(settings):
        print_error("remove-grants", f"{other} Only the buckets of the given one are read")
    paused = parse_pause(deployment.pause_switch().read())
    running = sorted({cloud for removal in found.removals for cloud in removal.clouds if not paused.holds(cloud)})
    if not running:
        return ""
    return (
        f"the remediator is running, and would restore within seconds what is removed in {', '.join(running)}. "
        f"Unenroll the roles first, or pause the remediator and wait a minute: {suggested('pause')}"
    )


def _shown(found: FoundGrants, deployment: Deployment | None, stack: str) -> RenderableType:
    parts: list[RenderableType] = []
    for removal in found.removals:
        heading = Text.assemble(
            (plain(_name(removal)), "bold"), "  would become" if removal.write.after else "  would be deleted"
        )
        parts += [heading, Text(plain(removal.write.note), style="yellow")]
        parts.append(changed_text(removal.write.before, removal.write.after))
    parts += [_left_text(left) for left in found.left]
    if deployment is None:
        parts.append(
            Text(
                f"There is no stack {stack}, and so no history: the removal is not recorded, and which "
                "instance profiles the remediator has created is not known. If there is one, use --stack.",
                style="yellow",
            )
        )
    if not found.removals:
        parts.append(Text("There is nothing to remove."))
    else:
        parts.append(Text("Clusters that have no other grant lose their access immediately.", style="bold red"))
    return Group(*parts)


def _left_text(left: Retained) -> RenderableType:
    return Group(Text.assemble((plain(left.what), "bold"), "  is left as it is"), indented(Text(plain(left.why))))


def _say(removal: Removal, result: Removed | NotRemoved, form: OutputFormat) -> None:
    if isinstance(result, NotRemoved):
        print_error(_name(removal), f"not removed. {result.why}")
        return
    as_what = f", recorded as {result.change.change_id}" if result.change is not None else ""
    print_text(Text(f"Removed: {plain(_name(removal))}{as_what}."), form)
    if result.trouble:
        print_error(_name(removal), result.trouble)


def _name(removal: Removal) -> str:
    of_a_role = removal.write.document.kind in (DocumentKind.TRUST_POLICY, DocumentKind.INLINE_POLICY)
    return (
        f"{removal.write.document} of {removal.role.name}"
        if of_a_role and removal.role is not None
        else str(removal.write.document)
    )


def removal_record(
    account: str,
    stack: str | None,
    found: FoundGrants,
    result: str,
    why: str | None,
    results: Sequence[Removed | NotRemoved] = (),
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there.

    ``stack`` is None where there is none, and so no history; ``results`` are those of the documents in their order, and
    empty where nothing was tried.
    """
    tried: Sequence[Removed | NotRemoved | None] = results or [None] * len(found.removals)
    return {
        "account": account,
        "stack": stack,
        "result": result,
        "why": why,
        "takings": [_removal_record(*each) for each in zip(found.removals, tried, strict=True)],
        "left": [{"what": left.what, "why": left.why} for left in found.left],
    }


def _removal_record(removal: Removal, result: Removed | NotRemoved | None) -> dict[str, Any]:
    done = isinstance(result, Removed)
    return {
        "document": document_record(removal.write.document),
        "role": None if removal.role is None else {"name": removal.role.name, "arn": str(removal.role)},
        "before": removal.write.before,
        "after": removal.write.after,
        "loses": removal.write.note,
        "taken_back": None if result is None else done,
        "why": result.why if isinstance(result, NotRemoved) else None,
        "change": recorded(result.change) if isinstance(result, Removed) else None,
        "trouble": (result.trouble or None) if isinstance(result, Removed) else None,
    }
