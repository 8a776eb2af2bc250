"""Finding the deployment: in its Region, by its stack, or an error that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.cli.deployed import ROLE, Deployed
from tests.cli.terminal import Remediator

COMMANDS = [
    ("history",),
    ("history", ROLE),
    ("undo", "head-node/20260304T100020000000Z-00000000"),
    ("resume",),
    ("resume", ROLE),
    ("pause",),
]
OUTPUTS = {"HistoryTableName": "history", "PauseParameterName": "/anyscale-remediator/writes"}

commands = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, operation: str | None = None) -> None:
    """Let a call of AWS fail, or all of them."""
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out

    def fail(client: Any, name: str, parameters: Any) -> Any:
        if operation in (None, name):
            raise error
        return call(client, name, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", fail)


def answered(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


@commands
def test_without_a_stack_it_says_where_it_looked_and_what_to_do(
    command: tuple[str, ...], deployed: Deployed, remediator: Remediator
) -> None:
    answer = remediator(*command, "--stack", "Another")
    assert (answer.code, answer.out) == (1, "")
    assert "there is no stack Another in us-east-1" in answer.err
    assert "--region" in answer.err
    assert answer.err.count("\n") == 1


@commands
def test_a_stack_of_another_application_is_reported(
    command: tuple[str, ...], deployed: Deployed, remediator: Remediator
) -> None:
    deployed.deploy({}, stack="Theirs")
    answer = remediator(*command, "--stack", "Theirs")
    assert (answer.code, answer.out) == (1, "")
    assert "the stack Theirs in us-east-1 has no output" in answer.err


@commands
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (answered("AccessDenied"), "your credentials may not call cloudformation:DescribeStacks: no"),
        (answered("ExpiredToken"), "the AWS credentials have expired"),
        (answered("InvalidClientTokenId"), "AWS does not know these credentials"),
        (answered("Throttling"), "AWS does not answer"),
        (EndpointConnectionError(endpoint_url="https://nowhere"), "AWS does not answer"),
    ],
    ids=["denied", "expired", "unknown", "throttled", "unreachable"],
)
def test_an_answer_that_does_not_come_is_one_line_that_says_what_to_do(
    command: tuple[str, ...],
    error: Exception,
    said: str,
    deployed: Deployed,
    remediator: Remediator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, error)
    answer = remediator(*command)
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "operation", "action"),
    [
        (("history",), "Query", "dynamodb:Query"),
        (("pause",), "PutParameter", "ssm:PutParameter"),
        (("resume",), "GetParameter", "ssm:GetParameter"),
        (("resume", ROLE), "GetItem", "dynamodb:GetItem"),
        (("undo",), "GetCallerIdentity", "sts:GetCallerIdentity"),
    ],
)
def test_a_call_that_is_denied_is_named(
    command: tuple[str, ...],
    operation: str,
    action: str,
    deployed: Deployed,
    remediator: Remediator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, answered("AccessDeniedException"), operation)
    if command == ("undo",):
        command = (*command, deployed.change.change_id)
    answer = remediator(*command)
    assert (answer.code, answer.out) == (1, "")
    assert f"your credentials may not call {action}: no" in answer.err


@commands
def test_without_credentials_it_says_what_to_set(
    command: tuple[str, ...], remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    answer = remediator(*command)
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err


class TestTheRegion:
    def test_is_the_one_that_is_named(self, deployed: Deployed, remediator: Remediator) -> None:
        deployed.deploy(OUTPUTS, stack="Here", region="us-west-2")
        assert "in us-west-2" in remediator("pause", "--stack", "No", "--region", "us-west-2").err
        assert "There is no" not in remediator("pause", "--stack", "Here", "--region", "us-west-2").out

    def test_is_else_that_of_the_settings(self, deployed: Deployed, remediator: Remediator, tmp_path: Path) -> None:
        cloud = {"buckets": [{"name": "acme-data", "region": "eu-west-1"}], "roles": ["anyscale/*"]}
        settings = tmp_path / "cdk.json"
        settings.write_text(json.dumps({"region": "us-east-1", "clouds": {"a": cloud}}))
        assert "in us-east-1" in remediator("pause", "--stack", "No", "--settings", str(settings)).err

    def test_is_else_the_home_region_whatever_that_of_the_profile(
        self, deployed: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        assert "in us-east-1" in remediator("pause", "--stack", "No").err
