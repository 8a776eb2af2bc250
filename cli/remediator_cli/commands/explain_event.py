"""``remediator explain-event``: what an event means to the remediator, without an account."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from remediator.errors import MalformedEvent
from remediator.settings import Settings
from remediator_cli.checks.explanation import explain
from remediator_cli.checks.explanation_form import explanation_record, explanation_text
from remediator_cli.checks.records import Found, find_records
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.json_lines import STANDARD_INPUT, Fault
from remediator_cli.terminal.json_values import read_json_values
from remediator_cli.terminal.output import Form, complain, lines_or_text, show
from remediator_cli.terminal.settings_file import given_settings

EXAMPLES = """
remediator explain-event event.json
remediator explain-event --human --settings cdk.json event.json
aws cloudtrail lookup-events --max-results 20 | remediator explain-event
gunzip -c *.json.gz | remediator explain-event | jq 'select(.ignored == null)'
"""

_ACCOUNT = re.compile(r"[0-9]{12}")


def explain_event(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", show_default=False, help="Events or records; - or none: standard input."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, as without it.")] = False,
    human: Annotated[bool, typer.Option("--human", help="Print text for people.")] = False,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="The cdk.json of the deployment, or its configuration alone."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="DIGITS", help="The account of the deployment, if not the record's own."),
    ] = None,
) -> None:
    """Say what an event means to the remediator: which role, policy, bucket or key it concerns, or why it is ignored.

    Reads events of EventBridge, records and log files of CloudTrail, answers of lookup-events and of sqs
    receive-message, and lists of these. Prints one answer a record. Needs no credentials and no network.

    What cannot be read is reported on standard error, the rest is answered, and the exit code is 2.
    """
    form = lines_or_text(json, human)
    if not files and _is_terminal():
        raise typer.BadParameter("name a file, or pipe events in (- reads them from the terminal)", param_hint="FILE")
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise typer.BadParameter("needed are the 12 digits of an account", param_hint="--account")
    configuration = given_settings(settings)
    raise typer.Exit(explain_files(files or [STANDARD_INPUT], form, account=account, settings=configuration))


def explain_files(names: Sequence[str], form: Form, *, account: str | None, settings: Settings | None) -> ExitCode:
    """Answer every record in the files; says whether all could be read."""
    code = ExitCode.OK
    for value in read_json_values(names):
        for found in (value,) if isinstance(value, Fault) else find_records(value.place, value.value):
            code = max(code, _answer(found, form, account=account, settings=settings))
    return code


def _answer(found: Found | Fault, form: Form, *, account: str | None, settings: Settings | None) -> ExitCode:
    if isinstance(found, Fault):
        complain(found.place, found.why)
        return ExitCode.BAD_INPUT
    try:
        explanation = explain(found, account=account, settings=settings)
        record, text = explanation_record(explanation), partial(explanation_text, explanation)
    except MalformedEvent as error:
        complain(found.place, f"{error}; the router leaves such an event in the dead-letter queue of the intake")
        return ExitCode.BAD_INPUT
    except Exception as error:  # noqa: BLE001  # one record that we stumble over shall cost no other
        complain(found.place, f"met a fault of this program: {type(error).__name__}: {error}")
        return ExitCode.ERROR
    show(form, record, text)
    return ExitCode.OK


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
