"""The house stays as it is built: few rooms, each with a sign, short files, narrow functions, one name for one thing.

``make structure`` prints the figures.
"""

from __future__ import annotations

import ast

import pytest

from tests import structure

MOST = {
    "rooms": 8,
    "files in a room": 16,
    "modules directly in the command line": 8,
    "parameters": 6,
    "Protocols": 8,
    "long files": 3,
    "lines": 31_000,
}

LONG_FILES = {
    "lambda_src/remediator/settings_check.py": "reads every key of the configuration, and says of each what is allowed",
}
"""The files that may have more than 400 lines, with the reason."""

ROOMS = structure.rooms()


def test_there_are_few_rooms_and_nothing_is_outside_of_them() -> None:
    assert "" not in ROOMS
    assert len(ROOMS) <= MOST["rooms"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_small_and_says_what_is_decided_in_it_and_what_is_not(room: str) -> None:
    assert len(ROOMS[room]) <= MOST["files in a room"]
    sign = ast.get_docstring(ast.parse((structure.ROOT / structure.CORE / room / "__init__.py").read_text())) or ""
    _, _, paragraph = sign.partition("\n\n")
    assert "ecided here" in paragraph


def test_imports_point_down() -> None:
    assert structure.arrows_up() == ()


def test_the_command_line_has_rooms() -> None:
    assert len(structure.loose_modules()) <= MOST["modules directly in the command line"]


def test_no_two_classes_have_one_name() -> None:
    assert structure.classes_named_alike() == {}


def test_no_function_takes_more_than_six_parameters() -> None:
    wide = {name: count for name, count in structure.parameters().items() if count > MOST["parameters"]}
    assert wide == {}


def test_a_protocol_is_for_what_there_are_two_of() -> None:
    assert len(structure.protocols()) <= MOST["Protocols"]


def test_a_long_file_has_its_reason() -> None:
    found = structure.long_files()
    assert set(found) <= set(LONG_FILES)
    assert len(found) <= MOST["long files"]


def test_it_does_not_grow_beyond_what_one_can_read() -> None:
    assert structure.lines() < MOST["lines"]
