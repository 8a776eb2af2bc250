"""``remediator resume`` and ``remediator pause``: one role, some clouds, everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.core.history.pause import Pause, parse_pause
from remediator.core.history.role_record import Conflict
from tests.cli.deployed import NOW, ROLE, Deployed
from tests.cli.schemas import schema_errors
from tests.cli.terminal import ROOT, Remediator
from tests.examples import ACCOUNT
from tests.unit.history.changes import TRUST_MISSING

CDK = str(ROOT / "cdk.json")


class TestARole:
    def test_in_conflict_is_repaired_again(self, deployed: Deployed, remediator: Remediator) -> None:
        conflict = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ("Terraform, as \x1b[31mci",), 3)
        role_record = replace(
            deployed.history.read_role_record(ROLE), role_id=deployed.change.role_id, conflict=conflict
        )
        deployed.history.write_role_record(ROLE, role_record)
        answer = remediator("resume", ROLE)
        assert (answer.code, answer.err, deployed.mode()) == (0, "", "repair")
        assert "The conflict since 2026-03-04 10:00 UTC has ended.\n  undone by Terraform, as  [31mci\n" in answer.out
        after = deployed.history.read_role_record(ROLE)
        assert (after.conflict, after.counted_from) == (None, NOW.replace(minute=12))

    def test_that_was_undone_is_repaired_again(self, deployed: Deployed, remediator: Remediator) -> None:
        remediator("undo", "--yes", deployed.change.change_id)
        answer = remediator("resume", deployed.change.role_arn)
        assert (answer.code, deployed.mode()) == (0, "repair")
        assert "The tag anyscale:remediation of head-node is set to repair; it was observe." in answer.out

    def test_that_is_not_on_hold_has_nothing_to_resume(self, deployed: Deployed, remediator: Remediator) -> None:
        answer = remediator("resume", ROLE)
        assert (answer.code, deployed.mode()) == (0, None)
        assert answer.out.startswith("There is nothing to resume:")

    def test_that_is_not_there_is_an_error(self, deployed: Deployed, remediator: Remediator) -> None:
        answer = remediator("resume", "worker")
        assert (answer.code, answer.out) == (1, "")
        assert "there is no role worker" in answer.err


class TestWrites:
    def test_are_paused_altogether(self, deployed: Deployed, remediator: Remediator) -> None:
        answer = remediator("pause")
        assert (answer.code, deployed.paused) == (0, "paused")
        assert answer.out == "All writes are paused. It takes effect within a minute.\n"

    def test_are_paused_for_one_cloud_after_the_other(self, deployed: Deployed, remediator: Remediator) -> None:
        assert "were not checked" in remediator("pause", "production").out
        assert "were not checked" not in remediator("pause", "--settings", CDK, "staging").out
        assert parse_pause(deployed.paused).clouds == {"production", "staging"}

    def test_stay_paused_altogether_when_one_cloud_is_named(self, deployed: Deployed, remediator: Remediator) -> None:
        for value in ("paused", "what?"):
            deployed.pause(value)
            assert remediator("pause", "production").out.startswith("All writes are paused.")
            assert parse_pause(deployed.paused).everything

    def test_are_not_paused_for_a_cloud_that_there_is_not(self, deployed: Deployed, remediator: Remediator) -> None:
        answer = remediator("pause", "--settings", CDK, "production", "prodution")
        assert (answer.code, deployed.paused) == (1, "running")
        assert "there is no cloud prodution in the configuration" in answer.err

    @pytest.mark.parametrize("name", ["", "a b", "a,b", "\x1b[31m"])
    def test_are_not_paused_for_what_can_be_no_cloud(
        self, name: str, deployed: Deployed, remediator: Remediator
    ) -> None:
        assert (remediator("pause", name).code, deployed.paused) == (2, "running")

    def test_go_on_after_a_confirmation(self, deployed: Deployed, remediator: Remediator) -> None:
        deployed.pause("paused: production")
        answer = remediator("resume", stdin=b"y\n")
        assert (answer.code, answer.err, deployed.paused) == (0, "Resume all writes? [y/N] ", "running")
        assert answer.out.startswith("Writes for production are paused.\n")

    def test_stay_paused_without_a_yes(self, deployed: Deployed, remediator: Remediator) -> None:
        deployed.pause("paused")
        assert (remediator("resume").code, deployed.paused) == (1, "paused")

    def test_that_are_not_paused_need_nothing(self, deployed: Deployed, remediator: Remediator) -> None:
        assert remediator("resume").out == "There is nothing to resume: no writes are paused.\n"


def test_a_wrong_configuration_is_reported_fault_by_fault(
    deployed: Deployed, remediator: Remediator, tmp_path: Path
) -> None:
    wrong = tmp_path / "cdk.json"
    wrong.write_text('{"context": {"remediator": {"clouds": {}, "sweepMinutes": 1}}}')
    answer = remediator("pause", "--settings", str(wrong))
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 2)
    assert parse_pause(deployed.paused) == Pause()


@pytest.mark.parametrize(
    "arn", [f"arn:aws:iam::999999999999:role/anyscale/production/{ROLE}", f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"]
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, deployed: Deployed, remediator: Remediator
) -> None:
    remediator("undo", "--yes", deployed.change.change_id)
    answer = remediator("resume", arn)
    assert (answer.code, answer.out, deployed.mode()) == (1, "", "observe")
    assert f"{arn} was given" in answer.err
    assert f"is {deployed.change.role_arn}. Nothing was changed." in answer.err


class TestWithJson:
    def test_a_role_is_said_to_be_resumed_or_why_not(self, deployed: Deployed, remediator: Remediator) -> None:
        answers = [remediator("resume", "--json", ROLE)]
        conflict = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ("Terraform",), 3)
        role_record = replace(
            deployed.history.read_role_record(ROLE), role_id=deployed.change.role_id, conflict=conflict
        )
        deployed.history.write_role_record(ROLE, role_record)
        answers.append(remediator("resume", "--json", ROLE))
        deployed.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:remediation", "Value": "off"}])
        answers.append(remediator("resume", "--json", ROLE))
        assert [schema_errors("pause", each.record) for each in answers] == [[], [], []]
        assert [(each.code, each.record["result"]) for each in answers] == [
            (0, "nothing-to-resume"),
            (0, "resumed"),
            (1, "not-resumed"),
        ]
        resumed = answers[1].record
        assert resumed["contest"] == {"since": NOW.isoformat(), "undone_by": ["Terraform"]}
        assert resumed["tag"] == {"key": "anyscale:remediation", "before": None, "after": "repair"}
        assert resumed["role"]["arn"] == deployed.change.role_arn

    def test_writes_are_said_to_be_paused_and_to_go_on(self, deployed: Deployed, remediator: Remediator) -> None:
        nothing, everything = {"everything": False, "clouds": []}, {"everything": True, "clouds": []}
        production = {"everything": False, "clouds": ["production"]}
        answers = [
            remediator(*each, "--json")
            for each in (("resume",), ("pause", "production"), ("pause",), ("resume",), ("resume", "--yes"))
        ]
        assert [schema_errors("pause", each.record) for each in answers] == [[]] * 5
        assert [
            (each.code, each.record["result"], each.record["before"], each.record["paused"]) for each in answers
        ] == [
            (0, "nothing-to-resume", nothing, nothing),
            (0, "paused", nothing, production),
            (0, "paused", production, everything),
            (1, "declined", everything, everything),
            (0, "resumed", everything, nothing),
        ]
        assert [each.record["checked"] for each in answers[:3]] == [True, False, True]
        assert {each.record["account"] for each in answers} == {ACCOUNT}
        assert "All writes are paused." in answers[3].err
        assert "Resume all writes? [y/N] " in answers[3].err
