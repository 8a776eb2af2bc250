"""Whatever is configured, it is either understood or refused with reasons; and what is understood is kept."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from remediator.errors import SettingsError
from remediator.settings import (
    HOME_REGIONS,
    LOG_RETENTION_DAYS,
    RolePattern,
    Settings,
    parse_settings,
    settings_json,
)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)

ACCOUNT = "111122223333"
literal = st.text("abcdefgXYZ0189+=,.@_-", min_size=4, max_size=30)
# Buckets are named after their region and owner, so that no two clouds can contradict each other about one.
BUCKET_REGIONS = {"aws": ("us-west-2", "eu-west-1"), "aws-us-gov": ("us-gov-east-1",), "aws-cn": ("cn-northwest-1",)}


@st.composite
def good_configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A configuration as people may write it, with and without what has a default."""
    home = draw(st.sampled_from(list(HOME_REGIONS)))

    def bucket(number: int) -> dict[str, Any]:
        region = BUCKET_REGIONS[HOME_REGIONS[home]][number % len(BUCKET_REGIONS[HOME_REGIONS[home]])]
        return {"name": f"bucket-{number}", "region": region, "account": f"{number:012}"}

    cloud = st.fixed_dictionaries(
        {
            "buckets": st.lists(st.integers(0, 9).map(bucket), min_size=1, max_size=5, unique_by=lambda b: b["name"]),
            "roles": st.lists(
                st.tuples(st.just("team-"), literal, st.sampled_from(["", "*", "?", "/*", "*/x"])).map("".join),
                min_size=1,
                max_size=3,
                unique=True,
            ),
        },
        optional={
            "mode": st.sampled_from(["repair", "observe"]),
            "grant": st.just("role-policy"),
            "account": st.just(ACCOUNT),
        },
    )
    value: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {"clouds": st.dictionaries(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,9}\Z"), cloud, min_size=1)},
            optional={
                "account": st.just(ACCOUNT),
                "enrollmentTag": st.from_regex(r"\Aacme[a-z0-9 :/=+._@-]{0,20}[a-z]\Z"),
                "emails": st.lists(st.integers(0, 9).map("p{}@example.com".format), unique=True, max_size=3),
                "logRetentionDays": st.sampled_from(LOG_RETENTION_DAYS),
            },
        )
    )
    return value | {"region": home}


@st.composite
def damaged_configurations(draw: st.DrawFn) -> object:
    """A good configuration in which one value, somewhere, is replaced by anything."""
    value: Any = draw(good_configurations())
    place = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            place[key] = draw(any_json)
            return value
        place = place[key]


def faults_of(value: object) -> tuple[str, ...]:
    """The faults of a configuration, none if it is understood; any other error than SettingsError fails the test."""
    try:
        settings = parse_settings(value)
    except SettingsError as error:
        return error.faults
    assert isinstance(settings, Settings)
    return ()


@given(any_json)
def test_any_json_is_refused_with_faults_of_one_printable_line(value: object) -> None:
    faults = faults_of(value)
    assert faults
    assert all(re.fullmatch(r"[\x20-\x7e]+", fault) for fault in faults)


@given(damaged_configurations())
def test_a_configuration_with_one_wrong_value_is_understood_or_refused(value: object) -> None:
    assert all(re.fullmatch(r"[\x20-\x7e]+", fault) for fault in faults_of(value))


@given(good_configurations())
def test_a_good_configuration_survives_being_written_and_read(value: dict[str, Any]) -> None:
    settings = parse_settings(value)
    assert parse_settings(json.loads(settings_json(settings))) == settings


@given(good_configurations())
def test_every_cloud_is_found_and_keeps_its_buckets_and_patterns(value: dict[str, Any]) -> None:
    settings = parse_settings(value)
    for name, written in value["clouds"].items():
        cloud = settings.cloud(name)
        assert cloud is not None
        assert [bucket.name for bucket in cloud.buckets] == [bucket["name"] for bucket in written["buckets"]]
        assert [pattern.text for pattern in cloud.roles] == written["roles"]


def slow_match(pattern: str, text: str) -> bool:
    """IAM's wildcards, straight from their definition."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(slow_match(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and slow_match(pattern[1:], text[1:])


@given(st.text("aA/*?[]!.", max_size=8), st.text("aA/[]!.", max_size=10))
def test_a_pattern_matches_exactly_what_the_definition_of_the_wildcards_says(pattern: str, role: str) -> None:
    assert RolePattern(pattern).matches(role) == slow_match(pattern, role)
