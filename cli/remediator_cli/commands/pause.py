"""``remediator pause``: pause all writes, or those for some clouds."""

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
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack
from remediator_cli.terminal.output import OutputFormat, print_text, record

EXAMPLES = """
remediator pause
remediator pause --settings cdk.json production
"""


def pause(
    clouds: Annotated[
        list[str] | None, typer.Argument(metavar="CLOUD", help="Only the writes for these clouds; none: all.")
    ] = None,
    form: OutputFormat = OutputFormat.TEXT,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Pause all writes of the remediator, or those for some clouds.

    The pause is in force within a minute. Clouds that are paused already stay paused. Roles are still checked and
    reported, as in observe mode. `remediator resume` ends the pause.

    Calls cloudformation:DescribeStacks, ssm:GetParameter and ssm:PutParameter; for JSON also sts:GetCallerIdentity.
    """
    asked = Pause(clouds=frozenset(clouds)) if clouds else Pause(everything=True)
    if parse_pause(pause_text(asked)).clouds != asked.clouds:
        raise typer.BadParameter("this is not a valid cloud name", param_hint="CLOUD")
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        _must_be_configured(asked, deployment.settings)
        account = deployment.account.number(deployment.region) if form is OutputFormat.JSON else ""
        before, after = deployment.pause_switch().pause(asked)
        unchecked = bool(asked.clouds) and deployment.settings is None and not after.everything
        print_text(Text(f"{plain(after.why)} It takes effect within a minute."), form)
        if unchecked:
            print_text(Text("The cloud names were not checked. To check them, use --settings cdk.json."), form)
        record(form, lambda: writes_record(account, deployment, "paused", before, after, checked=not unchecked))


def _must_be_configured(asked: Pause, settings: Settings | None) -> None:
    """A name that is misspelt would pause nothing. Raises RemediatorError."""
    unknown = [] if settings is None else asked.unknown(settings)
    if unknown:
        raise RemediatorError(f"there is no cloud {', '.join(unknown)} in the configuration, and nothing was changed")
