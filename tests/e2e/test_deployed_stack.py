"""The synthesised stack with its real zip, deployed to an embedded AWS that enforces IAM, reacting to real calls."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demo.account import (
    ACCOUNT,
    BUCKET_ACCESS,
    CLOUD,
    EC2_TRUST,
    LAMBDA_TRUST,
    ROLE_PATH,
    TAG,
    DemoAccount,
    wait_until,
)
from demo.embedded import allow, policy_document
from remediator.core.grants import OWN_POLICY_NAME

pytestmark = pytest.mark.embedded

OUTSIDE_TRUST = policy_document(allow("sts:AssumeRole", Principal={"AWS": "arn:aws:iam::525325868955:root"}))
ENROL = [{"Key": TAG, "Value": CLOUD}]


def create(
    account: DemoAccount,
    trust: object = LAMBDA_TRUST,
    *,
    path: str = ROLE_PATH,
    tags: Any = ENROL,
    granted: bool = True,
) -> str:
    """Create a role with a name of its own, by default an enrolled one that lacks nothing but EC2's trust."""
    name = f"node-{uuid.uuid4().hex[:8]}"
    account.as_alice.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))
    if granted:
        account.as_alice.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=json.dumps(BUCKET_ACCESS))
    if tags:
        account.as_alice.tag_role(RoleName=name, Tags=tags)
    return name


def healthy(account: DemoAccount) -> str:
    """An enrolled role that needs nothing."""
    name = create(account, EC2_TRUST)
    account.settle()
    account.new_letters()
    return name


def test_a_role_without_trust_and_grant_is_repaired_when_it_is_tagged(account: DemoAccount) -> None:
    role = create(account, granted=False)
    wait_until(lambda: account.trusts_ec2(role) and account.is_granted(role), "The repair")
    assert account.trust(role)["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}
    account.settle()
    (letter,) = account.new_letters()
    assert letter.subject == f"Anyscale role {role}: repaired ({CLOUD})"
    assert "user/alice" in letter.body


def test_a_role_created_with_its_tags_is_repaired(account: DemoAccount) -> None:
    role = f"node-{uuid.uuid4().hex[:8]}"
    account.as_alice.create_role(
        RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST), Tags=ENROL
    )
    wait_until(lambda: account.trusts_ec2(role) and account.is_granted(role), "The repair")


def test_a_replaced_trust_policy_is_repaired(account: DemoAccount) -> None:
    role = healthy(account)
    account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    wait_until(lambda: account.trusts_ec2(role), "The repair")
    account.settle()
    (letter,) = account.new_letters()
    assert "assumed-role/terraform/apply-42" in letter.body


def test_a_deleted_inline_policy_is_repaired(account: DemoAccount) -> None:
    role = healthy(account)
    account.as_alice.delete_role_policy(RoleName=role, PolicyName="access")
    wait_until(lambda: OWN_POLICY_NAME in account.inline(role), "The repair")


def test_an_inline_policy_that_no_longer_names_the_bucket_is_repaired(account: DemoAccount) -> None:
    role = healthy(account)
    other = json.dumps(policy_document(allow("s3:*", "arn:aws:s3:::elsewhere/*")))
    account.as_alice.put_role_policy(RoleName=role, PolicyName="access", PolicyDocument=other)
    wait_until(lambda: OWN_POLICY_NAME in account.inline(role), "The repair")


def test_attaching_and_detaching_a_managed_policy_are_both_looked_at(account: DemoAccount) -> None:
    role = create(account, EC2_TRUST, tags=None, granted=False)
    name = f"access-{role}"
    arn = account.as_alice.create_policy(PolicyName=name, PolicyDocument=json.dumps(BUCKET_ACCESS))["Policy"]["Arn"]
    account.as_alice.attach_role_policy(RoleName=role, PolicyArn=arn)
    account.as_alice.tag_role(RoleName=role, Tags=ENROL)
    account.settle()
    assert account.inline(role) == {}
    account.as_alice.detach_role_policy(RoleName=role, PolicyArn=arn)
    wait_until(lambda: OWN_POLICY_NAME in account.inline(role), "The repair")


def test_untagging_ends_the_enrolment(account: DemoAccount) -> None:
    role = healthy(account)
    account.as_alice.untag_role(RoleName=role, TagKeys=[TAG])
    account.as_alice.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    account.settle()
    assert account.trust(role) == LAMBDA_TRUST
    assert account.new_letters() == []


