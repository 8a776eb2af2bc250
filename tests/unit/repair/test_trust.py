"""The verdict on a trust policy, its reasons, and its repair."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.own_names import TRUST_SID
from remediator.core.policy.document import policy_size
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.trust import (
    TrustVerdict,
    add_ec2_trust,
    ec2_trust_statement,
    evaluate_trust,
    merged_ec2_trust,
    trust_write_blockers,
)
from tests.unit.policy.documents import EC2, document, role, trust

LAMBDA = {"Service": "lambda.amazonaws.com"}
OURS = ec2_trust_statement("aws")


def codes(*args: Any, **kwargs: Any) -> list[str]:
    return [blocker.code for blocker in trust_write_blockers(*args, **kwargs)]


def test_our_statement_is_enough_and_asks_for_nothing() -> None:
    assert evaluate_trust(role(OURS)).verdict is TrustVerdict.OK
    assert OURS == {"Sid": TRUST_SID, "Effect": "Allow", "Principal": EC2, "Action": "sts:AssumeRole"}
    assert ec2_trust_statement("aws-cn")["Principal"] == {"Service": "ec2.amazonaws.com.cn"}


def test_a_trust_policy_that_was_not_read_is_undecided_and_an_absent_one_missing() -> None:
    unread = dataclasses.replace(role(), trust=Unreadable("access denied"))
    assert str(evaluate_trust(unread)) == "undecided: the trust policy could not be read: access denied"
    assert evaluate_trust(dataclasses.replace(role(), trust=Absent())).verdict is TrustVerdict.MISSING


def test_the_reason_names_the_statement_and_its_condition() -> None:
    condition = {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}, "Bool": {"aws:SecureTransport": "true"}}
    denied = role(trust(), {"Sid": "OnlyUs", "Effect": "Deny", "Principal": "*", "Action": "*", "Condition": condition})
    assert str(evaluate_trust(denied)) == (
        "blocked: statement `OnlyUs` of the trust policy denies sts:AssumeRole to EC2 when aws:SecureTransport is "
        "`true`, unless aws:PrincipalOrgID is `o-1`"
    )
    conditional = role(trust(Condition={"StringEquals": {"sts:ExternalId": "x"}}))
    assert str(evaluate_trust(conditional)) == (
        "conditional: statement 1 of the trust policy lets ec2.amazonaws.com assume the role only when sts:ExternalId "
        "is `x`, which EC2's own call does not meet"
    )
    assert str(evaluate_trust(role(trust(Principal=LAMBDA)))) == (
        "missing: the trust policy has no statement that lets ec2.amazonaws.com assume the role"
    )


def test_the_surroundings_can_give_a_key() -> None:
    guarded = role(trust(), trust(Effect="Deny", Condition={"StringNotEquals": {"aws:SourceAccount": "111111111111"}}))
    assert evaluate_trust(guarded).verdict is TrustVerdict.BLOCKED
    given = EvaluationContext(context={"AWS:SourceAccount": ("111111111111",)})
    assert evaluate_trust(guarded, given).verdict is TrustVerdict.OK


def test_a_deny_that_cannot_be_understood_leaves_the_verdict_open() -> None:
    for deny in (trust(Effect="Deny", Action=7), trust(Effect="Deny", Principal={"Nobody": "x"})):
        assert evaluate_trust(role(trust(), deny)).verdict is TrustVerdict.UNDECIDED
    assert evaluate_trust(role(trust(), trust(Effect="Deny", Action="sts:TagSession"))).verdict is TrustVerdict.OK


def test_the_repair_is_appended_and_the_others_stay() -> None:
    foreign = (trust(Principal=LAMBDA), trust(Condition={"StringEquals": {"sts:ExternalId": "x"}}))
    after = add_ec2_trust(document(*foreign), "aws")
    assert after.raw["Statement"] == [*foreign, OURS]
    assert evaluate_trust(role(*after.raw["Statement"])).verdict is TrustVerdict.OK
    assert add_ec2_trust(after, "aws") is after


def test_a_trust_policy_with_faults_is_not_repaired() -> None:
    faulty = document(trust(Effect="allow"), OURS)
    assert add_ec2_trust(faulty, "aws") is faulty


def test_a_foreign_statement_with_our_sid_stays() -> None:
    foreign = trust(Sid=TRUST_SID, Principal=LAMBDA)
    after = add_ec2_trust(document(foreign), "aws")
    assert after.raw["Statement"] == [foreign, {**OURS, "Sid": f"{TRUST_SID}2"}]
    assert add_ec2_trust(after, "aws") is after


def test_a_condition_that_was_added_to_our_statement_goes_from_its_place() -> None:
    bent = {**OURS, "Condition": {"StringEquals": {"sts:ExternalId": "cld_abc123"}}}
    after = add_ec2_trust(document(bent, trust(Principal=LAMBDA)), "aws")
    assert after.raw["Statement"] == [OURS, trust(Principal=LAMBDA)]


@pytest.mark.parametrize("action", ["sts:AssumeRole", ["STS:assumerole"]])
def test_ec2_can_be_merged_into_a_plain_list_of_services(action: object) -> None:
    plain = trust(Sid="Services", Principal=LAMBDA, Action=action)
    after = merged_ec2_trust(document(trust(Principal={"AWS": "111111111111"}), plain), "aws")
    assert after is not None
    merged = {**plain, "Principal": {"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}}
    assert after.raw["Statement"] == [trust(Principal={"AWS": "111111111111"}), merged]
    assert merged_ec2_trust(after, "aws") is None


def test_a_condition_that_asks_for_nothing_keeps_nothing_from_being_merged() -> None:
    plain = trust(Sid="Services", Principal=LAMBDA, Condition={})
    after = merged_ec2_trust(document(plain), "aws")
    assert after is not None
    merged = {**plain, "Principal": {"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}}
    assert after.raw["Statement"] == [merged]


@pytest.mark.parametrize(
    "statement",
    [
        trust(Principal={"AWS": "111111111111"}),
        trust(Principal={"AWS": "111111111111", **LAMBDA}),
        trust(Principal="*"),
        trust(Principal={"Service": []}),
        trust(Principal=LAMBDA, Effect="Deny"),
        trust(Principal=LAMBDA, Condition={"Bool": {"aws:SecureTransport": "true"}}),
        trust(Principal=LAMBDA, Action="sts:*"),
        trust(Principal=LAMBDA, Action=["sts:AssumeRole", "sts:TagSession"]),
        {"Effect": "Allow", "Principal": LAMBDA, "NotAction": "sts:TagSession"},
        {"Effect": "Allow", "NotPrincipal": LAMBDA, "Action": "sts:AssumeRole"},
        trust(Principal=LAMBDA, Resource="*"),
        trust(Principal=LAMBDA, Effect="allow"),
    ],
)
def test_nothing_is_merged_where_it_would_change_more(statement: dict[str, Any]) -> None:
    assert merged_ec2_trust(document(statement), "aws") is None


def _long(characters: int) -> dict[str, Any]:
    empty = policy_size(document(trust(Principal=LAMBDA, Sid="")))
    return trust(Principal=LAMBDA, Sid="S" * (characters - empty))


def test_the_quota_counts_for_a_document_that_was_within_it() -> None:
    held = role(_long(2_000))
    assert isinstance(held.trust, Present)
    appended, merged = add_ec2_trust(held.trust.value, "aws"), merged_ec2_trust(held.trust.value, "aws")
    assert policy_size(appended) > 2_048
    assert codes(held, appended) == ["quota"]
    assert codes(held, appended, quota=4_096) == []
    assert merged is not None
    assert codes(held, merged) == []
    assert "quota is 2,048" in str(trust_write_blockers(held, appended)[0])


def test_a_document_that_fits_exactly_is_written() -> None:
    after = add_ec2_trust(document(_long(1_000)), "aws")
    assert codes(role(_long(1_000)), after, quota=policy_size(after)) == []
    assert codes(role(_long(1_000)), after, quota=policy_size(after) - 1) == ["quota"]


def test_a_document_above_the_default_quota_proves_that_it_was_raised() -> None:
    held = role(_long(3_500))
    assert isinstance(held.trust, Present)
    assert codes(held, add_ec2_trust(held.trust.value, "aws")) == []
    huge = role(_long(8_100))
    assert isinstance(huge.trust, Present)
    assert codes(huge, add_ec2_trust(huge.trust.value, "aws")) == ["quota"]


def test_what_iam_would_refuse_is_a_blocker() -> None:
    stale = document(trust(Principal={"AWS": ["arn:aws:iam::111111111111:root", "AROAOLDOLDOLDOLDOLD01"]}), OURS)
    assert codes(role(trust()), stale) == ["stale-principal"]
    assert "AROAOLDOLDOLDOLDOLD01" in str(trust_write_blockers(role(trust()), stale)[0])
    excluding = document({"Effect": "Allow", "NotPrincipal": LAMBDA, "Action": "sts:AssumeRole"}, OURS)
    assert codes(role(trust()), excluding) == ["not-principal"]
    faulty = role(trust(Effect="allow"))
    assert codes(faulty, document(OURS)) == ["faults"]
    unread = dataclasses.replace(role(), trust=Unreadable("denied"))
    assert codes(unread, document(OURS)) == ["unread"]


@pytest.mark.parametrize("path", ["aws-service-role/ec2.amazonaws.com/", "aws-reserved/sso.amazonaws.com/"])
def test_roles_that_belong_to_aws_cannot_be_written(path: str) -> None:
    held = role(trust(), arn=f"arn:aws:iam::111111111111:role/{path}AWSRole")
    assert codes(held, document(OURS)) == ["unmodifiable"]


@pytest.mark.parametrize("now", [(), ("2026-03-04T10:00:17Z",)])
def test_ec2s_own_call_carries_no_time_of_a_token(now: tuple[str, ...]) -> None:
    revoked = trust(
        Effect="Deny", Principal="*", Condition={"DateLessThan": {"aws:TokenIssueTime": "2026-03-04T10:00:17Z"}}
    )
    known = EvaluationContext(context={"aws:CurrentTime": now} if now else {})
    assert evaluate_trust(role(trust(), revoked), known).verdict is TrustVerdict.OK
