"""A deployment with all that its stack has: topic, queues, alarms, metrics and the bucket of a cloud."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest

from remediator.core.history.role_record import RoleRecord
from tests.cli.deployed import NOW, ROLE, Deployed
from tests.cli.terminal import ROOT, Json
from tests.examples import BUCKET, LAMBDA_STATEMENT, OWN_ROLE_ARN, policy
from tests.functional.world import PAUSE_PARAMETER, TABLE, client

CLOUD: Json = {
    "buckets": [{"name": BUCKET, "region": "us-east-1"}],
    "roles": ["anyscale/production/*"],
    "instanceProfile": "ignore",
}
DEPLOYED_AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
OWN_ROLE = "AnyscaleRemediator-RouterRoleB6F1A2C3-ftsyJqRnKmAd"
"""The name of the router's role, as CloudFormation generates it."""
QUEUES = ("IntakeQueue", "WorkQueue", "WorkDeadLetters", "UndeliveredEvents")


class Running:
    """The deployment, by its account in memory."""

    def __init__(self, account: Deployed) -> None:
        self.account = account
        self.sqs = client("sqs")
        self.cloudwatch = client("cloudwatch")
        self.s3 = client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.topic_arn = client("sns").create_topic(Name="alerts")["TopicArn"]
        self._inbox = self.sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self._inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("sns").subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=arn)
        self.urls = {f"{name}Url": self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in QUEUES}
        self.state = "UPDATE_COMPLETE"
        self.outputs = {
            "HistoryTableName": TABLE,
            "PauseParameterName": PAUSE_PARAMETER,
            "AlertsTopicArn": self.topic_arn,
            "ReconcilerRoleArn": OWN_ROLE_ARN,
            **self.urls,
        }
        account.deploy(self.outputs)
        configure()

    def describe(self, answer: Any) -> Any:
        """What CloudFormation says of the stack, with its outputs."""
        times = {"CreationTime": DEPLOYED_AT, "LastUpdatedTime": DEPLOYED_AT}
        return {"Stacks": [{**stack, "StackStatus": self.state, **times} for stack in answer["Stacks"]]}

    def swept(self, at: datetime = NOW) -> None:
        """Count a sweep that has come to its end."""
        self.cloudwatch.put_metric_data(
            Namespace="AnyscaleRemediator",
            MetricData=[
                {
                    "MetricName": "SweepsCompleted",
                    "Dimensions": [{"Name": "service", "Value": "sweeper"}],
                    "Timestamp": at,
                    "Value": 1,
                }
            ],
        )

    def alarm(self, name: str, state: str) -> None:
        """Have an alarm in a state."""
        self.cloudwatch.put_metric_alarm(
            AlarmName=f"AnyscaleRemediator-{name}",
            AlarmDescription=f"What {name} means.",
            MetricName="m",
            Namespace="n",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            Statistic="Sum",
        )
        self.cloudwatch.set_alarm_state(AlarmName=f"AnyscaleRemediator-{name}", StateValue=state, StateReason="r")

    def remember(self, role_record: RoleRecord, role: str = ROLE) -> None:
        """Have something remembered of a role."""
        self.account.history.write_role_record(role, role_record)

    def create_own_role(self, tags: Mapping[str, str] | None = None) -> None:
        """Create the router's role."""
        self.account.iam.create_role(
            RoleName=OWN_ROLE,
            AssumeRolePolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)),
            Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        )

    def inline(self, role: str = ROLE) -> list[str]:
        """The names of the inline policies of a role."""
        names: list[str] = self.account.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return names

    def tags(self, role: str = ROLE) -> dict[str, str]:
        """The tags of a role."""
        return {tag["Key"]: tag["Value"] for tag in self.account.iam.list_role_tags(RoleName=role)["Tags"]}

    def bucket_policy(self) -> Any:
        """The policy of the bucket; None where it has none."""
        try:
            return json.loads(self.s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
        except self.s3.exceptions.ClientError:
            return None

    def alerts(self) -> list[Json]:
        """The alerts that have arrived, as machines get them."""
        messages = self.sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]


def configure(**changes: Any) -> None:
    """Write the configuration into the working directory; keyword arguments change or add keys of the cloud."""
    write_settings({"clouds": {"production": {**CLOUD, **changes}}})


def write_settings(configuration: Json) -> None:
    """Write a ``cdk.json`` with a configuration into the working directory."""
    Path("cdk.json").write_text(json.dumps({"context": {"remediator": configuration}}))


def deny(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """Have AWS deny a call."""
    answer_with(monkeypatch, operation, 403, "AccessDenied")


def answer_with(monkeypatch: pytest.MonkeyPatch, operation: str, status: int, code: str) -> None:
    """Have AWS answer a call with an error."""
    send = botocore.client.BaseClient._make_request  # type: ignore[attr-defined]  # the stubs leave it out

    class Response:
        status_code = status

    def answer(client: Any, model: Any, request: Any, context: Any) -> Any:
        if model.name != operation:
            return send(client, model, request, context)
        metadata = {"HTTPStatusCode": status}
        return Response(), {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}

    monkeypatch.setattr(botocore.client.BaseClient, "_make_request", answer)


def documented(typed: str) -> str:
    """What docs/command-line.md shows that a command prints."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    (printed,) = re.findall(rf"^```text\n\$ {re.escape(typed)}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(printed)


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away whatever could be credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def running(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A deployment with all that its stack has; its ``cdk.json`` is in the working directory."""
    monkeypatch.chdir(tmp_path)
    found = Running(deployed)
    described = deployed.describe_stacks

    def describe(region: str, stack: str) -> Any:
        return found.describe(described(region, stack))

    monkeypatch.setattr(deployed, "describe_stacks", describe)
    return found
