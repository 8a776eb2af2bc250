"""Removal back what is ours: all of it, nothing else, and never over what somebody else has changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from remediator.core.history.change import ChangeKind, ChangeState
from remediator.core.repair.removal import Removal
from remediator.errors import DeniedError, ThrottledError
from remediator.flows.remove_grants import FoundGrants, NotRemoved, Removed, find_grants, remove
from remediator.gateways.account import AccountScan
from remediator.settings import WriteLimit
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, a_cause, bucket_grant, settings
from tests.functional.faults import raising
from tests.functional.world import ROLE, World

TAG = "anyscale:cluster-role"
THEIRS = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "s3:GetObject"}
OWN_POLICY = "AnyscaleRemediatorS3Access"


def find(world: World, *names: str, history: bool = True) -> FoundGrants:
    scan = AccountScan(world.iam, TAG, also=lambda _arn, _tags: True)
    return find_grants(world.given(scan=scan), frozenset(names), has_history=history)


def take(world: World, taking: Removal, **overrides: Any) -> Removed | NotRemoved:
    history = overrides.get("history", world.history)
    given = {"history": history, **overrides} if history is not None else {**overrides, "history": world.history}
    sequence = given.pop("sequence", 0)
    cause = a_cause("RemoveGrants")
    return remove(taking, cause, world.given(**given), sequence=sequence, has_history=history is not None)


def take_all(world: World, *names: str) -> list[Removed | NotRemoved]:
    return [take(world, taking, sequence=number) for number, taking in enumerate(find(world, *names).removals)]


def left(world: World, *names: str) -> list[str]:
    return [each.what for each in find(world, *names).left]


@pytest.fixture
def repaired(world: World) -> World:
    """A role whose trust and grant were repaired, beside statements of somebody else's."""
    world.create_role(LAMBDA_STATEMENT)
    world.reconcile()
    return world


def test_what_a_repair_has_written_is_taken_back_and_recorded_and_there_is_nothing_more(repaired: World) -> None:
    assert repaired.trusts_ec2()
    results = take_all(repaired)
    assert all(isinstance(result, Removed) and not result.trouble for result in results)
    assert (repaired.trust(), repaired.inline()) == ([LAMBDA_STATEMENT], {})
    assert [(each.kind, each.state) for each in repaired.changes()[2:]] == [
        (ChangeKind.UNDO, ChangeState.COMPLETED),
        (ChangeKind.UNDO, ChangeState.COMPLETED),
    ]
    assert repaired.history.read_role_record(ROLE).open_changes == ()
    assert find(repaired) == FoundGrants((), (), ())


def test_what_others_put_into_our_policy_stays(repaired: World) -> None:
    ours = repaired.inline()[OWN_POLICY]["Statement"]
    repaired.grant(*ours, bucket_grant("theirs"), name=OWN_POLICY)
    take_all(repaired)
    assert repaired.inline()[OWN_POLICY]["Statement"] == [bucket_grant("theirs")]


def test_a_bucket_policy_loses_our_statement_alone_and_one_that_holds_nothing_else_is_deleted(world: World) -> None:
    world.settings = settings(grant="bucket-policy", instanceProfile="ignore")
    theirs = {**THEIRS, "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    world.put_bucket_policy(theirs)
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    assert world.named_in() == [ROLE]
    before = [each for each in world.bucket_policy()["Statement"] if each["Sid"] == "Theirs"]
    take_all(world)
    assert world.bucket_policy()["Statement"] == before
    world.s3.delete_bucket_policy(Bucket=BUCKET)
    world.reconcile()
    take_all(world)
    assert world.bucket_policy() is None


def test_of_some_roles_only_those_leave_the_statement_in_the_bucket_policy(world: World) -> None:
    world.settings = settings(grant="bucket-policy", instanceProfile="ignore")
    for name in (ROLE, "worker"):
        world.create_role(EC2_STATEMENT, name=name)
        world.reconcile(role=name)
    take_all(world, "worker")
    assert world.named_in() == [ROLE]
    assert find(world, "worker").removals == ()


def test_a_bucket_policy_that_names_only_deleted_roles_is_cleared_without_a_record(world: World) -> None:
    world.settings = settings(grant="bucket-policy", instanceProfile="ignore")
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.delete_role()
    (result,) = take_all(world)
    assert (result, world.bucket_policy()) == (Removed(None), None)


class TestIsLeftAndNamed:
    def test_a_trust_policy_that_holds_nothing_but_ours(self, repaired: World) -> None:
        ours = [each for each in repaired.trust() if each != LAMBDA_STATEMENT]
        self.trust(repaired, *ours)
        assert left(repaired) == [f"trust policy of {ROLE}"]
        assert [each.write.document.name for each in find(repaired).removals] == [OWN_POLICY]

    def test_a_statement_of_ours_that_somebody_has_changed(self, repaired: World) -> None:
        first, ours = repaired.trust()
        self.trust(repaired, first, {**ours, "Condition": {"Bool": {"aws:SecureTransport": "true"}}})
        assert left(repaired) == [f"trust policy of {ROLE}"]

    def test_a_statement_of_ours_that_was_turned_into_a_deny(self, repaired: World) -> None:
        ours = repaired.inline()[OWN_POLICY]["Statement"]
        repaired.grant(*({**each, "Effect": "Deny"} for each in ours), name=OWN_POLICY)
        assert left(repaired) == [f"inline policy {OWN_POLICY} of {ROLE}"]

    def test_an_instance_profile_of_ours_that_holds_a_role(self, world: World) -> None:
        world.settings = settings(instanceProfile="repair")
        world.create_role(LAMBDA_STATEMENT, profile=False)
        world.reconcile()
        assert left(world) == [f"instance profile {ROLE}"]
        take_all(world)
        assert world.profiles() == [ROLE]

    @staticmethod
    def trust(world: World, *statements: Any) -> None:
        world.iam.update_assume_role_policy(
            RoleName=ROLE, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements})
        )


