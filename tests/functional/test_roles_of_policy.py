"""Which roles use a managed policy, as AWS tells it in pages, and the odd answers."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.errors import TransientError
from remediator.gateways.iam import IamGateway
from tests.examples import LAMBDA_STATEMENT
from tests.functional.test_dispatch import create_policy
from tests.functional.world import World
from tests.unit.events.test_event import POLICY

ASKED = {"PolicyArn": POLICY, "EntityFilter": "Role"}


@pytest.fixture
def stubbed() -> tuple[IamGateway, Stubber]:
    client = boto3.client("iam")
    stubber = Stubber(client)
    stubber.activate()
    return IamGateway(client), stubber


def page(*names: str, marker: str | None = None) -> dict[str, Any]:
    roles = [{"RoleName": name, "RoleId": f"AROAEXAMPLE{name.upper():0<10}"} for name in names]
    more = {"IsTruncated": False} if marker is None else {"IsTruncated": True, "Marker": marker}
    return {"PolicyRoles": roles, "PolicyUsers": [], "PolicyGroups": [], **more}


def test_the_roles_that_a_policy_is_attached_to_are_named(world: World) -> None:
    for name in ("head-node", "worker", "stranger"):
        world.create_role(LAMBDA_STATEMENT, name=name)
    create_policy(world, "worker", "head-node")
    assert world.roles.roles_of_policy(POLICY) == Present(("head-node", "worker"))


def test_users_and_groups_are_no_roles(world: World) -> None:
    create_policy(world)
    world.iam.create_user(UserName="alice")
    world.iam.attach_user_policy(UserName="alice", PolicyArn=POLICY)
    assert world.roles.roles_of_policy(POLICY) == Present(())


def test_all_pages_are_read_short_and_empty_ones_too_and_each_name_is_told_once(
    stubbed: tuple[IamGateway, Stubber],
) -> None:
    roles, stubber = stubbed
    stubber.add_response("list_entities_for_policy", page("b", "a", marker="1"), ASKED)
    stubber.add_response("list_entities_for_policy", page(marker="2"), {**ASKED, "Marker": "1"})
    stubber.add_response("list_entities_for_policy", page("c", "a"), {**ASKED, "Marker": "2"})
    assert roles.roles_of_policy(POLICY) == Present(("a", "b", "c"))
    stubber.assert_no_pending_responses()


def test_a_policy_that_does_not_exist_is_absent(stubbed: tuple[IamGateway, Stubber]) -> None:
    roles, stubber = stubbed
    stubber.add_client_error("list_entities_for_policy", "NoSuchEntity", http_status_code=404)
    assert roles.roles_of_policy(POLICY) == Absent()


def test_a_list_that_is_refused_is_unreadable_and_not_empty(stubbed: tuple[IamGateway, Stubber]) -> None:
    roles, stubber = stubbed
    stubber.add_response("list_entities_for_policy", page("a", marker="1"), ASKED)
    stubber.add_client_error("list_entities_for_policy", "AccessDenied", http_status_code=403)
    reading = roles.roles_of_policy(POLICY)
    assert isinstance(reading, Unreadable)
    assert "iam:ListEntitiesForPolicy failed with AccessDenied" in reading.why


def test_a_list_that_is_throttled_is_an_error(stubbed: tuple[IamGateway, Stubber]) -> None:
    roles, stubber = stubbed
    stubber.add_client_error("list_entities_for_policy", "Throttling")
    with pytest.raises(TransientError):
        roles.roles_of_policy(POLICY)
