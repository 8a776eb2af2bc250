"""What was repaired reaches people in every channel of the deployed stack, once, and no repair waits for that."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.account import BUCKET_ACCESS, CLOUD, LAMBDA_TRUST, ROLE_PATH, SETTINGS, TAG, DemoAccount, wait_until
from demo.deployment import deploy
from demo.slack_page import page
from tests.e2e.trail import unique

pytestmark = pytest.mark.embedded


def break_one(account: DemoAccount) -> str:
    """Create an enrolled role that EC2 may not assume, and that lacks nothing else; returns its name."""
    name = unique("node")
    account.as_alice.create_role(RoleName=name, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST))
    account.as_alice.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=json.dumps(BUCKET_ACCESS))
    account.create_instance_profile(name)
    account.as_alice.tag_role(RoleName=name, Tags=[{"Key": TAG, "Value": CLOUD}])
    return name


def in_slack(account: DemoAccount, text: str) -> list[dict[str, Any]]:
    return [message for message in account.aws.slack_messages() if text in json.dumps(message)]


def test_a_repair_is_told_by_e_mail_in_slack_and_to_machines_once_each(account: DemoAccount) -> None:
    role = break_one(account)
    wait_until(lambda: in_slack(account, role), "The message in Slack")
    account.settle()
    (letter,) = account.new_emails()
    (message,) = in_slack(account, role)
    (record,) = account.new_alerts()
    assert role in letter.subject
    assert record["role"]["name"] == role
    headline = record["headline"]
    assert letter.body.splitlines()[0] == headline
    assert headline in message["text"]
    assert role in page([message])


def test_a_slack_that_is_out_of_order_holds_up_no_repair_and_gets_the_message_when_it_is_back(
    account: DemoAccount,
) -> None:
    account.aws.slack_answers({"status": 500, "text": "server_error"})
    role = break_one(account)
    wait_until(lambda: account.trusts_ec2(role), "The repair")
    wait_until(account.has_new_emails, "The e-mail")
    assert in_slack(account, role) == []
    wait_until(lambda: in_slack(account, role), "The second try")
    assert len(in_slack(account, role)) == 1


def test_a_slack_that_asks_for_time_is_given_it(account: DemoAccount) -> None:
    account.aws.slack_answers({"status": 429, "text": "rate_limited", "headers": {"retry-after": "4"}})
    start = time.monotonic()
    role = break_one(account)
    wait_until(lambda: in_slack(account, role), "The second try")
    assert time.monotonic() - start >= 4
    assert len(in_slack(account, role)) == 1


@pytest.fixture
def terse(account: DemoAccount, assembly: Path, tmp_path: Path) -> Iterator[DemoAccount]:
    """The same account, where of a minute's alerts one is told on its own."""
    deployed = account.settings
    account.redeploy(print, tmp_path / "terse", {**SETTINGS, "digest": {"alone": 1, "minutes": 1}})
    account.settle()
    account.new_emails()
    yield account
    deploy(account.aws, print, app=str(assembly / "cdk.out"), output=tmp_path / "again")
    account.settings = deployed


def test_a_storm_is_told_in_digests_and_machines_get_every_record(terse: DemoAccount) -> None:
    account = terse
    account.new_alerts()
    with account.aws.delay_events():  # all of them are told within one window, however slow the machine is
        roles = [break_one(account) for _ in range(6)]
        time.sleep(60 - time.time() % 60)  # into a window of its own: in this one something may have been told already
    wait_until(lambda: all(account.trusts_ec2(role) for role in roles), "The repairs")
    wait_until(lambda: in_slack(account, "5 roles"), "The digest")
    account.settle()
    alone, digest = account.new_emails()
    assert sum(role in alone.subject for role in roles) == 1
    assert "No action needed now." in digest.body.splitlines()[0]
    told = [role for role in roles if role not in alone.subject]
    assert all(role in digest.body for role in told)
    assert len(in_slack(account, "5 roles")) == 1
    assert {record["role"]["name"] for record in account.new_alerts()} == set(roles)
