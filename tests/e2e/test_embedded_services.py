"""Where ministack and AWS differ, the embedded AWS does as AWS does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from demo.embedded import Credentials, EmbeddedAws, allow, policy_document
from demo.embedded_aws import ACCOUNT, REGION
from tests.e2e.functions import make_function
from tests.e2e.trail import HearingQueue, Trail, eventually, unique

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

pytestmark = pytest.mark.embedded

ELSEWHERE = "us-west-2"
NOTHING = policy_document(allow("s3:ListBucket", "arn:aws:s3:::nothing"))


def trusts(service: str, condition: Any = None) -> str:
    allowed = allow("sts:AssumeRole", Principal={"Service": service})
    return json.dumps(policy_document({**allowed, "Condition": condition} if condition else allowed))


def make_role(
    aws: EmbeddedAws, service: str, *statements: Mapping[str, object], path: str = "/", condition: Any = None
) -> tuple[str, str]:
    """Create a role that a service may assume and that may do what the statements say; returns its name and its ARN."""
    iam: IAMClient = aws.client("iam")
    name = unique("role")
    trust = trusts(service, condition)
    arn = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if statements:
        policy = json.dumps(policy_document(*statements))
        iam.put_role_policy(RoleName=name, PolicyName="Work", PolicyDocument=policy)
    return name, arn


@contextmanager
def denied(naming: str = "") -> Iterator[None]:
    """What is done within is denied, with an error that names something."""
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized") as told:
        yield
    assert naming in str(told.value)


# --- EventBridge ---


class Forwarding:
    """A rule on the default bus of another Region that sends to a bus of the home region, and what arrives there."""

    def __init__(self, aws: EmbeddedAws, role: str, **target: Any) -> None:
        there: EventBridgeClient = aws.client("events", region=ELSEWHERE)
        here: EventBridgeClient = aws.client("events")
        self._aws = aws
        self.source = unique("source")
        self.arrived = HearingQueue(aws, REGION)
        self.undelivered = HearingQueue(aws, ELSEWHERE)
        bus, rule = unique("bus"), unique("rule")
        arn = here.create_event_bus(Name=bus)["EventBusArn"]
        pattern = json.dumps({"source": [f"aws.{self.source}"]})
        here.put_rule(Name=rule, EventBusName=bus, EventPattern=pattern)
        here.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "queue", "Arn": self.arrived.arn}])
        there.put_rule(Name=rule, EventPattern=pattern)
        sending: Any = {"Id": "bus", "Arn": arn, "RoleArn": role, "DeadLetterConfig": {"Arn": self.undelivered.arn}}
        there.put_targets(Rule=rule, Targets=[sending | target])

    def send(self) -> None:
        """Put an event on the other Region's default bus."""
        self._aws.publish(f"aws.{self.source}", "Something", {"told": self.source}, region=ELSEWHERE)


FORWARDS = allow("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/*")


def test_an_event_arrives_on_a_bus_of_another_region_as_it_was_sent(embedded_aws: EmbeddedAws) -> None:
    rules = f"arn:aws:events:{ELSEWHERE}:{ACCOUNT}:rule/rule-*"
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": rules}}
    _, role = make_role(embedded_aws, "events.amazonaws.com", FORWARDS, condition=condition)
    forwarding = Forwarding(embedded_aws, role)

    forwarding.send()

    (event,) = eventually(forwarding.arrived.look, "the event in the home region")
    assert (event["source"], event["account"], event["region"]) == (f"aws.{forwarding.source}", ACCOUNT, ELSEWHERE)
    assert event["detail"] == {"told": forwarding.source}
    assert forwarding.undelivered.look() == []


