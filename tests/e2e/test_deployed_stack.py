"""The synthesised stack with its real zip, deployed to an embedded AWS that enforces IAM, reacting to real calls."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from demo.account import (
    ACCOUNT,
    BUCKET,
    BUCKET_ACCESS,
    BUCKET_POLICY_SID,
    CLOUD,
    EC2_TRUST,
    LAMBDA_TRUST,
    RESEARCH,
    RESEARCH_BUCKET,
    RESEARCH_PATH,
    RESEARCH_REGION,
    ROLE_PATH,
    SETTINGS,
    TAG,
    DemoAccount,
    wait_until,
)
from demo.deployment import deploy
from demo.embedded import Credentials, allow, policy_document
from demo.embedded_aws import REGION
from remediator.core.model.own_names import OWN_POLICY_NAME
from tests.e2e.roles import ENROL, create
from tests.e2e.trail import HearingQueue, unique

pytestmark = pytest.mark.embedded

OUTSIDE_TRUST = policy_document(allow("sts:AssumeRole", Principal={"AWS": "arn:aws:iam::525325868955:root"}))
ENROL_IN_RESEARCH = [{"Key": TAG, "Value": RESEARCH}]
DENIED = r"AccessDenied|not authorized"


def healthy(account: DemoAccount) -> str:
    """An enrolled role that needs nothing."""
    name = create(account, EC2_TRUST)
    account.settle()
    account.new_emails()
    return name


def test_a_role_without_trust_and_grant_is_repaired_when_it_is_tagged(account: DemoAccount) -> None:
    role = create(account, granted=False)
    wait_until(lambda: account.trusts_ec2(role) and account.is_granted(role), "The repair")
    assert account.trust(role)["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}
    account.settle()
    (letter,) = account.new_emails()
    assert letter.subject == f"Repaired: {role} ({CLOUD})"
    assert "user/alice" in letter.body


def test_a_role_created_with_its_tags_is_repaired(account: DemoAccount) -> None:
    role = unique("node")
    account.as_alice.create_role(
        RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST), Tags=ENROL
    )
    wait_until(lambda: account.trusts_ec2(role) and account.is_granted(role), "The repair")


def test_a_replaced_trust_policy_is_repaired(account: DemoAccount) -> None:
    role = healthy(account)
    account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    wait_until(lambda: account.trusts_ec2(role), "The repair")
    account.settle()
    (letter,) = account.new_emails()
    assert "terraform/apply-42" in letter.body


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
    assert account.new_emails() == []


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
    wait_until(account.has_new_emails, "The report")
    account.settle()
    assert all(f"{role} was refused" in letter.subject for letter in account.new_emails())
    assert account.trust(role) == trust
    assert account.inline(role) == {}


def test_a_role_without_the_tag_is_left_alone(account: DemoAccount) -> None:
    role = create(account, tags=None, granted=False)
    account.settle(1.5)
    assert account.trust(role) == LAMBDA_TRUST
    assert account.inline(role) == {}
    assert account.new_emails() == []


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
        assert sorted(writes()) == [
            "AddRoleToInstanceProfile",
            "CreateInstanceProfile",
            "PutRolePolicy",
            "UpdateAssumeRolePolicy",
        ]


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
    account.new_emails()
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
    assert account.new_emails() == []


def test_without_the_permission_to_write_the_repair_fails_and_the_alert_names_the_permission(
    account: DemoAccount,
) -> None:
    role = healthy(account)
    with without(account, "iam:UpdateAssumeRolePolicy", of="Reconciler"):
        account.as_alice.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
        # Told when the denial can no longer come from a tag that IAM does not know of yet.
        wait_until(account.has_new_emails, "The alert")
        account.settle()
        (letter,) = account.new_emails()
        assert letter.subject.startswith("FAILED: repair of ")
        assert "iam:UpdateAssumeRolePolicy failed with AccessDenied" in letter.body
        assert account.trust(role) == LAMBDA_TRUST


def test_without_the_tag_even_the_permission_to_write_does_not_hold(account: DemoAccount) -> None:
    role = create(account, tags=None)
    iam = account.aws.client("iam", session_of(account, "Reconciler"))
    for trust in (EC2_TRUST, OUTSIDE_TRUST):
        with pytest.raises(iam.exceptions.ClientError, match=DENIED):
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    account.iam.tag_role(RoleName=role, Tags=ENROL)
    account.settle()
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(EC2_TRUST))


def test_a_role_outside_the_patterns_cannot_be_written_even_if_it_is_tagged(account: DemoAccount) -> None:
    role = create(account, path="/", granted=False)
    account.settle()
    iam = account.aws.client("iam", session_of(account, "Reconciler"))
    with pytest.raises(iam.exceptions.ClientError, match=DENIED):
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


# --- managed policies and instance profiles ---


def test_a_new_default_version_of_a_managed_policy_and_a_boundary_are_looked_at_for_every_role(
    account: DemoAccount,
) -> None:
    other = json.dumps(policy_document(allow("s3:*", "arn:aws:s3:::elsewhere/*")))
    attached, bounded = create(account, EC2_TRUST, tags=None, granted=False), create(account, EC2_TRUST, tags=None)
    arn = account.as_alice.create_policy(PolicyName=unique("access"), PolicyDocument=json.dumps(BUCKET_ACCESS))[
        "Policy"
    ]["Arn"]
    account.create_instance_profile(attached)
    account.as_alice.attach_role_policy(RoleName=attached, PolicyArn=arn)
    account.as_alice.put_role_permissions_boundary(RoleName=bounded, PermissionsBoundary=arn)
    for role in (attached, bounded):
        account.as_alice.tag_role(RoleName=role, Tags=ENROL)
    account.settle()
    assert account.new_emails() == []
    account.as_alice.create_policy_version(PolicyArn=arn, PolicyDocument=other)
    account.settle()
    assert account.new_emails() == []

    account.as_alice.set_default_policy_version(PolicyArn=arn, VersionId="v2")

    wait_until(lambda: OWN_POLICY_NAME in account.inline(attached), "The repair")
    account.settle()
    subjects = {letter.subject for letter in account.new_emails()}
    assert subjects == {
        f"Repaired: {attached} ({CLOUD})",
        f"ACTION REQUIRED: {bounded} cannot use s3://{BUCKET} ({CLOUD})",
    }


def test_a_role_that_was_taken_out_of_its_instance_profile_is_put_back(account: DemoAccount) -> None:
    role = healthy(account)
    profile = account.instance_profile(role)
    account.as_alice.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)
    wait_until(lambda: account.instance_profile(role) == profile, "The repair")
    account.settle()
    (letter,) = account.new_emails()
    assert f'"Arn": "{profile}"' in letter.body


# --- grants in bucket policies, and another Region ---


def create_for_research(account: DemoAccount) -> str:
    """Create a role of the cloud that grants in bucket policies, with its tag; it lacks nothing but the bucket."""
    name = unique("trainer")
    account.as_alice.create_role(
        RoleName=name, Path=RESEARCH_PATH, AssumeRolePolicyDocument=json.dumps(EC2_TRUST), Tags=ENROL_IN_RESEARCH
    )
    return name


def named_in_research(account: DemoAccount, count: int) -> list[str]:
    """Roles of that cloud that are named in the bucket's policy, sorted; the account is at rest afterwards."""
    roles = sorted(create_for_research(account) for _ in range(count))
    wait_until(lambda: account.named_roles() == roles, "The grant")
    account.settle()
    account.new_emails()
    return roles


