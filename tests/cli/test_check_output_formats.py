"""What the checks print: JSON in its published form, SARIF, annotations, and text that cannot inject anything."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest

from remediator.core.model.finding import FindingCode
from remediator_cli.checks.output_formats import (
    RULES,
    check_record,
    checks_table,
    github_annotations,
    json_lines,
    sarif_log,
)
from remediator_cli.checks.verdicts import Remark, RoleCheck, Verdict
from remediator_cli.iac.declared import Place
from remediator_cli.terminal.output import print_text
from tests.cli.plans import LAMBDA, Json, configuration, resource, role_values, text, usable, written
from tests.cli.plans import plan as a_plan
from tests.cli.terminal import ROOT, Remediator

SCHEMA: Json = json.loads((ROOT / "docs" / "check.schema.json").read_text(encoding="utf-8"))

# What SARIF 2.1.0 asks of the objects in such a log; sections 3.13 to 3.49 of the specification.
TEXT = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
INDEX = {"type": "integer", "minimum": 0}
SARIF: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["$schema", "version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "additionalProperties": False,
                                            "required": ["id"],
                                            "properties": {"id": {"type": "string"}, "shortDescription": TEXT},
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
                },
            },
        },
    },
    "$defs": {
        "result": {
            "type": "object",
            "additionalProperties": False,
            "required": ["message"],
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": INDEX,
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": TEXT,
                "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                "locations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "physicalLocation": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["artifactLocation"],
                                "properties": {
                                    "artifactLocation": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "properties": {"uri": {"type": "string", "pattern": "^[!#-;=?-\\[\\]_a-z~]+$"}},
                                    },
                                    "region": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "properties": {"startLine": {"type": "integer", "minimum": 1}},
                                    },
                                },
                            },
                            "logicalLocations": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "properties": {
                                        "fullyQualifiedName": {"type": "string"},
                                        "kind": {"const": "resource"},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}

HOSTILE = "x\x1b[31m\n::warning::owned\r%0A, a:b\u202e"


def a_check(
    verdict: Verdict = Verdict.BREAKS, *, line: int | None = 7, foreign: str = "aws_iam_role.node"
) -> RoleCheck:
    place = Place("my plans/plan.json", foreign, line)
    said = Remark("grant-blocked", verdict, place, "It is kept out.", (foreign, "another reason"), ("s3:PutObject",))
    return RoleCheck(place, foreign, "production", (said,), "code {\n}")


@pytest.fixture
def broken(tmp_path: Path) -> tuple[str, ...]:
    """The arguments to check a plan in which much is wrong."""
    profile = {"name": "head-node", "role": "head-node"}
    role = role_values(assume_role_policy=text(LAMBDA))
    value = a_plan(
        resource("aws_iam_role.head_node", role_values(), role),
        resource("aws_iam_instance_profile.head_node", profile, None),
        resource("aws_iam_role.other", None, role_values(name="other", tags={}, tags_all={}, arn=None)),
    )
    configured = written(tmp_path, "settings.json", configuration(instanceProfile="report"))
    return "check-terraform", "--settings", configured, "--all", written(tmp_path, "plan.json", value)


def test_each_line_of_json_has_the_published_form(broken: tuple[str, ...], remediator: Remediator) -> None:
    answer = remediator(*broken, "--json")
    assert (answer.code, answer.err) == (3, "")
    records = answer.records
    assert [record["verdict"] for record in records] == ["breaks", "not-enrolled"]
    for record in [*records, *(check_record(a_check(verdict, line=None)) for verdict in Verdict)]:
        jsonschema.validate(record, SCHEMA, cls=jsonschema.Draft202012Validator)
        assert list(record) == SCHEMA["required"]


def test_the_schema_lists_the_codes_and_verdicts_that_there_are() -> None:
    codes = SCHEMA["$defs"]["finding"]["properties"]["code"]["enum"]
    assert codes == list(RULES)
    assert set(FindingCode) <= set(codes)
    assert SCHEMA["$defs"]["verdict"]["enum"] == [verdict.value for verdict in Verdict]


def test_the_worst_is_said_first_and_is_the_verdict(broken: tuple[str, ...], remediator: Remediator) -> None:
    record = remediator(*broken, "--json").records[0]
    verdicts = [finding["verdict"] for finding in record["findings"]]
    order = [verdict.value for verdict in Verdict]
    assert verdicts == sorted(verdicts, key=order.index)
    assert record["verdict"] == verdicts[0]
    assert len(set(verdicts)) > 1


def test_a_log_of_sarif_has_the_structure_of_its_specification(broken: tuple[str, ...], remediator: Remediator) -> None:
    answer = remediator(*broken, "--output", "sarif")
    assert answer.code == 3
    hostile = sarif_log([a_check(verdict, foreign=HOSTILE) for verdict in Verdict])
    for log in (json.loads(answer.out), json.loads(hostile), json.loads(sarif_log([]))):
        jsonschema.validate(log, SARIF, cls=jsonschema.Draft202012Validator)
        (run,) = log["runs"]
        for result in run["results"]:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_result_of_sarif_names_the_file_the_line_and_the_resource() -> None:
    (result,) = json.loads(sarif_log([a_check()]))["runs"][0]["results"]
    (location,) = result["locations"]
    assert unquote(location["physicalLocation"]["artifactLocation"]["uri"]) == "my plans/plan.json"
    assert location["physicalLocation"]["region"] == {"startLine": 7}
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "aws_iam_role.node"
    assert result["level"] == "error"
    assert "another reason" in result["message"]["text"]
    levels = [json.loads(sarif_log([a_check(verdict)]))["runs"][0]["results"][0]["level"] for verdict in Verdict]
    assert levels == ["error", "error", "note", "none", "none"]


def test_an_annotation_names_the_file_the_line_and_what_is_wrong() -> None:
    assert github_annotations([a_check()]) == (
        "::error file=my plans/plan.json,line=7,title=aws_iam_role.node%3A grant-blocked::"
        "breaks: aws_iam_role.node (aws_iam_role.node). It is kept out.%0A"
        "- aws_iam_role.node%0A- another reason%0Acode {%0A}\n"
    )
    assert github_annotations([a_check(Verdict.UNDECIDED, line=None)]).startswith(
        "::notice file=my plans/plan.json,title="
    )


def test_foreign_text_can_neither_end_an_annotation_nor_begin_another() -> None:
    printed = github_annotations([a_check(foreign=HOSTILE)])
    assert printed.count("\n") == 1
    assert "\r" not in printed
    assert "\x1b" not in printed
    properties, _, message = printed.removeprefix("::error ").partition("::")
    assert len(properties.split(",")) == 3
    assert "%250A" in message


def test_foreign_text_reaches_no_terminal_as_a_control_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    print_text(checks_table([a_check(foreign=HOSTILE)], ["plan.json"]))
    print_text(checks_table([], [HOSTILE]))
    printed = capsys.readouterr().out
    assert not {"\x1b", "\r", "\u202e"} & set(printed)


def test_text_for_people_says_what_where_why_and_what_to_add(broken: tuple[str, ...], remediator: Remediator) -> None:
    answer = remediator(*broken)
    assert answer.code == 3
    words = " ".join(answer.out.split())
    for part in (
        "breaks head-node",
        "profile-missing",
        "in ",
        "aws_iam_instance_profile.head_node",
        "trust-missing",
        "- the trust policy has no statement that lets ec2.amazonaws.com assume the role",
        'Service = "ec2.amazonaws.com"',
    ):
        assert part in words


def test_json_lines_are_plain_ascii() -> None:
    assert json_lines([a_check(foreign=HOSTILE)]).isascii()


def test_a_file_that_cannot_be_read_prints_no_empty_log(tmp_path: Path, remediator: Remediator) -> None:
    configured = written(tmp_path, "settings.json", configuration())
    arguments = ("check-terraform", "--settings", configured, "--output", "sarif")
    assert remediator(*arguments, str(tmp_path / "none.json")).out == ""
    answer = remediator(*arguments, written(tmp_path, "plan.json", usable()))
    assert json.loads(answer.out)["runs"][0]["results"] == []
