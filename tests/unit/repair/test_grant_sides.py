"""Where a missing grant is put, and how a cloud goes over from one side to the other without a gap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from remediator.core.access.actions import (
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import OWN_POLICY_SUBJECT, BlockedRepair, Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, RolePolicies
from remediator.core.model.write import DocumentKind
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.bucket_policy import named_roles
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.core.repair.role_policy import own_grant_statements, own_key_statement
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
    our_bucket_policy,
    our_bucket_statement,
    our_policy,
    role,
    trust,
)
from tests.writes import after_of, inline_write

ON_BUCKET = Desired(GrantLocation.BUCKET_POLICY, writes_bucket_policies=True)
ON_ROLE = Desired(GrantLocation.ROLE_POLICY)
BACK_TO_ROLE = Desired(GrantLocation.ROLE_POLICY, writes_bucket_policies=True)
OTHER_ROLE_ARN = f"{ROLE_ARN}-2"
DELETED = "AROAOLDOLDOLDOLDOLD01"
FOREIGN = allow(Sid="Theirs", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}, Action="s3:GetObject")


def observed(
    policy: PolicyDocument | None = None, *, own: PolicyDocument | None = None, others: tuple[PolicyDocument, ...] = ()
) -> Observed:
    """A role that EC2 may assume, with our inline policy or without, and others' policies beside it."""
    inline = [InlinePolicy(f"p{number}", Present(each)) for number, each in enumerate(others)]
    if own is not None:
        inline.append(InlinePolicy(OWN_POLICY_NAME, Present(own)))
    policies = RolePolicies(Present(tuple(inline)), Present(()))
    return Observed(role(trust()), policies, ((BUCKET, Present(bucket(policy))),))


def looked_at(state: Observed, desired: Desired) -> tuple[tuple[Finding, ...], RepairPlan]:
    findings = diagnose(state, None, desired)
    return findings, plan_repair(state, findings, desired)


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.code.value, finding.subject) for finding in findings]


@pytest.mark.parametrize("before", [None, document(FOREIGN), document(deny(Principal="*", Action="s3:PutBucketAcl"))])
def test_on_the_buckets_side_one_statement_names_the_role_and_all_else_stays(before: PolicyDocument | None) -> None:
    findings, plan = looked_at(observed(before), ON_BUCKET)
    assert codes(findings) == [("grant-missing", BUCKET)]
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.after is not None
    assert (step.document.name, step.document.account, step.document.region) == (BUCKET, ACCOUNT, "us-west-2")
    foreign = () if before is None else raw_statements(before)
    assert raw_statements(after_of(step)) == (*foreign, our_bucket_statement())
    assert looked_at(observed(after_of(step)), ON_BUCKET) == ((), RepairPlan((), ()))


def test_further_roles_join_the_statement_in_its_place() -> None:
    before = document(our_bucket_statement(OTHER_ROLE_ARN), FOREIGN)
    _, plan = looked_at(observed(before), ON_BUCKET)
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.after is not None
    assert raw_statements(after_of(step)) == (our_bucket_statement(ROLE_ARN, OTHER_ROLE_ARN), FOREIGN)


def test_a_role_that_was_deleted_is_dropped_from_our_statement() -> None:
    stale = document({**our_bucket_statement(ROLE_ARN), "Principal": {"AWS": [DELETED, ROLE_ARN]}})
    findings, plan = looked_at(observed(stale), ON_BUCKET)
    assert codes(findings) == [("grant-altered", f"bucket policy of {BUCKET}")]
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.after is not None
    assert raw_statements(after_of(step)) == (our_bucket_statement(ROLE_ARN),)


def test_what_a_cluster_requires_is_found_to_be_missing_and_what_it_only_wants_is_not() -> None:
    required = [*REQUIRED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS]
    assert diagnose(observed(others=(document(allow(Action=required)),)), None, ON_ROLE) == ()
    wanted = [*WANTED_OBJECT_ACTIONS, *WANTED_BUCKET_ACTIONS]
    (finding,) = diagnose(observed(others=(document(allow(Action=wanted)),)), None, ON_ROLE)
    assert set(finding.actions) == set(required)


