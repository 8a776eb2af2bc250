"""What is found about the key of a bucket, and what of it a grant on the role repairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from remediator.core.model.bucket import Bucket, CustomerKey, KeyState
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, RolePolicies
from remediator.core.model.write import DocumentKind
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.keys import keys_of
from remediator.core.repair.permanent_fix import permanent_fix
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.core.repair.role_policy import own_key_statement
from remediator.settings import GrantLocation
from tests.unit.policy.documents import (
    ACCOUNT,
    BUCKET,
    KEY_ARN,
    ROLE_ARN,
    allow,
    bucket,
    deny,
    document,
    our_policy,
    role,
    trust,
)
from tests.writes import after_of

TO_IAM = allow(Sid="Root", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Action="kms:*", Resource="*")
DELEGATING = document(TO_IAM)
DENYING = document(TO_IAM, deny(Principal="*", Action="kms:Decrypt", Resource="*"))
SILENT = document(
    allow(Sid="Admin", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/a"}, Action="kms:Put*", Resource="*")
)


def observed(
    key_policy: Reading[PolicyDocument],
    *,
    state: Reading[KeyState] | None = None,
    encryption: Reading[str | None] | None = None,
    own: PolicyDocument | None = None,
    others: tuple[dict[str, Any], ...] = (allow(),),
    of: Bucket | None = None,
) -> Observed:
    key = CustomerKey(KEY_ARN, key_policy, state or Present(KeyState.ENABLED))
    inline = [InlinePolicy("theirs", Present(document(*others)))] if others else []
    if own is not None:
        inline.append(InlinePolicy(OWN_POLICY_NAME, Present(own)))
    there = replace(of or bucket(), key=key, encryption=encryption)
    return Observed(role(trust()), RolePolicies(Present(tuple(inline)), Present(())), ((BUCKET, Present(there)),))


def looked_at(state: Observed, desired: Desired | None = None) -> tuple[tuple[Finding, ...], RepairPlan]:
    wanted = desired or Desired()
    findings = diagnose(state, None, wanted)
    return findings, plan_repair(state, findings, wanted)


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.code.value, finding.subject) for finding in findings]


def test_a_key_whose_policy_is_not_seen_is_blocked_by_a_deny_of_the_role_and_nothing_is_said_to_help() -> None:
    denying = (allow(), deny(Action="kms:*", Resource="*"))
    findings, plan = looked_at(observed(Unreadable("denied"), others=denying))
    assert codes(findings) == [("key-blocked", KEY_ARN)]
    assert plan.writes == ()


def test_where_the_key_policy_leaves_it_to_iam_the_role_is_granted_the_key() -> None:
    findings, plan = looked_at(observed(Present(DELEGATING)))
    assert codes(findings) == [("key-missing", KEY_ARN)]
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.INLINE_POLICY
    assert step.after is not None
    assert raw_statements(after_of(step)) == (own_key_statement((KEY_ARN,), "aws"),)
    assert looked_at(observed(Present(DELEGATING), own=after_of(step))) == ((), RepairPlan((), ()))


def test_bucket_and_key_are_granted_by_one_write() -> None:
    findings, plan = looked_at(observed(Present(DELEGATING), others=()))
    assert codes(findings) == [("grant-missing", BUCKET), ("key-missing", KEY_ARN)]
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.INLINE_POLICY
    assert step.after is not None
    assert [each.sid for each in after_of(step).statements] == [
        "AnyscaleRemediatorBucket",
        "AnyscaleRemediatorObjects",
        "AnyscaleRemediatorKeys",
    ]


def test_a_cloud_that_grants_on_the_bucket_still_grants_the_key_on_the_role() -> None:
    desired = Desired(GrantLocation.BUCKET_POLICY, writes_bucket_policies=True)
    _, plan = looked_at(observed(Present(DELEGATING), own=our_policy(Absent(), BUCKET), others=()), desired)
    own = next(step for step in plan.writes if step.document.kind is DocumentKind.INLINE_POLICY)
    assert own.after is not None
    assert len(after_of(own).statements) == 3  # the buckets stay until the bucket's side is seen to grant
    (removal,) = plan.removals
    assert removal.document.kind is DocumentKind.INLINE_POLICY
    assert removal.before == own.after
    assert removal.after is not None
    assert raw_statements(after_of(removal)) == (own_key_statement((KEY_ARN,), "aws"),)


def test_a_key_policy_that_leaves_nothing_to_iam_is_told_with_the_statement_that_it_needs() -> None:
    findings, plan = looked_at(observed(Present(SILENT)))
    assert codes(findings) == [("key-beyond-role", KEY_ARN)]
    assert plan.writes == ()
    fix = permanent_fix(ROLE_ARN, findings, (BUCKET,))
    assert fix is not None
    for text in (fix.terraform, fix.cloudformation):
        assert KEY_ARN in text
        assert ROLE_ARN in text
        assert "kms:GenerateDataKey" in text


@pytest.mark.parametrize(
    ("key_policy", "code"),
    [
        (Present(DENYING), "key-blocked"),
        (Unreadable("denied"), "key-undecided"),
    ],
)
def test_what_an_allow_does_not_help_is_for_a_person(key_policy: Reading[PolicyDocument], code: str) -> None:
    findings, plan = looked_at(observed(key_policy))
    assert codes(findings) == [(code, KEY_ARN)]
    assert plan.writes == ()


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (Present(KeyState.DISABLED), "key-unusable"),
        (Present(KeyState.PENDING_DELETION), "key-unusable"),
        (Present(KeyState.UNAVAILABLE), "key-unusable"),
        (Absent(), "key-unusable"),
        (Unreadable("denied"), "key-undecided"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_before_anything_is_granted_on_it(
    state: Reading[KeyState], code: str
) -> None:
    findings, plan = looked_at(observed(Present(DELEGATING), state=state))
    assert codes(findings) == [(code, KEY_ARN)]
    assert plan.writes == ()


@pytest.mark.parametrize(
    ("encryption", "code"),
    [
        (Present(KEY_ARN), None),
        (Present(None), None),
        (Present(KEY_ARN.replace("1234abcd", "99999999")), "key-unknown"),
        (Present("alias/somebody-elses"), "key-unknown"),
        (Unreadable("denied"), "key-undecided"),
    ],
)
def test_a_bucket_that_turns_to_another_key_is_told(encryption: Reading[str | None], code: str | None) -> None:
    own = our_policy(Absent(), BUCKET, keys=(KEY_ARN,))
    findings, plan = looked_at(observed(Present(DELEGATING), encryption=encryption, own=own))
    assert codes(findings) == ([] if code is None else [(code, f"encryption of {BUCKET}")])
    assert plan.writes == ()


def test_a_bucket_with_a_customers_key_that_is_not_configured_is_told() -> None:
    there = replace(bucket(), encryption=Present(KEY_ARN))
    state = replace(observed(Present(DELEGATING)), buckets=((BUCKET, Present(there)),))
    findings, _ = looked_at(state)
    assert codes(findings) == [("key-unknown", f"encryption of {BUCKET}")]


def test_the_key_of_a_blocked_bucket_waits_for_the_person_who_looks_at_the_bucket() -> None:
    blocked = bucket(document(deny(Principal="*")))
    findings, plan = looked_at(observed(Present(DELEGATING), of=blocked))
    assert [finding.code for finding in findings] == [FindingCode.GRANT_BLOCKED, FindingCode.KEY_MISSING]
    assert plan.writes == ()
    assert "requires an operator first" in plan.blocked[0].because[0]


def test_a_key_is_granted_as_soon_as_one_of_its_buckets_can_be_used() -> None:
    state = observed(Present(DELEGATING))
    ((_, there),) = state.buckets
    assert isinstance(there, Present)
    shut = Present(replace(there.value, name="shut", policy=Present(document(deny(Principal="*", Resource="*")))))
    findings, plan = looked_at(replace(state, buckets=(("data-bucket", there), ("shut", shut))))
    assert ("key-missing", KEY_ARN) in codes(findings)
    assert [each.finding.code.value for each in plan.blocked] == []
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.INLINE_POLICY


def test_a_deny_in_our_policy_under_the_sid_of_the_key_is_never_removed() -> None:
    denied: Any = {**own_key_statement((KEY_ARN,), "aws"), "Effect": "Deny"}
    findings, plan = looked_at(observed(Present(DELEGATING), own=document(denied)))
    assert [finding.code for finding in findings] == [FindingCode.KEY_BLOCKED]
    assert plan.writes == ()


def test_a_key_of_several_buckets_is_told_once_and_keys_are_told_by_their_arns() -> None:
    later = CustomerKey(KEY_ARN.replace("1234abcd", "99999999"), Present(DELEGATING))
    earlier = CustomerKey(KEY_ARN, Present(DELEGATING))
    buckets = tuple(
        (name, Present(replace(bucket(), name=name, key=key)))
        for name, key in (("a", later), ("b", earlier), ("c", later), ("d", None))
    )
    state = replace(observed(Present(DELEGATING), others=(allow(Resource="*"),)), buckets=buckets)
    assert [(key.arn, [each.name for each in of]) for key, of in keys_of(state)] == [
        (earlier.arn, ["b"]),
        (later.arn, ["a", "c"]),
    ]
    findings, plan = looked_at(state)
    assert codes(findings) == [("key-missing", earlier.arn), ("key-missing", later.arn)]
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.INLINE_POLICY
    assert step.after is not None
    assert raw_statements(after_of(step)) == (own_key_statement((earlier.arn, later.arn), "aws"),)
