"""What machines get has the form that docs/alert.schema.json publishes, and docs/alerts.md describes it truly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from remediator.core.alerts.alert_json import FORMAT
from remediator.core.alerts.decide import AlertReason
from remediator.core.alerts.notification import Severity, SystemNoticeKind
from remediator.core.model.finding import FindingCode
from remediator.core.repair.outcome import Hold, OutcomeKind
from tests.unit.alerts.samples import ALERTS, Published, longest

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "alert.schema.json").read_text(encoding="utf-8"))
PAGE = (DOCS / "alerts.md").read_text(encoding="utf-8")
EVERY = {**ALERTS, "longest": longest()}
OF_A_ROLE = SCHEMA["$defs"]["roleAlert"]["properties"]


def conforms(content: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(content))


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with what it refers to; what stands beside the reference goes before."""
    if "$ref" not in schema:
        return schema
    return {**resolved(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]), **schema}


def fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field of the form, by its path, with its schema."""
    schema = resolved(schema)
    for each in schema.get("oneOf", ()):
        yield from fields(each, path)
    if "items" in schema:
        yield from fields(schema["items"], path)
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", resolved(inner)
        yield from fields(inner, f"{path}.{name}")


def filled(content: Any, path: str = "") -> Iterator[str]:
    """The paths of all fields that hold something."""
    if isinstance(content, dict):
        for name, inner in content.items():
            if inner not in (None, [], ""):
                yield f"{path}.{name}"
            yield from filled(inner, f"{path}.{name}")
    if isinstance(content, list):
        for inner in content:
            yield from filled(inner, path)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", EVERY)
def test_every_alert_has_the_published_form(name: str) -> None:
    jsonschema.validate(json.loads(EVERY[name].json), SCHEMA, cls=jsonschema.Draft202012Validator)


def test_every_field_of_the_form_is_described_and_holds_something_in_an_alert() -> None:
    published = dict(fields(SCHEMA))
    assert [path for path, schema in published.items() if not schema.get("description")] == []
    assert set(published) - {path for told in EVERY.values() for path in filled(json.loads(told.json))} == set()


@pytest.mark.parametrize("path", sorted({path for path, _ in fields(SCHEMA)}))
def test_an_alert_without_one_of_the_fields_has_another_form(path: str) -> None:
    *outer, name = path.removeprefix(".").split(".")

    def has_lost_it(content: Any, to: list[str]) -> bool:
        inner = content
        for step in to:
            inner = inner.get(step) if isinstance(inner, dict) else None
            inner = inner[0] if isinstance(inner, list) and inner else inner
        return isinstance(inner, dict) and inner.pop(name, inner) is not inner

    without = [content for content in (json.loads(told.json) for told in EVERY.values()) if has_lost_it(content, outer)]
    assert without
    assert not any(conforms(content) for content in without)


def test_a_field_that_is_not_published_is_no_part_of_the_form() -> None:
    told = json.loads(ALERTS["repaired"].json)
    assert conforms(told)
    assert not conforms({**told, "more": 1})
    assert not conforms({**told, "role": {**told["role"], "more": 1}})
    assert not conforms({**told, "findings": [{**told["findings"][0], "more": 1}]})
    assert not conforms({**told, "changes": [{**told["changes"][0], "more": 1}]})


def test_the_words_of_the_form_are_those_of_the_code() -> None:
    assert SCHEMA["$defs"]["format"]["const"] == FORMAT
    assert OF_A_ROLE["outcome"]["enum"] == list(OutcomeKind)
    assert OF_A_ROLE["hold"]["enum"] == [*Hold, None]
    assert OF_A_ROLE["news"]["enum"] == [reason for reason in AlertReason if reason is not AlertReason.NONE]
    assert OF_A_ROLE["findings"]["items"]["properties"]["code"]["enum"] == list(FindingCode)
    assert SCHEMA["$defs"]["severity"]["enum"] == list(Severity)
    assert SCHEMA["$defs"]["notice"]["properties"]["outcome"]["enum"] == list(SystemNoticeKind)


def test_the_examples_of_the_documentation_are_real() -> None:
    told = ALERTS["needs-person"]
    (e_mail,) = code_blocks("text")
    assert e_mail == f"Subject: {told.subject}\n\n{told.text}"
    message, policy = (json.loads(block) for block in code_blocks("json"))
    assert message == json.loads(told.json)
    assert {name for name, told in EVERY.items() if passes(policy, told)} >= {"contested", "limit-reached"}
    assert not passes(policy, ALERTS["repaired"])
    assert not passes(policy, ALERTS["failed-unconfirmed"])


def test_the_documentation_names_every_attribute_and_no_other() -> None:
    rows = set(re.findall(r"^\| `([a-z]+)` \|", PAGE.partition("## Attributes")[2].partition("\n## ")[0], re.MULTILINE))
    assert rows == {name for told in EVERY.values() for name in told.attributes}


def passes(policy: Mapping[str, list[str]], told: Published) -> bool:
    """Whether SNS would deliver the alert to a subscription with this filter policy of plain values.

    https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
    """
    return all(told.attributes.get(name) in values for name, values in policy.items())
