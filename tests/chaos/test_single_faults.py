"""Whatever one call goes wrong with, and in whichever way: at the end all is in order, recorded, and told."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Final

import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.history.change import ChangeState
from remediator.core.repair.outcome import Hold
from remediator.errors import TransientError
from remediator.permissions import PERMISSIONS
from remediator.settings import WriteLimit
from tests.chaos.calls import Planned, Request
from tests.chaos.conftest import how_many
from tests.chaos.flows import FLOWS, Flow
from tests.chaos.telling import Told, broken_promises, disturbances, tell, undisturbed
from tests.examples import LAMBDA_STATEMENT, bucket_grant
from tests.functional.faults import once, raising
from tests.functional.test_issued_calls import ACTIONS
from tests.functional.world import World

SEED = 20260304
PARTS = 2
"""The parts of a flow's tellings, which run beside one another."""

BESIDE_PERMISSIONS: Final = {
    "router": {"sqs:SendMessage", "sqs:ChangeMessageVisibilityBatch"},
    "sweeper": {"sqs:SendMessage", "sqs:SendMessageBatch", "sqs:ChangeMessageVisibilityBatch"},
    "reconciler": {
        "sqs:SendMessage",
        "sqs:ChangeMessageVisibilityBatch",
        "sns:Publish",
        "dynamodb:TransactWriteItems",
    },
    "digester": {"sqs:SendMessage", "sqs:ChangeMessageVisibilityBatch", "sns:Publish"},
    "notifier": {"sqs:ChangeMessageVisibilityBatch", "slack:Post"},
}
"""The calls that have no action of their own, or whose action the stack grants beside the queues and topics."""

NEVER_MADE: Final = {
    ("reconciler", "dynamodb:PutItem"): "only documents of more than 350 KB, compressed, have items of their own",
    ("sweeper", "sqs:SendMessage"): "only a sweep of thousands of roles goes on in another invocation",
}
"""Calls that no story makes, each with its reason."""

WRITTEN_BY_HAND: Final = {
    "dynamodb:TransactWriteItems",
    "dynamodb:UpdateItem",
    "iam:AddRoleToInstanceProfile",
    "iam:CreateInstanceProfile",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRolePolicy",
    "iam:PutRolePolicy",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketPolicy",
    "sns:Publish",
    "ssm:PutParameter",
}
"""What the commands write."""


TOLD_IN: Final[dict[str, tuple[str, ...]]] = {
    "an event, the role's side": ("head-node repaired new",),
    "an event, the bucket's side of two roles": ("head-node repaired new", "worker repaired new"),
    "enrolment, with an instance profile": ("head-node repaired new",),
    "a bucket under a key, which is changed": ("head-node repaired new",),
    "a policy of two roles": ("head-node repaired new", "worker repaired new"),
    "a lost event, found by the sweep": ("head-node repaired new",),
    "the grant moves to the bucket": ("head-node repaired new",),
    "the grant moves to the role": ("head-node repaired new",),
    "the grant moves to the role, and nothing else was in the policy": ("head-node repaired new",),
    "a person is needed": ("head-node needs-person new",),
    "a person is needed no longer": ("head-node clean resolved",),
    "a trust policy is undone": ("head-node would-repair new",),
    "an inline policy is undone": ("head-node would-repair new",),
    "a bucket policy is undone": ("head-node would-repair new",),
    "an instance profile is undone": ("head-node would-repair new",),
    "a repair by hand": ("head-node repaired new",),
    "a role is enrolled by hand": ("head-node repaired new",),
    "a role is unenrolled by hand": (),
    "writes are paused by hand": ("head-node would-repair new",),
    "a contested role is resumed": ("head-node repaired new",),
    "a role is switched off, and on again": ("head-node repaired new",),
    "writes are paused, and go on again": ("head-node repaired new", "head-node would-repair new"),
    "the limit of writes is reached": (
        "head-node repaired new",
        "limit-reached",
        "worker repaired new",
        "worker would-repair new",
    ),
    "all that is ours is taken back": ("head-node would-repair new",),
    "a request in another group": ("head-node repaired new",),
    "each function fails once": ("head-node repaired new",),
    "three alerts are told": ("head-node repaired new", "third repaired new", "worker repaired new"),
}
"""The alerts of each story in which nothing goes wrong: of which role, what came of it, and what is new about it."""


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
    assert (undisturbed(flow).wrong, undisturbed(flow).idle) == ((), 0)
    tellings, broken = [], []
    for planned in chosen(flow)[part::PARTS]:
        told = tell(flow, planned)
        wrong = broken_promises(flow, told, planned)
        call = f"{planned.request.function} {planned.request.name}"
        tellings.append((call, planned.fault.value, verdict(flow, told, wrong)))
        if wrong:
            broken.append(f"{call} for the time {planned.number}, {planned.fault}: {'; '.join(wrong)}")
    calls = {(planned.request.function, planned.request.name, planned.number) for planned in disturbances(flow)}
    of_all = [len(calls), len(undisturbed(flow).requests)]
    note("disturbed", {"flow": flow.name, "tellings": tellings, "calls": of_all})
    assert broken == []


