"""Reconciling a role: what the account looks like afterwards, and what was said of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.enrollment.decide import Refusal
from remediator.core.events.event import Actor, Cause
from remediator.core.history.change import ChangeState
from remediator.core.model.bucket import Bucket
from remediator.core.model.finding import FindingCode
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.outcome import OutcomeKind, Unconfirmed
from remediator.errors import (
    ChangedMeanwhile,
    DeniedError,
    NotYetVisible,
    QuotaError,
    RejectedError,
    ThrottledError,
    TransientError,
)
from remediator.gateways.iam import IamGateway
from remediator.gateways.s3 import S3Gateway
from tests.examples import (
    ACCOUNT,
    BUCKET,
    EC2_STATEMENT,
    ENROLLED,
    LAMBDA_STATEMENT,
    OUTSIDE,
    OWN_ROLE_ARN,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.faults import once, raising, throttled
from tests.functional.world import NOW, ROLE, World

LATER = NOW + timedelta(hours=1)

DENY_BUCKET = {
    "Sid": "Freeze",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
}


def codes(findings: Any) -> list[FindingCode]:
    return [finding.code for finding in findings]


def test_a_role_without_trust_and_grant_gets_both_and_the_second_time_nothing_is_written(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.trusts_ec2()
    assert world.trust()[0] == LAMBDA_STATEMENT
    assert list(world.inline()) == [OWN_POLICY_NAME]
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert world.writes == []


def test_a_healthy_role_is_left_alone(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    before = world.trust(), world.inline()
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert world.writes == []
    assert (world.trust(), world.inline()) == before


def test_no_read_is_made_twice_in_one_clean_reconcile(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    world.reconcile()
    assert sorted(world.calls) == [
        "GetBucketEncryption",
        "GetBucketPolicy",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListInstanceProfilesForRole",
        "ListRolePolicies",
    ]


def test_only_the_broken_part_is_written(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.writes == ["UpdateAssumeRolePolicy"]
    assert list(world.inline()) == ["granted"]


def test_a_grant_through_the_bucket_policy_counts(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    arn = world.iam.get_role(RoleName=ROLE)["Role"]["Arn"]
    statement = {**bucket_grant(), "Principal": {"AWS": arn}}
    world.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(statement)))
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert world.writes == []


def test_a_grant_through_a_managed_policy_counts_until_it_is_detached(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    arn = world.iam.create_policy(PolicyName="bucket-access", PolicyDocument=json.dumps(policy(bucket_grant())))
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn["Policy"]["Arn"])
    assert world.reconcile().kind is OutcomeKind.CLEAN
    world.iam.detach_role_policy(RoleName=ROLE, PolicyArn=arn["Policy"]["Arn"])
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert list(world.inline()) == [OWN_POLICY_NAME]


def test_a_version_of_a_managed_policy_is_read_once_but_its_default_version_each_time(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    arn = world.iam.create_policy(PolicyName="bucket-access", PolicyDocument=json.dumps(policy(bucket_grant())))[
        "Policy"
    ]["Arn"]
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)
    world.reconcile()
    assert "GetPolicyVersion" in world.calls
    world.reconcile()
    assert "GetPolicyVersion" not in world.calls
    nothing = policy(bucket_grant("some-other-bucket"))
    world.iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(nothing), SetAsDefault=True)
    assert codes(world.reconcile().findings) == [FindingCode.GRANT_MISSING]


def granted_two_buckets(world: World) -> list[str]:
    """A cloud of two buckets, whose role has been granted both; their names."""
    names = ["anyscale-production-data", "anyscale-production-logs"]
    world.s3.create_bucket(Bucket=names[1])
    world.settings = settings(buckets=[{"name": name, "region": "us-east-1"} for name in names])
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    return names


def test_our_policy_names_exactly_the_buckets_of_the_cloud(world: World) -> None:
    names = granted_two_buckets(world)
    resources = {r for s in world.inline()[OWN_POLICY_NAME]["Statement"] for r in s["Resource"]}
    assert resources == {f"arn:aws:s3:::{name}{suffix}" for name in names for suffix in ("", "/*")}


def test_what_somebody_changed_in_our_statements_is_restored_and_what_they_added_beside_them_stays(
    world: World,
) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    good = world.inline()[OWN_POLICY_NAME]
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    widened = [{**statement, "Action": "s3:*"} for statement in good["Statement"]]
    world.grant(*widened, theirs, name=OWN_POLICY_NAME)
    outcome = world.reconcile()
    assert codes(outcome.findings) == [FindingCode.GRANT_ALTERED]
    assert world.inline()[OWN_POLICY_NAME]["Statement"] == [*good["Statement"], theirs]
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_an_explicit_deny_of_the_bucket_is_told_and_nothing_is_written(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(DENY_BUCKET)))
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome.findings) == [FindingCode.GRANT_BLOCKED]
    assert "Freeze" in " ".join(outcome.findings[0].because)
    assert world.writes == []


@pytest.mark.parametrize(
    "condition", [{"StringEquals": {"aws:SourceVpce": "vpce-0abc"}}, {"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}]
)
def test_a_grant_that_is_limited_to_an_endpoint_is_told_and_no_unlimited_one_is_added(
    world: World, condition: dict[str, Any]
) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant({**bucket_grant(), "Condition": condition})
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome.findings) == [FindingCode.GRANT_UNDECIDED]
    assert next(iter(condition.values())).keys() <= set(re.findall(r"aws:\w+", " ".join(outcome.findings[0].because)))
    assert world.writes == []


def test_a_bucket_that_left_the_configuration_is_said_to_be_why_our_policy_is_written(world: World) -> None:
    names = granted_two_buckets(world)
    world.settings = settings(buckets=[{"name": names[0], "region": "us-east-1"}])
    (finding,) = world.reconcile().findings
    assert finding.code is FindingCode.GRANT_ALTERED
    assert finding.because[0].endswith(f"grants {names[1]}, which is not of the role's cloud")


def test_a_blocked_bucket_does_not_keep_the_trust_from_being_repaired(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(DENY_BUCKET)))
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert world.trusts_ec2()
    assert world.writes == ["UpdateAssumeRolePolicy"]


def test_a_blocked_bucket_does_not_keep_another_bucket_from_being_granted(world: World) -> None:
    other = "anyscale-production-logs"
    world.s3.create_bucket(Bucket=other)
    world.settings = settings(buckets=[{"name": name, "region": "us-east-1"} for name in (BUCKET, other)])
    world.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(DENY_BUCKET)))
    world.create_role(EC2_STATEMENT)
    assert world.reconcile().kind is OutcomeKind.MANUAL_ACTION
    assert BUCKET not in json.dumps(world.inline()[OWN_POLICY_NAME])
    assert other in json.dumps(world.inline()[OWN_POLICY_NAME])


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}}, FindingCode.TRUST_CONDITIONAL),
    ],
)
def test_a_condition_on_the_trust_is_left_to_a_person(
    world: World, condition: dict[str, Any], code: FindingCode
) -> None:
    world.create_role({**EC2_STATEMENT, "Condition": condition})
    world.grant(bucket_grant())
    outcome = world.reconcile()
    assert codes(outcome.findings) == [code]
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert world.writes == []


def test_a_missing_bucket_is_told_and_nothing_is_granted_on_its_name(world: World) -> None:
    world.settings = settings(buckets=[{"name": "anyscale-gone", "region": "us-east-1"}])
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile()
    assert codes(outcome.findings) == [FindingCode.BUCKET_ABSENT]
    assert world.writes == []


def test_observe_mode_says_what_would_be_written_and_writes_nothing(world: World) -> None:
    world.settings = settings(mode="observe")
    world.create_role(LAMBDA_STATEMENT)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.WOULD_REPAIR
    assert len(outcome.proposed) == 2
    assert world.writes == []
    assert not world.trusts_ec2()


def test_a_role_that_is_not_enrolled_is_left_alone(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    assert world.reconcile().kind is OutcomeKind.NOT_ENROLLED
    assert world.writes == []


def test_a_role_that_is_off_is_left_alone(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={**ENROLLED, "anyscale:remediation": "off"})
    assert world.reconcile().kind is OutcomeKind.OFF
    assert world.writes == []


def test_a_role_that_does_not_exist_is_no_error(world: World) -> None:
    outcome = world.reconcile(role="never-was")
    assert outcome.kind is OutcomeKind.NOT_ENROLLED
    assert world.deliver(outcome) is AlertReason.NONE


@pytest.mark.parametrize(
    ("path", "tags", "trust"),
    [
        ("/", ENROLLED, LAMBDA_STATEMENT),
        ("/anyscale/production/", {"anyscale:cluster-role": "nowhere"}, LAMBDA_STATEMENT),
        (
            "/anyscale/production/",
            ENROLLED,
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OUTSIDE}:root"}, "Action": "sts:AssumeRole"},
        ),
    ],
)
def test_a_refused_role_is_told_and_left_alone(world: World, path: str, tags: Any, trust: Any) -> None:
    world.create_role(trust, path=path, tags=tags)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REFUSED
    assert world.writes == []
    assert world.deliver(outcome) is AlertReason.NEW


def test_our_own_event_never_leads_to_a_write_and_is_told_to_nobody(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    own = a_cause(actor=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y", issuer=OWN_ROLE_ARN)
    outcome = world.reconcile(own)
    assert world.writes == []
    assert world.deliver(outcome) is AlertReason.NONE
    assert not world.trusts_ec2()


def test_somebody_elses_event_among_our_own_is_answered(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    own = a_cause(actor=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y", issuer=OWN_ROLE_ARN)
    assert world.reconcile(own, a_cause()).kind is OutcomeKind.REPAIRED
    assert world.trusts_ec2()


def test_a_user_who_names_themselves_like_our_role_is_not_taken_for_us(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    actor = Actor(kind="IAMUser", arn=OWN_ROLE_ARN, user_agent="anyscale-role-remediator/0.1.0")
    assert world.reconcile(Cause("e", "TagRole", "2026-03-04T10:00:00Z", actor)).kind is OutcomeKind.REPAIRED


def test_an_edit_between_the_look_and_the_write_is_not_lost(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    theirs = {**LAMBDA_STATEMENT, "Sid": "Glue", "Principal": {"Service": "glue.amazonaws.com"}}
    edit = json.dumps(policy(LAMBDA_STATEMENT, theirs))
    roles = world.disturbed_roles(
        before_read_role_2=lambda: world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=edit),
    )
    assert world.reconcile(roles=roles).kind is OutcomeKind.REPAIRED
    assert world.trust()[:2] == [LAMBDA_STATEMENT, theirs]
    assert world.trusts_ec2()


def test_a_tag_removed_between_the_look_and_the_write_stops_the_write(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    roles = world.disturbed_roles(
        before_read_role_2=lambda: world.iam.untag_role(RoleName=ROLE, TagKeys=["anyscale:cluster-role"]),
    )
    assert world.reconcile(roles=roles).kind is OutcomeKind.NOT_ENROLLED
    assert world.trust() == [LAMBDA_STATEMENT]


def test_a_role_recreated_between_the_look_and_the_write_is_looked_at_anew(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())

    def recreate() -> None:
        world.delete_role()
        world.create_role(LAMBDA_STATEMENT)

    outcome = world.reconcile(roles=world.disturbed_roles(before_read_role_2=recreate))
    assert codes(outcome.findings) == [FindingCode.TRUST_MISSING, FindingCode.GRANT_MISSING]
    assert world.trusts_ec2()
    assert list(world.inline()) == [OWN_POLICY_NAME]


def test_a_role_that_changes_all_the_time_goes_back_to_the_queue_unwritten(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    counter = iter(range(100))

    def flap() -> None:
        statement = {**LAMBDA_STATEMENT, "Sid": f"Flap{next(counter)}"}
        world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(statement)))

    roles = world.disturbed_roles(**{f"before_read_role_{n}": flap for n in range(1, 10)})
    with pytest.raises(ChangedMeanwhile):
        world.reconcile(roles=roles)
    assert not world.trusts_ec2()


def test_a_policy_deleted_while_policies_are_read_is_looked_at_anew(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    delete = once(lambda: world.iam.delete_role_policy(RoleName=ROLE, PolicyName="granted"))
    outcome = world.reconcile(roles=world.disturbed_roles(before_read_inline_policy=delete))
    assert outcome.kind is OutcomeKind.REPAIRED
    assert list(world.inline()) == [OWN_POLICY_NAME]


def test_a_first_write_is_still_told_when_the_role_is_unenrolled_before_the_second(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)

    roles = changed_after_the_first_write(
        world, lambda: world.iam.untag_role(RoleName=ROLE, TagKeys=["anyscale:cluster-role"])
    )
    outcome, reason = world.look(roles=roles)
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome.findings) == [FindingCode.TRUST_MISSING]
    assert "does not carry the tag" in outcome.why
    (alert,) = world.alerts()
    assert reason is AlertReason.NEW
    assert alert["subject"] == "Repaired, no longer managed: head-node (production)"
    assert alert["headline"].startswith("EC2 trust was removed by user/alice")
    assert "The role is no longer managed: the role does not carry the tag" in alert["headline"]


REFUSED_HALF_WAY: dict[str, tuple[Callable[[World], object], Refusal]] = {
    "it is privileged": (
        lambda world: world.grant({"Effect": "Allow", "Action": "*", "Resource": "*"}, name="rights"),
        Refusal.POWERFUL,
    ),
    "it names an unknown cloud": (
        lambda world: world.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:cluster-role", "Value": "nowhere"}]),
        Refusal.UNKNOWN_CLOUD,
    ),
}


@pytest.mark.parametrize(("change", "refusal"), REFUSED_HALF_WAY.values(), ids=REFUSED_HALF_WAY)
def test_a_role_that_is_refused_after_a_first_write_is_told_as_refused_with_what_was_written(
    world: World, change: Callable[[World], object], refusal: Refusal
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    outcome, reason = world.look(roles=changed_after_the_first_write(world, lambda: change(world)))
    assert (outcome.kind, outcome.refusal, reason) == (OutcomeKind.REFUSED, refusal, AlertReason.NEW)
    assert codes(outcome.findings) == [FindingCode.TRUST_MISSING]
    written, not_written = world.changes()
    assert (written.state, not_written.state) == (ChangeState.COMPLETED, ChangeState.NOT_WRITTEN)
    (alert,) = world.alerts()
    assert alert["subject"].startswith("ACTION REQUIRED: head-node was refused after a repair (")
    assert "What was written before that is below." in alert["headline"]
    assert [(each["changeId"], each["state"]) for each in alert["changes"]] == [(written.change_id, "applied")]
    assert alert["undo"] == [f"remediator undo {written.change_id}"]


def test_a_role_that_becomes_privileged_after_a_repair_is_reported_with_the_repair_that_is_still_on_it(
    world: World,
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.look()
    (trust, _) = world.changes()
    REFUSED_HALF_WAY["it is privileged"][0](world)
    outcome, _ = world.look()
    assert outcome.kind is OutcomeKind.REFUSED
    alert = world.alerts()[-1]
    assert alert["severity"] == "error"
    assert "AnyscaleRemediatorEC2Trust" in alert["toDo"][0]
    assert alert["undo"] == [f"remediator undo {trust.change_id}"]
    assert "AnyscaleRemediatorEC2Trust" in json.dumps(alert["changes"][0]["after"])


def test_a_role_that_cannot_be_read_after_a_first_write_is_looked_at_again(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    roles = changed_after_the_first_write(world, lambda: setattr(roles, "read_role", lambda _: Unreadable("denied")))
    outcome = world.reconcile(roles=roles)
    assert (outcome.kind, outcome.to_be_retried) == (OutcomeKind.FAILED, True)
    assert codes(outcome.findings) == [FindingCode.TRUST_MISSING]
    assert world.reconcile().kind is OutcomeKind.REPAIRED


def changed_after_the_first_write(world: World, change: Callable[[], object]) -> IamGateway:
    """IAM, in which the role and the policy that is about to be written change once the trust policy was repaired."""

    def meddle() -> None:
        if world.trusts_ec2():
            change()
            world.grant(bucket_grant("elsewhere"), name=OWN_POLICY_NAME)

    return world.disturbed_roles(before_read_inline_policy=meddle)


@pytest.mark.parametrize(
    "error",
    [
        QuotaError("iam:UpdateAssumeRolePolicy", "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"),
        RejectedError("iam:UpdateAssumeRolePolicy", "MalformedPolicyDocument", "Invalid principal in policy"),
        DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "not authorized"),
    ],
)
def test_a_write_that_aws_refuses_is_told_as_failed_with_its_reason(world: World, error: Exception) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    outcome = world.reconcile(roles=world.disturbed_roles(before_write_trust=raising(error)), now=LATER)
    assert outcome.kind is OutcomeKind.FAILED
    assert not outcome.to_be_retried
    assert str(error) in outcome.results[0].why  # type: ignore[union-attr]  # a failed outcome's result has a reason
    assert world.trust() == [LAMBDA_STATEMENT]


def test_a_throttled_write_goes_back_to_the_queue(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    error = ThrottledError("iam:UpdateAssumeRolePolicy", "Throttling", "Rate exceeded")
    with pytest.raises(TransientError):
        world.reconcile(roles=world.disturbed_roles(before_write_trust=raising(error)))


def test_one_throttled_write_does_not_hide_the_other_that_went_through(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    error = ThrottledError("iam:PutRolePolicy", "Throttling", "Rate exceeded")
    outcome = world.reconcile(roles=world.disturbed_roles(before_write_inline_policy=raising(error)))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.to_be_retried
    assert len(outcome.applied) == 1
    assert world.trusts_ec2()


def test_a_write_undone_before_it_was_read_back_is_told_as_not_seen_and_looked_at_again(
    world: World,
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    undo = json.dumps(policy(LAMBDA_STATEMENT))
    roles = world.disturbed_roles(
        after_write_trust=lambda: world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=undo),
    )
    outcome = world.reconcile(roles=roles)
    assert outcome.kind is OutcomeKind.FAILED
    assert isinstance(outcome.results[0], Unconfirmed)
    assert world.deliver(outcome) is AlertReason.NEW
    assert outcome.to_be_retried
    assert sum(world.pauses) < 5


def test_a_write_whose_answer_was_lost_is_found_by_reading_back(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    lost = TransientError("iam:UpdateAssumeRolePolicy", "ReadTimeoutError", "")
    assert world.reconcile(roles=world.disturbed_roles(after_write_trust=raising(lost))).kind is OutcomeKind.REPAIRED
    assert world.trusts_ec2()


def test_a_write_denied_just_after_the_tag_was_set_is_tried_again(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    error = DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "not authorized")
    with pytest.raises(TransientError):
        world.reconcile(roles=world.disturbed_roles(before_write_trust=raising(error)))


def test_what_was_written_is_told_although_the_rest_keeps_changing(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    counter = iter(range(100))

    def meddle() -> None:
        if world.trusts_ec2():
            world.grant({**bucket_grant("elsewhere"), "Sid": f"S{next(counter)}"}, name=OWN_POLICY_NAME)

    outcome = world.reconcile(roles=world.disturbed_roles(before_read_inline_policy=meddle))
    assert outcome.kind is OutcomeKind.FAILED
    assert len(outcome.applied) == 1
    assert world.deliver(outcome) is AlertReason.NEW
    assert outcome.to_be_retried


def test_a_later_success_replaces_an_earlier_failure_of_the_same_document(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    throttle = raising(ThrottledError("iam:UpdateAssumeRolePolicy", "Throttling", "Rate exceeded"))
    meddle = once(lambda: world.grant(bucket_grant("elsewhere"), name=OWN_POLICY_NAME))

    def meddle_first() -> None:
        if OWN_POLICY_NAME not in world.inline():
            meddle()

    roles = world.disturbed_roles(before_write_trust=once(throttle), before_read_inline_policy=meddle_first)
    outcome = world.reconcile(roles=roles)
    assert outcome.kind is OutcomeKind.REPAIRED
    assert len(outcome.results) == 2


def test_a_pause_asked_for_between_the_two_writes_stops_the_second(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    off = [{"Key": "anyscale:remediation", "Value": "off"}]
    outcome = world.reconcile(
        roles=world.disturbed_roles(after_write_trust=lambda: world.iam.tag_role(RoleName=ROLE, Tags=off))
    )
    assert world.inline() == {}
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome.findings) == [FindingCode.TRUST_MISSING]


@pytest.mark.parametrize("reading", [Absent(), Unreadable("denied")])
def test_our_changed_statements_are_not_restored_while_the_bucket_is_absent_or_unreadable(
    world: World, reading: Reading[Bucket]
) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    narrowed = [{**s, "Action": "s3:GetObject"} for s in world.inline()[OWN_POLICY_NAME]["Statement"]]
    world.grant(*narrowed, name=OWN_POLICY_NAME)
    assert world.reconcile(buckets=Buckets(world, reading)).kind is OutcomeKind.MANUAL_ACTION
    assert world.writes == []


class OneBucketDown(S3Gateway):
    """S3, of which one bucket's Region does not answer."""

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:
        if name == BUCKET:
            raise TransientError("s3:GetBucketPolicy", "ServiceUnavailable", "")
        return super().read_bucket(name, region=region, account=account, key=key)


