"""``remediator apply``: one repair through the recorded flow, or why there is none."""

from __future__ import annotations

from datetime import timedelta

import boto3
import pytest

from remediator.core.change import ChangeKind, ChangeState
from remediator.core.finding import Finding, FindingCode
from remediator.core.memory import Contest, RoleMemory
from remediator.errors import DeniedError
from remediator.gateways.history import HistoryTable
from remediator.gateways.topic import PUBLISH, AlertsTopic
from remediator_cli import clock
from tests.cli.deployed import NOW, ROLE
from tests.cli.running import CLOUD, Running, configure, deny, running, without_credentials, write_settings
from tests.cli.terminal import Remediator
from tests.examples import BUCKET

__all__ = ["running"]

OWN = ["AnyscaleRemediatorS3Access"]


def test_it_shows_the_diff_asks_and_repairs_and_people_are_told(running: Running, remediator: Remediator) -> None:
    answer = remediator("apply", ROLE, stdin=b"y\n")
    assert (answer.code, answer.err) == (0, "Write it? [y/N] ")
    assert "would be written: inline policy AnyscaleRemediatorS3Access" in answer.out
    assert "Written: inline policy AnyscaleRemediatorS3Access, recorded as head-node/" in " ".join(answer.out.split())
    assert running.inline() == OWN
    (alert,) = running.alerts()
    assert (alert["outcome"], alert["role"]["name"]) == ("repaired", ROLE)


def test_it_is_recorded_with_whoever_the_credentials_belong_to_and_can_be_undone(
    running: Running, remediator: Remediator
) -> None:
    remediator("apply", "--yes", ROLE)
    newest, _ = running.account.history.list_changes(ROLE, most=10)
    assert (newest.kind, newest.state) == (ChangeKind.REPAIR, ChangeState.COMPLETED)
    (cause,) = newest.causes
    assert (cause.call, cause.actor.arn) == ("Apply", boto3.client("sts").get_caller_identity()["Arn"])
    assert newest.change_id in remediator("history").out.replace("\n", "")
    assert remediator("undo", "--yes", newest.change_id).code == 0
    assert running.inline() == []


@pytest.mark.parametrize("said", [b"", b"n\n"])
def test_without_a_yes_nothing_is_changed_and_nobody_is_told(
    said: bytes, running: Running, remediator: Remediator
) -> None:
    answer = remediator("apply", ROLE, stdin=said)
    assert (answer.code, running.inline(), running.alerts()) == (1, [], [])
    assert answer.err.splitlines()[-1].endswith("nothing was changed")
    assert len(running.account.history.list_changes(ROLE, most=10)) == 1


def test_a_role_in_order_is_left_as_it_is(running: Running, remediator: Remediator) -> None:
    remediator("apply", "--yes", ROLE)
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith(f"Nothing is wrong with {ROLE}; nothing was changed.\n")


def test_a_grant_through_the_bucket_policy_is_repaired_as_well(running: Running, remediator: Remediator) -> None:
    configure(grant="bucket-policy")
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, answer.err) == (0, "")
    assert [each["Sid"] for each in running.bucket_policy()["Statement"]] == ["AnyscaleRemediatorAccess"]


