"""From an event to the work queue and the sweep queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest

from remediator.core.events.event import parse_time
from remediator.core.events.request import ReconcileRequest, parse_request
from remediator.core.events.sweep import MOST_ROLES_OF_A_POLICY, SweepReason, SweepRequest, parse_sweep
from remediator.core.events.watched import UNWATCHED, WATCHED_CALLS, Concern, WatchedCall
from remediator.core.model.role import Role
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import MalformedEvent, NotYetVisible, RemediatorError, ThrottledError, TransientError
from remediator.flows.dispatch import Dispatched, Dropped, dispatch
from remediator.settings import PrincipalPattern, Settings
from remediator.settings_check import parse_settings
from tests.examples import ACCOUNT, BUCKET, ENROLLED, LAMBDA_STATEMENT, OWN_ROLE_ARN, a_role, settings
from tests.functional.faults import raising
from tests.functional.world import World
from tests.unit.events.test_event import KEY, POLICY, Event, load

DATASETS = "anyscale-production-datasets"
OFF = {**ENROLLED, "anyscale:remediation": "off"}


def moment(name: str) -> datetime:
    """When the call of a fixture was made."""
    time = parse_time(load(name)["detail"]["eventTime"])
    assert time is not None
    return time


def two_clouds(**changes: object) -> Settings:
    """Two clouds that share a bucket; ``production`` has an encrypted one besides, and the given changes."""
    shared = {"name": BUCKET, "region": "us-east-1"}
    datasets = {"name": DATASETS, "region": "us-west-2", "key": KEY}
    return parse_settings(
        {
            "clouds": {
                "production": {"buckets": [datasets, shared], "roles": ["anyscale/production/*"], **changes},
                "research": {"buckets": [shared], "roles": ["anyscale/research/*"]},
            }
        }
    )


def send(world: World, event: str | Event, *, later: timedelta = timedelta(minutes=10), **overrides: Any) -> Any:
    """Dispatch an event, by default ten minutes after the call; one result, or a tuple where there are several."""
    event = load(event) if isinstance(event, str) else event
    time = parse_time(event["detail"]["eventTime"])
    assert time is not None
    world.calls.clear()
    dispatched = dispatch(event, world.given(**{"now": time + later, **overrides}))
    return dispatched[0] if len(dispatched) == 1 else dispatched


def soon(world: World, event: str | Event, **overrides: Any) -> Any:
    """Dispatch an event some seconds after the call."""
    return send(world, event, later=timedelta(seconds=20), **overrides)


def requests(world: World) -> list[ReconcileRequest]:
    return [parse_request(message["Body"]) for message in world.queued()]


def sweeps(world: World) -> list[SweepRequest]:
    received = world.sqs.receive_message(QueueUrl=world.sweep_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    parsed = [parse_sweep(message["Body"]) for message in received.get("Messages", ())]
    assert all(isinstance(each, SweepRequest) for each in parsed)
    return [each for each in parsed if isinstance(each, SweepRequest)]


def create_policy(world: World, *roles: str) -> None:
    """The managed policy of the fixtures, attached to roles."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    world.iam.create_policy(PolicyName="bucket-access", Path="/anyscale/", PolicyDocument=json.dumps(document))
    for role in roles:
        world.iam.attach_role_policy(RoleName=role, PolicyArn=POLICY)


Expectation: TypeAlias = tuple[list[str], list[tuple[str, ...] | None]]
ROLE_QUEUED: Expectation = (["head-node"], [])
ALL_SWEPT: Expectation = ([], [None])
BOTH_SWEPT: Expectation = ([], [("production", "research")])
PRODUCTION_SWEPT: Expectation = ([], [("production",)])

