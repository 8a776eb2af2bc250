"""``remediator unenroll``: the tag goes, and what was granted stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from remediator_cli.deployment import aws
from tests.cli.deployed import ROLE
from tests.cli.running import CLOUD, Running, deny, running, without_credentials, write_settings
from tests.cli.schemas import schema_errors
from tests.cli.terminal import Remediator
from tests.examples import ACCOUNT

__all__ = ["running"]


def test_it_asks_and_removes_the_tag_and_nothing_else(running: Running, remediator: Remediator) -> None:
    before = running.account.trust()
    running.account.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "team", "Value": "ml"}])
    answer = remediator("unenroll", ROLE, stdin=b"yes\n")
    assert (answer.code, answer.err) == (0, f"Remove the tag anyscale:cluster-role of {ROLE}? [y/N] ")
    assert answer.out.endswith(f"  remediator remove-grants --role {ROLE}\n")
    assert (running.tags(), running.account.trust()) == ({"team": "ml"}, before)


@pytest.mark.parametrize("said", [b"", b"n\n"])
def test_without_a_yes_nothing_is_changed(said: bytes, running: Running, remediator: Remediator) -> None:
    answer = remediator("unenroll", ROLE, stdin=said)
    assert (answer.code, running.tags()) == (1, {"anyscale:cluster-role": "production"})
    assert answer.err.splitlines()[-1].endswith("nothing was changed")


def test_a_role_that_is_not_enrolled_stays_as_it_is(running: Running, remediator: Remediator) -> None:
    remediator("unenroll", "--yes", ROLE)
    answer = remediator("unenroll", ROLE)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{ROLE} does not carry the tag anyscale:cluster-role; nothing was changed.\n"


def test_the_tag_is_that_of_the_configuration_and_without_one_the_usual(
    running: Running, remediator: Remediator
) -> None:
    write_settings({"enrollmentTag": "cluster", "clouds": {"production": CLOUD}})
    running.account.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "cluster", "Value": "production"}])
    assert remediator("unenroll", "--yes", ROLE).code == 0
    assert running.tags() == {"anyscale:cluster-role": "production"}
    Path("cdk.json").unlink()
    assert remediator("unenroll", "--yes", ROLE).code == 0
    assert running.tags() == {}


def test_a_role_that_is_not_there_is_an_error(running: Running, remediator: Remediator) -> None:
    answer = remediator("unenroll", "--yes", "missing")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: there is no role missing in the account of your credentials\n"


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("UntagRole", "your credentials may not call iam:UntagRole"),
        ("GetRole", "iam:GetRole failed with AccessDenied"),
    ],
)
def test_a_call_that_is_denied_is_named_and_nothing_is_changed(
    operation: str, action: str, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as denied:
        deny(denied, operation)
        answer = remediator("unenroll", "--yes", ROLE)
    assert (answer.code, running.tags()) == (1, {"anyscale:cluster-role": "production"})
    assert action in answer.err


def test_without_credentials_it_says_what_to_set(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch)
    answer = remediator("unenroll", "--yes", ROLE)
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err


@pytest.mark.parametrize(
    "arn", [f"arn:aws:iam::999999999999:role/anyscale/production/{ROLE}", f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"]
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, running: Running, remediator: Remediator
) -> None:
    answer = remediator("unenroll", "--yes", arn)
    assert (answer.code, answer.out, running.tags()) == (1, "", {"anyscale:cluster-role": "production"})
    assert f"{arn} was given" in answer.err
    assert f"is arn:aws:iam::{ACCOUNT}:role/anyscale/production/{ROLE}. Nothing was changed." in answer.err


def test_json_says_what_became_of_the_tag(running: Running, remediator: Remediator) -> None:
    declined = remediator("unenroll", "--json", ROLE)
    assert (declined.code, declined.record["result"]) == (1, "declined")
    assert "Remove the tag anyscale:cluster-role" in declined.err
    done = remediator("unenroll", "--json", "--yes", ROLE)
    assert (done.code, done.err, done.record["result"]) == (0, "", "unenrolled")
    assert done.record["tag"] == {"key": "anyscale:cluster-role", "before": "production", "after": None}
    again = remediator("unenroll", "--json", ROLE)
    assert (again.code, again.record["result"]) == (0, "not-enrolled")
    assert [schema_errors("enrollment", each.record) for each in (declined, done, again)] == [[], [], []]


def test_a_standard_input_that_is_closed_is_a_no(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = aws.account

    def account_without_input() -> aws.Account:
        monkeypatch.setattr(sys, "stdin", None)
        return find()

    monkeypatch.setattr(aws, "account", account_without_input)
    answer = remediator("unenroll", ROLE)
    assert (answer.code, running.tags()) == (1, {"anyscale:cluster-role": "production"})
    assert answer.err.splitlines()[-1].endswith("nothing was changed")
