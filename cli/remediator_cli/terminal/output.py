"""The one place that prints: JSON lines for programs, tables for readers, errors on standard error."""

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

_ERROR_LIMIT = 1_000
_UNWRAPPED = 10_000
"""Columns: more than any line has."""


class OutputFormat(Enum):
    """The form of a command's results."""

    JSON = "json"
    """One JSON object a line, in ASCII."""
    TEXT = "text"
    """Text for readers: in color on a terminal, and as wide. Elsewhere no line is wrapped, unless COLUMNS is set."""


class Unwritable(RemediatorError):
    """Standard output cannot be written; the text says why."""


def show(form: OutputFormat, record: Mapping[str, object], as_text: Callable[[], RenderableType]) -> None:
    """Print one result immediately, so that the reader of a pipe does not wait for the last one.

    ``record`` is printed in its order of keys; ``as_text`` makes the text and is called for it only.
    """
    put(_drawn(as_text()) if form is OutputFormat.TEXT else json.dumps(record, allow_nan=False) + "\n")


def print_text(renderable: RenderableType, form: OutputFormat = OutputFormat.TEXT) -> None:
    """Print something for readers; nothing where a program reads, which gets the record."""
    if form is OutputFormat.TEXT:
        put(_drawn(renderable))


def record(form: OutputFormat, of_what: Callable[[], Mapping[str, object]]) -> None:
    """Print the one JSON object of a command; nothing where the output is text."""
    if form is OutputFormat.JSON:
        put(json.dumps(of_what(), allow_nan=False) + "\n")


def put(text: str) -> None:
    """Print a safe text immediately; where the reader of a pipe has gone, the program ends quietly.

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
    """Give up standard output: Python flushes it when it ends, and would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def confirmed(question: str) -> bool:
    """Ask on standard error, and read the answer; anything but yes, and no answer, is no."""
    _print_aside(f"{question} [y/N] ")
    answer = _answer()
    if not answer.endswith("\n"):
        _print_aside("\n")  # the next output begins on its own line
    return answer.strip().casefold() in ("y", "yes")


def agreed(form: OutputFormat, seen: RenderableType, question: str, *, yes: bool) -> bool:
    """Show what is asked about, and ask, unless ``yes`` was given.

    Where a program reads standard output, it is shown on standard error, and only if it is asked about.
    """
    present(form, seen, asks=not yes)
    return yes or confirmed(question)


def decline(place: str, form: OutputFormat, of_what: Callable[[], Mapping[str, object]]) -> NoReturn:
    """End a command that an operator did not agree to; ``of_what`` is its JSON object."""
    print_error(place, "nothing was changed")
    record(form, of_what)
    raise typer.Exit(ExitCode.ERROR)


def present(form: OutputFormat, seen: RenderableType, *, asks: bool) -> None:
    """Show something; where a program reads standard output, on standard error if it is asked about."""
    if form is OutputFormat.TEXT:
        print_text(seen)
    elif asks:
        _print_aside(_drawn(seen))


def print_error(place: str, why: str) -> None:
    """Print what is wrong, and where (``roles.jsonl:3``), as one line on standard error.

    Foreign text in it can neither break the line nor reach the terminal as a control sequence.
    """
    text = f"{place}: {why}"[: _ERROR_LIMIT + 1]
    _print_aside(f"{plain(text, _ERROR_LIMIT)}\n")


def print_anything() -> None:
    """Let every character be printed: what the terminal's encoding lacks is escaped, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_aside(text: str) -> None:
    """Print on standard error; where that fails, there is no one left to inform."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _answer() -> str:
    """One line of standard input; empty where it is closed, or is not text."""
    if sys.stdin is None:
        return ""
    try:
        return sys.stdin.readline()
    except (OSError, ValueError):
        return ""


def _drawn(renderable: RenderableType) -> str:
    # Identifiers and commands must stay whole where a file or a program reads them.
    width = None if sys.stdout is None or sys.stdout.isatty() or "COLUMNS" in os.environ else _UNWRAPPED
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))
