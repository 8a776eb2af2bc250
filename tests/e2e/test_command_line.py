"""The command line as alice types it on the deployed stack: each command ends as documented, and does what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from demo.account import (
    CLOUD,
    EC2_TRUST,
    EMAIL,
    LAMBDA_TRUST,
    RESEARCH,
    TAG,
    DemoAccount,
    wait_until,
)
from demo.embedded import allow, policy_document
from demo.embedded_aws import ACCOUNT
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.settings import MODE_TAG
from remediator_cli.terminal.exits import ExitCode, PlanExitCode
from tests.e2e.roles import ENROL, create
from tests.e2e.trail import unique

pytestmark = pytest.mark.embedded


def typed(account: DemoAccount, *arguments: str, code: int = ExitCode.OK) -> str:
    """What a command printed that was given the configuration of the deployment, and has to end with that code."""
    ran = account.run_remediator(*arguments, "--settings", str(account.settings))
    assert ran.returncode == code, f"{arguments} ended with {ran.returncode}: {ran.stderr}{ran.stdout}"
    assert "Traceback" not in ran.stderr
    return ran.stdout


def at_rest(account: DemoAccount, trust: object = LAMBDA_TRUST, *, tags: Any = ENROL, granted: bool = True) -> str:
    """Create a role and let it rest; by default an enrolled one that lacked EC2's trust, and has been repaired."""
    name = create(account, trust, tags=tags, granted=granted)
    if tags:
        wait_until(lambda: account.trusts_ec2(name) and account.is_granted(name), "The repair")
    account.settle()
    return name


def break_unheard(account: DemoAccount, role: str) -> None:
    """Take EC2's trust from a role by a call whose event is lost."""
    with account.aws.lose_events():
        account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))


@contextmanager
def paused(account: DemoAccount) -> Iterator[None]:
    """Pause all writes and wait for the sweep that follows; in the end the writes go on in any case."""
    typed(account, "pause")
    try:
        account.settle(1)
        yield
    finally:
        typed(account, "resume", "--yes")


def tags(account: DemoAccount, role: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in account.iam.list_role_tags(RoleName=role)["Tags"]}


def changes(account: DemoAccount, role: str) -> list[dict[str, Any]]:
    """The changes of a role as the history tells them, newest first."""
    return [json.loads(line) for line in typed(account, "history", "--json", role).splitlines()]


def status(account: DemoAccount, code: int | None = None) -> dict[str, Any]:
    """What ``status`` says; it ends with 3 exactly where something requires an operator."""
    ran = account.run_remediator("status", "--json", "--settings", str(account.settings))
    told: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (ExitCode.FOUND if told["needs_person"] else ExitCode.OK)
    assert code in (None, ran.returncode)
    return told


def test_what_is_broken_while_writes_are_paused_is_planned_and_repaired_by_the_sweep_after_resuming(
    account: DemoAccount,
) -> None:
    role = at_rest(account, EC2_TRUST)
    assert f"{role}  clean" in typed(account, "plan", code=PlanExitCode.CLEAN)
    with paused(account):
        break_unheard(account, role)
        told = typed(account, "plan", "--role", role, code=PlanExitCode.DRIFT)
        assert "would-repair" in told
        assert "trust-missing" in told
        found = status(account, ExitCode.FOUND)
        assert found["paused"] == {"everything": True, "clouds": []}
        assert any("paused" in trouble for trouble in found["needs_person"])
        typed(account, "apply", "--yes", role, code=ExitCode.ERROR)
        account.settle()
        assert account.trust(role) == LAMBDA_TRUST
    wait_until(lambda: account.trusts_ec2(role), "The repair by the sweep")
    account.settle()
    typed(account, "plan", "--role", role, code=PlanExitCode.CLEAN)
    found = status(account)
    assert found["paused"] == {"everything": False, "clouds": []}
    assert found["last_sweep"] is not None
    assert not any("paused" in trouble or "sweep" in trouble for trouble in found["needs_person"])