@pytest.mark.parametrize(
    ("what", "path", "trust", "tags"),
    [
        ("a role outside the patterns", "/", LAMBDA_TRUST, ENROL),
        ("an unknown cloud", ROLE_PATH, LAMBDA_TRUST, [{"Key": TAG, "Value": "nowhere"}]),
        ("the control plane's role", ROLE_PATH, OUTSIDE_TRUST, ENROL),
    ],
)
def test_a_refused_role_is_reported_and_untouched(
    account: DemoAccount, what: str, path: str, trust: object, tags: Any
) -> None:
    role = create(account, trust, path=path, tags=tags, granted=False)
    wait_until(account.has_new_letters, "The report")
    account.settle()
    assert {letter.subject.split(": ")[1].split(" ")[0] for letter in account.new_letters()} == {"refused"}
    assert account.trust(role) == trust
    assert account.inline(role) == {}


def test_a_role_without_the_tag_is_left_alone(account: DemoAccount) -> None:
    role = create(account, tags=None, granted=False)
    account.settle(1.5)
    assert account.trust(role) == LAMBDA_TRUST
    assert account.inline(role) == {}
    assert account.new_letters() == []


def test_a_storm_of_changes_to_one_role_ends_in_a_repaired_role_with_one_statement_of_ours(
    account: DemoAccount,
) -> None:
    role = healthy(account)
    for number in range(8):
        trust = json.dumps(LAMBDA_TRUST).replace("Functions", f"S{number}")
        account.as_alice.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
    wait_until(lambda: account.trusts_ec2(role), "The repair")
    account.settle()
    statements = account.trust(role)["Statement"]
    assert [statement["Sid"] for statement in statements] == ["S7", "AnyscaleRemediatorEC2Trust"]


def test_our_own_writes_come_back_as_events_and_lead_to_no_further_write(account: DemoAccount) -> None:
    with recorded_writes(account) as writes:
        role = create(account, granted=False)
        wait_until(lambda: account.trusts_ec2(role) and account.is_granted(role), "The repair")
        account.settle(1.5)
        assert sorted(writes()) == ["PutRolePolicy", "UpdateAssumeRolePolicy"]


def test_an_event_that_was_not_published_by_aws_is_refused_by_the_bus(account: DemoAccount) -> None:
    entry = {"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": "{}"}
    answer = account.aws.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 1


def test_a_record_of_another_account_and_a_failed_call_reach_nobody(account: DemoAccount) -> None:
    role = create(account, tags=None, granted=False)
    account.settle()
    account.iam.tag_role(RoleName=role, Tags=ENROL)  # as root, whose record is the only one that counts
    wait_until(lambda: account.trusts_ec2(role), "The repair")
    account.settle()
    account.new_letters()
    before = received(account)
    detail = {
        "eventSource": "iam.amazonaws.com",
        "eventName": "TagRole",
        "eventID": str(uuid.uuid4()),
        "eventTime": "2026-03-04T10:00:00Z",
        "recipientAccountId": ACCOUNT,
        "requestParameters": None,
        "errorCode": "AccessDenied",
    }
    account.aws.publish("aws.iam", "AWS API Call via CloudTrail", detail)
    account.settle()
    assert received(account) == before
    of_another = {**detail, "recipientAccountId": "999999999999", "requestParameters": {"roleName": role}}
    del of_another["errorCode"]
    account.aws.publish("aws.iam", "AWS API Call via CloudTrail", of_another)
    account.settle()
    assert ignored(account, "it belongs to account 999999999999") == 1
    assert account.new_letters() == []


def test_without_the_permission_to_write_the_repair_fails_and_the_alert_names_the_permission(
    account: DemoAccount,
) -> None:
    role = healthy(account)
    with without(account, "iam:UpdateAssumeRolePolicy", of="Reconciler"):
        account.as_alice.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
        # Told when the denial can no longer come from a tag that IAM does not know of yet.
        wait_until(account.has_new_letters, "The alert", seconds=120)
        account.settle()
        (letter,) = account.new_letters()
        assert "repair failed" in letter.subject
        assert "iam:UpdateAssumeRolePolicy failed with AccessDenied" in letter.body
        assert account.trust(role) == LAMBDA_TRUST


