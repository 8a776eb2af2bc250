"""What the functional tests act on and look at: roles, buckets, keys, queues and topic of an account in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from itertools import count
from typing import Any

import boto3

from remediator.core.alerts.alert_json import parse_record
from remediator.core.alerts.alert_layout import layout_of
from remediator.core.alerts.decide import AlertReason
from remediator.core.events.event import Cause
from remediator.core.history.change import Change
from remediator.core.history.pause import Pause
from remediator.core.model.own_names import BUCKET_POLICY_SID
from remediator.core.policy.document import read_policy
from remediator.core.policy.reading import Present
from remediator.core.repair.outcome import Outcome
from remediator.core.repair.trust import TrustVerdict, evaluate_trust
from remediator.errors import AwsError
from remediator.flows.notify import notify
from remediator.flows.reconcile import reconcile
from remediator.gateways.history import HistoryTable
from remediator.gateways.iam import IamGateway
from remediator.gateways.kms import KmsGateway
from remediator.gateways.queue import SweepQueue, WorkQueue
from remediator.gateways.s3 import S3Gateway
from remediator.gateways.topic import AlertsTopic
from remediator.gateways.world import World as GivenWorld
from remediator.settings import Settings
from tests.examples import ACCOUNT, BUCKET, ENROLLED, OWN_ROLE_ARN, a_cause, policy, settings
from tests.functional.faults import Moment, interfering

ROLE = "head-node"
NOW = datetime(2026, 3, 4, 10, 0, 20, tzinfo=UTC)
READS = ("Describe", "Get", "Head", "List", "Receive")
TABLE = "history"
PAUSE_PARAMETER = "/anyscale-remediator/writes"


@cache
def client(service: str, *, region: str | None = None, is_watched: bool = False) -> Any:
    """A client for all accounts in memory of this process, as making one takes longer than most of its calls.

    One that ``is_watched`` is for the gateways, any other for what the test itself does.
    """
    # Not boto3's own function, which a test may have replaced meanwhile.
    return _session().client(service, region_name=region)


@cache
def _session() -> boto3.Session:
    return boto3.Session()


class World:
    """An account in memory; ``calls`` are the operations that went through the clients of the gateways."""

    def __init__(self) -> None:
        self.iam = client("iam")
        self.s3 = client("s3")
        self.sqs = client("sqs")
        self.sns = client("sns")
        self.calls: list[str] = []
        self.pauses: list[float] = []
        self.settings: Settings = settings()
        self.paused = Pause()
        self.unconcluded: list[str] = []
        self.time = NOW
        self._ticks = count()
        self.dynamodb = client("dynamodb")
        create_history_table(self.dynamodb)
        self.ssm = client("ssm")
        self.ssm.put_parameter(Name=PAUSE_PARAMETER, Type="String", Value="running")
        self.s3.create_bucket(Bucket=BUCKET)
        self.topic_arn = self.sns.create_topic(Name="alerts")["TopicArn"]
        self._inbox = self.sqs.create_queue(QueueName="inbox")["QueueUrl"]
        inbox_arn = self.sqs.get_queue_attributes(QueueUrl=self._inbox, AttributeNames=["QueueArn"])["Attributes"]
        self.sns.subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=inbox_arn["QueueArn"])
        self.queue_url = self.sqs.create_queue(QueueName="work.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        self.sweep_url = self.sqs.create_queue(QueueName="sweep")["QueueUrl"]
        self.consumed_url = self.sqs.create_queue(QueueName="consumed")["QueueUrl"]
        self.roles = self._iam_gateway()
        self.keys = KmsGateway(lambda region: self._watched("kms", region))
        self.buckets = S3Gateway(self._s3_in, self.keys, self._s3_in)
        self.queue = WorkQueue(self._watched("sqs"), self.queue_url)
        self.topic = AlertsTopic(self._watched("sns"), self.topic_arn)

    @property
    def history(self) -> HistoryTable:
        """The gateway to the history, as the present configuration asks for."""
        return HistoryTable(self.dynamodb, TABLE, limit=self.settings.write_limit, keep_days=self.settings.history_days)

    def disturbed_history(self, **moments: Moment) -> HistoryTable:
        """The gateway to the history, with something that happens at these moments."""
        return interfering(self.history, **moments)

    def changes(self, role: str | None = ROLE) -> list[Change]:
        """The changes of a role, or of all, with their documents, oldest first."""
        listed = [self.history.read_change(change.change_id) for change in self.history.list_changes(role, most=1000)]
        return [change for change in reversed(listed) if change is not None]

    def tick(self) -> datetime:
        """The time; a little goes by with every look at the clock."""
        self.time += timedelta(milliseconds=1)
        return self.time

    def _note_unconcluded(self, change_id: str, error: AwsError) -> None:
        self.unconcluded.append(change_id)

    @cached_property
    def kms(self) -> Any:
        """A client of KMS, which few tests need."""
        return client("kms")

    def disturbed_roles(self, **moments: Moment) -> IamGateway:
        """The gateway to IAM, with something that happens at these moments."""
        return interfering(self._iam_gateway(), **moments)

    def disturbed_buckets(self, **moments: Moment) -> S3Gateway:
        """The gateway to S3, with something that happens at these moments."""
        return interfering(S3Gateway(self._s3_in, self.keys, self._s3_in), **moments)

    def _iam_gateway(self) -> IamGateway:
        iam = self._watched("iam")
        return IamGateway(iam, lambda: iam)

    def _s3_in(self, region: str) -> Any:
        return self._watched("s3", region)

    def _watched(self, service: str, region: str | None = None) -> Any:
        watched = client(service, region=region, is_watched=True)
        watched.meta.events.unregister("before-call", unique_id="calls")  # of the account before this one
        watched.meta.events.register("before-call", lambda model, **_: self.calls.append(model.name), "calls")
        return watched

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
        profile: bool = True,
    ) -> None:
        """Create a role, by default an enrolled one that is in an instance profile of its name."""
        self.iam.create_role(
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=json.dumps(policy(*trust)),
            Tags=[{"Key": key, "Value": value} for key, value in (ENROLLED if tags is None else tags).items()],
        )
        if profile:
            self.iam.create_instance_profile(InstanceProfileName=name, Path=path)
            self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)

    def delete_role(self, name: str = ROLE) -> None:
        """Delete a role with its inline policies and the instance profiles that hold it."""
        for policy_name in self.inline(name):
            self.iam.delete_role_policy(RoleName=name, PolicyName=policy_name)
        for profile in self.profiles(name):
            self.delete_profile(profile, name)
        self.iam.delete_role(RoleName=name)

    def delete_profile(self, name: str = ROLE, role: str = ROLE) -> None:
        """Delete an instance profile that holds a role."""
        self.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        self.iam.delete_instance_profile(InstanceProfileName=name)

    def put_bucket_policy(self, *statements: Mapping[str, object], bucket: str = BUCKET) -> None:
        """Write the policy of a bucket as somebody else would."""
        self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy(*statements)))

    def encrypt(self, key: str, *, bucket: str = BUCKET) -> None:
        """Have a bucket encrypt new objects with a key, which may be named in any way."""
        by_default: Any = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        self.s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": by_default}]},
        )

    def create_key(self, *statements: Mapping[str, object]) -> str:
        """Create a key, by default one that lets IAM decide, and give its ARN."""
        arn: str = self.kms.create_key(**({"Policy": json.dumps(policy(*statements))} if statements else {}))[
            "KeyMetadata"
        ]["Arn"]
        return arn

    def grant(self, *statements: Mapping[str, object], name: str = "granted", role: str = ROLE) -> None:
        """Write an inline policy as somebody else would."""
        self.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy(*statements)))

    def trust(self, role: str = ROLE) -> Any:
        """The statements of the trust policy, as they are now."""
        return self.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]

    def trusts_ec2(self, role: str = ROLE) -> bool:
        """Whether EC2 may assume the role, as it is now."""
        reading = self.roles.read_role(role)
        return isinstance(reading, Present) and evaluate_trust(reading.value).verdict is TrustVerdict.OK

    def inline(self, role: str = ROLE) -> dict[str, Any]:
        """All inline policies of the role, as they are now."""
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {
            name: self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in sorted(names)
        }

    def arn(self, role: str = ROLE) -> str:
        """The ARN of a role."""
        arn: str = self.iam.get_role(RoleName=role)["Role"]["Arn"]
        return arn

    def bucket_policy(self, bucket: str = BUCKET) -> Any:
        """The policy of a bucket, as it is now; None where it has none."""
        try:
            return json.loads(self.s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except self.s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchBucketPolicy"
            return None

    def named_in(self, bucket: str = BUCKET) -> list[str]:
        """The roles that our statement in the policy of a bucket names, by their names, as it is now."""
        ours = [each for each in self.bucket_policy(bucket)["Statement"] if each.get("Sid") == BUCKET_POLICY_SID]
        return [arn.rpartition("/")[2] for each in ours for arn in each["Principal"]["AWS"]]

    def profiles(self, role: str = ROLE) -> list[str]:
        """The names of the instance profiles that hold the role, as they are now."""
        listed = self.iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
        return [profile["InstanceProfileName"] for profile in listed]

    def reconcile(self, *causes: Cause, role: str = ROLE, **overrides: Any) -> Outcome:
        """Reconcile a role the way the function does, and close its changes, but tell nobody.

        ``overrides`` replace single collaborators.
        """
        outcome = self.reconcile_only(*causes, role=role, **overrides)
        for change_id in outcome.unreported:
            self.history.close(change_id)
        return outcome

    def reconcile_only(self, *causes: Cause, role: str = ROLE, **overrides: Any) -> Outcome:
        """Reconcile a role, and go no further: its changes are still open."""
        self.calls.clear()
        group = overrides.pop("group", self._group_of(role))
        return reconcile(role, causes or (a_cause(),), self.given(**overrides), group=group)

    def given(self, **overrides: Any) -> GivenWorld:
        """What the flows are given of this account; ``overrides`` replace single collaborators."""
        if "now" in overrides:
            now = overrides.pop("now")
            overrides["clock"] = lambda: now + timedelta(milliseconds=next(self._ticks))
        if "topic" in overrides:
            overrides["alerts"] = overrides.pop("topic")
        given: dict[str, Any] = {
            "account": ACCOUNT,
            "settings": self.settings,
            "clock": self.tick,
            "sleep": self.pauses.append,
            "own_role_arn": OWN_ROLE_ARN,
            "paused": self.paused,
            "on_unrecorded": self._note_unconcluded,
            "roles": self.roles,
            "buckets": self.buckets,
            "history": self.history,
            "work": self.queue,
            "sweeps": SweepQueue(self.sqs, self.sweep_url),
            "alerts": self.topic,
            **overrides,
        }
        return GivenWorld(**given)

    def look(self, *causes: Cause, role: str = ROLE, **overrides: Any) -> tuple[Outcome, AlertReason]:
        """Reconcile a role and tell people, the way the function does."""
        outcome = self.reconcile_only(*causes, role=role, **overrides)
        return outcome, self.deliver(outcome)

    def deliver(self, outcome: Outcome, **overrides: Any) -> AlertReason:
        """Tell people of an outcome, and remember it."""
        return notify(outcome, self.given(**{"clock": lambda: self.time, **overrides})).reason

    def _group_of(self, role: str) -> str | None:
        """The bucket of the request that the router would queue for a role."""
        try:
            tags = self.iam.list_role_tags(RoleName=role)["Tags"]
        except self.iam.exceptions.NoSuchEntityException:
            return None
        named = {tag["Key"]: tag["Value"] for tag in tags}.get(self.settings.enrollment_tag, "")
        cloud = self.settings.cloud(named)
        return None if cloud is None else self.settings.shared_bucket(cloud)

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that have arrived since the last look: JSON, attributes, and the subject that people read."""
        alerts = []
        while messages := self.sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self._inbox, ReceiptHandle=message["ReceiptHandle"])
                envelope = json.loads(message["Body"])
                attributes = {key: value["Value"] for key, value in envelope["MessageAttributes"].items()}
                record = envelope["Message"]
                subject = layout_of(parse_record(record)).subject
                alerts.append({"subject": subject, "attributes": attributes, **json.loads(record)})
        return alerts

    def queued(self) -> list[dict[str, Any]]:
        """The messages of the work queue, as a function receives them."""
        received = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=0
        )
        return [dict(message) for message in received.get("Messages", [])]


def create_history_table(dynamodb: Any) -> None:
    """The table of the history, with the keys that the stack gives it."""
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "listed", "at")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "Listing",
                "KeySchema": [
                    {"AttributeName": "listed", "KeyType": "HASH"},
                    {"AttributeName": "at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def understood(raw: Any) -> Any:
    """A document as the gateways read it."""
    reading = read_policy(raw)
    assert isinstance(reading, Present)
    return reading.value
