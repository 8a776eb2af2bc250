"""From an event to the work queue."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.core.reading import Absent, Reading, Unreadable
from remediator.core.request import parse_request
from remediator.core.state import Role
from remediator.errors import MalformedEvent, NotYetVisible, RemediatorError
from remediator.flows.dispatch import Dispatched, Dropped, Queued, dispatch
from tests.examples import ACCOUNT, ENROLLED, LAMBDA_STATEMENT, a_role
from tests.functional.world import World
from tests.unit.test_event import load

SOON = datetime(2026, 3, 4, 10, 3, tzinfo=UTC)
LATER = SOON + timedelta(minutes=10)


def send(world: World, name: str = "UpdateAssumeRolePolicy", *, now: datetime = LATER, **overrides: Any) -> Dispatched:
    world.calls.clear()
    arguments: dict[str, Any] = {"roles": world.roles, "queue": world.queue, "settings": world.settings, **overrides}
    return dispatch(load(name), account=ACCOUNT, now=now, **arguments)


def test_an_event_about_an_enrolled_role_is_queued_with_its_cause(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert isinstance(send(world), Queued)
    (message,) = world.queued()
    request = parse_request(message["Body"])
    assert (request.role_name, request.cause.call) == ("head-node", "UpdateAssumeRolePolicy")
    assert message["Attributes"]["MessageGroupId"] == f"{ACCOUNT}/role/head-node"


def test_an_event_about_a_role_that_is_not_enrolled_costs_one_read_and_is_dropped(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    assert isinstance(send(world), Dropped)
    assert world.calls == ["GetRole"]
    assert world.queued() == []


def test_a_role_that_would_be_refused_is_queued_because_the_refusal_must_be_told(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, path="/", tags=ENROLLED)
    assert isinstance(send(world), Queued)


def test_a_role_that_is_off_is_dropped(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={**ENROLLED, "anyscale:remediation": "off"})
    assert isinstance(send(world), Dropped)


def test_the_same_event_delivered_twice_is_queued_once(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    send(world)
    send(world)
    assert len(world.queued()) == 1


def test_an_event_about_a_role_that_is_gone_is_dropped(world: World) -> None:
    assert isinstance(send(world), Dropped)


def test_a_fresh_creation_that_cannot_be_seen_yet_is_looked_at_again(world: World) -> None:
    with pytest.raises(NotYetVisible):
        send(world, "CreateRole", now=SOON)
    assert isinstance(send(world, "CreateRole", now=LATER), Dropped)


def test_a_fresh_tag_that_cannot_be_seen_yet_is_looked_at_again(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    with pytest.raises(NotYetVisible):
        send(world, "TagRole", now=SOON)
    assert isinstance(send(world, "TagRole", now=LATER), Dropped)


def test_a_fresh_end_of_a_pause_that_cannot_be_seen_yet_is_looked_at_again(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={**ENROLLED, "anyscale:remediation": "off"})
    resumed = copy.deepcopy(load("UntagRole"))
    resumed["detail"]["requestParameters"]["tagKeys"] = ["anyscale:remediation"]
    arguments: dict[str, Any] = {"roles": world.roles, "queue": world.queue, "settings": world.settings}
    with pytest.raises(NotYetVisible):
        dispatch(resumed, account=ACCOUNT, now=SOON, **arguments)
    assert isinstance(dispatch(resumed, account=ACCOUNT, now=LATER, **arguments), Dropped)


def test_a_fresh_pause_is_no_contradiction(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={**ENROLLED, "anyscale:remediation": "off"})
    paused = copy.deepcopy(load("TagRole"))
    paused["detail"]["requestParameters"]["tags"] = [{"key": "anyscale:remediation", "value": "off"}]
    arguments: dict[str, Any] = {"roles": world.roles, "queue": world.queue, "settings": world.settings}
    assert isinstance(dispatch(paused, account=ACCOUNT, now=SOON, **arguments), Dropped)


def test_a_fresh_tag_of_another_key_is_not_waited_for(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    event = copy.deepcopy(load("TagRole"))
    event["detail"]["requestParameters"]["tags"] = [{"key": "team", "value": "ml"}]
    dispatched = dispatch(
        event, account=ACCOUNT, roles=world.roles, queue=world.queue, settings=world.settings, now=SOON
    )
    assert isinstance(dispatched, Dropped)


class OneAnswer:
    """A reader of roles with one answer."""

    def __init__(self, reading: Reading[Role]) -> None:
        self._reading = reading

    def read_role(self, role_name: str) -> Reading[Role]:
        return self._reading


def test_a_role_that_cannot_be_read_is_an_error_and_not_dropped(world: World) -> None:
    with pytest.raises(RemediatorError, match="AccessDenied"):
        send(world, roles=OneAnswer(Unreadable("iam:GetRole failed with AccessDenied")))


def test_an_absent_role_is_not_an_unreadable_one(world: World) -> None:
    assert isinstance(send(world, roles=OneAnswer(Absent())), Dropped)


def test_a_malformed_event_is_raised_for_the_dead_letter_queue(world: World) -> None:
    with pytest.raises(MalformedEvent):
        dispatch(
            json.loads("{}"), account=ACCOUNT, roles=world.roles, queue=world.queue, settings=world.settings, now=SOON
        )


def test_the_example_role_is_the_one_of_the_fixtures() -> None:
    assert a_role().arn.name == load("TagRole")["detail"]["requestParameters"]["roleName"]
