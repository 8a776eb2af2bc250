"""The configuration: what it means, and that every fault in it is found and explained at once."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME
from remediator.errors import SettingsError
from remediator.settings import (
    MODE_TAG,
    SETTINGS_FILE,
    AmazonQ,
    BucketSettings,
    Cloud,
    ConflictLimit,
    DigestLimit,
    GrantLocation,
    InstanceProfileMode,
    Mode,
    PrincipalPattern,
    RolePattern,
    Settings,
    WriteLimit,
    load_settings,
    settings_json,
)
from remediator.settings_check import LOG_RETENTION_DAYS, parse_settings

KEY = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_KEY = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
APPROVER = "arn:aws:iam::111122223333:role/platform/*"
BOUNDARY = "arn:aws:iam::111122223333:policy/guardrails/cluster-boundary"
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:anyscale-remediator/slack-webhook-AbCdEf"
WEBHOOK = "https://hooks.slack.com/services/T07EA123LEP/B07EB456QRS/0123456789abcdefghijABCD"
FULL: dict[str, Any] = {
    "region": "us-east-1",
    "account": "111122223333",
    "enrollmentTag": "acme:cluster",
    "emails": ["oncall@example.com"],
    "logRetentionDays": 30,
    "sweepMinutes": 15,
    "approvers": [APPROVER, "arn:aws:iam::111122223333:user/alice"],
    "writeLimit": {"writes": 100, "minutes": 10},
    "contest": {"repairs": 5, "minutes": 30, "coolDownMinutes": 720},
    "historyDays": 90,
    "digest": {"alone": 3, "minutes": 10},
    "slackWebhookSecret": "anyscale-remediator/slack-webhook",
    "amazonQ": {"workspace": "T07EA123LEP", "channel": "C07EZ1ABC23"},
    "clouds": {
        "production": {
            "buckets": [
                {"name": "acme-production", "region": "us-west-2"},
                {"name": "acme-shared", "region": "eu-central-1", "account": "444455556666"},
            ],
            "roles": ["anyscale/production/*", "production-?-node"],
            "mode": "observe",
            "grant": "role-policy",
            "account": "111122223333",
        },
        "staging": {
            "buckets": [{"name": "acme-staging", "region": "us-west-2", "key": KEY}],
            "roles": ["anyscale/staging/*"],
            "mode": "repair",
            "grant": "bucket-policy",
            "formerGrant": "role-policy",
            "instanceProfile": "repair",
            "requiredBoundary": BOUNDARY,
        },
    },
}
MINIMAL: dict[str, Any] = {
    "clouds": {"production": {"buckets": [{"name": "acme-production", "region": "us-west-2"}], "roles": ["anyscale/*"]}}
}


def changed(path: str, value: object, base: dict[str, Any] = FULL) -> dict[str, Any]:
    """A copy of a configuration with another value at ``clouds/production/buckets/0/name``."""
    changed = copy.deepcopy(base)
    *parents, last = path.split("/")
    place: Any = changed
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[int(last) if isinstance(place, list) else last] = value
    return changed


def cloud_with(**changes: object) -> dict[str, Any]:
    """The smallest configuration with some keys of its cloud set."""
    return {"clouds": {"production": {**MINIMAL["clouds"]["production"], **changes}}}


def faults_of(value: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse_settings(value)
    return caught.value.faults


def the_fault_of(path: str, value: object) -> str:
    faults = faults_of(changed(path, value))
    assert len(faults) == 1, faults
    return faults[0]


def test_a_full_configuration_is_read_as_it_is_written() -> None:
    assert parse_settings(FULL) == Settings(
        region="us-east-1",
        account="111122223333",
        enrollment_tag="acme:cluster",
        emails=("oncall@example.com",),
        log_retention_days=30,
        sweep_minutes=15,
        approvers=(PrincipalPattern(APPROVER), PrincipalPattern("arn:aws:iam::111122223333:user/alice")),
        write_limit=WriteLimit(writes=100, minutes=10),
        contest=ConflictLimit(repairs=5, minutes=30, cool_down_minutes=720),
        history_days=90,
        digest=DigestLimit(alone=3, minutes=10),
        slack_webhook_secret="anyscale-remediator/slack-webhook",
        amazon_q=AmazonQ(workspace="T07EA123LEP", channel="C07EZ1ABC23"),
        clouds=(
            Cloud(
                name="production",
                buckets=(
                    BucketSettings("acme-production", "us-west-2", "111122223333"),
                    BucketSettings("acme-shared", "eu-central-1", "444455556666"),
                ),
                roles=(RolePattern("anyscale/production/*"), RolePattern("production-?-node")),
                mode=Mode.OBSERVE,
                grant=GrantLocation.ROLE_POLICY,
                former_grant=None,
                instance_profile=InstanceProfileMode.REPORT,
                account="111122223333",
            ),
            Cloud(
                name="staging",
                buckets=(BucketSettings("acme-staging", "us-west-2", "111122223333", KEY),),
                roles=(RolePattern("anyscale/staging/*"),),
                mode=Mode.REPAIR,
                grant=GrantLocation.BUCKET_POLICY,
                former_grant=GrantLocation.ROLE_POLICY,
                instance_profile=InstanceProfileMode.REPAIR,
                account="111122223333",
                required_boundary=BOUNDARY,
            ),
        ),
    )


def test_what_is_left_out_has_a_default() -> None:
    assert parse_settings(MINIMAL) == Settings(
        region="us-east-1",
        account=None,
        enrollment_tag="anyscale:cluster-role",
        emails=(),
        log_retention_days=90,
        sweep_minutes=60,
        approvers=(),
        write_limit=WriteLimit(writes=500, minutes=60),
        contest=ConflictLimit(repairs=3, minutes=60, cool_down_minutes=1440),
        history_days=400,
        digest=DigestLimit(alone=5, minutes=5),
        slack_webhook_secret=None,
        amazon_q=None,
        clouds=(
            Cloud(
                name="production",
                buckets=(BucketSettings("acme-production", "us-west-2", account=None, key=None),),
                roles=(RolePattern("anyscale/*"),),
                mode=Mode.REPAIR,
                grant=GrantLocation.ROLE_POLICY,
                former_grant=None,
                instance_profile=InstanceProfileMode.REPORT,
                account=None,
                required_boundary=None,
            ),
        ),
    )


def test_an_account_that_is_left_out_is_that_of_the_cloud_and_then_that_of_the_deployment() -> None:
    cloud = parse_settings(MINIMAL | {"account": "111122223333"}).clouds[0]
    assert (cloud.account, cloud.buckets[0].account) == ("111122223333", "111122223333")
    cloud = parse_settings(changed("clouds/production/account", "444455556666", MINIMAL)).clouds[0]
    assert (cloud.account, cloud.buckets[0].account) == ("444455556666", "444455556666")


def test_a_cloud_is_found_by_its_exact_name() -> None:
    settings = parse_settings(FULL)
    cloud = settings.cloud("production")
    assert cloud is not None
    assert cloud.name == "production"
    assert settings.cloud("Production") is None


def test_fifty_clouds_of_five_buckets_are_read_and_survive_being_written() -> None:
    value = {
        "clouds": {
            f"cloud-{c}": {
                "buckets": [{"name": f"acme-anyscale-cloud-{c}-bucket-{b}", "region": "us-west-2"} for b in range(5)],
                "roles": [f"anyscale/cloud-{c}/*", f"anyscale-cloud-{c}-*", f"cloud-{c}-cluster-node-role"],
            }
            for c in range(50)
        }
    }
    settings = parse_settings(value)
    assert sum(len(cloud.buckets) for cloud in settings.clouds) == 250
    assert parse_settings(json.loads(settings_json(settings))) == settings


def clouds(**described: dict[str, Any]) -> Settings:
    """A configuration of clouds, each with its buckets and, beside them, what else is not the default."""
    return parse_settings({"clouds": {name: {"roles": ["anyscale/*"], **cloud} for name, cloud in described.items()}})


def buckets(*names: str, **more: str) -> list[dict[str, str]]:
    return [{"name": name, "region": "us-west-2", **more} for name in names]


class TestWhatConcernsWhat:
    """From a bucket, a key or a Region to what the configuration says of it."""

    def test_the_clouds_of_a_bucket_are_all_that_list_it(self) -> None:
        settings = clouds(
            a={"buckets": buckets("acme-a", "acme-shared")},
            b={"buckets": buckets("acme-shared")},
            c={"buckets": buckets("acme-c")},
        )
        assert [cloud.name for cloud in settings.clouds_of_bucket("acme-shared")] == ["a", "b"]
        assert [cloud.name for cloud in settings.clouds_of_bucket("acme-c")] == ["c"]
        assert settings.clouds_of_bucket("acme") == ()

    def test_the_clouds_of_a_key_are_all_with_a_bucket_under_it(self) -> None:
        settings = clouds(
            a={"buckets": [*buckets("acme-a"), *buckets("acme-b", key=KEY)]},
            b={"buckets": buckets("acme-c", key=KEY)},
            c={"buckets": buckets("acme-d", key=OTHER_KEY)},
            d={"buckets": buckets("acme-e")},
        )
        assert [cloud.name for cloud in settings.clouds_of_key(KEY)] == ["a", "b"]
        assert [cloud.name for cloud in settings.clouds_of_key(OTHER_KEY)] == ["c"]
        assert settings.clouds_of_key("arn:aws:kms:us-west-2:111122223333:key/another") == ()

    def test_a_region_has_each_of_its_buckets_once(self) -> None:
        elsewhere = {"name": "acme-elsewhere", "region": "eu-west-1"}
        settings = clouds(
            a={"buckets": [*buckets("acme-z", "acme-shared"), elsewhere]},
            b={"buckets": buckets("acme-shared", "acme-b")},
        )
        assert [bucket.name for bucket in settings.buckets_in("us-west-2")] == ["acme-z", "acme-shared", "acme-b"]
        assert [bucket.name for bucket in settings.buckets_in("eu-west-1")] == ["acme-elsewhere"]
        assert settings.buckets_in("us-east-1") == ()

    def test_the_other_regions_are_sorted_and_without_the_home_region(self) -> None:
        regions = ("us-west-2", "us-east-1", "eu-west-1", "us-west-2")
        named = [{"name": f"acme-{number}", "region": region} for number, region in enumerate(regions)]
        assert clouds(a={"buckets": named}).other_regions == ("eu-west-1", "us-west-2")
        assert clouds(a={"buckets": named[1:2]}).other_regions == ()

    @pytest.mark.parametrize(
        ("sides", "writes"),
        [
            ({}, False),
            ({"grant": "role-policy"}, False),
            ({"grant": "bucket-policy"}, True),
            ({"grant": "bucket-policy", "formerGrant": "role-policy"}, True),
            ({"grant": "role-policy", "formerGrant": "bucket-policy"}, True),
        ],
    )
    def test_bucket_policies_are_written_where_grants_are_or_were_put_there(
        self, sides: dict[str, str], writes: bool
    ) -> None:
        cloud = clouds(a={"buckets": buckets("acme"), **sides}).clouds[0]
        assert cloud.writes_bucket_policies is writes


GRANTING = {"grant": "bucket-policy"}
SWITCHING_BACK = {"grant": "role-policy", "formerGrant": "bucket-policy"}


class TestSharedBucket:
    """Two clouds whose repairs can write one bucket's policy must get one and the same name."""

    def shared(self, settings: Settings) -> dict[str, str | None]:
        return {cloud.name: settings.shared_bucket(cloud) for cloud in settings.clouds}

    def test_a_cloud_that_writes_no_bucket_policy_has_none(self) -> None:
        assert self.shared(clouds(a={"buckets": buckets("acme-b", "acme-a")})) == {"a": None}

    @pytest.mark.parametrize("side", [GRANTING, SWITCHING_BACK])
    def test_a_cloud_of_its_own_has_the_first_of_its_buckets_by_name(self, side: dict[str, str]) -> None:
        assert self.shared(clouds(a={"buckets": buckets("acme-b", "acme-a"), **side})) == {"a": "acme-a"}

    def test_clouds_with_a_bucket_in_common_have_the_same(self) -> None:
        settings = clouds(
            a={"buckets": buckets("acme-3", "acme-2"), **GRANTING},
            b={"buckets": buckets("acme-2", "acme-1"), **SWITCHING_BACK},
            c={"buckets": buckets("acme-0"), **GRANTING},
        )
        assert self.shared(settings) == {"a": "acme-1", "b": "acme-1", "c": "acme-0"}

    def test_so_have_clouds_that_are_linked_through_others(self) -> None:
        settings = clouds(
            a={"buckets": buckets("acme-9", "acme-8"), **GRANTING},
            d={"buckets": buckets("acme-6", "acme-5"), **GRANTING},
            b={"buckets": buckets("acme-8", "acme-7"), **GRANTING},
            c={"buckets": buckets("acme-7", "acme-6"), **GRANTING},
        )
        assert set(self.shared(settings).values()) == {"acme-5"}

    def test_a_cloud_that_writes_no_bucket_policy_links_nothing(self) -> None:
        settings = clouds(
            a={"buckets": buckets("acme-3"), **GRANTING},
            b={"buckets": buckets("acme-3", "acme-1")},
            c={"buckets": buckets("acme-1"), **GRANTING},
        )
        assert self.shared(settings) == {"a": "acme-3", "b": None, "c": "acme-1"}


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "role"),
        [
            ("anyscale/production/*", "anyscale/production/head-node"),
            ("anyscale/*", "anyscale/production/deep/head-node"),
            ("*-cluster-node-role", "any/path/x-cluster-node-role"),
            ("node-role-?", "node-role-7"),
            ("node?role", "node/role"),
            ("head-node", "head-node"),
            ("a*-node", "a-node"),
        ],
    )
    def test_a_wildcard_stands_for_any_text_slashes_included(self, pattern: str, role: str) -> None:
        assert RolePattern(pattern).matches(role)

    @pytest.mark.parametrize(
        ("pattern", "role"),
        [
            ("anyscale/production/*", "anyscale/staging/head-node"),
            ("anyscale/production/*", "Anyscale/production/head-node"),
            ("anyscale/production/*", "x/anyscale/production/head-node"),
            ("node-role-?", "node-role-"),
            ("node-role-?", "node-role-10"),
            ("head-node", "head-node-2"),
            ("head.node", "headXnode"),
            ("node[12]", "node1"),
        ],
    )
    def test_all_else_is_literal_and_the_whole_role_counts(self, pattern: str, role: str) -> None:
        assert not RolePattern(pattern).matches(role)

    def test_many_wildcards_do_not_take_for_ever(self) -> None:
        assert not RolePattern("a*" * 60 + "b").matches("a" * 500)

    def test_a_cloud_allows_a_role_that_any_of_its_patterns_names(self) -> None:
        cloud = parse_settings(FULL).clouds[0]
        assert cloud.allows("production-7-node")
        assert not cloud.allows("staging-7-node")


