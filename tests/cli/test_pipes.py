"""Identifiers and suggested commands stay whole where a program or a file reads the output."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.core.history.role_record import Conflict, Incident, RoleRecord
from tests.cli.deployed import NOW, Deployed
from tests.cli.running import Running, deny, running
from tests.cli.terminal import Remediator, case, lines
from tests.examples import ENROLLED, LAMBDA_STATEMENT, policy
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


OPTIONS = "--settings cdk.json --stack AnyscaleRemediator-2 --region us-east-1 --profile ops"
"""The options that a suggested command takes over, in the order in which it has them."""
IN_FILES = "--settings cdk.json --profile ops"


@pytest.fixture
def profile(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The deployment as stack AnyscaleRemediator-2, an AWS profile, and a broken role with a long name."""
    config = tmp_path / "config"
    config.write_text("[profile ops]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = example\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    running.account.deploy(running.outputs, stack="AnyscaleRemediator-2")
    create(running, ENROLLED)
    return running


def create(running: Running, tags: dict[str, str]) -> None:
    """Create the role with the long name."""
    running.account.iam.create_role(
        RoleName=LONG,
        Path="/anyscale/production/",
        AssumeRolePolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


def repaired(remediator: Remediator) -> str:
    """Repair the role with the long name; returns the id of the change of its trust policy."""
    out = remediator(*f"apply --yes {OPTIONS} {LONG}".split()).out
    found = re.search(rf"^Written: trust policy, recorded as ({LONG}/\S+)\.$", out, re.MULTILINE)
    assert found is not None, out
    return found[1]


def paused(running: Running) -> None:
    running.account.pause("paused: production")


def conflict(running: Running) -> None:
    running.remember(RoleRecord(conflict=Conflict(NOW, NOW + timedelta(days=1), (), ("Terraform",))), LONG)


def untagged(running: Running) -> None:
    running.account.iam.untag_role(RoleName=LONG, TagKeys=list(ENROLLED))


def nothing(_: Running) -> None:
    pass


@pytest.mark.parametrize(
    ("happens", "typed", "suggested"),
    [
        (conflict, f"status {OPTIONS}", f"remediator resume {LONG} {OPTIONS}"),
        (paused, f"status {OPTIONS}", f"remediator resume {OPTIONS}"),
        (paused, f"apply --yes {OPTIONS} {LONG}", f"remediator resume {OPTIONS}"),
        (conflict, f"apply --yes {OPTIONS} {LONG}", f"remediator resume {LONG} {OPTIONS}"),
        (untagged, f"plan {IN_FILES}", f"remediator enroll {LONG} production {IN_FILES}"),
        (nothing, f"unenroll --yes {IN_FILES} {LONG}", f"remediator remove-grants --role {LONG} {IN_FILES}"),
        (nothing, f"history {OPTIONS} {LONG[:-1]}", f"remediator history {OPTIONS}"),
        (nothing, f"history {OPTIONS} {CHANGE}", f"remediator history {OPTIONS}"),
        (nothing, f"undo --yes {OPTIONS} {CHANGE}", f"remediator history {OPTIONS}"),
        (conflict, f"report {OPTIONS} -", f"remediator resume {LONG} {OPTIONS}"),
        (untagged, f"report {OPTIONS} -", f"remediator enroll {LONG} production {IN_FILES}"),
    ],
)
def test_every_suggested_command_is_whole_and_has_the_options_of_the_call(
    happens: Callable[[Running], None], typed: str, suggested: str, profile: Running, remediator: Remediator
) -> None:
    happens(profile)
    answer = remediator(*typed.split())
    assert re.search(rf"(?:^|[\s>`]){re.escape(suggested)}(?:$|[<`,;.])", answer.out + answer.err, re.MULTILINE)


@pytest.mark.parametrize("typed", ["plan", "report -"])
def test_the_command_that_prints_the_missing_permissions_has_the_options_of_the_call(
    typed: str, profile: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "GetBucketPolicy")
    assert f"remediator plan --print-policy {IN_FILES}\n" in remediator(*typed.split(), *IN_FILES.split()).err


def test_what_a_write_suggests_and_records_is_whole(profile: Running, remediator: Remediator) -> None:
    change = repaired(remediator)
    assert f"remediator pause {OPTIONS}" in remediator(*f"remove-grants --yes {OPTIONS}".split()).err
    undone = remediator(*f"undo --yes {OPTIONS} {change}".split()).out
    assert re.search(rf"^Undone, and recorded as {LONG}/\S+\.$", undone, re.MULTILINE)
    assert f"  remediator resume {LONG} {OPTIONS}\n" in undone
    assert f"of {LONG} is set to repair" in remediator(*f"resume {OPTIONS} {LONG}".split()).out
    remediator(*f"pause {OPTIONS}".split())
    removed = remediator(*f"remove-grants --yes {OPTIONS}".split()).out
    assert re.search(rf"^Removed: .* of {LONG}, recorded as {LONG}/\S+\.$", removed, re.MULTILINE)


def test_the_commands_for_aws_have_the_profile_of_the_call(profile: Running, remediator: Remediator) -> None:
    error = remediator("compute-config", "--profile", "ops", LONG).err
    assert f"aws iam create-instance-profile --instance-profile-name {LONG} --profile ops && " in error
    assert error.endswith(f"--instance-profile-name {LONG} --role-name {LONG} --profile ops\n")


def test_names_that_are_read_from_files_are_whole(remediator: Remediator) -> None:
    arn = f"arn:aws:iam::111111111111:role/anyscale/production/{LONG}"
    assert f"{arn} and bucket " in remediator("evaluate", "-o", "text", stdin=lines(case(role={"arn": arn}))).out
    event = {"eventSource": "iam.amazonaws.com", "eventName": "TagRole", "eventID": "i" * 36}
    record = {
        **event,
        "eventTime": "2026-03-04T10:00:17Z",
        "requestParameters": {"roleName": LONG},
        "recipientAccountId": "1" * 12,
    }
    assert f"role {LONG}\n" in remediator("explain-event", "-o", "text", stdin=lines(record)).out