@pytest.mark.parametrize(
    ("statements", "condition"),
    [
        pytest.param((), None, id="a role that may not send"),
        pytest.param((FORWARDS,), {"StringEquals": {"aws:SourceAccount": "999999999999"}}, id="a role for others"),
        pytest.param((allow("events:PutEvents", "arn:aws:events:*:*:event-bus/x"),), None, id="a role for another bus"),
    ],
)
def test_an_event_that_may_not_be_sent_is_left_in_the_dead_letter_queue(
    embedded_aws: EmbeddedAws, statements: tuple[Mapping[str, object], ...], condition: Any
) -> None:
    _, role = make_role(embedded_aws, "events.amazonaws.com", *statements, condition=condition)
    forwarding = Forwarding(embedded_aws, role)

    forwarding.send()

    (event,) = eventually(forwarding.undelivered.look, "the event in the dead-letter queue")
    assert (event["region"], event["detail"]) == (ELSEWHERE, {"told": forwarding.source})
    assert forwarding.arrived.look() == []


def test_a_bus_that_does_not_exist_gets_nothing_and_the_dead_letter_queue_everything(
    embedded_aws: EmbeddedAws,
) -> None:
    _, role = make_role(embedded_aws, "events.amazonaws.com", FORWARDS)
    forwarding = Forwarding(embedded_aws, role, Arn=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/gone")

    forwarding.send()

    assert eventually(forwarding.undelivered.look, "the event in the dead-letter queue")


@pytest.mark.parametrize("admits", [None, "sns.amazonaws.com"])
def test_a_queue_gets_events_only_if_its_policy_admits_eventbridge(
    embedded_aws: EmbeddedAws, admits: str | None
) -> None:
    events: EventBridgeClient = embedded_aws.client("events")
    closed, dead_letters = HearingQueue(embedded_aws, REGION, admits=admits), HearingQueue(embedded_aws, REGION)
    rule, source = unique("rule"), unique("source")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    target: Any = {"Id": "queue", "Arn": closed.arn, "DeadLetterConfig": {"Arn": dead_letters.arn}}
    events.put_targets(Rule=rule, Targets=[target])

    events.put_events(Entries=[{"Source": source, "DetailType": "Something", "Detail": "{}"}])

    assert [event["source"] for event in eventually(dead_letters.look, "the event")] == [source]
    assert closed.look() == []


def test_the_events_of_calls_can_be_lost(embedded_aws: EmbeddedAws) -> None:
    trail = Trail(embedded_aws, REGION)
    iam: IAMClient = embedded_aws.client("iam")
    role, _ = make_role(embedded_aws, "ec2.amazonaws.com")

    with embedded_aws.lose_events():
        iam.tag_role(RoleName=role, Tags=[{"Key": "lost", "Value": "1"}])
    iam.untag_role(RoleName=role, TagKeys=["lost"])

    trail.event("UntagRole", requestParameters={"roleName": role, "tagKeys": ["lost"]})
    assert "TagRole" not in [event["detail"]["eventName"] for event in trail.events]


def test_the_events_of_calls_can_be_delayed_and_are_pending_until_then(embedded_aws: EmbeddedAws) -> None:
    trail = Trail(embedded_aws, REGION)
    iam: IAMClient = embedded_aws.client("iam")

    with embedded_aws.delay_events():
        role, _ = make_role(embedded_aws, "ec2.amazonaws.com")
        iam.tag_role(RoleName=role, Tags=[{"Key": "late", "Value": "1"}])
        assert embedded_aws.pending_events() == 2
        assert trail.events == []

    trail.event("TagRole", requestParameters={"roleName": role, "tags": [{"key": "late", "value": "1"}]})
    assert [event["detail"]["eventName"] for event in trail.events] == ["CreateRole", "TagRole"]
    eventually(lambda: embedded_aws.pending_events() == 0, "the last event")


# --- EventBridge Scheduler ---


def schedule(aws: EmbeddedAws, queue: str, role: str, **target: Any) -> str:
    """A schedule that sends the time to a queue every hour; returns its name."""
    name = unique("schedule")
    aws.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": queue,
            "RoleArn": role,
            "Input": json.dumps({"time": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"}),
            **target,
        },
    )
    return name


def test_a_schedule_with_a_rate_begins_at_once_and_fills_in_its_placeholders(embedded_aws: EmbeddedAws) -> None:
    queue = HearingQueue(embedded_aws, REGION, admits=None)  # the schedule's role is enough
    group = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/default"
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": group}}
    sends = allow("sqs:SendMessage", queue.arn)
    _, role = make_role(embedded_aws, "scheduler.amazonaws.com", sends, condition=condition)

    name = schedule(embedded_aws, queue.arn, role)

    told = eventually(queue.look, "the first message")
    time.sleep(2.5)  # longer than it takes to look at the schedules twice
    assert queue.look() == told
    (message,) = told
    assert message["by"] == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", message["time"])


def test_a_schedule_may_do_what_its_role_may_do(embedded_aws: EmbeddedAws) -> None:
    queue, dead_letters = HearingQueue(embedded_aws, REGION), HearingQueue(embedded_aws, REGION, admits=None)
    sends_elsewhere = allow("sqs:SendMessage", dead_letters.arn)
    _, role = make_role(embedded_aws, "scheduler.amazonaws.com", sends_elsewhere)

    schedule(embedded_aws, queue.arn, role, DeadLetterConfig={"Arn": dead_letters.arn})

    (message,) = eventually(dead_letters.look, "the message in the dead-letter queue")
    assert message.keys() == {"time", "by"}
    assert queue.look() == []


# --- CloudFormation ---


def test_the_status_changes_of_a_stack_are_told_on_the_bus_of_its_region(embedded_aws: EmbeddedAws) -> None:
    trail = Trail(embedded_aws, ELSEWHERE, ["aws.cloudformation"])
    cloudformation = embedded_aws.client("cloudformation", region=ELSEWHERE)

    def template(description: str) -> str:
        properties = {"Name": unique("bus"), "Description": description}
        return json.dumps({"Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": properties}}})

    def told() -> list[str]:
        return [
            event["detail"]["status-details"]["status"]
            for event in trail.events
            if event["detail"]["stack-id"] == stack and event["resources"] == [stack]
        ]

    name = unique("stack")
    stack = cloudformation.create_stack(StackName=name, TemplateBody=template("first"))["StackId"]
    eventually(lambda: "CREATE_COMPLETE" in told(), "the end of the creation")
    cloudformation.update_stack(StackName=name, TemplateBody=template("second"))
    eventually(lambda: "UPDATE_COMPLETE" in told(), "the end of the update")

    statuses = [status for status in told() if not status.startswith("UPDATE_COMPLETE_")]
    assert statuses == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]
    event = trail.events[0]
    assert (event["region"], event["detail-type"]) == (ELSEWHERE, "CloudFormation Stack Status Change")


