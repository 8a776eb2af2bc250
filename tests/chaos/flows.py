"""What the product does, from what somebody broke to the last person who is told: each a story to be disturbed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from remediator.core.events.request import ReconcileRequest, request_json
from remediator.core.history.pause import PAUSED
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.write import DocumentKind
from remediator.settings import MODE_TAG, ConflictLimit, Mode, WriteLimit
from tests.chaos.calls import Request
from tests.chaos.commands import (
    apply_by_hand,
    enrol_role,
    pause_writes,
    resume_role,
    resume_writes,
    take_back_all,
    undo_last,
    unenrol_role,
)
from tests.chaos.stage import Stage
from tests.examples import (
    ACCOUNT,
    BUCKET,
    EC2_STATEMENT,
    ENROLLED,
    LAMBDA_STATEMENT,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.world import PAUSE_PARAMETER, ROLE

WORKER: Final = "worker"
THIRD: Final = "third"
BY_BUCKET: Final = {"grant": "bucket-policy"}

ELSEWHERE: Final = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::elsewhere/*"}
THEIRS: Final = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "s3:ListBucket",
    "Resource": f"arn:aws:s3:::{BUCKET}",
}
FREEZE: Final = {
    "Sid": "Freeze",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:PutObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/*",
}
PUBLIC: Final = {
    "Sid": "Site",
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/site/*",
}
BY_IAM: Final = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}


@dataclass(frozen=True, slots=True)
class Flow:
    """A story: ``prepare`` what is in order, ``drift`` by somebody else, ``begin`` by what makes us look.

    The calls of ``functions`` are those that go wrong, one in each telling; only some ``operations`` of them where the
    others do so in another story.
    """

    name: str
    functions: tuple[str, ...]
    prepare: Callable[[Stage], None]
    drift: Callable[[Stage], None]
    begin: Callable[[Stage], None]
    operations: frozenset[str] = frozenset()


def granted(*roles: str, **changes: Any) -> Callable[[Stage], None]:
    """Roles that we have repaired, and people know it; beside policies that are none of our business."""

    def prepare(stage: Stage) -> None:
        create(*roles, **changes)(stage)
        stage.sweep()
        stage.run()

    return prepare


def create(*roles: str, **changes: Any) -> Callable[[Stage], None]:
    """Roles that EC2 may assume, and that were never granted anything of the bucket."""

    def prepare(stage: Stage) -> None:
        stage.configure(settings(**changes))
        stage.account.put_bucket_policy(THEIRS)
        for role in roles:
            stage.account.create_role(LAMBDA_STATEMENT, EC2_STATEMENT, name=role)
            stage.account.grant(ELSEWHERE, name="theirs", role=role)

    return prepare


def break_roles(*roles: str) -> Callable[[Stage], None]:
    """Take the trust of EC2 away, and our own policy where it is."""

    def drift(stage: Stage) -> None:
        for role in roles:
            if OWN_POLICY_NAME in stage.account.inline(role):
                stage.account.iam.delete_role_policy(RoleName=role, PolicyName=OWN_POLICY_NAME)
            stage.account.iam.update_assume_role_policy(
                RoleName=role, PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT))
            )

    return drift


def write_bucket(*statements: dict[str, Any]) -> Callable[[Stage], None]:
    """Overwrite the policy of the bucket."""
    return lambda stage: stage.account.put_bucket_policy(*statements)


def _delete_bucket_policy(stage: Stage) -> None:
    stage.account.s3.delete_bucket_policy(Bucket=BUCKET)


def at_most(documents: int, *roles: str) -> Callable[[Stage], None]:
    """See that so far no more is repaired, whatever went wrong."""

    def look(stage: Stage) -> None:
        account = stage.account
        repaired = [account.trusts_ec2(role) for role in roles]
        repaired += [OWN_POLICY_NAME in account.inline(role) for role in roles]
        assert sum(repaired) <= documents, f"{sum(repaired)} documents are repaired"

    return look


def hear(name: str, *roles: str) -> Callable[[Stage], None]:
    """An event about each of the roles."""

    def begin(stage: Stage) -> None:
        for role in roles:
            stage.event(name, roleName=role)

    return begin


def hear_of_bucket(stage: Stage) -> None:
    """An event about the policy of the bucket."""
    stage.event("PutBucketPolicy", bucketName=BUCKET)


def deploy(**changes: Any) -> Callable[[Stage], None]:
    """Another configuration, whose deployment asks for a sweep."""

    def begin(stage: Stage) -> None:
        stage.configure(settings(**changes))
        stage.send("sweep", '{"format":1,"reason":"deployment"}')

    return begin


def all_of(*acts: Callable[[Stage], None]) -> Callable[[Stage], None]:
    """One after the other, each to its end."""

    def act(stage: Stage) -> None:
        for each in acts:
            each(stage)
            stage.run()

    return act


def nothing(stage: Stage) -> None:
    """Nobody does anything."""


ONLY_OURS: Final = all_of(granted(ROLE, **BY_BUCKET), _delete_bucket_policy, hear_of_bucket)
"""Nothing but our statement stands in the policy of the bucket."""


def _not_enrolled(stage: Stage) -> None:
    stage.configure(settings(instanceProfile="repair"))
    stage.account.create_role(LAMBDA_STATEMENT, profile=False, tags={})


def _enrol(stage: Stage) -> None:
    stage.account.iam.tag_role(RoleName=ROLE, Tags=[{"Key": key, "Value": value} for key, value in ENROLLED.items()])


def _public_bucket(stage: Stage) -> None:
    """The account's owner lets nobody make it public, until they change their mind."""
    account = stage.account
    account.s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={"BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    )
    granted(ROLE, WORKER, **BY_BUCKET)(stage)


def _make_public(stage: Stage) -> None:
    stage.account.s3.delete_public_access_block(Bucket=BUCKET)
    stage.account.put_bucket_policy(THEIRS, PUBLIC)


def _under_a_key(stage: Stage) -> None:
    """A key that is out of use, and whose policy grants it to the role itself."""
    create(ROLE)(stage)
    account = stage.account
    arn = account.create_key(
        {
            "Effect": "Allow",
            "Principal": {"AWS": account.arn()},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        }
    )
    account.encrypt(arn)
    account.kms.disable_key(KeyId=_id_of(arn))
    stage.configure(settings(buckets=[{"name": BUCKET, "region": "us-east-1", "key": arn}]))
    stage.sweep()
    stage.run()


def _change_key(stage: Stage) -> None:
    """Put the key into use, and leave it to IAM who may use it."""
    key, kms = _id_of(_key(stage)), stage.account.kms
    kms.enable_key(KeyId=key)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy(BY_IAM)))


