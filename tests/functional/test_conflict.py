"""Somebody keeps undoing our repairs: we stop, say who it is, and go on when a person says so."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.events.event import Actor, Cause
from remediator.core.events.sweep import sweep_cause
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.repair.outcome import OutcomeKind
from tests.examples import (
    ACCOUNT,
    EC2_STATEMENT,
    LAMBDA_STATEMENT,
    OWN_ROLE_ARN,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.world import ROLE, World

CI = f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/apply"
TERRAFORM = Actor("AssumedRole", CI, f"arn:aws:iam::{ACCOUNT}:role/ci", user_agent="HashiCorp/1.0 Terraform/1.14.2")


def by_terraform(world: World, call: str = "UpdateAssumeRolePolicy") -> Cause:
    world.time += timedelta(minutes=1)
    return Cause(f"e-{world.time.isoformat()}", call, world.time.strftime("%Y-%m-%dT%H:%M:%SZ"), TERRAFORM)


def apply(world: World) -> Cause:
    """A Terraform run puts its own trust policy back."""
    world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))
    return by_terraform(world)


@pytest.fixture
def contested(world: World) -> World:
    """An account in which a Terraform run has undone three repairs of a role and now does it again."""
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    for _ in range(3):
        assert world.look(apply(world))[0].kind is OutcomeKind.REPAIRED
    assert len(world.alerts()) == 3
    outcome, reason = world.look(apply(world))
    assert (outcome.kind, reason) == (OutcomeKind.CONFLICT, AlertReason.NEW)
    return world


def test_after_three_repairs_nothing_more_is_written_and_one_alert_says_who_does_it(contested: World) -> None:
    (alert,) = contested.alerts()
    assert alert["outcome"] == "contested"
    assert "Terraform" in json.dumps(alert["toDo"])
    assert CI in json.dumps(alert["toDo"])
    assert "ec2.amazonaws.com" in alert["permanent"]["terraform"]
    assert alert["resume"] == f"remediator resume {ROLE}"
    assert [change["state"] for change in alert["changes"]] == ["proposed"]


def test_an_adversary_that_never_ends_is_counted_and_not_told(contested: World) -> None:
    contested.alerts()
    for _ in range(100):
        outcome, reason = contested.look(apply(contested))
        assert (outcome.kind, reason) == (OutcomeKind.CONFLICT, AlertReason.NONE)
        assert "UpdateAssumeRolePolicy" not in contested.writes
    assert len(contested.changes()) == 3
    assert contested.alerts() == []
    role_record = contested.history.read_role_record(ROLE)
    assert role_record.conflict is not None
    assert role_record.conflict.events == 100


def test_a_contested_role_is_reminded_of_daily_until_it_cools_down_and_is_tried_anew(contested: World) -> None:
    contested.alerts()
    contested.time += timedelta(hours=23, minutes=30)
    assert contested.look(sweep_cause("s", contested.time))[1] is AlertReason.REMINDER
    contested.time += timedelta(hours=1)
    assert contested.look(sweep_cause("s", contested.time))[0].kind is OutcomeKind.REPAIRED
    assert contested.trusts_ec2()


def test_a_person_resumes_it_with_the_tag(contested: World) -> None:
    contested.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:remediation", "Value": "repair"}])
    tagged = replace(by_terraform(contested, "TagRole"), actor=a_cause().actor, mode="repair")
    assert contested.look(tagged)[0].kind is OutcomeKind.REPAIRED
    assert contested.trusts_ec2()
    assert contested.look(apply(contested))[0].kind is OutcomeKind.REPAIRED


def test_it_is_over_when_the_role_is_in_order_and_that_is_told(contested: World) -> None:
    contested.alerts()
    theirs = json.dumps(policy(LAMBDA_STATEMENT, EC2_STATEMENT))
    contested.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=theirs)
    outcome, reason = contested.look(by_terraform(contested))
    assert (outcome.kind, reason) == (OutcomeKind.CLEAN, AlertReason.RESOLVED)
    (alert,) = contested.alerts()
    assert (alert["outcome"], alert["news"]) == ("clean", "resolved")
    assert contested.history.read_role_record(ROLE).conflict is None


def test_another_finding_on_the_same_role_is_left_alone_as_well(contested: World) -> None:
    contested.iam.delete_role_policy(RoleName=ROLE, PolicyName="granted")
    assert contested.look(by_terraform(contested, "DeleteRolePolicy"))[0].kind is OutcomeKind.CONFLICT
    assert contested.inline() == {}


def test_repairs_that_lie_further_apart_are_no_tug_of_war(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    for _ in range(8):
        world.time += timedelta(minutes=25)
        assert world.look(apply(world))[0].kind is OutcomeKind.REPAIRED


def test_creating_a_contested_role_anew_begins_no_new_fight(contested: World) -> None:
    contested.delete_role()
    contested.create_role(LAMBDA_STATEMENT)
    assert contested.look(by_terraform(contested, "CreateRole"))[0].kind is OutcomeKind.CONFLICT
    assert not contested.trusts_ec2()


def test_a_role_that_is_created_anew_each_time_is_contested_as_well(world: World) -> None:
    kinds = []
    for _ in range(8):
        world.create_role(LAMBDA_STATEMENT)
        kinds.append(world.look(by_terraform(world, "CreateRole"))[0].kind)
        world.delete_role()
    assert kinds == [OutcomeKind.REPAIRED] * 3 + [OutcomeKind.CONFLICT] * 5


def test_the_tag_of_those_who_undo_the_repairs_resumes_nothing(contested: World) -> None:
    contested.alerts()
    for _ in range(20):
        tagged = replace(by_terraform(contested, "TagRole"), mode="repair")
        assert contested.look(apply(contested), tagged)[0].kind is OutcomeKind.CONFLICT
    assert len(contested.changes()) == 3
    assert contested.alerts() == []


def test_taking_the_enrollment_tag_away_and_setting_it_again_resumes_nothing(contested: World) -> None:
    tag = {"Key": "anyscale:cluster-role", "Value": "production"}
    contested.iam.untag_role(RoleName=ROLE, TagKeys=[tag["Key"]])
    assert contested.look(by_terraform(contested, "UntagRole"))[0].kind is OutcomeKind.NOT_ENROLLED
    contested.iam.tag_role(RoleName=ROLE, Tags=[tag])
    contested.time += timedelta(minutes=3)
    assert contested.look(by_terraform(contested, "TagRole"))[0].kind is OutcomeKind.CONFLICT
    assert len(contested.changes()) == 3


def test_somebody_who_undoes_it_at_once_ends_up_contested_too(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    undo = json.dumps(policy(LAMBDA_STATEMENT))
    world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=undo)
    at_once = world.disturbed_roles(
        after_write_trust=lambda: world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=undo)
    )
    kinds = [world.look(by_terraform(world), roles=at_once)[0].kind for _ in range(10)]
    assert kinds[:3] == [OutcomeKind.FAILED] * 3
    assert set(kinds[3:]) == {OutcomeKind.CONFLICT}


def test_what_is_ours_on_the_former_side_is_not_taken_back_for_ever(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    ours = json.dumps(world.inline()[OWN_POLICY_NAME])
    world.settings = settings(grant="bucket-policy", formerGrant="role-policy")
    kinds = []
    for _ in range(6):
        world.iam.put_role_policy(RoleName=ROLE, PolicyName=OWN_POLICY_NAME, PolicyDocument=ours)
        kinds.append(world.look(by_terraform(world, "PutRolePolicy"))[0].kind)
    assert kinds == [OutcomeKind.REPAIRED] * 3 + [OutcomeKind.CONFLICT] * 3


def test_our_own_events_count_for_nothing(contested: World) -> None:
    own = a_cause(actor="ourselves", issuer=OWN_ROLE_ARN)
    contested.look(own)
    role_record = contested.history.read_role_record(ROLE)
    assert role_record.conflict is not None
    assert role_record.conflict.events == 0


def test_a_tag_that_flaps_a_thousand_times_leads_to_few_alerts_and_no_write(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, path="/elsewhere/")
    start: datetime = world.time
    told = []
    for number in range(1000):
        world.time = start + timedelta(seconds=10 * number)
        value = "production" if number % 2 else f"cloud-{number}"
        world.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:cluster-role", "Value": value}])
        told.append(world.look(by_terraform(world, "TagRole"))[1])
    assert len([reason for reason in told if reason is not AlertReason.NONE]) <= 12
    assert world.changes() == []
