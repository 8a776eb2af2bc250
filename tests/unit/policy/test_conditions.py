"""Every condition operator: match, no match, absent key, IfExists, set operators, values that are no values."""

from __future__ import annotations

import pytest

from remediator.core.policy.conditions import condition_extent, conditions_extent, operator_named
from remediator.core.policy.context import Choice, Context, Gap, Prefixed, Span, Value
from remediator.core.policy.extent import ALWAYS, NEVER, SOMETIMES, UNKNOWN, Extent
from remediator.core.policy.statement import Condition, read_statement

ARN = "arn:aws:iam::111111111111:role/team/cluster"

OPERATORS = [
    # operator, a value of the request, a value of the policy that matches it, one that does not
    ("StringEquals", "Blue", "Blue", "blue"),
    ("StringEqualsIgnoreCase", "Blue", "bLUE", "bluer"),
    ("StringLike", "Blue", "B?u*", "b*"),
    ("ArnEquals", ARN, "arn:aws:iam::*:role/team/*", "arn:aws:iam::*:user/*"),
    ("ArnLike", ARN, "arn:*:iam:*:111111111111:*", "arn:aws:iam::111111111111:role/cluster"),
    ("Bool", "true", "TRUE", "false"),
    ("BinaryEquals", "QUJD", "QUJD", "QUJE"),
    ("IpAddress", "203.0.113.7", "203.0.113.0/24", "198.51.100.0/24"),
    ("IpAddress", "2001:db8::1", "2001:db8::/32", "203.0.113.0/24"),
    ("NumericEquals", "1.2", "1.20", "1.3"),
    ("NumericLessThan", "1", "2", "1"),
    ("NumericLessThanEquals", "1", "1", "0"),
    ("NumericGreaterThan", "2", "1", "2"),
    ("NumericGreaterThanEquals", "-1", "-1", "0"),
    ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", "2026-01-02"),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01"),
    ("DateLessThanEquals", "2026-01-01", "2026-01-01T01:00:00+01:00", "2025-12-31"),
    ("DateGreaterThan", "2026-06-01T12:00Z", "2026-06-01T11:59:59.5Z", "2027"),
    ("DateGreaterThanEquals", "2026-06", "2026-05", "2026-07"),
]
NEGATED = [
    ("StringNotEquals", "Blue", "Blue", "blue"),
    ("StringNotEqualsIgnoreCase", "Blue", "bLUE", "bluer"),
    ("StringNotLike", "Blue", "B?u*", "b*"),
    ("ArnNotEquals", ARN, ARN, "arn:aws:iam::*:user/*"),
    ("ArnNotLike", ARN, "arn:aws:iam::*:role/*", "arn:aws:sts::*:role/*"),
    ("NotIpAddress", "203.0.113.7", "203.0.113.7", "203.0.113.8"),
    ("NumericNotEquals", "5", "5.0", "6"),
    ("DateNotEquals", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02"),
]


def extent(operator: str, value: Value, *wanted: str, version_2012: bool = True, **others: Value) -> Extent:
    context = Context(({"key": value, **{name.lower(): other for name, other in others.items()}},))
    return condition_extent(Condition(operator, "Key", wanted), context, version_2012)


@pytest.mark.parametrize(("operator", "value", "match", "miss"), OPERATORS)
def test_a_plain_operator_matches_one_of_the_values(operator: str, value: str, match: str, miss: str) -> None:
    assert extent(operator, (value,), match) is ALWAYS
    assert extent(operator, (value,), miss) is NEVER
    assert extent(operator, (value,), miss, match) is ALWAYS
    assert extent(operator, (value,)) is NEVER
    assert extent(operator.upper(), (value,), match) is ALWAYS


@pytest.mark.parametrize(("operator", "value", "match", "miss"), NEGATED)
def test_a_negated_operator_holds_if_none_of_the_values_matches(
    operator: str, value: str, match: str, miss: str
) -> None:
    assert extent(operator, (value,), match) is NEVER
    assert extent(operator, (value,), miss) is ALWAYS
    assert extent(operator, (value,), miss, match) is NEVER
    assert extent(operator, (value,)) is ALWAYS


@pytest.mark.parametrize(("operator", "value", "match", "_miss"), OPERATORS)
def test_an_absent_key_fails_a_plain_operator(operator: str, value: str, match: str, _miss: str) -> None:
    assert extent(operator, Gap.ABSENT, match) is NEVER
    assert extent(f"{operator}IfExists", Gap.ABSENT, match) is ALWAYS
    assert extent(f"ForAnyValue:{operator}", Gap.ABSENT, match) is NEVER
    assert extent(f"ForAllValues:{operator}", Gap.ABSENT, match) is ALWAYS
    assert extent(f"ForAnyValue:{operator}IfExists", Gap.ABSENT, match) is ALWAYS


@pytest.mark.parametrize(("operator", "value", "match", "_miss"), NEGATED)
def test_an_absent_key_satisfies_a_negated_operator(operator: str, value: str, match: str, _miss: str) -> None:
    assert extent(operator, Gap.ABSENT, match) is ALWAYS
    assert extent(f"{operator}IfExists", Gap.ABSENT, match) is ALWAYS
    assert extent(f"ForAnyValue:{operator}", Gap.ABSENT, match) is NEVER
    assert extent(f"ForAllValues:{operator}", Gap.ABSENT, match) is ALWAYS


@pytest.mark.parametrize(("operator", "value", "match", "miss"), OPERATORS + NEGATED)
def test_if_exists_changes_nothing_where_the_key_is_present(operator: str, value: str, match: str, miss: str) -> None:
    for wanted in (match, miss):
        assert extent(f"{operator}IfExists", (value,), wanted) is extent(operator, (value,), wanted)
        assert extent(f"ForAnyValue:{operator}", (value,), wanted) is extent(operator, (value,), wanted)
        assert extent(f"ForAllValues:{operator}", (value,), wanted) is extent(operator, (value,), wanted)


@pytest.mark.parametrize(
    ("operator", "values", "wanted", "expected"),
    [
        ("ForAnyValue:StringEquals", ("a", "b"), ("b",), ALWAYS),
        ("ForAnyValue:StringEquals", ("a", "b"), ("c",), NEVER),
        ("ForAllValues:StringEquals", ("a", "b"), ("b", "a"), ALWAYS),
        ("ForAllValues:StringEquals", ("a", "b"), ("b",), NEVER),
        ("ForAnyValue:StringNotEquals", ("a", "b"), ("a",), ALWAYS),
        ("ForAnyValue:StringNotEquals", ("a", "b"), ("a", "b"), NEVER),
        ("ForAllValues:StringNotEquals", ("a", "b"), ("a",), NEVER),
        ("ForAllValues:StringNotEquals", ("a", "b"), ("c",), ALWAYS),
        ("foranyvalue:stringlike", ("team-a", "b"), ("team-*",), ALWAYS),
        ("ForAllValues:StringEquals", (), ("a",), ALWAYS),
        ("ForAnyValue:StringEquals", (), ("a",), NEVER),
        ("StringEquals", ("a", "b"), ("a", "b"), ALWAYS),
        ("StringEquals", ("a", "b"), ("a",), UNKNOWN),
    ],
)
def test_set_operators_quantify_over_the_values_of_the_request(
    operator: str, values: tuple[str, ...], wanted: tuple[str, ...], expected: Extent
) -> None:
    assert extent(operator, values, *wanted) is expected


@pytest.mark.parametrize(
    ("operator", "value", "wanted"),
    [
        ("Bool", "true", "yes"),
        ("NumericEquals", "1", "one"),
        ("NumericEquals", "1", "1_0"),
        ("NumericLessThan", "1", "nan"),
        ("DateLessThan", "2026-01-01", "tomorrow"),
        ("DateLessThan", "2026-01-01", "2026-13-01"),
        ("DateLessThan", "2026-01-01", "2026-02-30T00:00:00Z"),
        ("IpAddress", "203.0.113.7", "203.0.113.0/99"),
        ("BinaryEquals", "QUJD", "%%%"),
        ("ArnLike", ARN, "role/cluster"),
    ],
)
def test_a_value_of_the_wrong_kind_cannot_be_decided(operator: str, value: str, wanted: str) -> None:
    assert extent(operator, (value,), wanted) is UNKNOWN


@pytest.mark.parametrize(
    "name",
    ["StringMatches", "", "Null:", "NullIfExists", "ForAnyValue:Null", "ForSomeValues:StringEquals", "IfExists",
     "StringEqualsIfExistsIfExists", ":StringEquals", "StringEquals "],
)  # fmt: skip
def test_an_operator_that_does_not_exist_cannot_be_decided(name: str) -> None:
    assert operator_named(name) is None
    assert extent(name, ("a",), "a") is UNKNOWN


@pytest.mark.parametrize(
    ("value", "is_absent"),
    [
        (Gap.ABSENT, ALWAYS),
        ((), ALWAYS),
        (("a",), NEVER),
        (Gap.PRESENT, NEVER),
        (Gap.PUBLIC_ADDRESS, NEVER),
        (Span(0, 1), NEVER),
        (Prefixed("o-"), NEVER),
        (Choice((("a",), ("b",))), NEVER),
        (Gap.UNKNOWN, UNKNOWN),
        (Gap.VARYING, SOMETIMES),
    ],
)
def test_null_asks_whether_the_key_is_absent(value: Value, is_absent: Extent) -> None:
    opposite = {ALWAYS: NEVER, NEVER: ALWAYS}.get(is_absent, is_absent)
    assert extent("Null", value, "true") is is_absent
    assert extent("Null", value, "False") is opposite
    assert extent("Null", value, "perhaps") is UNKNOWN
    assert extent("Null", value) is NEVER


@pytest.mark.parametrize(
    ("operator", "value", "wanted", "expected"),
    [
        ("StringEquals", Gap.PRESENT, "a", UNKNOWN),
        ("StringLike", Gap.PRESENT, "*", ALWAYS),
        ("StringLike", Gap.PRESENT, "", UNKNOWN),
        ("StringNotLike", Gap.PRESENT, "*", NEVER),
        ("StringLike", Gap.UNKNOWN, "*", UNKNOWN),
        ("StringLikeIfExists", Gap.UNKNOWN, "*", ALWAYS),
        ("StringEquals", Gap.VARYING, "a", SOMETIMES),
        ("StringNotEquals", Gap.VARYING, "a", SOMETIMES),
        ("StringLike", Gap.VARYING, "*", SOMETIMES),
        ("StringLikeIfExists", Gap.VARYING, "*", ALWAYS),
        ("StringNotLike", Gap.VARYING, "*", SOMETIMES),
        ("NumericLessThan", Span(10, 20), "21", ALWAYS),
        ("NumericLessThan", Span(10, 20), "15", UNKNOWN),
        ("NumericLessThan", Span(10, 20), "10", NEVER),
        ("NumericEquals", Span(10, 20), "9", NEVER),
        ("NumericEquals", Span(10, 20), "15", UNKNOWN),
        ("NumericNotEquals", Span(10, 20), "9", ALWAYS),
        ("NumericEquals", Span(10, 10), "10", ALWAYS),
        ("DateGreaterThan", Span(0, 1e9), "2020-01-01", NEVER),
        ("DateGreaterThan", Span(0, 1e9), "soon", UNKNOWN),
        ("StringEquals", Span(10, 20), "15", UNKNOWN),
        ("StringLike", Prefixed("o-1/"), "o-1/*", ALWAYS),
        ("StringLike", Prefixed("o-1/"), "o-1/r-1*", UNKNOWN),
        ("StringLike", Prefixed("o-1/"), "o-2/*", NEVER),
        ("StringEquals", Prefixed("o-1/"), "o-1/*", UNKNOWN),
        ("StringEquals", Prefixed("o-1/"), "o-2/x", NEVER),
        ("StringNotEquals", Prefixed("o-1/"), "o-2/x", ALWAYS),
        ("ArnLike", Prefixed("o-1/"), "o-1/*", UNKNOWN),
        ("NumericLessThan", Choice((("1.2",), ("1.3",))), "1.2", NEVER),
        ("NumericLessThan", Choice((("1.2",), ("1.3",))), "1.3", UNKNOWN),
        ("IpAddress", Gap.PUBLIC_ADDRESS, "10.1.0.0/16", NEVER),
        ("NotIpAddress", Gap.PUBLIC_ADDRESS, "192.168.0.0/16", ALWAYS),
        ("IpAddress", Gap.PUBLIC_ADDRESS, "203.0.113.0/24", UNKNOWN),
        ("IpAddress", Gap.PUBLIC_ADDRESS, "0.0.0.0/0", ALWAYS),
        ("IpAddress", Gap.PUBLIC_ADDRESS, "2001:db8::/32", NEVER),
        ("IpAddress", Gap.PUBLIC_ADDRESS, "everywhere", UNKNOWN),
        ("NotIpAddress", Gap.PUBLIC_ADDRESS, "10.0.0.0/99", UNKNOWN),
        ("StringEquals", Gap.PUBLIC_ADDRESS, "203.0.113.7", UNKNOWN),
    ],
)  # fmt: skip
def test_what_is_known_of_a_value_is_used_and_nothing_more(
    operator: str, value: Value, wanted: str, expected: Extent
) -> None:
    assert extent(operator, value, wanted) is expected


def test_each_part_of_an_arn_is_compared_for_itself() -> None:
    pattern = "arn:aws:someservice:*:111122223333:finance/*"
    value = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
    assert extent("StringLike", (value,), pattern) is ALWAYS
    assert extent("ArnLike", (value,), pattern) is NEVER
    assert extent("ArnLike", ("not an arn",), pattern) is NEVER


def test_variables_stand_for_values_of_the_request_in_text_and_arn_operators() -> None:
    team: Value = ("ray",)
    assert extent("StringEquals", ("x/ray",), "x/${Team}", team=team) is ALWAYS
    assert extent("StringLike", ("x/ray/1",), "x/${team}/*", team=team) is ALWAYS
    assert extent("ArnLike", ("arn:aws:s3:::ray",), "arn:aws:s3:::${team}", team=team) is ALWAYS
    assert extent("StringEquals", ("x/ray",), "x/${team}", version_2012=False, team=team) is NEVER
    assert extent("StringEquals", ("${team}",), "${team}", version_2012=False, team=team) is ALWAYS
    assert extent("StringLike", ("a*b",), "a${*}b") is ALWAYS
    assert extent("StringLike", ("axb",), "a${*}b") is NEVER
    assert extent("StringLike", ("abc",), "${team}", team=("a*",)) is NEVER


@pytest.mark.parametrize("operator", ["StringLike", "StringNotLike", "ArnLike"])
@pytest.mark.parametrize("value", [Span(10, 20), Span(10, 10), Gap.PUBLIC_ADDRESS])
def test_a_pattern_with_a_variable_says_nothing_of_a_number_or_an_address_that_is_not_fully_known(
    operator: str, value: Value
) -> None:
    assert extent(operator, value, "1${team}", team=("0",)) is UNKNOWN


def test_a_variable_without_a_value_matches_nothing_and_leaves_a_negation_open() -> None:
    assert extent("StringEquals", ("x",), "${team}", team=Gap.ABSENT) is NEVER
    assert extent("StringNotEquals", ("x",), "${team}", team=Gap.ABSENT) is UNKNOWN
    assert extent("StringEquals", ("x",), "${team}", "x", team=Gap.ABSENT) is ALWAYS
    assert extent("StringEquals", ("x",), "${team}", team=Gap.PRESENT) is UNKNOWN
    assert extent("StringEquals", ("none",), "${team, 'none'}", team=Gap.ABSENT) is ALWAYS
    assert extent("StringEquals", ("a",), "${team}", team=("a", "b")) is NEVER


def test_all_operators_and_keys_of_a_statement_must_hold() -> None:
    context = Context(({"one": ("1",), "two": ("2",)},))

    def held(condition: object) -> Extent:
        return conditions_extent(read_statement({"Effect": "Allow", "Condition": condition}, 1, True), context)

    assert held({}) is ALWAYS
    assert held({"StringEquals": {"One": "1", "Two": "2"}, "Null": {"three": "false"}}) is UNKNOWN
    assert held({"StringEquals": {"One": "1", "Two": "2"}}) is ALWAYS
    assert held({"StringEquals": {"One": "1"}, "StringNotEquals": {"Two": "2"}}) is NEVER
    assert held({"StringEquals": {"three": "x", "one": "2"}}) is NEVER
    assert held("nonsense") is UNKNOWN
    assert held({"StringEquals": "nonsense"}) is UNKNOWN
    assert held({"StringEquals": {"one": {"nonsense": 1}}}) is UNKNOWN