def statement_sids(account: DemoAccount) -> list[str]:
    return [statement["Sid"] for statement in account.bucket_policy()["Statement"]]


def test_roles_that_need_a_bucket_at_the_same_moment_are_all_named_in_one_statement_and_written_to_nowhere_else(
    account: DemoAccount,
) -> None:
    with ThreadPoolExecutor(max_workers=4) as together:
        roles = sorted(together.map(lambda _: create_for_research(account), range(4)))

    wait_until(lambda: account.named_roles() == roles, "The grant")

    account.settle()
    assert account.named_roles() == roles
    assert statement_sids(account) == [BUCKET_POLICY_SID]
    assert all(account.inline(role) == {} for role in roles)
    subjects = sorted(letter.subject for letter in account.new_emails())
    assert subjects == [f"Repaired: {role} ({RESEARCH})" for role in roles]


def test_a_deleted_bucket_policy_of_another_region_is_repaired_for_all_its_roles_together(account: DemoAccount) -> None:
    roles = named_in_research(account, 3)

    account.alice_research_s3.delete_bucket_policy(Bucket=RESEARCH_BUCKET)

    wait_until(lambda: account.named_roles() == roles, "The repair")
    account.settle()
    letters = account.new_emails()
    assert len(letters) == len(roles)
    assert all("DeleteBucketPolicy by" in letter.body and "user/alice" in letter.body for letter in letters)


