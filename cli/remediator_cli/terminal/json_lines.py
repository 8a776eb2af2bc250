"""JSON lines from files and standard input, one at a time: one bad line costs no other."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

STANDARD_INPUT = "-"
LONGEST_LINE = 32 * 1024 * 1024
"""Bytes. A role with all its policies has less than 100 KB; a longer line is passed over without being kept."""


@dataclass(frozen=True, slots=True)
class JsonLine:
    """What one line holds; ``place`` is its place (``roles.jsonl:3``)."""

    place: str
    value: object


@dataclass(frozen=True, slots=True)
class Fault:
    """A line, or a whole file, that cannot be read, and why."""

    place: str
    why: str


Reader: TypeAlias = Callable[[BinaryIO, str], Iterator[JsonLine | Fault]]
"""Reads the values of an open file; the text is the name of the file, for the places."""


class NotOpened(Exception):
    """A file cannot be read; the error says why."""


class NotJson(Exception):
    """A text is not one JSON value; the error says what is wrong with it.

    ``position`` is the index in the text where its grammar was broken, None where it is refused for another reason.
    """

    def __init__(self, why: str, position: int | None = None) -> None:
        super().__init__(why)
        self.position = position


def read_json_lines(names: Sequence[str]) -> Iterator[JsonLine | Fault]:
    """Read the files one after the other; ``-`` is standard input.

    Blank lines are passed over, and so is a byte order mark at the start of a line. Every other line gives its value
    or a fault, and a file that cannot be read gives one fault.
    """
    return read_each(names, _read_stream, needed="a file of JSON lines")


def read_each(names: Sequence[str], read: Reader, *, needed: str) -> Iterator[JsonLine | Fault]:
    """Open the files one after the other, ``-`` being standard input, and read them; one that cannot be is a fault.

    ``needed`` says what a file should be, for who names a directory.
    """
    for name in names:
        label = label_of(name)
        try:
            with opened(name, if_directory=f"expected {needed}") as stream:
                yield from read(stream, label)
        except NotOpened as error:
            yield Fault(label, str(error))


def label_of(name: str) -> str:
    """What a file is called in complaints and places."""
    return "<stdin>" if name == STANDARD_INPUT else name


@contextmanager
def opened(name: str, *, if_directory: str) -> Iterator[BinaryIO]:
    """A file for reading, ``-`` being standard input; ``if_directory`` says what to name instead of a directory.

    Raises NotOpened where it cannot be read, now or while it is.
    """
    if name == STANDARD_INPUT and sys.stdin is None:
        raise NotOpened("is closed")
    try:
        with nullcontext(sys.stdin.buffer) if name == STANDARD_INPUT else Path(name).open("rb") as stream:
            yield stream
    except IsADirectoryError as error:
        raise NotOpened(f"is a directory; {if_directory}") from error
    except FileNotFoundError as error:
        raise NotOpened("no such file") from error
    except OSError as error:
        raise NotOpened(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise NotOpened("is not a valid file name") from error


def parse_json(text: str) -> object:
    """The one JSON value that a text holds.

    Raises NotJson for anything else, for a value that is nested too deeply and for an object with two equal keys:
    it is unknown which of them was meant.
    """
    with _understood(1):
        value: object = _DECODER.decode(text)
        return value


def decode_json(text: str, start: int, line: int) -> tuple[object, int]:
    """The JSON value that begins at an index of a text, and the index where it ends; raises NotJson as ``parse_json``.

    ``line`` is the number of the line that the text begins with.
    """
    with _understood(line):
        return _DECODER.raw_decode(text, start)


@contextmanager
def _understood(line: int) -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as error:
        where = (
            f"column {error.colno}" if error.lineno == 1 else f"line {line + error.lineno - 1}, column {error.colno}"
        )
        raise NotJson(f"is not JSON: {error.msg} ({where})", error.pos) from error
    except RecursionError as error:
        raise NotJson("is nested too deeply") from error
    except ValueError as error:  # of Python's limit on the digits of a number
        raise NotJson("holds a number with too many digits") from error


def _read_stream(stream: BinaryIO, label: str) -> Iterator[JsonLine | Fault]:
    for number, line in enumerate(_lines(stream), start=1):
        place = f"{label}:{number}"
        if line is None:
            yield Fault(place, f"is longer than {LONGEST_LINE // 1024**2} MiB")
            continue
        try:
            text = line.decode("utf-8-sig").rstrip()
        except UnicodeDecodeError as error:
            yield Fault(place, f"is not UTF-8: byte {error.start + 1} cannot be read")
            continue
        if not text:
            continue
        try:
            value = parse_json(text)
        except NotJson as error:
            yield Fault(place, str(error))
        else:
            yield JsonLine(place, value)


def _lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines; None for one that is too long."""
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
            pass
        yield None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise NotJson(f"has the key {json.dumps(twice)} twice in one object")
    return members


def _no_constant(name: str) -> object:
    raise NotJson(f"is not JSON: {name} is not a JSON value")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant)
