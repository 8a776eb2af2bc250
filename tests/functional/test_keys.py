"""Buckets under a customer managed key: the grant includes the key where IAM decides about it, else people are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from remediator.core.model.bucket import CustomerKey
from remediator.core.model.finding import FindingCode
from remediator.core.model.own_names import BUCKET_SID, KEYS_SID, OBJECTS_SID, OWN_POLICY_NAME
from remediator.core.model.write import DocumentKind
from remediator.core.policy.reading import Unreadable
from remediator.core.repair.outcome import Outcome, OutcomeKind
from remediator.errors import TransientError
from remediator.gateways.kms import KmsGateway
from remediator.gateways.s3 import S3Gateway
from remediator.settings import Settings
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, bucket_grant, settings
from tests.functional.faults import interfering, throttled
from tests.functional.world import ROLE, World

KEY_ACTIONS = ["kms:Decrypt", "kms:GenerateDataKey"]
ONLY_ADMIN = {
    "Sid": "Admin",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/Admin"},
    "Action": "kms:*",
    "Resource": "*",
}
LETS_IAM_DECIDE = {**ONLY_ADMIN, "Sid": "Account", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
NO_SUCH_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def with_key(arn: str, **changes: Any) -> Settings:
    return settings(buckets=[{"name": BUCKET, "region": "us-east-1", "key": arn}], **changes)


def encrypted(world: World, *statements: Mapping[str, object]) -> str:
    """Encrypt the bucket with a key that has these statements, by default one that lets IAM decide."""
    arn = world.create_key(*statements)
    world.encrypt(arn)
    world.settings = with_key(arn)
    return arn


def codes(outcome: Outcome) -> list[FindingCode]:
    return [finding.code for finding in outcome.findings]


def own_statements(world: World) -> dict[str, Any]:
    return {each["Sid"]: each for each in world.inline()[OWN_POLICY_NAME]["Statement"]}


def test_a_role_that_lacks_the_bucket_and_its_key_gets_both_in_one_policy(world: World) -> None:
    arn = encrypted(world)
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome) == [FindingCode.GRANT_MISSING, FindingCode.KEY_MISSING]
    assert world.writes == ["PutRolePolicy"]
    assert own_statements(world).keys() == {BUCKET_SID, OBJECTS_SID, KEYS_SID}
    assert own_statements(world)[KEYS_SID]["Action"] == KEY_ACTIONS
    assert own_statements(world)[KEYS_SID]["Resource"] == [arn]
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert world.writes == []


def test_a_role_that_lacks_only_the_key_gets_only_the_key(world: World) -> None:
    encrypted(world)
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome) == [FindingCode.KEY_MISSING]
    assert own_statements(world).keys() == {KEYS_SID}
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_grant_of_the_key_by_others_counts(world: World) -> None:
    arn = encrypted(world)
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant(), {"Effect": "Allow", "Action": KEY_ACTIONS, "Resource": arn})
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_key_policy_that_names_the_role_counts(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    encrypted(world, ONLY_ADMIN, {**ONLY_ADMIN, "Sid": "Role", "Principal": {"AWS": world.arn()}})
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_key_policy_that_leaves_iam_out_is_told_with_the_statement_that_it_needs(world: World) -> None:
    arn = encrypted(world, ONLY_ADMIN)
    world.create_role(EC2_STATEMENT)
    before = world.kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome) == [FindingCode.GRANT_MISSING, FindingCode.KEY_BEYOND_ROLE]
    assert own_statements(world).keys() == {BUCKET_SID, OBJECTS_SID}
    assert world.kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"] == before
    world.deliver(outcome)
    (alert,) = world.alerts()
    assert "kms:GenerateDataKey" in alert["permanent"]["terraform"]


def test_an_explicit_deny_in_the_key_policy_is_left_to_a_person(world: World) -> None:
    deny = {"Sid": "NoUse", "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    encrypted(world, LETS_IAM_DECIDE, deny)
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    outcome = world.reconcile()
    assert codes(outcome) == [FindingCode.KEY_BLOCKED]
    assert "NoUse" in " ".join(outcome.findings[0].because)
    assert world.writes == []


@pytest.mark.parametrize("state", ["disabled", "pending deletion"])
def test_a_key_that_nobody_can_use_is_told_until_somebody_enables_it(world: World, state: str) -> None:
    key_id = encrypted(world).rpartition("/")[2]
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    if state == "disabled":
        world.kms.disable_key(KeyId=key_id)
    else:
        world.kms.schedule_key_deletion(KeyId=key_id)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome) == [FindingCode.KEY_UNUSABLE]
    assert state in " ".join(outcome.findings[0].because)
    assert world.writes == []
    world.kms.cancel_key_deletion(KeyId=key_id)
    world.kms.enable_key(KeyId=key_id)
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_configured_key_that_does_not_exist_is_told(world: World) -> None:
    world.settings = with_key(NO_SUCH_KEY)
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    outcome = world.reconcile()
    assert codes(outcome) == [FindingCode.KEY_UNUSABLE]
    assert world.writes == []


@pytest.mark.parametrize("configured", [False, True])
def test_a_key_that_is_not_the_configured_one_is_told_and_nothing_is_granted_on_it(
    world: World, configured: bool
) -> None:
    if configured:
        encrypted(world)
    unknown = world.create_key()
    world.encrypt(unknown)
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert FindingCode.KEY_UNKNOWN in codes(outcome)
    assert unknown not in json.dumps(world.inline())


@pytest.mark.parametrize("spelling", ["arn", "id", "alias", "alias arn"])
def test_the_configured_key_is_recognised_however_the_bucket_names_it(world: World, spelling: str) -> None:
    arn = encrypted(world)
    world.kms.create_alias(AliasName="alias/anyscale", TargetKeyId=arn)
    names = {
        "arn": arn,
        "id": arn.rpartition("/")[2],
        "alias": "alias/anyscale",
        "alias arn": f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/anyscale",
    }
    world.encrypt(names[spelling])
    world.create_role(EC2_STATEMENT)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert world.calls.count("DescribeKey") == (2 if "alias" in spelling else 1)


@pytest.mark.parametrize("spelling", ["alias/aws/s3", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/aws/s3"])
def test_the_key_that_aws_manages_needs_no_grant(world: World, spelling: str) -> None:
    world.encrypt(spelling)
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert "DescribeKey" not in world.calls


class Blind(KmsGateway):
    """KMS that shows nothing of its keys."""

    def read_key(self, arn: str) -> CustomerKey:
        denied = Unreadable("kms:DescribeKey failed with AccessDeniedException")
        return CustomerKey(arn, policy=denied, state=denied)


def test_a_key_that_cannot_be_read_is_never_taken_for_missing(world: World) -> None:
    encrypted(world)
    world.create_role(LAMBDA_STATEMENT)
    outcome = world.reconcile(buckets=S3Gateway(lambda _: world.s3, Blind(lambda _: world.kms), lambda _: world.s3))
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert FindingCode.KEY_UNDECIDED in codes(outcome)
    assert world.trusts_ec2()
    assert KEYS_SID not in own_statements(world)


@pytest.mark.parametrize("read", ["read_key", "resolve"])
def test_a_key_that_does_not_answer_keeps_the_grant_waiting_but_not_the_trust(world: World, read: str) -> None:
    encrypted(world)
    world.encrypt("alias/anyscale")
    world.create_role(LAMBDA_STATEMENT)
    keys = interfering(KmsGateway(lambda _: world.kms), **{f"before_{read}": throttled("kms:DescribeKey")})
    buckets = S3Gateway(lambda _: world.s3, keys, lambda _: world.s3)
    assert world.reconcile(buckets=buckets).to_be_retried
    assert world.trusts_ec2()
    assert world.inline() == {}
    with pytest.raises(TransientError):
        world.reconcile(buckets=buckets)


def test_observe_mode_says_what_would_be_granted_and_grants_nothing(world: World) -> None:
    world.settings = with_key(encrypted(world), mode="observe")
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.WOULD_REPAIR
    assert [step.document.kind for step in outcome.proposed] == [DocumentKind.INLINE_POLICY]
    assert world.writes == []


def test_on_the_side_of_the_bucket_the_key_is_still_granted_in_the_role(world: World) -> None:
    world.settings = with_key(encrypted(world), grant="bucket-policy")
    world.create_role(EC2_STATEMENT)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert sorted(world.writes) == ["PutBucketPolicy", "PutRolePolicy"]
    assert world.named_in() == [ROLE]
    assert own_statements(world).keys() == {KEYS_SID}
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_cloud_that_goes_over_to_the_bucket_policies_keeps_the_keys_in_its_roles(world: World) -> None:
    arn = encrypted(world)
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.settings = with_key(arn, grant="bucket-policy", formerGrant="role-policy")
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert own_statements(world).keys() == {KEYS_SID}
    assert world.named_in() == [ROLE]
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_key_that_is_granted_and_a_bucket_that_is_taken_back_are_two_writes_and_both_are_told(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.settings = with_key(encrypted(world), grant="bucket-policy", formerGrant="role-policy")
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert sorted(world.writes) == ["PutBucketPolicy", "PutRolePolicy", "PutRolePolicy"]
    assert len(outcome.applied) == 3
    assert own_statements(world).keys() == {KEYS_SID}
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_two_buckets_under_one_key_are_granted_it_once(world: World) -> None:
    other = "anyscale-production-logs"
    world.s3.create_bucket(Bucket=other)
    arn = encrypted(world)
    world.encrypt(arn, bucket=other)
    world.settings = settings(buckets=[{"name": name, "region": "us-east-1", "key": arn} for name in (BUCKET, other)])
    world.create_role(EC2_STATEMENT)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert own_statements(world)[KEYS_SID]["Resource"] == [arn]
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_key_that_waits_for_its_bucket_is_not_told_as_granted_when_the_repair_is_interrupted(world: World) -> None:
    logs = "anyscale-production-logs"
    world.s3.create_bucket(Bucket=logs)
    key = world.create_key()
    world.encrypt(key, bucket=logs)
    world.settings = settings(
        buckets=[{"name": BUCKET, "region": "us-east-1"}, {"name": logs, "region": "us-east-1", "key": key}],
        instanceProfile="repair",
    )
    freeze = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{logs}/*"}
    world.put_bucket_policy(freeze, bucket=logs)
    world.create_role(EC2_STATEMENT, profile=False)
    outcome = world.reconcile(roles=world.disturbed_roles(before_read_instance_profile_2=throttled()))
    assert KEYS_SID not in own_statements(world)
    assert codes(outcome) == [FindingCode.GRANT_MISSING]
    assert FindingCode.KEY_MISSING in codes(world.reconcile())


def test_a_key_policy_that_cannot_be_understood_is_left_to_a_person(world: World) -> None:
    arn = encrypted(world)
    world.kms.put_key_policy(KeyId=arn, PolicyName="default", Policy="not JSON")
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    assert world.reconcile().kind is OutcomeKind.MANUAL_ACTION
    assert world.writes == []
