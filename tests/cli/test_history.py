"""``remediator history``: what was changed, for people and for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediator.core.events.event import Actor
from remediator.core.events.sweep import sweep_cause
from tests.cli.deployed import CAUSE, NOW, ROLE, Deployed
from tests.cli.schemas import schema_errors
from tests.cli.terminal import Remediator
from tests.examples import LAMBDA_STATEMENT, policy
from tests.functional.world import client

OTHER = "head-node/20260304T100020000000Z-00000000"


def test_a_change_is_shown_with_what_why_who_and_its_id(deployed: Deployed, remediator: Remediator) -> None:
    answer = remediator("history")
    assert (answer.code, answer.err) == (0, "")
    words = " ".join(answer.out.split())
    assert words == (
        f"2026-03-04 10:00:20 head-node trust policy repair completed {deployed.change.change_id} trust-missing after "
        "UpdateAssumeRolePolicy by Terraform, as arn:aws:sts::111122223333:assumed-role/ci/apply"
    )


def test_the_newest_comes_first_and_no_more_than_asked_for(deployed: Deployed, remediator: Remediator) -> None:
    for minutes in (1, 2, 3):
        deployed.repair_trust(at=NOW + timedelta(minutes=minutes))
    for arguments in ((), (ROLE,), (f"arn:aws:iam::111122223333:role/anyscale/production/{ROLE}",)):
        listed = [record["time"] for record in remediator("history", *arguments, "--json", "--limit", "3").records]
        assert listed == [f"2026-03-04T10:0{minutes}:20+00:00" for minutes in (3, 2, 1)]


def test_a_record_says_everything_but_the_documents(deployed: Deployed, remediator: Remediator) -> None:
    change = deployed.change
    assert remediator("history", "--json").record == {
        "change": change.change_id,
        "time": "2026-03-04T10:00:20+00:00",
        "kind": "repair",
        "state": "completed",
        "why": "",
        "concluded": "2026-03-04T10:00:20+00:00",
        "account": "111122223333",
        "role": {"name": ROLE, "id": change.role_id, "arn": change.role_arn},
        "cloud": "production",
        "document": {"kind": "trust-policy", "name": None, "region": None},
        "findings": [{"code": "trust-missing", "subject": "trust policy"}],
        "causes": [
            {
                "event_id": CAUSE.event_id,
                "call": "UpdateAssumeRolePolicy",
                "time": CAUSE.time,
                "actor": CAUSE.actor.arn,
                "actor_type": "AssumedRole",
                "role": CAUSE.actor.issuer_arn,
                "invoked_by": None,
                "user_agent": CAUSE.actor.user_agent,
            }
        ],
        "code_version": "1.2.3",
    }


def test_one_change_is_shown_with_its_diff(deployed: Deployed, remediator: Remediator) -> None:
    out = remediator("history", deployed.change.change_id).out
    assert '  +      "Sid": "AnyscaleRemediatorEC2Trust",\n' in out
    for said in (deployed.change.role_id, "2026-03-04 10:00:20 UTC by version 1.2.3", CAUSE.event_id, "production"):
        assert said in out
    record = remediator("history", "--json", deployed.change.change_id).record
    assert (record["before"], record["after"]) == (deployed.change.before, deployed.change.after)


def test_a_sweep_is_named_as_the_cause(deployed: Deployed, remediator: Remediator) -> None:
    deployed.repair_trust(at=NOW + timedelta(hours=1), cause=sweep_cause("sweep-1", NOW))
    assert "found by a sweep" in remediator("history", "--limit", "1").out


def test_a_role_without_changes_is_reported_as_such(deployed: Deployed, remediator: Remediator) -> None:
    client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))
    assert remediator("history", "worker").out == "No changes of worker are recorded.\n"
    assert remediator("history", "worker", "--json").out == ""


def test_a_misspelled_role_is_an_error(deployed: Deployed, remediator: Remediator) -> None:
    for json_or_text in ((), ("--json",)):
        answer = remediator("history", "head-nod", *json_or_text)
        assert (answer.code, answer.out) == (1, "")
        assert "no changes of head-nod are recorded, and the account has no such role" in answer.err
        assert f"Did you mean {ROLE}?" in answer.err
    assert "Did you mean" not in remediator("history", "worker").err


def test_a_change_that_is_not_there_is_an_error(deployed: Deployed, remediator: Remediator) -> None:
    answer = remediator("history", OTHER)
    assert (answer.code, answer.out) == (1, "")
    assert "the history has no change" in answer.err


@pytest.mark.parametrize("what", ["head-node/1", "a/b/c", "arn:aws:iam::111122223333:user/alice"])
def test_what_is_neither_a_role_nor_a_change_is_a_wrong_call(what: str, remediator: Remediator) -> None:
    answer = remediator("history", what)
    assert (answer.code, answer.out) == (2, "")
    assert "Invalid value" in answer.err


@pytest.mark.parametrize("columns", ["20", "40", "160"])
def test_every_width_will_do(
    columns: str, deployed: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in ((), (deployed.change.change_id,)):
        monkeypatch.setenv("COLUMNS", columns)
        out = remediator("history", *arguments).out
        assert max(map(len, out.splitlines())) <= int(columns)


def test_foreign_text_is_neither_mark_up_nor_a_control_sequence(deployed: Deployed, remediator: Remediator) -> None:
    hostile = "[red]x[/red] \x1b[31m\r\n\u202e:smile:"
    cause = replace(CAUSE, actor=Actor(kind="AssumedRole", arn=hostile, invoked_by=hostile), event_id=hostile)
    change = deployed.repair_trust(at=NOW + timedelta(hours=1), cause=cause)
    for arguments in ((), ("--json",), (change.change_id,), (change.change_id, "--json")):
        out = remediator("history", *arguments).out
        assert not [char for char in out if unicodedata.category(char)[0] == "C" and char != "\n"]
        assert "[red]x[/red]" in out


def test_a_reader_of_json_gets_one_object_a_line(deployed: Deployed, remediator: Remediator) -> None:
    deployed.repair_trust(at=NOW + timedelta(hours=1))
    records: list[Any] = [json.loads(line) for line in remediator("history", "--json").out.splitlines()]
    assert len(records) == 2


@pytest.mark.parametrize(
    ("arn", "said"),
    [
        (f"arn:aws:iam::999999999999:role/anyscale/production/{ROLE}", "your credentials are for account 111122223333"),
        (
            f"arn:aws:iam::111122223333:role/{ROLE}",
            f"as arn:aws:iam::111122223333:role/anyscale/production/{ROLE}. Give",
        ),
    ],
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, said: str, deployed: Deployed, remediator: Remediator
) -> None:
    answer = remediator("history", arn)
    assert (answer.code, answer.out) == (1, "")
    assert f"{arn} was given" in answer.err
    assert said in answer.err


def test_of_a_name_that_two_roles_had_an_arn_says_which_is_meant(deployed: Deployed, remediator: Remediator) -> None:
    deployed.iam.delete_role(RoleName=ROLE)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    client("iam").create_role(RoleName=ROLE, Path="/other/", AssumeRolePolicyDocument=trust)
    later = deployed.repair_trust(at=NOW + timedelta(hours=1))
    assert len(remediator("history", "--json", ROLE).records) == 2
    for change in (deployed.change, later):
        assert remediator("history", "--json", "--limit", "1", change.role_arn).record["change"] == change.change_id


def test_the_json_form_has_the_published_schema(deployed: Deployed, remediator: Remediator) -> None:
    deployed.repair_trust(at=NOW + timedelta(hours=1), cause=sweep_cause("sweep-1", NOW))
    records = remediator("history", "--json").records
    assert [schema_errors("history", each) for each in records] == [[], []]
    assert schema_errors("history", remediator("history", "--json", deployed.change.change_id).record) == []


def test_a_standard_output_that_is_closed_is_an_error_in_a_line(
    deployed: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    answer = remediator("history")
    assert (answer.code, answer.err) == (1, "error: nothing can be printed: standard output is closed\n")