def test_an_empty_instance_profile_goes_if_we_created_it_and_stays_if_not(world: World) -> None:
    world.settings = settings(instanceProfile="repair")
    world.create_role(LAMBDA_STATEMENT, profile=False)
    world.reconcile()
    world.iam.create_instance_profile(InstanceProfileName="theirs")
    world.iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    assert find(world, history=False).left == ()
    take_all(world)
    listed = world.iam.list_instance_profiles()["InstanceProfiles"]
    assert [profile["InstanceProfileName"] for profile in listed] == ["theirs"]


def test_an_empty_instance_profile_goes_also_when_its_role_is_gone(world: World) -> None:
    world.settings = settings(instanceProfile="repair")
    world.create_role(LAMBDA_STATEMENT, profile=False)
    world.reconcile()
    world.iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    world.delete_role()
    (result,) = take_all(world)
    assert isinstance(result, Removed)
    assert world.iam.list_instance_profiles()["InstanceProfiles"] == []


def test_an_instance_profile_that_was_there_before_us_stays_when_it_is_empty_again(world: World) -> None:
    world.settings = settings(instanceProfile="repair")
    world.create_role(LAMBDA_STATEMENT, profile=False)
    world.iam.create_instance_profile(InstanceProfileName=ROLE, Path="/anyscale/production/")
    world.reconcile()
    assert world.profiles() == [ROLE]
    world.iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    take_all(world)
    assert len(world.iam.list_instance_profiles()["InstanceProfiles"]) == 1


def test_a_role_that_nobody_repaired_has_nothing_of_ours(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    assert find(world) == FoundGrants((), (), ())


def test_a_name_that_no_role_has_is_told(repaired: World) -> None:
    assert find(repaired, "nobody", ROLE).unknown == ("nobody",)


def test_a_document_that_has_changed_since_it_was_shown_is_left(repaired: World) -> None:
    taking = find(repaired).removals[0]
    repaired.grant(bucket_grant("theirs"), name=OWN_POLICY)
    result = take(repaired, taking)
    assert isinstance(result, NotRemoved)
    assert "It has changed since it was shown" in result.why
    assert repaired.inline()[OWN_POLICY]["Statement"] == [bucket_grant("theirs")]
    assert repaired.changes()[-1].state is ChangeState.NOT_WRITTEN


def test_without_a_record_nothing_is_written(repaired: World) -> None:
    taking = find(repaired).removals[0]
    denied = DeniedError("dynamodb:UpdateItem", "AccessDeniedException", "not you")
    result = take(repaired, taking, history=repaired.disturbed_history(before_intend=raising(denied)))
    assert isinstance(result, NotRemoved)
    assert "nothing is written without a record" in result.why
    assert OWN_POLICY in repaired.inline()


def test_a_write_that_fails_is_told_and_recorded_as_such(repaired: World) -> None:
    taking = find(repaired).removals[0]
    failing = repaired.disturbed_roles(
        before_delete_inline_policy=raising(DeniedError("iam:DeleteRolePolicy", "x", "no"))
    )
    result = take(repaired, taking, roles=failing)
    assert isinstance(result, NotRemoved)
    assert "iam:DeleteRolePolicy failed with x: no" in result.why
    assert repaired.changes()[-1].state is ChangeState.NOT_WRITTEN


def test_a_document_that_cannot_be_looked_at_again_is_left(repaired: World) -> None:
    taking = find(repaired).removals[0]
    slow = repaired.disturbed_roles(
        before_read_inline_policy=raising(ThrottledError("iam:GetRolePolicy", "Throttling", "later"))
    )
    result = take(repaired, taking, roles=slow)
    assert isinstance(result, NotRemoved)
    assert OWN_POLICY in repaired.inline()


def test_the_limit_of_writes_does_not_hold_a_person_back(repaired: World) -> None:
    repaired.settings = replace(repaired.settings, write_limit=WriteLimit(1, 60))
    assert all(isinstance(result, Removed) for result in take_all(repaired))
