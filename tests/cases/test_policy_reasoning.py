"""docs/policy-reasoning.md says what the code does: its cases, tests, keys, codes and quotas are real."""

from __future__ import annotations

import re
from pathlib import Path
from typing import assert_never

import pytest

from remediator.core.access.actions import (
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.access.calls import ec2_assumes, kms_context, s3_contexts
from remediator.core.access.decision import GrantVerdict
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.role import Role
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.context import Choice, Context, Gap, Prefixed, Span
from remediator.core.policy.reading import Absent
from remediator.core.repair.bucket_policy import BUCKET_POLICY_QUOTA
from remediator.core.repair.role_policy import INLINE_QUOTA
from remediator.core.repair.trust import LARGEST_TRUST_QUOTA, TRUST_QUOTA, TrustVerdict
from tests.cases.case import read_cases

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PAGE = (ROOT / "docs" / "policy-reasoning.md").read_text(encoding="utf-8")
ROLE = Role(
    RoleArn.parse("arn:aws:iam::111111111111:role/anyscale/head"), "AROAEXAMPLECLUSTER001", {"team": "x"}, Absent()
)
BUCKET = Bucket("data-bucket", "111111111111", "us-west-2", Absent())


def rows(heading: str) -> list[list[str]]:
    """The cells of the table that begins with these headings, row by row."""
    (table,) = re.findall(rf"^\| {re.escape(heading)}.*\n\| ---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def in_words(context: Context, key: str) -> str:
    match context.value(key):
        case Gap.ABSENT:
            return "absent"
        case Gap.PRESENT:
            return "present"
        case Gap.UNKNOWN:
            return "unknown"
        case Gap.VARYING:
            return "varies"
        case Gap.PUBLIC_ADDRESS:
            return "public address"
        case tuple() | Span() | Prefixed() | Choice():
            return "known"
        case _ as never:
            assert_never(never)


def test_every_case_and_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:own-[tgk]|[tgxko]\d{3})-[\w-]+)`", PAGE))
    assert len(named) > 100
    assert not named - {case.id for case in read_cases()}
    tests = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(tests) > 10
    written = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert not tests - written


@pytest.mark.parametrize("row", rows("key | EC2 assumes the role"), ids=lambda row: row[0])
def test_what_is_said_to_be_known_of_a_key_is_what_the_code_knows(row: list[str]) -> None:
    keys = re.findall(r"`([\w:/-]+)`", row[0].partition(" in ")[0]) or ["aws:Moon"]
    evaluation_context = EvaluationContext()
    listing, other = s3_contexts(ROLE, BUCKET, evaluation_context)
    contexts = (
        ec2_assumes(ROLE, evaluation_context),
        listing if "`s3:ListBucket`" in row[0] else other,
        kms_context(ROLE, BUCKET, "111111111111", evaluation_context),
    )
    for key in keys:
        assert [in_words(context, key) for context in contexts] == row[1:], key


def test_through_an_endpoint_its_keys_are_there_and_an_address_is_not() -> None:
    for context in s3_contexts(ROLE, BUCKET, EvaluationContext(context={"aws:SourceVpc": ("vpc-1",)})):
        assert {in_words(context, f"aws:{key}") for key in ("SourceVpcArn", "SourceVpce", "VpcSourceIp")} == {"present"}
        assert in_words(context, "aws:SourceIp") == "absent"


def test_when_ec2_assumes_the_role_the_names_of_its_service_are_there() -> None:
    assert in_words(ec2_assumes(ROLE, EvaluationContext()), "aws:PrincipalServiceNamesList") == "present"


def test_the_verdicts_are_those_that_there_are() -> None:
    listed = {cell for row in rows("about | verdict") for cell in re.findall(r"`(\w+)`", row[1])}
    assert listed == {verdict.value for verdict in (*TrustVerdict, *GrantVerdict)}


def test_the_codes_of_write_blockers_are_those_that_there_are() -> None:
    core = ROOT / "lambda_src" / "remediator" / "core"
    sources = "".join(file.read_text(encoding="utf-8") for file in core.rglob("*.py"))
    raised = set(re.findall(r'WriteBlocker\(\s*"([\w-]+)"', sources))
    assert {row[0].strip("`") for row in rows("code | what is in the way")} == raised


def test_the_quotas_are_those_of_the_code() -> None:
    quotas = {row[0]: row for row in rows("quota | limit")}
    assert {name: int(row[1].replace(",", "")) for name, row in quotas.items()} == {
        "trust policy": TRUST_QUOTA,
        "all inline policies of a role together": INLINE_QUOTA,
        "bucket policy": BUCKET_POLICY_QUOTA,
    }
    assert f"up to {LARGEST_TRUST_QUOTA:,} " in quotas["trust policy"][2]


def test_the_required_and_the_wanted_actions_are_those_of_the_code() -> None:
    (paragraph,) = re.findall(r"^Required of a cluster role are .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    required, _, wanted = paragraph.partition("Wanted")
    assert set(re.findall(r"`(s3:\w+)`", required)) == {*REQUIRED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS}
    assert set(re.findall(r"`(s3:\w+)`", wanted)) == {*WANTED_OBJECT_ACTIONS, *WANTED_BUCKET_ACTIONS}


def test_every_link_leads_to_aws_or_to_a_file_of_ours() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert target.startswith("https://docs.aws.amazon.com/") or (ROOT / "docs" / target).exists(), target