def test_a_repair_that_was_interrupted_after_its_write_leaves_nothing_to_do(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(HistoryTable, "conclude", lambda *_: None)
        dying.setattr(HistoryTable, "close", lambda *_: None)
        assert remediator("apply", "--yes", ROLE).code == 0
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith(f"Nothing is wrong with {ROLE}; nothing was changed.\n")


class TestIsHeldBack:
    def test_by_a_pause(self, running: Running, remediator: Remediator) -> None:
        running.account.pause("paused: production")
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "not repaired. Writes for production are paused. `remediator resume` ends that." in answer.err

    def test_by_a_pause_that_comes_while_it_asks(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def meanwhile(_: str) -> bool:
            running.account.pause("paused")
            return True

        monkeypatch.setattr("remediator_cli.commands.apply.confirmed", meanwhile)
        answer = remediator("apply", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "not repaired (would-repair). All writes are paused." in answer.err

    def test_by_the_observe_mode(self, running: Running, remediator: Remediator) -> None:
        configure(mode="observe")
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "not repaired. The role is only observed" in answer.err

    def test_by_a_contest(self, running: Running, remediator: Remediator) -> None:
        finding = Finding(FindingCode.GRANT_MISSING, BUCKET)
        contest = Contest(since=NOW, until=NOW + timedelta(days=1), findings=(finding,), actors=("Terraform",))
        running.remember(RoleMemory(role_id="AROA", contest=contest))
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "its repairs are undone by Terraform. `remediator resume head-node` ends that" in answer.err

    def test_by_a_contest_that_begins_with_it(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for minute in range(3):
            monkeypatch.setattr(clock, "now", lambda minute=minute: NOW.replace(minute=20 + minute))
            assert remediator("apply", "--yes", ROLE).code == 0
            running.account.iam.delete_role_policy(RoleName=ROLE, PolicyName=OWN[0])
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "not repaired (contested). Its repairs were undone too often" in answer.err

    def test_by_the_limit_of_writes(self, running: Running, remediator: Remediator) -> None:
        write_settings({"writeLimit": {"writes": 1, "minutes": 60}, "clouds": {"production": CLOUD}})
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "No more than 1 writes are made within 60 minutes." in answer.err

    def test_by_a_guard(self, running: Running, remediator: Remediator) -> None:
        configure(roles=["elsewhere/*"])
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "not repaired (refused). Cloud production is not configured to allow" in answer.err

    def test_by_the_want_of_a_tag(self, running: Running, remediator: Remediator) -> None:
        running.account.iam.untag_role(RoleName=ROLE, TagKeys=["anyscale:cluster-role"])
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "not repaired (not-enrolled). the role does not carry the tag" in answer.err


def test_a_role_that_is_not_there_is_an_error(running: Running, remediator: Remediator) -> None:
    answer = remediator("apply", "--yes", "nobody")
    assert answer.code == 1
    assert "nobody: not repaired (not-enrolled). the role does not exist" in answer.err


def test_a_write_that_is_denied_is_named(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "PutRolePolicy")
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, running.inline()) == (1, [])
    assert "nothing was written. iam:PutRolePolicy failed with AccessDenied: no" in answer.err
    newest, _ = running.account.history.list_changes(ROLE, most=10)
    assert newest.state is ChangeState.NOT_WRITTEN


def test_a_bucket_policy_that_may_not_be_written_is_named_and_told(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(grant="bucket-policy")
    deny(monkeypatch, "PutBucketPolicy")
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, running.bucket_policy()) == (1, None)
    assert "not written. s3:PutBucketPolicy failed with AccessDenied: no" in answer.err
    assert [alert["outcome"] for alert in running.alerts()] == ["failed"]


def test_a_history_that_is_denied_is_named_and_nothing_is_written(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "GetItem")
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, running.inline()) == (1, [])
    assert "your credentials may not call dynamodb:GetItem: no" in answer.err


def test_what_was_written_is_said_though_people_could_not_be_told(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DeniedError(PUBLISH, "AccessDenied", "not you")

    monkeypatch.setattr(AlertsTopic, "publish", refuse)
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, running.inline()) == (0, OWN)
    assert "people could not be told: sns:Publish failed with AccessDenied" in answer.err
    assert running.account.history.read_memory(ROLE).open_changes != ()


def test_a_stack_of_something_else_is_told_as_such(running: Running, remediator: Remediator) -> None:
    running.account.deploy({"HistoryTableName": "x", "PauseParameterName": "y"}, stack="Theirs")
    answer = remediator("apply", "--yes", ROLE, "--stack", "Theirs")
    assert (answer.code, answer.out) == (1, "")
    assert "the stack Theirs in us-east-1 has no output ReconcilerRoleArn" in answer.err


def test_without_credentials_it_says_what_to_set(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch)
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err