def test_the_policy_of_a_bus_in_a_template_is_kept(embedded_aws: EmbeddedAws) -> None:
    cloudformation, events = embedded_aws.client("cloudformation"), embedded_aws.client("events")
    name = unique("bus")
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"
    policy = policy_document(allow("events:PutEvents", arn, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
    properties = {"Name": name, "Policy": policy}
    template = {"Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": properties}}}
    cloudformation.create_stack(StackName=unique("stack"), TemplateBody=json.dumps(template))

    def kept() -> str | None:
        buses = events.list_event_buses(NamePrefix=name)["EventBuses"]
        return buses[0].get("Policy") if buses else None

    assert json.loads(eventually(kept, "the policy") or "") == policy


# --- Systems Manager ---


def test_what_happens_to_a_parameter_is_told_on_the_bus_of_its_region(embedded_aws: EmbeddedAws) -> None:
    trail = Trail(embedded_aws, ELSEWHERE, ["aws.ssm"])
    parameters = embedded_aws.client("ssm", region=ELSEWHERE)
    name = f"/{unique('parameter')}"
    parameters.put_parameter(Name=name, Value="first", Type="String", Description="What it is for")
    parameters.put_parameter(Name=name, Value="second", Overwrite=True)
    parameters.get_parameter(Name=name)
    with pytest.raises(ClientError, match="ParameterAlreadyExists"):
        parameters.put_parameter(Name=name, Value="third", Type="String")
    parameters.delete_parameter(Name=name)

    trail.first(lambda event: bool(event["detail"]["operation"] == "Delete"), "the end of the parameter")
    assert [event["detail"]["operation"] for event in trail.events] == ["Create", "Update", "Delete"]
    event = trail.events[0]
    assert (event["region"], event["detail-type"]) == (ELSEWHERE, "Parameter Store Change")
    assert event["resources"] == [f"arn:aws:ssm:{ELSEWHERE}:{ACCOUNT}:parameter{name}"]
    assert event["detail"] == {
        "operation": "Create",
        "name": name,
        "type": "String",
        "description": "What it is for",
    }


