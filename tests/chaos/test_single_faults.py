"""Whatever one call goes wrong with, and in whichever way: at the end all is in order, recorded, and told."""

from __future__ import annotations

import random
from typing import Any

import pytest

from remediator.core.change import ChangeState
from remediator.core.telling import News
from remediator.errors import TransientError
from tests.chaos.calls import Planned
from tests.chaos.conftest import how_many
from tests.chaos.flows import FLOWS, Flow
from tests.chaos.telling import Told, broken_promises, disturbances, tell, undisturbed
from tests.examples import LAMBDA_STATEMENT, bucket_grant
from tests.functional.faults import once, raising
from tests.functional.world import World

SEED = 20260304
PARTS = 2
"""The parts of a flow's tellings, which run beside one another."""


def chosen(flow: Flow) -> list[Planned]:
    """All that can go wrong with a flow, or some of it, chosen in the same way in every run."""
    every = list(disturbances(flow))
    most = how_many("disturbances")
    if not most:
        return every
    rng = random.Random(f"{SEED} {flow.name}")  # noqa: S311 - a choice that is the same in every run
    return rng.sample(every, min(most, len(every)))


def verdict(flow: Flow, told: Told, wrong: tuple[str, ...]) -> str:
    """One letter for the table: in order before the sweep, after it, or after that of the next day; told how often.

    Machines that get an alert again know it by its id; people have read it twice.
    """
    if wrong:
        return "X"
    if not told.hit:
        return "-"
    if told.is_late:
        return "t"
    if told.people_doubled:
        return "p"
    if told.before == undisturbed(flow).before:
        return "d" if told.doubled else "r"
    return "b" if told.doubled else "s"


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_after_redelivery_and_one_sweep_all_is_in_order_recorded_and_told(flow: Flow, part: int, note: Any) -> None:
    assert undisturbed(flow).wrong == ()
    tellings, broken = [], []
    for planned in chosen(flow)[part::PARTS]:
        told = tell(flow, planned)
        wrong = broken_promises(flow, told, planned)
        call = f"{planned.request.function} {planned.request.name}"
        tellings.append((call, planned.fault.value, verdict(flow, told, wrong)))
        if wrong:
            broken.append(f"call {planned.number}, {call}, {planned.fault}: {'; '.join(wrong)}")
    note("disturbed", {"flow": flow.name, "tellings": tellings})
    assert broken == []


def test_every_kind_of_call_of_every_function_is_among_those_that_go_wrong() -> None:
    made = {(planned.request.function, planned.request.service) for flow in FLOWS for planned in disturbances(flow)}
    services = {
        "router": {"iam", "sqs"},
        "sweeper": {"iam", "s3", "sqs", "dynamodb"},
        "reconciler": {"iam", "s3", "kms", "ssm", "dynamodb", "sns"},
        "digester": {"dynamodb", "sqs", "sns"},
        "notifier": {"dynamodb", "secretsmanager", "slack"},
        "person": {"iam", "s3", "dynamodb"},
    }
    assert made == {(function, service) for function, named in services.items() for service in named}


def test_the_last_read_of_a_document_is_the_call_just_before_its_write(note: Any) -> None:
    reads = {
        "UpdateAssumeRolePolicy": "GetRole",
        "PutRolePolicy": "GetRolePolicy",
        "DeleteRolePolicy": "GetRolePolicy",
        "PutBucketPolicy": "GetBucketPolicy",
        "DeleteBucketPolicy": "GetBucketPolicy",
        "CreateInstanceProfile": "GetInstanceProfile",
        "AddRoleToInstanceProfile": "GetInstanceProfile",
    }
    seen: dict[str, list[float]] = {}
    for flow in FLOWS:
        told = undisturbed(flow)
        for number, request in enumerate(told.requests):
            if request.operation in reads:
                assert told.requests[number - 1].operation == reads[request.operation], flow.name
                gap = told.moments[number][0] - told.moments[number - 1][1]
                seen.setdefault(request.operation, []).append(gap * 1000)
    note("window", {call: f"0 calls, {max(gaps):.2f} ms at most" for call, gaps in seen.items()})
    assert seen.keys() == reads.keys() - {"DeleteBucketPolicy"}


class TestWhatFaultsHaveShown:
    """Each of these was found by the tests above or by the schedules, and mended."""

    def test_a_change_whose_conclusion_cannot_be_recorded_stays_open_and_is_concluded_by_the_next_look(
        self, world: World
    ) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        failing = raising(TransientError("dynamodb:UpdateItem", "ThrottlingException", ""))
        outcome = world.reconcile_only(history=world.disturbed_history(before_conclude=failing))
        assert world.deliver(outcome) is News.NEW
        assert outcome.to_be_retried
        assert world.history.unsettled_roles() == ("head-node",)
        world.look()
        assert [change.state for change in world.changes()] == [ChangeState.COMPLETED]
        assert world.history.unsettled_roles() == ()

    def test_a_conclusion_that_fails_once_is_recorded_at_once_and_told_once(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        failing = once(raising(TransientError("dynamodb:UpdateItem", "ThrottlingException", "")))
        outcome, news = world.look(history=world.disturbed_history(before_conclude=failing))
        assert (outcome.to_be_retried, news) == (False, News.NEW)
        assert [change.state for change in world.changes()] == [ChangeState.COMPLETED]
        assert world.unconcluded == []
        assert world.look()[1] is News.NONE

    def test_a_document_that_was_written_twice_in_one_look_is_told_twice(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)

        def create_anew() -> None:
            world.delete_role()
            world.create_role(LAMBDA_STATEMENT)

        before_the_second_document = world.disturbed_roles(before_read_role_4=create_anew)
        world.look(roles=before_the_second_document)
        world.look()
        told = {change["changeId"] for alert in world.alerts() for change in alert["changes"]}
        made = [change.change_id for change in world.changes() if change.may_have_taken_effect]
        assert len(made) == 3, "the trust policy of either role, and the inline policy"
        assert told == set(made)
