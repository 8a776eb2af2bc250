"""``remediator evaluate``: verdicts on roles that are described in files, without an account."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from remediator_cli.checks.cases import MalformedCase, read_case
from remediator_cli.checks.evaluation import evaluate_case
from remediator_cli.checks.evaluation_json import evaluation_record
from remediator_cli.checks.evaluation_table import evaluation_table
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.json_lines import STANDARD_INPUT, Fault, read_json_lines
from remediator_cli.terminal.output import Form, complain, lines_or_text, show

EXAMPLES = """
remediator evaluate roles.jsonl
remediator evaluate --human roles.jsonl
remediator evaluate --check *.jsonl > verdicts.jsonl
jq -c . role.json | remediator evaluate
"""


def evaluate(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", show_default=False, help="Cases as JSON lines; - or none: standard input."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, as without it.")] = False,
    human: Annotated[bool, typer.Option("--human", help="Print tables with reasons and diffs for people.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with 3 where a role is not usable as it is, for use in CI.")
    ] = False,
) -> None:
    """Judge roles that are described in files: may EC2 assume them, may they use their bucket, what would be repaired?

    Reads one case a line and prints one answer a line, in the same order. Needs no credentials and no network.

    A line that cannot be read is reported on standard error, the others are answered, and the exit code is 2.
    """
    names = files or [STANDARD_INPUT]
    form = lines_or_text(json, human)
    if not files and _is_terminal():
        raise typer.BadParameter("name a file, or pipe cases in (- reads them from the terminal)", param_hint="FILE")
    code = evaluate_files(names, form)
    if code is ExitCode.FOUND and not check:
        code = ExitCode.OK
    raise typer.Exit(code)


def evaluate_files(names: Sequence[str], form: Form) -> ExitCode:
    """Answer every line of the files; says whether all could be read and, if so, whether every role is usable."""
    code = ExitCode.OK
    for line in read_json_lines(names):
        if isinstance(line, Fault):
            complain(line.place, line.why)
            code = ExitCode.BAD_INPUT
            continue
        try:
            evaluation = evaluate_case(read_case(line.value))
            record = evaluation_record(evaluation)
            table = partial(evaluation_table, evaluation)
        except MalformedCase as error:
            complain(line.place, str(error))
            code = ExitCode.BAD_INPUT
            continue
        except Exception as error:  # noqa: BLE001  # one line that we stumble over shall cost no other
            complain(line.place, f"met a fault of this program: {type(error).__name__}: {error}")
            code = ExitCode.ERROR
            continue
        show(form, record, table)
        if code is ExitCode.OK and not evaluation.is_usable:
            code = ExitCode.FOUND
    return code


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