def test_our_own_writes_to_a_bucket_policy_ask_for_no_sweep(account: DemoAccount) -> None:
    before = len(log_of(account, "Sweeper"))
    named_in_research(account, 1)
    account.settle()
    assert len(log_of(account, "Sweeper")) == before


def test_a_deleted_role_leaves_our_statement_with_the_next_sweep_and_is_never_named_again(account: DemoAccount) -> None:
    gone, kept = named_in_research(account, 2)
    account.as_alice.delete_role(RoleName=gone)
    account.settle()
    account.sweep_now()
    wait_until(lambda: account.named_roles() == [kept], "The repair")
    account.settle()
    assert account.named_roles() == [kept]


def test_somebody_elses_statement_for_a_role_that_exists_no_more_is_left_to_a_person(account: DemoAccount) -> None:
    gone = create(account, tags=None, granted=False)
    role = account.iam.get_role(RoleName=gone)["Role"]
    reading = allow("s3:GetObject", f"arn:aws:s3:::{RESEARCH_BUCKET}/*", Principal={"AWS": role["Arn"]})
    theirs = policy_document({"Sid": "Theirs", **reading})
    account.alice_research_s3.put_bucket_policy(Bucket=RESEARCH_BUCKET, Policy=json.dumps(theirs))
    account.settle()
    account.as_alice.delete_role(RoleName=gone)

    create_for_research(account)

    wait_until(account.has_new_emails, "The alert")
    account.settle()
    (letter,) = account.new_emails()
    assert letter.subject.startswith("ACTION REQUIRED: ")
    assert f"Statement `Theirs` of the bucket policy names {role['RoleId']}" in letter.body
    assert statement_sids(account) == ["Theirs"]


def test_an_event_that_the_forwarder_may_not_send_is_kept_where_the_rule_leaves_what_it_could_not_deliver(
    account: DemoAccount,
) -> None:
    (forwarder,) = (stack for name, stack in account.stacks.items() if "Forwarder" in name)
    sqs = account.aws.client("sqs", region=RESEARCH_REGION)
    stacks = account.aws.client("cloudformation", region=RESEARCH_REGION)
    (name,) = (name for name in account.stacks if "Forwarder" in name)
    resources = stacks.describe_stack_resources(StackName=name)["StackResources"]
    (role,) = (found["PhysicalResourceId"] for found in resources if found["ResourceType"] == "AWS::IAM::Role")
    deny = json.dumps(policy_document({"Effect": "Deny", "Action": "events:PutEvents", "Resource": "*"}))
    account.iam.put_role_policy(RoleName=role, PolicyName="Experiment", PolicyDocument=deny)
    try:
        account.alice_research_s3.delete_bucket_policy(Bucket=RESEARCH_BUCKET)

        def kept() -> Any:
            return sqs.receive_message(QueueUrl=forwarder["UndeliveredEventsUrl"]).get("Messages")

        wait_until(kept, "The event in the queue")
    finally:
        account.iam.delete_role_policy(RoleName=role, PolicyName="Experiment")


# --- who may what ---


@pytest.mark.parametrize("function", ["Router", "Sweeper"])
def test_those_who_only_look_can_write_to_nothing(account: DemoAccount, function: str) -> None:
    role, trainer = healthy(account), create_for_research(account)
    credentials = session_of(account, function)
    account.settle()
    iam = account.aws.client("iam", credentials)
    s3 = account.aws.client("s3", credentials, region=RESEARCH_REGION)
    trust, access = json.dumps(EC2_TRUST), json.dumps(BUCKET_ACCESS)
    writes: tuple[Callable[[], object], ...] = (
        lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust),
        lambda: iam.put_role_policy(RoleName=role, PolicyName=OWN_POLICY_NAME, PolicyDocument=access),
        lambda: iam.delete_role_policy(RoleName=role, PolicyName="access"),
        lambda: iam.create_instance_profile(InstanceProfileName=unique("node"), Path=ROLE_PATH),
        lambda: iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=trainer),
        lambda: s3.put_bucket_policy(Bucket=RESEARCH_BUCKET, Policy=json.dumps(account.bucket_policy())),
        lambda: s3.delete_bucket_policy(Bucket=RESEARCH_BUCKET),
    )
    for write in writes:
        with pytest.raises(ClientError, match=DENIED):
            write()


