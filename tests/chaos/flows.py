"""What the product does, from what somebody broke to the last person who is told: each a story to be disturbed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from remediator.core.change import ChangeKind, DocumentKind
from remediator.core.policy.own import OWN_POLICY_NAME
from remediator.core.undo import Undo
from remediator.errors import RemediatorError
from remediator.flows.undo import Undone, plan_undo, undo
from remediator.settings import MODE_TAG, Mode
from tests.chaos.stage import Stage
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, ENROLLED, LAMBDA_STATEMENT, a_cause, policy, settings
from tests.functional.world import ROLE

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


@dataclass(frozen=True, slots=True)
class Flow:
    """A story: ``prepare`` what is in order, ``drift`` by somebody else, ``begin`` by what makes us look.

    The calls of ``functions`` are those that go wrong, one in each telling.
    """

    name: str
    functions: tuple[str, ...]
    prepare: Callable[[Stage], None]
    drift: Callable[[Stage], None]
    begin: Callable[[Stage], None]


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


def _not_enrolled(stage: Stage) -> None:
    stage.configure(settings(instanceProfile="repair"))
    stage.account.create_role(LAMBDA_STATEMENT, profile=False, tags={})


def _enrol(stage: Stage) -> None:
    stage.account.iam.tag_role(RoleName=ROLE, Tags=[{"Key": key, "Value": value} for key, value in ENROLLED.items()])


def _under_a_key(stage: Stage) -> None:
    arn = stage.account.create_key()
    stage.account.encrypt(arn)
    granted(ROLE, buckets=[{"name": BUCKET, "region": "us-east-1", "key": arn}])(stage)


def _under_a_policy(stage: Stage) -> None:
    granted(ROLE, WORKER)(stage)
    arn = stage.account.iam.create_policy(
        PolicyName="bucket-access", Path="/anyscale/", PolicyDocument=json.dumps(policy(ELSEWHERE))
    )["Policy"]["Arn"]
    for role in (ROLE, WORKER):
        stage.account.iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def undo_last(kind: DocumentKind) -> Callable[[Stage], None]:
    """Have a person undo the last repair of such a document, and again where something goes wrong.

    The first thing that an undo does is to set a tag, and CloudTrail tells of that.
    """

    def begin(stage: Stage) -> None:
        account = stage.account
        change = [each for each in account.changes() if (each.document.kind, each.kind) == (kind, ChangeKind.REPAIR)][
            -1
        ]

        def act() -> bool:
            try:
                planned = plan_undo(change, roles=account.roles, buckets=account.buckets)
            except RemediatorError:
                return False
            if not isinstance(planned, Undo):
                return False  # it could not be looked at, or it was undone by the try before
            cause = replace(a_cause("Undo"), event_id=stage.time.isoformat())
            undone = undo(
                planned,
                cause,
                roles=account.roles,
                buckets=account.buckets,
                history=account.history,
                clock=stage.now,
                pause=lambda seconds: None,
            )
            return isinstance(undone, Undone)

        stage.ask_a_person(act)
        stage.event("TagRole", roleName=ROLE, tags=[{"key": MODE_TAG, "value": Mode.OBSERVE}])

    return begin


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
        granted(ROLE, WORKER, **BY_BUCKET),
        write_bucket(THEIRS),
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
        "a bucket under a key",
        ("reconciler",),
        _under_a_key,
        break_roles(ROLE),
        hear("UpdateAssumeRolePolicy", ROLE),
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
        granted(ROLE),
        break_roles(ROLE),
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
        "a bucket policy is undone",
        ("person",),
        granted(ROLE, **BY_BUCKET),
        nothing,
        undo_last(DocumentKind.BUCKET_POLICY),
    ),
    Flow(
        "three alerts are told",
        ("digester", "notifier"),
        create(ROLE, WORKER, THIRD),
        break_roles(ROLE, WORKER, THIRD),
        hear("UpdateAssumeRolePolicy", ROLE, WORKER, THIRD),
    ),
)
