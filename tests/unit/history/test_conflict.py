"""When a role is contested, by whom, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.core.events.actors import describe_actor, tool_of
from remediator.core.events.event import Actor, Cause
from remediator.core.events.sweep import sweep_cause
from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.history.conflict import apply_operator_override, counted, counted_since, detect_conflict
from remediator.core.history.role_record import Conflict, RoleRecord
from remediator.core.model.finding import Finding, FindingCode
from remediator.settings import ConflictLimit
from tests.examples import ACCOUNT, OWN_ROLE_ARN, a_cause
from tests.unit.history.changes import NOW, TRUST_MISSING, a_change

LIMIT = ConflictLimit(repairs=3, minutes=60, cool_down_minutes=1440)
GRANT_MISSING = Finding(FindingCode.GRANT_MISSING, "data")
GRANT_BLOCKED = Finding(FindingCode.GRANT_BLOCKED, "data")
CI = f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/apply"
TERRAFORM = Actor(
    "AssumedRole", CI, f"arn:aws:iam::{ACCOUNT}:role/ci", user_agent="APN/1.0 HashiCorp/1.0 Terraform/1.9.0 (+https)"
)
ROLE_ID = a_change().role_id
OWN = a_cause(issuer=OWN_ROLE_ARN, actor="ourselves")


def by_terraform(call: str = "UpdateAssumeRolePolicy", mode: str | None = None, after: int = 0) -> Cause:
    time = (NOW + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Cause(f"event-{after}", call, time, TERRAFORM, mode=mode)


def repairs(number: int, state: ChangeState = ChangeState.COMPLETED) -> list[Change]:
    return [a_change(sequence=n, state=state, causes=(by_terraform(after=n),)) for n in range(number)]


def conflict(recent: list[Change], *findings: Finding, causes: tuple[Cause, ...] = ()) -> Conflict | None:
    return detect_conflict(recent, findings, causes, limit=LIMIT, now=NOW, own_role_arn=OWN_ROLE_ARN)


def test_the_finding_that_comes_back_after_as_many_repairs_as_are_allowed_is_contested() -> None:
    assert conflict(repairs(2), TRUST_MISSING) is None
    begun = conflict(repairs(3), TRUST_MISSING)
    assert begun is not None
    assert begun.findings == (TRUST_MISSING,)
    assert begun.until == NOW + timedelta(minutes=1440)


def test_who_undoes_it_is_named_without_ourselves_and_the_sweep() -> None:
    causes = (a_cause(), OWN, sweep_cause("s", NOW))
    begun = conflict(repairs(3), TRUST_MISSING, causes=causes)
    assert begun is not None
    assert begun.actors == (f"Terraform, as {CI}", f"arn:aws:iam::{ACCOUNT}:user/alice".join(["the AWS CLI, as ", ""]))


def test_whoever_undid_a_repair_is_named_from_the_second_one_on() -> None:
    made = [
        a_change(sequence=n, state=ChangeState.COMPLETED, causes=(a_cause(actor=f"arn:aws:iam::{ACCOUNT}:user/{n}"),))
        for n in range(3)
    ]
    begun = conflict(made, TRUST_MISSING)
    assert begun is not None
    assert [each.rpartition("/")[2] for each in begun.actors] == ["1", "2"]


def test_a_repair_that_was_not_seen_counts_and_one_that_was_not_written_does_not() -> None:
    assert conflict(repairs(3, ChangeState.UNCONFIRMED), TRUST_MISSING) is not None
    for state in (ChangeState.NOT_WRITTEN, ChangeState.INTENDED, ChangeState.SUPERSEDED, ChangeState.UNKNOWN):
        assert conflict(repairs(3, state), TRUST_MISSING) is None


def test_only_repairs_of_the_same_finding_count_and_no_undoing_of_a_person() -> None:
    assert conflict(repairs(3), GRANT_MISSING) is None
    undone = [replace(change, kind=ChangeKind.UNDO) for change in repairs(3)]
    assert conflict(undone, TRUST_MISSING) is None


def test_what_is_taken_back_and_put_there_again_is_contested_too() -> None:
    leftover = Finding(FindingCode.GRANT_LEFTOVER, "bucket policy of data")
    removals = [replace(change, kind=ChangeKind.REMOVAL, findings=(leftover,)) for change in repairs(3)]
    assert conflict(removals, leftover) is not None


def test_what_no_write_repairs_is_not_contested() -> None:
    recent = [replace(change, findings=(GRANT_BLOCKED,)) for change in repairs(5)]
    assert conflict(recent, GRANT_BLOCKED) is None


def test_repairs_count_for_one_window_back_and_not_from_before_a_person_resumed_the_role() -> None:
    assert counted_since(RoleRecord(), LIMIT, NOW) == NOW - timedelta(minutes=60)
    lately = NOW - timedelta(minutes=5)
    assert counted_since(RoleRecord(counted_from=lately), LIMIT, NOW) == lately
    assert counted_since(RoleRecord(counted_from=NOW - timedelta(days=9)), LIMIT, NOW) == NOW - timedelta(minutes=60)


CONTEST = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ("Terraform",))
CONFLICT = RoleRecord(role_id=ROLE_ID, conflict=CONTEST)


class TestTheEndOfAContest:
    def test_a_person_ends_it_with_the_tag(self) -> None:
        later = NOW + timedelta(minutes=5)
        tagged = by_terraform("TagRole", mode=" Repair ", after=200)
        ended = apply_operator_override(CONFLICT, (tagged,), limit=LIMIT, now=later, own_role_arn=OWN_ROLE_ARN)
        assert ended == RoleRecord(role_id=ROLE_ID, counted_from=later)

    @pytest.mark.parametrize(
        "cause",
        [
            by_terraform("TagRole", mode="observe", after=200),
            by_terraform("TagRole", after=200),
            by_terraform("TagRole", mode="repair", after=-1),
            replace(OWN, mode="repair", time="2026-03-04T11:00:00Z"),
        ],
    )
    def test_nothing_else_does(self, cause: Cause) -> None:
        assert apply_operator_override(CONFLICT, (cause,), limit=LIMIT, now=NOW, own_role_arn=OWN_ROLE_ARN) == CONFLICT

    def test_those_who_undo_the_repairs_do_not_end_it_whatever_their_session_is_called(self) -> None:
        repeated = conflict(repairs(3), TRUST_MISSING)
        assert repeated is not None
        assert repeated.principals == (TERRAFORM.issuer_arn,)
        tagged = by_terraform("TagRole", mode="repair", after=200)
        tagged = replace(tagged, actor=replace(TERRAFORM, arn=f"{CI}-43"))
        role_record = RoleRecord(role_id=ROLE_ID, conflict=repeated)
        assert (
            apply_operator_override(role_record, (tagged,), limit=LIMIT, now=NOW, own_role_arn=OWN_ROLE_ARN)
            == role_record
        )

    def test_whoever_only_sets_the_tag_undoes_nothing(self) -> None:
        tagged = replace(a_cause("TagRole"), mode="repair")
        assert counted(CONTEST, (tagged,), own_role_arn=OWN_ROLE_ARN).principals == ()

    def test_a_tag_ends_one_contest_within_the_cool_down_and_not_the_next(self) -> None:
        tagged = by_terraform("TagRole", mode="repair", after=200)
        lately = replace(CONFLICT, counted_from=NOW - timedelta(hours=2))
        assert apply_operator_override(lately, (tagged,), limit=LIMIT, now=NOW, own_role_arn=OWN_ROLE_ARN) == lately
        long_ago = replace(CONFLICT, counted_from=NOW - timedelta(hours=25))
        assert (
            apply_operator_override(long_ago, (tagged,), limit=LIMIT, now=NOW, own_role_arn=OWN_ROLE_ARN).conflict
            is None
        )

    def test_it_cools_down(self) -> None:
        just_before = CONTEST.until - timedelta(seconds=1)
        assert (
            apply_operator_override(CONFLICT, (), limit=LIMIT, now=just_before, own_role_arn=OWN_ROLE_ARN) == CONFLICT
        )
        assert (
            apply_operator_override(CONFLICT, (), limit=LIMIT, now=CONTEST.until, own_role_arn=OWN_ROLE_ARN).conflict
            is None
        )

    def test_without_a_contest_there_is_none_to_end(self) -> None:
        role_record = RoleRecord(role_id=ROLE_ID)
        tagged = by_terraform("TagRole", mode="repair")
        assert (
            apply_operator_override(role_record, (tagged,), limit=LIMIT, now=NOW, own_role_arn=OWN_ROLE_ARN)
            is role_record
        )


def test_further_calls_are_counted_without_ourselves_and_the_sweep() -> None:
    further = counted(CONTEST, (by_terraform(), a_cause(), OWN, sweep_cause("s", NOW)), own_role_arn=OWN_ROLE_ARN)
    assert further.events == 2
    assert further.actors[0] == "Terraform"
    assert len(further.actors) == 3


def test_at_most_five_actors_are_named() -> None:
    causes = tuple(a_cause(actor=f"arn:aws:iam::{ACCOUNT}:user/{n}") for n in range(20))
    assert len(counted(CONTEST, causes, own_role_arn=OWN_ROLE_ARN).actors) == 5


@pytest.mark.parametrize(
    ("actor", "tool"),
    [
        (TERRAFORM, "Terraform"),
        (Actor("AssumedRole", "a", user_agent="APN/1.0 OpenTofu/1.8 (+https://opentofu.org)"), "OpenTofu"),
        (Actor("AssumedRole", "a", user_agent="APN/1.0 Pulumi/1.0 PulumiAws/6"), "Pulumi"),
        (Actor("IAMUser", "a", user_agent="aws-cli/2.31.5 md/awscrt"), "the AWS CLI"),
        (Actor("IAMUser", "a", user_agent="AWS Internal"), "the AWS console"),
        (Actor("IAMUser", "a", user_agent="Mozilla/5.0 (X11)"), "the AWS console"),
        (Actor("IAMUser", "a", user_agent="Boto3/1.44.5 md/Botocore"), "a script (boto3)"),
        (Actor("IAMUser", "a", user_agent="Boto3/1.44.5 md/Botocore remediator/0.9.0"), "the remediator CLI"),
        (Actor("AssumedRole", "a", user_agent="Boto3/1.44.5 anyscale-role-remediator/0.9.0"), "a script (boto3)"),
        (Actor("AssumedRole", "a", invoked_by="cloudformation.amazonaws.com"), "CloudFormation"),
        (Actor("AssumedRole", "a", invoked_by="athena.amazonaws.com"), "athena.amazonaws.com"),
        (Actor("IAMUser", "a", user_agent="curl/8"), None),
        (Actor("IAMUser", "a"), None),
    ],
)
def test_the_tool_is_told_by_the_user_agent_or_the_service(actor: Actor, tool: str | None) -> None:
    assert tool_of(actor) == tool
    assert describe_actor(actor) == (actor.arn if tool is None else f"{tool}, as {actor.arn}")


def test_a_service_that_acts_on_its_own_is_named_once() -> None:
    name = "cloudtrail.amazonaws.com"
    assert describe_actor(Actor("AWSService", name, invoked_by=name)) == name


@pytest.mark.parametrize("call", ["TagRole", "UntagRole"])
def test_whoever_only_tags_a_role_has_undone_nothing(call: str) -> None:
    repeated = counted(CONTEST, (a_cause(call),), own_role_arn=OWN_ROLE_ARN)
    assert (repeated.actors, repeated.principals) == (CONTEST.actors, CONTEST.principals)