def test_a_bucket_that_does_not_answer_keeps_the_grant_waiting_but_not_the_trust(world: World) -> None:
    other = "anyscale-production-logs"
    world.s3.create_bucket(Bucket=other)
    world.settings = settings(buckets=[{"name": name, "region": "us-east-1"} for name in (BUCKET, other)])
    world.create_role(LAMBDA_STATEMENT)
    down = OneBucketDown(lambda _: world.s3, world.keys)
    outcome = world.reconcile(buckets=down)
    assert world.trusts_ec2()
    assert world.inline() == {}
    assert outcome.to_be_retried
    with pytest.raises(TransientError):
        world.reconcile(buckets=down)


@pytest.mark.parametrize("grant", ["role-policy", "bucket-policy"])
def test_an_interrupted_repair_tells_all_that_was_repaired_and_nothing_more(world: World, grant: str) -> None:
    key = world.create_key()
    world.encrypt(key)
    bucket = {"name": BUCKET, "region": "us-east-1", "key": key}
    world.settings = settings(buckets=[bucket], grant=grant, instanceProfile="repair")
    world.create_role(LAMBDA_STATEMENT, profile=False)
    outcome = world.reconcile(roles=world.disturbed_roles(before_read_instance_profile_2=throttled()))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.to_be_retried
    assert {(finding.code, finding.subject) for finding in outcome.findings} == {
        (FindingCode.TRUST_MISSING, "trust policy"),
        (FindingCode.GRANT_MISSING, BUCKET),
        (FindingCode.KEY_MISSING, key),
    }
    assert codes(world.reconcile().findings) == [FindingCode.PROFILE_MISSING]


