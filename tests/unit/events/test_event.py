"""What an event means: what it concerns, why it is ignored, and when it must be kept for a person."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.core.events.event import (
    Cause,
    Ignored,
    RoleTrigger,
    SharedTrigger,
    Trigger,
    is_recent_cause,
    parse_event,
    parse_time,
)
from remediator.core.events.request import parse_request, request_for, request_json
from remediator.core.events.watched import UNWATCHED, WATCHED_CALLS, Concern, WatchedCall
from remediator.errors import MalformedEvent
from tests.examples import a_cause

ACCOUNT = "111122223333"
EVENTS = Path(__file__).parents[2] / "events"
Event = dict[str, Any]


def load(name: str) -> Event:
    event: Event = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@pytest.fixture
def event() -> Event:
    return load("UpdateAssumeRolePolicy")


def read(event: Event) -> Trigger:
    return parse_event(event, account=ACCOUNT)


def cause_of(event: Event) -> Cause:
    trigger = read(event)
    assert not isinstance(trigger, Ignored)
    return trigger.cause


POLICY = f"arn:aws:iam::{ACCOUNT}:policy/anyscale/bucket-access"
KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BUCKETS = {
    "CreateBucket": "anyscale-production-datasets",
    "PutBucketPolicy": "anyscale-production-datasets",
    "PutBucketEncryption": "anyscale-production-datasets",
    "DeleteBucketEncryption": "anyscale-production-datasets",
}


def concern_of(trigger: Trigger) -> Concern | None:
    return trigger.concern if isinstance(trigger, SharedTrigger) else None


def expected(call: WatchedCall, cause: Cause) -> Trigger:
    """The trigger that the fixture of a watched call leads to; its hints on tags have tests of their own."""
    match call.concern:
        case Concern.ROLE | Concern.INSTANCE_PROFILE:
            return RoleTrigger(ACCOUNT, "head-node", cause)
        case Concern.MANAGED_POLICY:
            return SharedTrigger(ACCOUNT, call.concern, POLICY, cause)
        case Concern.BUCKET:
            return SharedTrigger(ACCOUNT, call.concern, BUCKETS.get(call.name, "anyscale-production-data"), cause)
        case Concern.KEY:
            return SharedTrigger(ACCOUNT, call.concern, KEY, cause)
        case Concern.ACCOUNT:
            return SharedTrigger(ACCOUNT, call.concern, ACCOUNT, cause)


@pytest.mark.parametrize("call", WATCHED_CALLS, ids=lambda call: call.name)
def test_a_watched_call_leads_to_what_it_concerns_and_to_its_cause(call: WatchedCall) -> None:
    event = load(call.name)
    trigger = read(event)
    assert not isinstance(trigger, Ignored)
    assert trigger.cause.call == call.name
    assert trigger.cause.event_id == event["detail"]["eventID"]
    assert trigger.cause.time == event["detail"]["eventTime"]
    if isinstance(trigger, RoleTrigger):
        assert (trigger.tagged or trigger.untagged) == () or call.name in {"CreateRole", "TagRole", "UntagRole"}
        trigger = RoleTrigger(trigger.account, trigger.role_name, trigger.cause)
    assert trigger == expected(call, trigger.cause)


@pytest.mark.parametrize(("source", "name"), UNWATCHED)
def test_a_call_that_only_looks_as_if_it_concerned_us_is_ignored_with_the_reason(source: str, name: str) -> None:
    trigger = read(load(name))
    assert isinstance(trigger, Ignored)
    assert trigger.why == f"{name} of {source} is not a watched call: {UNWATCHED[source, name]}"


@pytest.mark.parametrize("call", WATCHED_CALLS, ids=lambda call: call.name)
def test_a_call_that_failed_is_ignored_whatever_is_left_of_its_parameters(call: WatchedCall) -> None:
    left: list[object] = [None, {}, load(call.name)["detail"]["requestParameters"]]
    for parameters in left:
        event = load(call.name)
        event["detail"].update(errorCode="AccessDenied", errorMessage="not authorized", requestParameters=parameters)
        assert read(event) == Ignored("the call failed with AccessDenied")


@pytest.mark.parametrize("call", WATCHED_CALLS, ids=lambda call: call.name)
def test_a_forged_event_is_ignored_whatever_it_names(call: WatchedCall) -> None:
    for source in ("com.example.app", "aws.s3" if call.bus_source != "aws.s3" else "aws.iam", None):
        trigger = read(load(call.name) | {"source": source})
        assert isinstance(trigger, Ignored)
        assert "not published by AWS" in trigger.why


def test_the_actor_of_a_session_keeps_the_path_of_its_role(event: Event) -> None:
    actor = cause_of(event).actor
    assert actor.issuer_arn == f"arn:aws:iam::{ACCOUNT}:role/ci/terraform"
    assert actor.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/terraform/run-1881"


def test_a_call_through_cloudformation_names_both_the_session_and_the_service() -> None:
    actor = cause_of(load("PutRolePolicy")).actor
    assert actor.invoked_by == "cloudformation.amazonaws.com"
    assert actor.arn.endswith("assumed-role/deployer/cfn-exec")


def test_a_session_of_single_sign_on_keeps_the_reserved_path_of_its_role() -> None:
    actor = cause_of(load("DisableKey")).actor
    assert actor.arn.endswith("/bob@example.com")
    assert actor.issuer_arn is not None
    assert "role/aws-reserved/sso.amazonaws.com/eu-central-1/" in actor.issuer_arn


def test_root_and_a_user_at_the_console_have_no_issuer() -> None:
    root, alice = cause_of(load("CancelKeyDeletion")).actor, cause_of(load("PutKeyPolicy")).actor
    assert (root.kind, root.arn, root.issuer_arn) == ("Root", f"arn:aws:iam::{ACCOUNT}:root", None)
    assert (alice.kind, alice.arn, alice.issuer_arn) == ("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/alice", None)


def test_a_service_that_acts_on_its_own_is_named() -> None:
    event = load("PutBucketPolicy")
    event["detail"]["userIdentity"] = {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}
    assert cause_of(event).actor.arn == "cloudtrail.amazonaws.com"


def test_a_user_without_an_arn_is_named_by_the_name() -> None:
    event = load("PutBucketPolicy")
    event["detail"]["userIdentity"] = {"type": "IAMUser", "userName": "alice", "invokedBy": "signin.amazonaws.com"}
    assert cause_of(event).actor.arn == "alice"


def test_tags_that_a_call_sets_and_removes_are_kept_as_hints() -> None:
    tagged, created, untagged = (read(load(name)) for name in ("TagRole", "CreateRole", "UntagRole"))
    assert isinstance(tagged, RoleTrigger)
    assert tagged.tagged == {"anyscale:cluster-role": "production"}
    assert isinstance(created, RoleTrigger)
    assert created.tagged == {"team": "ml-platform", "anyscale:cluster-role": "production"}
    assert isinstance(untagged, RoleTrigger)
    assert untagged.untagged == ("anyscale:cluster-role",)


def test_the_tags_of_an_instance_profile_are_no_tags_of_its_role() -> None:
    event = load("CreateInstanceProfile")
    event["detail"]["requestParameters"]["tags"] = [{"key": "anyscale:cluster-role", "value": "production"}]
    trigger = read(event)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.tagged == {}


def test_no_role_can_have_a_name_as_long_as_an_instance_profile_may_have() -> None:
    event = load("CreateInstanceProfile")
    event["detail"]["requestParameters"]["instanceProfileName"] = "p" * 65
    assert isinstance(read(event), Ignored)
    event["detail"]["requestParameters"]["instanceProfileName"] = "p" * 129
    with pytest.raises(MalformedEvent, match="instanceProfileName"):
        read(event)


ABSENT = object()


@pytest.mark.parametrize(
    ("asked", "answered", "looked_at"),
    [
        (True, True, True),
        ("true", ABSENT, True),
        ("tr", ABSENT, True),
        (None, None, True),
        (ABSENT, ABSENT, True),
        (ABSENT, True, True),
        ({"odd": 1}, False, True),
        (ABSENT, False, False),
        (False, ABSENT, False),
        ("false", ABSENT, False),
        (False, False, False),
    ],
)
def test_a_policy_version_matters_if_it_is_the_default_or_if_nobody_can_tell(
    asked: object, answered: object, looked_at: bool
) -> None:
    event = load("CreatePolicyVersion")
    del event["detail"]["requestParameters"]["setAsDefault"]
    event["detail"]["responseElements"] = None
    if asked is not ABSENT:
        event["detail"]["requestParameters"]["setAsDefault"] = asked
    if answered is not ABSENT:
        event["detail"]["responseElements"] = {"policyVersion": {"versionId": "v4", "isDefaultVersion": answered}}
    trigger = read(event)
    assert isinstance(trigger, SharedTrigger if looked_at else Ignored)


def test_a_version_that_is_no_default_is_ignored_with_the_call_that_would_make_it_one() -> None:
    event = load("CreatePolicyVersion")
    event["detail"]["requestParameters"]["setAsDefault"] = False
    event["detail"]["responseElements"]["policyVersion"]["isDefaultVersion"] = False
    trigger = read(event)
    assert isinstance(trigger, Ignored)
    assert "SetDefaultPolicyVersion" in trigger.why


def test_the_key_is_taken_from_the_resources_because_the_parameters_may_name_it_by_its_id() -> None:
    event = load("DisableKey")
    assert event["detail"]["requestParameters"]["keyId"] != KEY
    alias = {"type": "AWS::KMS::Key", "ARN": f"arn:aws:kms:us-west-2:{ACCOUNT}:alias/anyscale"}
    for resources in (
        [{"ARN": KEY}],
        [alias, {"ARN": KEY}, {"ARN": KEY}],
        ["what", None, {"ARN": 7}, {"ARN": "arn:aws:s3:::bucket"}, {"arn": KEY}, {"ARN": KEY}],
    ):
        event["detail"]["resources"] = resources
        assert read(event) == SharedTrigger(ACCOUNT, Concern.KEY, KEY, cause_of(event))


def test_a_key_without_resources_must_be_named_by_its_arn() -> None:
    event = load("EnableKey")
    del event["detail"]["resources"]
    assert read(event) == SharedTrigger(ACCOUNT, Concern.KEY, KEY, cause_of(event))
    event["detail"]["requestParameters"]["keyId"] = "1234abcd-12ab-34cd-56ef-1234567890ab"
    with pytest.raises(MalformedEvent, match="keyId"):
        read(event)


def test_a_multi_region_key_is_a_key() -> None:
    event = load("DisableKey")
    event["detail"]["resources"] = [
        {"ARN": f"arn:aws:kms:us-west-2:{ACCOUNT}:key/mrk-1234abcd12ab34cd56ef1234567890ab"}
    ]
    assert concern_of(read(event)) is Concern.KEY


@pytest.mark.parametrize("parameters", [None, {}, {"bucketName": "HIDDEN_DUE_TO_SECURITY_REASONS"}, "cut off"])
def test_a_call_on_the_whole_account_names_nothing_that_could_be_malformed(parameters: object) -> None:
    event = load("PutAccountPublicAccessBlock")
    event["detail"]["requestParameters"] = parameters
    assert read(event) == SharedTrigger(ACCOUNT, Concern.ACCOUNT, ACCOUNT, cause_of(event))


def test_a_bucket_with_an_old_name_is_a_bucket() -> None:
    event = load("DeleteBucket")
    event["detail"]["requestParameters"]["bucketName"] = "Logs_of.2009" + "x" * 200
    assert concern_of(read(event)) is Concern.BUCKET


IGNORED: dict[str, tuple[Callable[[Event], None], str]] = {
    "a call that failed in an unknown way": (lambda e: e["detail"].update(errorCode={"odd": 1}), "failed with an obj"),
    "another service's call": (lambda e: e["detail"].update(eventSource="sts.amazonaws.com"), "not a watched call"),
    "a call of another service with a watched name": (
        lambda e: e["detail"].update(eventSource="s3.amazonaws.com"),
        "not a watched call",
    ),
    "another spelling": (lambda e: e["detail"].update(eventName="updateassumerolepolicy"), "not a watched call"),
    "a forged detail-type": (lambda e: e.update({"detail-type": "hello"}), "not published by AWS"),
    "another account's call": (
        lambda e: e["detail"].update(recipientAccountId="999999999999"),
        f"belongs to account 999999999999, and this deployment manages {ACCOUNT}",
    ),
    "another account's envelope": (
        lambda e: e.update(account="999999999999"),
        f"belongs to account 999999999999, and this deployment manages {ACCOUNT}",
    ),
    "an account that is no text": (lambda e: e["detail"].update(recipientAccountId=7), "belongs to account a number"),
}


@pytest.mark.parametrize("what", IGNORED)
def test_what_means_nothing_is_ignored_with_the_reason(what: str, event: Event) -> None:
    change, reason = IGNORED[what]
    change(event)
    trigger = read(event)
    assert isinstance(trigger, Ignored)
    assert reason in trigger.why


def test_a_record_that_names_its_account_in_one_place_only_is_fine(event: Event) -> None:
    without_envelope, without_recipient = copy.deepcopy(event), copy.deepcopy(event)
    del without_envelope["account"]
    del without_recipient["detail"]["recipientAccountId"]
    assert isinstance(read(without_envelope), RoleTrigger)
    assert isinstance(read(without_recipient), RoleTrigger)


def _no_account(event: Event) -> None:
    del event["account"]
    del event["detail"]["recipientAccountId"]


MALFORMED: dict[str, tuple[Callable[[Event], None], str]] = {
    "no detail": (lambda e: e.pop("detail"), "`detail` is missing or null"),
    "detail is a text": (lambda e: e.update(detail="{}"), "`detail` is a text"),
    "no call named": (lambda e: e["detail"].pop("eventName"), "names no call"),
    "a call that is no text": (lambda e: e["detail"].update(eventSource=["iam.amazonaws.com"]), "names no call"),
    "no account at all": (_no_account, "neither `account` nor `recipientAccountId`"),
    "no event id": (lambda e: e["detail"].pop("eventID"), "eventID"),
    "an empty event id": (lambda e: e["detail"].update(eventID=""), "eventID"),
    "no time": (lambda e: e["detail"].update(eventTime="yesterday"), "eventTime"),
    "an impossible time": (lambda e: e["detail"].update(eventTime="2026-13-04T10:00:17Z"), "eventTime"),
    "a time that is a number": (lambda e: e["detail"].update(eventTime=1772618417), "eventTime"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_may_concern_us_but_cannot_be_read_is_malformed(what: str, event: Event) -> None:
    change, reason = MALFORMED[what]
    change(event)
    with pytest.raises(MalformedEvent, match=reason):
        read(event)


NAMES = {
    Concern.ROLE: "roleName",
    Concern.INSTANCE_PROFILE: "instanceProfileName",
    Concern.MANAGED_POLICY: "policyArn",
    Concern.BUCKET: "bucketName",
    Concern.KEY: "keyId",
}
NAMED_CALLS = [call for call in WATCHED_CALLS if call.concern is not Concern.ACCOUNT]
NO_NAMES: list[object] = [
    None,
    "",
    "***",
    7,
    True,
    [],
    {},
    ["head-node"],
    "a/b\n",
    "head-node\n",
    "a" * 300_000,
    "\ud800",
    "é",
    "x y",
]


@pytest.mark.parametrize("call", NAMED_CALLS, ids=lambda call: call.name)
def test_a_call_that_succeeded_without_a_readable_name_is_kept_for_a_person(call: WatchedCall) -> None:
    named: list[object] = [{NAMES[call.concern]: name} for name in NO_NAMES]
    for parameters in [None, [], "cut o", {}, *named]:
        event = load(call.name)
        event["detail"]["requestParameters"] = parameters
        event["detail"].pop("resources", None)
        with pytest.raises(MalformedEvent, match=f"{call.name} succeeded, but its `requestParameters"):
            read(event)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::aws:policy/AdministratorAccess",
        f"arn:aws:iam::{ACCOUNT}:role/head-node",
        f"arn:aws:iam::{ACCOUNT}:policy/",
        f"arn:aws:iam::{ACCOUNT}:policy/{'a/' * 300}name",
        "arn:aws:iam::***:policy/bucket-access",
    ],
)
def test_nothing_but_a_policy_of_an_account_can_have_got_a_new_version(arn: str) -> None:
    event = load("SetDefaultPolicyVersion")
    event["detail"]["requestParameters"]["policyArn"] = arn
    with pytest.raises(MalformedEvent, match="policyArn"):
        read(event)


def test_an_empty_error_code_is_no_failure(event: Event) -> None:
    event["detail"]["errorCode"] = ""
    assert isinstance(read(event), RoleTrigger)


def test_a_truncated_document_does_not_matter_because_it_is_never_read(event: Event) -> None:
    event["detail"]["requestParameters"]["policyDocument"] = '{"Version":"2012-10-17","Statem'
    assert isinstance(read(event), RoleTrigger)


def test_an_unreadable_identity_costs_only_the_name_of_the_actor(event: Event) -> None:
    event["detail"]["userIdentity"] = ["what"]
    assert cause_of(event).actor.arn == "unknown"


def test_half_a_character_is_replaced_because_no_message_could_carry_it(event: Event) -> None:
    event["detail"]["userAgent"] = "a\ud800b"
    assert cause_of(event).actor.user_agent == "a?b"


def test_overlong_texts_are_cut(event: Event) -> None:
    event["detail"].update(userAgent="x" * 100_000, eventID="y" * 100_000)
    cause = cause_of(event)
    assert cause.actor.user_agent is not None
    assert len(cause.actor.user_agent) == len(cause.event_id) == 1024


def test_a_time_is_read_in_the_form_of_cloudtrail_only() -> None:
    assert parse_time("2026-03-04T10:00:17Z") == datetime(2026, 3, 4, 10, 0, 17, tzinfo=UTC)
    for text in ("2026-03-04T10:00:17", "2026-03-04\ud80010:00:17Z", "20260304T100017Z", "2026-03-04T24:61:00Z", ""):
        assert parse_time(text) is None


@pytest.mark.parametrize(
    ("time", "fresh"),
    [
        ("2026-03-04T10:00:00Z", True),
        ("2026-03-04T09:58:01Z", True),
        ("2026-03-04T09:58:00Z", False),
        ("yesterday", False),
    ],
)
def test_a_call_is_fresh_for_two_minutes(time: str, fresh: bool) -> None:
    assert is_recent_cause(replace(a_cause(), time=time), datetime(2026, 3, 4, 10, 0, tzinfo=UTC)) is fresh


ANY_TEXT = st.text(st.characters())  # half surrogates included, which JSON can spell
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=10,
)


def bearable(trigger: Trigger) -> None:
    """A trigger names nothing that a message of ours could not carry."""
    assert isinstance(trigger, get_args(Trigger))
    if isinstance(trigger, Ignored):
        assert trigger.why.encode()
        return
    request = request_for(RoleTrigger(trigger.account, "head-node", trigger.cause))
    assert parse_request(request_json(request)) == request
    assert len(request_json(request)) < 20_000
    assert json.dumps(asdict(trigger.cause), ensure_ascii=False).encode()


@given(value=ANY_JSON)
def test_any_json_value_is_ignored_or_malformed_and_never_crashes(value: object) -> None:
    with contextlib.suppress(MalformedEvent):
        assert isinstance(parse_event(value, account=ACCOUNT), Ignored)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in items for deeper in _paths(item, (*path, key)))]


@given(data=st.data(), name=st.sampled_from([path.stem for path in sorted(EVENTS.glob("*.json"))]))
def test_an_event_with_any_one_part_replaced_gives_a_trigger_a_reason_or_a_clear_error(
    data: st.DataObject, name: str
) -> None:
    event = load(name)
    *parents, last = data.draw(st.sampled_from(_paths(event)[1:]))
    target: Any = event
    for key in parents:
        target = target[key]
    target[last] = data.draw(ANY_JSON | st.text(max_size=5).map(lambda text: text * 50_000))
    with contextlib.suppress(MalformedEvent):
        bearable(read(event))


GOOD_NAMES = st.sampled_from(["head-node", POLICY, "anyscale-production-data", KEY])
TAGS = st.lists(st.fixed_dictionaries({}, optional={"key": ANY_JSON, "value": ANY_JSON}), max_size=3)
PARAMETERS = st.fixed_dictionaries(
    dict.fromkeys(NAMES.values(), GOOD_NAMES | ANY_JSON),
    optional={"tags": TAGS | ANY_JSON, "tagKeys": ANY_JSON, "setAsDefault": ANY_JSON},
)
RESOURCES = st.lists(st.fixed_dictionaries({"ARN": GOOD_NAMES | ANY_JSON}) | ANY_JSON, max_size=3)
IDENTITY = st.fixed_dictionaries(
    {"type": ANY_JSON, "arn": ANY_JSON},
    optional={
        "sessionContext": st.fixed_dictionaries({"sessionIssuer": st.fixed_dictionaries({"arn": ANY_JSON}) | ANY_JSON}),
        "invokedBy": ANY_JSON,
        "userName": ANY_JSON,
    },
)


@settings(max_examples=500)
@given(
    call=st.sampled_from(WATCHED_CALLS),
    parameters=PARAMETERS | ANY_JSON,
    response=st.fixed_dictionaries({"policyVersion": st.dictionaries(st.just("isDefaultVersion"), ANY_JSON)}),
    resources=RESOURCES | ANY_JSON,
    identity=IDENTITY | ANY_JSON,
    code=st.sampled_from([None, ""]) | ANY_JSON,
)
def test_a_watched_call_with_anything_in_its_record_gives_a_trigger_a_reason_or_a_clear_error(
    call: WatchedCall, parameters: object, response: object, resources: object, identity: object, code: object
) -> None:
    event = load(call.name)
    event["detail"].update(
        requestParameters=parameters, responseElements=response, resources=resources, userIdentity=identity
    )
    event["detail"]["errorCode"] = code
    with contextlib.suppress(MalformedEvent):
        bearable(read(event))


@pytest.mark.parametrize("call", ["AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"])
def test_a_call_on_an_instance_profile_of_another_name_concerns_the_role_of_that_name_too(call: str) -> None:
    event = load(call)
    event["detail"]["requestParameters"]["instanceProfileName"] = "worker"
    trigger = parse_event(event, account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert (trigger.role_name, trigger.namesake) == ("head-node", "worker")
    event["detail"]["requestParameters"]["instanceProfileName"] = "w" * 65
    trigger = parse_event(event, account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.namesake is None
