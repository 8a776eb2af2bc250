"""The message between router and reconciler."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.events.event import Actor, Cause
from remediator.core.events.request import ReconcileRequest, parse_request, request_json
from remediator.errors import MalformedRequest
from tests.examples import ACCOUNT

texts = st.text(min_size=1, max_size=40)
requests = st.builds(
    ReconcileRequest,
    account=texts,
    role_name=texts,
    cause=st.builds(
        Cause,
        event_id=texts,
        call=texts,
        time=texts,
        actor=st.builds(
            Actor,
            kind=texts,
            arn=texts,
            issuer_arn=st.none() | texts,
            invoked_by=st.none() | texts,
            user_agent=st.none() | texts,
        ),
    ),
    bucket=st.none() | texts,
)


def a_request(event_id: str = "e-1", role_name: str = "head-node", bucket: str | None = None) -> ReconcileRequest:
    actor = Actor(kind="IAMUser", arn="arn:aws:iam::111122223333:user/alice")
    cause = Cause(event_id, "TagRole", "2026-03-04T10:00:00Z", actor)
    return ReconcileRequest(ACCOUNT, role_name, cause, bucket)


@given(request=requests)
def test_what_is_written_reads_back_equal(request: ReconcileRequest) -> None:
    assert parse_request(request_json(request)) == request


@pytest.mark.parametrize(("enrolls", "mode"), [("production", None), ("", "off"), (None, "")])
def test_the_values_of_tags_are_read_back_and_may_be_empty(enrolls: str | None, mode: str | None) -> None:
    request = a_request()
    tagged = replace(request, cause=replace(request.cause, enrolls=enrolls, mode=mode))
    assert parse_request(request_json(tagged)) == tagged


@pytest.mark.parametrize("tag", ["enrolls", "mode"])
@pytest.mark.parametrize("value", [7, True, ["production"], "\ud800"])
def test_the_value_of_a_tag_that_is_no_text_is_malformed(tag: str, value: object) -> None:
    message = json.loads(request_json(a_request()))
    message["cause"][tag] = value
    with pytest.raises(MalformedRequest):
        parse_request(json.dumps(message))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format":2}', '{"format":1}', "[" * 100_000])
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_request(text)


def test_a_message_of_another_format_is_malformed_though_all_its_fields_are_there() -> None:
    message = {**json.loads(request_json(a_request())), "format": 0}
    with pytest.raises(MalformedRequest, match="format"):
        parse_request(json.dumps(message))


def test_half_a_character_is_malformed() -> None:
    text = request_json(a_request()).replace("head-node", "\\ud800")
    with pytest.raises(MalformedRequest):
        parse_request(text)


@pytest.mark.parametrize("field", ["account", "role_name", "cause", "bucket"])
def test_a_message_that_lacks_a_field_is_malformed_and_names_it(field: str) -> None:
    message = json.loads(request_json(a_request()))
    del message[field]
    with pytest.raises(MalformedRequest, match=field):
        parse_request(json.dumps(message))


def test_two_changes_of_one_role_are_two_messages_of_one_group() -> None:
    first, second = a_request("e-1"), a_request("e-2")
    assert first.group == second.group
    assert first.deduplication_id != second.deduplication_id


def test_the_same_event_about_the_same_role_is_one_message() -> None:
    assert a_request().deduplication_id == a_request().deduplication_id


def test_one_event_about_two_roles_is_two_messages_in_two_groups() -> None:
    first, second = a_request(role_name="head-node"), a_request(role_name="worker-node")
    assert first.group != second.group
    assert first.deduplication_id != second.deduplication_id


def test_group_and_deduplication_id_fit_the_limits_of_sqs() -> None:
    request = a_request("e" * 1024, "r" * 64)
    assert len(request.group) <= 128
    assert len(request.deduplication_id) <= 128


def test_roles_whose_repairs_may_write_the_same_bucket_policy_share_one_group() -> None:
    one, other = (a_request(role_name=name, bucket="shared-bucket") for name in ("head-node", "worker-node"))
    assert one.group == other.group == f"{ACCOUNT}/bucket/shared-bucket"
    assert one.deduplication_id != other.deduplication_id
    assert a_request(role_name="head-node").group != one.group
    assert parse_request(request_json(one)) == one
    assert len(a_request(bucket="b" * 63).group) <= 128


def test_a_role_and_a_bucket_of_the_same_name_are_two_groups() -> None:
    assert a_request(role_name="same").group != a_request(role_name="other", bucket="same").group


@pytest.mark.parametrize(
    "text", ["x" * 5_000, json.dumps({"format": 1, "account": "1", "role_name": "r", "cause": "x" * 5_000})]
)
def test_what_is_wrong_with_a_message_is_told_in_short(text: str) -> None:
    with pytest.raises(MalformedRequest) as raised:
        parse_request(text)
    assert len(str(raised.value)) < 500
