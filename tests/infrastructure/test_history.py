"""What outlasts an invocation: the table of the history, and the parameter that pauses the writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from remediator.core.history.change import ChangeState
from remediator.core.history.pause import Pause, parse_pause
from remediator.gateways.history import HistoryTable
from remediator.settings import WriteLimit
from tests.infrastructure.templates import Synthesised, resolved
from tests.unit.history.changes import NOW, a_change


@pytest.fixture
def table(example: Synthesised) -> dict[str, Any]:
    (found,) = example.resources("AWS::DynamoDB::Table").values()
    return found


@pytest.fixture
def parameter(example: Synthesised) -> dict[str, Any]:
    (found,) = example.resources("AWS::SSM::Parameter").values()
    return found


@pytest.fixture
def deployed(table: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The table of the template, made in memory with the properties that decide what is kept and found in it."""
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        client: Any = boto3.client("dynamodb")
        known = ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
        client.create_table(TableName="history", **{name: table["Properties"][name] for name in known})
        yield client


def test_the_table_can_be_restored_to_any_second_and_is_not_deleted_by_mistake(table: dict[str, Any]) -> None:
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_a_table_that_stayed_behind_is_not_in_the_way_of_the_next_deployment(table: dict[str, Any]) -> None:
    assert "TableName" not in table["Properties"]


def test_the_table_is_paid_by_use_and_forgets_what_is_expired(table: dict[str, Any]) -> None:
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_the_history_finds_in_the_table_what_it_needs(deployed: Any) -> None:
    history = HistoryTable(deployed, "history", limit=WriteLimit(), keep_days=400)
    change = a_change()
    history.intend(change)
    assert history.pending_roles() == (change.role_name,)
    history.conclude(change.change_id, ChangeState.NOT_WRITTEN, "It was denied.", NOW + timedelta(seconds=1))
    history.close(change.change_id)
    concluded = replace(
        change, state=ChangeState.NOT_WRITTEN, why="It was denied.", concluded_at=NOW + timedelta(seconds=1)
    )
    assert history.read_change(change.change_id) == concluded
    assert history.list_changes(most=1) == (replace(concluded, before=None, after=None),)
    assert history.pending_roles() == ()


def test_the_listing_shows_no_documents(table: dict[str, Any]) -> None:
    (index,) = table["Properties"]["GlobalSecondaryIndexes"]
    assert index["Projection"]["ProjectionType"] == "INCLUDE"
    assert set(index["Projection"]["NonKeyAttributes"]) == {"head", "state", "why", "concluded_at"}


def test_the_parameter_begins_with_a_value_that_pauses_nothing(parameter: dict[str, Any]) -> None:
    assert parse_pause(parameter["Properties"]["Value"]) == Pause()


def test_a_deployment_never_sets_the_parameter_again(parameter: dict[str, Any], largest: Synthesised) -> None:
    """It would if any of its properties changed, and so resume what a person has paused: these are its own for good."""
    assert parameter["Properties"] == {
        "Name": "/anyscale-remediator/writes",
        "Type": "String",
        "Value": "running",
        "Description": "Whether the Anyscale role remediator may write: running, paused, or paused: CLOUD, CLOUD",
    }
    (other,) = largest.resources("AWS::SSM::Parameter").values()
    assert other["Properties"] == parameter["Properties"]


def test_table_and_parameter_are_named_in_the_outputs(example: Synthesised) -> None:
    name, _ = example.named("AWS::DynamoDB::Table", "History")
    outputs = example.template["Outputs"]
    assert resolved(outputs["HistoryTableName"]["Value"]) == name
    assert outputs["PauseParameterName"]["Value"] == "/anyscale-remediator/writes"