def test_the_writer_writes_only_where_the_configuration_asks_for_it(account: DemoAccount) -> None:
    create_for_research(account)
    outside = create(account, EC2_TRUST, path="/", tags=None, granted=False)
    account.settle()
    credentials = session_of(account, "Reconciler")
    iam, s3 = (account.aws.client(service, credentials) for service in ("iam", "s3"))
    research_s3 = account.aws.client("s3", credentials, region=RESEARCH_REGION)
    policy = json.dumps(account.bucket_policy())
    research_s3.put_bucket_policy(Bucket=RESEARCH_BUCKET, Policy=policy, ExpectedBucketOwner=ACCOUNT)
    name = unique("node")
    iam.create_instance_profile(InstanceProfileName=name, Path=ROLE_PATH)
    writes: tuple[Callable[[], object], ...] = (
        lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy.replace(RESEARCH_BUCKET, BUCKET)),
        lambda: s3.delete_bucket_policy(Bucket=BUCKET),
        lambda: iam.create_instance_profile(InstanceProfileName=name, Path=RESEARCH_PATH),
        lambda: iam.create_instance_profile(InstanceProfileName=name, Path="/"),
        lambda: iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=outside),
        lambda: iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=outside),
    )
    for write in writes:
        with pytest.raises(ClientError, match=DENIED):
            write()
    account.iam.delete_instance_profile(InstanceProfileName=name)


# --- the sweep ---


def unsettled(account: DemoAccount) -> int:
    """Of how many roles the history says that something is open."""
    listed = account.aws.client("dynamodb").query(
        TableName=account.outputs["HistoryTableName"],
        IndexName="Listing",
        KeyConditionExpression="listed = :unsettled",
        ExpressionAttributeValues={":unsettled": {"S": "unsettled"}},
        Select="COUNT",
    )
    return int(listed["Count"])


def test_the_sweep_finds_all_that_events_missed_and_nothing_else(account: DemoAccount) -> None:
    untouched, broken, trainer = healthy(account), healthy(account), named_in_research(account, 1)[0]
    create(account, tags=None)
    account.settle()
    account.sweep_now()
    wait_until(lambda: unsettled(account) == 0, "The end of what other tests have left open")
    account.settle()
    account.new_emails()
    with account.aws.lose_events():
        account.as_terraform.update_assume_role_policy(RoleName=broken, PolicyDocument=json.dumps(LAMBDA_TRUST))
        account.alice_research_s3.delete_bucket_policy(Bucket=RESEARCH_BUCKET)
    before = account.trust(untouched), account.inline(untouched)

    account.sweep_now()

    wait_until(lambda: account.trusts_ec2(broken) and account.named_roles() == [trainer], "The repair")
    account.settle()
    assert (account.trust(untouched), account.inline(untouched)) == before
    letters = account.new_emails()
    assert {letter.subject for letter in letters} == {
        f"Repaired: {broken} ({CLOUD})",
        f"Repaired: {trainer} ({RESEARCH})",
    }
    assert all("no event named a caller" in letter.body for letter in letters)
    told = last_sweep(account)
    counts = {key: told[key] for key in ("enrolled", "clean", "drifted", "refused", "unreadable", "queued", "missed")}
    assert counts == {
        "enrolled": 3, "clean": 1, "drifted": 2, "refused": 0, "unreadable": 0, "queued": 2, "missed": 2
    }  # fmt: skip


