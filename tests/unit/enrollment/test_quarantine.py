"""Somebody has shut a role on purpose: it is told, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.core.enrollment.quarantine import quarantine_findings
from remediator.core.model.bucket import Bucket
from remediator.core.model.finding import REPAIRABLE, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.plan import plan_repair
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, a_role, bucket_grant, document

Json = dict[str, Any]
DENY_ALL: Json = {"Sid": "Stop", "Effect": "Deny", "Action": "*", "Resource": "*"}


def inline(*statements: Json) -> RolePolicies:
    return RolePolicies(Present((InlinePolicy("incident", Present(document(*statements))),)), Present(()))


def attached(arn: str, *statements: Json) -> RolePolicies:
    return RolePolicies(Present(()), Present((ManagedPolicy(arn, Present(document(*statements))),)))


def bounded(*statements: Json) -> RolePolicies:
    boundary = ManagedPolicy(f"arn:aws:iam::{ACCOUNT}:policy/stop", Present(document(*statements)))
    return RolePolicies(Present(()), Present(()), Present(boundary))


def trusting(*statements: Json) -> Role:
    return a_role(*statements)


NOTHING = RolePolicies(Present(()), Present(()))
SHUT: dict[str, tuple[Role, RolePolicies]] = {
    "an inline policy": (trusting(EC2_STATEMENT), inline(DENY_ALL)),
    "beside others": (trusting(EC2_STATEMENT), inline(bucket_grant(), DENY_ALL)),
    "stars": (
        trusting(EC2_STATEMENT),
        inline({**DENY_ALL, "Action": ["s3:Get*", "**"], "Resource": ["arn:aws:s3:::a", "*"]}),
    ),
    "all but nothing": (
        trusting(EC2_STATEMENT),
        inline({"Effect": "Deny", "NotAction": [], "Resource": "*"}),
    ),
    "AWSDenyAll": (trusting(EC2_STATEMENT), attached("arn:aws:iam::aws:policy/AWSDenyAll", DENY_ALL)),
    "AWS's quarantine": (
        trusting(EC2_STATEMENT),
        attached("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3", {**DENY_ALL, "Action": "iam:*"}),
    ),
    "the boundary": (trusting(EC2_STATEMENT), bounded(DENY_ALL)),
    "a trust that denies everybody": (
        trusting({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}),
        NOTHING,
    ),
    "a trust that denies EC2": (
        trusting(EC2_STATEMENT, {**EC2_STATEMENT, "Effect": "Deny"}),
        NOTHING,
    ),
}
SHUT["a trust of Denies alone, for somebody else"] = (
    trusting({"Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}),
    NOTHING,
)
SHUT["all but a little that is no use to a cluster"] = (
    trusting(EC2_STATEMENT),
    inline({"Effect": "Deny", "NotAction": "sts:GetCallerIdentity", "Resource": "*"}),
)
OPEN: dict[str, tuple[Role, RolePolicies]] = {
    "nothing": (trusting(EC2_STATEMENT), NOTHING),
    "revoked sessions": (
        trusting(EC2_STATEMENT),
        inline({**DENY_ALL, "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-03-04T10:00:00Z"}}}),
    ),
    "a Deny of much": (trusting(EC2_STATEMENT), inline({**DENY_ALL, "Action": ["s3:*", "iam:*"]})),
    "a Deny of all but some services": (
        trusting(EC2_STATEMENT),
        inline({"Effect": "Deny", "NotAction": ["s3:*", "ecr:*"], "Resource": "*"}),
    ),
    "a Deny of what begins with some letters": (trusting(EC2_STATEMENT), inline({**DENY_ALL, "Action": "a*"})),
    "a Deny on much": (trusting(EC2_STATEMENT), inline({**DENY_ALL, "Resource": "arn:aws:*"})),
    "a Deny of all but something": (
        trusting(EC2_STATEMENT),
        inline({"Effect": "Deny", "Action": "*", "NotResource": f"arn:aws:s3:::{BUCKET}"}),
    ),
    "a Deny of nothing": (
        trusting(EC2_STATEMENT),
        inline({"Effect": "Deny", "Action": "*", "NotResource": "*"}),
    ),
    "an Allow of everything": (trusting(EC2_STATEMENT), inline({**DENY_ALL, "Effect": "Allow"})),
    "a policy of nearly that name": (
        trusting(EC2_STATEMENT),
        attached(f"arn:aws:iam::{ACCOUNT}:policy/NotAWSCompromisedKeyQuarantine"),
    ),
    "a trust that denies another service": (trusting(EC2_STATEMENT, {**LAMBDA_STATEMENT, "Effect": "Deny"}), NOTHING),
    "a trust that denies under a condition": (
        trusting(
            EC2_STATEMENT,
            {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"Bool": {"aws:ViaAWSService": "x"}}},
        ),
        NOTHING,
    ),
    "what cannot be read": (trusting(EC2_STATEMENT), RolePolicies(Unreadable("x"), Unreadable("y"), Unreadable("z"))),
    "a policy that cannot be read": (
        trusting(EC2_STATEMENT),
        RolePolicies(Present((InlinePolicy("incident", Unreadable("x")),)), Present(())),
    ),
    "a trust that cannot be read": (a_role(reading=Unreadable("x")), NOTHING),
    "a trust that is gone": (a_role(reading=Absent()), NOTHING),
}


@pytest.mark.parametrize(("role", "policies"), SHUT.values(), ids=SHUT)
def test_a_role_that_was_shut_is_found(role: Role, policies: RolePolicies) -> None:
    (finding,) = quarantine_findings(role, policies)
    assert finding.code is FindingCode.QUARANTINED
    assert finding.subject == "role"
    assert finding.because


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("AWSDenyAll", "statement `Stop` of the managed policy AWSDenyAll denies everything without a condition"),
        (
            "AWS's quarantine",
            "the managed policy AWSCompromisedKeyQuarantineV3 is attached, as AWS does to what was compromised",
        ),
        ("the boundary", "statement `Stop` of the permissions boundary stop denies everything without a condition"),
    ],
)
def test_the_reason_names_the_policy_that_shuts_it(name: str, because: str) -> None:
    (finding,) = quarantine_findings(*SHUT[name])
    assert finding.because == (because,)


@pytest.mark.parametrize(("role", "policies"), OPEN.values(), ids=OPEN)
def test_a_role_that_was_not_is_not(role: Role, policies: RolePolicies) -> None:
    assert quarantine_findings(role, policies) == ()


@pytest.mark.parametrize(("role", "policies"), SHUT.values(), ids=SHUT)
def test_nothing_is_written_to_it_and_what_is_missing_is_withheld(role: Role, policies: RolePolicies) -> None:
    bucket = Bucket(BUCKET, ACCOUNT, "us-east-1", Absent())
    observed = Observed(role, policies, ((BUCKET, Present(bucket)),))
    findings = diagnose(observed)
    plan = plan_repair(observed, findings)
    assert (plan.writes, plan.removals) == ((), ())
    assert [each.finding for each in plan.blocked] == [each for each in findings if each.code in REPAIRABLE]
    assert FindingCode.QUARANTINED not in REPAIRABLE
