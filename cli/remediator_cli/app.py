"""The frame of the command line: its commands, its version, and what becomes of errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from remediator import __version__
from remediator.errors import RemediatorError
from remediator_cli.commands import (
    apply,
    check_cloudformation,
    check_terraform,
    compute_config,
    enroll,
    evaluate,
    explain_event,
    guardrails,
    history,
    pause,
    plan,
    remove_grants,
    report,
    resume,
    status,
    test_alert,
    undo,
    unenroll,
)
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.output import complain, leave_output, print_anything

app = typer.Typer(
    name="remediator",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # main() answers for errors; none is a traceback
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _examples(commands: str) -> str:
    """The examples at the end of a command's help, one a line."""
    return "\n\n".join(["Examples:", *commands.strip().splitlines()])


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"remediator {__version__}")
        raise typer.Exit


@app.callback()
def remediator(
    version: Annotated[  # its callback answers
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Keeps the IAM roles of Anyscale clusters on AWS usable: EC2 may assume them, and they reach their bucket."""


app.command(epilog=_examples(evaluate.EXAMPLES))(evaluate.evaluate)
app.command(cls=plan.PlanCommand, epilog=_examples(plan.EXAMPLES))(plan.plan)
app.command(epilog=_examples(report.EXAMPLES))(report.report)
app.command(epilog=_examples(compute_config.EXAMPLES))(compute_config.compute_config)
app.command(epilog=_examples(explain_event.EXAMPLES))(explain_event.explain_event)
app.command(epilog=_examples(apply.EXAMPLES))(apply.apply)
app.command(epilog=_examples(enroll.EXAMPLES))(enroll.enroll)
app.command(epilog=_examples(unenroll.EXAMPLES))(unenroll.unenroll)
app.command("remove-grants", epilog=_examples(remove_grants.EXAMPLES))(remove_grants.remove_grants)
app.command(epilog=_examples(status.EXAMPLES))(status.status)
app.command(epilog=_examples(history.EXAMPLES))(history.history)
app.command(epilog=_examples(undo.EXAMPLES))(undo.undo)
app.command(epilog=_examples(resume.EXAMPLES))(resume.resume)
app.command(epilog=_examples(pause.EXAMPLES))(pause.pause)
app.command("test-alert", epilog=_examples(test_alert.EXAMPLES))(test_alert.send_test_alert)
app.command(epilog=_examples(guardrails.EXAMPLES))(guardrails.guardrails)
app.command(epilog=_examples(check_cloudformation.EXAMPLES))(check_cloudformation.check_cloudformation)
app.command(epilog=_examples(check_terraform.EXAMPLES))(check_terraform.check_terraform)


def main() -> None:
    """Run the command that the arguments name, and exit with its code; an error is one line that says what to do."""
    print_anything()
    try:
        app(prog_name="remediator")
    except RemediatorError as error:
        complain("error", str(error))
        sys.exit(ExitCode.ERROR)
    except OSError as error:
        leave_output()
        where = f" ({error.filename})" if error.filename else ""
        complain("error", f"the operating system says: {error.strerror or error}{where}")
        sys.exit(ExitCode.ERROR)
    except Exception as error:  # noqa: BLE001  # a traceback helps nobody at a terminal
        complain("error", f"this is a fault of the program: {type(error).__name__}: {error}")
        sys.exit(ExitCode.ERROR)