EXPECTED: Mapping[str, Expectation] = {
    "CreateRole": ROLE_QUEUED,
    "DeleteRole": ROLE_QUEUED,
    "UpdateAssumeRolePolicy": ROLE_QUEUED,
    "TagRole": ROLE_QUEUED,
    "UntagRole": ROLE_QUEUED,
    "PutRolePolicy": ROLE_QUEUED,
    "DeleteRolePolicy": ROLE_QUEUED,
    "AttachRolePolicy": ROLE_QUEUED,
    "DetachRolePolicy": ROLE_QUEUED,
    "PutRolePermissionsBoundary": ROLE_QUEUED,
    "DeleteRolePermissionsBoundary": ROLE_QUEUED,
    "CreatePolicyVersion": (["head-node", "worker"], []),
    "SetDefaultPolicyVersion": (["head-node", "worker"], []),
    "AddRoleToInstanceProfile": ROLE_QUEUED,
    "RemoveRoleFromInstanceProfile": ROLE_QUEUED,
    "CreateInstanceProfile": ROLE_QUEUED,
    "DeleteInstanceProfile": ROLE_QUEUED,
    "CreateBucket": PRODUCTION_SWEPT,
    "DeleteBucket": BOTH_SWEPT,
    "PutBucketPolicy": PRODUCTION_SWEPT,
    "DeleteBucketPolicy": BOTH_SWEPT,
    "PutBucketPublicAccessBlock": BOTH_SWEPT,
    "DeleteBucketPublicAccessBlock": BOTH_SWEPT,
    "PutBucketEncryption": PRODUCTION_SWEPT,
    "DeleteBucketEncryption": PRODUCTION_SWEPT,
    "PutBucketOwnershipControls": BOTH_SWEPT,
    "DeleteBucketOwnershipControls": BOTH_SWEPT,
    "PutAccountPublicAccessBlock": ALL_SWEPT,
    "DeleteAccountPublicAccessBlock": ALL_SWEPT,
    "PutKeyPolicy": PRODUCTION_SWEPT,
    "DisableKey": PRODUCTION_SWEPT,
    "EnableKey": PRODUCTION_SWEPT,
    "ScheduleKeyDeletion": PRODUCTION_SWEPT,
    "CancelKeyDeletion": PRODUCTION_SWEPT,
}
"""What each call leads to where ``head-node`` and ``worker`` are enrolled: the roles queued, the clouds swept."""


def test_every_watched_call_has_an_expectation() -> None:
    assert list(EXPECTED) == [call.name for call in WATCHED_CALLS]


