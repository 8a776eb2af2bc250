"""Each guard: nothing is written, and a person is told once why."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.events.event import Actor, Cause
from remediator.core.history.pause import parse_pause
from remediator.core.model.finding import FindingCode
from remediator.core.repair.outcome import Hold, OutcomeKind
from remediator.settings import PrincipalPattern, Settings
from tests.examples import (
    ACCOUNT,
    BUCKET,
    EC2_STATEMENT,
    ENROLLED,
    LAMBDA_STATEMENT,
    OUTSIDE,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.world import NOW, ROLE, World

ADMIN = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY_ALL = {"Effect": "Deny", "Action": "*", "Resource": "*"}
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/cluster-boundary"
APPROVER = f"arn:aws:iam::{ACCOUNT}:role/platform/enroller"


def state(world: World, name: str = ROLE) -> Any:
    return world.trust(name), world.inline(name), world.profiles(name), world.bucket_policy()


def managed(world: World, name: str, *statements: Mapping[str, object]) -> str:
    arn: str = world.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy(*statements)))["Policy"]["Arn"]
    return arn


def is_left_alone_and_told_once(world: World, kind: OutcomeKind, *causes: Cause) -> Any:
    """The role is broken; three looks change nothing, and make one alert, which is given."""
    before = state(world)
    for _ in range(3):
        outcome, _ = world.look(*causes)
        assert outcome.kind is kind
    assert state(world) == before
    assert world.changes() == []
    (alert,) = world.alerts()
    return alert


def not_the_pattern(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, path="/elsewhere/")


def of_no_cloud(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={"anyscale:cluster-role": "nowhere"})


def trusting(principal: Mapping[str, str], **more: object) -> Callable[[World], None]:
    def make(world: World) -> None:
        world.create_role({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})

    return make


def with_rights(*statements: Mapping[str, object]) -> Callable[[World], None]:
    def make(world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(*statements, name="rights")

    return make


def powerful_by_a_managed_policy(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=managed(world, "harmless-by-its-name", ADMIN))


def without_the_boundary(world: World) -> None:
    world.settings = settings(requiredBoundary=BOUNDARY)
    world.create_role(LAMBDA_STATEMENT)


PASS_TO_EC2 = {"Effect": "Allow", "Action": ["iam:PassRole", "ec2:RunInstances"], "Resource": "*"}
REFUSED: dict[str, Callable[[World], None]] = {
    "outside the patterns": not_the_pattern,
    "an unknown cloud": of_no_cloud,
    "an outside account": trusting({"AWS": f"arn:aws:iam::{OUTSIDE}:root"}),
    "an ExternalId": trusting(
        {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Condition={"StringEquals": {"sts:ExternalId": "cld_1"}}
    ),
    "a federation": trusting({"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/corp"}),
    "EKS Pod Identity": trusting({"Service": "pods.eks.amazonaws.com"}),
    "everything": with_rights(ADMIN),
    "everything in IAM": with_rights({"Effect": "Allow", "Action": "iam:*", "Resource": "*"}),
    "every role assumed": with_rights({"Effect": "Allow", "Action": "sts:*", "Resource": "*"}),
    "all but some of IAM": with_rights({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
    "every role passed to EC2": with_rights(PASS_TO_EC2),
    "a managed policy": powerful_by_a_managed_policy,
    "no boundary": without_the_boundary,
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_refused_role_is_left_alone_and_told_once(world: World, make: Callable[[World], None]) -> None:
    make(world)
    alert = is_left_alone_and_told_once(world, OutcomeKind.REFUSED)
    assert alert["outcome"] == "refused"
    assert alert["wrong"]


@pytest.mark.parametrize(
    "name",
    [
        "AnyscaleRemediator-ReconcilerRole0A1B2C3D-AbCdEfGhIjKl",
        "AnyscaleRemediatorForwarder-us-west-2-Role1ABCC5F0-ZyXwVuTsRqPo",
        "AnyscaleRemediatorForwar-Role1ABCC5F0-ZyXwVuTsRqPo",
    ],
)
def test_one_of_our_own_roles_is_refused_whatever_the_pattern_allows(world: World, name: str) -> None:
    world.settings = settings(roles=["Anyscale*"])
    world.create_role(LAMBDA_STATEMENT, name=name, path="/")
    assert [world.look(role=name)[1] for _ in range(3)] == [AlertReason.NEW, AlertReason.NONE, AlertReason.NONE]
    (alert,) = world.alerts()
    assert (alert["outcome"], alert["wrong"][0]) == (
        "refused",
        "The role is one of the remediator's own, which it never touches.",
    )
    assert world.trust(name) == [LAMBDA_STATEMENT]


def test_a_service_linked_role_is_left_alone_and_told_once(world: World) -> None:
    world.iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    name = "AWSServiceRoleForAutoScaling"
    world.iam.tag_role(RoleName=name, Tags=[{"Key": key, "Value": value} for key, value in ENROLLED.items()])
    before = world.trust(name)
    assert [world.look(role=name)[1] for _ in range(3)] == [AlertReason.NEW, AlertReason.NONE, AlertReason.NONE]
    assert world.trust(name) == before


def test_an_administrator_whom_a_boundary_bounds_is_repaired(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(ADMIN, name="rights")
    arn = managed(world, "bounds", bucket_grant(), {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"})
    world.iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=arn)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.trusts_ec2()


def test_a_role_with_the_required_boundary_is_repaired(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    arn = managed(world, "bounds", bucket_grant())
    world.iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=arn)
    world.settings = settings(requiredBoundary=arn)
    assert world.reconcile().kind is OutcomeKind.REPAIRED


class TestAQuarantine:
    def test_a_policy_that_denies_everything_is_respected(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(DENY_ALL, name="incident-4711")
        alert = is_left_alone_and_told_once(world, OutcomeKind.MANUAL_ACTION)
        assert FindingCode.QUARANTINED in [finding["code"] for finding in alert["findings"]]

    @pytest.mark.parametrize("name", ["AWSDenyAll", "AWSCompromisedKeyQuarantineV3"])
    def test_so_is_a_managed_one(self, world: World, name: str) -> None:
        world.create_role(LAMBDA_STATEMENT)
        denied = DENY_ALL if name == "AWSDenyAll" else {**DENY_ALL, "Action": "iam:*"}
        world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=managed(world, name, denied))
        alert = is_left_alone_and_told_once(world, OutcomeKind.MANUAL_ACTION)
        assert FindingCode.QUARANTINED in [finding["code"] for finding in alert["findings"]]

    def test_so_is_a_trust_policy_that_denies_everybody_the_role(self, world: World) -> None:
        world.create_role({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"})
        is_left_alone_and_told_once(world, OutcomeKind.MANUAL_ACTION)

    def test_the_tag_off_is_respected_and_told_to_nobody(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT, tags={**ENROLLED, "anyscale:remediation": "off"})
        before = state(world)
        assert world.look()[1] is AlertReason.NONE
        assert state(world) == before

    def test_when_it_is_lifted_the_role_is_repaired(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(DENY_ALL, name="incident-4711")
        world.look()
        world.iam.delete_role_policy(RoleName=ROLE, PolicyName="incident-4711")
        assert world.look()[0].kind is OutcomeKind.REPAIRED
        assert world.trusts_ec2()


def tagged_by(arn: str, *, issuer: str | None = None, kind: str = "IAMUser", call: str = "TagRole") -> Cause:
    actor = Actor("AssumedRole" if issuer else kind, arn, issuer)
    return replace(a_cause(call), actor=actor, enrolls="production", time=f"{NOW:%Y-%m-%dT%H:%M:%SZ}", event_id=arn)


def approved_settings() -> Settings:
    return replace(settings(), approvers=(PrincipalPattern(APPROVER),))


def created_before(world: World) -> None:
    """moto's roles are as old as the test; the events of this one come after that."""
    world.time = world.iam.get_role(RoleName=ROLE)["Role"]["CreateDate"] + timedelta(seconds=5)


