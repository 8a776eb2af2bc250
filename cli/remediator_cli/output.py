"""The one place that prints: JSON lines for programs, tables for people, complaints on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from enum import Enum

import typer
from rich.console import Console, RenderableType

from remediator.core.plain_text import plain
from remediator_cli.exits import ExitCode

_COMPLAINT_LIMIT = 1_000


class Form(Enum):
    """The form of a command's results."""

    JSON = "json"
    """One JSON object a line, in ASCII."""
    HUMAN = "human"
    """Text for people: in colour on a terminal, as wide as it; else 80 columns, or as many as ``COLUMNS`` says."""


def show(form: Form, record: Mapping[str, object], for_people: Callable[[], RenderableType]) -> None:
    """Print one result at once, so that a reader at the other end of a pipe need not wait for the last one.

    ``record`` is printed in its order of keys; ``for_people`` makes the human form and is called for it only.
    """
    put(_drawn(for_people()) if form is Form.HUMAN else json.dumps(record, allow_nan=False) + "\n")


def tell(renderable: RenderableType) -> None:
    """Print something for people, at once."""
    put(_drawn(renderable))


def put(text: str) -> None:
    """Print a text that is safe as it stands, at once; where nobody reads any more, the program ends quietly."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more when it ends, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.BROKEN_PIPE) from None


def confirmed(question: str) -> bool:
    """Ask a person on standard error, and read the answer; anything but yes, and nobody's answer, is no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201  # this is the place
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr, flush=True)  # noqa: T201  # what comes next begins on a line of its own
    return answer.strip().casefold() in ("y", "yes")


def complain(place: str, why: str) -> None:
    """Print what is wrong, and where (``roles.jsonl:3``), as one line on standard error.

    Foreign text in it can neither break the line nor reach the terminal as a control sequence.
    """
    text = f"{place}: {why}"[: _COMPLAINT_LIMIT + 1]
    print(plain(text, _COMPLAINT_LIMIT), file=sys.stderr, flush=True)  # noqa: T201  # this is the place


def print_anything() -> None:
    """Let every character be printed: what the terminal's encoding lacks comes out as an escape, never as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drawn(renderable: RenderableType) -> str:
    console = Console(highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))