@pytest.mark.parametrize("call", WATCHED_CALLS, ids=lambda call: call.name)
def test_a_watched_call_leads_to_its_roles_or_to_a_sweep_of_its_clouds(call: WatchedCall, world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.create_role(LAMBDA_STATEMENT, name="worker")
    world.create_role(LAMBDA_STATEMENT, name="stranger", path="/", tags={})
    create_policy(world, "head-node", "worker", "stranger")
    send(world, call.name, settings=two_clouds())
    queued, swept = EXPECTED[call.name]
    assert [request.role_name for request in requests(world)] == queued
    assert [request.clouds for request in sweeps(world)] == swept
    event_id = load(call.name)["detail"]["eventID"]
    causes = [*(request.cause for request in requests(world)), *(request.cause for request in sweeps(world))]
    for cause in causes:
        assert cause is not None
        assert (cause.call, cause.event_id) == (call.name, event_id)
    assert all(request.reason is SweepReason.EVENT for request in sweeps(world))


def test_a_watched_call_in_an_account_without_anything_of_ours_leads_to_nothing(world: World) -> None:
    bucket = {"name": "other", "region": "us-east-1"}
    other = parse_settings({"clouds": {"other": {"buckets": [bucket], "roles": ["other/*"]}}})
    for call in WATCHED_CALLS:
        if call.concern is Concern.ACCOUNT:
            continue  # it concerns every cloud that there is
        dropped = send(world, call.name, settings=other)
        assert isinstance(dropped, Dropped), call
        assert dropped.why
    assert (requests(world), sweeps(world)) == ([], [])


def test_an_unwatched_call_leads_to_nothing_and_costs_no_call(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    for _, name in UNWATCHED:
        assert isinstance(send(world, name, settings=two_clouds()), Dropped), name
        assert world.calls == []
    assert (requests(world), sweeps(world)) == ([], [])


def test_an_event_about_an_enrolled_role_is_queued_with_its_cause_in_the_group_of_the_role(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert isinstance(send(world, "UpdateAssumeRolePolicy"), ReconcileRequest)
    (message,) = world.queued()
    request = parse_request(message["Body"])
    assert (request.role_name, request.bucket, request.cause.call) == ("head-node", None, "UpdateAssumeRolePolicy")
    assert message["Attributes"]["MessageGroupId"] == f"{ACCOUNT}/role/head-node"


@pytest.mark.parametrize("changes", [{"grant": "bucket-policy"}, {"formerGrant": "bucket-policy"}])
def test_a_role_whose_repair_may_write_bucket_policies_is_queued_in_the_group_of_their_buckets(
    changes: dict[str, str], world: World
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    send(world, "TagRole", settings=two_clouds(**changes))
    (message,) = world.queued()
    assert parse_request(message["Body"]).bucket == BUCKET
    assert message["Attributes"]["MessageGroupId"] == f"{ACCOUNT}/bucket/{BUCKET}"


def test_a_role_that_would_be_refused_is_queued_in_its_own_group_because_the_refusal_must_be_told(
    world: World,
) -> None:
    world.create_role(LAMBDA_STATEMENT, path="/", tags=ENROLLED)
    queued = send(world, "TagRole", settings=two_clouds(grant="bucket-policy"))
    assert isinstance(queued, ReconcileRequest)
    assert queued.group == f"{ACCOUNT}/role/head-node"


def test_an_event_about_a_role_that_is_not_enrolled_costs_one_read_and_is_dropped(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    assert isinstance(send(world, "UpdateAssumeRolePolicy"), Dropped)
    assert world.calls == ["GetRole"]
    assert world.queued() == []


def test_a_role_that_is_off_is_dropped(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags=OFF)
    assert isinstance(send(world, "UpdateAssumeRolePolicy"), Dropped)


def test_the_same_event_delivered_twice_is_queued_once(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    send(world, "UpdateAssumeRolePolicy")
    send(world, "UpdateAssumeRolePolicy")
    assert len(world.queued()) == 1


class OneAnswer:
    """A reader of roles with one answer for every role, and for every policy."""

    def __init__(self, role: Reading[Role], names: Reading[tuple[str, ...]] = Absent()) -> None:  # noqa: B008  # frozen
        self._role = role
        self._names = names

    def read_role(self, role_name: str) -> Reading[Role]:
        return self._role

    def roles_of_policy(self, policy_arn: str) -> Reading[tuple[str, ...]]:
        return self._names


# A role that is created: GetRole may not know it yet.


def test_a_role_that_is_created_with_the_tag_is_queued_without_any_tagrole(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert isinstance(soon(world, "CreateRole"), ReconcileRequest)


@pytest.mark.parametrize("name", ["CreateRole", "TagRole"])
def test_a_fresh_enrolment_that_cannot_be_seen_yet_is_looked_at_again(name: str, world: World) -> None:
    with pytest.raises(NotYetVisible):
        soon(world, name)
    assert isinstance(send(world, name), Dropped)


def test_a_role_that_is_created_without_the_tag_is_dropped_at_once(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    event = load("CreateRole")
    event["detail"]["requestParameters"]["tags"] = [{"key": "team", "value": "ml"}]
    assert isinstance(soon(world, event), Dropped)


@pytest.mark.parametrize(
    "name", ["PutRolePolicy", "DeleteRolePolicy", "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile", "UntagRole"]
)
def test_what_was_done_to_a_role_just_before_its_deletion_is_dropped_quietly(name: str, world: World) -> None:
    assert isinstance(soon(world, name), Dropped)


def test_an_instance_profile_with_a_name_that_no_role_has_is_dropped_quietly(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, name="another")
    dropped = soon(world, "CreateInstanceProfile")
    assert dropped == Dropped("the role does not exist (any more)", "head-node")


# A role that is deleted: GetRole may still know it.


def test_a_deleted_role_is_dropped(world: World) -> None:
    assert isinstance(soon(world, "DeleteRole"), Dropped)


def stale(age: timedelta | None = timedelta(days=1), **changes: Any) -> OneAnswer:
    """A reader that still shows the role of the fixture of DeleteRole, created some time before that call."""
    created = None if age is None else moment("DeleteRole") - age
    return OneAnswer(Present(replace(a_role(LAMBDA_STATEMENT), created=created, **changes)))


@pytest.mark.parametrize("age", [timedelta(days=1), timedelta(seconds=1), None])
def test_a_role_that_was_just_deleted_and_can_still_be_seen_is_not_queued(age: timedelta | None, world: World) -> None:
    with pytest.raises(NotYetVisible, match="just deleted"):
        soon(world, "DeleteRole", roles=stale(age))
    assert world.queued() == []


def test_a_role_that_was_just_deleted_is_not_refused_once_more(world: World) -> None:
    with pytest.raises(NotYetVisible, match="just deleted"):
        soon(world, "DeleteRole", roles=stale(tags={"anyscale:cluster-role": "unknown"}))
    assert world.queued() == []


def test_a_deleted_role_that_was_not_enrolled_is_not_waited_for(world: World) -> None:
    assert isinstance(soon(world, "DeleteRole", roles=stale(tags={})), Dropped)


def test_a_role_that_was_created_again_is_queued_whichever_call_is_heard_of_first(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)  # now, which is after the call of the fixture
    deleted, created = soon(world, "DeleteRole"), soon(world, "CreateRole")
    assert isinstance(deleted, ReconcileRequest)
    assert isinstance(created, ReconcileRequest)
    assert len(world.queued()) == 2


def test_a_role_that_is_still_there_after_minutes_is_looked_at_as_it_is(world: World) -> None:
    assert isinstance(send(world, "DeleteRole", roles=stale()), ReconcileRequest)


def test_a_role_that_was_created_again_elsewhere_is_queued_for_the_refusal_and_without_the_tag_dropped(
    world: World,
) -> None:
    world.create_role(LAMBDA_STATEMENT, path="/elsewhere/")
    assert isinstance(send(world, "CreateRole"), ReconcileRequest)
    world.delete_role()
    world.create_role(LAMBDA_STATEMENT, path="/elsewhere/", tags={})
    assert isinstance(send(world, "CreateRole"), Dropped)


# Tags that were changed: GetRole may show the old ones.


def tagged(**tags: str) -> Event:
    event = load("TagRole")
    event["detail"]["requestParameters"]["tags"] = [{"key": f"anyscale:{key}", "value": tags[key]} for key in tags]
    return event


def untagged(*keys: str) -> Event:
    event = load("UntagRole")
    event["detail"]["requestParameters"]["tagKeys"] = [f"anyscale:{key}" for key in keys]
    return event


@pytest.mark.parametrize(
    ("tags", "event"),
    [
        ({}, load("TagRole")),
        (OFF, untagged("remediation")),
        (OFF, tagged(remediation="repair")),
        (ENROLLED, untagged("cluster-role")),
        (ENROLLED, tagged(remediation="off")),
        (ENROLLED, tagged(remediation="observe")),
        ({"anyscale:cluster-role": "research"}, load("TagRole")),
    ],
    ids=["enrolled", "resumed", "resumed by value", "no longer enrolled", "off", "observed", "of another cloud"],
)
def test_a_fresh_change_of_tags_that_cannot_be_seen_yet_is_looked_at_again(
    tags: dict[str, str], event: Event, world: World
) -> None:
    world.create_role(LAMBDA_STATEMENT, tags=tags)
    with pytest.raises(NotYetVisible, match="tags"):
        soon(world, event)
    assert world.queued() == []
    assert isinstance(send(world, event), (ReconcileRequest, Dropped))


@pytest.mark.parametrize(
    ("tags", "event", "expected"),
    [
        (ENROLLED, load("TagRole"), ReconcileRequest),
        ({}, load("UntagRole"), Dropped),
        (OFF, tagged(remediation="off"), Dropped),
        (ENROLLED, untagged("remediation"), ReconcileRequest),
        ({}, tagged(team="ml"), Dropped),
    ],
)
def test_tags_that_are_as_the_event_says_are_not_waited_for(
    tags: dict[str, str], event: Event, expected: type[Dispatched], world: World
) -> None:
    world.create_role(LAMBDA_STATEMENT, tags=tags)
    assert isinstance(soon(world, event), expected)


def test_a_role_that_cannot_be_read_is_an_error_and_not_dropped(world: World) -> None:
    with pytest.raises(RemediatorError, match="AccessDenied"):
        send(world, "TagRole", roles=OneAnswer(Unreadable("iam:GetRole failed with AccessDenied")))


def test_an_absent_role_is_not_an_unreadable_one(world: World) -> None:
    assert isinstance(send(world, "PutRolePolicy", roles=OneAnswer(Absent())), Dropped)


# Managed policies.


def test_a_policy_costs_one_list_and_one_read_for_each_role_and_queues_the_enrolled_ones(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.create_role(LAMBDA_STATEMENT, name="stranger", tags={})
    create_policy(world, "head-node", "stranger")
    queued, dropped = send(world, "SetDefaultPolicyVersion")
    assert world.calls == ["ListEntitiesForPolicy", "GetRole", "SendMessage", "GetRole"]
    assert isinstance(queued, ReconcileRequest)
    assert (isinstance(dropped, Dropped), dropped.role_name) == (True, "stranger")


def test_a_policy_that_no_role_uses_or_that_is_gone_leads_to_nothing(world: World) -> None:
    create_policy(world)
    nobody: Reading[tuple[str, ...]] = Present(())
    for reading in (nobody, Absent()):
        dropped = send(world, "CreatePolicyVersion", roles=OneAnswer(Absent(), reading))
        assert isinstance(dropped, Dropped)
        assert POLICY in dropped.why


def test_a_policy_whose_roles_cannot_be_listed_is_an_error_and_not_dropped(world: World) -> None:
    with pytest.raises(RemediatorError, match="AccessDenied"):
        send(world, "CreatePolicyVersion", roles=OneAnswer(Absent(), Unreadable("AccessDenied")))


class Roles:
    """A reader of many roles that share a policy; those in ``readings`` have their own answers or errors."""

    def __init__(self, names: tuple[str, ...], **readings: Reading[Role] | RemediatorError) -> None:
        self._names = names
        self._readings = readings

    def roles_of_policy(self, policy_arn: str) -> Reading[tuple[str, ...]]:
        return Present(self._names)

    def read_role(self, role_name: str) -> Reading[Role]:
        reading = self._readings.get(role_name, Present(a_role(LAMBDA_STATEMENT)))
        if isinstance(reading, RemediatorError):
            raise reading
        return reading


def test_a_role_that_vanished_meanwhile_costs_the_others_nothing(world: World) -> None:
    gone, kept = send(world, "CreatePolicyVersion", roles=Roles(("gone", "kept"), gone=Absent()))
    assert (isinstance(gone, Dropped), isinstance(kept, ReconcileRequest)) == (True, True)


@pytest.mark.parametrize(
    "failure",
    [Unreadable("iam:GetRole failed with AccessDenied"), ThrottledError("iam:GetRole", "Throttling", "Rate exceeded")],
    ids=["unreadable", "throttled"],
)
def test_a_role_that_fails_costs_the_others_nothing_and_the_event_comes_back(
    failure: Reading[Role] | RemediatorError, world: World
) -> None:
    roles = Roles(("a", "b", "c"), b=failure)
    with pytest.raises(RemediatorError, match="1 of the 3 roles"):
        send(world, "CreatePolicyVersion", roles=roles)
    assert [request.role_name for request in requests(world)] == ["a", "c"]
    send(world, "CreatePolicyVersion", roles=Roles(("a", "b", "c")))
    assert sorted(request.role_name for request in requests(world)) == ["a", "b", "c"]


class Full:
    """A queue that does not take the requests of one role."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def send(self, request: ReconcileRequest) -> None:
        if request.role_name == "a":
            raise TransientError("sqs:SendMessage", "RequestThrottled", "")
        self.taken.append(request.role_name)


def test_a_role_that_cannot_be_queued_costs_the_others_nothing(world: World) -> None:
    queue = Full()
    with pytest.raises(RemediatorError, match="1 of the 2 roles"):
        send(world, "CreatePolicyVersion", roles=Roles(("a", "b")), work=queue)
    assert queue.taken == ["b"]


def test_a_policy_of_very_many_roles_asks_for_one_sweep_of_all_clouds_and_reads_no_role(world: World) -> None:
    names = tuple(f"role-{number:03}" for number in range(MOST_ROLES_OF_A_POLICY + 1))
    unread: dict[str, Any] = dict.fromkeys(names, ThrottledError("iam:GetRole", "Throttling", ""))
    assert isinstance(send(world, "CreatePolicyVersion", roles=Roles(names, **unread)), SweepRequest)
    (request,) = sweeps(world)
    assert (request.clouds, request.reason) == (None, SweepReason.EVENT)
    assert request.cause is not None
    assert request.cause.call == "CreatePolicyVersion"
    assert len(send(world, "CreatePolicyVersion", roles=Roles(names[1:]))) == MOST_ROLES_OF_A_POLICY
    assert len(sweeps(world)) == 1


def test_a_version_that_is_no_default_costs_no_call(world: World) -> None:
    event = load("CreatePolicyVersion")
    event["detail"]["requestParameters"]["setAsDefault"] = False
    event["detail"]["responseElements"]["policyVersion"]["isDefaultVersion"] = False
    assert isinstance(send(world, event), Dropped)
    assert world.calls == []


# Buckets, keys, the account.


def by_role(name: str, arn: str) -> Event:
    """The event of a call that a session of a role made."""
    event = load(name)
    event["detail"]["userIdentity"] = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": arn}},
    }
    return event


@pytest.mark.parametrize("name", ["PutBucketPolicy", "DeleteBucketPolicy"])
def test_our_own_write_of_a_bucket_policy_asks_for_no_sweep_and_anybody_elses_does(name: str, world: World) -> None:
    dropped = send(world, by_role(name, OWN_ROLE_ARN), settings=two_clouds())
    assert isinstance(dropped, Dropped)
    assert "written by ourselves" in dropped.why
    assert isinstance(send(world, by_role(name, f"{OWN_ROLE_ARN}-2"), settings=two_clouds()), SweepRequest)


def test_our_own_write_to_a_role_is_queued_because_the_look_at_it_verifies_it(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert isinstance(send(world, by_role("PutRolePolicy", OWN_ROLE_ARN)), ReconcileRequest)


def test_what_concerns_a_bucket_or_a_key_costs_one_call_to_the_sweep_queue_alone(world: World) -> None:
    for name in ("PutBucketPolicy", "DisableKey", "PutAccountPublicAccessBlock"):
        assert isinstance(send(world, name, settings=two_clouds()), SweepRequest)
        assert world.calls == []  # the sweep queue's client is not recorded
    assert len(sweeps(world)) == 3


def test_a_bucket_or_key_that_is_not_configured_is_dropped_with_its_name(world: World) -> None:
    assert send(world, "PutBucketPolicy") == Dropped(f"bucket {DATASETS} is not in the configuration")
    assert send(world, "DisableKey") == Dropped(f"key {KEY} is not in the configuration")
    assert sweeps(world) == []


def test_a_bucket_of_one_cloud_leads_to_that_cloud(world: World) -> None:
    swept = send(world, "DeleteBucket", settings=settings())
    assert isinstance(swept, SweepRequest)
    assert swept.clouds == ("production",)


def test_a_malformed_event_is_raised_for_the_dead_letter_queue(world: World) -> None:
    event = load("TagRole")
    event["detail"]["requestParameters"] = None
    with pytest.raises(MalformedEvent):
        send(world, event)


def test_the_example_role_is_the_one_of_the_fixtures() -> None:
    assert a_role().arn.name == load("TagRole")["detail"]["requestParameters"]["roleName"]


def test_a_time_in_the_future_is_fresh(world: World) -> None:
    with pytest.raises(NotYetVisible):
        send(world, "CreateRole", later=timedelta(minutes=-5))
    assert moment("CreateRole").tzinfo is UTC


def test_a_request_says_what_the_call_gave_our_two_tags(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    event = load("TagRole")
    event["detail"]["requestParameters"]["tags"] = [
        {"key": "anyscale:cluster-role", "value": "production"},
        {"key": "anyscale:remediation", "value": "r" * 1000},
        {"key": "Name", "value": "x"},
    ]
    send(world, event)
    (request,) = requests(world)
    assert (request.cause.enrolls, request.cause.mode) == ("production", "r" * 256)


def test_a_request_for_another_call_says_nothing_of_tags(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    send(world, "UpdateAssumeRolePolicy")
    (request,) = requests(world)
    assert (request.cause.enrolls, request.cause.mode) == (None, None)


def test_one_of_our_own_roles_is_queued_to_be_refused(world: World) -> None:
    name = "AnyscaleRemediator-RouterRole1234"
    world.create_role(LAMBDA_STATEMENT, name=name, path="/")
    event = load("UpdateAssumeRolePolicy")
    event["detail"]["requestParameters"]["roleName"] = name
    send(world, event)
    assert [request.role_name for request in requests(world)] == [name]


def test_a_name_of_an_instance_profile_that_becomes_free_is_told_to_the_role_of_that_name(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.create_role(LAMBDA_STATEMENT, name="worker")
    event = load("RemoveRoleFromInstanceProfile")
    event["detail"]["requestParameters"].update(instanceProfileName="worker", roleName="head-node")
    send(world, event)
    assert sorted(request.role_name for request in requests(world)) == ["head-node", "worker"]


def test_of_two_roles_that_an_instance_profile_concerns_one_that_cannot_be_read_does_not_keep_the_other(
    world: World,
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    event = load("RemoveRoleFromInstanceProfile")
    event["detail"]["requestParameters"].update(instanceProfileName="worker", roleName="head-node")
    throttled = raising(ThrottledError("iam:GetRole", "Throttling", ""))
    with pytest.raises(RemediatorError, match="1 of the 2 roles that the instance profile concerns"):
        send(world, event, roles=world.disturbed_roles(before_read_role_2=throttled))
    assert [request.role_name for request in requests(world)] == ["head-node"]


def test_where_roles_must_be_approved_that_the_tag_was_taken_away_is_told_to_the_reconciler(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})
    event = load("UntagRole")
    event["detail"]["requestParameters"]["tagKeys"] = ["anyscale:cluster-role"]
    send(world, event)
    assert requests(world) == []
    world.settings = replace(world.settings, approvers=(PrincipalPattern(f"arn:aws:iam::{ACCOUNT}:role/platform/*"),))
    send(world, event)
    (request,) = requests(world)
    assert request.cause.enrolls == ""
