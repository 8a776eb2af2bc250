"""``remediator plan``: what the remediator would do in an account, before it is deployed or between two sweeps."""

from __future__ import annotations

import json as json_text
from functools import partial
from typing import Annotated

import typer

from remediator_cli import aws
from remediator_cli.exits import ExitCode
from remediator_cli.fleet import Fleet, look_at_fleet
from remediator_cli.fleet_form import fleet_record, fleet_text
from remediator_cli.needed_settings import needed_settings
from remediator_cli.options import SettingsFile, role_name_of
from remediator_cli.output import Form, complain, put, show
from remediator_cli.scan_policy import scan_policy

EXAMPLES = """
remediator plan
remediator plan --settings cdk.json --role head-node
remediator plan --json | jq '.roles[] | select(.needs_something)'
remediator plan --print-policy > read-only.json
"""


def plan(
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role", metavar="NAME", show_default=False, help="Only this role, by its name or ARN; may be repeated."
        ),
    ] = None,
    settings: SettingsFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    print_policy: Annotated[
        bool, typer.Option("--print-policy", help="Print the read-only IAM policy that this command needs, and end.")
    ] = False,
) -> None:
    """Show what would be done: every enrolled and nearly enrolled role, what is wrong with it, and the exact diffs.

    Looks at the account behind the current profile with the configuration of a deployment (cdk.json in the working
    directory, or --settings). Only reads, and needs no deployment. Ends with 3 where something would be written or
    needs a person.
    """
    configuration = needed_settings(settings)
    if print_policy:
        put(json_text.dumps(scan_policy(configuration), indent=1) + "\n")
        return
    names = frozenset(role_name_of(each) for each in role or ())
    with aws.answered():
        fleet = look_at_fleet(aws.account(), configuration, names)
    show(
        Form.JSON if json else Form.HUMAN,
        fleet_record(fleet, configuration),
        partial(fleet_text, fleet, configuration),
    )
    raise typer.Exit(_judged(fleet))


def _judged(fleet: Fleet) -> ExitCode:
    if fleet.denied:
        complain(
            "plan",
            f"your credentials may not call {', '.join(fleet.denied)}, so that what needs it was taken for unreadable. "
            "`remediator plan --print-policy` prints what they need",
        )
    for each in fleet.survey.unjudged:
        complain(each.name or "a role without a name", f"could not be judged: {each.why}")
    if fleet.survey.unjudged:
        return ExitCode.ERROR
    return ExitCode.FOUND if fleet.survey.needs_something else ExitCode.OK
