"""Two roles of one bucket that are repaired at the same time: neither takes the other's access away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, BrokenBarrierError, Lock
from time import sleep
from typing import Any

import pytest

from remediator.core.events.event import RoleTrigger
from remediator.core.events.request import ReconcileRequest, parse_request, request_for, request_json
from remediator.core.repair.outcome import OutcomeKind
from remediator.errors import Misrouted
from remediator.handlers import reconciler
from remediator.settings import Settings
from remediator.settings_check import parse_settings
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, a_cause, settings
from tests.functional.faults import once, throttled
from tests.functional.test_handlers import Context, batch, failures, functions, hand
from tests.functional.world import ROLE, World

__all__ = ["functions"]  # the fixture that gives the functions their environment

OTHER_ROLE = "worker"
ROLES = (ROLE, OTHER_ROLE)


@pytest.fixture(autouse=True)
def roles(world: World) -> None:
    world.settings = settings(grant="bucket-policy")
    for name in ROLES:
        world.create_role(EC2_STATEMENT, name=name)


def request(role: str, configured: Settings, cloud: str = "production") -> ReconcileRequest:
    """The request of a role as the router makes it."""
    found = configured.cloud(cloud)
    assert found is not None
    return request_for(RoleTrigger(ACCOUNT, role, a_cause()), bucket=configured.shared_bucket(found))


def clouds(**buckets_and_grants: tuple[str, dict[str, str]]) -> Settings:
    return parse_settings(
        {
            "clouds": {
                name: {
                    "buckets": [{"name": bucket, "region": "us-east-1"} for bucket in buckets.split()],
                    "roles": [f"anyscale/{name}/*"],
                    **options,
                }
                for name, (buckets, options) in buckets_and_grants.items()
            }
        }
    )


BY_BUCKET = {"grant": "bucket-policy"}


def test_all_roles_whose_repairs_write_a_common_bucket_policy_have_one_group() -> None:
    configured = clouds(
        one=("anyscale-a", BY_BUCKET),
        two=("anyscale-a anyscale-b", {"formerGrant": "bucket-policy"}),
        three=("anyscale-b anyscale-c", BY_BUCKET),
    )
    groups = {request(role, configured, cloud).group for role in ROLES for cloud in ("one", "two", "three")}
    assert len(groups) == 1


def test_roles_whose_repairs_write_no_common_document_wait_for_nobody() -> None:
    configured = clouds(
        one=("anyscale-a", BY_BUCKET), two=("anyscale-b", BY_BUCKET), three=("anyscale-a anyscale-b", {})
    )
    groups = [request(ROLE, configured, "one").group, request(ROLE, configured, "two").group]
    groups += [request(role, configured, "three").group for role in ROLES]
    assert len(set(groups)) == 4


def test_two_roles_of_a_bucket_in_one_batch_are_both_named(world: World) -> None:
    for name in ROLES:
        world.queue.send(request(name, world.settings))
    event = batch(*(message["Body"] for message in world.queued()))
    for record in event["Records"]:
        record["attributes"]["MessageGroupId"] = "one group"
    assert reconciler.handle(event, Context()) == {"batchItemFailures": []}
    assert world.named_in() == [*ROLES]


def test_a_role_that_fails_holds_up_the_others_of_its_group_and_none_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ROLES:
        world.queue.send(request(name, world.settings))
    event = batch(*(message["Body"] for message in world.queued()))
    for record in event["Records"]:
        record["attributes"]["MessageGroupId"] = "one group"
    disturbed = world.disturbed_buckets(before_read_bucket_1=throttled())
    hand(monkeypatch, reconciler, buckets=disturbed)
    assert failures(reconciler.handle(event, Context())) == ["m0", "m1"]
    assert world.bucket_policy() is None
    assert failures(reconciler.handle(event, Context())) == []
    assert world.named_in() == [*ROLES]


class Functions:
    """Two functions that work off the queue side by side, each message by itself.

    Just before either writes the policy of the bucket, it waits some seconds for the other to be about to write too.
    """

    def __init__(self, world: World, *, wait: float) -> None:
        self._world = world
        self._wait = wait
        self._queue = Lock()  # SQS hands a message out to one consumer only; the queue in memory needs help with it
        self._about_to_write = Barrier(len(ROLES))

    def work_off_the_queue(self) -> None:
        with ThreadPoolExecutor(len(ROLES)) as pool:
            list(pool.map(lambda _: self._work(), range(len(ROLES))))

    def _work(self) -> None:
        while self._left():
            for message in self._received():
                role = parse_request(message["Body"]).role_name
                buckets = self._world.disturbed_buckets(before_write_policy=self._meet)
                self._world.reconcile(role=role, buckets=buckets)
                with self._queue:
                    self._world.sqs.delete_message(
                        QueueUrl=self._world.queue_url, ReceiptHandle=message["ReceiptHandle"]
                    )
            sleep(0.01)

    def _left(self) -> int:
        with self._queue:
            answer = self._world.sqs.get_queue_attributes(QueueUrl=self._world.queue_url, AttributeNames=["All"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def _received(self) -> Any:
        with self._queue:
            answer = self._world.sqs.receive_message(QueueUrl=self._world.queue_url, MaxNumberOfMessages=1)
        return answer.get("Messages", [])

    def _meet(self) -> None:
        try:
            self._about_to_write.wait(self._wait)
        except BrokenBarrierError:
            return  # nobody came


def test_two_roles_of_a_bucket_in_two_functions_at_the_same_time_are_both_named(world: World) -> None:
    for name in ROLES:
        world.queue.send(request(name, world.settings))
    Functions(world, wait=0.5).work_off_the_queue()
    assert sorted(world.named_in()) == sorted(ROLES)


def test_without_the_common_group_one_of_them_would_be_lost(world: World) -> None:
    for name in ROLES:
        world.queue.send(ReconcileRequest(ACCOUNT, name, a_cause(), bucket=None))
    Functions(world, wait=30).work_off_the_queue()
    assert len(world.named_in()) == 1


def test_a_role_that_is_named_between_the_look_at_another_and_its_write_stays_named(world: World) -> None:
    def name_the_other() -> None:
        world.reconcile(role=OTHER_ROLE)

    outcome = world.reconcile(buckets=world.disturbed_buckets(before_read_policy=once(name_the_other)))
    assert outcome.kind is OutcomeKind.REPAIRED
    assert sorted(world.named_in(BUCKET)) == sorted(ROLES)


class TestARequestInTheWrongGroup:
    """Tags or configuration have changed since it was queued; others may write the same bucket policy meanwhile."""

    @pytest.fixture(autouse=True)
    def consumed(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CONSUMED_QUEUE_URL", world.queue_url)

    def test_is_queued_again_in_the_right_one_and_nothing_is_written(self, world: World) -> None:
        stale = [ReconcileRequest(ACCOUNT, name, a_cause(), bucket=None) for name in ROLES]
        assert failures(reconciler.handle(batch(*map(request_json, stale)), Context())) == []
        assert world.bucket_policy() is None
        moved = [parse_request(message["Body"]) for message in world.queued()]
        assert moved == [request(name, world.settings) for name in ROLES]
        Functions(world, wait=0.5).work_off_the_queue()
        assert sorted(world.named_in()) == sorted(ROLES)

    def test_is_moved_out_of_a_group_that_is_too_wide_as_well(self, world: World) -> None:
        world.settings = settings()
        stale = ReconcileRequest(ACCOUNT, ROLE, a_cause(), bucket=BUCKET)
        assert failures(reconciler.handle(batch(request_json(stale)), Context())) == []
        assert world.inline() == {}
        (moved,) = world.queued()
        assert parse_request(moved["Body"]).bucket is None

    def test_fails_and_comes_back_where_it_cannot_be_queued(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONSUMED_QUEUE_URL", f"{world.queue_url}-gone")
        stale = ReconcileRequest(ACCOUNT, ROLE, a_cause(), bucket=None)
        assert failures(reconciler.handle(batch(request_json(stale)), Context())) == ["m0"]
        assert world.bucket_policy() is None

    def test_stops_what_is_under_way_where_the_tag_changes_to_such_a_cloud_meanwhile(self, world: World) -> None:
        both = replace(settings().clouds[0], name="research")
        world.settings = replace(world.settings, clouds=(*world.settings.clouds, both))
        world.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:cluster-role", "Value": "research"}])
        retag = once(
            lambda: world.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:cluster-role", "Value": "production"}])
        )
        with pytest.raises(Misrouted):
            world.reconcile(roles=world.disturbed_roles(before_read_policies=retag), group=None)
        assert world.bucket_policy() is None
