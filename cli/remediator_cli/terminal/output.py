"""The one place that prints: JSON lines for programs, tables for people, complaints on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from typing import NoReturn

import typer
from rich.console import Console, RenderableType

from remediator.core.model.plain_text import plain
from remediator.errors import RemediatorError
from remediator_cli.terminal.exits import ExitCode

_COMPLAINT_LIMIT = 1_000


class OutputFormat(Enum):
    """The form of a command's results."""

    JSON = "json"
    """One JSON object a line, in ASCII."""
    HUMAN = "human"
    """Text for people: in colour on a terminal, as wide as it; else 80 columns, or as many as ``COLUMNS`` says."""


class Unwritable(RemediatorError):
    """Standard output takes nothing; the text says why."""


def output_format(json: bool) -> OutputFormat:
    """The form of a command whose results are for people, unless ``--json`` was given."""
    return OutputFormat.JSON if json else OutputFormat.HUMAN


def lines_or_text(json: bool, human: bool) -> OutputFormat:
    """The form of a command whose results are for programs, unless ``--human`` was given. Raises BadParameter."""
    if json and human:
        raise typer.BadParameter("--json and --human exclude each other: name one of them", param_hint="--human")
    return OutputFormat.HUMAN if human else OutputFormat.JSON


def show(form: OutputFormat, record: Mapping[str, object], for_people: Callable[[], RenderableType]) -> None:
    """Print one result at once, so that a reader at the other end of a pipe need not wait for the last one.

    ``record`` is printed in its order of keys; ``for_people`` makes the human form and is called for it only.
    """
    put(_drawn(for_people()) if form is OutputFormat.HUMAN else json.dumps(record, allow_nan=False) + "\n")


def tell(renderable: RenderableType, form: OutputFormat = OutputFormat.HUMAN) -> None:
    """Print something for people, at once; nothing where a program reads, which is told by the record."""
    if form is OutputFormat.HUMAN:
        put(_drawn(renderable))


def record(form: OutputFormat, of_what: Callable[[], Mapping[str, object]]) -> None:
    """Print the one JSON object of a command, at once; nothing where people read, who were told on the way."""
    if form is OutputFormat.JSON:
        put(json.dumps(of_what(), allow_nan=False) + "\n")


def put(text: str) -> None:
    """Print a text that is safe as it stands, at once; where nobody reads any more, the program ends quietly.

    Raises Unwritable where standard output is closed, or the disk behind it is full.
    """
    if sys.stdout is None:
        raise Unwritable("nothing can be printed: standard output is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        leave_output()
        raise typer.Exit(ExitCode.BROKEN_PIPE) from None
    except OSError as error:
        leave_output()
        raise Unwritable(f"standard output cannot be written: {error.strerror or error}") from error


def leave_output() -> None:
    """Give up standard output: Python flushes it once more when it ends, and would complain then."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def confirmed(question: str) -> bool:
    """Ask a person on standard error, and read the answer; anything but yes, and nobody's answer, is no."""
    _print_aside(f"{question} [y/N] ")
    answer = _answer()
    if not answer.endswith("\n"):
        _print_aside("\n")  # what comes next begins on a line of its own
    return answer.strip().casefold() in ("y", "yes")


def agreed(form: OutputFormat, seen: RenderableType, question: str, *, yes: bool) -> bool:
    """Show people what they are asked about, and ask them, unless they have said ``yes`` already.

    Where a program reads standard output, it is shown on standard error, and only if it is asked about.
    """
    present(form, seen, asks=not yes)
    return yes or confirmed(question)


def decline(place: str, form: OutputFormat, of_what: Callable[[], Mapping[str, object]]) -> NoReturn:
    """End a command that an operator did not agree to; ``of_what`` is its JSON object."""
    complain(place, "nothing was changed")
    record(form, of_what)
    raise typer.Exit(ExitCode.ERROR)


def present(form: OutputFormat, seen: RenderableType, *, asks: bool) -> None:
    """Show people something; where a program reads standard output, on standard error if they are asked about it."""
    if form is OutputFormat.HUMAN:
        tell(seen)
    elif asks:
        _print_aside(_drawn(seen))


def complain(place: str, why: str) -> None:
    """Print what is wrong, and where (``roles.jsonl:3``), as one line on standard error.

    Foreign text in it can neither break the line nor reach the terminal as a control sequence.
    """
    text = f"{place}: {why}"[: _COMPLAINT_LIMIT + 1]
    _print_aside(f"{plain(text, _COMPLAINT_LIMIT)}\n")


def print_anything() -> None:
    """Let every character be printed: what the terminal's encoding lacks comes out as an escape, never as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_aside(text: str) -> None:
    """Print on standard error; where that takes nothing, there is nobody to tell."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _answer() -> str:
    """One line of standard input; empty where that is closed, or holds no text."""
    if sys.stdin is None:
        return ""
    try:
        return sys.stdin.readline()
    except (OSError, ValueError):
        return ""


def _drawn(renderable: RenderableType) -> str:
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))