def test_each_story_tells_what_happened_in_it_and_no_more() -> None:
    assert {flow.name: undisturbed(flow).alerts for flow in FLOWS} == TOLD_IN


def disturbed() -> set[Request]:
    """All requests that go wrong in some story, each in every way."""
    return {planned.request for flow in FLOWS for planned in disturbances(flow)}


def test_every_declared_call_of_every_function_is_among_those_that_go_wrong() -> None:
    made = {
        (request.function, action)
        for request in disturbed()
        for action in ({request.name} if is_beside(request) else ACTIONS.get(request.name, {request.name}))
        if request.function in PERMISSIONS
    }
    declared = {(name, permission.action) for name, permissions in PERMISSIONS.items() for permission in permissions}
    beside = {(name, call) for name, calls in BESIDE_PERMISSIONS.items() for call in calls}
    assert made == (declared | beside) - NEVER_MADE.keys()


def is_beside(request: Request) -> bool:
    """Whether it is a call of those that are declared by their own names."""
    return request.name in BESIDE_PERMISSIONS.get(request.function, ())


def test_every_write_of_the_commands_is_among_those_that_go_wrong() -> None:
    made = {request.name for request in disturbed() if request.function == "person" and not request.is_read}
    assert made == WRITTEN_BY_HAND


def test_the_last_read_of_a_document_is_the_call_just_before_its_write(note: Any) -> None:
    reads = {
        "UpdateAssumeRolePolicy": "GetRole",
        "PutRolePolicy": "GetRolePolicy",
        "DeleteRolePolicy": "GetRolePolicy",
        "PutBucketPolicy": "GetBucketPolicy",
        "DeleteBucketPolicy": "GetBucketPolicy",
        "CreateInstanceProfile": "GetInstanceProfile",
        "AddRoleToInstanceProfile": "GetInstanceProfile",
        "RemoveRoleFromInstanceProfile": "GetInstanceProfile",
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
    assert seen.keys() == reads.keys()


class TestWhatFaultsHaveShown:
    """Each of these was found by the tests above or by the schedules, and mended."""

    def test_a_change_whose_conclusion_cannot_be_recorded_stays_open_and_is_concluded_by_the_next_look(
        self, world: World
    ) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        failing = raising(TransientError("dynamodb:UpdateItem", "ThrottlingException", ""))
        outcome = world.reconcile_only(history=world.disturbed_history(before_conclude=failing))
        assert world.deliver(outcome) is AlertReason.NEW
        assert outcome.to_be_retried
        assert world.history.pending_roles() == ("head-node",)
        world.look()
        assert [change.state for change in world.changes()] == [ChangeState.COMPLETED]
        assert world.history.pending_roles() == ()

    def test_a_conclusion_that_fails_once_is_recorded_at_once_and_told_once(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        failing = once(raising(TransientError("dynamodb:UpdateItem", "ThrottlingException", "")))
        outcome, reason = world.look(history=world.disturbed_history(before_conclude=failing))
        assert (outcome.to_be_retried, reason) == (False, AlertReason.NEW)
        assert [change.state for change in world.changes()] == [ChangeState.COMPLETED]
        assert world.unconcluded == []
        assert world.look()[1] is AlertReason.NONE

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

    def test_where_the_limit_of_writes_was_reached_what_was_written_is_told_once_though_the_limit_cannot_be_looked_up(
        self, world: World
    ) -> None:
        world.settings = replace(world.settings, write_limit=WriteLimit(writes=1))
        world.create_role(LAMBDA_STATEMENT)
        outcome = world.reconcile_only()
        assert (outcome.hold, len(outcome.applied)) == (Hold.CAPPED, 1)
        failing = raising(TransientError("dynamodb:GetItem", "ThrottlingException", ""))
        with pytest.raises(TransientError):
            world.deliver(outcome, history=world.disturbed_history(before_limit_was_reported=failing))
        world.look()
        told = [each["changeId"] for alert in world.alerts() for each in alert.get("changes", ()) if each["changeId"]]
        assert told == [change.change_id for change in world.changes()]