def test_without_the_tag_even_the_permission_to_write_does_not_hold(account: DemoAccount) -> None:
    role = create(account, tags=None)
    credentials = reconciler_session(account)
    iam = account.aws.client("iam", credentials)
    for trust in (EC2_TRUST, OUTSIDE_TRUST):
        with pytest.raises(iam.exceptions.ClientError, match=r"AccessDenied|not authorized"):
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    account.iam.tag_role(RoleName=role, Tags=ENROL)
    account.settle()
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(EC2_TRUST))


def test_a_role_outside_the_patterns_cannot_be_written_even_if_it_is_tagged(account: DemoAccount) -> None:
    role = create(account, path="/", granted=False)
    account.settle()
    iam = account.aws.client("iam", reconciler_session(account))
    with pytest.raises(iam.exceptions.ClientError, match=r"AccessDenied|not authorized"):
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(EC2_TRUST))


def test_without_the_permission_to_read_roles_an_event_is_kept_and_answered_when_the_permission_is_back(
    account: DemoAccount,
) -> None:
    role = create(account, tags=None)
    account.settle()
    with without(account, "iam:GetRole", of="Router"):
        account.as_alice.tag_role(RoleName=role, Tags=ENROL)
        queue = account.outputs["IntakeQueueUrl"]
        # Two of them: the router cannot read its own role either, which has just lost the permission.
        wait_until(lambda: in_flight(account, queue) == 2, "The failed delivery")
        assert account.trust(role) == LAMBDA_TRUST
    wait_until(lambda: account.trusts_ec2(role), "The repair after redelivery")


def reconciler_session(account: DemoAccount) -> Any:
    """Credentials of the reconciler's own role, as only Lambda gets them on AWS."""
    arn = account.outputs["ReconcilerRoleArn"]
    name = arn.rpartition("/")[2]
    original = account.trust(name)
    extended = {
        **original,
        "Statement": [
            *original["Statement"],
            allow("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        ],
    }
    account.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(extended))
    try:
        return account.aws.assume(arn, "test")
    finally:
        account.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(original))


@contextmanager
def without(account: DemoAccount, action: str, *, of: str) -> Iterator[None]:
    """Take one action away from a function's role, and give it back."""
    roles = account.iam.get_paginator("list_roles").paginate()
    (name,) = [r["RoleName"] for page in roles for r in page["Roles"] if f"-{of}Role" in r["RoleName"]]
    deny = json.dumps(policy_document({"Effect": "Deny", "Action": action, "Resource": "*"}))
    account.iam.put_role_policy(RoleName=name, PolicyName="Experiment", PolicyDocument=deny)
    try:
        yield
    finally:
        account.iam.delete_role_policy(RoleName=name, PolicyName="Experiment")


@contextmanager
def recorded_writes(account: DemoAccount) -> Iterator[Any]:
    """The names of the IAM calls that the reconciler makes meanwhile, as the event bus shows them."""
    name = f"writes-{uuid.uuid4().hex[:8]}"
    events, sqs = account.aws.client("events"), account.aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    issuer = {"sessionIssuer": {"arn": [account.outputs["ReconcilerRoleArn"]]}}
    pattern = {"source": ["aws.iam"], "detail": {"userIdentity": {"sessionContext": issuer}}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    seen: list[str] = []

    def look() -> list[str]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            seen.extend(json.loads(message["Body"])["detail"]["eventName"] for message in messages)
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return seen

    try:
        yield look
    finally:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=url)


def in_flight(account: DemoAccount, queue: str) -> int:
    told = account.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    return int(told["ApproximateNumberOfMessagesNotVisible"])


def ignored(account: DemoAccount, why: str) -> int:
    """How many events the router has ignored for that reason, by its log."""
    return sum(f'"why":"{why}' in line for line in router_log(account))


def received(account: DemoAccount) -> int:
    """How many events the router has been given so far, by its log."""
    return sum(line.count('"message_id"') for line in router_log(account))


def router_log(account: DemoAccount) -> list[str]:
    """All lines that the router has logged."""
    logs = account.aws.client("logs")
    name = account.outputs["RouterFunctionName"]
    configuration = account.aws.client("lambda").get_function_configuration(FunctionName=name)
    events = logs.filter_log_events(logGroupName=configuration["LoggingConfig"]["LogGroup"])["events"]
    return [event["message"] for event in events]