class TestApprovers:
    @pytest.mark.parametrize(
        ("pattern", "principal"),
        [
            (APPROVER, "arn:aws:iam::111122223333:role/platform/admin"),
            (APPROVER, "arn:aws:iam::111122223333:role/platform/deep/admin"),
            ("arn:aws:iam::111122223333:user/alic?", "arn:aws:iam::111122223333:user/alice"),
            ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root"),
        ],
    )
    def test_a_wildcard_stands_for_any_text_slashes_included(self, pattern: str, principal: str) -> None:
        assert PrincipalPattern(pattern).matches(principal)

    @pytest.mark.parametrize(
        "principal",
        [
            "arn:aws:iam::111122223333:role/platform",
            "arn:aws:iam::111122223333:role/Platform/admin",
            "arn:aws:iam::444455556666:role/platform/admin",
            "arn:aws:iam::111122223333:user/platform/admin",
            "arn:aws:iam::111122223333:role/x/platform/admin",
            "x:arn:aws:iam::111122223333:role/platform/admin",
            "",
        ],
    )
    def test_all_else_is_literal_and_the_whole_arn_counts(self, principal: str) -> None:
        assert not PrincipalPattern(APPROVER).matches(principal)


class TestFaults:
    def test_all_faults_are_reported_at_once_each_under_its_key(self) -> None:
        value = {
            "acount": "111122223333",
            "region": "eu-west-1",
            "emails": ["nobody"],
            "clouds": {
                "production": {
                    "buckets": [{"name": "acme", "region": "us-west-2"}, {"name": "Acme", "region": "us-west2"}],
                    "roles": ["*"],
                    "mode": "repiar",
                },
                "staging": 7,
            },
        }
        assert [fault.split(":")[0] for fault in faults_of(value)] == [
            "the configuration",
            "region",
            "clouds.production.buckets[1].name",
            "clouds.production.buckets[1].region",
            "clouds.production.roles[0]",
            "clouds.production.mode",
            "clouds.staging",
            "emails[0]",
        ]

    def test_the_error_lists_its_faults_one_a_line(self) -> None:
        with pytest.raises(SettingsError) as caught:
            parse_settings({"region": 1, "clouds": {}})
        assert str(caught.value).splitlines()[1:] == [f"  - {fault}" for fault in caught.value.faults]
        assert len(caught.value.faults) == 2

    @pytest.mark.parametrize("value", [None, 7, "text", [], True])
    def test_a_configuration_that_is_no_object_is_refused(self, value: object) -> None:
        assert "needed is an object" in faults_of(value)[0]

    def test_an_empty_configuration_says_what_is_missing(self) -> None:
        assert faults_of({}) == ('the configuration: the key "clouds" is missing',)

    @pytest.mark.parametrize("region", ["eu-west-1", "us-east-2", "", "US-EAST-1"])
    def test_a_home_region_where_no_iam_event_arrives_is_refused_with_the_reason(self, region: str) -> None:
        fault = faults_of(changed("region", region))[0]
        assert f'found "{region}"' in fault
        assert 'allowed is "us-east-1"' in fault
        assert "IAM's events arrive in no other region" in fault

    @pytest.mark.parametrize("path", ["region", "clouds/production/buckets/0/region"])
    @pytest.mark.parametrize(
        ("region", "partition"),
        [
            ("us-gov-west-1", "aws-us-gov"),
            ("us-gov-east-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("cn-northwest-1", "aws-cn"),
        ],
    )
    def test_a_region_of_another_partition_is_not_supported_wherever_it_is_named(
        self, path: str, region: str, partition: str
    ) -> None:
        fault = the_fault_of(path, region)
        assert fault.endswith(
            f': found "{region}"; the partition "{partition}" is not supported, because Anyscale supports no other '
            'than the partition "aws"'
        )

    @pytest.mark.parametrize("region", ["us-west2", "us_west_2", "moon", "", "us-west-", "US-WEST-2", "us-west-2 "])
    def test_a_bucket_region_is_checked_for_its_form(self, region: str) -> None:
        fault = the_fault_of("clouds/production/buckets/0/region", region)
        assert fault.startswith(f'clouds.production.buckets[0].region: found "{region}"')
        assert '"us-west-2"' in fault

    @pytest.mark.parametrize(
        "region", ["cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"]
    )
    def test_a_bucket_in_another_partition_is_refused(self, region: str) -> None:
        assert 'partition "aws"' in the_fault_of("clouds/production/buckets/0/region", region)

    @pytest.mark.parametrize(
        "account", [111122223333, "11112222333", "1111222233334", "11112222333x", "", "\N{FULLWIDTH DIGIT ONE}" * 12]
    )
    @pytest.mark.parametrize("path", ["account", "clouds/production/account", "clouds/production/buckets/1/account"])
    def test_an_account_is_twelve_digits_in_quotes(self, path: str, account: object) -> None:
        assert any("12 digits" in fault for fault in faults_of(changed(path, account)))

    def test_a_cloud_in_another_account_than_the_deployment_is_refused(self) -> None:
        fault = the_fault_of("clouds/production/account", "999988887777")
        assert fault.startswith('clouds.production.account: found "999988887777"')
        assert "roles of its own account" in fault

    def test_clouds_in_two_accounts_are_refused_even_where_no_deployment_account_is_given(self) -> None:
        value = {
            "clouds": {
                name: {
                    "account": account,
                    "buckets": [{"name": f"acme-{name}", "region": "us-west-2"}],
                    "roles": ["anyscale/*"],
                }
                for name, account in (("a", "111122223333"), ("b", "999988887777"))
            }
        }
        assert [fault.split(": ")[0] for fault in faults_of(value)] == ["clouds.b.account"]

    @pytest.mark.parametrize(
        "name",
        [
            *("ab", "a" * 64, "Acme", "acme_data", "-acme", "acme-", ".acme", "acme.", "ac..me", "acme\n", "acmé"),
            *("192.168.5.4", "xn--acme", "sthree-acme", "amzn-s3-demo-acme"),
            *("acme-s3alias", "acme--ol-s3", "acme.mrap", "acme--x-s3", "acme--table-s3"),
            *("s3://acme", "arn:aws:s3:::acme"),
        ],
    )
    def test_a_name_that_no_bucket_can_have_is_refused(self, name: str) -> None:
        assert the_fault_of("clouds/production/buckets/0/name", name).startswith("clouds.production.buckets[0].name:")

    @pytest.mark.parametrize("name", ["s3://acme", "arn:aws:s3:::acme"])
    def test_an_address_of_a_bucket_is_met_with_what_to_write_instead(self, name: str) -> None:
        assert "allowed is the bare name" in the_fault_of("clouds/production/buckets/0/name", name)

    def test_the_rules_for_bucket_names_are_linked(self) -> None:
        assert "bucketnamingrules.html" in the_fault_of("clouds/production/buckets/0/name", "Acme")

    @pytest.mark.parametrize(
        "name", ["abc", "a" * 63, "acme.data-1", "1acme", "a--b", "acme-111122223333-us-west-2-an"]
    )
    def test_a_name_that_a_bucket_can_have_is_accepted(self, name: str) -> None:
        assert parse_settings(changed("clouds/production/buckets/0/name", name)).clouds[0].buckets[0].name == name

    @pytest.mark.parametrize(
        ("pattern", "reason"),
        [
            ("*", "too broad"),
            ("**", "too broad"),
            ("a*b?c", "too broad"),
            ("a/b/c/*", "too broad"),
            ("aws-service-role/*", "belong to AWS"),
            ("aws-reserved/sso.amazonaws.com/*", "belong to AWS"),
            ("*/aws-reserved/*", "belong to AWS"),
            ("aws-*", "belong to AWS"),
            ("aws-r*", "belong to AWS"),
            ("aws-service-role?*", "belong to AWS"),
            ("/anyscale/*", "without a slash before it"),
            ("role/anyscale/*", "without a slash before it"),
            ("arn:aws:iam::111122223333:role/anyscale/*", "without a slash before it"),
            ("anyscale//node", "matches no role"),
            ("anyscale/", "matches no role"),
            ("anyscale/${aws:username}", "allowed are letters"),
            ("any scale", "allowed are letters"),
            ("node[12]", "allowed are letters"),
            ("nodé", "allowed are letters"),
            ("", "allowed are letters"),
            ("node" * 144, "at most 575"),
        ],
    )
    def test_a_role_pattern_that_is_broad_or_matches_nothing_is_refused_with_the_reason(
        self, pattern: str, reason: str
    ) -> None:
        fault = the_fault_of("clouds/production/roles/0", pattern)
        assert fault.startswith("clouds.production.roles[0]:")
        assert reason in fault

    @pytest.mark.parametrize("pattern", ["node", "*node", "awsome-*", "a*n*o*d*e", "team+x=1,2.3@y_z-*", "n" * 575])
    def test_a_role_pattern_with_four_literal_characters_is_accepted(self, pattern: str) -> None:
        assert parse_settings(changed("clouds/production/roles/0", pattern)).clouds[0].roles[0].text == pattern

    @pytest.mark.parametrize(
        "name", ["", "-production", ".production", "pro duction", "a" * 65, "prodúction", "a/b", "production\n"]
    )
    def test_a_cloud_name_that_no_tag_should_carry_is_refused(self, name: str) -> None:
        faults = faults_of({"clouds": {name: MINIMAL["clouds"]["production"]}})
        assert len(faults) == 1
        assert "the cloud's name" in faults[0]

    @pytest.mark.parametrize("name", ["a", "7", "a" * 64, "Prod.eu_west-1"])
    def test_other_cloud_names_are_accepted(self, name: str) -> None:
        assert parse_settings({"clouds": {name: MINIMAL["clouds"]["production"]}}).cloud(name) is not None

    @pytest.mark.parametrize(
        ("tag", "reason"),
        [
            ("", "1 to 128"),
            ("k" * 129, "1 to 128"),
            ("key#", "1 to 128"),
            (" key", "1 to 128"),
            ("key ", "1 to 128"),
            ("clé", "1 to 128"),
            ("aws:role", "belong to AWS"),
            ("AWS:role", "belong to AWS"),
            (MODE_TAG, "narrows the mode"),
            (MODE_TAG.upper(), "narrows the mode"),
            ("anyscale-cloud-id", "control-plane role"),
        ],
    )
    def test_an_enrollment_tag_that_cannot_be_one_is_refused_with_the_reason(self, tag: str, reason: str) -> None:
        assert reason in the_fault_of("enrollmentTag", tag)

    @pytest.mark.parametrize("tag", ["k", "k" * 128, "acme:cluster role/1.2_+-=@x"])
    def test_other_tag_keys_are_accepted(self, tag: str) -> None:
        assert parse_settings(changed("enrollmentTag", tag)).enrollment_tag == tag

    @pytest.mark.parametrize(
        "email",
        [
            "nobody",
            "a@b",
            "a@@b.com",
            "a b@c.com",
            "a@b..com",
            "a@b.com,c@d.com",
            "a@b.com\n",
            "",
            "a" * 250 + "@b.com",
        ],
    )
    def test_an_e_mail_address_is_checked_for_its_form(self, email: str) -> None:
        assert the_fault_of("emails/0", email).startswith("emails[0]:")

    def test_more_e_mail_addresses_than_a_stack_should_hold_are_refused(self) -> None:
        addresses = [f"person-{number}@example.com" for number in range(101)]
        assert "mailing list" in the_fault_of("emails", addresses)
        assert len(parse_settings(changed("emails", addresses[:100])).emails) == 100

    @pytest.mark.parametrize("days", LOG_RETENTION_DAYS)
    def test_the_retentions_of_cloudwatch_logs_are_accepted(self, days: int) -> None:
        assert parse_settings(changed("logRetentionDays", days)).log_retention_days == days

    @pytest.mark.parametrize("days", [0, 2, -1, True, "90", 90.5, None])
    def test_another_log_retention_is_refused_with_those_allowed(self, days: object) -> None:
        assert "1, 3, 5, 7" in the_fault_of("logRetentionDays", days)

    @pytest.mark.parametrize(
        ("key", "allowed"),
        [
            ("mode", '"repair" or "observe"'),
            ("grant", '"role-policy" or "bucket-policy"'),
            ("formerGrant", '"role-policy" or "bucket-policy"'),
            ("instanceProfile", '"report", "repair" or "ignore"'),
        ],
    )
    @pytest.mark.parametrize("value", ["off", "REPAIR", 1, None, [], {}])
    def test_an_unknown_choice_names_those_allowed(self, key: str, allowed: str, value: object) -> None:
        assert allowed in the_fault_of(f"clouds/production/{key}", value)

    @pytest.mark.parametrize(("grant", "former"), [({}, "role-policy"), ({"grant": "bucket-policy"}, "bucket-policy")])
    def test_a_former_side_that_is_the_present_one_is_refused(self, grant: dict[str, str], former: str) -> None:
        (fault,) = faults_of(cloud_with(formerGrant=former, **grant))
        assert fault.startswith(f'clouds.production.formerGrant: found "{former}"; allowed is the side where')

    @pytest.mark.parametrize(("grant", "former"), [("role-policy", "x"), ("x", "role-policy"), ("bucket-policy", None)])
    def test_a_side_that_is_none_is_one_fault_and_not_two(self, grant: object, former: object) -> None:
        (fault,) = faults_of(cloud_with(grant=grant, formerGrant=former))
        assert 'allowed is "role-policy" or "bucket-policy"' in fault

    @pytest.mark.parametrize("sides", [GRANTING, SWITCHING_BACK])
    def test_a_bucket_whose_policy_we_cannot_write_is_refused(self, sides: dict[str, str]) -> None:
        foreign = [{"name": "acme", "region": "us-west-2"}, {"name": "ours", "region": "us-west-2"}]
        foreign[0]["account"] = "444455556666"
        (fault,) = faults_of(cloud_with(buckets=foreign, account="111122223333", **sides))
        assert fault.startswith('clouds.production.buckets[0].account: found "444455556666"; allowed')
        assert 'the account of the roles ("111122223333")' in fault

    def test_so_is_one_with_an_account_where_that_of_the_roles_is_not_known(self) -> None:
        named = [{"name": "acme", "region": "us-west-2", "account": "444455556666"}]
        (fault,) = faults_of(cloud_with(buckets=named, grant="bucket-policy"))
        assert 'which the key "account" of the cloud must then name' in fault
        settings = parse_settings(cloud_with(buckets=named, grant="bucket-policy", account="444455556666"))
        assert settings.clouds[0].grant is GrantLocation.BUCKET_POLICY

    @pytest.mark.parametrize(
        ("key", "reason"),
        [
            ("alias/anyscale", "not an alias"),
            ("arn:aws:kms:us-west-2:111122223333:alias/anyscale", "not an alias"),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", "the ARN of a KMS key"),
            ("arn:aws:kms:us-west-2:111122223333:key/", "the ARN of a KMS key"),
            (f"{KEY}\n", "the ARN of a KMS key"),
            ("arn:aws:s3:::acme", "the ARN of a KMS key"),
            ("", "the ARN of a KMS key"),
            (KEY.replace("us-west-2", "us-east-1"), 'in the Region of the bucket, "us-west-2"'),
            (KEY.replace("arn:aws:", "arn:aws-cn:"), 'not in the partition "aws"'),
        ],
    )
    def test_a_key_that_cannot_be_the_bucket_s_is_refused_with_the_reason(self, key: str, reason: str) -> None:
        fault = the_fault_of("clouds/staging/buckets/0/key", key)
        assert fault.startswith(f"clouds.staging.buckets[0].key: found {json.dumps(key)}; ")
        assert reason in fault

    @pytest.mark.parametrize("key", [KEY, OTHER_KEY, KEY.replace("111122223333", "444455556666")])
    def test_other_keys_are_accepted(self, key: str) -> None:
        settings = parse_settings(changed("clouds/staging/buckets/0/key", key))
        assert settings.clouds[1].buckets[0].key == key

    def test_a_region_that_is_none_is_one_fault_even_beside_a_key(self) -> None:
        assert ".region: " in the_fault_of("clouds/staging/buckets/0/region", "us-west2")

    @pytest.mark.parametrize("minutes", [5, 60, 1440])
    def test_the_time_between_two_sweeps_may_be_minutes_or_a_day(self, minutes: int) -> None:
        assert parse_settings(changed("sweepMinutes", minutes)).sweep_minutes == minutes

    @pytest.mark.parametrize("minutes", [4, 0, -60, 1441, True, "60", 60.0, None])
    def test_another_time_between_two_sweeps_is_refused(self, minutes: object) -> None:
        allowed = "allowed are 5 to 1440 (a day), the minutes between two sweeps"
        assert the_fault_of("sweepMinutes", minutes) == f"sweepMinutes: found {json.dumps(minutes)}; {allowed}"

    @pytest.mark.parametrize(
        ("principal", "reason"),
        [
            ("alice", "the ARN of a role"),
            ("", "the ARN of a role"),
            ("*", "the ARN of a role"),
            ("arn:aws:iam::111122223333:*", "the ARN of a role"),
            ("arn:aws:iam::*:role/platform/admin", "the ARN of a role"),
            ("arn:aws:iam::111122223333:group/platform", "the ARN of a role"),
            ("arn:aws:iam::111122223333:role/plat[fg]orm", "the ARN of a role"),
            (f"{APPROVER}\n", "the ARN of a role"),
            ("arn:aws:sts::111122223333:assumed-role/admin/alice", "a session counts as its role"),
            ("arn:aws:iam::111122223333:role/*", "too broad"),
            ("arn:aws:iam::111122223333:user/a*/b?", "too broad"),
            (APPROVER.replace("arn:aws:", "arn:aws-cn:"), 'not in the partition "aws"'),
            (APPROVER.replace("111122223333", "444455556666"), "only a principal of that account can tag its roles"),
        ],
    )
    def test_an_approver_that_nobody_or_anybody_could_be_is_refused_with_the_reason(
        self, principal: str, reason: str
    ) -> None:
        fault = the_fault_of("approvers/0", principal)
        assert fault.startswith(f"approvers[0]: found {json.dumps(principal)}; ")
        assert reason in fault

    @pytest.mark.parametrize(
        "principal",
        [
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/people/alice+x=1,2.3@y_z-4",
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Platform_*",
        ],
    )
    def test_other_approvers_are_accepted(self, principal: str) -> None:
        assert parse_settings(changed("approvers/0", principal)).approvers[0].text == principal

    def test_where_the_account_is_not_known_an_approver_may_be_of_any(self) -> None:
        value = MINIMAL | {"approvers": [APPROVER.replace("111122223333", "444455556666")]}
        assert len(parse_settings(value).approvers) == 1

    @pytest.mark.parametrize(
        ("boundary", "reason"),
        [
            ("cluster-boundary", "the ARN of a managed policy"),
            ("", "the ARN of a managed policy"),
            ("arn:aws:iam::111122223333:policy/", "the ARN of a managed policy"),
            ("arn:aws:iam::111122223333:role/cluster-boundary", "the ARN of a managed policy"),
            ("arn:aws:iam::111122223333:policy/*", "the ARN of a managed policy"),
            (f"{BOUNDARY}\n", "the ARN of a managed policy"),
            (BOUNDARY.replace("arn:aws:", "arn:aws-us-gov:"), 'not in the partition "aws"'),
            (BOUNDARY.replace("111122223333", "444455556666"), "a policy of its own account, or one of AWS"),
        ],
    )
    def test_a_boundary_that_no_role_of_the_cloud_can_have_is_refused_with_the_reason(
        self, boundary: str, reason: str
    ) -> None:
        fault = the_fault_of("clouds/staging/requiredBoundary", boundary)
        assert fault.startswith(f"clouds.staging.requiredBoundary: found {json.dumps(boundary)}; ")
        assert reason in fault

    @pytest.mark.parametrize("boundary", [BOUNDARY, "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"])
    def test_other_boundaries_are_accepted(self, boundary: str) -> None:
        settings = parse_settings(changed("clouds/staging/requiredBoundary", boundary))
        assert settings.clouds[1].required_boundary == boundary

    @pytest.mark.parametrize(
        ("path", "least", "most"),
        [
            ("writeLimit/writes", 1, 100_000),
            ("writeLimit/minutes", 1, 1440),
            ("contest/repairs", 1, 100),
            ("contest/minutes", 1, 1440),
            ("contest/coolDownMinutes", 1, 43_200),
            ("historyDays", 1, 3650),
            ("digest/alone", 1, 100),
            ("digest/minutes", 1, 14),
        ],
    )
    def test_a_limit_is_a_whole_number_within_its_own_limits(self, path: str, least: int, most: int) -> None:
        written = path.replace("/", ".")
        for number in (least, most):
            kept = json.loads(settings_json(parse_settings(changed(path, number))))
            for key in path.split("/"):
                kept = kept[key]
            assert kept == number
        others: tuple[object, ...] = (least - 1, most + 1, True, str(least), float(least), None)
        for other in others:
            fault = the_fault_of(path, other)
            assert fault.startswith(f"{written}: found {json.dumps(other)}; allowed are {least} to {most} ")

    @pytest.mark.parametrize("key", ["writeLimit", "contest", "digest"])
    def test_of_a_limit_each_part_may_be_left_out(self, key: str) -> None:
        minimal = parse_settings(MINIMAL)
        assert parse_settings(MINIMAL | {key: {}}) == minimal
        minutes = 5 if key == "digest" else 60
        assert parse_settings(MINIMAL | {key: {"minutes": minutes}}) == minimal

    @pytest.mark.parametrize("secret", ["slack", "a/b_c+d=e.f@g-h", "x" * 512, SECRET])
    def test_a_secret_is_given_by_its_name_or_its_whole_arn(self, secret: str) -> None:
        assert parse_settings(changed("slackWebhookSecret", secret)).slack_webhook_secret == secret

    @pytest.mark.parametrize(
        "secret",
        [
            WEBHOOK,
            f" {WEBHOOK}",
            WEBHOOK.upper(),
            WEBHOOK.removeprefix("https:"),
            WEBHOOK.removeprefix("https://"),
            WEBHOOK.partition("/services/")[2],
            WEBHOOK.partition(".com/")[2],
        ],
    )
    def test_the_url_itself_is_refused_with_where_it_belongs_and_not_repeated(self, secret: str) -> None:
        fault = the_fault_of("slackWebhookSecret", secret)
        assert fault.startswith(
            "slackWebhookSecret: it looks like the URL itself; put the URL into a secret, never here"
        )
        assert "0123456789" not in fault

    @pytest.mark.parametrize(
        ("secret", "reason"),
        [
            ("", "1 to 512 letters"),
            ("x" * 513, "1 to 512 letters"),
            ("slack webhook", "1 to 512 letters"),
            ("slack*", "1 to 512 letters"),
            ("slack\n", "1 to 512 letters"),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:slack", "the whole ARN of a secret"),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:slack-??????", "the whole ARN of a secret"),
            ("arn:aws:ssm:us-east-1:111122223333:parameter/slack-AbCdEf", "the whole ARN of a secret"),
            (SECRET.replace("us-east-1", "us-west-2"), 'in the home region, "us-east-1"'),
            (SECRET.replace("arn:aws:", "arn:aws-cn:"), 'in the home region, "us-east-1"'),
            (SECRET.replace("111122223333", "444455556666"), 'in the account of the deployment, "111122223333"'),
        ],
    )
    def test_what_names_no_secret_of_the_home_region_is_refused_and_not_repeated(
        self, secret: str, reason: str
    ) -> None:
        fault = the_fault_of("slackWebhookSecret", secret)
        assert fault.startswith("slackWebhookSecret: ")
        assert reason in fault
        assert fault.endswith("; what was found is not repeated here")

    def test_where_the_account_is_not_known_a_secret_may_be_of_any(self) -> None:
        assert parse_settings(MINIMAL | {"slackWebhookSecret": SECRET}).slack_webhook_secret == SECRET

    @pytest.mark.parametrize(
        ("path", "ids"),
        [
            ("amazonQ/workspace", ["acme", "C07EZ1ABC23", "T07", "t07ea123lep", "T07EA123LEP\n", "", "T" + "A" * 255]),
            ("amazonQ/channel", ["#alerts", "alerts", "T07EA123LEP", "D07EZ1ABC23", "C07", "c07ez1abc23", ""]),
        ],
    )
    def test_what_is_no_id_of_slack_is_refused_with_one_that_is(self, path: str, ids: list[str]) -> None:
        for each in ids:
            fault = the_fault_of(path, each)
            assert fault.startswith(f"{path.replace('/', '.')}: found ")
            assert re.search('such as "[TC]07E[A-Z0-9]{7}"', fault)

    def test_a_private_channel_is_accepted(self) -> None:
        channel = parse_settings(changed("amazonQ/channel", "G07EZ1ABC23")).amazon_q
        assert channel == AmazonQ("T07EA123LEP", "G07EZ1ABC23")

    def test_a_misspelt_choice_is_met_with_the_likely_one(self) -> None:
        assert 'did you mean "observe"?' in the_fault_of("clouds/production/mode", "obsrve")

    @pytest.mark.parametrize(
        ("path", "meant"),
        [
            ("enrolmentTag", "enrollmentTag"),
            ("clouds/production/role", "roles"),
            ("clouds/production/buckets/0/acount", "account"),
            ("writeLimit/write", "writes"),
            ("contest/cooldownMinutes", "coolDownMinutes"),
            ("slackWebhook", "slackWebhookSecret"),
            ("digest/minute", "minutes"),
        ],
    )
    def test_an_unknown_key_is_met_with_the_likely_one(self, path: str, meant: str) -> None:
        fault = the_fault_of(path, "x")
        assert f'the key "{path.rsplit("/", maxsplit=1)[-1]}" is unknown; did you mean "{meant}"?' in fault

    @pytest.mark.parametrize(
        ("path", "keys"),
        [
            ("clouds/production", ["buckets", "roles"]),
            ("clouds/production/buckets/0", ["name", "region"]),
            ("amazonQ", ["workspace", "channel"]),
        ],
    )
    def test_every_missing_key_is_named(self, path: str, keys: list[str]) -> None:
        where = path.replace("/0", "[0]").replace("/", ".")
        assert faults_of(changed(path, {})) == tuple(f'{where}: the key "{key}" is missing' for key in keys)

    @pytest.mark.parametrize(
        "path",
        [
            *("clouds", "clouds/production", "clouds/production/buckets", "clouds/production/roles", "emails"),
            *("approvers", "writeLimit", "contest", "digest", "amazonQ"),
        ],
    )
    @pytest.mark.parametrize("value", [7, "text", None, True])
    def test_a_value_of_the_wrong_kind_is_refused(self, path: str, value: object) -> None:
        assert the_fault_of(path, value).startswith(path.replace("/", ".") + ": found ")

    @pytest.mark.parametrize(
        "path",
        [
            *("clouds/production/buckets/0/name", "clouds/production/roles/0", "region"),
            *("slackWebhookSecret", "amazonQ/workspace", "amazonQ/channel"),
        ],
    )
    def test_a_text_must_be_a_text(self, path: str) -> None:
        assert any("found 7; needed is a text" in fault for fault in faults_of(changed(path, 7)))

    @pytest.mark.parametrize("path", ["clouds/production/buckets", "clouds/production/roles"])
    def test_a_cloud_without_buckets_or_roles_is_refused(self, path: str) -> None:
        assert "is empty; at least one" in the_fault_of(path, [])

    def test_no_cloud_at_all_is_refused(self) -> None:
        assert the_fault_of("clouds", {}) == "clouds: is empty; at least one cloud is needed"

    @pytest.mark.parametrize(
        ("path", "items"),
        [
            (
                "clouds/production/buckets",
                [{"name": "acme", "region": "us-west-2"}, {"name": "acme", "region": "us-east-1"}],
            ),
            ("clouds/production/roles", ["anyscale/*", "anyscale/*"]),
            ("emails", ["oncall@example.com", "OnCall@example.com"]),
            ("approvers", [APPROVER, APPROVER]),
        ],
    )
    def test_what_is_listed_twice_is_refused(self, path: str, items: list[object]) -> None:
        fault = the_fault_of(path, items)
        assert fault.startswith(path.replace("/", ".") + "[1]:")
        assert "listed already, at [0]" in fault

    def test_two_clouds_may_share_a_bucket(self) -> None:
        cloud = MINIMAL["clouds"]["production"]
        assert len(parse_settings({"clouds": {"a": cloud, "b": cloud}}).clouds) == 2

    @pytest.mark.parametrize(("key", "other"), [("region", "us-east-1"), ("account", "999988887777")])
    def test_one_bucket_with_two_regions_or_owners_is_refused_with_both_places(self, key: str, other: str) -> None:
        bucket = {"name": "acme-shared", "region": "us-west-2", "account": "444455556666"}
        cloud = {"buckets": [bucket], "roles": ["anyscale/*"]}
        value = {"clouds": {"a": cloud, "b": {**cloud, "buckets": [{**bucket, key: other}]}}}
        (fault,) = faults_of(value)
        assert fault.startswith(f'clouds.b.buckets[0].{key}: found "{other}"; clouds.a.buckets[0] gives')

    @pytest.mark.parametrize(("first", "second"), [(KEY, OTHER_KEY), (KEY, None), (None, KEY)])
    def test_one_bucket_with_two_keys_or_with_one_and_none_is_refused(
        self, first: str | None, second: str | None
    ) -> None:
        def cloud(key: str | None) -> dict[str, Any]:
            return {"buckets": buckets("acme", **({"key": key} if key else {})), "roles": ["anyscale/*"]}

        (fault,) = faults_of({"clouds": {"a": cloud(first), "b": cloud(second)}})
        assert fault.startswith(f"clouds.b.buckets[0].key: found {json.dumps(second)}; clouds.a.buckets[0] gives")
        assert json.dumps(first) in fault
        assert len(parse_settings({"clouds": {"a": cloud(first), "b": cloud(first)}}).clouds) == 2

    def test_a_fault_stays_short_and_in_ascii_whatever_was_found(self) -> None:
        fault = the_fault_of("emails/0", "\N{SNOWMAN}\n" * 1000)
        assert "\n" not in fault
        assert len(fault) < 1000
        assert "2000 characters" in fault

    def test_a_number_too_long_to_print_is_a_fault_like_any_other(self) -> None:
        assert "found a huge number" in the_fault_of("logRetentionDays", 10**5000)


DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")


def documented() -> dict[str, str]:
    """The keys of the documentation's table, each with its default."""
    table = DOCUMENTATION.partition("| key | what it is | default |\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([A-Za-z.*]+)` \| .* \| ([^|]+) \|$", table, re.MULTILINE))


def keys_of(value: object, beginning: str = "") -> set[str]:
    """The keys of a configuration as the documentation writes them: ``clouds.*.buckets.*.name``."""
    found: set[str] = set()
    match value:
        case dict():
            for key, inner in value.items():
                found |= {f"{beginning}{key}"}
                if key == "clouds":
                    for cloud in inner.values():
                        found |= keys_of(cloud, "clouds.*.")
                else:
                    found |= keys_of(inner, f"{beginning}{key}.{'*.' if isinstance(inner, list) else ''}")
        case list():
            for inner in value:
                found |= keys_of(inner, beginning)
    return found


class TestDocumentation:
    def test_the_table_has_every_key_and_no_other(self) -> None:
        written = json.loads(settings_json(parse_settings(FULL)))
        assert set(documented()) == keys_of(written)

    def test_every_field_of_a_configuration_has_a_key(self) -> None:
        parts = (Settings, Cloud, BucketSettings, WriteLimit, ConflictLimit, DigestLimit, AmazonQ)
        fields = [field for part in parts for field in dataclasses.fields(part)]
        names = {re.sub("_([a-z])", lambda found: found[1].upper(), field.name) for field in fields}
        assert names - {"name"} == {key.rpartition(".")[2] for key in documented()} - {"name"}

    def test_the_defaults_are_those_that_are_filled_in(self) -> None:
        filled_in = json.loads(settings_json(parse_settings(MINIMAL)))
        places = {"clouds.*": filled_in["clouds"]["production"], **filled_in, "": filled_in}
        checked = set()
        for key, default in documented().items():
            place, _, name = key.rpartition(".")
            if re.fullmatch("`[a-z0-9:-]+`", default) and default != "`account`":
                checked.add(key)
                assert str(places[place][name]) == default.strip("`"), key
        assert {"region", "sweepMinutes", "clouds.*.mode", "clouds.*.grant", "clouds.*.instanceProfile"} <= checked
        limits = {key for key in documented() if key.startswith(("writeLimit.", "contest.", "history", "digest."))}
        assert len(limits) == 8
        assert limits <= checked

    def test_what_is_required_is_what_a_configuration_cannot_do_without(self) -> None:
        required = {key for key, default in documented().items() if default == "required"}
        assert required == keys_of(MINIMAL)

    def test_the_example_is_one(self) -> None:
        (example,) = re.findall("```json\n(.*?)```", DOCUMENTATION, re.DOTALL)
        assert parse_settings(json.loads(example)).clouds[0].buckets[0].key is not None

    def test_what_we_write_is_called_what_it_is_called(self) -> None:
        assert f"`{OWN_POLICY_NAME}`" in DOCUMENTATION
        assert f"`{BUCKET_POLICY_SID}`" in DOCUMENTATION

    def test_every_choice_is_explained(self) -> None:
        for choices in (Mode, GrantLocation, InstanceProfileMode):
            for choice in choices:
                assert f"`{choice.value}`" in DOCUMENTATION


