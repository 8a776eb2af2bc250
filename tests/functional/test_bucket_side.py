"""Grants on the bucket's side: what the policy of a bucket looks like afterwards, whoever else has a say in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.events.event import Cause
from remediator.core.events.sweep import sweep_cause
from remediator.core.model.bucket import Bucket
from remediator.core.model.finding import FindingCode
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME
from remediator.core.model.write import DocumentKind
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Reading
from remediator.core.repair.outcome import NotApplied, Outcome, OutcomeKind, Unconfirmed
from remediator.errors import ChangedMeanwhile, DeniedError, RejectedError, TransientError
from remediator.gateways.s3 import S3Gateway
from remediator.settings import Settings
from tests.examples import (
    ACCOUNT,
    BUCKET,
    EC2_STATEMENT,
    LAMBDA_STATEMENT,
    OUTSIDE,
    a_cause,
    bucket_grant,
    settings,
)
from tests.functional.faults import once, raising, throttled
from tests.functional.world import ROLE, World

OTHER_ROLE = "worker"
LOGS = "anyscale-production-logs"
DELETED = "AROADELETEDROLE000001"

FOREIGN = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{OUTSIDE}:root"},
    "Action": "s3:GetObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/shared/*",
}
TLS_ONLY = {
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
PUBLIC = {**FOREIGN, "Sid": "Website", "Principal": "*"}
INVALID_PRINCIPAL = RejectedError("s3:PutBucketPolicy", "MalformedPolicy", "Invalid principal in policy")

BUCKET_SIDE = settings(grant="bucket-policy")
TO_BUCKET_SIDE = settings(grant="bucket-policy", formerGrant="role-policy")
TO_ROLE_SIDE = settings(grant="role-policy", formerGrant="bucket-policy")


@pytest.fixture(autouse=True)
def bucket_side(world: World) -> None:
    world.settings = BUCKET_SIDE


def codes(outcome: Outcome) -> list[FindingCode]:
    return [finding.code for finding in outcome.findings]


def ours(world: World, bucket: str = BUCKET) -> dict[str, Any]:
    """Our one statement in the policy of a bucket."""
    (statement,) = [each for each in world.bucket_policy(bucket)["Statement"] if each.get("Sid") == BUCKET_POLICY_SID]
    assert isinstance(statement, dict)
    return statement


def is_clean(world: World, role: str = ROLE) -> bool:
    """Whether another look finds nothing, and writes nothing."""
    return world.reconcile(role=role).kind is OutcomeKind.CLEAN and world.writes == []


def test_a_bucket_without_a_policy_gets_one_that_names_the_role_and_the_second_time_nothing_is_written(
    world: World,
) -> None:
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome) == [FindingCode.GRANT_MISSING]
    assert world.writes == ["PutBucketPolicy"]
    assert world.named_in() == [ROLE]
    assert world.inline() == {}
    assert is_clean(world)


def test_what_others_wrote_stays_in_its_place_and_as_it_was(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.put_bucket_policy(FOREIGN, TLS_ONLY)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.bucket_policy()["Statement"] == [FOREIGN, TLS_ONLY, ours(world)]
    assert is_clean(world)


def test_each_bucket_gets_its_own_statement_and_a_granted_one_none(world: World) -> None:
    world.s3.create_bucket(Bucket=LOGS)
    world.settings = with_buckets(BUCKET, LOGS)
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant(LOGS))
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.named_in() == [ROLE]
    assert world.bucket_policy(LOGS) is None
    assert is_clean(world)


def with_buckets(*names: str, **changes: Any) -> Settings:
    return settings(
        buckets=[{"name": name, "region": "us-east-1"} for name in names], **{"grant": "bucket-policy", **changes}
    )


def test_a_further_role_joins_those_that_are_named(world: World) -> None:
    for name in (ROLE, OTHER_ROLE):
        world.create_role(EC2_STATEMENT, name=name)
        assert world.reconcile(role=name).kind is OutcomeKind.REPAIRED
    assert world.named_in() == [ROLE, OTHER_ROLE]
    assert is_clean(world, ROLE)
    assert is_clean(world, OTHER_ROLE)


def test_a_deleted_role_is_dropped_from_our_statement(world: World) -> None:
    for name in (ROLE, OTHER_ROLE):
        world.create_role(EC2_STATEMENT, name=name)
        world.reconcile(role=name)
    named_after_deletion(world)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome) == [FindingCode.GRANT_ALTERED]
    assert world.named_in() == [ROLE, OTHER_ROLE]
    assert is_clean(world)


def named_after_deletion(world: World) -> None:
    """What S3 shows of our statement when a role that it names was deleted."""
    statement = ours(world)
    named = [*statement["Principal"]["AWS"], DELETED]
    others = [each for each in world.bucket_policy()["Statement"] if each.get("Sid") != BUCKET_POLICY_SID]
    world.put_bucket_policy(*others, {**statement, "Principal": {"AWS": named}})


def test_a_deleted_role_in_somebody_elses_statement_is_left_to_a_person(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    theirs = {**FOREIGN, "Principal": {"AWS": [DELETED, f"arn:aws:iam::{OUTSIDE}:root"]}}
    world.put_bucket_policy(theirs)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert DELETED in " ".join(outcome.blocked[0].because)
    assert world.writes == []
    assert world.bucket_policy()["Statement"] == [theirs]


@pytest.mark.parametrize(
    "change",
    [
        {"Action": "s3:*"},
        {"Action": ["s3:GetObject"]},
        {"Resource": [f"arn:aws:s3:::{BUCKET}"]},
        {"Principal": {"AWS": f"arn:aws:iam::{OUTSIDE}:root"}},
    ],
)
def test_what_somebody_made_of_our_statement_is_put_right(world: World, change: Mapping[str, object]) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    good = ours(world)
    world.put_bucket_policy(FOREIGN, {**good, **change})
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.bucket_policy()["Statement"] == [FOREIGN, good]
    assert is_clean(world)


def test_our_statement_that_was_opened_to_everybody_is_closed_and_the_role_keeps_its_access(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    good = ours(world)
    world.put_bucket_policy(FOREIGN, {**good, "Principal": "*"})
    while (outcome := world.reconcile()).to_be_retried:
        assert outcome.kind is OutcomeKind.FAILED
    assert outcome.kind is OutcomeKind.REPAIRED
    assert world.bucket_policy()["Statement"] == [FOREIGN, good]
    assert is_clean(world)


def test_our_statement_that_was_turned_into_a_deny_is_somebodys_will_and_stays(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    denied = {**ours(world), "Effect": "Deny"}
    world.put_bucket_policy(denied)
    outcome = world.reconcile()
    assert codes(outcome) == [FindingCode.GRANT_BLOCKED]
    assert world.writes == []
    world.settings = TO_ROLE_SIDE
    assert world.reconcile().kind is OutcomeKind.MANUAL_ACTION
    assert world.writes == []
    assert world.bucket_policy()["Statement"] == [denied]


def test_a_public_policy_gets_our_statement_beside_the_public_one(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.put_bucket_policy(PUBLIC)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.bucket_policy()["Statement"] == [PUBLIC, ours(world)]


def test_a_public_policy_that_could_not_be_saved_again_is_left_to_a_person(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.put_bucket_policy(PUBLIC)
    world.s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert "Website" in " ".join(outcome.blocked[0].because)
    assert world.writes == []


def test_a_policy_that_would_not_fit_is_left_to_a_person_who_is_told_what_to_do(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    paths = [f"arn:aws:s3:::{BUCKET}/{'x' * 100}/{number}" for number in range(160)]
    huge = {**FOREIGN, "Resource": paths}
    world.put_bucket_policy(huge)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert "20,480" in " ".join(outcome.blocked[0].because)
    assert "role-policy" in " ".join(outcome.blocked[0].to_do)
    assert world.bucket_policy()["Statement"] == [huge]


@pytest.mark.parametrize("text", ["not JSON", "[]", "[" * 10_000, json.dumps({"Statement": [FOREIGN], "New": 1})])
def test_a_policy_that_cannot_be_understood_is_never_written_over(world: World, text: str) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.s3.put_bucket_policy(Bucket=BUCKET, Policy=text)
    assert world.reconcile().kind is OutcomeKind.MANUAL_ACTION
    assert world.writes == ["UpdateAssumeRolePolicy"]
    assert world.s3.get_bucket_policy(Bucket=BUCKET)["Policy"] == text


def test_an_explicit_deny_is_told_and_the_policy_is_left_alone(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    freeze = {**TLS_ONLY, "Sid": "Freeze", "Condition": {}}
    world.put_bucket_policy(freeze)
    assert codes(world.reconcile()) == [FindingCode.GRANT_BLOCKED]
    assert world.writes == []


def test_every_call_names_the_owner_of_the_bucket(world: World) -> None:
    owners: dict[str, set[str | None]] = {}

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        owners.setdefault(model.name, set()).add(params.get("ExpectedBucketOwner"))

    client = boto3.client("s3")
    client.meta.events.register("provide-client-params.s3", note)
    buckets = S3Gateway(lambda _: client, world.keys, lambda _: client)
    world.create_role(EC2_STATEMENT)
    world.put_bucket_policy(PUBLIC)
    assert world.reconcile(buckets=buckets).kind is OutcomeKind.REPAIRED
    world.settings = TO_ROLE_SIDE
    world.put_bucket_policy(ours(world))
    assert world.reconcile(buckets=buckets).kind is OutcomeKind.REPAIRED
    calls = ("GetBucketPolicy", "GetBucketEncryption", "GetPublicAccessBlock", "PutBucketPolicy", "DeleteBucketPolicy")
    assert owners == {call: {ACCOUNT} for call in calls}


def test_observe_mode_says_what_would_be_written_and_writes_nothing(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = settings()
    world.reconcile()
    world.settings = settings(grant="bucket-policy", formerGrant="role-policy", mode="observe")
    before = world.inline()
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.WOULD_REPAIR
    assert [step.document.kind for step in outcome.proposed] == [DocumentKind.BUCKET_POLICY, DocumentKind.INLINE_POLICY]
    assert world.writes == []
    assert (world.bucket_policy(), world.inline()) == (None, before)


# Switching sides


def test_a_cloud_that_goes_over_to_the_bucket_policies_leaves_nothing_in_its_roles(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = settings()
    world.reconcile()
    world.settings = TO_BUCKET_SIDE
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome) == [FindingCode.GRANT_MISSING, FindingCode.GRANT_LEFTOVER]
    assert world.writes == ["PutBucketPolicy", "DeleteRolePolicy"]
    assert world.named_in() == [ROLE]
    assert world.inline() == {}
    assert is_clean(world)


def test_a_cloud_that_goes_over_to_the_roles_leaves_nothing_in_its_bucket_policies(world: World) -> None:
    for name in (ROLE, OTHER_ROLE):
        world.create_role(EC2_STATEMENT, name=name)
        world.put_bucket_policy(FOREIGN)
    for name in (ROLE, OTHER_ROLE):
        world.reconcile(role=name)
    world.settings = TO_ROLE_SIDE
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome) == [FindingCode.GRANT_MISSING, FindingCode.GRANT_LEFTOVER]
    assert world.writes == ["PutRolePolicy", "PutBucketPolicy"]
    assert world.named_in() == [OTHER_ROLE]
    assert world.reconcile(role=OTHER_ROLE).kind is OutcomeKind.REPAIRED
    assert world.bucket_policy()["Statement"] == [FOREIGN]
    for name in (ROLE, OTHER_ROLE):
        assert list(world.inline(name)) == [OWN_POLICY_NAME]
        assert is_clean(world, name)


def test_a_bucket_policy_in_which_nothing_is_left_is_deleted(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.settings = TO_ROLE_SIDE
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.writes == ["PutRolePolicy", "DeleteBucketPolicy"]
    assert world.bucket_policy() is None


def test_what_somebody_put_into_our_inline_policy_stays_when_ours_goes(world: World) -> None:
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    world.create_role(EC2_STATEMENT)
    world.settings = settings()
    world.reconcile()
    world.grant(*world.inline()[OWN_POLICY_NAME]["Statement"], theirs, name=OWN_POLICY_NAME)
    world.settings = TO_BUCKET_SIDE
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.inline()[OWN_POLICY_NAME]["Statement"] == [theirs]
    assert is_clean(world)


def test_without_the_former_side_bucket_policies_are_not_touched_and_a_person_is_told(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    before = world.bucket_policy()
    world.settings = settings()
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome) == [FindingCode.GRANT_LEFTOVER]
    assert "formerGrant" in " ".join(outcome.blocked[0].because)
    assert world.bucket_policy() == before
    assert world.writes == []


def test_a_switch_that_is_interrupted_grants_on_both_sides_and_is_finished_the_next_time(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = settings()
    world.reconcile()
    world.settings = TO_BUCKET_SIDE
    outcome = world.reconcile(roles=world.disturbed_roles(before_delete_inline_policy=throttled()))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.to_be_retried
    assert [step.document.kind for step in outcome.applied] == [DocumentKind.BUCKET_POLICY]
    assert world.named_in() == [ROLE]
    assert list(world.inline()) == [OWN_POLICY_NAME]
    outcome = world.reconcile()
    assert codes(outcome) == [FindingCode.GRANT_LEFTOVER]
    assert world.writes == ["DeleteRolePolicy"]
    assert is_clean(world)


@pytest.mark.parametrize("error", [DeniedError("s3:PutBucketPolicy", "AccessDenied", "no"), INVALID_PRINCIPAL])
def test_nothing_is_taken_back_where_the_new_side_could_not_be_written(world: World, error: Exception) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = settings()
    world.reconcile()
    world.settings = TO_BUCKET_SIDE
    now = created(world) + timedelta(days=1)
    outcome = world.reconcile(
        cause_at(now - timedelta(hours=1)), buckets=world.disturbed_buckets(before_write_policy=raising(error)), now=now
    )
    assert outcome.kind is OutcomeKind.FAILED
    assert list(world.inline()) == [OWN_POLICY_NAME]


def test_nothing_is_taken_back_where_the_new_side_cannot_be_seen_yet(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = settings()
    world.reconcile()
    world.settings = TO_BUCKET_SIDE
    undone = world.disturbed_buckets(after_write_policy=lambda: world.s3.delete_bucket_policy(Bucket=BUCKET))
    outcome = world.reconcile(buckets=undone)
    assert isinstance(outcome.results[0], Unconfirmed)
    assert len(outcome.results) == 1
    assert outcome.to_be_retried
    assert list(world.inline()) == [OWN_POLICY_NAME]


def test_nothing_is_taken_back_while_one_of_the_buckets_does_not_answer(world: World) -> None:
    world.s3.create_bucket(Bucket=LOGS)
    world.settings = with_buckets(BUCKET, LOGS, grant="role-policy")
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.settings = with_buckets(BUCKET, LOGS, formerGrant="role-policy")
    world.iam.update_assume_role_policy(
        RoleName=ROLE, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [LAMBDA_STATEMENT]})
    )
    outcome = world.reconcile(buckets=OneDown(world))
    assert [step.document.kind for step in outcome.applied] == [DocumentKind.TRUST_POLICY]
    assert outcome.to_be_retried
    assert world.bucket_policy() is None
    assert list(world.inline()) == [OWN_POLICY_NAME]


class OneDown(S3Gateway):
    """S3, of which the Region of the bucket for logs does not answer."""

    def __init__(self, world: World) -> None:
        super().__init__(lambda _: world.s3, world.keys, lambda _: world.s3)

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:
        if name == LOGS:
            raise TransientError("s3:GetBucketPolicy", "ServiceUnavailable", "")
        return super().read_bucket(name, region=region, account=account, key=key)


# Writes that do not go as they should


def cause_at(time: datetime) -> Cause:
    return replace(a_cause(), time=time.strftime("%Y-%m-%dT%H:%M:%SZ"))


def created(world: World) -> datetime:
    """When the role was created, by the clock of the account in memory."""
    time = world.iam.get_role(RoleName=ROLE)["Role"]["CreateDate"]
    assert isinstance(time, datetime)
    return time


@pytest.mark.parametrize(
    ("cause_age", "role_age"), [(timedelta(seconds=90), timedelta(days=1)), (timedelta(days=1), timedelta(seconds=90))]
)
def test_a_role_that_s3_may_not_know_yet_is_named_when_it_does(
    world: World, cause_age: timedelta, role_age: timedelta
) -> None:
    world.create_role(EC2_STATEMENT)
    now = created(world) + role_age
    refusing = world.disturbed_buckets(before_write_policy=raising(INVALID_PRINCIPAL))
    with pytest.raises(TransientError):
        world.reconcile(cause_at(now - cause_age), buckets=refusing, now=now)
    assert world.bucket_policy() is None
    assert world.reconcile(cause_at(now - cause_age), now=now).kind is OutcomeKind.REPAIRED


def test_a_document_that_s3_goes_on_to_refuse_is_told_with_its_words(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    now = created(world) + timedelta(minutes=3)
    refusing = world.disturbed_buckets(before_write_policy=raising(INVALID_PRINCIPAL))
    outcome = world.reconcile(cause_at(now - timedelta(minutes=3)), buckets=refusing, now=now)
    assert outcome.kind is OutcomeKind.FAILED
    assert not outcome.to_be_retried
    (result,) = outcome.results
    assert isinstance(result, NotApplied)
    assert "Invalid principal in policy" in result.why


def test_a_role_that_is_deleted_between_the_look_and_the_write_is_left_out(world: World) -> None:
    for name in (ROLE, OTHER_ROLE):
        world.create_role(EC2_STATEMENT, name=name)
    world.reconcile(role=OTHER_ROLE)

    def delete_other() -> None:
        statement = ours(world)
        world.put_bucket_policy({**statement, "Principal": {"AWS": DELETED}})
        raise INVALID_PRINCIPAL

    outcome = world.reconcile(buckets=world.disturbed_buckets(before_write_policy=once(delete_other)))
    assert outcome.kind is OutcomeKind.REPAIRED
    assert world.named_in() == [ROLE]


def test_a_bucket_that_does_not_let_us_write_is_told_and_not_tried_again(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    denied = raising(DeniedError("s3:PutBucketPolicy", "AccessDenied", "because public policies are blocked"))
    outcome = world.reconcile(a_cause("TagRole"), buckets=world.disturbed_buckets(before_write_policy=denied))
    assert outcome.kind is OutcomeKind.FAILED
    assert not outcome.to_be_retried


def test_a_bucket_that_goes_between_the_look_and_the_write_is_looked_at_anew(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    delete = once(lambda: world.s3.delete_bucket(Bucket=BUCKET))
    outcome = world.reconcile(buckets=world.disturbed_buckets(before_read_policy=delete))
    assert codes(outcome) == [FindingCode.BUCKET_ABSENT]
    assert outcome.kind is OutcomeKind.MANUAL_ACTION


def test_a_throttled_write_goes_back_to_the_queue(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    with pytest.raises(TransientError):
        world.reconcile(buckets=world.disturbed_buckets(before_write_policy=throttled()))
    assert world.bucket_policy() is None


def test_a_throttled_read_just_before_the_write_goes_back_to_the_queue(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    with pytest.raises(TransientError):
        world.reconcile(buckets=world.disturbed_buckets(before_read_policy=throttled()))
    assert world.bucket_policy() is None


@pytest.mark.parametrize(
    ("before", "after", "moments"),
    [
        (settings(), TO_BUCKET_SIDE, {"buckets": "write_policy"}),
        (settings(), TO_BUCKET_SIDE, {"roles": "delete_inline_policy"}),
        (BUCKET_SIDE, TO_ROLE_SIDE, {"buckets": "delete_policy"}),
    ],
)
def test_a_write_whose_answer_was_lost_is_found_by_reading_back(
    world: World, before: Settings, after: Settings, moments: dict[str, str]
) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = before
    world.reconcile()
    world.settings = after
    disturbed = {"buckets": world.disturbed_buckets, "roles": world.disturbed_roles}
    overrides: dict[str, Any] = {
        name: disturbed[name](**{f"after_{write}": throttled()}) for name, write in moments.items()
    }
    assert world.reconcile(**overrides).kind is OutcomeKind.REPAIRED
    assert is_clean(world)


def test_a_write_that_cannot_be_read_back_is_told_and_looked_at_again(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile(buckets=world.disturbed_buckets(before_read_policy_2=throttled()))
    assert isinstance(outcome.results[0], Unconfirmed)
    assert world.deliver(outcome) is AlertReason.NEW
    assert outcome.to_be_retried
    assert is_clean(world)


def test_a_removal_that_cannot_be_seen_is_told_and_looked_at_again(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.settings = settings()
    world.reconcile()
    policy = json.dumps(world.inline()[OWN_POLICY_NAME])
    world.settings = TO_BUCKET_SIDE

    def restore() -> None:
        world.iam.put_role_policy(RoleName=ROLE, PolicyName=OWN_POLICY_NAME, PolicyDocument=policy)

    outcome = world.reconcile(roles=world.disturbed_roles(after_delete_inline_policy=restore))
    assert isinstance(outcome.results[1], Unconfirmed)
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.to_be_retried


def test_a_removal_from_a_bucket_policy_that_is_undone_at_once_is_told_and_looked_at_again(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    statement = ours(world)
    world.settings = TO_ROLE_SIDE
    restore = world.disturbed_buckets(after_delete_policy=lambda: world.put_bucket_policy(statement))
    outcome = world.reconcile(buckets=restore)
    assert isinstance(outcome.results[1], Unconfirmed)
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.to_be_retried


def test_a_removal_whose_effect_cannot_be_read_is_not_taken_for_done(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.settings = TO_ROLE_SIDE
    spoil = world.disturbed_buckets(after_delete_policy=lambda: world.s3.put_bucket_policy(Bucket=BUCKET, Policy="?"))
    assert isinstance(world.reconcile(buckets=spoil).results[1], Unconfirmed)


def test_a_statement_of_ours_that_is_changed_as_soon_as_it_is_written_is_not_taken_for_written(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    widen = world.disturbed_buckets(
        after_write_policy=lambda: world.put_bucket_policy({**ours(world), "Action": "s3:*"})
    )
    outcome = world.reconcile(buckets=widen)
    assert isinstance(outcome.results[0], Unconfirmed)
    assert outcome.to_be_retried


def test_a_deny_that_comes_as_soon_as_we_have_written_is_not_taken_for_a_grant(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    freeze = {**TLS_ONLY, "Sid": "Freeze", "Condition": {}}
    deny = world.disturbed_buckets(after_write_policy=lambda: world.put_bucket_policy(ours(world), freeze))
    assert isinstance(world.reconcile(buckets=deny).results[0], Unconfirmed)


def test_what_was_taken_back_before_something_changed_is_still_told(world: World) -> None:
    world.s3.create_bucket(Bucket=LOGS)
    world.settings = with_buckets(BUCKET, LOGS)
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.settings = with_buckets(BUCKET, LOGS, grant="role-policy", formerGrant="bucket-policy")
    theirs = {**FOREIGN, "Resource": f"arn:aws:s3:::{LOGS}/shared/*"}

    change = once(lambda: world.put_bucket_policy(theirs, ours(world, LOGS), bucket=LOGS))
    after_the_first = world.disturbed_buckets(after_delete_policy=change)
    outcome = world.reconcile(buckets=after_the_first)
    assert outcome.kind is OutcomeKind.REPAIRED
    assert world.bucket_policy() is None
    assert world.bucket_policy(LOGS)["Statement"] == [theirs]
    assert [finding.subject for finding in outcome.findings if finding.code is FindingCode.GRANT_LEFTOVER] == [
        f"bucket policy of {BUCKET}",
        f"bucket policy of {LOGS}",
    ]


def test_that_a_sweep_has_come_is_no_reason_to_wait_for_anything(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    now = created(world) + timedelta(minutes=3)
    refusing = world.disturbed_buckets(before_write_policy=raising(INVALID_PRINCIPAL))
    outcome = world.reconcile(sweep_cause("s", now), buckets=refusing, now=now)
    assert outcome.kind is OutcomeKind.FAILED
    assert not outcome.to_be_retried


class Late(S3Gateway):
    """S3 that shows a write only at the third look."""

    def __init__(self, world: World) -> None:
        super().__init__(lambda _: world.s3, world.keys, lambda _: world.s3)
        self._old: Reading[PolicyDocument] | None = None
        self._looks = 0

    def write_policy(self, name: str, document: PolicyDocument, *, region: str, account: str) -> None:
        self._old = super().read_policy(name, region=region, account=account)
        super().write_policy(name, document, region=region, account=account)

    def read_policy(self, name: str, *, region: str, account: str) -> Reading[PolicyDocument]:
        if self._old is not None:
            self._looks += 1
            if self._looks < 3:
                return self._old
        return super().read_policy(name, region=region, account=account)


def test_a_write_that_shows_late_is_waited_for(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    assert world.reconcile(buckets=Late(world)).kind is OutcomeKind.REPAIRED
    assert world.pauses == [0.2, 0.5]


# Others who write at the same time


def test_a_change_between_the_look_and_the_write_survives(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    change = once(lambda: world.put_bucket_policy(FOREIGN))
    outcome = world.reconcile(buckets=world.disturbed_buckets(before_read_policy=change))
    assert outcome.kind is OutcomeKind.REPAIRED
    assert world.bucket_policy()["Statement"] == [FOREIGN, ours(world)]


def test_a_policy_that_changes_all_the_time_goes_back_to_the_queue_unwritten(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    numbers = iter(range(100))
    flap = world.disturbed_buckets(
        before_read_policy=lambda: world.put_bucket_policy({**FOREIGN, "Sid": f"Flap{next(numbers)}"})
    )
    with pytest.raises(ChangedMeanwhile):
        world.reconcile(buckets=flap)
    assert "PutBucketPolicy" not in world.writes


def test_a_role_that_is_unenrolled_between_the_look_and_the_write_is_not_named(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    untag = once(lambda: world.iam.untag_role(RoleName=ROLE, TagKeys=["anyscale:cluster-role"]))
    outcome = world.reconcile(roles=world.disturbed_roles(before_read_role_2=untag))
    assert outcome.kind is OutcomeKind.NOT_ENROLLED
    assert world.bucket_policy() is None
