"""The calls that the functions really make are those that are declared: none is missing, none is unused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from remediator.core.alerts.window import window_end_json, window_of
from remediator.core.events.request import ReconcileRequest, request_json
from remediator.gateways.webhook import Webhook
from remediator.handlers import consumer, digester, notifier, reconciler, router, sweeper
from remediator.permissions import PERMISSIONS
from remediator.settings import DigestLimit
from tests.examples import ACCOUNT, BUCKET, LAMBDA_STATEMENT, a_cause, policy, settings
from tests.functional.slack_stand_in import BROKEN, SlackStandIn
from tests.functional.test_handlers import Context, batch, forget, functions
from tests.functional.world import ROLE, World
from tests.unit.alerts.samples import ALERTS
from tests.unit.events.test_event import load

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

KEPT_BESIDE_RESOURCES = {"sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch"}
"""Granted with the queue that a function works off; it is called where a message has failed."""

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
    forget(router, reconciler, sweeper)


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


@pytest.fixture
def fresh(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions that tell people, with nothing kept from before."""
    world.settings = replace(world.settings, digest=DigestLimit(alone=1, minutes=5))
    monkeypatch.setattr(consumer, "load_settings", lambda: world.settings)
    monkeypatch.setenv("PEOPLE_TOPIC_ARN", world.sns.create_topic(Name="people")["TopicArn"])
    forget(digester, notifier)
    yield
    forget(digester, notifier)


def sent(*bodies: str) -> dict[str, Any]:
    """A batch of messages that were sent half an hour ago."""
    event = batch(*bodies)
    for record in event["Records"]:
        record["attributes"]["SentTimestamp"] = str(int((datetime.now(UTC) - timedelta(minutes=30)).timestamp() * 1000))
    return event


def test_the_digester_makes_the_calls_that_are_declared_for_it(
    world: World, issued: list[str], fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, held = ALERTS["repaired"].json, ALERTS["needs-person"].json
    answer = digester.handle(sent(alone, held), Context())
    assert answer == {"batchItemFailures": []}
    assert "sns:Publish" in issued
    window = window_of(datetime.now(UTC) - timedelta(minutes=30), 5)
    assert digester.handle(sent(window_end_json(window)), Context()) == {"batchItemFailures": []}
    monkeypatch.setenv("PEOPLE_TOPIC_ARN", f"{world.topic_arn}-that-is-not-there")
    assert digester.handle(sent(ALERTS["test"].json), Context()) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert actions(issued) - KEPT_BESIDE_RESOURCES == declared("digester")


def test_the_notifier_makes_the_calls_that_are_declared_for_it(
    issued: list[str], fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SlackStandIn() as slack:
        boto3.client("secretsmanager").create_secret(Name="slack", SecretString=slack.url())
        issued.clear()
        monkeypatch.setenv("WEBHOOK_SECRET", "slack")
        hook = Webhook(slack.trust)
        monkeypatch.setattr(notifier, "_webhook", lambda: hook)
        slack.script.append(BROKEN)
        one, other = ALERTS["repaired"].json, ALERTS["needs-person"].json
        assert notifier.handle(sent(one, other), Context()) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
        assert len(slack.channel) == 1
    assert actions(issued) - KEPT_BESIDE_RESOURCES == declared("notifier")
