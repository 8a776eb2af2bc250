"""The rules let in every watched call that succeeded and concerns us, wherever it is recorded, and nothing else."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from remediator.core.events.event import Ignored, SharedTrigger, parse_event
from remediator.core.events.watched import BUS_SOURCES, UNWATCHED, WATCHED_CALLS, Concern, WatchedCall
from remediator.settings import Settings
from remediator.settings_check import parse_settings
from stacks.watched_rules import LONGEST_PATTERN, WatchedRule, forwarded_rule, watched_rules
from tests.infrastructure.templates import ACCOUNT, Synthesised, resolved

EVENTS = sorted((Path(__file__).parent.parent / "events").glob("*.json"))
HOME, ELSEWHERE = "us-east-1", "us-west-2"
DATA, DATASETS = "anyscale-production-data", "anyscale-production-datasets"
KEY = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HOME_KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SETTINGS = parse_settings(
    {
        "clouds": {
            "production": {
                "buckets": [
                    {"name": DATA, "region": HOME, "key": HOME_KEY},
                    {"name": DATASETS, "region": ELSEWHERE, "key": KEY},
                ],
                "roles": ["anyscale/production/*"],
            }
        }
    }
)
RULES = {region: watched_rules(SETTINGS, region, ACCOUNT) for region in (HOME, ELSEWHERE)}
INBOX = forwarded_rule([ELSEWHERE], ACCOUNT)

Event = dict[str, Any]


def readings(value: Any) -> Iterator[Any]:
    """An event with one member in the place of each array of objects, in every combination.

    EventBridge tries a pattern on each of them
    (https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-custom-actions.html relies on it); moto's
    patterns do not know arrays of objects.
    """
    match value:
        case dict():
            for combination in itertools.product(*(tuple(readings(inner)) for inner in value.values())):
                yield dict(zip(value, combination, strict=True))
        case [dict(), *_]:
            for inner in value:
                yield from readings(inner)
        case _:
            yield value


def let_in(rules: Sequence[WatchedRule], event: Event) -> list[str]:
    """The names of the rules that let the event in."""
    return [
        rule.name
        for rule in rules
        if any(
            EventPattern.load(json.dumps(rule.pattern)).matches_event(reading)
            for reading in readings({"region": None, **event})
        )
    ]


def at(event: Event, region: str) -> list[str]:
    """The rules that let in an event recorded there, by name, and after a dash the inbox's that lets it in as well."""
    found = let_in(RULES[region], event)
    return found if region == HOME else [f"{name}-{inbox}" for name in found for inbox in let_in([INBOX], event)]


def recorded(call: WatchedCall, region: str) -> Event:
    """A successful call, recorded in a Region: on the bucket or the key of that Region, where it names one."""
    event: Event = json.loads(next(path for path in EVENTS if path.stem == call.name).read_text())
    detail = event["detail"]
    event["region"] = detail["awsRegion"] = region
    match call.concern:
        case Concern.BUCKET:
            detail["requestParameters"]["bucketName"] = DATA if region == HOME else DATASETS
        case Concern.KEY:
            detail["resources"] = [{"ARN": HOME_KEY if region == HOME else KEY, "type": "AWS::KMS::Key"}]
        case _:
            pass
    return event


PLACES = [
    (call, region)
    for call in WATCHED_CALLS
    for region in (HOME, ELSEWHERE)
    if region == HOME or call.event_source != "iam.amazonaws.com"
]
everywhere = pytest.mark.parametrize(("call", "region"), PLACES, ids=lambda value: getattr(value, "name", value))
EXPECTED = {
    Concern.ROLE: "Roles",
    Concern.INSTANCE_PROFILE: "Roles",
    Concern.MANAGED_POLICY: "Roles",
    Concern.BUCKET: "Buckets1",
    Concern.ACCOUNT: "Account",
    Concern.KEY: "Keys1",
}
WRONG_RECORDS: tuple[Event, ...] = (
    *({"errorCode": code, "requestParameters": None} for code in ("AccessDenied", "NoSuchEntityException")),
    *({"errorCode": code} for code in ("AccessDenied", "MalformedPolicyDocumentException", "NoSuchBucket")),
    *({"eventName": name} for name in ("GetRole", "ListBuckets", "DescribeKey", "createrole", "PutBucketPolicy2")),
    *({"eventSource": source} for source in ("ec2.amazonaws.com", "sts.amazonaws.com", "s3")),
)
WRONG_EVENTS: tuple[Event, ...] = (
    {"source": "com.example.forged"},
    {"source": "aws.ec2"},
    {"account": "999988887777"},
    {"detail-type": "AWS Console Sign In via CloudTrail"},
    {"detail-type": "AWS Service Event via CloudTrail"},
)


