"""``remediator guardrails``: a policy to paste, for whom the configuration names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.schemas import schema_errors
from tests.cli.terminal import ROOT, Remediator

APPROVER = "arn:aws:iam::111122223333:role/platform/*"
CDK: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]["remediator"]


@pytest.fixture
def configured(tmp_path: Path) -> str:
    path = tmp_path / "cdk.json"
    path.write_text(
        json.dumps({**CDK, "account": "111122223333", "approvers": [APPROVER], "enrollmentTag": "acme:ray"})
    )
    return str(path)


def passing(policy: Any, sid: str) -> list[str]:
    """Who may pass a statement."""
    (statement,) = [each for each in policy["Statement"] if each["Sid"] == sid]
    principals: list[str] = statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    return principals


def test_it_is_made_from_the_configuration(configured: str, remediator: Remediator) -> None:
    answer = remediator("guardrails", "--settings", configured)
    assert (answer.code, answer.err) == (0, "")
    assert len(answer.out.rstrip("\n")) <= 5_120
    policy = json.loads(answer.out)
    assert passing(policy, "AnyscaleTagsByApproversOnly") == [APPROVER]
    assert passing(policy, "AnyscaleRemediatorByDeployersOnly") == [
        APPROVER,
        *(
            f"arn:aws:iam::111122223333:role/cdk-hnb659fds-{role}-111122223333-{region}"
            for region in ("us-east-1", "us-west-2")
            for role in ("cfn-exec-role", "deploy-role")
        ),
        "arn:aws:iam::111122223333:role/AnyscaleRemediator*",
    ]
    assert '"acme:ray"' in answer.out


def test_the_command_line_goes_before_the_configuration(configured: str, remediator: Remediator) -> None:
    lead, ci = "arn:aws:iam::111122223333:user/lead", "arn:aws:iam::111122223333:role/ci"
    answer = remediator("guardrails", "--settings", configured, "--approver", lead, "--deployer", ci)
    policy = json.loads(answer.out)
    assert passing(policy, "AnyscaleTagsByApproversOnly") == [lead]
    assert passing(policy, "AnyscaleRemediatorByDeployersOnly")[:2] == [lead, ci]


def test_it_needs_no_configuration(remediator: Remediator) -> None:
    answer = remediator("guardrails", "--approver", "arn:aws:iam::111122223333:role/lead")
    assert answer.code == 0
    assert "-us-east-1" in answer.out
    assert "arn:aws:lambda:*:*:function:AnyscaleRemediator*" in answer.out


def test_both_forms_say_the_same(configured: str, remediator: Remediator) -> None:
    forms = [remediator("guardrails", "--settings", configured, "--type", form).out for form in ("scp", "iam")]
    assert json.loads(forms[0]) == json.loads(forms[1])


def test_without_approvers_it_is_an_error_with_a_remedy(remediator: Remediator) -> None:
    for arguments in ((), ("--settings", str(ROOT / "cdk.json"))):
        answer = remediator("guardrails", *arguments)
        assert (answer.code, answer.out) == (1, "")
        assert "--approver ARN" in answer.err


@pytest.mark.parametrize("option", ["--approver", "--deployer"])
@pytest.mark.parametrize(
    "text",
    [
        *("alice", "*", "arn:aws:iam::111122223333:role/*", "arn:aws:sts::111122223333:assumed-role/ci/me"),
        *("arn:aws-cn:iam::111122223333:role/lead", "x\x1b[31m"),
    ],
)
def test_what_is_no_principal_is_a_wrong_call(option: str, text: str, remediator: Remediator) -> None:
    answer = remediator("guardrails", "--approver", APPROVER, option, text)
    assert (answer.code, answer.out) == (2, "")
    assert "Invalid value for" in answer.err
    assert "\x1b" not in answer.err


def test_too_many_who_may_pass_are_an_error_that_says_what_to_do(remediator: Remediator) -> None:
    approvers = [("--approver", f"arn:aws:iam::111122223333:role/team-{number}") for number in range(60)]
    answer = remediator("guardrails", *(each for pair in approvers for each in pair))
    assert (answer.code, answer.out) == (1, "")
    assert "5,120 characters" in answer.err


@pytest.mark.parametrize("form", ["scp", "iam"])
def test_json_holds_the_policy_and_what_it_was_made_from(form: str, configured: str, remediator: Remediator) -> None:
    printed = remediator("guardrails", "--settings", configured, "--type", form).out
    answer = remediator("guardrails", "--settings", configured, "--type", form, "--json")
    assert (answer.code, answer.err, schema_errors("guardrails", answer.record)) == (0, "", [])
    assert answer.record["policy"] == json.loads(printed)
    assert answer.record["characters"] == len(printed.rstrip("\n"))
    assert (answer.record["form"], answer.record["account"], answer.record["approvers"]) == (
        form,
        "111122223333",
        [APPROVER],
    )
    anywhere = remediator("guardrails", "--approver", APPROVER, "--json").record
    assert (anywhere["account"], schema_errors("guardrails", anywhere)) == (None, [])