@pytest.fixture
def approved(world: World) -> World:
    """An account in which only the approver may enrol roles, with a broken role that carries the tag."""
    world.settings = approved_settings()
    world.create_role(LAMBDA_STATEMENT)
    created_before(world)
    return world


class TestApproval:
    def by_approver(self, world: World, call: str = "TagRole") -> Cause:
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/enroller/alice"
        return replace(tagged_by(session, issuer=APPROVER, call=call), time=world.time.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def test_a_tag_that_somebody_else_set_waits_and_is_told_once(self, approved: World) -> None:
        somebody = replace(
            tagged_by(f"arn:aws:iam::{ACCOUNT}:user/mallory"), time=approved.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        alert = is_left_alone_and_told_once(approved, OutcomeKind.REFUSED, somebody)
        assert "mallory" in json.dumps(alert["wrong"])

    @pytest.mark.parametrize("call", ["TagRole", "CreateRole"])
    def test_an_approver_enrols_it_for_good(self, approved: World, call: str) -> None:
        assert approved.look(self.by_approver(approved, call))[0].kind is OutcomeKind.REPAIRED
        approved.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))
        assert approved.look(a_cause())[0].kind is OutcomeKind.REPAIRED
        role_record = approved.history.read_role_record(ROLE)
        assert role_record.approval is not None
        assert role_record.approval.by == APPROVER

    def test_another_call_of_an_approver_approves_nothing(self, approved: World) -> None:
        other = replace(self.by_approver(approved), call="UpdateAssumeRolePolicy", enrolls=None)
        assert approved.look(other)[0].kind is OutcomeKind.REFUSED

    def test_the_name_of_a_session_counts_for_nothing(self, approved: World) -> None:
        forged = tagged_by(
            f"arn:aws:sts::{ACCOUNT}:assumed-role/mallory/enroller", issuer=f"arn:aws:iam::{ACCOUNT}:role/mallory"
        )
        assert approved.look(forged)[0].kind is OutcomeKind.REFUSED

    def test_a_role_that_is_created_anew_must_be_approved_anew(self, approved: World) -> None:
        approved.look(self.by_approver(approved))
        approved.delete_role()
        approved.create_role(LAMBDA_STATEMENT)
        assert approved.look(a_cause())[0].kind is OutcomeKind.REFUSED
        assert not approved.trusts_ec2()

    def test_taking_the_tag_away_takes_the_approval_with_it(self, approved: World) -> None:
        approved.look(self.by_approver(approved))
        tag = {"Key": "anyscale:cluster-role", "Value": "production"}
        approved.iam.untag_role(RoleName=ROLE, TagKeys=[tag["Key"]])
        approved.time += timedelta(minutes=10)
        assert approved.look(a_cause())[0].kind is OutcomeKind.NOT_ENROLLED
        approved.iam.tag_role(RoleName=ROLE, Tags=[tag])
        assert approved.look(a_cause())[0].kind is OutcomeKind.REFUSED

    def test_an_approval_is_for_one_cloud(self, approved: World) -> None:
        approved.look(self.by_approver(approved))
        both = replace(approved.settings.clouds[0], name="research")
        approved.settings = replace(approved.settings, clouds=(*approved.settings.clouds, both))
        approved.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:cluster-role", "Value": "research"}])
        assert approved.look(a_cause())[0].kind is OutcomeKind.REFUSED

    def test_without_approvers_everybodys_tag_enrols(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        assert world.look(tagged_by("anybody"))[0].kind is OutcomeKind.REPAIRED


class TestThePause:
    @pytest.mark.parametrize("value", ["paused", "paused: production", "Paused", "what?"])
    def test_nothing_is_written_and_it_is_told_once_with_the_reason(self, world: World, value: str) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.paused = parse_pause(value)
        alert = is_left_alone_and_told_once(world, OutcomeKind.WOULD_REPAIR)
        assert "paused" in alert["headline"]
        assert any("paused" in why for why in alert["wrong"])
        assert [change["state"] for change in alert["changes"]] == ["proposed", "proposed"]

    def test_another_cloud_goes_on(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.paused = parse_pause("paused: staging")
        assert world.look()[0].kind is OutcomeKind.REPAIRED

    def test_when_it_is_over_the_role_is_repaired(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.paused = parse_pause("paused")
        assert world.look()[0].hold is Hold.PAUSED
        world.paused = parse_pause("running")
        assert world.look()[0].kind is OutcomeKind.REPAIRED
        assert world.trusts_ec2()


def test_a_clean_role_is_clean_whatever_is_paused(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant(BUCKET))
    world.paused = parse_pause("paused")
    outcome, reason = world.look()
    assert (outcome.kind, outcome.hold, reason) == (OutcomeKind.CLEAN, None, AlertReason.NONE)
