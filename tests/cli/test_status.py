"""``remediator status``: the state of a deployment, and its problems."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

import stacks.alerts
import stacks.metrics
from remediator.core.history.role_record import Conflict, Incident, RoleRecord
from remediator.core.model.finding import Finding, FindingCode
from remediator_cli.deployment.deployment_status import ALARM_PREFIX, NAMESPACE
from tests.cli.deployed import NOW, ROLE
from tests.cli.running import Running, answer_with, deny, documented, running, without_credentials, write_settings
from tests.cli.schemas import schema_errors
from tests.cli.terminal import ROOT, Json, Remediator
from tests.examples import ACCOUNT

__all__ = ["running"]

SCHEMA: Json = json.loads((ROOT / "docs" / "status.schema.json").read_text(encoding="utf-8"))
CONFLICT = Conflict(
    since=NOW,
    until=NOW + timedelta(days=1),
    findings=(Finding(FindingCode.TRUST_MISSING, "trust policy"),),
    actors=("Terraform, as arn:aws:sts::111122223333:assumed-role/ci/apply",),
)
INCIDENT = Incident(
    "0123456789abcdef",
    "fedcba9876543210",
    NOW,
    alerted=True,
    outcome="needs-person",
    problem="cannot use s3://data",
)


def test_where_all_is_well_the_first_line_says_so_and_it_ends_with_0(running: Running, remediator: Remediator) -> None:
    running.swept()
    running.alarm("sweep-overdue", "OK")
    answer = remediator("status")
    assert (answer.code, answer.err) == (0, "")
    first, _, *facts = answer.out.rstrip().split("\n")
    assert first == "Healthy. No action needed."
    assert [" ".join(line.split()) for line in facts] == [
        f"deployment AnyscaleRemediator in us-east-1, account {ACCOUNT}",
        "deployed 2026-03-01 09:30 UTC (UPDATE_COMPLETE)",
        "version 1.2.3, by the last change",
        "writes running",
        "clouds production repair",
        "last sweep 2026-03-04 10:00 UTC",
        "waiting intake 0, work 0",
        "given up nothing",
        "open nothing",
        "alarms none",
    ]


def test_what_is_documented_is_what_it_prints(running: Running, remediator: Remediator) -> None:
    running.swept()
    running.account.pause("paused: production")
    conflict(running)
    assert remediator("status").out.rstrip() == documented("remediator status").rstrip()


def paused(running: Running) -> None:
    running.account.pause("paused: production")


def dead_letter(running: Running) -> None:
    running.sqs.send_message(QueueUrl=running.urls["WorkDeadLettersUrl"], MessageBody="x")


def undelivered(running: Running) -> None:
    running.sqs.send_message(QueueUrl=running.urls["UndeliveredEventsUrl"], MessageBody="x")


def alarm(running: Running) -> None:
    running.alarm("alerts-lost", "ALARM")


def conflict(running: Running) -> None:
    running.remember(RoleRecord(role_id="AROA", conflict=CONFLICT, incident=INCIDENT))


def incident(running: Running) -> None:
    running.remember(RoleRecord(role_id="AROA", incident=INCIDENT))


def failed_deployment(running: Running) -> None:
    running.state = "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (paused, "- Writes for production are paused. To end the pause: remediator resume"),
        (dead_letter, "- 1 message in work dead letters. To retry them, see docs/runbook.md."),
        (undelivered, "- 1 message in undelivered events. To retry them, see docs/runbook.md."),
        (alarm, "What alerts-lost means."),
        (conflict, f"- {ROLE}: conflict since 2026-03-04 10:00 UTC, its repairs are undone by Terraform"),
        (incident, f"- {ROLE}: manual action required since 2026-03-04 10:00 UTC (cannot use s3://data)"),
        (failed_deployment, "- The last deployment failed (UPDATE_ROLLBACK_COMPLETE)"),
    ],
)
def test_a_problem_is_listed_and_the_exit_code_is_3(
    happens: Any, said: str, running: Running, remediator: Remediator
) -> None:
    running.swept()
    happens(running)
    answer = remediator("status")
    assert (answer.code, answer.err) == (3, "")
    assert answer.out.startswith("1 problem requires an operator:\n- ")
    assert said in " ".join(answer.out.split())
    record = remediator("status", "--json").record
    jsonschema.validate(record, SCHEMA)
    assert len(record["needs_person"]) == 1


def test_no_sweep_for_two_days_is_a_problem(running: Running, remediator: Remediator) -> None:
    running.swept(NOW - timedelta(days=3))
    answer = remediator("status")
    assert answer.code == 3
    assert "No sweep has completed within two days" in answer.out


def test_a_waiting_message_is_no_problem(running: Running, remediator: Remediator) -> None:
    running.swept()
    running.sqs.send_message(QueueUrl=running.urls["WorkQueueUrl"], MessageBody="x")
    answer = remediator("status")
    assert answer.code == 0
    assert "intake 0, work 1" in answer.out


def test_the_json_form_has_the_published_schema(running: Running, remediator: Remediator) -> None:
    running.swept()
    running.account.pause("paused")
    conflict(running)
    alarm(running)
    answer = remediator("status", "--json")
    jsonschema.validate(answer.record, SCHEMA)
    assert answer.code == 3
    assert answer.record["paused"] == {"everything": True, "clouds": []}
    assert answer.record["clouds"] == [{"name": "production", "mode": "repair", "paused": True}]
    assert [each["name"] for each in answer.record["alarms"]] == ["alerts-lost"]
    assert [each["contested_since"] for each in answer.record["roles"]] == [NOW.isoformat()]


def test_without_a_configuration_the_modes_are_unknown(running: Running, remediator: Remediator, tmp_path: Any) -> None:
    (tmp_path / "cdk.json").unlink()
    running.swept()
    assert remediator("status", "--json").record["clouds"] is None
    assert "use --settings" in remediator("status").out


@pytest.mark.parametrize(
    ("outcome", "problem", "listed"),
    [
        (
            "refused",
            "Its policies allow iam:PassRole on every role.",
            "refused since 2026-03-04 10:00 UTC (Its policies allow iam:PassRole on every role).",
        ),
        (
            "would-repair",
            "cannot use s3://data",
            "broken, not repaired since 2026-03-04 10:00 UTC (cannot use s3://data).",
        ),
    ],
)
def test_a_role_that_is_refused_or_observed_is_listed_without_being_a_problem(
    outcome: str, problem: str, listed: str, running: Running, remediator: Remediator
) -> None:
    running.swept()
    running.remember(RoleRecord(incident=replace(INCIDENT, outcome=outcome, problem=problem)))
    answer = remediator("status")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("Healthy. No action needed.\n\nNot repaired on purpose:\n- head-node: ")
    assert listed in answer.out
    assert f"remediator plan --role {ROLE}\n" in answer.out
    record = remediator("status", "--json").record
    assert (record["needs_person"], [role["name"] for role in record["roles"]]) == ([], [ROLE])


def test_an_incident_that_an_earlier_version_stored_is_a_problem(running: Running, remediator: Remediator) -> None:
    running.swept()
    running.remember(RoleRecord(incident=replace(INCIDENT, outcome="", problem="")))
    answer = remediator("status")
    assert answer.code == 3
    assert f"- {ROLE}: open problem since 2026-03-04 10:00 UTC. Details: remediator plan --role {ROLE}\n" in answer.out


def test_many_problems_still_fit_a_screen(running: Running, remediator: Remediator) -> None:
    write_settings(
        {"clouds": {"production": {"buckets": [{"name": "data", "region": "us-east-1"}], "roles": ["nodes/*"]}}}
    )
    for number in range(40):
        running.remember(RoleRecord(role_id="AROA", incident=INCIDENT), role=f"node-{number:02}")
    answer = remediator("status")
    assert answer.out.startswith("41 problems require an operator:\n")
    assert "- and 29 more: remediator status --json" in answer.out
    assert answer.out.count("\n") < 50


@pytest.mark.parametrize(
    ("operation", "action", "unread"),
    [
        ("GetParameter", "ssm:GetParameter", ("writes",)),
        ("Query", "dynamodb:Query", ("version", "open")),
        ("GetQueueAttributes", "sqs:GetQueueAttributes", ("waiting", "given up")),
        ("DescribeAlarms", "cloudwatch:DescribeAlarms", ("alarms",)),
        ("GetMetricStatistics", "cloudwatch:GetMetricStatistics", ("last sweep",)),
    ],
)
def test_a_call_that_is_denied_hides_no_more_than_what_it_reads_and_is_named(
    operation: str,
    action: str,
    unread: tuple[str, ...],
    running: Running,
    remediator: Remediator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running.swept()
    deny(monkeypatch, operation)
    answer = remediator("status")
    assert (answer.code, answer.err) == (1, f"status: your credentials may not call {action}: no\n")
    first, _, *facts = answer.out.rstrip().split("\n")
    assert first == "Not everything could be read. Nothing that could be read requires action."
    assert [line.split("  ")[0] for line in facts if line.endswith("  could not be read")] == list(unread)
    assert len(facts) == 10
    answer = remediator("status", "--json")
    assert (answer.code, answer.record["denied"], schema_errors("status", answer.record)) == (1, [action], [])


def test_problems_are_listed_whatever_else_could_not_be_read(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm(running)
    for operation in ("GetParameter", "Query", "GetQueueAttributes", "GetMetricStatistics"):
        deny(monkeypatch, operation)
    answer = remediator("status")
    assert (answer.code, answer.err.count("\n")) == (3, 4)
    assert answer.out.startswith("1 problem requires an operator:\n- The alarm alerts-lost is on")
    record = remediator("status", "--json").record
    assert schema_errors("status", record) == []
    assert record["denied"] == [
        "ssm:GetParameter",
        "dynamodb:Query",
        "cloudwatch:GetMetricStatistics",
        "sqs:GetQueueAttributes",
    ]
    unknown = ("paused", "last_version", "last_sweep", "queues", "roles", "more_roles")
    assert [record[each] for each in unknown] == [None] * 6
    assert record["clouds"] == [{"name": "production", "mode": "repair", "paused": None}]


def test_an_error_that_is_no_denial_is_one_still(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "DescribeAlarms", 400, "ExpiredToken")
    answer = remediator("status")
    assert (answer.code, answer.out) == (1, "")
    assert "the AWS credentials have expired" in answer.err


def test_alarms_and_metrics_are_looked_for_where_the_stack_has_them() -> None:
    assert (ALARM_PREFIX, NAMESPACE) == (stacks.alerts.ALARM_PREFIX, stacks.metrics.NAMESPACE)


def test_without_a_stack_it_says_where_it_looked(running: Running, remediator: Remediator) -> None:
    answer = remediator("status", "--stack", "Another")
    assert (answer.code, answer.out) == (1, "")
    assert "there is no stack Another in us-east-1" in answer.err


def test_without_credentials_it_says_what_to_set(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch)
    answer = remediator("status")
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err
