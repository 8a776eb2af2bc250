"""Undoing a change puts back what was there, or says why not; resuming lets the role be repaired again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.history.role_record import Conflict
from remediator.core.history.undo import UndoRefused
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.write import DocumentKind, Write
from remediator.core.policy.reading import Unreadable
from remediator.core.repair.outcome import Hold, OutcomeKind
from remediator.errors import DeniedError, RejectedError, ThrottledError
from remediator.flows.resume import NotResumed, Resumed, resume
from remediator.flows.undo import NotUndone, Undone, plan_undo, undo
from remediator.settings import MODE_TAG
from tests.examples import (
    BUCKET,
    EC2_STATEMENT,
    ENROLLED,
    LAMBDA_STATEMENT,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.faults import once, raising, throttled, unanswered
from tests.functional.world import ROLE, World
from tests.unit.history.changes import TRUST_MISSING

DENIED = raising(DeniedError("iam:Something", "AccessDenied", "no"))
THEIRS = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:ListBucket"}


def the_change(world: World, kind: DocumentKind = DocumentKind.TRUST_POLICY) -> Change:
    """The one change of a document of that kind."""
    (change,) = [each for each in world.changes() if each.document.kind is kind and each.kind is not ChangeKind.UNDO]
    return change


def the_undo(world: World) -> Change:
    (change,) = [each for each in world.changes() if each.kind is ChangeKind.UNDO]
    return change


def planned(world: World, change: Change, **overrides: Any) -> Write | UndoRefused:
    return plan_undo(change, world.given(**overrides))


def refused(world: World, change: Change, **overrides: Any) -> UndoRefused:
    plan = planned(world, change, **overrides)
    assert isinstance(plan, UndoRefused)
    return plan


def undone(world: World, change: Change, **overrides: Any) -> Undone | NotUndone:
    """Undo a change as alice does, after she has seen the plan."""
    plan = planned(world, change)
    assert isinstance(plan, Write)
    return undo(change, plan, replace(a_cause("Undo"), event_id=change.change_id), world.given(**overrides))


def mode(world: World) -> str | None:
    """The tag of the role that narrows what may be done."""
    tags = world.iam.list_role_tags(RoleName=ROLE)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in tags}.get(MODE_TAG)


def repaired_trust(world: World) -> Change:
    """The change of a role that trusted Lambda alone, and may use its bucket."""
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    world.reconcile()
    return the_change(world)


class TestUndoing:
    def test_a_trust_policy_puts_back_what_was_there(self, world: World) -> None:
        change = repaired_trust(world)
        result = undone(world, change)
        assert isinstance(result, Undone)
        assert world.trust() == [LAMBDA_STATEMENT]

    def test_an_inline_policy_that_was_not_there_deletes_it(self, world: World) -> None:
        world.create_role(EC2_STATEMENT)
        world.reconcile()
        assert isinstance(undone(world, the_change(world, DocumentKind.INLINE_POLICY)), Undone)
        assert world.inline() == {}

    def test_an_inline_policy_that_was_there_puts_it_back(self, world: World) -> None:
        world.create_role(EC2_STATEMENT)
        other = policy(bucket_grant(BUCKET, "s3:GetObject"))
        world.grant(*other["Statement"], name=OWN_POLICY_NAME)  # type: ignore[misc]  # it is a list
        world.reconcile()
        assert world.inline()[OWN_POLICY_NAME] != other
        assert isinstance(undone(world, the_change(world, DocumentKind.INLINE_POLICY)), Undone)
        assert world.inline() == {OWN_POLICY_NAME: other}

    def test_a_bucket_policy_that_was_not_there_deletes_it(self, world: World) -> None:
        world.settings = settings(grant="bucket-policy")
        world.create_role(EC2_STATEMENT)
        world.reconcile()
        assert isinstance(undone(world, the_change(world, DocumentKind.BUCKET_POLICY)), Undone)
        assert world.bucket_policy() is None

    def test_a_bucket_policy_leaves_what_others_wrote(self, world: World) -> None:
        world.settings = settings(grant="bucket-policy")
        theirs = {**THEIRS, "Resource": f"arn:aws:s3:::{BUCKET}"}
        world.put_bucket_policy(theirs)
        world.create_role(EC2_STATEMENT)
        world.reconcile()
        assert isinstance(undone(world, the_change(world, DocumentKind.BUCKET_POLICY)), Undone)
        assert world.bucket_policy() == policy(theirs)

    def test_an_instance_profile_of_ours_deletes_it(self, world: World) -> None:
        world.settings = settings(instanceProfile="repair")
        world.create_role(EC2_STATEMENT, profile=False)
        world.grant(bucket_grant())
        world.reconcile()
        change = the_change(world, DocumentKind.INSTANCE_PROFILE)
        plan = planned(world, change)
        assert isinstance(plan, Write)
        assert "lose the role's credentials" in plan.note
        assert isinstance(undone(world, change), Undone)
        assert world.iam.list_instance_profiles()["InstanceProfiles"] == []

    def test_an_instance_profile_that_was_empty_leaves_it_empty(self, world: World) -> None:
        world.settings = settings(instanceProfile="repair")
        world.create_role(EC2_STATEMENT, profile=False)
        world.grant(bucket_grant())
        world.iam.create_instance_profile(InstanceProfileName=ROLE, Path="/anyscale/production/")
        world.reconcile()
        assert isinstance(undone(world, the_change(world, DocumentKind.INSTANCE_PROFILE)), Undone)
        (profile,) = world.iam.list_instance_profiles()["InstanceProfiles"]
        assert (profile["InstanceProfileName"], profile["Roles"]) == (ROLE, [])

    def test_a_removal_gives_back_what_was_removed(self, world: World) -> None:
        world.create_role(EC2_STATEMENT)
        world.reconcile()
        before = world.inline()
        world.settings = settings(grant="bucket-policy", formerGrant="role-policy")
        world.reconcile()
        assert world.inline() == {}
        *_, removal = world.changes()
        assert removal.kind is ChangeKind.REMOVAL
        assert isinstance(undone(world, removal), Undone)
        assert world.inline() == before

    def test_sets_the_role_to_observe_first_so_that_it_is_not_repaired_again(self, world: World) -> None:
        change = repaired_trust(world)
        modes: list[str | None] = []
        roles = world.disturbed_roles(before_write_trust=lambda: modes.append(mode(world)))
        undone(world, change, roles=roles)
        assert modes == ["observe"]
        outcome = world.reconcile()
        assert (outcome.kind, outcome.hold) == (OutcomeKind.WOULD_REPAIR, Hold.OBSERVE)
        assert world.trust() == [LAMBDA_STATEMENT]

    @pytest.mark.parametrize("tag", ["off", "Observe", "misspelt"])
    def test_leaves_a_tag_that_holds_us_back_already(self, world: World, tag: str) -> None:
        change = repaired_trust(world)
        world.roles.tag_role(ROLE, MODE_TAG, tag)
        assert isinstance(undone(world, change), Undone)
        assert mode(world) == tag

    def test_is_recorded_with_who_did_it_and_what_was_undone(self, world: World) -> None:
        change = repaired_trust(world)
        result = undone(world, change)
        record = the_undo(world)
        assert isinstance(result, Undone)
        assert result.change == record
        assert (record.before, record.after) == (change.after, change.before)
        assert (record.state, record.findings) == (ChangeState.COMPLETED, ())
        (cause,) = record.causes
        assert (cause.call, cause.event_id, cause.actor.arn) == ("Undo", change.change_id, a_cause().actor.arn)
        assert world.history.read_role_record(ROLE).open_changes == ()

    def test_the_record_is_there_before_the_document_is_written(self, world: World) -> None:
        change = repaired_trust(world)
        seen: list[Change] = []
        undone(world, change, roles=world.disturbed_roles(before_write_trust=lambda: seen.append(the_undo(world))))
        assert [each.state for each in seen] == [ChangeState.INTENDED]


class TestItIsRefused:
    def test_where_the_document_has_changed_since_with_what_differs(self, world: World) -> None:
        change = repaired_trust(world)
        changed = policy(*world.trust(), {**LAMBDA_STATEMENT, "Sid": "Theirs"})
        world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(changed))
        answer = refused(world, change)
        assert "has changed since" in answer.why
        assert '+      "Sid": "Theirs",' in answer.diff.splitlines()
        assert world.trust() == changed["Statement"]

    def test_where_the_document_was_deleted_since(self, world: World) -> None:
        world.create_role(EC2_STATEMENT)
        other = policy(bucket_grant(BUCKET, "s3:GetObject"))
        world.grant(*other["Statement"], name=OWN_POLICY_NAME)  # type: ignore[misc]  # it is a list
        world.reconcile()
        world.iam.delete_role_policy(RoleName=ROLE, PolicyName=OWN_POLICY_NAME)
        assert "has changed since" in refused(world, the_change(world, DocumentKind.INLINE_POLICY)).why

    def test_where_another_role_is_in_the_bucket_policy_by_now(self, world: World) -> None:
        world.settings = settings(grant="bucket-policy")
        world.create_role(EC2_STATEMENT)
        world.reconcile()
        change = the_change(world, DocumentKind.BUCKET_POLICY)
        world.create_role(EC2_STATEMENT, name="worker")
        world.reconcile(role="worker")
        assert "role/anyscale/production/worker" in refused(world, change).diff
        assert world.named_in() == ["head-node", "worker"]

    def test_where_another_role_is_in_the_instance_profile_by_now(self, world: World) -> None:
        world.settings = settings(instanceProfile="repair")
        world.create_role(EC2_STATEMENT, profile=False)
        world.grant(bucket_grant())
        world.reconcile()
        world.create_role(EC2_STATEMENT, name="worker", profile=False)
        world.iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
        world.iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName="worker")
        assert "worker" in refused(world, the_change(world, DocumentKind.INSTANCE_PROFILE)).diff

    def test_where_it_is_undone_already(self, world: World) -> None:
        change = repaired_trust(world)
        undone(world, change)
        assert "undone already" in refused(world, change).why

    def test_where_it_is_an_undo_itself(self, world: World) -> None:
        undone(world, repaired_trust(world))
        assert "remediator resume head-node" in refused(world, the_undo(world)).why

    @pytest.mark.parametrize(
        ("state", "why"), [(ChangeState.NOT_WRITTEN, "was not written"), (ChangeState.INTENDED, "not known yet")]
    )
    def test_where_it_never_took_effect_as_far_as_we_know(self, world: World, state: ChangeState, why: str) -> None:
        assert why in refused(world, replace(repaired_trust(world), state=state)).why

    @pytest.mark.parametrize("grant", ["role-policy", "bucket-policy"])
    def test_where_the_role_is_another_one_by_now(self, world: World, grant: str) -> None:
        world.settings = settings(grant=grant)
        world.create_role(LAMBDA_STATEMENT)
        world.reconcile()
        changes = world.changes()
        before = world.bucket_policy()
        world.delete_role()
        for change in changes:
            assert "does not exist any more" in refused(world, change).why
        world.create_role(EC2_STATEMENT)
        for change in changes:
            assert "created again" in refused(world, change).why
        assert (world.trust(), world.bucket_policy()) == ([EC2_STATEMENT], before)

    def test_where_nobody_can_look(self, world: World) -> None:
        change = repaired_trust(world)
        roles = world.disturbed_roles()
        roles.read_role = lambda role_name: Unreadable(f"no look at {role_name}")  # type: ignore[method-assign]  # a fault that moto does not have
        assert "no look at head-node" in refused(world, change, roles=roles).why

    def test_where_what_was_there_is_no_policy(self, world: World) -> None:
        change = replace(repaired_trust(world), before={"Statement": "Allow"})
        assert "no policy" in refused(world, change).why


class TestWhatGoesWrong:
    def test_without_the_tag_nothing_else_is_tried(self, world: World) -> None:
        change = repaired_trust(world)
        result = undone(world, change, roles=world.disturbed_roles(before_tag_role=DENIED))
        assert isinstance(result, NotUndone)
        assert (result.is_on_hold, result.change) == (False, None)
        assert "could not be set to observe" in result.why
        assert world.changes() == [change]
        assert world.trusts_ec2()

    def test_a_tag_that_cannot_be_seen_is_not_relied_on(self, world: World) -> None:
        change = repaired_trust(world)
        roles = world.disturbed_roles()
        roles.tag_role = lambda *_: None  # type: ignore[method-assign]  # a fault that moto does not have
        result = undone(world, change, roles=roles)
        assert isinstance(result, NotUndone)
        assert "does not show it yet" in result.why
        assert world.trusts_ec2()

    def test_without_a_record_nothing_is_written(self, world: World) -> None:
        change = repaired_trust(world)
        result = undone(world, change, history=world.disturbed_history(before_intend=DENIED))
        assert isinstance(result, NotUndone)
        assert (result.is_on_hold, result.change) == (True, None)
        assert "could not be recorded" in result.why
        assert world.trusts_ec2()

    def test_a_document_that_changes_at_the_last_moment_is_left(self, world: World) -> None:
        change = repaired_trust(world)
        theirs = policy({**EC2_STATEMENT, "Sid": "Theirs"})
        meddled = once(
            lambda: world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(theirs)),
        )
        result = undone(world, change, history=world.disturbed_history(after_intend=meddled))
        assert isinstance(result, NotUndone)
        assert "Theirs" in result.diff
        assert (world.trust(), the_undo(world).state) == (theirs["Statement"], ChangeState.NOT_WRITTEN)

    def test_a_role_that_is_created_again_at_the_last_moment_is_left(self, world: World) -> None:
        change = repaired_trust(world)

        trust = world.trust()

        def recreate() -> None:
            world.delete_role()
            world.create_role(*trust)

        result = undone(world, change, history=world.disturbed_history(after_intend=once(recreate)))
        assert isinstance(result, NotUndone)
        assert "created again" in result.why
        assert world.trusts_ec2()

    def test_a_look_that_fails_at_the_last_moment_writes_nothing(self, world: World) -> None:
        change = repaired_trust(world)
        roles = world.disturbed_roles(before_read_role_3=throttled())
        result = undone(world, change, roles=roles)
        assert isinstance(result, NotUndone)
        assert (result.is_on_hold, the_undo(world).state) == (True, ChangeState.NOT_WRITTEN)
        assert world.trusts_ec2()

    @pytest.mark.parametrize(
        "error",
        [
            DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "no"),
            RejectedError("iam:UpdateAssumeRolePolicy", "MalformedPolicyDocument", "Invalid principal"),
            ThrottledError("iam:UpdateAssumeRolePolicy", "Throttling", "slow down"),
        ],
    )
    def test_a_write_that_fails_is_told_and_recorded_as_not_written(self, world: World, error: Exception) -> None:
        change = repaired_trust(world)
        result = undone(world, change, roles=world.disturbed_roles(before_write_trust=raising(error)))
        assert isinstance(result, NotUndone)
        assert result.why == f"Nothing was undone. {error}"
        assert len(world.pauses) == (2 if isinstance(error, ThrottledError) else 0)
        assert (the_undo(world).state, the_undo(world).why) == (ChangeState.NOT_WRITTEN, str(error))
        assert mode(world) == "observe"

    def test_a_write_whose_answer_is_lost_is_done_if_it_is_there(self, world: World) -> None:
        change = repaired_trust(world)
        assert isinstance(undone(world, change, roles=world.disturbed_roles(after_write_trust=unanswered())), Undone)
        assert the_undo(world).state is ChangeState.COMPLETED

    def test_of_a_write_whose_answer_is_lost_and_that_is_not_there_nobody_knows(self, world: World) -> None:
        change = repaired_trust(world)
        result = undone(world, change, roles=world.disturbed_roles(before_write_trust=unanswered()))
        assert isinstance(result, NotUndone)
        assert "may still change" in result.why
        assert "Nothing was undone" not in result.why
        assert the_undo(world).state is ChangeState.UNKNOWN

    def test_a_write_that_is_throttled_is_sent_again(self, world: World) -> None:
        change = repaired_trust(world)
        roles = world.disturbed_roles(before_write_trust=once(throttled()))
        assert isinstance(undone(world, change, roles=roles), Undone)
        assert not world.trusts_ec2()

    def test_an_edit_made_while_a_write_is_throttled_is_kept(self, world: World) -> None:
        change = repaired_trust(world)
        theirs = policy({**EC2_STATEMENT, "Sid": "Theirs"})

        def edited() -> None:
            world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(theirs))
            throttled()()

        result = undone(world, change, roles=world.disturbed_roles(before_write_trust=once(edited)))
        assert isinstance(result, NotUndone)
        assert "changed the document" in result.why
        assert (world.trust(), the_undo(world).state) == (theirs["Statement"], ChangeState.NOT_WRITTEN)

    def test_a_document_that_cannot_be_looked_at_again_is_left(self, world: World) -> None:
        change = repaired_trust(world)
        roles = world.disturbed_roles(before_write_trust=throttled(), before_read_role_5=throttled())
        result = undone(world, change, roles=roles)
        assert isinstance(result, NotUndone)
        assert "could not be checked again" in result.why
        assert (world.trusts_ec2(), the_undo(world).state) == (True, ChangeState.NOT_WRITTEN)

    def test_a_write_that_cannot_be_seen_is_unconfirmed(self, world: World) -> None:
        change = repaired_trust(world)
        roles = world.disturbed_roles()
        roles.write_trust = lambda *_: None  # type: ignore[method-assign]  # a fault that moto does not have
        result = undone(world, change, roles=roles)
        assert isinstance(result, NotUndone)
        assert result.why == "It was written, but reading it back does not show it yet."
        assert the_undo(world).state is ChangeState.UNCONFIRMED

    def test_an_instance_profile_that_can_be_emptied_only_is_told_as_such(self, world: World) -> None:
        world.settings = settings(instanceProfile="repair")
        world.create_role(EC2_STATEMENT, profile=False)
        world.grant(bucket_grant())
        world.reconcile()
        change = the_change(world, DocumentKind.INSTANCE_PROFILE)
        result = undone(world, change, roles=world.disturbed_roles(before_delete_instance_profile=DENIED))
        assert isinstance(result, NotUndone)
        assert "neither what it was nor what it should be" in result.why
        assert the_undo(world).state is ChangeState.UNCONFIRMED
        assert world.profiles() == []

    def test_a_conclusion_that_cannot_be_recorded_is_told_and_made_up_for(self, world: World) -> None:
        change = repaired_trust(world)
        result = undone(world, change, history=world.disturbed_history(before_conclude=throttled()))
        assert isinstance(result, Undone)
        assert "could not be recorded" in result.trouble
        world.time += timedelta(minutes=3)
        world.reconcile()
        assert the_undo(world).state is ChangeState.COMPLETED


class TestResuming:
    def resumed(self, world: World, **overrides: Any) -> Resumed | NotResumed | None:
        return resume(ROLE, world.given(**{"now": world.time, **overrides}))

    def contested(self, world: World) -> Conflict:
        """A role whose repairs somebody keeps undoing."""
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        conflict = Conflict(world.time, world.time + timedelta(days=1), (TRUST_MISSING,), ("Terraform, as ci",), 2)
        world.reconcile()
        world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))
        role_id = world.iam.get_role(RoleName=ROLE)["Role"]["RoleId"]
        role_record = world.history.read_role_record(ROLE)
        world.history.write_role_record(ROLE, replace(role_record, role_id=role_id, conflict=conflict))
        assert world.reconcile().kind is OutcomeKind.CONFLICT
        return conflict

    def test_a_contested_role_has_it_repaired_again(self, world: World) -> None:
        conflict = self.contested(world)
        assert self.resumed(world) == Resumed(conflict, None)
        role_record = world.history.read_role_record(ROLE)
        assert (role_record.conflict, role_record.counted_from) == (None, world.time)
        assert mode(world) == "repair"
        assert world.reconcile(a_cause("TagRole")).kind is OutcomeKind.REPAIRED
        assert world.trusts_ec2()

    def test_a_role_that_was_undone_has_it_repaired_again(self, world: World) -> None:
        undone(world, repaired_trust(world))
        assert self.resumed(world) == Resumed(None, "observe")
        assert world.reconcile(a_cause("TagRole")).kind is OutcomeKind.REPAIRED

    def test_a_role_that_nothing_holds_back_is_left_as_it_is(self, world: World) -> None:
        world.create_role(EC2_STATEMENT)
        assert self.resumed(world) is None
        assert (mode(world), world.history.read_role_record(ROLE).version) == (None, 0)

    def test_a_role_that_is_off_is_left_as_it_is(self, world: World) -> None:
        world.create_role(EC2_STATEMENT, tags={**ENROLLED, MODE_TAG: " Off"})
        result = self.resumed(world)
        assert isinstance(result, NotResumed)
        assert "aws iam tag-role" in result.why
        assert mode(world) == " Off"

    def test_the_contest_of_a_predecessor_of_the_same_name_is_still_one_and_ended(self, world: World) -> None:
        conflict = self.contested(world)
        world.delete_role()
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        assert world.reconcile().kind is OutcomeKind.CONFLICT
        assert self.resumed(world) == Resumed(conflict, None)
        assert world.reconcile(a_cause("TagRole")).kind is OutcomeKind.REPAIRED
        assert world.trusts_ec2()

    def test_a_role_that_is_not_there_is_an_error(self, world: World) -> None:
        result = self.resumed(world)
        assert isinstance(result, NotResumed)
        assert "there is no role head-node" in result.why

    def test_somebody_else_who_writes_at_the_same_time_loses_nothing(self, world: World) -> None:
        self.contested(world)

        def meddle() -> None:
            role_record = world.history.read_role_record(ROLE)
            world.history.write_role_record(ROLE, replace(role_record, alerts=()))

        assert isinstance(
            self.resumed(world, history=world.disturbed_history(before_write_role_record=once(meddle))), Resumed
        )
        assert world.history.read_role_record(ROLE).conflict is None

    def test_a_tag_that_cannot_be_set_is_told_with_what_was_done(self, world: World) -> None:
        self.contested(world)
        result = self.resumed(world, roles=world.disturbed_roles(before_tag_role=DENIED))
        assert isinstance(result, NotResumed)
        assert "its conflict is ended, but the tag" in result.why
        assert "waits for the next sweep" in result.why