@pytest.mark.parametrize("grant", ["role-policy", "bucket-policy"])
def test_an_interrupted_repair_tells_what_was_restored(world: World, grant: str) -> None:
    world.settings = settings(grant=grant)
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.delete_profile()
    if grant == "role-policy":
        widened = [{**each, "Action": "s3:*"} for each in world.inline()[OWN_POLICY_NAME]["Statement"]]
        world.grant(*widened, name=OWN_POLICY_NAME)
    else:
        world.put_bucket_policy(*({**each, "Action": "s3:*"} for each in world.bucket_policy()["Statement"]))
    world.settings = settings(grant=grant, instanceProfile="repair")
    outcome = world.reconcile(roles=world.disturbed_roles(before_read_instance_profile_2=throttled()))
    assert codes(outcome.findings) == [FindingCode.GRANT_ALTERED]


def test_a_role_whose_fresh_enrolment_cannot_be_seen_is_looked_at_again(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    with pytest.raises(NotYetVisible):
        world.reconcile(a_cause("TagRole"))
    assert world.reconcile(a_cause("TagRole"), now=LATER).kind is OutcomeKind.NOT_ENROLLED


def test_a_managed_policy_that_was_deleted_and_created_again_is_read_anew(world: World) -> None:
    world.create_role(EC2_STATEMENT)

    def create(bucket: str) -> str:
        document = json.dumps(policy(bucket_grant(bucket)))
        arn: str = world.iam.create_policy(PolicyName="access", PolicyDocument=document)["Policy"]["Arn"]
        world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)
        return arn

    arn = create(BUCKET)
    assert world.reconcile().kind is OutcomeKind.CLEAN
    world.iam.detach_role_policy(RoleName=ROLE, PolicyArn=arn)
    world.iam.delete_policy(PolicyArn=arn)
    assert create("elsewhere") == arn
    assert codes(world.reconcile().findings) == [FindingCode.GRANT_MISSING]