def _hear_of_key(stage: Stage) -> None:
    stage.event("PutKeyPolicy", arn=_key(stage), keyId=_id_of(_key(stage)))


def _key(stage: Stage) -> str:
    (cloud,) = stage.account.settings.clouds
    (key,) = [bucket.key for bucket in cloud.buckets]
    assert key is not None
    return key


def _id_of(key: str) -> str:
    """How moto wants to be told of some keys."""
    return key.rpartition("/")[2]


def _under_a_policy(stage: Stage) -> None:
    granted(ROLE, WORKER)(stage)
    _attach(stage, ELSEWHERE, ROLE, WORKER)


def _granted_by_a_policy(stage: Stage) -> None:
    create(ROLE, instanceProfile="repair")(stage)
    _attach(stage, bucket_grant(), ROLE)
    stage.sweep()
    stage.run()


def _attach(stage: Stage, statement: dict[str, Any], *roles: str) -> None:
    iam = stage.account.iam
    arn = iam.create_policy(
        PolicyName="bucket-access", Path="/anyscale/", PolicyDocument=json.dumps(policy(statement))
    )["Policy"]["Arn"]
    for role in roles:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def _break_by_policy(stage: Stage) -> None:
    """A new version of the managed policy grants nothing of the bucket; trust and instance profile are gone as well."""
    break_roles(ROLE)(stage)
    stage.account.delete_profile()
    stage.account.iam.create_policy_version(
        PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/anyscale/bucket-access",
        PolicyDocument=json.dumps(policy(ELSEWHERE)),
        SetAsDefault=True,
    )


def _everything_is_ours(stage: Stage) -> None:
    """Trust, grants on both sides and instance profile; writes are paused by now, and nothing is in the profile."""
    arn = stage.account.create_key()
    stage.account.encrypt(arn)
    stage.configure(
        settings(buckets=[{"name": BUCKET, "region": "us-east-1", "key": arn}], instanceProfile="repair", **BY_BUCKET)
    )
    stage.account.put_bucket_policy(THEIRS)
    stage.account.create_role(LAMBDA_STATEMENT, profile=False)
    stage.sweep()
    stage.run()
    stage.account.iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    paused(stage)


