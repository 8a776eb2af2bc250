"""Our own statements, and what stands against writing them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from remediator.core.grants import (
    OWN_POLICY_NAME,
    attach_obstacles,
    bucket_policy_statements,
    bucket_policy_write_obstacles,
    buckets_granted_by,
    inline_write_obstacles,
    judge_grants,
    own_grant_statements,
    own_policy,
)
from remediator.core.policy.document import PolicyDocument, policy_size
from remediator.core.policy.edit import upsert_statements
from remediator.core.reading import Absent, Present, Unreadable
from remediator.core.state import InlinePolicy, ManagedPolicy, PublicAccessBlock, RolePolicies
from tests.unit.policy.documents import (
    BOTH,
    BUCKET,
    OTHER_ACCOUNT,
    ROLE_ARN,
    ROLE_ID,
    allow,
    bucket,
    deny,
    document,
    policies,
    role,
    trust,
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
    ours = own_policy(Absent(), (BUCKET,), "aws")
    assert ours.faults == ()
    assert {each.verdict for each in judge_grants(role(), policies(ours), bucket())} == {"allowed"}
    assert own_policy(Present(ours), (BUCKET,), "aws").raw == ours.raw


def test_foreign_statements_in_our_policy_stay() -> None:
    foreign = deny(Sid="Somebody", Action="s3:DeleteObject")
    before = upsert_statements(document(foreign), own_grant_statements(("old",), "aws"))
    after = own_policy(Present(before), ("old", "new"), "aws")
    assert after.raw["Statement"] == [foreign, *own_grant_statements(("new", "old"), "aws")]


def test_a_policy_that_could_not_be_read_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="access denied"):
        own_policy(Unreadable("access denied"), (BUCKET,), "aws")


def test_the_buckets_of_our_own_statements_are_read_back() -> None:
    ours = own_policy(Absent(), ("b", "a"), "aws")
    assert buckets_granted_by(ours, "aws") == ("a", "b")
    assert buckets_granted_by(ours, "aws-cn") == ()
    foreign = document(allow(Sid="Somebody"), {**allow(), "Sid": "AnyscaleRemediatorBucket", "Resource": "*"})
    assert buckets_granted_by(foreign, "aws") == ()


def test_all_inline_policies_count_together_and_our_old_one_does_not() -> None:
    ours = own_policy(Absent(), (BUCKET,), "aws")
    other = document(allow(Sid="S" * 9_000))
    total = policy_size(ours) + policy_size(other)
    held = with_inline((OWN_POLICY_NAME, ours), ("other", other))
    assert inline_write_obstacles(held, ours, quota=total) == ()
    assert [each.code for each in inline_write_obstacles(held, ours, quota=total - 1)] == ["quota"]
    two = with_inline(("one", other), ("two", document(allow(Sid="S" * 1_000))))
    assert "quota is 10,240" in str(inline_write_obstacles(two, ours)[0])


def test_an_own_policy_that_is_faulty_or_unread_is_not_written() -> None:
    ours = own_policy(Absent(), (BUCKET,), "aws")
    faulty = with_inline((OWN_POLICY_NAME, document(allow(Effect="allow"))))
    assert [each.code for each in inline_write_obstacles(faulty, ours)] == ["faults"]
    unread = RolePolicies(Present((InlinePolicy(OWN_POLICY_NAME, Unreadable("x")),)), Present(()))
    assert [each.code for each in inline_write_obstacles(unread, ours)] == ["unread"]
    assert [each.code for each in inline_write_obstacles(RolePolicies(Unreadable("x"), Absent()), ours)] == ["unread"]
    assert inline_write_obstacles(RolePolicies(Absent(), Absent()), ours) == ()


def test_another_faulty_policy_is_no_obstacle() -> None:
    ours = own_policy(Absent(), (BUCKET,), "aws")
    assert inline_write_obstacles(with_inline(("theirs", document(allow(Effect="allow")))), ours) == ()


def test_ten_managed_policies_are_the_most() -> None:
    attached = tuple(ManagedPolicy(f"arn:aws:iam::aws:policy/P{number}", Absent()) for number in range(10))
    full = RolePolicies(Present(()), Present(attached))
    assert [each.code for each in attach_obstacles(full)] == ["quota"]
    assert attach_obstacles(full, quota=11) == ()
    assert [each.code for each in attach_obstacles(RolePolicies(Absent(), Unreadable("x")))] == ["unread"]


def bucket_codes(after: PolicyDocument, **given: Any) -> list[str]:
    return [each.code for each in bucket_policy_write_obstacles(role(), bucket(**given), after)]


def test_our_statements_in_a_bucket_policy_grant_the_role_alone() -> None:
    statements = bucket_policy_statements(role(), BUCKET)
    policy = upsert_statements(document(deny(Principal="*", Action="s3:PutBucketAcl")), statements)
    assert policy.faults == ()
    assert {each.verdict for each in judge_grants(role(), policies(), bucket(policy))} == {"allowed"}
    other = role(arn=f"{ROLE_ARN}-2")
    other = dataclasses.replace(other, role_id="AROAEXAMPLECLUSTER002")
    assert {each.verdict for each in judge_grants(other, policies(), bucket(policy))} == {"missing"}
    both = upsert_statements(policy, bucket_policy_statements(other, BUCKET))
    assert len(both.statements) == 5
    assert upsert_statements(both, statements).raw == both.raw


def test_what_s3_would_refuse_is_an_obstacle() -> None:
    ours = bucket_policy_statements(role(), BUCKET)
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
    assert [each.code for each in bucket_policy_write_obstacles(role(), unread, fine)] == ["unread"]


def test_resources_of_ours_are_lists_even_of_one() -> None:
    assert own_grant_statements((BUCKET,), "aws")[0]["Resource"] == BOTH[:1]
