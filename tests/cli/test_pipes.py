"""Identifiers and suggested commands stay whole where a program or a file reads the output."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.core.history.role_record import Conflict, Incident
from tests.cli.deployed import NOW, Deployed
from tests.cli.running import Running, running
from tests.cli.terminal import Remediator
from tests.examples import LAMBDA_STATEMENT, policy
from tests.functional.world import client

__all__ = ["running"]  # a fixture

LONG = "head-node-" + "n" * 54
"""As long as IAM allows."""
CHANGE = f"{LONG}/20260304T100020000000Z-1972e2cb"


@pytest.fixture
def long_role(running: Running) -> Deployed:
    """The deployment, with a change and an open incident of a role with a name of 64 characters."""
    deployed = running.account
    arn = f"arn:aws:iam::111122223333:role/{LONG}"
    change = replace(deployed.change, change_id=CHANGE, role_name=LONG, role_arn=arn)
    deployed.history.intend(change)
    incident = Incident("0123456789abcdef", "f" * 16, NOW, alerted=True, outcome="needs-person", problem="p " * 50)
    record = deployed.history.read_role_record(LONG)
    deployed.history.write_role_record(LONG, replace(record, incident=incident))
    return deployed


@pytest.mark.parametrize("arguments", [("history",), ("history", LONG), ("history", CHANGE)])
def test_the_ids_of_changes_are_whole(arguments: tuple[str, ...], long_role: Deployed, remediator: Remediator) -> None:
    lines = remediator(*arguments).out.splitlines()
    assert any(re.search(rf"(?:^|\s){re.escape(CHANGE)}$", line) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "suggested"),
    [
        (("status",), f"remediator plan --role {LONG}"),
        (("status", "--settings", "cdk.json"), f"remediator plan --role {LONG} --settings cdk.json"),
        (("status", "--stack", "AnyscaleRemediator", "--region", "us-east-1"), f"remediator plan --role {LONG}"),
    ],
)
def test_suggested_commands_are_whole_and_carry_the_options_of_the_call(
    arguments: tuple[str, ...], suggested: str, long_role: Deployed, remediator: Remediator
) -> None:
    assert any(line.endswith(suggested) for line in remediator(*arguments).out.splitlines())


def test_the_command_that_ends_a_conflict_carries_the_stack(long_role: Deployed, remediator: Remediator) -> None:
    history = long_role.history
    conflict = Conflict(NOW, NOW + timedelta(days=1), (), ("Terraform",))
    history.write_role_record(LONG, replace(history.read_role_record(LONG), conflict=conflict))
    assert f"remediator resume {LONG}\n" in remediator("status").out


def test_a_role_without_a_tag_is_suggested_to_be_enrolled_with_a_whole_command(
    running: Running, remediator: Remediator
) -> None:
    trust = json.dumps(policy(LAMBDA_STATEMENT))
    client("iam").create_role(RoleName=LONG, Path="/anyscale/production/", AssumeRolePolicyDocument=trust)
    assert (
        f"remediator enroll {LONG} production --settings cdk.json\n" in remediator("plan", "--settings", "cdk.json").out
    )