class Stale(IamGateway):
    """IAM that shows a write only at the third look."""

    def __init__(self, world: World) -> None:
        super().__init__(world.iam, lambda: world.iam)
        self._old: Reading[Role] | None = None
        self._looks = 0

    def write_trust(self, role_name: str, document: PolicyDocument) -> None:
        self._old = super().read_role(role_name)
        super().write_trust(role_name, document)

    def read_role(self, role_name: str) -> Reading[Role]:
        if self._old is not None:
            self._looks += 1
            if self._looks < 3:
                return self._old
        return super().read_role(role_name)


def test_a_write_that_shows_late_is_waited_for(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    assert world.reconcile(roles=Stale(world)).kind is OutcomeKind.REPAIRED
    assert world.pauses == [0.2, 0.5]


class Blind(IamGateway):
    """IAM that denies one of our reads."""

    def __init__(self, world: World, denied: str) -> None:
        super().__init__(world.iam, lambda: world.iam)
        self._denied = denied

    def read_role(self, role_name: str) -> Reading[Role]:
        return Unreadable("iam:GetRole failed") if self._denied == "role" else super().read_role(role_name)

    def read_policies(self, role: Role) -> RolePolicies:
        seen = super().read_policies(role)
        denied = Unreadable("iam:ListRolePolicies failed with AccessDenied")
        if self._denied == "inline":
            return RolePolicies(denied, seen.attached, seen.boundary)
        if self._denied == "attached":
            return RolePolicies(seen.inline, denied, seen.boundary)
        return RolePolicies(seen.inline, seen.attached, denied)


@pytest.mark.parametrize("denied", ["inline", "attached"])
def test_policies_that_cannot_be_read_may_grant_everything_and_so_nothing_is_written(world: World, denied: str) -> None:
    world.create_role(LAMBDA_STATEMENT)
    outcome = world.reconcile(roles=Blind(world, denied))
    assert (outcome.kind, outcome.refusal) == (OutcomeKind.REFUSED, Refusal.PRIVILEGES_UNKNOWN)
    assert "AccessDenied" in outcome.why
    assert world.writes == []
    assert world.inline() == {}


def test_a_boundary_that_cannot_be_read_is_never_taken_for_missing(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile(roles=Blind(world, "boundary"))
    assert codes(outcome.findings) == [FindingCode.GRANT_UNDECIDED]
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert world.inline() == {}


def test_a_role_that_cannot_be_read_is_told_as_failed(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    outcome = world.reconcile(roles=Blind(world, "role"))
    assert outcome.kind is OutcomeKind.FAILED
    assert world.deliver(outcome) is AlertReason.NEW


class Buckets(S3Gateway):
    """Buckets, with one answer for all."""

    def __init__(self, world: World, reading: Reading[Bucket]) -> None:
        super().__init__(lambda _: world.s3, world.keys, lambda _: world.s3)
        self._reading = reading
        self.asked: list[tuple[str, str, str]] = []

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:
        self.asked.append((name, region, account))
        return self._reading


def test_a_bucket_policy_that_cannot_be_read_is_never_taken_for_absent(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    bucket = Bucket(BUCKET, ACCOUNT, "us-east-1", policy=Unreadable("not JSON"))
    outcome = world.reconcile(buckets=Buckets(world, Present(bucket)))
    assert codes(outcome.findings) == [FindingCode.GRANT_UNDECIDED]
    assert world.inline() == {}


def test_a_bucket_of_somebody_else_is_told_and_nothing_is_granted_on_it(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile(buckets=Buckets(world, Unreadable("s3:GetBucketPolicy failed with AccessDenied")))
    assert codes(outcome.findings) == [FindingCode.BUCKET_UNREADABLE]
    assert world.inline() == {}


def test_the_owner_that_is_asked_for_is_the_configured_one(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = settings(buckets=[{"name": BUCKET, "region": "us-west-2", "account": OUTSIDE}])
    buckets = Buckets(world, Unreadable("denied"))
    world.reconcile(buckets=buckets)
    assert buckets.asked == [(BUCKET, "us-west-2", OUTSIDE)]


def test_a_bucket_of_another_account_that_nobody_opened_is_beyond_the_role(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    foreign = Bucket(BUCKET, OUTSIDE, "us-east-1", policy=Absent())
    outcome = world.reconcile(buckets=Buckets(world, Present(foreign)))
    assert codes(outcome.findings) == [FindingCode.GRANT_BEYOND_ROLE]
    assert list(world.inline()) == ["granted"]


@pytest.mark.parametrize(
    ("until", "kind"),
    [("2026-03-04T10:00:00Z", OutcomeKind.CLEAN), ("2026-03-05T00:00:00Z", OutcomeKind.MANUAL_ACTION)],
)
def test_a_deny_up_to_a_date_is_judged_at_the_time_of_the_look(world: World, until: str, kind: OutcomeKind) -> None:
    world.create_role(EC2_STATEMENT)
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"aws:CurrentTime": until}}}
    world.grant(bucket_grant(), deny)
    assert world.reconcile().kind is kind


def test_a_statement_of_ours_that_was_turned_into_a_deny_is_somebodys_will_and_stays(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    denied = [{**statement, "Effect": "Deny"} for statement in world.inline()[OWN_POLICY_NAME]["Statement"]]
    world.grant(*denied, name=OWN_POLICY_NAME)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome.findings) == [FindingCode.GRANT_BLOCKED]
    assert world.inline()[OWN_POLICY_NAME]["Statement"] == denied