# --- CloudWatch ---


COUNTING = """
import json, time

def handler(event, context):
    metric = {"Namespace": "Testing", "Dimensions": [["service"]], "Metrics": [{"Name": "Seen", "Unit": "Count"}]}
    at = int(time.time() * 1000)
    print(json.dumps({"_aws": {"Timestamp": at, "CloudWatchMetrics": [metric]}, "service": event, "Seen": [1.0, 2.0]}))
    print(json.dumps({"Seen": 5}))
"""


def test_what_a_function_counts_in_its_log_can_be_read_as_a_metric(embedded_aws: EmbeddedAws) -> None:
    functions, metrics = embedded_aws.client("lambda"), embedded_aws.client("cloudwatch")
    service = unique("service")
    functions.invoke(FunctionName=make_function(embedded_aws, COUNTING), Payload=json.dumps(service))

    def counted() -> list[Any]:
        now = datetime.now(UTC)
        answer = metrics.get_metric_statistics(
            Namespace="Testing",
            MetricName="Seen",
            Dimensions=[{"Name": "service", "Value": service}],
            StartTime=now - timedelta(minutes=10),
            EndTime=now,
            Period=3600,
            Statistics=["Sum", "SampleCount"],
        )
        points: list[Any] = answer["Datapoints"]
        return points

    assert sum(point["Sum"] for point in eventually(counted, "the metric")) == 3


# --- IAM ---


def test_the_default_version_of_a_managed_policy_can_be_set(embedded_aws: EmbeddedAws) -> None:
    iam: IAMClient = embedded_aws.client("iam")
    everything = policy_document(allow("s3:*", "*"))
    arn = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=json.dumps(NOTHING))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(everything))

    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")

    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert {version["VersionId"]: version["IsDefaultVersion"] for version in versions} == {"v1": False, "v2": True}
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.set_default_policy_version(PolicyArn=arn, VersionId="v9")


def test_the_roles_that_a_managed_policy_is_attached_to_or_bounds_are_listed(embedded_aws: EmbeddedAws) -> None:
    iam: IAMClient = embedded_aws.client("iam")
    arn = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=json.dumps(NOTHING))["Policy"]["Arn"]
    attached, bounded, _ = (make_role(embedded_aws, "ec2.amazonaws.com")[0] for _ in range(3))
    iam.attach_role_policy(RoleName=attached, PolicyArn=arn)
    iam.put_role_permissions_boundary(RoleName=bounded, PermissionsBoundary=arn)

    found = iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="Role")["PolicyRoles"]

    assert {role["RoleName"] for role in found} == {attached, bounded}