class TestWatchedCalls:
    @everywhere
    def test_a_watched_call_is_let_in_by_one_rule_where_it_is_recorded(self, call: WatchedCall, region: str) -> None:
        expected = EXPECTED[call.concern]
        assert at(recorded(call, region), region) == [expected if region == HOME else f"{expected}-Forwarded"]

    @pytest.mark.parametrize("call", [call for call in WATCHED_CALLS if call.concern is Concern.BUCKET])
    def test_a_call_on_a_bucket_elsewhere_is_let_in_at_s3_s_global_endpoint_too(self, call: WatchedCall) -> None:
        event = recorded(call, HOME)
        event["detail"]["requestParameters"]["bucketName"] = DATASETS
        assert at(event, HOME) == ["Buckets1"]

    @everywhere
    def test_a_call_that_failed_or_is_another_is_left_out(self, call: WatchedCall, region: str) -> None:
        event = recorded(call, region)
        for wrong in WRONG_RECORDS:
            changed = event | {"detail": event["detail"] | wrong}
            assert (wrong, at(changed, region), let_in([INBOX], changed)) == (wrong, [], [])

    @everywhere
    def test_an_event_of_another_account_or_not_of_the_service_is_left_out(
        self, call: WatchedCall, region: str
    ) -> None:
        for wrong in WRONG_EVENTS:
            changed = recorded(call, region) | wrong
            assert (wrong, at(changed, region), let_in([INBOX], changed)) == (wrong, [], [])

    @everywhere
    def test_a_call_on_another_bucket_or_key_is_left_out(self, call: WatchedCall, region: str) -> None:
        others: tuple[Event, ...] = ()
        if call.concern is Concern.BUCKET:
            names = (f"{DATASETS}-2", DATA.upper(), DATA[:-1], "", None)
            others = tuple({"requestParameters": {"bucketName": name}} for name in names)
        if call.concern is Concern.KEY:
            arns = (f"{KEY}0", KEY[:-1], f"arn:aws:kms:{region}:111122223333:alias/anyscale")
            others = ({"resources": []}, {"resources": None}, *({"resources": [{"ARN": arn}]} for arn in arns))
        event = recorded(call, region)
        for other in others:
            assert (other, at(event | {"detail": event["detail"] | other}, region)) == (other, [])

    def test_a_key_is_found_among_several_resources(self) -> None:
        (call,) = [call for call in WATCHED_CALLS if call.name == "DisableKey"]
        event = recorded(call, HOME)
        event["detail"]["resources"].insert(0, {"ARN": "arn:aws:kms:us-east-1:111122223333:alias/anyscale"})
        assert at(event, HOME) == ["Keys1"]

    @pytest.mark.parametrize("call", [call for call in WATCHED_CALLS if call.concern in (Concern.BUCKET, Concern.KEY)])
    def test_a_forwarder_lets_in_nothing_of_other_regions(self, call: WatchedCall) -> None:
        assert let_in(RULES[ELSEWHERE], recorded(call, HOME)) == []

    @pytest.mark.parametrize("region", [HOME, "eu-west-1", None])
    def test_the_inbox_takes_events_of_the_forwarders_regions_only(self, region: str | None) -> None:
        (call,) = [call for call in WATCHED_CALLS if call.name == "PutBucketPolicy"]
        event = recorded(call, ELSEWHERE)
        assert let_in([INBOX], event) == ["Forwarded"]
        assert let_in([INBOX], event | {"region": region}) == []


class TestRecords:
    """Every record that the tests have, the unwatched ones too."""

    @pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
    def test_the_rules_let_in_what_the_parser_takes_for_ours(self, path: Path) -> None:
        event: Event = json.loads(path.read_text())
        trigger = parse_event(event, account=ACCOUNT)
        ours = not isinstance(trigger, Ignored)
        assert len(at(event, event["region"])) == ours
        match trigger:
            case SharedTrigger(concern=Concern.BUCKET, name=bucket):
                assert bucket in (DATA, DATASETS)
            case SharedTrigger(concern=Concern.KEY, name=key):
                assert key == KEY
            case SharedTrigger(concern=Concern.ACCOUNT):
                assert at(event | {"region": ELSEWHERE}, ELSEWHERE) == ["Account-Forwarded"]
            case _:
                pass

    @pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
    def test_an_unwatched_call_is_left_out_whatever_its_record_holds(self, path: Path) -> None:
        event: Event = json.loads(path.read_text())
        for source, name in UNWATCHED:
            event["source"] = BUS_SOURCES[source]
            event["detail"] |= {"eventSource": source, "eventName": name}
            assert (name, at(event, event["region"])) == (name, [])


