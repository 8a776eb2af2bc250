"""The calls that the functions really make are those that are declared: none is missing, none is unused."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from remediator.core.request import ReconcileRequest, request_json
from remediator.handlers import reconciler, router, sweeper
from remediator.permissions import PERMISSIONS
from tests.examples import ACCOUNT, BUCKET, LAMBDA_STATEMENT, a_cause, policy, settings
from tests.functional.test_handlers import Context, batch, functions
from tests.functional.world import ROLE, World
from tests.unit.test_event import load

__all__ = ["functions"]  # the fixture that gives the functions their environment

BESIDE_RESOURCES = {"sqs:SendMessage", "sns:Publish"}
"""Granted by the stack beside the queue and the topic, and held by its own tests."""

ACTIONS = {
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
    "iam:AddRoleToInstanceProfile": ("iam:AddRoleToInstanceProfile", "iam:PassRole"),
}
"""The IAM actions that authorise a call, where they do not have its name.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
"""

PUBLIC = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/site/*"}


@pytest.fixture
def issued(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All calls from now on, and for a transaction its items, of every client but those of the account in memory."""
    assert world.kms  # which it makes when it is asked for
    calls: list[str] = []

    def note(model: Any, params: Any, **_: Any) -> None:
        if model.name == "TransactWriteItems":
            calls.extend(
                f"dynamodb:{kind}Item" for item in json.loads(params["body"])["TransactItems"] for kind in item
            )
        else:
            calls.append(f"{model.service_model.service_name}:{model.name}")

    session = boto3.Session()
    session.events.register("before-call", note)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    return calls


def configure(world: World, **changes: Any) -> None:
    """Deploy another configuration of the cloud."""
    world.settings = settings(**changes)
    for function in (router, reconciler, sweeper):
        function._settings.cache_clear()


def actions(issued: list[str]) -> set[str]:
    """What the calls take of IAM, less what is granted beside the resources."""
    return {action for call in issued for action in ACTIONS.get(call, (call,))} - BESIDE_RESOURCES


def declared(function: str) -> set[str]:
    return {permission.action for permission in PERMISSIONS[function]}


def invoke(handle: Any, *bodies: Any) -> None:
    assert handle(batch(*bodies), Context()) == {"batchItemFailures": []}


def attach_policy(world: World) -> None:
    """A managed policy of the role; it has the name of that in the events, and grants nothing that matters."""
    nothing = policy({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::elsewhere"})
    arn = world.iam.create_policy(PolicyName="bucket-access", Path="/anyscale/", PolicyDocument=json.dumps(nothing))
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn["Policy"]["Arn"])


def under_a_key(world: World) -> list[dict[str, str]]:
    """The cloud's bucket, which is encrypted with a key from now on."""
    arn = world.create_key()
    world.encrypt(arn)
    return [{"name": BUCKET, "region": "us-east-1", "key": arn}]


def test_the_router_makes_the_calls_that_are_declared_for_it(world: World, issued: list[str]) -> None:
    world.create_role(LAMBDA_STATEMENT)
    attach_policy(world)
    invoke(router.handle, load("TagRole"), load("SetDefaultPolicyVersion"), load("PutBucketPolicy"))
    assert actions(issued) == declared("router")


def test_the_sweeper_makes_the_calls_that_are_declared_for_it(world: World, issued: list[str]) -> None:
    world.create_role(LAMBDA_STATEMENT, profile=False)
    attach_policy(world)
    world.put_bucket_policy(PUBLIC)
    configure(world, buckets=under_a_key(world), instanceProfile="repair")
    invoke(sweeper.handle, {"format": 1, "reason": "schedule"})
    assert len(world.queued()) == 1
    assert actions(issued) == declared("sweeper")


def test_the_reconciler_makes_the_calls_that_are_declared_for_it(world: World, issued: list[str]) -> None:
    request, of_bucket = (
        request_json(ReconcileRequest(ACCOUNT, ROLE, a_cause(), bucket=bucket)) for bucket in (None, BUCKET)
    )
    world.create_role(LAMBDA_STATEMENT, profile=False)
    attach_policy(world)
    world.put_bucket_policy(PUBLIC)
    configure(world, instanceProfile="repair")
    invoke(reconciler.handle, request)
    configure(world, grant="bucket-policy", formerGrant="role-policy")
    invoke(reconciler.handle, of_bucket)
    assert world.named_in() == [ROLE]
    world.put_bucket_policy(*(each for each in world.bucket_policy()["Statement"] if each != PUBLIC))
    configure(world, grant="role-policy", formerGrant="bucket-policy", buckets=under_a_key(world))
    invoke(reconciler.handle, of_bucket)
    assert world.bucket_policy() is None
    assert actions(issued) == declared("reconciler")