def test_the_details_of_all_roles_are_told_page_by_page(embedded_aws: EmbeddedAws) -> None:
    iam: IAMClient = embedded_aws.client("iam")
    role, arn = make_role(embedded_aws, "ec2.amazonaws.com", allow("s3:*", "*"), path="/anyscale/")
    policy = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=json.dumps(NOTHING))["Policy"]
    iam.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=policy["Arn"])
    iam.tag_role(RoleName=role, Tags=[{"Key": "team", "Value": "ml"}])
    iam.create_instance_profile(InstanceProfileName=role, Path="/anyscale/")
    iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)

    pages: list[Any] = []
    marker: dict[str, str] = {}
    while True:
        page = iam.get_account_authorization_details(Filter=["Role"], MaxItems=2, **marker)
        pages.append(page)
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}

    assert all(len(page["RoleDetailList"]) == 2 for page in pages[:-1])
    assert all(not page["UserDetailList"] and not page["Policies"] for page in pages)
    listed = [detail for page in pages for detail in page["RoleDetailList"]]
    roles = [known for page in iam.get_paginator("list_roles").paginate() for known in page["Roles"]]
    assert sorted(detail["RoleName"] for detail in listed) == sorted(known["RoleName"] for known in roles)
    (detail,) = (detail for detail in listed if detail["RoleName"] == role)
    known = iam.get_role(RoleName=role)["Role"]
    for field in ("Arn", "Path", "RoleId", "CreateDate", "AssumeRolePolicyDocument"):
        assert detail[field] == known[field]
    assert detail["Arn"] == arn
    assert detail["Tags"] == [{"Key": "team", "Value": "ml"}]
    assert [inline["PolicyName"] for inline in detail["RolePolicyList"]] == ["Work"]
    assert detail["RolePolicyList"][0]["PolicyDocument"] == policy_document(allow("s3:*", "*"))
    attached = {"PolicyName": policy["PolicyName"], "PolicyArn": policy["Arn"]}
    assert detail["AttachedManagedPolicies"] == [attached]
    assert detail["PermissionsBoundary"]["PermissionsBoundaryArn"] == policy["Arn"]
    (profile,) = detail["InstanceProfileList"]
    assert profile["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/anyscale/{role}"
    assert [inside["RoleName"] for inside in profile["Roles"]] == [role]


def test_a_page_of_the_details_is_of_a_possible_size(embedded_aws: EmbeddedAws) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        embedded_aws.client("iam").get_account_authorization_details(MaxItems=1001)


def test_instance_profiles_are_authorised_by_their_paths_and_their_roles_must_be_passed(
    embedded_aws: EmbeddedAws,
) -> None:
    inside, role_inside = (f"arn:aws:iam::{ACCOUNT}:{kind}/anyscale/*" for kind in ("instance-profile", "role"))
    writing = ("iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile")
    passing = allow(
        "iam:PassRole", role_inside, Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    )
    reading = allow(("iam:GetInstanceProfile", "iam:ListInstanceProfilesForRole"), (inside, role_inside))
    bob: IAMClient = embedded_aws.client(
        "iam", embedded_aws.user(unique("bob"), policy_document(allow(writing, inside), passing, reading))
    )
    role, _ = make_role(embedded_aws, "ec2.amazonaws.com", path="/anyscale/production/")
    other, other_arn = make_role(embedded_aws, "ec2.amazonaws.com")

    bob.create_instance_profile(InstanceProfileName=role, Path="/anyscale/production/")
    bob.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)

    (profile,) = bob.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
    assert profile["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/anyscale/production/{role}"
    assert bob.get_instance_profile(InstanceProfileName=role)["InstanceProfile"]["Arn"] == profile["Arn"]
    with denied("iam:CreateInstanceProfile"):
        bob.create_instance_profile(InstanceProfileName=other, Path="/")
    with denied("iam:ListInstanceProfilesForRole"):
        bob.list_instance_profiles_for_role(RoleName=other)
    bob.create_instance_profile(InstanceProfileName=other, Path="/anyscale/")
    with denied(f"iam:PassRole on resource: {other_arn}"):
        bob.add_role_to_instance_profile(InstanceProfileName=other, RoleName=other)


# --- S3 ---


@pytest.fixture
def bucket(embedded_aws: EmbeddedAws) -> str:
    """The name of a bucket in another Region."""
    s3: S3Client = embedded_aws.client("s3", region=ELSEWHERE)
    name = unique("bucket")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return name


@pytest.fixture
def s3(embedded_aws: EmbeddedAws) -> S3Client:
    client: S3Client = embedded_aws.client("s3", region=ELSEWHERE)
    return client


def bucket_policy(bucket: str, *principals: str) -> str:
    named = {"AWS": list(principals)}
    return json.dumps(policy_document(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal=named)))


