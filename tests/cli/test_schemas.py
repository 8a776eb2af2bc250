"""Every command prints JSON for programs, in a form that is published and documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from remediator_cli.terminal.command import ENTRIES, load_command
from tests.cli.schemas import schema, schema_errors
from tests.cli.terminal import ROOT

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ((?:`[a-z-]+ --json`(?:, )?)+) \| [^|]+ \| \[([a-z-]+)\.schema\.json\]\(", PAGE, re.MULTILINE)
DOCUMENTED = {command: name for commands, name in ROWS for command in re.findall(r"`([a-z-]+) --json`", commands)}
SCHEMAS = sorted(path.name.removesuffix(".schema.json") for path in (ROOT / "docs").glob("*.schema.json"))


def commands() -> dict[str, Any]:
    """The commands of the program, by their names."""
    return {name: load_command(name) for name in ENTRIES}


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Every object of a schema that has members of its own."""
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict) and "type" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from objects(each)


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_json_and_its_form_is_documented(name: str) -> None:
    assert "--json" in {option for each in commands()[name].params for option in each.opts}
    assert DOCUMENTED[name] in SCHEMAS


def test_no_other_command_is_documented_and_no_schema_is_left_over() -> None:
    assert DOCUMENTED.keys() == commands().keys()
    assert {*DOCUMENTED.values(), "alert"} == set(SCHEMAS)


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_its_section(name: str) -> None:
    pages = PAGE + (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert re.search(rf"^## `remediator {name}[ `]", pages, re.MULTILINE)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_says_where_it_is_at_home_and_allows_no_other_members(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["$id"] == f"urn:anyscale-role-remediator:{name}.schema.json"
    assert [each for each in objects(found) if each.get("additionalProperties") is not False] == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_needs_no_other_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    references = re.findall(r'"\$ref": "([^"]*)"', (ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert [each for each in references if not each.startswith("#/$defs/")] == []
    assert schema_errors(name, {}) != []


def test_what_a_report_holds_of_the_plan_has_the_form_of_the_plan() -> None:
    assert schema("report")["$defs"]["plan"] == schema("plan")
    wrong: dict[str, Any] = {"plan": {"roles": [{}]}}
    assert "'findings' is a required property" in schema_errors("report", wrong)


def test_what_is_foreseen_of_a_role_has_the_form_that_it_has_in_the_plan() -> None:
    assert schema("enrollment")["$defs"]["role"] == schema("plan")["$defs"]["role"]