def test_a_role_that_others_grant_the_bucket_does_not_join_our_statement_when_that_is_restored() -> None:
    altered = document({**our_bucket_statement(OTHER_ROLE_ARN), "Condition": {"Bool": {"aws:SecureTransport": "true"}}})
    _, plan = looked_at(observed(altered, others=(document(allow()),)), ON_BUCKET)
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.after is not None
    assert named_roles(after_of(step), ACCOUNT) == {OTHER_ROLE_ARN}


def test_a_role_that_was_deleted_is_not_dropped_from_anybody_elses_statement() -> None:
    theirs = allow(Sid="Theirs", Principal={"AWS": DELETED}, Action="s3:GetObject")
    findings, plan = looked_at(observed(document(theirs)), ON_BUCKET)
    assert codes(findings) == [("grant-missing", BUCKET)]
    assert plan.writes == ()
    assert plan.blocked[0].because[0].startswith(f"Statement `Theirs` of the bucket policy names {DELETED}, the id of ")


def test_what_the_organisation_does_not_allow_is_for_a_person() -> None:
    state = observed(others=(document(allow()),))
    assert diagnose(state, EvaluationContext()) == ()
    shut = EvaluationContext(service_control_policies=((document(allow(Action="ec2:*", Resource="*")),),))
    assert codes(diagnose(state, shut)) == [("grant-blocked", BUCKET)]


def test_a_policy_that_could_not_be_read_is_not_written() -> None:
    state = observed()
    unread = replace(state, buckets=((BUCKET, Present(replace(bucket(), policy=Unreadable("denied")))),))
    findings, plan = looked_at(unread, ON_BUCKET)
    assert codes(findings) == [("grant-undecided", BUCKET)]
    assert plan == RepairPlan((), ())


def test_where_20_kilobytes_are_full_the_way_out_is_told() -> None:
    names = tuple(f"arn:aws:iam::{ACCOUNT}:role/anyscale/{number:04}-{'n' * 40}" for number in range(250))
    _, plan = looked_at(observed(our_bucket_policy(Absent(), *names)), ON_BUCKET)
    assert plan.writes == ()
    assert "20,480" in plan.blocked[0].because[0]
    assert "role-policy" in plan.blocked[0].to_do[0]


def test_two_hundred_roles_fit_into_one_statement() -> None:
    names = tuple(f"arn:aws:iam::{ACCOUNT}:role/anyscale/production/cluster-node-{number:03}" for number in range(200))
    _, plan = looked_at(observed(our_bucket_policy(Absent(), *names)), ON_BUCKET)
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.after is not None
    assert named_roles(after_of(step), ACCOUNT) == {*names, ROLE_ARN}


def test_going_over_to_the_bucket_adds_there_first_and_then_takes_our_policy_back() -> None:
    state = observed(own=our_policy(Absent(), BUCKET))
    findings, plan = looked_at(state, ON_BUCKET)
    assert codes(findings) == [("grant-missing", BUCKET), ("grant-leftover", f"inline policy {OWN_POLICY_NAME}")]
    assert [step.document.kind for step in plan.writes] == [DocumentKind.BUCKET_POLICY]
    assert plan.removals == (inline_write(OWN_POLICY_NAME, our_policy(Absent(), BUCKET), None),)


def test_what_somebody_put_into_our_policy_stays_when_ours_is_taken_back() -> None:
    foreign = allow(Sid="Somebody", Action="ec2:DescribeInstances", Resource="*")
    own = our_policy(Present(document(foreign)), BUCKET)
    _, plan = looked_at(observed(our_bucket_policy(Absent(), ROLE_ARN), own=own), ON_BUCKET)
    assert plan.writes == ()
    (removal,) = plan.removals
    assert removal.document.kind is DocumentKind.INLINE_POLICY
    assert removal.after is not None
    assert raw_statements(after_of(removal)) == (foreign,)


def test_a_grant_of_somebody_else_lets_ours_be_taken_back_without_a_new_one() -> None:
    state = observed(own=our_policy(Absent(), BUCKET), others=(document(allow()),))
    findings, plan = looked_at(state, ON_BUCKET)
    assert codes(findings) == [("grant-leftover", f"inline policy {OWN_POLICY_NAME}")]
    assert plan.writes == ()
    assert len(plan.removals) == 1


