"""JSON as people have it at hand: one value or many, each on a line of its own or printed over many lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from remediator_cli.terminal.json_lines import Fault, JsonLine, NotJson, decode_json, read_each

LONGEST_TEXT = 64 * 1024 * 1024
"""Bytes of one line, and of values over many lines together: more than a log file of CloudTrail holds."""

_MOST_FAULTS = 100
_VISIBLE = re.compile(r"[^ \t\r\n]")
_BEGINNING = re.compile(r"^[\[{]", re.MULTILINE)


class _CutOff(Exception):
    """The text ends within the value that begins at an index."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start


def read_json_values(names: Sequence[str]) -> Iterator[JsonLine | Fault]:
    """Read the values of the files, one file after the other; ``-`` is standard input.

    A value on one line is answered as soon as that line was read; values over several lines are answered when all
    of the file was. The place of a value is the line where it begins. What cannot be read is a fault, and reading goes
    on with the next line that begins with a brace or a bracket.
    """
    return read_each(names, _read_stream, needed="a file with JSON")


def _read_stream(stream: BinaryIO, label: str) -> Iterator[JsonLine | Fault]:
    number = 0
    while line := stream.readline(LONGEST_TEXT + 1):
        number += 1
        if number == 1 and b"\0" in line:
            yield Fault(label, "is not text, or is UTF-16; save it as UTF-8")
            return
        if len(line) > LONGEST_TEXT:
            yield _too_long(label, number)
            return
        try:
            text = line.decode("utf-8-sig").rstrip()
            yield from _values(text, label, number, may_go_on=True)
        except UnicodeDecodeError as error:
            yield _not_utf_8(label, number, error)
        except _CutOff as cut:
            yield from _values_over_lines(text[cut.start :], stream, label, number)
            return


def _values_over_lines(beginning: str, stream: BinaryIO, label: str, number: int) -> Iterator[JsonLine | Fault]:
    """The values of the rest of the stream, the first of which has begun already."""
    rest = stream.read(LONGEST_TEXT + 1)
    if len(rest) > LONGEST_TEXT:
        yield _too_long(label, number)
        return
    try:
        text = f"{beginning}\n{rest.decode()}"
    except UnicodeDecodeError as error:
        yield _not_utf_8(label, number + 1 + rest.count(b"\n", 0, error.start), error)
        return
    yield from _values(text, label, number, may_go_on=False)


def _values(text: str, label: str, first: int, *, may_go_on: bool) -> Iterator[JsonLine | Fault]:
    """The values of a text whose first line has the number ``first``; raises _CutOff where it may go on elsewhere."""
    end, number, faults = 0, first, 0
    while (visible := _VISIBLE.search(text, end)) is not None:
        start = visible.start()
        number += text.count("\n", end, start)
        place = f"{label}:{number}"
        try:
            value, end = decode_json(text, start, first)
        except NotJson as error:
            if may_go_on and error.position is not None and error.position >= len(text):
                raise _CutOff(start) from error
            yield Fault(place, str(error))
            faults += 1
            newline = text.find("\n", start)
            beginning = None if newline == -1 else _BEGINNING.search(text, newline + 1)
            if beginning is None:
                return
            if faults == _MOST_FAULTS:
                yield Fault(place, f"is the last of {_MOST_FAULTS} places that cannot be read; the rest is skipped")
                return
            end = beginning.start()
            number += text.count("\n", start, end)
        else:
            number += text.count("\n", start, end)
            yield JsonLine(place, value)


def _too_long(label: str, number: int) -> Fault:
    return Fault(f"{label}:{number}", f"is longer than {LONGEST_TEXT // 1024**2} MiB; give one record a line")


def _not_utf_8(label: str, number: int, error: UnicodeDecodeError) -> Fault:
    return Fault(f"{label}:{number}", f"is not UTF-8: byte {error.object[error.start]:#04x} cannot be read")
