"""Who may enrol a role."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from remediator.core.enrollment.approval import decide_approval, principal_of
from remediator.core.enrollment.decide import Refusal, Refused
from remediator.core.events.event import Actor, Cause
from remediator.core.history.role_record import Approval
from remediator.settings import PrincipalPattern
from tests.examples import ACCOUNT, EC2_STATEMENT, a_role

CREATED = datetime(2026, 3, 4, 9, 0, 0, tzinfo=UTC)
ROLE = replace(a_role(EC2_STATEMENT), created=CREATED)
APPROVERS = tuple(PrincipalPattern(f"arn:aws:iam::{ACCOUNT}:{name}") for name in ("role/platform/*", "root"))
ENROLLER = f"arn:aws:iam::{ACCOUNT}:role/platform/enroller"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/enroller/alice"
REMEMBERED = Approval("production", ENROLLER, "e-0", "2026-03-04T09:00:00Z")


def cause(
    actor: Actor | None = None,
    call: str = "TagRole",
    enrolls: str | None = "production",
    time: str = "2026-03-04T10:00:00Z",
) -> Cause:
    return Cause("e-1", call, time, actor or Actor("AssumedRole", SESSION, ENROLLER), enrolls=enrolls)


def decided(
    *causes: Cause, stored_record: Approval | None = None, cloud: str = "production"
) -> Approval | Refused | None:
    return decide_approval(ROLE, cloud, causes, stored_record, APPROVERS)


def test_without_approvers_no_approval_is_needed() -> None:
    assert decide_approval(ROLE, "production", (), None, ()) is None


@pytest.mark.parametrize("call", ["TagRole", "CreateRole"])
def test_a_call_by_an_approver_that_sets_the_tag_approves(call: str) -> None:
    assert decided(cause(call=call)) == Approval("production", ENROLLER, "e-1", "2026-03-04T10:00:00Z")


def test_root_can_be_an_approver() -> None:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    assert decided(cause(Actor("Root", root))) == Approval("production", root, "e-1", "2026-03-04T10:00:00Z")


@pytest.mark.parametrize(
    "one",
    [
        cause(Actor("AssumedRole", SESSION, f"arn:aws:iam::{ACCOUNT}:role/enroller")),
        cause(Actor("AssumedRole", ENROLLER)),
        cause(Actor("AssumedRole", ENROLLER, f"arn:aws:iam::{ACCOUNT}:role/other")),
        cause(Actor("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/platform/enroller")),
        cause(Actor("FederatedUser", ENROLLER)),
        cause(Actor("AWSService", "cloudformation.amazonaws.com")),
        cause(enrolls="research"),
        cause(enrolls=None),
        cause(enrolls="Production"),
        cause(call="UpdateAssumeRolePolicy"),
        cause(time="2026-03-04T08:59:59Z"),
    ],
)
def test_no_other_call_does(one: Cause) -> None:
    refused = decided(one)
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.NOT_APPROVED
    assert "role/platform/*" in refused.why


def test_within_the_second_of_the_creation_only_the_creation_itself_counts() -> None:
    created = replace(ROLE, created=CREATED.replace(microsecond=700_000))
    for call, approved in (("CreateRole", True), ("TagRole", False)):
        found = decide_approval(
            created, "production", (cause(call=call, time="2026-03-04T09:00:00Z"),), None, APPROVERS
        )
        assert isinstance(found, Approval) is approved


class TestTheEndOfAnApproval:
    UNTAGGED = cause(call="UntagRole", enrolls="", time="2026-03-04T11:00:00Z")
    MALLORY = cause(Actor("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/mallory"), time="2026-03-04T11:00:05Z")

    def test_it_ends_when_the_tag_is_taken_away_whoever_sets_it_again(self) -> None:
        assert isinstance(decided(self.UNTAGGED, self.MALLORY, stored_record=REMEMBERED), Refused)
        assert isinstance(decided(self.MALLORY, self.UNTAGGED, stored_record=REMEMBERED), Refused)

    def test_an_approver_gives_it_anew(self) -> None:
        assert isinstance(
            decided(self.UNTAGGED, cause(time="2026-03-04T11:00:05Z"), stored_record=REMEMBERED), Approval
        )

    def test_an_event_that_comes_late_ends_no_approval_that_was_given_since(self) -> None:
        given = replace(REMEMBERED, time="2026-03-04T12:00:00Z")
        assert decided(self.UNTAGGED, stored_record=given) == given

    def test_a_tag_that_is_taken_away_without_an_approval_gives_none(self) -> None:
        assert isinstance(decided(self.UNTAGGED), Refused)

    def test_emptying_the_tag_ends_nothing_because_the_approval_is_for_one_cloud(self) -> None:
        assert decided(replace(self.UNTAGGED, call="TagRole"), stored_record=REMEMBERED) == REMEMBERED

    def test_taking_another_tag_away_ends_nothing(self) -> None:
        assert decided(replace(self.UNTAGGED, enrolls=None), stored_record=REMEMBERED) == REMEMBERED


def test_a_role_whose_age_is_unknown_is_approved_by_no_call() -> None:
    ageless = replace(ROLE, created=None)
    assert isinstance(decide_approval(ageless, "production", (cause(),), None, APPROVERS), Refused)


def test_what_was_approved_stays_so_whatever_comes_for_the_same_cloud() -> None:
    mallory = cause(Actor("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/mallory"))
    assert decided(stored_record=REMEMBERED) == REMEMBERED
    assert decided(mallory, stored_record=REMEMBERED) == REMEMBERED


def test_another_cloud_needs_another_approval() -> None:
    mallory = cause(Actor("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/mallory"), enrolls="research")
    refused = decided(mallory, stored_record=REMEMBERED, cloud="research")
    assert isinstance(refused, Refused)
    assert "mallory" in refused.why


def test_of_several_calls_the_latest_of_an_approver_counts() -> None:
    mallory = Actor("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/mallory")
    later = replace(cause(), event_id="e-2")
    approval = decided(cause(), later, replace(cause(mallory), event_id="e-3"))
    assert isinstance(approval, Approval)
    assert approval.event_id == "e-2"


@pytest.mark.parametrize(
    ("actor", "principal"),
    [
        (Actor("AssumedRole", SESSION, ENROLLER), ENROLLER),
        (Actor("AssumedRole", SESSION), None),
        (Actor("IAMUser", "arn:u"), "arn:u"),
        (Actor("Root", "arn:r"), "arn:r"),
        (Actor("WebIdentityUser", "arn:w"), None),
        (Actor("Unknown", "unknown"), None),
    ],
)
def test_an_actor_stands_for_the_principal_that_can_be_relied_on(actor: Actor, principal: str | None) -> None:
    assert principal_of(actor) == principal
