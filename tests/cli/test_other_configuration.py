"""A configuration that is not the deployed one: it repairs nothing, and commands that only read report it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remediator.settings import settings_digest
from remediator.settings_check import parse_settings
from tests.cli.deployed import ROLE
from tests.cli.running import CLOUD, Running, running
from tests.cli.terminal import Remediator
from tests.examples import bucket_grant, policy

__all__ = ["running"]

OTHER = "was deployed with another configuration than the given one"
UNRECORDED = "was deployed by an earlier version, which does not record its configuration"


@pytest.fixture
def other(running: Running) -> str:
    """A file with the configuration of the same cloud with another bucket."""
    running.s3.create_bucket(Bucket="elsewhere")
    path = Path("other.json")
    path.write_text(
        json.dumps({"clouds": {"production": {**CLOUD, "buckets": [{"name": "elsewhere", "region": "us-east-1"}]}}})
    )
    return str(path)


def test_nothing_is_repaired_by_it(running: Running, remediator: Remediator, other: str) -> None:
    assert remediator("apply", "--yes", ROLE).code == 0
    before = running.account.iam.get_role_policy(RoleName=ROLE, PolicyName="AnyscaleRemediatorS3Access")
    answer = remediator("apply", "--yes", "--settings", other, ROLE)
    assert (answer.code, answer.out) == (1, "")
    assert OTHER in answer.err
    assert "--settings" in answer.err
    after = running.account.iam.get_role_policy(RoleName=ROLE, PolicyName="AnyscaleRemediatorS3Access")
    assert after["PolicyDocument"] == before["PolicyDocument"]


@pytest.mark.parametrize("command", [("status",), ("report", "--json"), ("remove-grants", "--yes")])
def test_commands_that_read_report_it(
    running: Running, remediator: Remediator, other: str, command: tuple[str, ...]
) -> None:
    running.account.pause("paused")
    running.account.iam.put_role_policy(
        RoleName=ROLE, PolicyName="AnyscaleRemediatorS3Access", PolicyDocument=json.dumps(policy(bucket_grant()))
    )
    assert OTHER in remediator(*command, "--settings", other).err
    assert OTHER not in remediator(*command).err


def test_a_stack_that_does_not_say_with_which_it_was_deployed_is_to_be_deployed_again(
    running: Running, remediator: Remediator
) -> None:
    running.account.deploy({**running.outputs, "ConfigurationDigest": ""})
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, answer.out, running.inline()) == (1, "", [])
    assert answer.err == (
        f"error: The stack AnyscaleRemediator in us-east-1 {UNRECORDED}. Deploy it again (npx cdk deploy --all)\n"
    )
    error = remediator("status").err
    assert UNRECORDED in error
    assert OTHER not in error


def test_equal_configurations_have_one_digest_however_they_are_written_and_others_have_others() -> None:
    short = {"clouds": {"production": CLOUD}}
    long = {"region": "us-east-1", "sweepMinutes": 60, "emails": [], **short}
    assert settings_digest(parse_settings(short)) == settings_digest(parse_settings(long))
    for changed in ({"sweepMinutes": 120}, {"clouds": {"production": {**CLOUD, "mode": "observe"}}}):
        assert settings_digest(parse_settings({**short, **changed})) != settings_digest(parse_settings(short))
