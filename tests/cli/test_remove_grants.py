"""``remediator remove-grants``: the remediator's grants go, after a confirmation, unless they would come back."""

from __future__ import annotations

import json

import boto3
import pytest

import stacks.history
from remediator.core.history.change import ChangeKind, ChangeState
from remediator_cli.commands.remove_grants import PAUSE_PARAMETER
from tests.cli.deployed import ROLE
from tests.cli.running import Running, configure, deny, running, without_credentials
from tests.cli.schemas import schema_errors
from tests.cli.terminal import Remediator
from tests.examples import ACCOUNT, BUCKET, LAMBDA_STATEMENT, policy

__all__ = ["running"]

THEIRS = {
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action": "s3:GetObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/a",
}


@pytest.fixture
def granted(running: Running, remediator: Remediator) -> Running:
    """A deployment that has repaired a role, and is paused."""
    assert remediator("apply", "--yes", ROLE).code == 0
    running.account.pause("paused")
    running.alerts()
    return running


def test_it_warns_shows_the_diffs_asks_and_removes_the_remediators_grants(
    granted: Running, remediator: Remediator
) -> None:
    answer = remediator("remove-grants", stdin=b"y\n")
    assert (answer.code, answer.err) == (0, "Remove the grants in these 2 documents? [y/N] ")
    said = " ".join(answer.out.split())
    assert "Clusters that have no other grant lose their access immediately." in said
    assert f"inline policy AnyscaleRemediatorS3Access of {ROLE} would be deleted" in said
    assert f"trust policy of {ROLE} would become" in said
    assert '- "Sid": "AnyscaleRemediatorEC2Trust",' in said
    assert (granted.inline(), granted.account.trust()) == ([], [LAMBDA_STATEMENT])


def test_it_is_recorded_with_the_caller(granted: Running, remediator: Remediator) -> None:
    out = remediator("remove-grants", "--yes").out
    newest = granted.account.history.list_changes(ROLE, most=2)
    assert {(each.kind, each.state) for each in newest} == {(ChangeKind.UNDO, ChangeState.COMPLETED)}
    me = boto3.client("sts").get_caller_identity()["Arn"]
    assert {cause.actor.arn for each in newest for cause in each.causes} == {me}
    assert all(each.change_id in out.replace("\n", "") for each in newest)
    assert f"{me} undid what was granted" in " ".join(remediator("history", "--limit", "1").out.split())


@pytest.mark.parametrize("said", [b"", b"n\n"])
def test_without_a_yes_nothing_is_changed(said: bytes, granted: Running, remediator: Remediator) -> None:
    answer = remediator("remove-grants", stdin=said)
    assert (answer.code, granted.inline()) == (1, ["AnyscaleRemediatorS3Access"])
    assert answer.err.splitlines()[-1].endswith("nothing was changed")


@pytest.mark.parametrize("value", ["running", "paused: another"])
def test_while_the_remediator_would_put_it_back_nothing_is_changed(
    value: str, granted: Running, remediator: Remediator
) -> None:
    granted.account.pause(value)
    answer = remediator("remove-grants", "--yes")
    assert (answer.code, granted.inline()) == (1, ["AnyscaleRemediatorS3Access"])
    assert "the remediator is running, and would restore within seconds what is removed in production" in answer.err
    assert "remediator pause" in answer.err


def test_of_a_role_that_is_not_enrolled_any_more_it_needs_no_pause(granted: Running, remediator: Remediator) -> None:
    granted.account.pause("running")
    remediator("unenroll", "--yes", ROLE)
    assert remediator("remove-grants", "--yes", "--role", ROLE).code == 0
    assert granted.inline() == []


def test_without_a_stack_it_goes_unrecorded_and_says_so(granted: Running, remediator: Remediator) -> None:
    granted.account.ssm.delete_parameter(Name=PAUSE_PARAMETER)
    answer = remediator("remove-grants", "--yes", "--stack", "Deleted")
    assert (answer.code, granted.inline()) == (0, [])
    assert "There is no stack Deleted, and so no history" in answer.out
    assert "recorded as" not in answer.out


def test_a_stack_of_another_name_still_runs_and_must_be_named(granted: Running, remediator: Remediator) -> None:
    answer = remediator("remove-grants", "--yes", "--stack", "Misspelt")
    assert (answer.code, granted.inline()) == (1, ["AnyscaleRemediatorS3Access"])
    assert "there is no stack Misspelt in us-east-1" in answer.err


def test_the_parameter_that_pauses_has_the_name_that_the_stack_gives_it() -> None:
    assert PAUSE_PARAMETER == stacks.history.PAUSE_PARAMETER