def paused(stage: Stage) -> None:
    """Have nothing written any more."""
    stage.account.ssm.put_parameter(Name=PAUSE_PARAMETER, Value=PAUSED, Overwrite=True)
    stage.time_goes_by(minutes=2)


def a_moment(stage: Stage) -> None:
    """Longer than a function remembers that writes are paused."""
    stage.sleep(3)


def a_minute(stage: Stage) -> None:
    """After that a pause has taken effect."""
    stage.sleep(60)


def _contested(stage: Stage) -> None:
    """A repair that was undone once, and once is too often here."""
    all_of(granted(ROLE), break_roles(ROLE), hear("UpdateAssumeRolePolicy", ROLE))(stage)
    stage.configure(replace(settings(), contest=ConflictLimit(repairs=1)))
    stage.time_goes_by(minutes=1)
    all_of(break_roles(ROLE), hear("UpdateAssumeRolePolicy", ROLE))(stage)
    assert stage.account.history.read_role_record(ROLE).conflict is not None


def _few_writes(stage: Stage) -> None:
    granted(ROLE, WORKER)(stage)
    stage.configure(replace(settings(), write_limit=WriteLimit(writes=3, minutes=60)))
    stage.time_goes_by(minutes=60)


def _next_window(stage: Stage) -> None:
    stage.time_goes_by(minutes=60)
    stage.sweep()


def tag(mode: str) -> Callable[[Stage], None]:
    """Somebody tags the role, and CloudTrail tells of it."""

    def act(stage: Stage) -> None:
        stage.account.iam.tag_role(RoleName=ROLE, Tags=[{"Key": MODE_TAG, "Value": mode}])
        stage.event("TagRole", roleName=ROLE, tags=[{"key": MODE_TAG, "value": mode}])

    return act


def _each_fails_once(stage: Stage) -> None:
    """What each function asks for first is refused once, so that its message comes again."""
    first = {
        "router": "GetRole",
        "sweeper": "GetAccountAuthorizationDetails",
        "reconciler": "GetRole",
        "digester": "Publish",
        "notifier": "Post",
    }

    def refuses(request: Request) -> bool:
        if first.get(request.function) != request.operation:
            return False
        del first[request.function]
        return True

    stage.seam.refuses = refuses
    hear("UpdateAssumeRolePolicy", ROLE)(stage)
    stage.sweep()


def _in_another_group(stage: Stage) -> None:
    """A request that was queued before the grants of the cloud were put into the policy of the bucket."""
    request = ReconcileRequest(ACCOUNT, ROLE, a_cause(), bucket=None)
    stage.send("work.fifo", request_json(request))


