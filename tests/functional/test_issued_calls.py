"""The calls that the functions really make are those that are declared: none is missing, none is unused."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from remediator.handlers import reconciler, router
from remediator.permissions import PERMISSIONS
from tests.examples import BUCKET, LAMBDA_STATEMENT, policy
from tests.functional.test_handlers import Context, batch, functions
from tests.functional.world import ROLE, World
from tests.unit.test_event import load

__all__ = ["functions"]  # the fixture that gives the functions their environment

BESIDE_RESOURCES = {"sqs:SendMessage", "sns:Publish"}
"""Granted by the stack beside the queue and the topic, and held by its own tests."""


@pytest.fixture
def issued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actions of all calls that clients make from now on."""
    calls: list[str] = []
    session = boto3.Session()
    session.events.register(
        "before-call", lambda model, **_: calls.append(f"{model.service_model.service_name}:{model.name}")
    )
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    return calls


def test_issued_calls_and_declared_permissions_are_the_same(world: World, issued: list[str]) -> None:
    world.create_role(LAMBDA_STATEMENT)
    document = json.dumps(policy({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::elsewhere"}))
    arn = world.iam.create_policy(PolicyName="elsewhere", PolicyDocument=document)["Policy"]["Arn"]
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)
    world.grant({"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}-elsewhere"})
    assert call(router.handle, batch(load("TagRole")), issued) - BESIDE_RESOURCES == declared("router")
    messages = (message["Body"] for message in world.queued())
    assert call(reconciler.handle, batch(*messages), issued) - BESIDE_RESOURCES == declared("reconciler")
    assert world.trusts_ec2()


def call(handle: Any, event: Any, issued: list[str]) -> set[str]:
    issued.clear()
    assert handle(event, Context()) == {"batchItemFailures": []}
    return set(issued)


def declared(function: str) -> set[str]:
    return {permission.action for permission in PERMISSIONS[function]}
