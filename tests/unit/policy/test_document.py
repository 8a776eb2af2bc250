"""What is understood of a document, and what is sent to AWS."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from remediator.core.policy.document import PolicyDocument, policy_size, policy_text, read_policy, same_policy
from remediator.core.policy.reading import Absent, Present, Unreadable
from tests.unit.policy.documents import document, trust


def present(value: object) -> PolicyDocument:
    reading = read_policy(value)
    assert isinstance(reading, Present)
    return reading.value


def test_a_document_keeps_what_aws_returned() -> None:
    raw = {"Statement": {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": "*"}, "Version": "2012-10-17"}
    read = present(json.dumps(raw))
    assert read.raw == raw
    assert list(read.raw) == ["Statement", "Version"]
    assert read.version == "2012-10-17"
    assert read.faults == ()
    assert [each.name for each in read.statements] == ["statement 1"]


def test_only_a_document_that_is_encoded_as_a_whole_is_decoded() -> None:
    text = json.dumps({"Version": "2012-10-17", "Id": "50%25", "Statement": []})
    assert present(text).raw["Id"] == "50%25"
    assert present(quote(text)).raw["Id"] == "50%25"


def test_no_document_is_absent() -> None:
    assert read_policy(None) == Absent()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        '{"Statement":[]} x',
        '{"Statement":[],"Statement":[]}',
        '{"Statement":[{"Sid":"a","Sid":"a"}]}',
        '{"Statement":NaN}',
        '{"Statement":' + "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"Statement":' + "9" * 10_000 + "}",
        "%7B%22Statement",
        7,
        True,
        1.5,
        [],
        ["{}"],
        {"Statement": float("nan"), "Id": 10**5000},
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, dict) else "huge number",
)
def test_what_is_no_policy_is_unreadable_with_a_reason(value: object) -> None:
    reading = read_policy(value)
    assert isinstance(reading, Unreadable)
    assert reading.why.endswith(".")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ('{"Id":"a","Statement":[],"Statement":[]}', "the key 'Statement' appears twice"),
        ("[]", "a list"),
        ("7", "a number"),
        ("true", "true or false"),
    ],
)
def test_the_reason_says_what_stands_there(value: str, why: str) -> None:
    reading = read_policy(value)
    assert isinstance(reading, Unreadable)
    assert why in reading.why


def test_a_mapping_that_is_nested_too_deeply_is_unreadable() -> None:
    deep: Any = "end"
    for _ in range(5_000):
        deep = {"deeper": deep}
    assert isinstance(read_policy({"Statement": [], "Id": deep}), Unreadable)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ({}, "no Statement"),
        ({"Statement": "x"}, "no Statement"),
        ({"Statement": [], "Statements": []}, "'Statements'"),
        ({"Statement": [], "Version": "2012-10-18"}, "Version"),
        ({"Statement": [], "Version": ["2012-10-17"]}, "Version"),
        ({"Statement": [], "Id": 7}, "Id"),
        ({"Statement": ["x"]}, "Statement 1 is not"),
        ({"Statement": [trust(), 7]}, "Statement 2 is not"),
        ({"Statement": [trust(Sid=None)]}, "Sid"),
        ({"Statement": [trust(Effect="allow")]}, "Effect"),
        ({"Statement": [trust(Effect=["Allow"])]}, "Effect"),
        ({"Statement": [trust(Principal="x")]}, "Principal"),
        ({"Statement": [trust(Principal={})]}, "Principal"),
        ({"Statement": [trust(Principal=None)]}, "Principal"),
        ({"Statement": [trust(Principal={"aws": "x"})]}, "Principal"),
        ({"Statement": [trust(Principal={"AWS": 111111111111})]}, "Principal"),
        ({"Statement": [trust(NotPrincipal="*")]}, "both Principal and NotPrincipal"),
        ({"Statement": [trust(Action=7)]}, "Action"),
        ({"Statement": [trust(Action=["a:b", None])]}, "Action"),
        ({"Statement": [trust(NotAction="a:b")]}, "both Action and NotAction"),
        ({"Statement": {"Effect": "Allow", "Principal": "*"}}, "no Action"),
        ({"Statement": [trust(Resource={})]}, "Resource"),
        ({"Statement": [trust(Resource="s3://bucket")]}, "neither an ARN"),
        ({"Statement": [trust(Resource="")]}, "neither an ARN"),
        ({"Statement": [trust(Resource="*", NotResource="*")]}, "both Resource and NotResource"),
        ({"Statement": [trust(Condition=None)]}, "Condition"),
        ({"Statement": [trust(Condition=[])]}, "Condition"),
        ({"Statement": [trust(Condition={"Bool": 1})]}, "Condition"),
        ({"Statement": [trust(Condition={"Bool": {"a": None}})]}, "Condition"),
        ({"Statement": [trust(Condition={"Bool": {"a": [[]]}})]}, "Condition"),
        ({"Statement": [trust(Condition={"NumericEquals": {"a": 2**70}})]}, "Condition"),
        ({"Statement": [trust(Extra=1)]}, "elements that no statement has"),
    ],
)
def test_a_breach_of_the_grammar_is_a_fault(raw: dict[str, object], fault: str) -> None:
    faults = present(raw).faults
    assert any(fault in each for each in faults), faults


def test_values_of_conditions_are_texts_whatever_json_type_they_have() -> None:
    read = document(trust(Condition={"Bool": {"a": [True, False]}, "NumericEquals": {"b": [1, 1.5, "2"]}}))
    assert read.faults == ()
    assert [condition.values for condition in read.statements[0].conditions] == [("true", "false"), ("1", "1.5", "2")]


def test_the_text_is_minified_and_holds_only_characters_that_iam_takes() -> None:
    sid = "Zoë \u20ac \U0001f600 \x7f \x01 \ud800"
    read = document(trust(Sid=sid))
    text = policy_text(read)
    assert json.loads(text) == read.raw
    assert all("\x20" <= character <= "\xff" for character in text)
    assert '": ' not in text
    assert "ë" in text
    assert policy_size(read) == len(text)


def test_the_size_counts_no_white_space_between_tokens() -> None:
    spaced = present('{ "Version" : "2012-10-17",\n\n  "Statement" : [ ] }')
    assert policy_size(spaced) == len('{"Version":"2012-10-17","Statement":[]}')


def test_the_order_of_keys_means_nothing_and_the_order_of_lists_does() -> None:
    one = document(trust(Sid="a"), trust(Sid="b"))
    assert same_policy(one, one)
    assert same_policy(one, present({"Statement": [dict(reversed(trust(Sid="a").items())), trust(Sid="b")],
                                     "Version": "2012-10-17"}))  # fmt: skip
    assert not same_policy(one, document(trust(Sid="b"), trust(Sid="a")))
    assert not same_policy(one, document(trust(Sid="a"), trust(Sid="b"), version="2008-10-17"))


def test_true_and_one_are_different_values() -> None:
    condition = {"Bool": {"a": True}}
    assert not same_policy(document(trust(Condition=condition)), document(trust(Condition={"Bool": {"a": 1}})))
