"""The record of a change, and what became of one that was interrupted."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.history.change import (
    Change,
    ChangeState,
    documents_json,
    head_json,
    intended_of,
    parse_change,
    settlement,
    split_change_id,
    time_key,
)
from remediator.core.model.write import DocumentId, DocumentKind, Write, instance_profile_json, same_document
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.errors import MalformedRecord
from tests.examples import BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, ROLE_ARN, document, policy
from tests.unit.history.changes import NOW, TRUST_STEP, a_change
from tests.writes import bucket_write, inline_write, profile_write

STEPS: tuple[Write, ...] = (
    TRUST_STEP,
    inline_write("AnyscaleRemediatorS3Access", None, document(LAMBDA_STATEMENT)),
    inline_write("AnyscaleRemediatorS3Access", document(LAMBDA_STATEMENT), None),
    bucket_write(BUCKET, "111122223333", "us-west-2", None, document(LAMBDA_STATEMENT)),
    profile_write("head-node", "/anyscale/", is_new=True),
    profile_write("head-node", "/anyscale/", is_new=False),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def both(write: Write) -> tuple[Any, Any]:
    return write.before, write.after


def read_back(change: Change) -> Change:
    concluded = None if change.concluded_at is None else change.concluded_at.isoformat()
    return parse_change(
        change.change_id,
        head_json(change),
        documents=documents_json(change),
        state=change.state,
        why=change.why,
        concluded_at=concluded,
    )


@pytest.mark.parametrize("step", STEPS)
def test_what_was_written_is_read_back(step: Write) -> None:
    change = a_change(step, state=ChangeState.UNCONFIRMED, why="not seen", concluded_at=NOW + timedelta(seconds=3))
    assert read_back(change) == change
    assert (change.before, change.after) == both(step)


def test_an_instance_profile_that_is_new_was_not_there_before() -> None:
    holding = {"InstanceProfileName": "head-node", "Path": "/anyscale/", "Roles": ["head-node"]}
    assert both(profile_write("head-node", "/anyscale/", is_new=True)) == (None, holding)
    empty = {**holding, "Roles": []}
    assert both(profile_write("head-node", "/anyscale/", is_new=False)) == (empty, holding)


def test_without_its_documents_a_change_has_none() -> None:
    change = a_change()
    read = parse_change(change.change_id, head_json(change), state=change.state)
    assert (read.before, read.after) == (None, None)
    assert read.findings == change.findings


def test_the_kinds_of_documents_are_called_in_the_history_what_they_have_always_been_called() -> None:
    assert [str(kind) for kind in DocumentKind] == [
        "trust-policy",
        "inline-policy",
        "bucket-policy",
        "instance-profile",
    ]


def test_the_id_names_the_role_and_sorts_by_time() -> None:
    first, second = a_change(), a_change(at=NOW + timedelta(milliseconds=1))
    role, key = split_change_id(first.change_id)
    assert role == "head-node"
    assert first.change_id < second.change_id
    assert time_key(NOW) <= key < time_key(NOW + timedelta(milliseconds=1))
    assert intended_of(key) == NOW


def test_two_steps_of_one_moment_have_two_ids() -> None:
    assert a_change(sequence=0).change_id != a_change(sequence=1).change_id
    assert a_change(STEPS[1]).change_id != a_change(STEPS[3]).change_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "head-node",
        "head-node/",
        "a/b/20260304T100020000000Z-0a1b2c3d",
        "head-node/20260304-0a1b2c3d",
        "/x",
        "head node/20260304T100020000000Z-0a1b2c3d",
    ],
)
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(MalformedRecord, match="looks like head-node/"):
        split_change_id(text)


@pytest.mark.parametrize("head", ["", "null", "[]", '{"format":99}', '{"format":1}', "{"])
def test_a_record_that_cannot_be_read_is_an_error_and_never_an_empty_one(head: str) -> None:
    with pytest.raises(MalformedRecord):
        parse_change(a_change().change_id, head, state="intended")


def test_a_state_of_another_version_is_an_error() -> None:
    change = a_change()
    with pytest.raises(MalformedRecord):
        parse_change(change.change_id, head_json(change), state="rolled-forward")


@pytest.mark.parametrize("key", json.loads(head_json(a_change())))
def test_every_field_of_a_record_is_needed(key: str) -> None:
    change = a_change()
    fields = json.loads(head_json(change))
    del fields[key]
    with pytest.raises(MalformedRecord):
        parse_change(change.change_id, json.dumps(fields), state="intended")


def test_documents_are_named_as_findings_name_them() -> None:
    assert [str(step.document) for step in STEPS] == [
        "trust policy",
        "inline policy AnyscaleRemediatorS3Access",
        "inline policy AnyscaleRemediatorS3Access",
        f"bucket policy of {BUCKET}",
        "instance profile head-node",
        "instance profile head-node",
    ]
    assert STEPS[3].document == DocumentId(
        DocumentKind.BUCKET_POLICY, BUCKET, account="111122223333", region="us-west-2"
    )


class TestSettlement:
    @pytest.mark.parametrize("step", STEPS)
    def test_a_document_that_is_as_it_should_become_was_written(self, step: Write) -> None:
        change = a_change(step)
        now = Absent() if change.after is None else Present(change.after)
        assert settlement(change, now)[0] is ChangeState.COMPLETED

    @pytest.mark.parametrize("step", STEPS)
    def test_a_document_that_is_as_it_was_was_not_written_for_all_that_can_be_seen(self, step: Write) -> None:
        change = a_change(step)
        now = Absent() if change.before is None else Present(change.before)
        assert settlement(change, now)[0] is ChangeState.UNKNOWN

    @pytest.mark.parametrize("step", STEPS)
    def test_of_any_other_document_nobody_can_say(self, step: Write) -> None:
        assert settlement(a_change(step), Present(policy(EC2_STATEMENT)))[0] is ChangeState.SUPERSEDED

    def test_a_document_that_cannot_be_read_settles_nothing(self) -> None:
        assert settlement(a_change(), Unreadable("denied")) == (ChangeState.INTENDED, "denied")


class TestSameDocument:
    def test_one_principal_may_be_spelt_as_a_list(self) -> None:
        one = policy({**EC2_STATEMENT, "Principal": {"AWS": [ROLE_ARN]}, "Action": ["b", "a"]})
        other = policy({**EC2_STATEMENT, "Principal": {"AWS": ROLE_ARN}, "Action": ["a", "b"]})
        assert same_document(one, other)

    def test_the_order_of_statements_counts(self) -> None:
        assert not same_document(policy(EC2_STATEMENT, LAMBDA_STATEMENT), policy(LAMBDA_STATEMENT, EC2_STATEMENT))

    def test_no_document_is_only_the_same_as_none(self) -> None:
        assert same_document(None, None)
        assert not same_document(None, policy())
        assert not same_document(policy(), None)

    def test_an_instance_profile_is_another_one_with_a_role_in_it_or_under_another_path(self) -> None:
        empty, filled = both(STEPS[5])
        assert same_document(filled, json.loads(json.dumps(filled)))
        assert not same_document(empty, filled)
        assert not same_document(filled, instance_profile_json("head-node", "/", "head-node"))

    @given(st.dictionaries(st.text(), JSON, max_size=4))
    def test_every_document_is_the_same_as_itself(self, value: dict[str, Any]) -> None:
        assert same_document(value, json.loads(json.dumps(value)))