def test_a_bucket_is_configured_only_by_those_whom_a_policy_allows_it_on_buckets_of_the_account(
    embedded_aws: EmbeddedAws, bucket: str
) -> None:
    def of(account: str) -> S3Client:
        calls = ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:GetEncryptionConfiguration")
        owned = {"StringEquals": {"aws:ResourceAccount": account}}
        user = embedded_aws.user(
            unique("bob"), policy_document(allow(calls, f"arn:aws:s3:::{bucket}", Condition=owned))
        )
        client: S3Client = embedded_aws.client("s3", user, region=ELSEWHERE)
        return client

    bob, stranger = of(ACCOUNT), of("999999999999")
    policy = bucket_policy(bucket, f"arn:aws:iam::{ACCOUNT}:root")

    bob.put_bucket_policy(Bucket=bucket, Policy=policy, ExpectedBucketOwner=ACCOUNT)

    assert bob.get_bucket_policy(Bucket=bucket, ExpectedBucketOwner=ACCOUNT)["Policy"]
    assert bob.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    with denied("s3:GetBucketPublicAccessBlock"):
        bob.get_public_access_block(Bucket=bucket)
    with denied("s3:PutBucketPolicy"):
        stranger.put_bucket_policy(Bucket=bucket, Policy=policy)
    with denied("s3:DeleteBucketPolicy"):
        stranger.delete_bucket_policy(Bucket=bucket)
    bob.delete_bucket_policy(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        bob.get_bucket_policy(Bucket=bucket)


def test_a_bucket_of_another_owner_than_expected_is_neither_read_nor_written(s3: S3Client, bucket: str) -> None:
    other = "999999999999"
    with denied():
        s3.get_bucket_encryption(Bucket=bucket, ExpectedBucketOwner=other)
    with denied():
        s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, "*"), ExpectedBucketOwner=other)
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=bucket)


def test_the_encryption_of_a_bucket_is_told_as_it_was_put(s3: S3Client, bucket: str) -> None:
    key = f"arn:aws:kms:{ELSEWHERE}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    default: Any = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}

    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)

    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == rules


def test_a_bucket_policy_names_only_roles_that_exist_and_gives_them_back_in_any_order(
    embedded_aws: EmbeddedAws, s3: S3Client, bucket: str
) -> None:
    (_, first), (_, second) = (make_role(embedded_aws, "ec2.amazonaws.com", path="/anyscale/") for _ in range(2))
    unknown = f"arn:aws:iam::{ACCOUNT}:role/anyscale/unknown"
    s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, *sorted((first, second))))

    for wrong in (unknown, first.replace("/anyscale/", "/"), "AROAGONEGONEGONEGONE1"):
        with pytest.raises(ClientError, match=r"MalformedPolicy.*Invalid principal in policy"):
            s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, first, wrong))

    assert principals(s3, bucket) == sorted((first, second), reverse=True)
    s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, first))
    assert principals(s3, bucket) == first


def test_a_deleted_role_leaves_its_id_in_a_bucket_policy_which_a_new_one_of_its_name_does_not_have(
    embedded_aws: EmbeddedAws, s3: S3Client, bucket: str
) -> None:
    iam: IAMClient = embedded_aws.client("iam")
    role, arn = make_role(embedded_aws, "ec2.amazonaws.com")
    role_id = iam.get_role(RoleName=role)["Role"]["RoleId"]
    s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, arn))

    iam.delete_role(RoleName=role)

    assert principals(s3, bucket) == role_id
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=trusts("ec2.amazonaws.com"))
    assert principals(s3, bucket) == role_id
    with pytest.raises(ClientError, match="MalformedPolicy"):
        s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, role_id))


