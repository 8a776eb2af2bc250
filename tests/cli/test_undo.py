"""``remediator undo``: the diff, the question, and what is said of what was done."""

from __future__ import annotations

import json
import unicodedata

import boto3
import pytest

from remediator.core.history.change import ChangeKind
from remediator.errors import DeniedError
from remediator.gateways.iam import IamGateway
from tests.cli.deployed import ROLE, Deployed
from tests.cli.schemas import schema_errors
from tests.cli.terminal import Remediator
from tests.examples import EC2_STATEMENT, LAMBDA_STATEMENT, policy

OTHER = "head-node/20260304T100020000000Z-00000000"


def test_it_shows_the_diff_asks_and_puts_back_what_was_there(deployed: Deployed, remediator: Remediator) -> None:
    answer = remediator("undo", deployed.change.change_id, stdin=b"y\n")
    assert (answer.code, answer.err) == (0, "Undo it? [y/N] ")
    assert '  -      "Sid": "AnyscaleRemediatorEC2Trust",\n' in answer.out
    assert answer.out.endswith("\n  remediator resume head-node\n")
    assert (deployed.trust(), deployed.mode()) == ([LAMBDA_STATEMENT], "observe")


def test_it_is_recorded_with_the_caller(deployed: Deployed, remediator: Remediator) -> None:
    out = remediator("undo", "--yes", deployed.change.change_id).out
    newest, _ = deployed.history.list_changes(ROLE, most=10)
    me = boto3.client("sts").get_caller_identity()["Arn"]
    assert newest.kind is ChangeKind.UNDO
    assert newest.change_id in out
    (cause,) = newest.causes
    assert (cause.actor.arn, cause.event_id, cause.time) == (me, deployed.change.change_id, "2026-03-04T10:12:20Z")
    assert f"{me} undid {deployed.change.change_id}" in " ".join(remediator("history", "--limit", "1").out.split())


@pytest.mark.parametrize("answer", [b"", b"n\n", b"\n", b"yesterday\n"])
def test_without_a_yes_nothing_is_changed(answer: bytes, deployed: Deployed, remediator: Remediator) -> None:
    before = deployed.trust()
    said = remediator("undo", deployed.change.change_id, stdin=answer)
    assert (said.code, deployed.trust(), deployed.mode()) == (1, before, None)
    assert said.err.splitlines()[-1].endswith("nothing was changed")
    assert len(deployed.history.list_changes(ROLE, most=10)) == 1


def test_a_document_that_has_changed_since_is_left_with_the_difference(
    deployed: Deployed, remediator: Remediator
) -> None:
    theirs = [{**EC2_STATEMENT, "Sid": "Theirs"}]
    deployed.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(*theirs)))
    answer = remediator("undo", "--yes", deployed.change.change_id)
    assert (answer.code, deployed.trust(), deployed.mode()) == (1, theirs, None)
    assert "not undone. The document has changed since." in answer.err
    assert '  +      "Sid": "Theirs"\n' in answer.out


def test_what_goes_wrong_is_one_line_that_says_what_was_done(
    deployed: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "not you")

    monkeypatch.setattr(IamGateway, "write_trust", refuse)
    answer = remediator("undo", "--yes", deployed.change.change_id)
    assert (answer.code, deployed.mode()) == (1, "observe")
    assert answer.err.count("\n") == 1
    assert "Nothing was undone. iam:UpdateAssumeRolePolicy failed with AccessDenied: not you" in answer.err
    assert "The role is in observe mode; to let it be repaired: remediator resume head-node" in answer.err


def test_a_change_that_is_not_there_is_an_error(deployed: Deployed, remediator: Remediator) -> None:
    answer = remediator("undo", "--yes", OTHER)
    assert (answer.code, answer.out) == (1, "")
    assert "the history has no change" in answer.err


def test_what_is_no_change_is_a_wrong_call(remediator: Remediator) -> None:
    answer = remediator("undo", "head-node")
    assert (answer.code, answer.out) == (2, "")
    assert "remediator history" in " ".join(answer.err.replace("│", " ").split())


def test_foreign_text_cannot_reach_the_terminal_as_a_control_sequence(
    deployed: Deployed, remediator: Remediator
) -> None:
    hostile = policy(
        {**EC2_STATEMENT, "Sid": "x"}, {**EC2_STATEMENT, "Condition": {"StringEquals": {"a": "\u009b31m"}}}
    )
    deployed.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(hostile))
    answer = remediator("undo", "--yes", deployed.change.change_id)
    assert "31m" in answer.out
    assert not [char for char in answer.out + answer.err if unicodedata.category(char)[0] == "C" and char != "\n"]


class TestWithJson:
    def test_it_says_what_was_put_back_and_as_what_it_is_recorded(
        self, deployed: Deployed, remediator: Remediator
    ) -> None:
        answer = remediator("undo", "--json", "--yes", deployed.change.change_id)
        record = answer.record
        newest, _ = deployed.history.list_changes(ROLE, most=10)
        assert (answer.code, answer.err, schema_errors("undo", record)) == (0, "", [])
        assert (record["result"], record["undoes"], record["held_back"]) == ("undone", deployed.change.change_id, True)
        assert record["change"] == {"id": newest.change_id, "state": "completed"}
        assert (record["before"], record["after"]) == (deployed.change.after, deployed.change.before)

    def test_it_asks_on_standard_error_with_what_it_asks_about(
        self, deployed: Deployed, remediator: Remediator
    ) -> None:
        answer = remediator("undo", "--json", deployed.change.change_id)
        assert (answer.code, answer.record["result"], answer.record["change"]) == (1, "declined", None)
        assert schema_errors("undo", answer.record) == []
        assert '-      "Sid": "AnyscaleRemediatorEC2Trust",' in answer.err
        assert "Undo it? [y/N] " in answer.err

    def test_a_document_that_has_changed_since_is_in_it(self, deployed: Deployed, remediator: Remediator) -> None:
        theirs = policy({**EC2_STATEMENT, "Sid": "Theirs"})
        deployed.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(theirs))
        answer = remediator("undo", "--json", "--yes", deployed.change.change_id)
        assert (answer.code, answer.record["result"], answer.record["held_back"]) == (1, "refused", False)
        assert schema_errors("undo", answer.record) == []
        assert (answer.record["before"], answer.record["found"]) == (deployed.change.after, theirs)

    def test_what_goes_wrong_is_in_it(
        self, deployed: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "not you")

        monkeypatch.setattr(IamGateway, "write_trust", refuse)
        answer = remediator("undo", "--json", "--yes", deployed.change.change_id)
        assert (answer.code, answer.record["result"], answer.record["held_back"]) == (1, "not-undone", True)
        assert schema_errors("undo", answer.record) == []
        assert answer.record["change"]["state"] == "not-written"
