"""What the reconciler counts for alarms: writes as the limit counts them, and repairs that only a sweep asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from remediator.core.events.event import Cause
from remediator.core.events.request import ReconcileRequest, request_json
from remediator.core.events.sweep import sweep_cause
from remediator.errors import AwsError, DeniedError, TransientError
from remediator.handlers import reconciler
from tests.examples import ACCOUNT, EC2_STATEMENT, LAMBDA_STATEMENT, a_cause, bucket_grant, policy
from tests.functional.faults import raising
from tests.functional.test_handlers import Context, batch, functions, hand
from tests.functional.world import TABLE, World

__all__ = ["functions"]  # a fixture, which pytest finds here by its name

Counted = Callable[..., dict[str, list[float]]]

BY_SWEEP = sweep_cause("m0", datetime(2026, 3, 4, 10, tzinfo=UTC))
BY_EVENT = a_cause()


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Counted:
    """Hands requests for roles, each with its cause, to the reconciler in one batch; gives what it has counted."""

    def reconcile(*requests: tuple[str, Cause]) -> dict[str, list[float]]:
        capsys.readouterr()
        reconciler.handle(
            batch(*(request_json(ReconcileRequest(ACCOUNT, role, cause)) for role, cause in requests)), Context()
        )
        values: dict[str, list[float]] = defaultdict(list)
        for line in map(json.loads, capsys.readouterr().out.splitlines()):
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                values[metric["Name"]] += line[metric["Name"]]
        return values

    return reconcile


def counted_by_the_limit(world: World) -> int:
    """The writes of all windows, as the history counts them."""
    items = world.dynamodb.query(
        TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "WRITES"}}
    )["Items"]
    return sum(int(item["writes"]["N"]) for item in items)


def test_every_document_that_was_written_counts_as_a_write(world: World, counted: Counted) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert counted(("head-node", BY_EVENT))["Writes"] == [2.0], "the trust policy and the inline policy"
    assert counted(("head-node", BY_EVENT))["Writes"] == [0.0], "nothing is left to be written"
    assert counted_by_the_limit(world) == 2


@pytest.mark.parametrize(
    ("error", "writes"),
    [
        (DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "no"), 1.0),
        (TransientError("iam:UpdateAssumeRolePolicy", "ReadTimeoutError", ""), 2.0),
    ],
)
def test_a_write_counts_where_the_limit_counts_it_so_one_whose_answer_was_lost_does_and_one_that_was_denied_does_not(
    world: World, counted: Counted, monkeypatch: pytest.MonkeyPatch, error: AwsError, writes: float
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    roles = world.disturbed_roles(before_write_trust=raising(error))
    hand(monkeypatch, reconciler, roles=roles, sleep=lambda _: None)
    assert counted(("head-node", BY_EVENT))["Writes"] == [writes]
    assert counted_by_the_limit(world) == writes


def test_the_average_over_repairs_is_the_share_that_only_a_sweep_has_asked_for(world: World, counted: Counted) -> None:
    for name in ("swept", "heard-of", "both"):
        world.create_role(LAMBDA_STATEMENT, name=name)
    values = counted(("swept", BY_SWEEP), ("heard-of", BY_EVENT), ("both", BY_SWEEP), ("both", BY_EVENT))
    assert values["RolesRepaired"] == [1.0, 1.0, 1.0]
    assert sorted(values["RepairsMissedByEvents"]) == [0.0, 0.0, 1.0]


def test_what_is_not_repaired_is_no_repair_that_events_have_missed(world: World, counted: Counted) -> None:
    world.create_role(EC2_STATEMENT, name="clean")
    world.grant(bucket_grant(), role="clean")
    world.create_role(LAMBDA_STATEMENT, name="refused", path="/elsewhere/")
    values = counted(("clean", BY_SWEEP), ("refused", BY_SWEEP))
    assert (values["RolesClean"], values["RolesRefused"]) == ([1.0], [1.0])
    assert values["RepairsMissedByEvents"] == []


def test_the_time_from_the_first_event_to_the_repair_is_measured_and_none_where_only_a_sweep_found_it(
    world: World, counted: Counted
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    called = datetime.now(UTC) - timedelta(seconds=40)
    first, second = (
        replace(BY_EVENT, time=f"{each:%Y-%m-%dT%H:%M:%SZ}") for each in (called, called + timedelta(seconds=30))
    )
    (seconds,) = counted(("head-node", first), ("head-node", second))["SecondsToRepair"]
    assert 40 <= seconds < 60
    world.iam.update_assume_role_policy(RoleName="head-node", PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))
    assert "SecondsToRepair" not in counted(("head-node", BY_SWEEP))
