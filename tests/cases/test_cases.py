"""Every named scenario has the verdicts that AWS would give."""

from __future__ import annotations

import pytest

from remediator.core.access.grants import evaluate_grants, evaluate_key
from remediator.core.repair.trust import evaluate_trust
from tests.cases.case import Case, read_cases

CASES = read_cases()


def _name(case: Case) -> str:
    return f"{case.id}: {case.sentence}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_ec2_trust_is_judged_as_aws_does(case: Case) -> None:
    assessment = evaluate_trust(case.role, case.evaluation_context)
    accepted = {case.expected["ec2_trust"], *case.expected.get("accept_ec2_trust", ())}
    assert assessment.verdict in accepted, str(assessment)
    assert assessment.because


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_grants_are_judged_as_aws_does(case: Case) -> None:
    assessments = evaluate_grants(case.role, case.policies, case.bucket, case.evaluation_context)
    also = set(case.expected.get("accept_s3", ()))
    wrong = {
        each.action: str(each) for each in assessments if each.verdict not in {case.expected["s3"][each.action], *also}
    }
    assert {each.action for each in assessments} == set(case.expected["s3"])
    assert not wrong
    assert all(each.because for each in assessments)


@pytest.mark.parametrize("case", [case for case in CASES if "kms" in case.expected], ids=_name)
def test_the_key_is_judged_as_aws_does(case: Case) -> None:
    assessments = evaluate_key(case.role, case.policies, case.bucket, case.evaluation_context)
    assert {each.action: str(each.verdict) for each in assessments} == case.expected["kms"]
    assert all(each.because for each in assessments)


@pytest.mark.parametrize("case", [case for case in CASES if "fix_by" in case.expected], ids=_name)
def test_the_side_that_can_repair_is_named(case: Case) -> None:
    assessments = evaluate_grants(case.role, case.policies, case.bucket, case.evaluation_context)
    fixes = {each.action: sorted(each.fix_by) for each in assessments if each.fix_by}
    assert fixes == {action: sorted(sides) for action, sides in case.expected["fix_by"].items()}
