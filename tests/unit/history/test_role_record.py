"""What is remembered of a role."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.core.history.role_record import (
    Approval,
    Conflict,
    Incident,
    RoleRecord,
    parse_role_record,
    role_record_json,
)
from remediator.core.model.finding import Finding, FindingCode
from remediator.errors import MalformedRecord
from tests.unit.history.changes import NOW

FULL = RoleRecord(
    role_id="AROAEXAMPLE",
    approval=Approval("production", "arn:aws:iam::111122223333:role/platform", "e1", "2026-03-04T10:00:00Z"),
    conflict=Conflict(
        NOW, NOW + timedelta(days=1), (Finding(FindingCode.TRUST_MISSING, "trust policy"),), ("ci",), 7, ("arn:ci",)
    ),
    counted_from=NOW,
    incident=Incident("i1", "f1", NOW, alerted=True),
    alerts=(("f1", NOW), ("f2", NOW)),
)


@pytest.mark.parametrize("role_record", [RoleRecord(), FULL])
def test_what_was_written_is_read_back(role_record: RoleRecord) -> None:
    assert parse_role_record(role_record_json(role_record)) == role_record


@pytest.mark.parametrize("events", [True, "7", 7.0, None])
def test_the_events_of_a_contest_are_counted_in_whole_numbers(events: object) -> None:
    fields = json.loads(role_record_json(FULL))
    fields["contest"]["events"] = events
    with pytest.raises(MalformedRecord, match="`events` must be a number"):
        parse_role_record(json.dumps(fields))


def test_open_changes_and_the_version_are_kept_beside_it() -> None:
    read = parse_role_record(role_record_json(FULL), open_changes=("a", "b"), version=4)
    assert (read.open_changes, read.version) == (("a", "b"), 4)
    assert read.says_the_same(FULL)


@pytest.mark.parametrize("key", json.loads(role_record_json(FULL)))
def test_every_field_is_needed(key: str) -> None:
    fields = json.loads(role_record_json(FULL))
    del fields[key]
    with pytest.raises(MalformedRecord):
        parse_role_record(json.dumps(fields))


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "{}", '{"format":2}', role_record_json(FULL).replace("+00:00", "")]
)
def test_what_cannot_be_read_is_an_error_and_never_taken_for_nothing(text: str) -> None:
    with pytest.raises(MalformedRecord):
        parse_role_record(text)


def test_of_another_role_of_the_same_name_all_is_remembered_but_the_approval() -> None:
    full = parse_role_record(role_record_json(FULL), open_changes=("a",), version=3)
    assert full.for_role_id("AROAOTHER") == replace(full, role_id="AROAOTHER", approval=None)
    assert full.for_role_id("AROAEXAMPLE") is full


def test_a_role_is_unsettled_as_long_as_people_believe_that_something_is_open() -> None:
    assert FULL.is_pending
    assert RoleRecord(incident=FULL.incident).is_pending
    assert RoleRecord(conflict=FULL.conflict).is_pending
    assert not RoleRecord(role_id="AROAEXAMPLE", approval=FULL.approval, alerts=FULL.alerts).is_pending