def test_a_repair_by_hand_is_recorded_told_undone_and_made_again_when_the_role_is_resumed(
    account: DemoAccount,
) -> None:
    role = at_rest(account, EC2_TRUST)
    break_unheard(account, role)
    account.new_emails()
    # On AWS the event of a write comes seconds after it. If it came before the command has told of the write, which is
    # done within moments of it, the reconciler would tell of it as well: rather twice than never.
    with account.aws.delay_events():
        assert "AnyscaleRemediatorEC2Trust" in typed(account, "apply", "--yes", role)
    assert account.trusts_ec2(role)
    account.settle()
    assert [letter.subject for letter in account.new_emails()] == [f"Repaired: {role} ({CLOUD})"]
    (change,) = changes(account, role)
    assert (change["kind"], change["state"]) == ("repair", "completed")
    assert [cause["actor"] for cause in change["causes"]] == [f"arn:aws:iam::{ACCOUNT}:user/alice"]
    assert change["change"] in typed(account, "history", role)

    typed(account, "undo", "--yes", change["change"])
    assert account.trust(role) == LAMBDA_TRUST
    assert tags(account, role)[MODE_TAG] == "observe"
    assert changes(account, role)[0]["kind"] == "undo"
    account.settle(1)
    assert account.trust(role) == LAMBDA_TRUST
    typed(account, "plan", "--role", role, code=PlanExitCode.DRIFT)
    typed(account, "undo", "--yes", change["change"], code=ExitCode.ERROR)

    typed(account, "resume", role)
    assert tags(account, role)[MODE_TAG] == "repair"
    wait_until(lambda: account.trusts_ec2(role), "The repair")


def test_a_role_is_looked_after_from_its_enrolment_to_its_end(account: DemoAccount) -> None:
    role = at_rest(account, tags=None, granted=False)
    typed(account, "enroll", "--yes", role, RESEARCH, code=ExitCode.ERROR)
    assert tags(account, role) == {}
    typed(account, "enroll", "--yes", role, CLOUD)
    assert tags(account, role) == {TAG: CLOUD}
    wait_until(lambda: account.trusts_ec2(role) and account.is_granted(role), "The repair")
    account.settle()

    typed(account, "unenroll", "--yes", role)
    assert tags(account, role) == {}
    account.as_alice.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    account.settle(1)
    assert account.trust(role) == LAMBDA_TRUST
    assert OWN_POLICY_NAME in account.inline(role)


def test_what_is_ours_is_taken_back_only_while_writes_are_paused_and_given_again_after_that(
    account: DemoAccount,
) -> None:
    role = at_rest(account, granted=False)
    typed(account, "remove-grants", "--yes", "--role", role, code=ExitCode.ERROR)
    assert account.is_granted(role)
    with paused(account):
        with account.aws.lose_events():  # a function that runs already may take a minute to notice the pause
            told = typed(account, "remove-grants", "--yes", "--role", role)
        assert told.count("recorded as") == 2
        assert account.trust(role) == LAMBDA_TRUST
        assert account.inline(role) == {}
        assert [change["kind"] for change in changes(account, role)[:2]] == ["undo", "undo"]
    wait_until(lambda: account.trusts_ec2(role) and account.is_granted(role), "The repair by the sweep")


def test_the_page_for_others_and_what_instances_need_are_printed(account: DemoAccount, tmp_path: Path) -> None:
    role = at_rest(account, EC2_TRUST)
    page = tmp_path / "roles.html"
    typed(account, "report", str(page))
    assert role in page.read_text(encoding="utf-8")
    typed(account, "report", str(page), code=ExitCode.ERROR)
    typed(account, "report", "--force", str(page))

    ran = account.run_remediator("compute-config", role)
    assert ran.returncode == ExitCode.OK
    assert json.loads(ran.stdout) == {"IamInstanceProfile": {"Arn": account.instance_profile(role)}}
    assert account.run_remediator("compute-config", unique("nobody")).returncode == ExitCode.ERROR


def test_a_test_alert_arrives_wherever_alerts_do(account: DemoAccount) -> None:
    told = typed(account, "test-alert")
    assert EMAIL in told
    wait_until(account.has_new_emails, "The test")
    account.settle()
    (letter,) = account.new_emails()
    assert letter.subject.startswith("Test: ")
    assert [record["outcome"] for record in account.new_alerts()] == ["test"]
    assert "user/alice" in json.dumps(account.latest_slack_message())


def test_the_guardrails_let_only_approvers_enrol_and_pause(account: DemoAccount) -> None:
    typed(account, "guardrails", code=ExitCode.ERROR)
    approver, other = unique("approver"), unique("other")
    printed = typed(account, "guardrails", "--type", "iam", "--approver", f"arn:aws:iam::{ACCOUNT}:user/{approver}")
    work = allow(["iam:*", "ssm:*"], "*")
    guarded = policy_document(work, *json.loads(printed)["Statement"])
    role = at_rest(account, EC2_TRUST, tags=None)
    may, may_not = (account.aws.user(name, guarded) for name in (approver, other))
    parameter = {"Name": account.outputs["PauseParameterName"], "Value": "running", "Overwrite": True}
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        account.aws.client("iam", may_not).tag_role(RoleName=role, Tags=ENROL)
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        account.aws.client("ssm", may_not).put_parameter(**parameter)
    account.aws.client("iam", may).tag_role(RoleName=role, Tags=ENROL)
    account.aws.client("ssm", may).put_parameter(**parameter)
