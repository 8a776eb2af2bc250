"""Whether a change can be undone, by the role and the document as they are now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator import __version__
from remediator.core.history.change import (
    Change,
    ChangeContext,
    ChangeKind,
    ChangeState,
    change_id,
    intended,
    split_change_id,
)
from remediator.core.history.undo import UndoRefused, decide_undo, is_on_hold
from remediator.core.model.role import Role
from remediator.core.model.write import Write
from remediator.core.policy.document import Json
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.settings import MODE_TAG
from tests.examples import EC2_STATEMENT, ENROLLED, LAMBDA_STATEMENT, a_cause, a_role, document, policy
from tests.unit.history.changes import NOW, a_change
from tests.writes import inline_write, profile_write

ROLE = a_role(LAMBDA_STATEMENT)
MADE = a_change(state=ChangeState.COMPLETED)
CREATED = a_change(
    inline_write("AnyscaleRemediatorS3Access", None, document(LAMBDA_STATEMENT)), state=ChangeState.COMPLETED
)
DELETED = a_change(
    inline_write("AnyscaleRemediatorS3Access", document(LAMBDA_STATEMENT), None), state=ChangeState.COMPLETED
)
PROFILE = a_change(profile_write("head-node", "/anyscale/", is_new=True), state=ChangeState.COMPLETED)


def reading_of(document: Json | None) -> Reading[Json]:
    return Absent() if document is None else Present(document)


def refused(change: Change, now: Reading[Json], role: Reading[Role] | None = None) -> UndoRefused:
    decided = decide_undo(change, role or Present(ROLE), now)
    assert isinstance(decided, UndoRefused)
    return decided


@pytest.mark.parametrize("change", [MADE, CREATED, DELETED, PROFILE])
def test_what_the_change_left_becomes_what_was_there_before_it(change: Change) -> None:
    decided = decide_undo(change, Present(ROLE), reading_of(change.after))
    assert isinstance(decided, Write)
    assert (decided.before, decided.after) == (change.after, change.before)
    assert ("lose the role's credentials" in decided.note) == (change is PROFILE)


@pytest.mark.parametrize("change", [MADE, CREATED, DELETED, PROFILE])
def test_a_document_that_could_not_be_read_is_not_written_over(change: Change) -> None:
    assert refused(change, Unreadable("s3:GetBucketPolicy was denied")) == UndoRefused(
        "The document could not be read: s3:GetBucketPolicy was denied"
    )


@pytest.mark.parametrize("change", [MADE, CREATED, DELETED, PROFILE])
def test_a_document_that_is_as_it_was_before_is_undone_already(change: Change) -> None:
    assert refused(change, reading_of(change.before)).why.startswith("It is undone already")


@pytest.mark.parametrize("now", [Absent(), Present(policy(EC2_STATEMENT))])
def test_what_somebody_has_changed_since_stays_and_the_difference_is_shown(now: Reading[Json]) -> None:
    refusal = refused(MADE, now)
    assert refusal.why.startswith("The document has changed since.")
    assert '-      "Sid": "AnyscaleRemediatorEC2Trust"' in refusal.diff


def test_an_undo_that_had_only_emptied_the_instance_profile_it_was_to_delete_goes_on() -> None:
    assert PROFILE.after is not None
    emptied = {**PROFILE.after, "Roles": []}
    assert decide_undo(PROFILE, Present(ROLE), Present(emptied)) == Write(PROFILE.document, emptied, None)


def test_a_change_of_an_instance_profile_is_undone_though_what_was_there_before_is_no_policy() -> None:
    assert PROFILE.after is not None
    before = {**PROFILE.after, "Roles": []}
    undone = decide_undo(replace(PROFILE, before=before), Present(ROLE), Present(PROFILE.after))
    assert isinstance(undone, Write)
    assert undone.after == before


def test_what_aws_would_not_take_is_not_put_back() -> None:
    broken = replace(MADE, before=policy({**LAMBDA_STATEMENT, "Effect": "Perhaps"}))
    assert "no policy that AWS would take" in refused(broken, reading_of(MADE.after)).why


@pytest.mark.parametrize(
    ("role", "why"),
    [
        (Absent(), "The role head-node does not exist any more."),
        (Unreadable("iam:GetRole was denied"), "The role could not be read: iam:GetRole was denied"),
    ],
)
def test_nothing_is_put_back_for_a_role_that_is_not_seen(role: Reading[Role], why: str) -> None:
    assert refused(MADE, reading_of(MADE.after), role).why == why


def test_nothing_is_put_back_for_another_role_of_the_same_name() -> None:
    other = replace(ROLE, role_id="AROAEXAMPLEHEADNODE02")
    assert "deleted and created again" in refused(MADE, reading_of(MADE.after), Present(other)).why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (replace(MADE, kind=ChangeKind.UNDO), "remediator resume head-node"),
        (replace(MADE, state=ChangeState.NOT_WRITTEN), "nothing to undo"),
        (replace(MADE, state=ChangeState.INTENDED), "not known yet"),
    ],
)
def test_an_undo_and_what_is_not_known_to_have_been_written_are_not_undone(change: Change, why: str) -> None:
    assert why in refused(change, reading_of(MADE.after)).why


def test_the_undo_is_a_change_of_its_own_that_goes_the_other_way() -> None:
    decided = decide_undo(MADE, Present(ROLE), reading_of(MADE.after))
    assert isinstance(decided, Write)
    cause = replace(a_cause("Undo"), event_id=MADE.change_id)
    made = intended(decided, ChangeContext.for_change(MADE, (cause,)), ChangeKind.UNDO, NOW)
    assert (made.kind, made.state, made.causes, made.findings) == (ChangeKind.UNDO, ChangeState.INTENDED, (cause,), ())
    assert (made.document, made.before, made.after) == (MADE.document, MADE.after, MADE.before)
    assert (made.role_name, made.role_id, made.code_version) == (MADE.role_name, MADE.role_id, __version__)
    assert made.change_id != MADE.change_id
    assert split_change_id(made.change_id)[0] == "head-node"
    assert made.change_id == change_id("head-node", NOW, MADE.document, 0, MADE.change_id)


@pytest.mark.parametrize(
    ("mode", "held"), [(None, False), ("repair", False), (" Repair ", False), ("observe", True), ("off", True)]
)
def test_a_role_is_held_back_by_a_tag_that_does_not_say_repair(mode: str | None, held: bool) -> None:
    tags = ENROLLED if mode is None else {**ENROLLED, MODE_TAG: mode}
    assert is_on_hold(a_role(LAMBDA_STATEMENT, tags=tags)) is held
