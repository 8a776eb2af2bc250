"""``remediator compute-config``: the ARN of an instance profile, ready to be pasted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.policy.reading import Present, Unreadable
from remediator.errors import NotFoundError, RemediatorError
from remediator_cli.commands.compute_config import chosen_instance_profile
from remediator_cli.deployment import aws
from tests.cli.running import deny
from tests.cli.schemas import schema_errors
from tests.cli.terminal import Remediator
from tests.examples import ACCOUNT

ROLE = "head-node"
ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/anyscale/{ROLE}"


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An account in memory with a role that is in no instance profile."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("iam", region_name="us-east-1")
        client.create_role(RoleName=ROLE, Path="/anyscale/", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
        yield client


def put_into(iam: Any, profile: str, path: str = "/anyscale/") -> None:
    iam.create_instance_profile(InstanceProfileName=profile, Path=path)
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=ROLE)


def arn_in(text: str) -> str:
    found: str = json.loads(text)["IamInstanceProfile"]["Arn"]
    return found


@pytest.mark.parametrize("role", [ROLE, f"arn:aws:iam::{ACCOUNT}:role/anyscale/{ROLE}"])
def test_the_instance_profile_of_the_roles_name_is_printed_whatever_else_there_is(
    role: str, iam: Any, remediator: Remediator
) -> None:
    put_into(iam, "shared")
    put_into(iam, ROLE)
    answer = remediator("compute-config", role)
    assert (answer.code, answer.err) == (0, "")
    assert arn_in(answer.out).endswith(f":instance-profile/anyscale/{ROLE}")


def test_another_instance_profile_will_do_if_it_is_the_only_one(iam: Any, remediator: Remediator) -> None:
    put_into(iam, "shared", "/")
    assert arn_in(remediator("compute-config", ROLE).out).endswith(":instance-profile/shared")


def test_of_several_one_must_be_named(iam: Any, remediator: Remediator) -> None:
    put_into(iam, "one")
    put_into(iam, "two")
    answer = remediator("compute-config", ROLE)
    assert (answer.code, answer.out) == (1, "")
    assert "--instance-profile" in answer.err
    answer = remediator("compute-config", ROLE, "--instance-profile", "two")
    assert arn_in(answer.out).endswith("/two")
    answer = remediator("compute-config", ROLE, "--instance-profile", "three")
    assert (answer.code, answer.out) == (1, "")
    assert "it is in one, two" in answer.err


def test_a_role_in_no_instance_profile_is_an_error_that_says_how_to_make_one(iam: Any, remediator: Remediator) -> None:
    answer = remediator("compute-config", ROLE)
    assert (answer.code, answer.out) == (1, "")
    assert "aws iam create-instance-profile --instance-profile-name head-node" in answer.err


def test_a_role_that_is_not_there_is_an_error(remediator: Remediator, monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:  # moto lists the instance profiles of a role that does not exist
        def read_instance_profiles(self, role_name: str) -> InstanceProfiles:
            raise NotFoundError("iam:ListInstanceProfilesForRole", "NoSuchEntity", f"no role {role_name}")

    monkeypatch.setattr(aws, "iam", Missing)
    answer = remediator("compute-config", "missing")
    assert (answer.code, answer.out) == (1, "")
    assert "there is no role missing" in answer.err


def test_what_is_no_arn_of_a_role_is_a_wrong_call(remediator: Remediator) -> None:
    answer = remediator("compute-config", ARN)
    assert (answer.code, answer.out) == (2, "")
    assert "Invalid value for ROLE" in answer.err


def test_without_credentials_it_says_what_to_set(remediator: Remediator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    answer = remediator("compute-config", ROLE)
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err
    assert "Traceback" not in answer.err


def test_what_could_not_be_read_is_no_answer() -> None:
    with pytest.raises(RemediatorError, match="denied"):
        chosen_instance_profile(ROLE, InstanceProfiles(Unreadable("denied")), None)
    profile = InstanceProfile(ARN, ROLE, (ROLE,))
    assert chosen_instance_profile(ROLE, InstanceProfiles(Present((profile,))), None) is profile


@pytest.mark.parametrize(
    "arn", [f"arn:aws:iam::999999999999:role/anyscale/{ROLE}", f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"]
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, iam: Any, remediator: Remediator
) -> None:
    put_into(iam, ROLE)
    answer = remediator("compute-config", arn)
    assert (answer.code, answer.out) == (1, "")
    assert f"{arn} was given" in answer.err
    assert f"is arn:aws:iam::{ACCOUNT}:role/anyscale/{ROLE}" in answer.err


def test_json_also_names_the_role_and_the_instance_profile(iam: Any, remediator: Remediator) -> None:
    put_into(iam, "shared")
    answer = remediator("compute-config", "--json", ROLE)
    assert (answer.code, answer.err, schema_errors("compute-config", answer.record)) == (0, "", [])
    arn = ARN.replace(ROLE, "shared")
    assert answer.record == {
        "account": ACCOUNT,
        "role": ROLE,
        "instance_profile": {"name": "shared", "arn": arn},
        "configuration": json.loads(remediator("compute-config", ROLE).out),
    }


@pytest.mark.parametrize("named", [ROLE, f"arn:aws:iam::{ACCOUNT}:role/anyscale/{ROLE}"])
def test_a_call_that_is_denied_is_named(
    named: str, iam: Any, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into(iam, ROLE)
    deny(monkeypatch, "ListInstanceProfilesForRole")
    answer = remediator("compute-config", named)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1
    assert "iam:ListInstanceProfilesForRole failed with AccessDenied" in answer.err