def test_our_policy_stays_where_the_bucket_cannot_be_granted() -> None:
    theirs = allow(Sid="Theirs", Principal={"AWS": DELETED}, Action="s3:GetObject")
    findings, plan = looked_at(observed(document(theirs), own=our_policy(Absent(), BUCKET)), ON_BUCKET)
    assert codes(findings) == [("grant-missing", BUCKET), ("grant-leftover", f"inline policy {OWN_POLICY_NAME}")]
    assert plan.writes == plan.removals == ()
    assert [each.finding.code for each in plan.blocked] == [FindingCode.GRANT_MISSING, FindingCode.GRANT_LEFTOVER]
    assert "does not yet" in plan.blocked[1].because[0]


def test_going_back_to_the_role_adds_there_first_and_then_takes_the_role_out_of_our_statement() -> None:
    state = observed(our_bucket_policy(Present(document(FOREIGN)), ROLE_ARN, OTHER_ROLE_ARN))
    findings, plan = looked_at(state, BACK_TO_ROLE)
    assert codes(findings) == [("grant-missing", BUCKET), ("grant-leftover", f"bucket policy of {BUCKET}")]
    assert [step.document.kind for step in plan.writes] == [DocumentKind.INLINE_POLICY]
    (removal,) = plan.removals
    assert removal.document.kind is DocumentKind.BUCKET_POLICY
    assert removal.after is not None
    assert raw_statements(after_of(removal)) == (FOREIGN, our_bucket_statement(OTHER_ROLE_ARN))


def test_the_last_role_takes_our_statement_with_it_and_an_empty_policy_too() -> None:
    _, plan = looked_at(observed(our_bucket_policy(Absent(), ROLE_ARN), own=our_policy(Absent(), BUCKET)), BACK_TO_ROLE)
    (removal,) = plan.removals
    assert removal.document.kind is DocumentKind.BUCKET_POLICY
    assert removal.after is None


def test_our_statement_stays_where_the_role_cannot_be_granted() -> None:
    full = document(allow(Sid="S" * 10_000, Action="ec2:*", Resource="*"))
    state = observed(our_bucket_policy(Absent(), ROLE_ARN), others=(full,))
    findings, plan = looked_at(state, BACK_TO_ROLE)
    assert codes(findings) == [("grant-missing", BUCKET), ("grant-leftover", f"bucket policy of {BUCKET}")]
    assert plan.writes == plan.removals == ()
    assert "does not yet" in plan.blocked[1].because[0]


def test_without_the_permission_to_write_the_bucket_the_leftover_is_told_and_the_grant_counts() -> None:
    findings, plan = looked_at(observed(our_bucket_policy(Absent(), ROLE_ARN)), ON_ROLE)
    assert codes(findings) == [("grant-leftover", f"bucket policy of {BUCKET}")]
    assert plan.writes == plan.removals == ()
    assert "formerGrant" in plan.blocked[0].because[0]


@pytest.mark.parametrize("effect", ["Deny"])
def test_a_deny_under_our_sid_is_never_touched_on_either_side(effect: str) -> None:
    changed: Any = {**our_bucket_statement(), "Effect": effect}
    for desired in (ON_BUCKET, BACK_TO_ROLE):
        findings, plan = looked_at(observed(document(changed), own=our_policy(Absent(), BUCKET)), desired)
        assert FindingCode.GRANT_BLOCKED in {finding.code for finding in findings}
        assert plan.writes == plan.removals == ()


def test_a_bucket_that_everybody_may_read_is_neither_opened_nor_closed() -> None:
    world = allow(Sid="World", Principal="*", Action="s3:GetObject")
    _, plan = looked_at(observed(document(world)), ON_BUCKET)
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.after is not None
    assert raw_statements(after_of(step))[0] == world


@pytest.mark.parametrize("own", [None, our_policy(Absent(), BUCKET)])
def test_a_statement_of_ours_that_was_opened_to_everybody_is_restored_and_names_the_role(
    own: PolicyDocument | None,
) -> None:
    opened = document({**our_bucket_statement(OTHER_ROLE_ARN), "Principal": "*"})
    findings, plan = looked_at(observed(opened, own=own), ON_BUCKET)
    assert ("grant-altered", f"bucket policy of {BUCKET}") in codes(findings)
    (step,) = plan.writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.after is not None
    assert raw_statements(after_of(step)) == (our_bucket_statement(ROLE_ARN),)


