"""Every call that is watched, made for real: the embedded AWS records it as the parser of events expects it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from demo.embedded import EmbeddedAws, allow, policy_document
from demo.embedded_aws import ACCOUNT, REGION
from remediator.core.events.event import (
    Ignored,
    RoleTrigger,
    SharedTrigger,
    Trigger,
    parse_event,
)
from remediator.core.events.watched import IAM, WATCHED_CALLS, Concern, WatchedCall
from tests.e2e.trail import Trail, unique

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.embedded

ELSEWHERE = "us-west-2"
TRUST = json.dumps(policy_document(allow("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})))
NOTHING = json.dumps(policy_document(allow("s3:ListBucket", "arn:aws:s3:::nothing")))
BLOCK: Any = {"BlockPublicPolicy": False}
OWNER_ENFORCED: Any = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
ENCRYPTED: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


@dataclass(frozen=True)
class Clients:
    """Clients of the home region for IAM, of another one for the rest."""

    iam: IAMClient
    s3: S3Client
    control: Any
    kms: KMSClient


@dataclass(frozen=True)
class Place(Clients):
    """Things that are there to be changed, and ``new``, a name that nothing has."""

    role: str
    profile: str
    policy: str
    bucket: str
    key: str
    new: str


@pytest.fixture(scope="module")
def trails(embedded_aws: EmbeddedAws) -> Mapping[str, Trail]:
    return {region: Trail(embedded_aws, region) for region in (REGION, ELSEWHERE)}


@pytest.fixture(scope="module")
def clients(embedded_aws: EmbeddedAws) -> Iterator[Clients]:
    made = Clients(
        iam=embedded_aws.client("iam"),
        s3=embedded_aws.client("s3", region=ELSEWHERE),
        control=embedded_aws.client("s3control", region=ELSEWHERE),
        kms=embedded_aws.client("kms", region=ELSEWHERE),
    )
    yield made
    made.control.delete_public_access_block(AccountId=ACCOUNT)  # whichever call was the last one, others need none


@pytest.fixture
def place(clients: Clients) -> Place:
    role, profile, bucket = unique("role"), unique("profile"), unique("bucket")
    clients.iam.create_role(RoleName=role, Path="/anyscale/", AssumeRolePolicyDocument=TRUST)
    clients.iam.create_instance_profile(InstanceProfileName=profile)
    policy = clients.iam.create_policy(PolicyName=unique("policy"), PolicyDocument=NOTHING)["Policy"]["Arn"]
    clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return Place(
        clients.iam,
        clients.s3,
        clients.control,
        clients.kms,
        role=role,
        profile=profile,
        policy=policy,
        bucket=bucket,
        key=clients.kms.create_key()["KeyMetadata"]["Arn"],
        new=unique("new"),
    )


def make_policy_version(place: Place, *, default: bool) -> None:
    place.iam.create_policy_version(PolicyArn=place.policy, PolicyDocument=NOTHING, SetAsDefault=default)


def create_bucket(place: Place) -> None:
    place.s3.create_bucket(Bucket=place.new, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})


def put_bucket_policy(place: Place) -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{place.bucket}"}
    place.s3.put_bucket_policy(Bucket=place.bucket, Policy=json.dumps(policy_document(deny)))


def put_key_policy(place: Place) -> None:
    everything = allow("kms:*", "*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    place.kms.put_key_policy(KeyId=place.key, Policy=json.dumps(policy_document(everything)))


CALLS: Mapping[str, tuple[Callable[[Place], object], ...]] = {
    "CreateRole": (lambda at: at.iam.create_role(RoleName=at.new, AssumeRolePolicyDocument=TRUST),),
    "DeleteRole": (lambda at: at.iam.delete_role(RoleName=at.role),),
    "UpdateAssumeRolePolicy": (lambda at: at.iam.update_assume_role_policy(RoleName=at.role, PolicyDocument=TRUST),),
    "TagRole": (lambda at: at.iam.tag_role(RoleName=at.role, Tags=[{"Key": "team", "Value": "ml"}]),),
    "UntagRole": (lambda at: at.iam.untag_role(RoleName=at.role, TagKeys=["team"]),),
    "PutRolePolicy": (lambda at: at.iam.put_role_policy(RoleName=at.role, PolicyName="New", PolicyDocument=NOTHING),),
    "DeleteRolePolicy": (
        lambda at: at.iam.put_role_policy(RoleName=at.role, PolicyName="New", PolicyDocument=NOTHING),
        lambda at: at.iam.delete_role_policy(RoleName=at.role, PolicyName="New"),
    ),
    "AttachRolePolicy": (lambda at: at.iam.attach_role_policy(RoleName=at.role, PolicyArn=at.policy),),
    "DetachRolePolicy": (
        lambda at: at.iam.attach_role_policy(RoleName=at.role, PolicyArn=at.policy),
        lambda at: at.iam.detach_role_policy(RoleName=at.role, PolicyArn=at.policy),
    ),
    "PutRolePermissionsBoundary": (
        lambda at: at.iam.put_role_permissions_boundary(RoleName=at.role, PermissionsBoundary=at.policy),
    ),
    "DeleteRolePermissionsBoundary": (
        lambda at: at.iam.put_role_permissions_boundary(RoleName=at.role, PermissionsBoundary=at.policy),
        lambda at: at.iam.delete_role_permissions_boundary(RoleName=at.role),
    ),
    "CreatePolicyVersion": (lambda at: make_policy_version(at, default=True),),
    "SetDefaultPolicyVersion": (
        lambda at: make_policy_version(at, default=False),
        lambda at: at.iam.set_default_policy_version(PolicyArn=at.policy, VersionId="v2"),
    ),
    "AddRoleToInstanceProfile": (
        lambda at: at.iam.add_role_to_instance_profile(InstanceProfileName=at.profile, RoleName=at.role),
    ),
    "RemoveRoleFromInstanceProfile": (
        lambda at: at.iam.add_role_to_instance_profile(InstanceProfileName=at.profile, RoleName=at.role),
        lambda at: at.iam.remove_role_from_instance_profile(InstanceProfileName=at.profile, RoleName=at.role),
    ),
    "CreateInstanceProfile": (lambda at: at.iam.create_instance_profile(InstanceProfileName=at.new),),
    "DeleteInstanceProfile": (lambda at: at.iam.delete_instance_profile(InstanceProfileName=at.profile),),
    "CreateBucket": (create_bucket,),
    "DeleteBucket": (lambda at: at.s3.delete_bucket(Bucket=at.bucket),),
    "PutBucketPolicy": (put_bucket_policy,),
    "DeleteBucketPolicy": (lambda at: at.s3.delete_bucket_policy(Bucket=at.bucket),),
    "PutBucketPublicAccessBlock": (
        lambda at: at.s3.put_public_access_block(Bucket=at.bucket, PublicAccessBlockConfiguration=BLOCK),
    ),
    "DeleteBucketPublicAccessBlock": (lambda at: at.s3.delete_public_access_block(Bucket=at.bucket),),
    "PutBucketEncryption": (
        lambda at: at.s3.put_bucket_encryption(Bucket=at.bucket, ServerSideEncryptionConfiguration=ENCRYPTED),
    ),
    "DeleteBucketEncryption": (lambda at: at.s3.delete_bucket_encryption(Bucket=at.bucket),),
    "PutBucketOwnershipControls": (
        lambda at: at.s3.put_bucket_ownership_controls(Bucket=at.bucket, OwnershipControls=OWNER_ENFORCED),
    ),
    "DeleteBucketOwnershipControls": (
        lambda at: at.s3.put_bucket_ownership_controls(Bucket=at.bucket, OwnershipControls=OWNER_ENFORCED),
        lambda at: at.s3.delete_bucket_ownership_controls(Bucket=at.bucket),
    ),
    "PutAccountPublicAccessBlock": (
        lambda at: at.control.put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=BLOCK),
    ),
    "DeleteAccountPublicAccessBlock": (lambda at: at.control.delete_public_access_block(AccountId=ACCOUNT),),
    "PutKeyPolicy": (put_key_policy,),
    "DisableKey": (lambda at: at.kms.disable_key(KeyId=at.key),),
    "EnableKey": (lambda at: at.kms.enable_key(KeyId=at.key.rpartition("/")[2]),),
    "ScheduleKeyDeletion": (lambda at: at.kms.schedule_key_deletion(KeyId=at.key),),
    "CancelKeyDeletion": (
        lambda at: at.kms.schedule_key_deletion(KeyId=at.key),
        lambda at: at.kms.cancel_key_deletion(KeyId=at.key),
    ),
}
"""The call of that name comes last; what must be there for it is made before."""

NEW = ("CreateRole", "CreateInstanceProfile", "CreateBucket")
"""The calls that are about the thing with the new name."""


def recorded(trail: Trail, call: str, thing: str) -> dict[str, Any]:
    """The event about a call on a thing, waited for; what the things of other tests are called is no part of it."""
    name = thing.rpartition("/")[2]

    def matches(event: Mapping[str, Any]) -> bool:
        return bool(event["detail"]["eventName"] == call and name in json.dumps(event))

    return trail.first(matches, f"an event about {call} on {name}")


def concerned(trigger: Trigger) -> tuple[str, str]:
    """What a trigger concerns: its kind and its name or ARN."""
    match trigger:
        case RoleTrigger(role_name=name):
            return "role", name
        case SharedTrigger(concern=concern, name=name):
            return ("policy" if concern is Concern.MANAGED_POLICY else concern.value), name
        case Ignored(why=why):
            return "nothing", why


@pytest.mark.parametrize("call", WATCHED_CALLS, ids=lambda call: call.name)
def test_a_watched_call_is_recorded_where_it_belongs_and_understood(
    call: WatchedCall, place: Place, trails: Mapping[str, Trail]
) -> None:
    assert call.name in CALLS, f"{call.name} is watched: say here how it is made, so that its record is looked at."
    region = REGION if call.event_source == IAM else ELSEWHERE
    kind, thing = {
        Concern.ROLE: ("role", place.role),
        Concern.INSTANCE_PROFILE: ("role", place.profile),
        Concern.MANAGED_POLICY: ("policy", place.policy),
        Concern.BUCKET: ("bucket", place.bucket),
        Concern.ACCOUNT: ("account", ACCOUNT),
        Concern.KEY: ("key", place.key),
    }[call.concern]
    if call.name in NEW:
        thing = place.new

    for make in CALLS[call.name]:
        make(place)

    event = recorded(trails[region], call.name, thing)
    assert (event["source"], event["region"], event["account"]) == (call.bus_source, region, ACCOUNT)
    assert concerned(parse_event(event, account=ACCOUNT)) == (kind, thing)


def test_a_new_version_of_a_policy_that_is_not_its_default_concerns_nobody(
    place: Place, trails: Mapping[str, Trail]
) -> None:
    make_policy_version(place, default=False)

    event = recorded(trails[REGION], "CreatePolicyVersion", place.policy)
    assert concerned(parse_event(event, account=ACCOUNT))[0] == "nothing"
