"""What an event means: which role it concerns, why it is ignored, and when it must be kept for a person."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.event import WATCHED_CALLS, Ignored, RoleTrigger, parse_event
from remediator.errors import MalformedEvent

ACCOUNT = "111122223333"
EVENTS = Path(__file__).parent.parent / "events"
Event = dict[str, Any]


def load(name: str) -> Event:
    event: Event = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@pytest.fixture
def event() -> Event:
    return load("UpdateAssumeRolePolicy")


def test_every_watched_call_has_a_fixture_and_every_fixture_is_of_a_watched_call() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == {call.name for call in WATCHED_CALLS}


@pytest.mark.parametrize("name", [call.name for call in WATCHED_CALLS])
def test_a_watched_call_leads_to_its_role_and_its_cause(name: str) -> None:
    trigger = parse_event(load(name), account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.role_name == "head-node"
    assert trigger.account == ACCOUNT
    assert trigger.cause.call == name
    assert trigger.cause.event_id == load(name)["detail"]["eventID"]


def test_the_actor_of_a_session_keeps_the_path_of_its_role(event: Event) -> None:
    trigger = parse_event(event, account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.cause.actor.issuer_arn == f"arn:aws:iam::{ACCOUNT}:role/ci/terraform"
    assert trigger.cause.actor.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/terraform/run-1881"


def test_a_call_through_cloudformation_names_both_the_session_and_the_service() -> None:
    trigger = parse_event(load("PutRolePolicy"), account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.cause.actor.invoked_by == "cloudformation.amazonaws.com"
    assert trigger.cause.actor.arn.endswith("assumed-role/deployer/cfn-exec")


def test_tags_that_a_call_sets_and_removes_are_kept_as_hints() -> None:
    tagged, created, untagged = (parse_event(load(n), account=ACCOUNT) for n in ("TagRole", "CreateRole", "UntagRole"))
    assert isinstance(tagged, RoleTrigger)
    assert tagged.tagged == {"anyscale:cluster-role": "production"}
    assert isinstance(created, RoleTrigger)
    assert created.tagged == {"team": "ml-platform", "anyscale:cluster-role": "production"}
    assert isinstance(untagged, RoleTrigger)
    assert untagged.untagged == ("anyscale:cluster-role",)


def _failed(event: Event) -> None:
    event["detail"].update(errorCode="AccessDenied", errorMessage="not authorized", requestParameters=None)


IGNORED: dict[str, tuple[Callable[[Event], None], str]] = {
    "a failed call": (_failed, "failed with AccessDenied"),
    "an unknown name": (lambda e: e["detail"].update(eventName="UpdateRoleDescription"), "not a watched call"),
    "another service's call": (lambda e: e["detail"].update(eventSource="sts.amazonaws.com"), "not a watched call"),
    "a forged source": (lambda e: e.update(source="my.app"), "not published by AWS"),
    "a forged detail-type": (lambda e: e.update({"detail-type": "hello"}), "not published by AWS"),
    "another account's call": (lambda e: e["detail"].update(recipientAccountId="999999999999"), "belongs to account"),
    "another account's envelope": (lambda e: e.update(account="999999999999"), "belongs to account"),
}


@pytest.mark.parametrize("what", IGNORED)
def test_what_means_nothing_is_ignored_with_the_reason(what: str, event: Event) -> None:
    change, reason = IGNORED[what]
    change(event)
    trigger = parse_event(event, account=ACCOUNT)
    assert isinstance(trigger, Ignored)
    assert reason in trigger.why


MALFORMED: dict[str, tuple[Callable[[Event], None], str]] = {
    "no detail": (lambda e: e.pop("detail"), "`detail`"),
    "detail is a text": (lambda e: e.update(detail="{}"), "`detail`"),
    "no call named": (lambda e: e["detail"].pop("eventName"), "names no call"),
    "null request parameters": (lambda e: e["detail"].update(requestParameters=None), "`requestParameters`"),
    "no role name": (lambda e: e["detail"].update(requestParameters={}), "roleName"),
    "an impossible role name": (lambda e: e["detail"]["requestParameters"].update(roleName="a/b\n"), "roleName"),
    "an overlong role name": (lambda e: e["detail"]["requestParameters"].update(roleName="a" * 65), "roleName"),
    "no event id": (lambda e: e["detail"].pop("eventID"), "eventID"),
    "no time": (lambda e: e["detail"].update(eventTime="yesterday"), "eventTime"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_may_concern_us_but_cannot_be_read_is_malformed(what: str, event: Event) -> None:
    change, reason = MALFORMED[what]
    change(event)
    with pytest.raises(MalformedEvent, match=reason):
        parse_event(event, account=ACCOUNT)


def test_an_empty_error_code_is_no_failure(event: Event) -> None:
    event["detail"]["errorCode"] = ""
    assert isinstance(parse_event(event, account=ACCOUNT), RoleTrigger)


def test_a_truncated_document_does_not_matter_because_it_is_never_read(event: Event) -> None:
    event["detail"]["requestParameters"]["policyDocument"] = '{"Version":"2012-10-17","Statem'
    assert isinstance(parse_event(event, account=ACCOUNT), RoleTrigger)


def test_an_unreadable_identity_costs_only_the_name_of_the_actor(event: Event) -> None:
    event["detail"]["userIdentity"] = ["what"]
    trigger = parse_event(event, account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.cause.actor.arn == "unknown"


def test_half_a_character_is_replaced_because_no_message_could_carry_it(event: Event) -> None:
    event["detail"]["userAgent"] = "a\ud800b"
    trigger = parse_event(event, account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.cause.actor.user_agent == "a?b"


def test_overlong_texts_are_cut(event: Event) -> None:
    event["detail"]["userAgent"] = "x" * 100_000
    trigger = parse_event(event, account=ACCOUNT)
    assert isinstance(trigger, RoleTrigger)
    assert trigger.cause.actor.user_agent is not None
    assert len(trigger.cause.actor.user_agent) == 1024


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(value=ANY_JSON)
def test_any_json_value_is_ignored_or_malformed_and_never_crashes(value: object) -> None:
    with contextlib.suppress(MalformedEvent):
        assert isinstance(parse_event(value, account=ACCOUNT), Ignored)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in items for deeper in _paths(item, (*path, key)))]


@given(data=st.data())
def test_an_event_with_any_one_part_replaced_gives_a_trigger_a_reason_or_a_clear_error(data: st.DataObject) -> None:
    event = copy.deepcopy(load(data.draw(st.sampled_from([call.name for call in WATCHED_CALLS]))))
    *parents, last = data.draw(st.sampled_from(_paths(event)[1:]))
    target: Any = event
    for key in parents:
        target = target[key]
    target[last] = data.draw(ANY_JSON)
    with contextlib.suppress(MalformedEvent):
        assert isinstance(parse_event(event, account=ACCOUNT), (RoleTrigger, Ignored))
