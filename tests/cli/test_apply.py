"""``remediator apply``: one repair through the recorded flow, or why there is none."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import boto3
import pytest

from remediator.core.history.change import ChangeKind, ChangeState
from remediator.core.history.role_record import Conflict, RoleRecord
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.policy.document import PolicyDocument
from remediator.errors import DeniedError
from remediator.gateways.history import HistoryTable
from remediator.gateways.iam import IamGateway
from remediator.gateways.topic import PUBLISH, AlertsTopic
from remediator_cli.terminal import clock
from tests.cli.deployed import NOW, ROLE
from tests.cli.running import (
    CLOUD,
    OWN_ROLE,
    Running,
    answer_with,
    configure,
    deny,
    running,
    without_credentials,
    write_settings,
)
from tests.cli.schemas import schema_errors
from tests.cli.terminal import Remediator
from tests.examples import ACCOUNT, BUCKET, ENROLLED, LAMBDA_STATEMENT, policy

__all__ = ["running"]

OWN = ["AnyscaleRemediatorS3Access"]


def test_it_shows_the_diff_asks_repairs_and_sends_an_alert(running: Running, remediator: Remediator) -> None:
    answer = remediator("apply", ROLE, stdin=b"y\n")
    assert (answer.code, answer.err) == (0, "Write it? [y/N] ")
    assert "would be written: inline policy AnyscaleRemediatorS3Access" in answer.out
    assert "Written: inline policy AnyscaleRemediatorS3Access, recorded as head-node/" in " ".join(answer.out.split())
    assert running.inline() == OWN
    (alert,) = running.alerts()
    assert (alert["outcome"], alert["role"]["name"]) == ("repaired", ROLE)


def test_it_is_recorded_with_the_caller_and_can_be_undone(running: Running, remediator: Remediator) -> None:
    remediator("apply", "--yes", ROLE)
    newest, _ = running.account.history.list_changes(ROLE, most=10)
    assert (newest.kind, newest.state) == (ChangeKind.REPAIR, ChangeState.COMPLETED)
    (cause,) = newest.causes
    assert (cause.call, cause.actor.arn) == ("Apply", boto3.client("sts").get_caller_identity()["Arn"])
    assert newest.change_id in remediator("history").out.replace("\n", "")
    assert remediator("undo", "--yes", newest.change_id).code == 0
    assert running.inline() == []


@pytest.mark.parametrize("said", [b"", b"n\n"])
def test_without_a_yes_nothing_is_changed_and_no_alert_is_sent(
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


def test_a_role_of_the_remediator_is_refused(running: Running, remediator: Remediator) -> None:
    configure(roles=["Anyscale*"])
    running.create_own_role(ENROLLED)
    answer = remediator("apply", "--yes", OWN_ROLE)
    assert (answer.code, running.inline(OWN_ROLE), running.alerts()) == (1, [], [])
    assert "not repaired (refused). The role is one of the remediator's own, which it never touches." in answer.err


def test_a_role_that_is_refused_between_two_writes_is_said_to_be(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam, write_trust = running.account.iam, IamGateway.write_trust
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))

    def meanwhile(gateway: IamGateway, role_name: str, document: PolicyDocument) -> None:
        write_trust(gateway, role_name, document)
        iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:cluster-role", "Value": "nowhere"}])

    monkeypatch.setattr(IamGateway, "write_trust", meanwhile)
    answer = remediator("apply", "--yes", "--json", ROLE)
    assert (answer.code, answer.record["result"], running.inline()) == (1, "incomplete", [])
    assert "not repaired (refused). The tag anyscale:cluster-role names the cloud 'nowhere'" in answer.err
    assert [alert["outcome"] for alert in running.alerts()] == ["refused"]


class TestIsOnHold:
    def test_by_a_pause(self, running: Running, remediator: Remediator) -> None:
        running.account.pause("paused: production")
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "not repaired. Writes for production are paused. To end the pause: remediator resume" in answer.err

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
        assert "not repaired. The role is in observe mode" in answer.err

    def test_by_a_conflict(self, running: Running, remediator: Remediator) -> None:
        finding = Finding(FindingCode.GRANT_MISSING, BUCKET)
        conflict = Conflict(since=NOW, until=NOW + timedelta(days=1), findings=(finding,), actors=("Terraform",))
        running.remember(RoleRecord(role_id="AROA", conflict=conflict))
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert "its repairs are undone by Terraform. When that is resolved: remediator resume head-node" in answer.err

    def test_by_a_conflict_that_begins_with_it(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for minute in range(3):
            monkeypatch.setattr(clock, "now", lambda minute=minute: NOW.replace(minute=20 + minute))
            assert remediator("apply", "--yes", ROLE).code == 0
            running.account.iam.delete_role_policy(RoleName=ROLE, PolicyName=OWN[0])
        answer = remediator("apply", "--yes", ROLE)
        assert (answer.code, running.inline()) == (1, [])
        assert (
            "not repaired (contested). Its repairs were undone too often, by an unknown principal: the role"
            in answer.err
        )

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
    answer = remediator("apply", "--yes", "missing")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: there is no role missing in the account of your credentials\n"


def test_a_write_that_is_denied_is_named(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "PutRolePolicy")
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, running.inline()) == (1, [])
    assert "nothing is known to have been written. iam:PutRolePolicy failed with AccessDenied: no" in answer.err
    newest, _ = running.account.history.list_changes(ROLE, most=10)
    assert newest.state is ChangeState.NOT_WRITTEN


def test_of_a_write_whose_answer_is_lost_it_is_not_said_that_it_was_not_made(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    answer_with(monkeypatch, "PutRolePolicy", 500, "ServiceFailure")
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, running.inline()) == (1, [])
    assert "nothing is known to have been written. iam:PutRolePolicy failed with ServiceFailure: no" in answer.err
    newest, _ = running.account.history.list_changes(ROLE, most=10)
    assert newest.state is ChangeState.INTENDED


def test_a_bucket_policy_that_cannot_be_written_is_named_and_alerted(
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


def test_a_write_is_reported_though_the_alert_failed(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DeniedError(PUBLISH, "AccessDenied", "not you")

    monkeypatch.setattr(AlertsTopic, "publish", refuse)
    answer = remediator("apply", "--yes", ROLE)
    assert (answer.code, running.inline()) == (0, OWN)
    assert "the alert could not be sent: sns:Publish failed with AccessDenied" in answer.err
    assert running.account.history.read_role_record(ROLE).open_changes != ()


def test_a_stack_of_another_application_is_reported(running: Running, remediator: Remediator) -> None:
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


@pytest.mark.parametrize(
    "arn", ["arn:aws:iam::999999999999:role/anyscale/production/head-node", f"arn:aws:iam::{ACCOUNT}:role/head-node"]
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, running: Running, remediator: Remediator
) -> None:
    answer = remediator("apply", "--yes", arn)
    assert (answer.code, answer.out, running.inline(), running.alerts()) == (1, "", [], [])
    assert f"{arn} was given" in answer.err
    assert (
        f"is arn:aws:iam::{ACCOUNT}:role/anyscale/production/{ROLE}. Nothing was changed. Use --profile" in answer.err
    )


def test_a_role_can_be_named_by_its_arn(running: Running, remediator: Remediator) -> None:
    answer = remediator("apply", "--yes", f"arn:aws:iam::{ACCOUNT}:role/anyscale/production/{ROLE}")
    assert (answer.code, running.inline()) == (0, OWN)


class TestWithJson:
    def record(self, remediator: Remediator, *arguments: str, stdin: bytes = b"") -> tuple[int, str, Any]:
        """The exit code, standard error, and the one object, which has the published form."""
        answer = remediator("apply", "--json", *arguments, stdin=stdin)
        assert schema_errors("apply", answer.record) == []
        return answer.code, answer.err, answer.record

    def test_it_says_what_was_written_with_the_id_and_the_state_of_the_change(
        self, running: Running, remediator: Remediator
    ) -> None:
        code, err, record = self.record(remediator, "--yes", ROLE)
        newest, _ = running.account.history.list_changes(ROLE, most=10)
        (write,) = record["writes"]
        assert (code, err, record["result"], record["outcome"], record["told"]) == (0, "", "repaired", "repaired", True)
        assert (record["account"], record["role"]["id"]) == (ACCOUNT, newest.role_id)
        assert write["change"] == {"id": newest.change_id, "state": "completed"}
        found = running.account.history.read_change(newest.change_id)
        assert found is not None
        assert (write["before"], write["after"]) == (found.before, found.after)

    def test_it_asks_on_standard_error_with_what_it_asks_about(self, running: Running, remediator: Remediator) -> None:
        code, err, record = self.record(remediator, ROLE, stdin=b"y\n")
        assert (code, record["result"], running.inline()) == (0, "repaired", OWN)
        assert "would be written: inline policy AnyscaleRemediatorS3Access" in err
        assert err.endswith("Write it? [y/N] ")

    def test_without_a_yes_it_says_so(self, running: Running, remediator: Remediator) -> None:
        code, err, record = self.record(remediator, ROLE)
        assert (code, record["result"], running.inline()) == (1, "declined", [])
        assert [each["state"] for each in record["writes"]] == ["proposed"]
        assert err.splitlines()[-1].endswith("nothing was changed")

    def test_it_says_what_held_it_back(self, running: Running, remediator: Remediator) -> None:
        running.account.pause("paused: production")
        code, _, record = self.record(remediator, "--yes", ROLE)
        assert (code, record["result"], record["held_back_by"]) == (1, "held-back", "paused")
        assert record["why"].startswith("Writes for production are paused.")

    def test_it_says_that_there_was_nothing_to_do(self, running: Running, remediator: Remediator) -> None:
        remediator("apply", "--yes", ROLE)
        code, err, record = self.record(remediator, "--yes", ROLE)
        assert (code, err, record["result"], record["writes"]) == (0, "", "nothing-to-do", [])

    def test_it_says_why_a_role_is_not_repaired(self, running: Running, remediator: Remediator) -> None:
        configure(roles=["elsewhere/*"])
        code, _, record = self.record(remediator, "--yes", ROLE)
        assert (code, record["result"], record["outcome"], record["refusal"]) == (
            1,
            "not-repaired",
            "refused",
            "not-allowed",
        )

    def test_it_says_which_document_could_not_be_written(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configure(grant="bucket-policy")
        deny(monkeypatch, "PutBucketPolicy")
        code, _, record = self.record(remediator, "--yes", ROLE)
        (write,) = record["writes"]
        assert (code, record["result"], write["state"], write["change"]["state"]) == (
            1,
            "not-repaired",
            "not-written",
            "not-written",
        )
        assert write["why"].startswith("s3:PutBucketPolicy failed with AccessDenied")

    def test_a_write_that_is_denied_immediately_is_an_object_as_well(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deny(monkeypatch, "PutRolePolicy")
        code, _, record = self.record(remediator, "--yes", ROLE)
        assert (code, record["result"], record["told"]) == (1, "not-repaired", None)


def undo_it_too_often(running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repair a role, and undo the repair, so often that the next repair is a conflict."""
    for minute in range(3):
        monkeypatch.setattr(clock, "now", lambda minute=minute: NOW.replace(minute=20 + minute))
        assert remediator("apply", "--yes", ROLE).code == 0
        running.account.iam.delete_role_policy(RoleName=ROLE, PolicyName=OWN[0])


