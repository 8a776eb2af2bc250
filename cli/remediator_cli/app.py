"""The frame of the command line: its commands, its version, and its errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from remediator import __version__
from remediator.errors import RemediatorError
from remediator_cli.terminal.command import LazyGroup
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.output import leave_output, print_anything, print_error

app = typer.Typer(
    name="remediator",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # main() reports errors; none is a traceback
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"remediator {__version__}")
        raise typer.Exit


@app.callback()
def remediator(
    version: Annotated[  # its callback answers
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keeps the IAM roles of Anyscale clusters on AWS usable: EC2 can assume them, and they can use their bucket."""


def main() -> None:
    """Run the command that the arguments name, and exit with its code; an error is one line that says what to do."""
    print_anything()
    try:
        app(prog_name="remediator")
    except RemediatorError as error:
        print_error("error", str(error))
        sys.exit(ExitCode.ERROR)
    except OSError as error:
        leave_output()
        where = f" ({error.filename})" if error.filename else ""
        print_error("error", f"the operating system reports: {error.strerror or error}{where}")
        sys.exit(ExitCode.ERROR)
    except Exception as error:  # noqa: BLE001  # a traceback does not help an operator
        print_error("error", f"this is a bug in the program: {type(error).__name__}: {error}")
        sys.exit(ExitCode.ERROR)
