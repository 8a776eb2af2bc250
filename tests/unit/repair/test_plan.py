"""Which writes a diagnosis leads to, where quotas stand in the way."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from remediator.core.alerts.decide import AlertDecision, AlertReason
from remediator.core.alerts.describe import describe
from remediator.core.history.role_record import RoleRecord
from remediator.core.model.bucket import Bucket
from remediator.core.model.finding import OWN_POLICY_SUBJECT, BlockedRepair, Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, RolePolicies
from remediator.core.model.write import DocumentKind
from remediator.core.policy.document import policy_size
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.outcome import Applied, Outcome, OutcomeKind
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.core.repair.role_policy import OwnGrant, desired_own_grant, own_policy, own_policy_reading
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, a_role, bucket_grant, document
from tests.unit.alerts.samples import published
from tests.unit.history.changes import NOW
from tests.writes import after_of

GRANTED = RolePolicies(Present((InlinePolicy("granted", Present(document(bucket_grant()))),)), Present(()), Absent())


def observed(*trust: Any, policies: RolePolicies = GRANTED) -> Observed:
    bucket = Bucket(BUCKET, ACCOUNT, "us-east-1", policy=Absent())
    return Observed(a_role(*trust), policies, ((BUCKET, Present(bucket)),))


def padding(size: int) -> dict[str, Any]:
    """A statement about one of our own roles, of ``size`` characters."""
    short = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/"}, "Action": "sts:TagSession"}
    missing = size - len(json.dumps(short, separators=(",", ":")))
    return {**short, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{'x' * missing}"}}


def test_where_one_more_statement_does_not_fit_ec2_joins_a_plain_list_of_services_and_that_is_said() -> None:
    near = observed(LAMBDA_STATEMENT, padding(1_800))
    assert policy_size(near.role.trust.value) < 2_048  # type: ignore[union-attr]  # it was just read
    (step,) = plan_repair(near, diagnose(near)).writes
    assert step.document.kind is DocumentKind.TRUST_POLICY
    assert step.note
    assert "2,048" in step.note
    assert policy_size(after_of(step)) <= 2_048
    told = describe(
        Outcome(OutcomeKind.REPAIRED, ACCOUNT, "head-node", (), role_arn=str(near.role.arn), results=(Applied(step),)),
        AlertDecision(AlertReason.NEW, None, RoleRecord(), NOW),
    )
    assert "joins the services of an existing statement" in published(told).text


def test_where_nothing_fits_the_repair_is_withheld_with_the_numbers() -> None:
    full = observed(padding(1_950))
    findings = diagnose(full)
    plan = plan_repair(full, findings)
    assert plan.writes == ()
    (blocked,) = plan.blocked
    assert blocked.finding.code is FindingCode.TRUST_MISSING
    assert "2,048" in blocked.because[0]


def test_where_it_fits_ec2_gets_a_statement_of_its_own() -> None:
    roomy = observed(LAMBDA_STATEMENT)
    (step,) = plan_repair(roomy, diagnose(roomy)).writes
    assert step.document.kind is DocumentKind.TRUST_POLICY
    assert step.note == ""
    assert len(after_of(step).statements) == 2


def test_a_role_without_room_for_one_more_inline_policy_is_told_so() -> None:
    filler = document(
        {
            "Effect": "Allow",
            "Action": "ec2:*",
            "Resource": [f"arn:aws:ec2:us-east-1:{ACCOUNT}:x/{n:05}" for n in range(250)],
        }
    )
    policies = RolePolicies(Present((InlinePolicy("filler", Present(filler)),)), Present(()), Absent())
    full = observed(EC2_STATEMENT, policies=policies)
    plan = plan_repair(full, diagnose(full))
    assert plan.writes == ()
    assert "10,240" in plan.blocked[0].because[0]


def test_a_role_of_which_aws_says_that_it_has_no_inline_policies_gets_ours() -> None:
    bare = observed(EC2_STATEMENT, policies=RolePolicies(Absent(), Present(()), Absent()))
    assert own_policy_reading(bare.policies) == Absent()
    (step,) = plan_repair(bare, diagnose(bare)).writes
    assert step.document.kind is DocumentKind.INLINE_POLICY
    assert (step.document.name, step.before) == (OWN_POLICY_NAME, None)
    assert after_of(step) == own_policy(Absent(), OwnGrant.of((BUCKET,)), "aws")


UNREAD = Unreadable("iam:GetRolePolicy was denied")


@pytest.mark.parametrize(
    "policies",
    [
        RolePolicies(UNREAD, Present(())),
        RolePolicies(Present((InlinePolicy(OWN_POLICY_NAME, UNREAD),)), Present(())),
    ],
)
@pytest.mark.parametrize(
    "finding", [Finding(FindingCode.GRANT_MISSING, BUCKET), Finding(FindingCode.GRANT_ALTERED, OWN_POLICY_SUBJECT)]
)
def test_what_was_found_earlier_is_withheld_where_our_policy_cannot_be_read_any_more(
    policies: RolePolicies, finding: Finding
) -> None:
    unread = observed(EC2_STATEMENT, policies=policies)
    assert desired_own_grant(unread, (finding,), Desired()) is None
    assert plan_repair(unread, (finding,)) == RepairPlan((), (BlockedRepair(finding, (UNREAD.why,)),))


def test_our_policy_that_was_altered_earlier_and_is_gone_by_now_is_not_made_anew_with_nothing_in_it() -> None:
    altered = Finding(FindingCode.GRANT_ALTERED, OWN_POLICY_SUBJECT)
    plan = plan_repair(observed(EC2_STATEMENT), (altered,))
    assert plan == RepairPlan((), (BlockedRepair(altered, ("what the remediator's policy should say is unknown",)),))


def test_a_trust_policy_that_does_not_exist_is_missing_and_not_made_up() -> None:
    bare = replace(observed(), role=a_role(reading=Absent()))
    (finding,) = diagnose(bare)
    assert finding.actions == ("sts:AssumeRole",)
    assert finding.code is FindingCode.TRUST_MISSING
    assert plan_repair(bare, (finding,)) == RepairPlan(
        (), (BlockedRepair(finding, ("the trust policy could not be read",)),)
    )