class TestSizes:
    @pytest.mark.parametrize("configuration", ["largest", "example", "mixed"])
    def test_every_pattern_fits_its_limit_and_every_name_its_own(
        self, configuration: str, request: pytest.FixtureRequest
    ) -> None:
        stack: Synthesised = request.getfixturevalue(configuration)
        for each in stack.stacks().values():
            for rule in each.resources("AWS::Events::Rule").values():
                assert len(json.dumps(rule["Properties"]["EventPattern"])) <= LONGEST_PATTERN
                assert re.fullmatch(r"[.\-_A-Za-z0-9]{1,64}", rule["Properties"].get("Name", "x"))

    def test_250_buckets_and_keys_are_named_once_each_in_as_few_rules_as_it_takes(self) -> None:
        settings = many_buckets(250)
        rules = watched_rules(settings, ELSEWHERE, ACCOUNT)
        buckets = [name for rule in rules for name in pinned(rule, "requestParameters", "bucketName")]
        keys = [arn for rule in rules for arn in pinned(rule, "resources", "ARN")]
        assert buckets == [bucket.name for bucket in settings.buckets_in(ELSEWHERE)]
        assert keys == [bucket.key for bucket in settings.buckets_in(ELSEWHERE)]
        assert len(buckets) == len(keys) == 250
        assert len({rule.name for rule in rules}) == len(rules) <= 30
        assert all(len(json.dumps(rule.pattern)) <= LONGEST_PATTERN for rule in rules)

    def test_the_home_region_watches_the_buckets_of_all_regions_and_its_own_keys(self) -> None:
        rules = watched_rules(SETTINGS, HOME, ACCOUNT)
        assert {name for rule in rules for name in pinned(rule, "requestParameters", "bucketName")} == {DATA, DATASETS}
        assert {arn for rule in rules for arn in pinned(rule, "resources", "ARN")} == {HOME_KEY}

    def test_where_there_are_no_keys_there_is_no_rule_for_keys(self) -> None:
        bucket = {"name": "acme", "region": ELSEWHERE}
        settings = parse_settings({"clouds": {"a": {"buckets": [bucket], "roles": ["anyscale/*"]}}})
        assert [rule.name for rule in watched_rules(settings, HOME, ACCOUNT)] == ["Roles", "Account", "Buckets1"]
        assert [rule.name for rule in watched_rules(settings, ELSEWHERE, ACCOUNT)] == ["Account", "Buckets1"]

    def test_the_account_that_is_not_known_yet_counts_as_twelve_digits(self) -> None:
        known, unknown = (watched_rules(many_buckets(60), ELSEWHERE, account) for account in (ACCOUNT, "x" * 500))
        assert [rule.name for rule in known] == [rule.name for rule in unknown]

    def test_the_inbox_s_pattern_fits_its_limit_for_forty_regions(self) -> None:
        rule = forwarded_rule([f"ap-southeast-{number}" for number in range(10, 50)], ACCOUNT)
        assert len(json.dumps(rule.pattern)) <= LONGEST_PATTERN


class TestTemplates:
    @pytest.mark.parametrize("configuration", ["example", "largest", "mixed"])
    def test_the_stacks_have_the_rules_of_their_regions_and_no_other(
        self, configuration: str, request: pytest.FixtureRequest
    ) -> None:
        home: Synthesised = request.getfixturevalue(configuration)
        forwarders = home.forwarders()
        expected = named("AnyscaleRemediator", watched_rules(home.settings, home.settings.region, ACCOUNT))
        if forwarders:
            expected |= named("AnyscaleRemediator", [forwarded_rule(sorted(forwarders), ACCOUNT)])
        assert patterns(home) == expected
        for region, forwarder in forwarders.items():
            rules = watched_rules(home.settings, region, ACCOUNT)
            assert patterns(forwarder) == named("AnyscaleRemediatorForwarder", rules)


def patterns(stack: Synthesised) -> dict[str, Any]:
    """The patterns of the rules on calls that CloudTrail records, by the names of the rules."""
    return {
        rule["Properties"]["Name"]: resolved(rule["Properties"]["EventPattern"])
        for rule in stack.resources("AWS::Events::Rule").values()
        if "eventName" in rule["Properties"]["EventPattern"]["detail"]
    }


def named(prefix: str, rules: Sequence[WatchedRule]) -> dict[str, Any]:
    return {f"{prefix}-{rule.name}": rule.pattern for rule in rules}


def pinned(rule: WatchedRule, *path: str) -> Sequence[str]:
    value: Any = rule.pattern["detail"]
    for key in path:
        value = value.get(key, {})
    return tuple(value)


def many_buckets(count: int) -> Settings:
    buckets = [
        {
            "name": f"acme-{number}-".ljust(63, "x"),
            "region": ELSEWHERE,
            "key": f"arn:aws:kms:{ELSEWHERE}:111122223333:key/1234abcd-12ab-34cd-56ef-{number:012}",
        }
        for number in range(count)
    ]
    return parse_settings({"clouds": {"a": {"buckets": buckets, "roles": ["anyscale/*"]}}})