class TestFiles:
    def test_what_was_written_is_read_back(self, tmp_path: Path) -> None:
        settings = parse_settings(FULL)
        path = tmp_path / SETTINGS_FILE
        path.write_text(settings_json(settings), encoding="utf-8")
        assert load_settings(path) == settings

    def test_the_json_has_the_keys_that_people_write(self) -> None:
        written = json.loads(settings_json(parse_settings(FULL)))
        expected = changed("clouds/production/buckets/0/account", "111122223333")
        expected["clouds"]["production"]["instanceProfile"] = "report"
        expected["clouds"]["staging"]["account"] = "111122223333"
        expected["clouds"]["staging"]["buckets"][0]["account"] = "111122223333"
        assert written == expected

    def test_a_missing_file_is_a_settings_error_that_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"nowhere\.json cannot be read"):
            load_settings(tmp_path / "nowhere.json")

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
    def test_a_file_that_is_not_json_is_a_settings_error_that_names_it(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "broken.json"
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=r"broken\.json is not JSON"):
            load_settings(path)

    @pytest.mark.parametrize("content", ["{}", "[]", "7", '{"clouds": {"a": 7}}', '{"clouds": {}, "more": 1}'])
    def test_a_file_that_synthesis_did_not_write_is_refused(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / SETTINGS_FILE
        path.write_text(content)
        with pytest.raises(SettingsError, match=r"was not written by synthesis: .*"):
            load_settings(path)


def test_the_functions_load_the_configuration_without_what_checks_it() -> None:
    script = """
import importlib, sys
from remediator.permissions import PERMISSIONS
for name in PERMISSIONS:
    importlib.import_module(f"remediator.handlers.{name}")
print(*(name for name in sys.modules if name.startswith("remediator.settings")))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2] / "lambda_src",
        env={"PYTHONPATH": ".", "AWS_DEFAULT_REGION": "us-east-1", "POWERTOOLS_TRACE_DISABLED": "true"},
    )
    assert ran.stdout.split() == ["remediator.settings"]