def principals(s3: S3Client, bucket: str) -> object:
    """Whom the one statement of a bucket's policy names."""
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    return statement["Principal"]["AWS"]


def test_the_public_access_block_of_the_account_keeps_public_policies_out_of_every_bucket(
    embedded_aws: EmbeddedAws, s3: S3Client, bucket: str
) -> None:
    control = embedded_aws.client("s3control")
    bob = embedded_aws.client("s3control", embedded_aws.user(unique("bob"), NOTHING))
    s3.delete_public_access_block(Bucket=bucket)
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy"), True)
    with pytest.raises(ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        control.get_public_access_block(AccountId=ACCOUNT)

    control.put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=block)
    try:
        assert control.get_public_access_block(AccountId=ACCOUNT)["PublicAccessBlockConfiguration"] == block
        with denied("s3:PutAccountPublicAccessBlock"):
            bob.delete_public_access_block(AccountId=ACCOUNT)
        with denied("public policies are prevented"):
            s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, "*"))
    finally:
        control.delete_public_access_block(AccountId=ACCOUNT)
    s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, "*"))


# --- KMS ---


def test_a_key_needs_both_its_own_policy_and_one_of_the_caller(embedded_aws: EmbeddedAws) -> None:
    def client(credentials: Credentials) -> KMSClient:
        made: KMSClient = embedded_aws.client("kms", credentials, region=ELSEWHERE)
        return made

    kms: KMSClient = embedded_aws.client("kms", region=ELSEWHERE)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    reading = policy_document(allow(("kms:DescribeKey", "kms:GetKeyPolicy"), key))
    bob, stranger = client(embedded_aws.user(unique("bob"), reading)), client(embedded_aws.user(unique("eve"), NOTHING))

    assert bob.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    delegating = json.loads(bob.get_key_policy(KeyId=key)["Policy"])
    assert delegating["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    with denied("kms:DescribeKey"):
        stranger.describe_key(KeyId=key)
    with denied("kms:DisableKey"):
        bob.disable_key(KeyId=key)
    kms.disable_key(KeyId=key)
    assert bob.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    _, other = make_role(embedded_aws, "ec2.amazonaws.com")
    closed = policy_document(allow("kms:*", "*", Principal={"AWS": other}))
    kms.put_key_policy(KeyId=key, Policy=json.dumps(closed))
    with denied("kms:DescribeKey"):
        bob.describe_key(KeyId=key)


# --- Lambda's batches ---


def test_a_function_is_given_all_messages_of_a_standard_queue_that_come_within_the_window(
    embedded_aws: EmbeddedAws,
) -> None:
    sqs: SQSClient = embedded_aws.client("sqs")
    done = HearingQueue(embedded_aws, REGION, admits=None)
    work = HearingQueue(embedded_aws, REGION, admits=None)
    sqs.set_queue_attributes(QueueUrl=work.url, Attributes={"VisibilityTimeout": "60"})
    code = (
        "import boto3, json, os\n"
        "def handler(event, context):\n"
        "    boto3.client('sqs').send_message(QueueUrl=os.environ['DONE'], MessageBody=str(len(event['Records'])))\n"
    )
    may = allow("sqs:SendMessage", done.arn), allow(("sqs:ReceiveMessage", "sqs:DeleteMessage"), work.arn)
    function = make_function(embedded_aws, code, environment={"DONE": done.url}, statements=may)
    embedded_aws.client("lambda").create_event_source_mapping(
        FunctionName=function, EventSourceArn=work.arn, BatchSize=1000, MaximumBatchingWindowInSeconds=2
    )
    started = time.monotonic()

    for _ in range(3):
        entries = [{"Id": str(number), "MessageBody": "{}"} for number in range(10)]
        sqs.send_message_batch(QueueUrl=work.url, Entries=entries)  # type: ignore[arg-type] # plain dictionaries

    assert eventually(done.look, "the batch") == [30]
    assert time.monotonic() - started >= 2
