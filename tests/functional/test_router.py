"""The router as Lambda calls it: what it queues, counts and logs, and what it hands back."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from remediator.core.events.watched import UNWATCHED, WATCHED_CALLS, Concern, WatchedCall
from remediator.errors import TransientError
from remediator.handlers import consumer, router
from tests.examples import ACCOUNT, LAMBDA_STATEMENT, OWN_ROLE_ARN
from tests.functional.test_dispatch import EXPECTED, by_role, create_policy, requests, sweeps, two_clouds
from tests.functional.test_handlers import Context, batch, failures, forget, functions, hand, reconcile_queued, route
from tests.functional.world import World
from tests.unit.events.test_event import KEY, POLICY, load

__all__ = ["functions"]  # the fixture that gives the functions their environment

Json = dict[str, Any]


@contextmanager
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], tuple[list[Json], Counter[str]]]]:
    """Gives, after the router has run, the lines of its log and the metrics that it has counted."""
    log = io.StringIO()
    handler = consumer.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(log)
    capsys.readouterr()

    def told() -> tuple[list[Json], Counter[str]]:
        counted: Counter[str] = Counter()
        for line in map(json.loads, capsys.readouterr().out.splitlines()):
            counted.update({name: int(sum(value)) for name, value in line.items() if isinstance(value, list)})
        return [json.loads(line) for line in log.getvalue().splitlines()], counted

    try:
        yield told
    finally:
        handler.setStream(before or sys.stdout)


@pytest.mark.parametrize("call", WATCHED_CALLS, ids=lambda call: call.name)
def test_each_watched_call_is_queued_counted_and_logged_under_its_id(
    call: WatchedCall, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.settings = two_clouds()
    world.create_role(LAMBDA_STATEMENT)
    world.create_role(LAMBDA_STATEMENT, name="worker")
    create_policy(world, "head-node", "worker")
    queued, swept = EXPECTED[call.name]
    with logged(capsys) as told:
        assert failures(route(load(call.name))) == []
        lines, counted = told()
    assert [request.role_name for request in requests(world)] == queued
    assert [request.clouds for request in sweeps(world)] == swept
    assert counted == {"EventsReceived": 1, "SweepsRequested" if swept else "EventsQueued": 1}
    assert [line["message"] for line in lines] == ["sweep requested"] * len(swept) + ["queued"] * len(queued)
    assert [line["role"] for line in lines if line["message"] == "queued"] == queued
    for line in lines:
        assert line["event_id"] == load(call.name)["detail"]["eventID"]
        assert (line["call"], line["message_id"]) == (call.name, "m0")


@pytest.mark.parametrize(
    ("concern", "name"),
    [
        (call.concern, call.name)
        for call in WATCHED_CALLS
        if call.concern in (Concern.INSTANCE_PROFILE, Concern.MANAGED_POLICY)
    ],
)
def test_a_call_that_names_the_role_in_another_way_ends_in_a_repaired_role_too(
    concern: Concern, name: str, world: World
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    create_policy(world, "head-node")
    assert failures(route(load(name))) == []
    assert failures(reconcile_queued(world)) == []
    assert world.trusts_ec2()
    (alert,) = world.alerts()
    assert [cause["call"] for cause in alert["causes"]] == [name]


def test_what_leads_to_nothing_is_counted_and_logged_with_the_reason(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with logged(capsys) as told:
        assert failures(route(*(load(name) for _, name in UNWATCHED), load("TagRole"), load("DisableKey"))) == []
        lines, counted = told()
    assert counted == {"EventsReceived": len(UNWATCHED) + 2, "EventsIgnored": len(UNWATCHED) + 2}
    assert [(line["message"], line["call"]) for line in lines] == [
        *(("ignored", name) for _, name in UNWATCHED),
        ("ignored", "TagRole"),
        ("ignored", "DisableKey"),
    ]
    *unwatched, role, key = lines
    for line, why in zip(unwatched, UNWATCHED.values(), strict=True):
        assert why in line["why"]
    assert (role["role"], role["why"]) == ("head-node", "the role does not exist (any more)")
    assert (key.get("role"), key["why"]) == (None, f"key {KEY} is not in the configuration")


def test_a_policy_is_counted_once_and_each_of_its_roles_has_a_line(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.create_role(LAMBDA_STATEMENT, name="stranger", tags={})
    create_policy(world, "head-node", "stranger")
    with logged(capsys) as told:
        route(load("SetDefaultPolicyVersion"))
        lines, counted = told()
    assert counted == {"EventsReceived": 1, "EventsQueued": 1}
    assert [(line["message"], line["role"]) for line in lines] == [("queued", "head-node"), ("ignored", "stranger")]
    assert lines[0]["group"] == f"{ACCOUNT}/role/head-node"


def test_a_sweep_is_logged_with_its_clouds(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.settings = two_clouds()
    with logged(capsys) as told:
        route(load("DeleteBucket"), load("PutAccountPublicAccessBlock"))
        lines, _ = told()
    assert [line["clouds"] for line in lines] == [["production", "research"], "all"]


def test_our_own_write_to_a_bucket_is_known_by_the_role_in_the_environment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settings = two_clouds()
    event = by_role("PutBucketPolicy", OWN_ROLE_ARN)
    assert failures(route(event)) == []
    assert sweeps(world) == []
    monkeypatch.setenv("REMEDIATOR_ROLE_ARN", "arn:aws:iam::111122223333:role/another")
    forget(router)
    assert failures(route(event)) == []
    assert len(sweeps(world)) == 1


class Deaf:
    """A sweep queue that takes nothing."""

    def send(self, request: object) -> None:
        raise TransientError("sqs:SendMessage", "RequestThrottled", "")


def test_a_sweep_that_cannot_be_queued_fails_its_message_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.settings = two_clouds()
    hand(monkeypatch, router, sweeps=Deaf())
    assert failures(route(load("DeleteBucket"), load("TagRole"))) == ["m0"]
    assert [request.role_name for request in requests(world)] == ["head-node"]


def test_an_event_is_not_begun_when_the_invocation_is_about_to_end(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert failures(router.handle(batch(load("TagRole")), Context(milliseconds_left=5_000))) == ["m0"]
    assert requests(world) == []
    assert failures(route(load("TagRole"))) == []
    assert len(requests(world)) == 1


@pytest.mark.parametrize(
    "event",
    [
        "not json",
        [],
        7,
        {"detail": 7},
        {"detail": {"eventID": 7, "eventName": ["x"]}},
        {"detail": {"eventID": "\ud800"}},
    ],
)
def test_an_odd_message_is_handed_back_and_logged(
    event: object, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with logged(capsys) as told:
        assert failures(route(load("TagRole"), event, load("UntagRole"))) == ["m1"]
        lines, counted = told()
    assert counted == {"EventsReceived": 3, "EventsIgnored": 2}
    assert [line["message_id"] for line in lines] == ["m0", "m1", "m2"]
    assert [line.get("call") for line in lines] == ["TagRole", None, "UntagRole"]
    assert isinstance(lines[1].get("event_id", ""), str)


def test_the_router_makes_no_call_that_could_change_anything_of_the_account(world: World) -> None:
    world.settings = two_clouds()
    world.create_role(LAMBDA_STATEMENT)
    create_policy(world, "head-node")
    before = (world.trust(), world.inline())
    assert failures(route(*(load(call.name) for call in WATCHED_CALLS[:10]))) == []
    assert (world.trust(), world.inline()) == before
    assert world.iam.list_entities_for_policy(PolicyArn=POLICY)["PolicyRoles"]
