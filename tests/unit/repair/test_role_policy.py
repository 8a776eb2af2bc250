"""Our own statements, and what stands against writing them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from remediator.core.access.grants import evaluate_grants, evaluate_key
from remediator.core.model.bucket import PublicAccessBlock
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, RolePolicies
from remediator.core.policy.document import PolicyDocument, policy_size, policy_text
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.bucket_policy import (
    bucket_policy_write_blockers,
    granting_bucket_policy,
    is_intact,
    is_turned_into_deny,
    named_roles,
)
from remediator.core.repair.role_policy import (
    OwnGrant,
    granted_by,
    inline_write_blockers,
    own_grant_statements,
    own_policy,
)
from tests.unit.policy.documents import (
    ACCOUNT,
    BOTH,
    BUCKET,
    KEY_ARN,
    OTHER_ACCOUNT,
    ROLE_ARN,
    ROLE_ID,
    allow,
    bucket,
    deny,
    document,
    our_bucket_policy,
    our_bucket_statement,
    our_policy,
    policies,
    role,
    trust,
    upserted,
)


def with_inline(*named: tuple[str, PolicyDocument]) -> RolePolicies:
    return RolePolicies(Present(tuple(InlinePolicy(name, Present(each)) for name, each in named)), Present(()))


def test_our_statements_name_buckets_and_objects_apart() -> None:
    on_buckets, on_objects = own_grant_statements(("b", "a", "b"), "aws-us-gov")
    assert on_buckets == {
        "Sid": "AnyscaleRemediatorBucket",
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"],
        "Resource": ["arn:aws-us-gov:s3:::a", "arn:aws-us-gov:s3:::b"],
    }
    assert on_objects["Sid"] == "AnyscaleRemediatorObjects"
    assert on_objects["Resource"] == ["arn:aws-us-gov:s3:::a/*", "arn:aws-us-gov:s3:::b/*"]
    assert on_objects["Action"] == [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ]


def test_our_policy_grants_what_a_cluster_needs() -> None:
    ours = our_policy(Absent(), BUCKET)
    assert ours.faults == ()
    assert {each.verdict for each in evaluate_grants(role(), policies(ours), bucket())} == {"allowed"}
    assert our_policy(Present(ours), BUCKET).raw == ours.raw


def test_foreign_statements_in_our_policy_stay() -> None:
    foreign = deny(Sid="Somebody", Action="s3:DeleteObject")
    before = upserted(document(foreign), own_grant_statements(("old",), "aws"))
    after = our_policy(Present(before), "old", "new")
    assert after.raw["Statement"] == [foreign, *own_grant_statements(("new", "old"), "aws")]


def test_a_policy_that_could_not_be_read_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="access denied"):
        own_policy(Unreadable("access denied"), OwnGrant.of((BUCKET,)), "aws")


def test_the_buckets_of_our_own_statements_are_read_back() -> None:
    ours = our_policy(Absent(), "b", "a")
    assert granted_by(ours, "aws").buckets == ("a", "b")
    assert granted_by(ours, "aws-cn") == OwnGrant()
    foreign = document(allow(Sid="Somebody"), {**allow(), "Sid": "AnyscaleRemediatorBucket", "Resource": "*"})
    assert granted_by(foreign, "aws") == OwnGrant()
    on_buckets, on_objects = own_grant_statements(("a",), "aws")
    negated = {key: value for key, value in on_objects.items() if key != "Resource"} | {
        "NotResource": ["arn:aws:s3:::b"]
    }
    assert granted_by(document(negated), "aws") == OwnGrant()
    assert granted_by(document(negated, on_buckets), "aws") == OwnGrant(("a",))


def test_all_inline_policies_count_together_and_our_old_one_does_not() -> None:
    ours = our_policy(Absent(), BUCKET)
    other = document(allow(Sid="S" * 9_000))
    total = policy_size(ours) + policy_size(other)
    held = with_inline((OWN_POLICY_NAME, ours), ("other", other))
    assert inline_write_blockers(role(), held, ours, quota=total) == ()
    assert [each.code for each in inline_write_blockers(role(), held, ours, quota=total - 1)] == ["quota"]
    two = with_inline(("one", other), ("two", document(allow(Sid="S" * 1_000))))
    assert "quota is 10,240" in str(inline_write_blockers(role(), two, ours)[0])


def test_an_own_policy_that_is_faulty_or_unread_is_not_written() -> None:
    ours = our_policy(Absent(), BUCKET)
    faulty = with_inline((OWN_POLICY_NAME, document(allow(Effect="allow"))))
    assert [each.code for each in inline_write_blockers(role(), faulty, ours)] == ["faults"]
    unread = RolePolicies(Present((InlinePolicy(OWN_POLICY_NAME, Unreadable("x")),)), Present(()))
    assert [each.code for each in inline_write_blockers(role(), unread, ours)] == ["unread"]
    assert [each.code for each in inline_write_blockers(role(), RolePolicies(Unreadable("x"), Absent()), ours)] == [
        "unread"
    ]
    assert inline_write_blockers(role(), RolePolicies(Absent(), Absent()), ours) == ()


def test_a_policy_that_is_gone_by_now_and_another_one_that_could_not_be_read_are_no_blockers() -> None:
    ours = our_policy(Absent(), BUCKET)
    for each in (InlinePolicy(OWN_POLICY_NAME, Absent()), InlinePolicy("theirs", Unreadable("x"))):
        held = RolePolicies(Present((each, InlinePolicy("other", Present(ours)))), Present(()))
        assert inline_write_blockers(role(), held, ours, quota=2 * policy_size(ours)) == ()
        codes = [each.code for each in inline_write_blockers(role(), held, ours, quota=2 * policy_size(ours) - 1)]
        assert codes == ["quota"]


def test_another_faulty_policy_is_no_blocker() -> None:
    ours = our_policy(Absent(), BUCKET)
    assert inline_write_blockers(role(), with_inline(("theirs", document(allow(Effect="allow")))), ours) == ()


def bucket_codes(after: PolicyDocument, **given: Any) -> list[str]:
    return [each.code for each in bucket_policy_write_blockers(role(), bucket(**given), after)]


OTHER_ROLE_ARN = f"{ROLE_ARN}-2"


def test_our_statement_in_a_bucket_policy_grants_the_roles_that_it_names_and_no_other() -> None:
    foreign = deny(Principal="*", Action="s3:PutBucketAcl")
    policy = our_bucket_policy(Present(document(foreign)), ROLE_ARN)
    assert policy.faults == ()
    assert policy.raw["Statement"][0] == foreign  # type: ignore[index]  # a list
    assert {each.verdict for each in evaluate_grants(role(), policies(), bucket(policy))} == {"allowed"}
    other = dataclasses.replace(role(arn=OTHER_ROLE_ARN), role_id="AROAEXAMPLECLUSTER002")
    assert {each.verdict for each in evaluate_grants(other, policies(), bucket(policy))} == {"missing"}
    both = our_bucket_policy(Present(policy), ROLE_ARN, OTHER_ROLE_ARN)
    assert len(both.statements) == 2
    assert {each.verdict for each in evaluate_grants(other, policies(), bucket(both))} == {"allowed"}
    assert named_roles(both, ACCOUNT) == {ROLE_ARN, OTHER_ROLE_ARN}
    assert our_bucket_policy(Present(both), OTHER_ROLE_ARN, ROLE_ARN).raw == both.raw


@pytest.mark.parametrize("roles", [(), (ROLE_ARN,)])
def test_a_bucket_policy_that_could_not_be_read_is_not_written_over(roles: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"{BUCKET} must not be written over .*: access denied"):
        granting_bucket_policy(Unreadable("access denied"), BUCKET, roles, "aws")


def test_without_roles_our_statement_goes_and_an_empty_policy_with_it() -> None:
    ours = our_bucket_policy(Absent(), ROLE_ARN)
    assert granting_bucket_policy(Present(ours), BUCKET, (), "aws") is None
    assert granting_bucket_policy(Absent(), BUCKET, (), "aws") is None
    foreign = allow(Sid="Theirs", Principal={"AWS": ACCOUNT})
    mixed = our_bucket_policy(Present(document(foreign)), ROLE_ARN)
    left = granting_bucket_policy(Present(mixed), BUCKET, (), "aws")
    assert left is not None
    assert left.raw["Statement"] == [foreign]


def test_only_roles_of_the_account_are_named_by_our_statement() -> None:
    names = [
        ROLE_ARN,
        ROLE_ID,
        "AROAOLDOLDOLDOLDOLD01",
        "*",
        f"arn:aws:iam::{ACCOUNT}:user/alice",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{OTHER_ACCOUNT}:role/anyscale/cluster",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/cluster/i-1",
    ]
    policy = document({**our_bucket_statement(), "Principal": {"AWS": names}})
    assert named_roles(policy, ACCOUNT) == {ROLE_ARN}
    assert not is_intact(policy, BUCKET, role().arn)


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"AWS": ROLE_ARN}},
        {"Resource": list(reversed(BOTH))},
        {"Action": list(reversed(our_bucket_statement()["Action"]))},
    ],
)
def test_another_spelling_of_our_statement_is_intact(change: Any) -> None:
    assert is_intact(document({**our_bucket_statement(), **change}), BUCKET, role().arn)


@pytest.mark.parametrize(
    "change",
    [
        {"Action": ["s3:GetObject"]},
        {"Action": "s3:*"},
        {"Resource": [*BOTH, "arn:aws:s3:::other"]},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Principal": "*"},
        {"Principal": {"AWS": [ROLE_ARN], "Service": "ec2.amazonaws.com"}},
    ],
)
def test_another_meaning_of_our_statement_is_not_intact(change: Any) -> None:
    assert not is_intact(document({**our_bucket_statement(), **change}), BUCKET, role().arn)


def test_a_bucket_policy_without_our_statement_has_nothing_of_ours_that_could_be_changed() -> None:
    assert is_intact(document(allow(Sid="Theirs", Principal="*")), BUCKET, role().arn)
    assert is_intact(document(), BUCKET, role().arn)
    twice = document(our_bucket_statement(), our_bucket_statement())
    assert not is_intact(twice, BUCKET, role().arn)


def test_a_deny_under_our_sid_is_somebody_elses() -> None:
    denied = document({**our_bucket_statement(), "Effect": "Deny"})
    assert is_turned_into_deny(denied)
    assert bucket_codes(our_bucket_policy(Present(denied), ROLE_ARN), policy=denied) == ["denied"]


def test_the_key_statement_lets_keys_be_used_through_s3_alone() -> None:
    ours = our_policy(Absent(), keys=(KEY_ARN,))
    (statement,) = ours.statements
    assert statement.sid == "AnyscaleRemediatorKeys"
    assert granted_by(ours, "aws") == OwnGrant((), (KEY_ARN,))
    delegating = document(allow(Principal={"AWS": ACCOUNT}, Action="kms:*", Resource="*"))
    of = bucket(key_policy=delegating)
    assert {each.verdict for each in evaluate_key(role(), policies(), of)} == {"missing"}
    assert {each.verdict for each in evaluate_key(role(), policies(ours), of)} == {"allowed"}
    elsewhere = dataclasses.replace(of, region="eu-west-1")
    assert {each.verdict for each in evaluate_key(role(), policies(ours), elsewhere)} == {"missing"}


def test_what_is_no_longer_wanted_goes_from_our_policy_and_what_others_wrote_stays() -> None:
    foreign = allow(Sid="Somebody", Action="s3:ListAllMyBuckets", Resource="*")
    both = our_policy(Present(document(foreign)), BUCKET, keys=(KEY_ARN,))
    keys_only = our_policy(Present(both), keys=(KEY_ARN,))
    assert [each.sid for each in keys_only.statements] == ["Somebody", "AnyscaleRemediatorKeys"]
    nothing = own_policy(Present(both), OwnGrant(), "aws")
    assert nothing is not None
    assert nothing.raw["Statement"] == [foreign]
    assert own_policy(Present(our_policy(Absent(), BUCKET)), OwnGrant(), "aws") is None


def test_a_service_linked_role_is_a_blocker_for_our_policy_too() -> None:
    linked = role(arn=f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/Linked")
    codes = [each.code for each in inline_write_blockers(linked, policies(), our_policy(Absent(), BUCKET))]
    assert codes == ["unmodifiable"]


def test_what_s3_would_refuse_is_a_blocker() -> None:
    ours = (our_bucket_statement(),)
    fine = document(*ours)
    assert bucket_codes(fine) == []
    assert bucket_codes(fine, account=OTHER_ACCOUNT) == ["other-account"]
    stale = document(allow(Principal={"AWS": ["AIDAOLDOLDOLDOLDOLD01"]}), *ours)
    assert bucket_codes(stale) == ["stale-principal"]
    assert bucket_codes(document(allow(Principal={"AWS": ROLE_ID}), *ours)) == []
    public = document(allow(Sid="World", Principal="*", Action="s3:GetObject"), *ours)
    assert bucket_codes(public) == []
    assert bucket_codes(public, block=PublicAccessBlock(block_public_policy=True)) == ["public"]
    assert bucket_codes(fine, policy=document(trust(Effect="allow"))) == ["faults"]
    assert bucket_codes(document(*ours, allow(Principal="*", Sid="é" * 10_240))) == ["quota"]
    unread = dataclasses.replace(bucket(), policy=Unreadable("denied"))
    assert [each.code for each in bucket_policy_write_blockers(role(), unread, fine)] == ["unread"]


def test_a_bucket_policy_with_faults_is_named_at_the_head_of_the_sentence() -> None:
    faulty = bucket(document(trust(Effect="allow")))
    (blocker,) = bucket_policy_write_blockers(role(), faulty, document(our_bucket_statement()))
    assert blocker.text.startswith("The bucket policy must not be rewritten, because it breaks the grammar: ")


def test_a_bucket_policy_that_fits_exactly_is_written() -> None:
    fine = document(our_bucket_statement())
    size = len(policy_text(fine).encode())
    for quota, expected in ((size, []), (size - 1, ["quota"])):
        assert [each.code for each in bucket_policy_write_blockers(role(), bucket(), fine, quota)] == expected


def test_resources_of_ours_are_lists_even_of_one() -> None:
    assert own_grant_statements((BUCKET,), "aws")[0]["Resource"] == BOTH[:1]