FLOWS: Final = (
    Flow(
        "an event, the role's side",
        ("router", "reconciler"),
        granted(ROLE),
        break_roles(ROLE),
        hear("UpdateAssumeRolePolicy", ROLE),
    ),
    Flow(
        "an event, the bucket's side of two roles",
        ("router", "sweeper", "reconciler"),
        _public_bucket,
        _make_public,
        hear_of_bucket,
    ),
    Flow(
        "enrolment, with an instance profile",
        ("router", "reconciler"),
        _not_enrolled,
        _enrol,
        hear("TagRole", ROLE),
    ),
    Flow(
        "a bucket under a key, which is changed",
        ("sweeper", "reconciler"),
        _under_a_key,
        all_of(_change_key, break_roles(ROLE)),
        _hear_of_key,
    ),
    Flow(
        "a policy of two roles",
        ("router",),
        _under_a_policy,
        break_roles(ROLE, WORKER),
        lambda stage: stage.event("SetDefaultPolicyVersion"),
    ),
    Flow(
        "a lost event, found by the sweep",
        ("sweeper", "reconciler"),
        _granted_by_a_policy,
        _break_by_policy,
        Stage.sweep,
    ),
    Flow(
        "the grant moves to the bucket",
        ("sweeper", "reconciler"),
        granted(ROLE),
        nothing,
        deploy(grant="bucket-policy", formerGrant="role-policy"),
    ),
    Flow(
        "the grant moves to the role",
        ("sweeper", "reconciler"),
        granted(ROLE, **BY_BUCKET),
        nothing,
        deploy(grant="role-policy", formerGrant="bucket-policy"),
    ),
    Flow(
        "the grant moves to the role, and nothing else was in the policy",
        ("reconciler",),
        ONLY_OURS,
        nothing,
        deploy(grant="role-policy", formerGrant="bucket-policy"),
        operations=frozenset({"GetBucketPolicy", "DeleteBucketPolicy", "TransactWriteItems", "UpdateItem"}),
    ),
    Flow(
        "a person is needed",
        ("sweeper", "reconciler"),
        granted(ROLE),
        write_bucket(THEIRS, FREEZE),
        hear_of_bucket,
    ),
    Flow(
        "a person is needed no longer",
        ("sweeper", "reconciler"),
        all_of(granted(ROLE), write_bucket(THEIRS, FREEZE), hear_of_bucket),
        write_bucket(THEIRS),
        hear_of_bucket,
    ),
    Flow(
        "a trust policy is undone",
        ("person",),
        all_of(granted(ROLE), break_roles(ROLE), hear("UpdateAssumeRolePolicy", ROLE)),
        nothing,
        undo_last(DocumentKind.TRUST_POLICY),
    ),
    Flow(
        "an inline policy is undone",
        ("person",),
        granted(ROLE),
        nothing,
        undo_last(DocumentKind.INLINE_POLICY),
    ),
    Flow(
        "a bucket policy is undone",
        ("person",),
        ONLY_OURS,
        nothing,
        undo_last(DocumentKind.BUCKET_POLICY),
    ),
    Flow(
        "an instance profile is undone",
        ("person",),
        all_of(_not_enrolled, _enrol, hear("TagRole", ROLE)),
        nothing,
        undo_last(DocumentKind.INSTANCE_PROFILE),
    ),
    Flow(
        "a repair by hand",
        ("person",),
        granted(ROLE, instanceProfile="repair"),
        all_of(break_roles(ROLE), lambda stage: stage.account.delete_profile()),
        apply_by_hand,
    ),
    Flow(
        "a role is enrolled by hand",
        ("person",),
        _not_enrolled,
        nothing,
        enrol_role,
    ),
    Flow(
        "a role is unenrolled by hand",
        ("person",),
        granted(ROLE),
        nothing,
        all_of(unenrol_role, break_roles(ROLE), hear("UpdateAssumeRolePolicy", ROLE), at_most(0, ROLE)),
    ),
    Flow(
        "writes are paused by hand",
        ("person",),
        granted(ROLE),
        nothing,
        all_of(pause_writes, a_minute, break_roles(ROLE), hear("UpdateAssumeRolePolicy", ROLE), at_most(0, ROLE)),
    ),
    Flow(
        "a contested role is resumed",
        ("person",),
        _contested,
        nothing,
        resume_role,
    ),
    Flow(
        "a role is switched off, and on again",
        ("router", "reconciler"),
        granted(ROLE),
        break_roles(ROLE),
        all_of(tag("off"), at_most(0, ROLE), tag(Mode.REPAIR)),
    ),
    Flow(
        "writes are paused, and go on again",
        ("reconciler", "person"),
        all_of(granted(ROLE), paused),
        break_roles(ROLE),
        all_of(hear("UpdateAssumeRolePolicy", ROLE), at_most(0, ROLE), a_moment, resume_writes),
    ),
    Flow(
        "the limit of writes is reached",
        ("reconciler",),
        _few_writes,
        break_roles(ROLE, WORKER),
        all_of(hear("UpdateAssumeRolePolicy", ROLE, WORKER), at_most(3, ROLE, WORKER), _next_window),
        operations=frozenset({"GetItem", "TransactWriteItems", "UpdateItem", "Publish"}),
    ),
    Flow(
        "all that is ours is taken back",
        ("person",),
        _everything_is_ours,
        nothing,
        take_back_all,
    ),
    Flow(
        "a request in another group",
        ("reconciler",),
        granted(ROLE, **BY_BUCKET),
        write_bucket(THEIRS),
        _in_another_group,
        operations=frozenset({"SendMessage"}),
    ),
    Flow(
        "each function fails once",
        ("router", "sweeper", "reconciler", "digester", "notifier"),
        granted(ROLE),
        break_roles(ROLE),
        _each_fails_once,
        operations=frozenset({"ChangeMessageVisibilityBatch", "DeleteItem"}),
    ),
    Flow(
        "three alerts are told",
        ("digester", "notifier"),
        create(ROLE, WORKER, THIRD),
        break_roles(ROLE, WORKER, THIRD),
        hear("UpdateAssumeRolePolicy", ROLE, WORKER, THIRD),
    ),
)