def test_what_others_have_put_into_the_bucket_policy_stays(running: Running, remediator: Remediator) -> None:
    configure(grant="bucket-policy")
    running.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(THEIRS)))
    assert remediator("apply", "--yes", ROLE).code == 0
    assert len(running.bucket_policy()["Statement"]) == 2
    running.account.pause("paused: production")
    answer = remediator("remove-grants", "--yes")
    assert (answer.code, answer.err) == (0, "")
    assert running.bucket_policy()["Statement"] == [THEIRS]


def test_where_nothing_is_to_be_removed_it_says_so(granted: Running, remediator: Remediator) -> None:
    remediator("remove-grants", "--yes")
    answer = remediator("remove-grants")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "There is nothing to remove.\n"


def test_what_is_left_is_named_with_the_reason(granted: Running, remediator: Remediator) -> None:
    own = [each for each in granted.account.trust() if each != LAMBDA_STATEMENT]
    granted.account.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(*own)))
    answer = remediator("remove-grants", "--yes")
    assert (answer.code, granted.account.trust()) == (0, own)
    assert f"trust policy of {ROLE} is left as it is" in " ".join(answer.out.split())


def test_a_role_that_is_not_there_is_an_error(granted: Running, remediator: Remediator) -> None:
    answer = remediator("remove-grants", "--yes", "--role", "missing")
    assert (answer.code, answer.out) == (1, "")
    assert "there is no role missing in account" in answer.err


def test_a_scan_that_is_denied_is_named(
    granted: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "GetAccountAuthorizationDetails")
    answer = remediator("remove-grants", "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert "your credentials may not call iam:GetAccountAuthorizationDetails" in answer.err


def test_a_write_that_is_denied_is_named_and_the_others_are_made(
    granted: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "DeleteRolePolicy")
    answer = remediator("remove-grants", "--yes")
    assert (answer.code, granted.account.trust()) == (1, [LAMBDA_STATEMENT])
    assert "not removed. iam:DeleteRolePolicy failed with AccessDenied: no" in answer.err
    assert granted.inline() == ["AnyscaleRemediatorS3Access"]


def test_without_credentials_it_says_what_to_set(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch)
    answer = remediator("remove-grants", "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err


@pytest.mark.parametrize(
    "arn", [f"arn:aws:iam::999999999999:role/anyscale/production/{ROLE}", f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"]
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, granted: Running, remediator: Remediator
) -> None:
    answer = remediator("remove-grants", "--yes", "--role", arn)
    assert (answer.code, answer.out, granted.inline()) == (1, "", ["AnyscaleRemediatorS3Access"])
    assert f"{arn} was given" in answer.err
    assert f"is arn:aws:iam::{ACCOUNT}:role/anyscale/production/{ROLE}. Nothing was changed." in answer.err


class TestWithJson:
    def test_it_prints_what_was_removed_with_the_ids_of_the_changes(
        self, granted: Running, remediator: Remediator
    ) -> None:
        answer = remediator("remove-grants", "--json", "--yes")
        record = answer.record
        assert (answer.code, answer.err, schema_errors("remove-grants", record)) == (0, "", [])
        assert (record["result"], record["account"], record["left"]) == ("taken-back", ACCOUNT, [])
        recorded = {each.change_id: each for each in granted.account.history.list_changes(ROLE, most=2)}
        assert {each["change"]["id"] for each in record["takings"]} == set(recorded)
        assert {each["change"]["state"] for each in record["takings"]} == {"completed"}
        inline, trust = record["takings"]
        assert (inline["after"], trust["after"]["Statement"]) == (None, [LAMBDA_STATEMENT])
        again = remediator("remove-grants", "--json").record
        assert (again["result"], schema_errors("remove-grants", again)) == ("nothing", [])

    def test_it_asks_on_standard_error_with_what_it_asks_about(self, granted: Running, remediator: Remediator) -> None:
        answer = remediator("remove-grants", "--json")
        assert (answer.code, answer.record["result"]) == (1, "declined")
        assert schema_errors("remove-grants", answer.record) == []
        assert {each["taken_back"] for each in answer.record["takings"]} == {None}
        assert "AnyscaleRemediatorEC2Trust" in answer.err
        assert "Remove the grants in these 2 documents? [y/N] " in answer.err

    def test_it_says_that_the_remediator_runs(self, granted: Running, remediator: Remediator) -> None:
        granted.account.pause("running")
        answer = remediator("remove-grants", "--json", "--yes")
        assert (answer.code, answer.record["result"]) == (1, "running")
        assert schema_errors("remove-grants", answer.record) == []

    def test_it_prints_what_could_not_be_removed(
        self, granted: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deny(monkeypatch, "DeleteRolePolicy")
        answer = remediator("remove-grants", "--json", "--yes")
        assert (answer.code, answer.record["result"]) == (1, "incomplete")
        assert schema_errors("remove-grants", answer.record) == []
        inline, trust = answer.record["takings"]
        assert (inline["taken_back"], inline["change"], trust["taken_back"]) == (False, None, True)
        assert inline["why"].startswith("iam:DeleteRolePolicy failed")