def test_a_deployment_that_changes_the_grant_side_moves_every_grant_at_once(
    account: DemoAccount, assembly: Path, tmp_path: Path
) -> None:
    roles = named_in_research(account, 2)
    clouds = SETTINGS["clouds"]
    moved = {**clouds[RESEARCH], "grant": "role-policy", "formerGrant": "bucket-policy"}
    deployed = account.settings
    account.redeploy(print, tmp_path / "moved", {**SETTINGS, "clouds": {**clouds, RESEARCH: moved}})
    try:
        # No event names these roles: it is the deployment that asks for a sweep.
        wait_until(lambda: all(OWN_POLICY_NAME in account.inline(role) for role in roles), "The grants in the roles")
        wait_until(lambda: account.bucket_policy() is None, "The end of our statement in the bucket's policy")
        account.settle()
        assert all(RESEARCH_BUCKET in json.dumps(account.inline(role)) for role in roles)
        # The sweep may tell of what earlier tests have left, too.
        subjects = {letter.subject for letter in account.new_emails()}
        assert {each for each in subjects if any(role in each for role in roles)} == {
            f"Repaired: {role} ({RESEARCH})" for role in roles
        }
    finally:
        deploy(account.aws, print, app=str(assembly / "cdk.out"), output=tmp_path / "back")
        account.settings = deployed


def session_of(account: DemoAccount, function: str) -> Credentials:
    """Credentials of a function's own role, as only Lambda gets them on AWS."""
    arn = role_arn_of(account, function)
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


def role_arn_of(account: DemoAccount, function: str) -> str:
    """The ARN of the execution role of ``Router``, ``Sweeper`` or ``Reconciler``."""
    name = account.outputs[f"{function}FunctionName"]
    arn: str = account.aws.client("lambda").get_function_configuration(FunctionName=name)["Role"]
    return arn


@contextmanager
def without(account: DemoAccount, action: str, *, of: str) -> Iterator[None]:
    """Take one action away from a function's role, and give it back."""
    name = role_arn_of(account, of).rpartition("/")[2]
    deny = json.dumps(policy_document({"Effect": "Deny", "Action": action, "Resource": "*"}))
    account.iam.put_role_policy(RoleName=name, PolicyName="Experiment", PolicyDocument=deny)
    try:
        yield
    finally:
        account.iam.delete_role_policy(RoleName=name, PolicyName="Experiment")


@contextmanager
def recorded_writes(account: DemoAccount) -> Iterator[Any]:
    """The names of the IAM calls that the reconciler makes meanwhile, as the event bus shows them."""
    rule, queue = unique("writes"), HearingQueue(account.aws, REGION)
    events = account.aws.client("events")
    issuer = {"sessionIssuer": {"arn": [account.outputs["ReconcilerRoleArn"]]}}
    pattern = {"source": ["aws.iam"], "detail": {"userIdentity": {"sessionContext": issuer}}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": queue.arn}])
    try:
        yield lambda: [event["detail"]["eventName"] for event in queue.look()]
    finally:
        events.remove_targets(Rule=rule, Ids=["queue"])
        events.delete_rule(Name=rule)


def in_flight(account: DemoAccount, queue: str) -> int:
    told = account.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    return int(told["ApproximateNumberOfMessagesNotVisible"])


def ignored(account: DemoAccount, why: str) -> int:
    """How many events the router has ignored for that reason, by its log."""
    return sum(f'"why":"{why}' in line for line in log_of(account, "Router"))


def received(account: DemoAccount) -> int:
    """How many events the router has been given so far, by its log."""
    return sum(line.count('"message_id"') for line in log_of(account, "Router"))


def log_of(account: DemoAccount, function: str) -> list[str]:
    """All lines that ``Router``, ``Sweeper`` or ``Reconciler`` has logged."""
    logs = account.aws.client("logs")
    name = account.outputs[f"{function}FunctionName"]
    configuration = account.aws.client("lambda").get_function_configuration(FunctionName=name)
    events = logs.filter_log_events(logGroupName=configuration["LoggingConfig"]["LogGroup"])["events"]
    return [event["message"] for event in events]


def last_sweep(account: DemoAccount) -> dict[str, Any]:
    """What the sweeper has logged of the sweep that ended last."""
    lines = [line for line in log_of(account, "Sweeper") if '"message":"sweep completed"' in line]
    told: dict[str, Any] = json.loads(lines[-1])
    return told
