"""The map leads somewhere, and what is added is held together at all ends: architecture.md, CONTRIBUTING.md."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from remediator.core.model.finding import FindingCode
from remediator.core.model.write import DocumentKind
from remediator.permissions import PERMISSIONS
from tests.structure import CORE, ROOT, Module, modules

MAP = (ROOT / "docs" / "architecture.md").read_text().partition("## Where is it decided?")[2].partition("\n## ")[0]
QUESTIONS = re.findall(r"^\| ([^|]+\?) \| (.+) \|$", MAP, re.MULTILINE)
ADDITIONS = (ROOT / "CONTRIBUTING.md").read_text().partition("## How to add …")[2].partition("\n## ")[0]
REPAIR = CORE / "repair"

DOCUMENTS = {
    DocumentKind.TRUST_POLICY: "trust",
    DocumentKind.INLINE_POLICY: "role_policy",
    DocumentKind.BUCKET_POLICY: "bucket_policy",
    DocumentKind.INSTANCE_PROFILE: "instance_profile",
}
ASKED = {"assess": "diagnose", "repair": "plan", "removal": "removal", "permanent_fix": "permanent_fix"}
"""What each kind of document answers, and which module asks all of them."""


def uses(module: Module, name: str, attribute: str) -> bool:
    """Whether a module takes something from another one, under whichever name it has imported that."""
    named = {
        alias.asname or alias.name
        for node in module.nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == name
    }
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == attribute
        and isinstance(node.value, ast.Name)
        and node.value.id in named
        for node in module.nodes
    )


def test_the_map_answers_twenty_questions_each_with_one_file() -> None:
    links = [re.findall(r"\]\(\.\./([^)]+)\)", answer) for _, answer in QUESTIONS]
    assert [len(each) for each in links] == [1] * 20
    files = [path for (path,) in links]
    assert [path for path, count in Counter(files).items() if count > 1] == []
    assert [path for path in files if not (ROOT / path).is_file()] == []


def test_the_drawing_shows_the_rooms_and_no_other() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text().partition("## The rooms")[2].partition("\n## ")[0]
    drawn = re.findall(r"^ │ {4}([a-z]+) ", page, re.MULTILINE)
    assert sorted(drawn) == sorted(path.name for path in (ROOT / CORE).iterdir() if (path / "__init__.py").is_file())


def test_what_is_said_to_fail_is_a_test() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", ADDITIONS))
    defined = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert len(named) > 15
    assert named - defined == set()


@pytest.mark.parametrize("kind", DocumentKind)
def test_a_kind_of_document_has_a_module_that_answers_what_is_asked_of_all(kind: DocumentKind) -> None:
    module = Module(REPAIR / f"{DOCUMENTS[kind]}.py")
    assert {each.name for each in module.functions} >= set(ASKED)


@pytest.mark.parametrize("kind", DocumentKind)
@pytest.mark.parametrize(("question", "asking"), ASKED.items())
def test_what_is_asked_of_all_kinds_of_documents_is_asked_of_each(
    kind: DocumentKind, question: str, asking: str
) -> None:
    assert uses(Module(REPAIR / f"{asking}.py"), DOCUMENTS[kind], question)


def test_every_finding_is_found_by_a_module_of_core() -> None:
    found = set().union(*(module.names_used for module in modules(str(REPAIR), str(CORE / "enrollment"))))
    assert [code.value for code in FindingCode if code.name not in found] == []


def enums(schema: object) -> Iterator[list[object]]:
    """All enumerations of a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("enum"), list):
            yield schema["enum"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from enums(each)


def test_every_schema_that_lists_the_kinds_of_documents_lists_all_of_them() -> None:
    kinds = set(DocumentKind)
    listed = [
        (path.name, kinds - set(each))
        for path in (ROOT / "docs").glob("*.schema.json")
        for each in enums(json.loads(path.read_text()))
        if kinds & set(each)
    ]
    assert len(listed) > 1
    assert [name for name, missing in listed if missing] == []


def test_every_form_of_an_alert_is_shown_in_golden_files() -> None:
    forms = {
        each.name
        for module in modules(str(CORE / "alerts"))
        for each in module.functions
        if not each.name.startswith("_")
        and [ast.unparse(given.annotation) for given in each.args.args if given.annotation] == ["Layout"]
        and not each.args.kwonlyargs
    }
    shown = {
        node.id
        for name in ("samples", "test_golden_alerts")
        for node in ast.walk(ast.parse((ROOT / "tests" / "unit" / "alerts" / f"{name}.py").read_text()))
        if isinstance(node, ast.Name)
    }
    assert len(forms) >= 3
    assert forms - shown == set()


def test_every_function_has_its_calls_declared() -> None:
    handlers = {
        module.path.stem
        for module in modules("lambda_src/remediator/handlers")
        if any(each.name == "handle" for each in module.functions)
    }
    assert handlers == set(PERMISSIONS)
