"""Whatever is configured, it is either understood or refused with reasons; and what is understood is kept."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from remediator.errors import SettingsError
from remediator.settings import RolePattern, Settings, settings_from, settings_json
from remediator.settings_check import LOG_RETENTION_DAYS, parse_settings

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)

ACCOUNT = "111122223333"
literal = st.text("abcdefgXYZ0189+=,.@_-", min_size=4, max_size=30)
# Whatever is said of a bucket follows from its number, so that no two clouds can contradict each other about one.
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")

SIDES: tuple[dict[str, str], ...] = (
    {},
    {"grant": "role-policy"},
    {"grant": "bucket-policy"},
    {"grant": "bucket-policy", "formerGrant": "role-policy"},
    {"grant": "role-policy", "formerGrant": "bucket-policy"},
    {"formerGrant": "bucket-policy"},
)


@st.composite
def good_configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A configuration as people may write it, with and without what has a default."""

    def bucket(number: int) -> dict[str, Any]:
        region = REGIONS[number % len(REGIONS)]
        found = {"name": f"bucket-{number}", "region": region}
        if number % 2:
            found["account"] = f"{number:012}"
        if number % 5 == 0:
            found["key"] = f"arn:aws:kms:{region}:{ACCOUNT}:key/{number % 2}"
        return found

    def cloud(sides: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
        of_ours = "bucket-policy" in sides.values()
        numbers = st.sampled_from(range(0, 20, 2)) if of_ours else st.integers(0, 19)
        return st.fixed_dictionaries(
            {
                "buckets": st.lists(numbers.map(bucket), min_size=1, max_size=5, unique_by=lambda b: b["name"]),
                "roles": st.lists(
                    st.tuples(st.just("team-"), literal, st.sampled_from(["", "*", "?", "/*", "*/x"])).map("".join),
                    min_size=1,
                    max_size=3,
                    unique=True,
                ),
                **{key: st.just(side) for key, side in sides.items()},
            },
            optional={
                "mode": st.sampled_from(["repair", "observe"]),
                "instanceProfile": st.sampled_from(["report", "repair", "ignore"]),
                "account": st.just(ACCOUNT),
                "requiredBoundary": st.sampled_from([ACCOUNT, "aws"]).map(
                    lambda owner: f"arn:aws:iam::{owner}:policy/boundary"
                ),
            },
        )

    value: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {
                "clouds": st.dictionaries(
                    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,9}\Z"),
                    st.sampled_from(SIDES).flatmap(cloud),
                    min_size=1,
                    max_size=6,
                )
            },
            optional={
                "account": st.just(ACCOUNT),
                "enrollmentTag": st.from_regex(r"\Aacme[a-z0-9 :/=+._@-]{0,20}[a-z]\Z"),
                "emails": st.lists(st.integers(0, 9).map("p{}@example.com".format), unique=True, max_size=3),
                "logRetentionDays": st.sampled_from(LOG_RETENTION_DAYS),
                "sweepMinutes": st.integers(5, 1440),
                "approvers": st.lists(
                    st.tuples(st.sampled_from(["role/team-", "user/"]), literal, st.sampled_from(["", "*", "?x"])).map(
                        lambda parts: f"arn:aws:iam::{ACCOUNT}:{''.join(parts)}"
                    ),
                    unique=True,
                    max_size=3,
                ),
                "writeLimit": st.fixed_dictionaries(
                    {}, optional={"writes": st.integers(1, 100_000), "minutes": st.integers(1, 1440)}
                ),
                "contest": st.fixed_dictionaries(
                    {},
                    optional={
                        "repairs": st.integers(1, 100),
                        "minutes": st.integers(1, 1440),
                        "coolDownMinutes": st.integers(1, 43_200),
                    },
                ),
                "historyDays": st.integers(1, 3650),
                "digest": st.fixed_dictionaries(
                    {}, optional={"alone": st.integers(1, 100), "minutes": st.integers(1, 14)}
                ),
                "slackWebhookSecret": st.from_regex(r"\Aslack[A-Za-z0-9_+=.@-]{0,20}\Z")
                | st.from_regex(r"[A-Za-z0-9]{6}", fullmatch=True).map(
                    lambda added: f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:slack-{added}"
                ),
                "amazonQ": st.fixed_dictionaries(
                    {
                        "workspace": st.from_regex(r"\AT[A-Z0-9]{8,10}\Z"),
                        "channel": st.from_regex(r"\A[CG][A-Z0-9]{8,10}\Z"),
                    }
                ),
                "region": st.just("us-east-1"),
            },
        )
    )
    return value


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
    written = json.loads(settings_json(settings))
    assert settings_from(written) == settings
    assert parse_settings(written) == settings


@given(good_configurations())
def test_every_cloud_is_found_and_keeps_its_buckets_and_patterns(value: dict[str, Any]) -> None:
    settings = parse_settings(value)
    for name, written in value["clouds"].items():
        cloud = settings.cloud(name)
        assert cloud is not None
        assert [bucket.name for bucket in cloud.buckets] == [bucket["name"] for bucket in written["buckets"]]
        assert [pattern.text for pattern in cloud.roles] == written["roles"]


@given(good_configurations())
def test_every_bucket_and_key_leads_back_to_its_clouds(value: dict[str, Any]) -> None:
    settings = parse_settings(value)
    for cloud in settings.clouds:
        for bucket in cloud.buckets:
            assert cloud in settings.clouds_of_bucket(bucket.name)
            assert bucket.key is None or cloud in settings.clouds_of_key(bucket.key)


@given(good_configurations())
def test_every_bucket_is_in_the_home_region_or_in_one_of_the_others(value: dict[str, Any]) -> None:
    settings = parse_settings(value)
    assert settings.region not in settings.other_regions
    found = [
        bucket.name for region in (settings.region, *settings.other_regions) for bucket in settings.buckets_in(region)
    ]
    assert len(found) == len(set(found))
    assert set(found) == {bucket.name for cloud in settings.clouds for bucket in cloud.buckets}
    assert all(settings.buckets_in(region) for region in settings.other_regions)


@given(good_configurations())
def test_clouds_that_can_write_one_bucket_s_policy_have_the_same_shared_bucket(value: dict[str, Any]) -> None:
    settings = parse_settings(value)
    groups: dict[str, set[str]] = {}
    for cloud in settings.clouds:
        shared = settings.shared_bucket(cloud)
        assert (shared is None) == (not cloud.writes_bucket_policies)
        if shared is not None:
            groups.setdefault(shared, set()).update(bucket.name for bucket in cloud.buckets)
    for shared, names in groups.items():
        assert shared in names
        assert not [other for other, theirs in groups.items() if other != shared and theirs & names]


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