@pytest.mark.parametrize(
    "finding",
    [
        Finding(FindingCode.GRANT_MISSING, BUCKET),
        Finding(FindingCode.GRANT_ALTERED, f"bucket policy of {BUCKET}"),
    ],
)
def test_what_was_found_earlier_is_withheld_where_the_bucket_policy_cannot_be_read_any_more(finding: Finding) -> None:
    unread = replace(observed(), buckets=((BUCKET, Present(replace(bucket(), policy=Unreadable("denied")))),))
    because = "The bucket policy could not be read: denied"
    assert plan_repair(unread, (finding,), ON_BUCKET) == RepairPlan((), (BlockedRepair(finding, (because,)),))


@pytest.mark.parametrize("own", [None, Unreadable("denied")])
def test_our_policy_that_was_left_over_earlier_and_is_not_seen_any_more_is_not_taken_back(
    own: Unreadable | None,
) -> None:
    state = observed(our_bucket_policy(Absent(), ROLE_ARN))
    inline = () if own is None else (InlinePolicy(OWN_POLICY_NAME, own),)
    state = replace(state, policies=replace(state.policies, inline=Present(inline)))
    leftover = Finding(FindingCode.GRANT_LEFTOVER, OWN_POLICY_SUBJECT)
    because = "what the remediator's policy should say is unknown"
    assert plan_repair(state, (leftover,), ON_BUCKET) == RepairPlan((), (BlockedRepair(leftover, (because,)),))


def test_our_policy_is_not_taken_back_where_somebody_has_made_a_deny_of_one_of_its_statements() -> None:
    denied: Any = {**own_key_statement((KEY_ARN,), "aws"), "Effect": "Deny"}
    own = document(*own_grant_statements((BUCKET,), "aws"), denied)
    findings, plan = looked_at(observed(our_bucket_policy(Absent(), ROLE_ARN), own=own), ON_BUCKET)
    assert codes(findings) == [("grant-leftover", OWN_POLICY_SUBJECT)]
    assert plan.writes == plan.removals == ()
    (blocked,) = plan.blocked
    assert blocked.finding == findings[0]
    assert "a Deny is never removed" in blocked.because[0]


def test_our_statement_that_was_altered_earlier_is_written_anew_where_the_bucket_policy_is_gone_by_now() -> None:
    altered = Finding(FindingCode.GRANT_ALTERED, f"bucket policy of {BUCKET}")
    (step,) = plan_repair(observed(others=(document(allow()),)), (altered,), ON_BUCKET).writes
    assert step.document.kind is DocumentKind.BUCKET_POLICY
    assert step.before is None
    assert step.after is not None
    assert raw_statements(after_of(step)) == (our_bucket_statement(ROLE_ARN),)


@pytest.mark.parametrize("desired", [ON_BUCKET, ON_ROLE, BACK_TO_ROLE])
@pytest.mark.parametrize(
    ("reading", "code", "because"),
    [(Absent(), "bucket-absent", ()), (Unreadable("denied"), "bucket-unreadable", ("denied",))],
)
def test_a_bucket_that_is_not_seen_is_for_a_person_on_either_side(
    desired: Desired, reading: Absent | Unreadable, code: str, because: tuple[str, ...]
) -> None:
    findings, plan = looked_at(replace(observed(), buckets=((BUCKET, reading),)), desired)
    assert codes(findings) == [(code, BUCKET)]
    assert findings[0].because == because
    assert plan == RepairPlan((), ())


def test_our_policy_that_somebody_has_widened_is_put_back_as_we_write_it() -> None:
    ours = our_policy(Absent(), BUCKET)
    on_bucket, on_objects = own_grant_statements((BUCKET,), "aws")
    widened = document({**on_bucket, "Action": "s3:*"}, on_objects)
    findings, plan = looked_at(observed(own=widened), ON_ROLE)
    assert codes(findings) == [("grant-altered", OWN_POLICY_SUBJECT)]
    assert plan == RepairPlan((inline_write(OWN_POLICY_NAME, widened, ours),), ())
    assert looked_at(observed(own=ours), ON_ROLE) == ((), RepairPlan((), ()))