def refuse(*_: object) -> None:
    raise DeniedError(PUBLISH, "AccessDenied", "not you")


def test_a_conflict_is_reported_only_where_it_is_recorded(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    undo_it_too_often(running, remediator, monkeypatch)
    with monkeypatch.context() as silent:
        silent.setattr(AlertsTopic, "publish", refuse)
        answer = remediator("apply", "--yes", "--json", ROLE)
    assert (answer.code, running.inline()) == (1, [])
    assert "not stored yet" in answer.err
    assert "remediator resume" not in answer.err
    assert (answer.record["contest"]["stored"], answer.record["held_back_by"]) == (False, "contest")
    assert running.account.history.read_role_record(ROLE).conflict is None
    answer = remediator("apply", "--yes", "--json", ROLE)
    assert "the role is in conflict now. When that is resolved: remediator resume head-node" in answer.err
    assert (answer.record["contest"]["stored"], answer.record["told"]) == (True, True)
    assert "The conflict since" in remediator("resume", ROLE).out


def test_an_alert_that_could_not_be_recorded_is_reported(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> None:
        raise DeniedError("dynamodb:UpdateItem", "AccessDenied", "not you")

    monkeypatch.setattr(HistoryTable, "close", lose)
    answer = remediator("apply", "--yes", ROLE)
    assert answer.code == 0
    assert "the alert was sent but could not be recorded: dynamodb:UpdateItem failed" in answer.err
