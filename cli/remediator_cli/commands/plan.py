"""``remediator plan``: what the remediator would do in an account, before it is deployed or between two sweeps."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from remediator.errors import RemediatorError
from remediator_cli.deployment import aws
from remediator_cli.deployment.fleet import Fleet, assess_fleet
from remediator_cli.deployment.scan_policy import scan_policy
from remediator_cli.rendering.fleet import fleet_record, fleet_text
from remediator_cli.terminal.exits import PlanExitCode
from remediator_cli.terminal.options import RoleOption, SettingsFile, named_role
from remediator_cli.terminal.output import OutputFormat, put, show
from remediator_cli.terminal.settings_file import needed_settings

EXAMPLES = """
remediator plan
remediator plan --settings cdk.json --role head-node
remediator plan --json | jq '.roles[] | select(.needs_something)'
remediator plan --print-policy > read-only.json
"""


class PlanCommand(TyperCommand):
    """The command ``plan``, which exits with 1 after a wrong call, as its 2 means drift."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's own type of it is private
        """Read the arguments."""
        with _ending_with_error():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Run the command."""
        with _ending_with_error():
            return super().invoke(ctx)


@contextmanager
def _ending_with_error() -> Iterator[None]:
    try:
        yield
    except TyperException as error:
        error.exit_code = PlanExitCode.ERROR
        raise


def plan(
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="NAME", help="Only this role, by its name or ARN; may be repeated."),
    ] = None,
    settings: SettingsFile = None,
    form: OutputFormat = OutputFormat.TEXT,
    print_policy: Annotated[
        bool, typer.Option("--print-policy", help="Print the read-only IAM policy that this command needs, and exit.")
    ] = False,
) -> None:
    """Show what the remediator would do with every role.

    Lists every enrolled role and every misconfigured enrollment, what is wrong with it, and the exact diffs. Reads the
    account of your credentials with the configuration of a deployment (cdk.json in the working directory, or
    --settings). Only reads, and needs no deployment. Exits with 2 if something would be written or requires manual
    action.
    """
    named = tuple(named_role(each, param_hint="--role") for each in role or ())
    try:
        configuration = needed_settings(settings)
    except typer.Exit as end:
        raise typer.Exit(PlanExitCode.ERROR) from end
    if print_policy:
        put(json_text.dumps(scan_policy(configuration), indent=1) + "\n")
        return
    with aws.answered():
        fleet = assess_fleet(aws.account(), configuration, frozenset(each.name for each in named))
    _must_be_meant(named, fleet)
    show(form, fleet_record(fleet, configuration), partial(fleet_text, fleet, configuration))
    raise typer.Exit(_evaluated(fleet))


def _must_be_meant(named: tuple[RoleOption, ...], fleet: Fleet) -> None:
    """Raises RemediatorError where an ARN that was given is that of another role than the one of that name here."""
    found = {each.assessment.scanned.role.arn.name: each.assessment.scanned.role.arn for each in fleet.survey.roles}
    for each in named:
        if each.name in found:
            each.must_be(found[each.name])
        elif each.arn is not None and each.arn.account != fleet.account:
            raise RemediatorError(
                f"{each.arn} was given, and your credentials are for account {fleet.account}. Use --profile "
                f"with a profile of account {each.arn.account}"
            )


def _evaluated(fleet: Fleet) -> PlanExitCode:
    fleet.print_errors("plan")
    if fleet.survey.unjudged:
        return PlanExitCode.ERROR
    return PlanExitCode.DRIFT if fleet.survey.needs_something else PlanExitCode.CLEAN
