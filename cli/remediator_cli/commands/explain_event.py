"""``remediator explain-event``: what an event means to the remediator, without an account."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.model.plain_text import plain
from remediator.errors import MalformedEvent
from remediator.settings import Settings
from remediator_cli.evaluation.explanation import Explanation, explain
from remediator_cli.evaluation.records import FoundRecord, find_records
from remediator_cli.rendering.layout import facts
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.json_lines import Fault
from remediator_cli.terminal.json_values import read_json_values
from remediator_cli.terminal.options import SettingsFile, account_digits, files_or_standard_input
from remediator_cli.terminal.output import OutputFormat, print_error, show
from remediator_cli.terminal.settings_file import given_settings

EXAMPLES = """
remediator explain-event event.json
remediator explain-event --output text --settings cdk.json event.json
aws cloudtrail lookup-events --max-results 20 | remediator explain-event
gunzip -c *.json.gz | remediator explain-event | jq 'select(.ignored == null)'
"""


def explain_event(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Events or records; - or none: standard input.")
    ] = None,
    form: OutputFormat = OutputFormat.JSON,
    settings: SettingsFile = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="DIGITS",
            callback=account_digits,
            help="The account of the deployment, if not the record's own.",
        ),
    ] = None,
) -> None:
    """Explain what an event means to the remediator.

    Names the role, policy, bucket or key that the event concerns, or the reason why it is ignored. Reads EventBridge
    events, CloudTrail records and log files, the output of lookup-events and of sqs receive-message, and lists of
    these. Prints one answer per record. Needs no credentials and no network. What cannot be read is reported on
    standard error; the rest is answered, and the exit code is 2.
    """
    names = files_or_standard_input(files, "events")
    raise typer.Exit(explain_files(names, form, account=account, settings=given_settings(settings)))


def explain_files(
    names: Sequence[str], form: OutputFormat, *, account: str | None, settings: Settings | None
) -> ExitCode:
    """Answer every record in the files; says whether all could be read."""
    code = ExitCode.OK
    for value in read_json_values(names):
        for found in (value,) if isinstance(value, Fault) else find_records(value.place, value.value):
            code = max(code, _answer(found, form, account=account, settings=settings))
    return code


def _answer(
    found: FoundRecord | Fault, form: OutputFormat, *, account: str | None, settings: Settings | None
) -> ExitCode:
    if isinstance(found, Fault):
        print_error(found.place, found.why)
        return ExitCode.BAD_INPUT
    try:
        explanation = explain(found, account=account, settings=settings)
    except MalformedEvent as error:
        print_error(found.place, f"{error}; the router leaves such an event in the dead-letter queue of the intake")
        return ExitCode.BAD_INPUT
    except Exception as error:  # noqa: BLE001  # one bad record must not affect the others
        print_error(found.place, f"this is a bug in the program: {type(error).__name__}: {error}")
        return ExitCode.ERROR
    show(form, explanation_record(explanation), partial(explanation_text, explanation))
    return ExitCode.OK


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    return {
        "place": explanation.place,
        "event_id": explanation.event_id,
        "call": explanation.call,
        "account": explanation.account,
        "region": explanation.region,
        "concerns": None if explanation.concerns is None else dict([explanation.concerns]),
        "clouds": None if explanation.clouds is None else list(explanation.clouds),
        "ignored": explanation.ignored,
        "next": explanation.next,
    }


def explanation_text(explanation: Explanation) -> RenderableType:
    """What to print for one record. Foreign text in it is one line of printable characters, and never mark-up."""
    title = Text(plain(explanation.call or "an unknown call"), style="bold")
    where = (explanation.event_id, explanation.account, explanation.region, explanation.place)
    title.append(plain("".join(f"  {each}" for each in where if each)), style="not bold dim")
    rows = [("next", Text(plain(explanation.next)))]
    if explanation.ignored is not None:
        rows.insert(0, ("ignored", Text(plain(explanation.ignored), style="yellow")))
    if explanation.concerns is not None:
        rows.insert(0, ("concerns", Text(plain(" ".join(explanation.concerns)))))
    return Group(title, facts(rows), Text())
