"""``remediator report``: the state of all roles of an account, on one page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from remediator.core.history.role_record import Conflict, Incident
from remediator.core.model.plain_text import plain
from remediator.errors import DeniedError
from remediator.settings import Settings
from remediator_cli.deployment import aws
from remediator_cli.deployment.fleet import assess_fleet
from remediator_cli.deployment.stack_outputs import Deployment, NotDeployed, find_deployment
from remediator_cli.rendering.fleet import fleet_record
from remediator_cli.report.contents import STATUS_WORDS, Report, make_report
from remediator_cli.report.file import refuse_occupied, write_whole
from remediator_cli.report.page import report_page
from remediator_cli.report.past import Past, read_past
from remediator_cli.terminal import clock
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack
from remediator_cli.terminal.output import OutputFormat, print_error, put, show
from remediator_cli.terminal.settings_file import DEFAULT_FILE, needed_settings

_STANDARD_OUTPUT: Final = Path("-")

EXAMPLES = """
remediator report roles.html
remediator report --force --days 90 roles.html
remediator report --json | jq '.counts'
"""


def report(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The page to write, such as roles.html; - prints it.")
    ] = None,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=1, max=400, help="How many days of history, today included.")
    ] = 30,
    form: OutputFormat = OutputFormat.TEXT,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")] = False,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Write an HTML report on every role and on the history.

    Shows the state of each enrolled role and each misconfigured enrollment, the reason, and what would be written.
    Reads the account like `remediator plan`, with cdk.json in the working directory, or --settings. With a deployment,
    the report also shows repairs, the principals that break roles, and conflicts. Only reads.

    Calls what `remediator plan` calls, and cloudformation:DescribeStacks, dynamodb:Query and dynamodb:GetItem.
    """
    _must_be_writable(file, json=form is OutputFormat.JSON, force=force)
    configuration = needed_settings(settings)
    with aws.answered():
        made = _read(configuration, stack, region, settings or DEFAULT_FILE, days)
    made.fleet.print_errors("report")
    if made.without_past:
        print_error("report", f"without history: {made.without_past}")
    if file == _STANDARD_OUTPUT:
        put(report_page(made))
        return
    if file is not None:
        write_whole(file, report_page(made), force=force)
    show(form, report_record(made), lambda: Text(_summary(made, file)))


def _must_be_writable(file: Path | None, *, json: bool, force: bool) -> None:
    """Raises BadParameter, or RemediatorError, where there is no place for the page."""
    if file is None and not json:
        raise typer.BadParameter("name the file to write (roles.html), or print JSON with --json", param_hint="FILE")
    if file == _STANDARD_OUTPUT and json:
        raise typer.BadParameter("the page and the JSON would both be printed; name a file", param_hint="FILE")
    if file is not None and file != _STANDARD_OUTPUT:
        refuse_occupied(file, force=force)


def _read(configuration: Settings, stack: str, region: str | None, settings: Path, days: int) -> Report:
    now = clock.now()
    past, why = _past(stack, region, settings, partial(read_past, days=days, now=now))
    fleet = assess_fleet(aws.account(), configuration, frozenset())
    plan = fleet_record(fleet, configuration)
    return make_report(at=now, fleet=fleet, plan=plan, past=past, without_past=why)


def _past(
    stack: str, region: str | None, settings: Path, read: Callable[[Deployment], Past]
) -> tuple[Past | None, str]:
    """The history; without it, None and the reason: the roles can be read anyway."""
    try:
        deployment = find_deployment(stack, region, settings)
        if other := deployment.other_configuration(deployment.settings):
            print_error("report", f"{other} The report uses the given one")
        return read(deployment), ""
    except NotDeployed as error:
        return None, str(error)
    except DeniedError as error:
        return None, f"the credentials may not call {error.operation}: {error.message}"


def _summary(made: Report, file: Path | None) -> str:
    said = ", ".join(f"{count} {STATUS_WORDS[standing]}" for standing, count in made.counts.items() if count)
    return plain(f"{file}: {said or 'no role is enrolled'}.")


def report_record(report: Report) -> dict[str, Any]:
    return {
        "account": report.account,
        "at": report.at.isoformat(),
        "counts": {standing.value: count for standing, count in report.counts.items()},
        "roles": [
            {
                "name": each.name,
                "arn": each.arn,
                "standing": each.standing,
                "repairs": each.repairs,
                "last_repair": None if each.last_repair is None else each.last_repair.isoformat(),
            }
            for each in report.roles
        ],
        "plan": report.plan,
        "without_history": report.without_past or None,
        "history": None if report.past is None else _past_record(report.past),
    }


def _past_record(past: Past) -> dict[str, Any]:
    return {
        "stack": past.stack,
        "region": past.region,
        "days": past.days,
        "cut": past.is_cut,
        "repairs_by_day": [{"day": day.isoformat(), "repairs": count} for day, count in past.by_day],
        "breakers": [
            {
                "principal": each.principal,
                "tools": list(each.tools),
                "repairs": each.repairs,
                "roles": list(each.roles),
                "last": each.last.isoformat(),
            }
            for each in past.breakers
        ],
        "unexplained": past.unexplained,
        "open": [
            {"name": name, "contest": _conflict(role_record.conflict), "incident": _incident(role_record.incident)}
            for name, role_record in past.open
        ],
    }


def _conflict(conflict: Conflict | None) -> dict[str, Any] | None:
    if conflict is None:
        return None
    return {
        "since": conflict.since.isoformat(),
        "until": conflict.until.isoformat(),
        "findings": [{"code": finding.code, "subject": finding.subject} for finding in conflict.findings],
        "undone_by": list(conflict.actors),
        "events": conflict.events,
    }


def _incident(incident: Incident | None) -> dict[str, Any] | None:
    return None if incident is None else {"id": incident.incident_id, "opened": incident.opened.isoformat()}
