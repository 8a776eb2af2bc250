"""``remediator pause``: stop all writes, or those for some clouds, at once."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from remediator.core.history.pause import Pause, parse_pause, pause_text
from remediator.core.model.plain_text import plain
from remediator.errors import RemediatorError
from remediator.settings import Settings
from remediator_cli.deployment import aws
from remediator_cli.deployment.stack_outputs import find_deployment
from remediator_cli.rendering.records import writes_record
from remediator_cli.terminal.options import DEFAULT_STACK, AsJson, Region, SettingsFile, Stack
from remediator_cli.terminal.output import OutputFormat, output_format, record, tell

EXAMPLES = """
remediator pause
remediator pause --settings cdk.json production
"""


def pause(
    clouds: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLOUD]…", show_default=False, help="Only the writes for these clouds; none: all."),
    ] = None,
    json: AsJson = False,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Stop all writes, or those for some clouds as well as for those that are paused already, within a minute.

    Roles are looked at, and reported, as in observe mode. `remediator resume` lets the writes go on.

    Calls cloudformation:DescribeStacks, ssm:GetParameter and ssm:PutParameter with the credentials of the current
    profile; with --json also sts:GetCallerIdentity.
    """
    form = output_format(json)
    asked = Pause(clouds=frozenset(clouds)) if clouds else Pause(everything=True)
    if parse_pause(pause_text(asked)).clouds != asked.clouds:
        raise typer.BadParameter("there can be no cloud of that name", param_hint="CLOUD")
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        _must_be_configured(asked, deployment.settings)
        account = deployment.account.number(deployment.region) if form is OutputFormat.JSON else ""
        before, after = deployment.pause_switch().pause(asked)
        unchecked = bool(asked.clouds) and deployment.settings is None and not after.everything
        tell(Text(f"{plain(after.why)} It takes effect within a minute."), form)
        if unchecked:
            tell(Text("Whether there are such clouds was not checked: --settings cdk.json does."), form)
        record(form, lambda: writes_record(account, deployment, "paused", before, after, checked=not unchecked))


def _must_be_configured(asked: Pause, settings: Settings | None) -> None:
    """A name that is misspelt would pause nothing. Raises RemediatorError."""
    unknown = [] if settings is None else asked.unknown(settings)
    if unknown:
        raise RemediatorError(f"there is no cloud {', '.join(unknown)} in the configuration, and nothing was changed")
