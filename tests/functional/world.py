"""What the functional tests act on and look at: roles, buckets, queue and topic of an account in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3

from remediator.core.event import Cause
from remediator.core.outcome import Outcome
from remediator.core.policy.document import read_policy
from remediator.core.reading import Present
from remediator.core.trust import TrustVerdict, judge_trust
from remediator.flows.reconcile import reconcile
from remediator.gateways.iam import IamGateway
from remediator.gateways.queue import WorkQueue
from remediator.gateways.s3 import S3Gateway
from remediator.gateways.topic import AlertsTopic
from remediator.settings import Settings
from tests.examples import ACCOUNT, BUCKET, ENROLLED, OWN_ROLE_ARN, a_cause, policy, settings

ROLE = "head-node"
NOW = datetime(2026, 3, 4, 10, 0, 20, tzinfo=UTC)
READS = ("Get", "List", "Head", "Receive")


class World:
    """An account in memory; ``calls`` are the operations that went through the clients of the gateways."""

    def __init__(self) -> None:
        self.iam = boto3.client("iam")
        self.s3 = boto3.client("s3")
        self.sqs = boto3.client("sqs")
        self.sns = boto3.client("sns")
        self.calls: list[str] = []
        self.pauses: list[float] = []
        self.settings: Settings = settings()
        self.s3.create_bucket(Bucket=BUCKET)
        self.topic_arn = self.sns.create_topic(Name="alerts")["TopicArn"]
        self._inbox = self.sqs.create_queue(QueueName="inbox")["QueueUrl"]
        inbox_arn = self.sqs.get_queue_attributes(QueueUrl=self._inbox, AttributeNames=["QueueArn"])["Attributes"]
        self.sns.subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=inbox_arn["QueueArn"])
        self.queue_url = self.sqs.create_queue(QueueName="work.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        self.consumed_url = self.sqs.create_queue(QueueName="consumed")["QueueUrl"]
        self.roles = IamGateway(self._recorded(boto3.client("iam")))
        self.buckets = S3Gateway(lambda region: self._recorded(boto3.client("s3", region_name=region)))
        self.queue = WorkQueue(self._recorded(boto3.client("sqs")), self.queue_url)
        self.topic = AlertsTopic(self._recorded(boto3.client("sns")), self.topic_arn)

    def _recorded(self, client: Any) -> Any:
        client.meta.events.register("before-call", lambda model, **_: self.calls.append(model.name))
        return client

    @property
    def writes(self) -> list[str]:
        """The operations that change something, in order."""
        return [call for call in self.calls if not call.startswith(READS)]

    def create_role(
        self,
        *trust: Mapping[str, object],
        name: str = ROLE,
        path: str = "/anyscale/production/",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create a role, by default an enrolled one."""
        self.iam.create_role(
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=json.dumps(policy(*trust)),
            Tags=[{"Key": key, "Value": value} for key, value in (ENROLLED if tags is None else tags).items()],
        )

    def grant(self, *statements: Mapping[str, object], name: str = "granted", role: str = ROLE) -> None:
        """Write an inline policy as somebody else would."""
        self.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy(*statements)))

    def trust(self, role: str = ROLE) -> Any:
        """The statements of the trust policy, as they are now."""
        return self.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]

    def trusts_ec2(self, role: str = ROLE) -> bool:
        """Whether EC2 may assume the role, as it is now."""
        reading = self.roles.read_role(role)
        return isinstance(reading, Present) and judge_trust(reading.value).verdict is TrustVerdict.OK

    def inline(self, role: str = ROLE) -> dict[str, Any]:
        """All inline policies of the role, as they are now."""
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {
            name: self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in sorted(names)
        }

    def reconcile(self, *causes: Cause, role: str = ROLE, **overrides: Any) -> Outcome:
        """Reconcile a role the way the function does; ``overrides`` replace single collaborators."""
        self.calls.clear()
        arguments: dict[str, Any] = {
            "account": ACCOUNT,
            "roles": self.roles,
            "buckets": self.buckets,
            "settings": self.settings,
            "own_role_arn": OWN_ROLE_ARN,
            "now": NOW,
            "pause": self.pauses.append,
            **overrides,
        }
        return reconcile(role, causes or (a_cause(),), **arguments)

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that have arrived since the last look: subject, JSON and attributes."""
        alerts = []
        while messages := self.sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self._inbox, ReceiptHandle=message["ReceiptHandle"])
                envelope = json.loads(message["Body"])
                attributes = {key: value["Value"] for key, value in envelope["MessageAttributes"].items()}
                alerts.append(
                    {"subject": envelope["Subject"], "attributes": attributes, **json.loads(envelope["Message"])}
                )
        return alerts

    def queued(self) -> list[dict[str, Any]]:
        """The messages of the work queue, as a function receives them."""
        received = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=0
        )
        return [dict(message) for message in received.get("Messages", [])]


def understood(raw: Any) -> Any:
    """A document as the gateways read it."""
    reading = read_policy(raw)
    assert isinstance(reading, Present)
    return reading.value
