"""A sweep: what it finds of each role, whom it queues, and that it comes to its end in accounts of any size."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from remediator.core.events.request import ReconcileRequest, parse_request
from remediator.core.events.sweep import (
    Sweep,
    SweepCounts,
    SweepReason,
    SweepRequest,
    begin_sweep,
    is_sweep,
    parse_sweep,
    sweep_json,
)
from remediator.core.model.bucket import Bucket
from remediator.core.model.scan import UnreadableRole
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.outcome import OutcomeKind
from remediator.errors import DeniedError, RejectedError, ThrottledError, TransientError, UnknownAwsError
from remediator.flows.sweep import Swept, sweep
from remediator.gateways.account import AccountScan
from remediator.gateways.iam import IamGateway
from remediator.gateways.world import World as GivenWorld
from remediator.settings import Settings
from remediator.settings_check import parse_settings
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
from tests.functional.faults import interfering, raising
from tests.functional.stub_account import StubAccount, raw_role
from tests.functional.world import NOW, ROLE, World

TAG = "anyscale:cluster-role"
CONDITIONAL = {**EC2_STATEMENT, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"

BY_DAY = SweepRequest(SweepReason.SCHEDULE, time=NOW)
AT_MIDNIGHT = SweepRequest(SweepReason.SCHEDULE, time=NOW.replace(hour=0))
DEPLOYMENT = SweepRequest(SweepReason.DEPLOYMENT)


def event(*clouds: str, event_id: str = "e-1") -> SweepRequest:
    """A request because of an event that concerns some clouds, or all of them."""
    return SweepRequest(SweepReason.EVENT, clouds or None, replace(a_cause("PutBucketPolicy"), event_id=event_id))


def begun(*requests: SweepRequest, sweep_id: str = "s-1") -> Sweep:
    return begin_sweep(requests or (BY_DAY,), sweep_id=sweep_id, started=NOW, interval=timedelta(hours=1))


def names(requests: list[ReconcileRequest]) -> list[str]:
    return [request.role_name for request in requests]


@dataclass
class Buckets:
    """Buckets without policies, or whatever else is given for one; ``read`` are the names that were read."""

    found: dict[str, Reading[Bucket] | Exception] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:
        self.read.append(name)
        found = self.found.get(name, Present(Bucket(name, account, region, Absent())))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Sweeper:
    """All that a sweep of a stubbed account needs, and what came of it."""

    account: StubAccount
    settings: Settings = field(default_factory=settings)
    buckets: Buckets = field(default_factory=Buckets)
    queued: list[ReconcileRequest] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    unsettled: tuple[str, ...] = ()
    unreadable: list[tuple[UnreadableRole, Exception | None]] = field(default_factory=list)

    def send_all(self, requests: tuple[ReconcileRequest, ...]) -> None:
        self.queued.extend(requests)

    def send(self, request: Sweep) -> None:
        self.unfinished.append(sweep_json(request))

    def run(self, asked: Sweep | None = None, **overrides: Any) -> Swept:
        client: Any = self.account
        remaining = overrides.pop("remaining", lambda: 300_000)
        given: dict[str, Any] = {
            "account": ACCOUNT,
            "settings": self.settings,
            "clock": lambda: NOW,
            "scan": AccountScan(client, TAG),
            "roles": IamGateway(client),
            "buckets": self.buckets,
            "history": self,
            "work": self,
            "sweeps": self,
            **overrides,
        }
        on_unreadable = lambda role: self.unreadable.append((role, role.error))  # noqa: E731 - it has no name
        return sweep(asked or begun(), GivenWorld(**given), remaining=remaining, on_unreadable=on_unreadable)

    def pending_roles(self) -> tuple[str, ...]:
        return self.unsettled

    def counts(self, asked: Sweep | None = None, **overrides: Any) -> SweepCounts:
        swept = self.run(asked, **overrides)
        assert swept.is_complete
        return swept.sweep.counts

    @property
    def names(self) -> list[str]:
        return names(self.queued)


def sweeper(*roles: Any, **arguments: Any) -> Sweeper:
    return Sweeper(StubAccount.of(*roles), **arguments)


def two_clouds(**changes: object) -> Settings:
    """The cloud ``production`` in repair mode, with the given changes, and ``research``, which is only observed."""
    observed = {"buckets": [{"name": "research-data", "region": "us-west-2"}], "roles": ["anyscale/research/*"]}
    production = {"buckets": [{"name": BUCKET, "region": "us-east-1"}], "roles": ["anyscale/production/*"], **changes}
    return parse_settings({"clouds": {"production": production, "research": {**observed, "mode": "observe"}}})


# In an account of moto's, which answers as AWS does, but with a single page.


def sweep_world(
    world: World, *requests: SweepRequest, sweep_id: str = "s-1"
) -> tuple[SweepCounts, list[ReconcileRequest]]:
    """Sweep the account; the counts, and what was queued, sorted by the roles' names."""
    world.calls.clear()
    swept = sweep(
        begun(*requests, sweep_id=sweep_id),
        world.given(scan=AccountScan(world.iam, TAG), now=NOW),
        remaining=lambda: 300_000,
        on_unreadable=lambda role: None,
    )
    assert swept.is_complete
    return swept.sweep.counts, sorted(taken(world), key=lambda request: request.role_name)


def taken(world: World) -> list[ReconcileRequest]:
    """The requests of the work queue, which is empty afterwards."""
    requests = []
    while received := world.sqs.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in received:
            requests.append(parse_request(message["Body"]))
            world.sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return requests


@pytest.fixture
def peopled(world: World) -> World:
    """An account with one role of each kind, named after what is to be said of it."""
    world.settings = two_clouds()
    world.s3.create_bucket(Bucket="research-data")
    world.create_role(EC2_STATEMENT, name="clean")
    world.create_role(LAMBDA_STATEMENT, name="drifted")
    world.create_role(CONDITIONAL, name="undecided")
    world.create_role(EC2_STATEMENT, name="refused", path="/elsewhere/")
    world.create_role(LAMBDA_STATEMENT, name="off", tags={**ENROLLED, "anyscale:remediation": "off"})
    world.create_role(EC2_STATEMENT, name="observed", path="/anyscale/research/", tags={TAG: "research"})
    world.create_role(LAMBDA_STATEMENT, name="not-ours", tags={"Anyscale:Cluster-Role": "production"})
    for name in ("clean", "drifted", "undecided"):
        world.grant(bucket_grant(), role=name)
    return world


EVERY_KIND = SweepCounts(scanned=7, enrolled=4, clean=1, drifted=2, undecided=1, refused=1, off=1)


def test_every_kind_of_role_is_counted_once(peopled: World) -> None:
    counts, queued = sweep_world(peopled)
    assert counts == EVERY_KIND + SweepCounts(queued=1, missed=1)
    assert names(queued) == ["drifted"]


@pytest.mark.parametrize(
    ("requests", "queued"),
    [
        ((BY_DAY,), ["drifted"]),
        ((AT_MIDNIGHT,), ["drifted", "observed", "refused", "undecided"]),
        ((DEPLOYMENT,), ["drifted", "observed", "refused", "undecided"]),
        ((event(),), ["drifted", "observed", "refused", "undecided"]),
        ((event("production"),), ["drifted", "refused", "undecided"]),
        ((event("research"),), ["observed"]),
        ((event("elsewhere"),), []),
        ((BY_DAY, event("research")), ["drifted", "observed"]),
        ((event("research"), DEPLOYMENT), ["drifted", "observed", "refused", "undecided"]),
    ],
)
def test_what_can_be_repaired_is_queued_always_and_what_stands_where_it_is_to_be_told(
    peopled: World, requests: tuple[SweepRequest, ...], queued: list[str]
) -> None:
    counts, found = sweep_world(peopled, *requests)
    assert names(found) == queued
    assert counts.queued == len(queued)


def test_a_sweep_because_of_an_event_looks_at_the_roles_of_its_clouds_only(peopled: World) -> None:
    counts, _ = sweep_world(peopled, event("research"))
    assert counts == SweepCounts(scanned=7, enrolled=1, drifted=1, queued=1)
    assert peopled.calls.count("GetBucketPolicy") == 1


def test_a_role_is_queued_with_the_event_that_concerns_it_or_else_with_the_sweep(peopled: World) -> None:
    _, found = sweep_world(peopled, AT_MIDNIGHT, event("research", event_id="e-7"))
    assert {request.role_name: request.cause.event_id for request in found} == {
        "drifted": "s-1",
        "observed": "e-7",
        "refused": "s-1",
        "undecided": "s-1",
    }
    assert [request.role_name for request in found if not is_sweep(request.cause)] == ["observed"]


def test_roles_whose_repair_writes_bucket_policies_are_queued_in_the_group_of_the_bucket(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    _, (by_role,) = sweep_world(world)
    owned = {"name": BUCKET, "region": "us-east-1", "account": ACCOUNT}
    world.settings = settings(grant="bucket-policy", account=ACCOUNT, buckets=[owned])
    _, (by_bucket,) = sweep_world(world, sweep_id="s-2")
    assert by_role.group == f"{ACCOUNT}/role/head-node"
    assert by_bucket.group == f"{ACCOUNT}/bucket/{BUCKET}"


def test_a_role_that_was_broken_without_any_event_is_found_queued_and_repaired(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    assert sweep_world(world) == (SweepCounts(scanned=1, enrolled=1, clean=1), [])
    world.iam.update_assume_role_policy(RoleName="head-node", PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))
    counts, (request,) = sweep_world(world, sweep_id="s-2")
    assert counts == SweepCounts(scanned=1, enrolled=1, drifted=1, queued=1, missed=1)
    assert world.reconcile(request.cause).kind is OutcomeKind.REPAIRED
    assert world.trusts_ec2()
    assert sweep_world(world, sweep_id="s-3") == (SweepCounts(scanned=1, enrolled=1, clean=1), [])


def test_a_sweep_and_a_reconcile_see_the_same_role(peopled: World) -> None:
    _, found = sweep_world(peopled, DEPLOYMENT)
    outcomes = {request.role_name: peopled.reconcile(request.cause, role=request.role_name).kind for request in found}
    assert outcomes == {
        "drifted": OutcomeKind.REPAIRED,
        "observed": OutcomeKind.WOULD_REPAIR,
        "refused": OutcomeKind.REFUSED,
        "undecided": OutcomeKind.MANUAL_ACTION,
    }
    for name, kind in (("clean", OutcomeKind.CLEAN), ("off", OutcomeKind.OFF)):
        assert peopled.reconcile(role=name).kind is kind


def test_managed_policies_and_the_boundary_count_and_each_is_read_once(world: World) -> None:
    allowed = world.iam.create_policy(PolicyName="allowed", PolicyDocument=json.dumps(policy(bucket_grant())))
    nothing = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    bounding = world.iam.create_policy(PolicyName="bounding", PolicyDocument=json.dumps(policy(nothing)))
    for name in ("one", "two", "bounded"):
        world.create_role(EC2_STATEMENT, name=name)
        world.iam.attach_role_policy(RoleName=name, PolicyArn=allowed["Policy"]["Arn"])
    world.iam.put_role_permissions_boundary(RoleName="two", PermissionsBoundary=allowed["Policy"]["Arn"])
    world.iam.put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=bounding["Policy"]["Arn"])
    counts, _ = sweep_world(world)
    assert counts == SweepCounts(scanned=3, enrolled=3, clean=2, undecided=1)
    assert Counter(world.calls) == {
        "GetPolicy": 2,
        "GetPolicyVersion": 2,
        "GetBucketPolicy": 1,
        "GetBucketEncryption": 1,
    }


@pytest.mark.parametrize(
    ("mode", "by_day", "counted"),
    [
        ("repair", ["head-node"], SweepCounts(drifted=1, queued=1, missed=1)),
        ("report", [], SweepCounts(undecided=1)),
        ("ignore", [], SweepCounts(clean=1)),
    ],
)
def test_a_role_without_an_instance_profile_needs_a_look_where_the_cloud_has_it_repaired(
    world: World, mode: str, by_day: list[str], counted: SweepCounts
) -> None:
    world.settings = settings(instanceProfile=mode)
    world.create_role(EC2_STATEMENT, profile=False)
    world.grant(bucket_grant())
    counts, found = sweep_world(world)
    assert counts == counted + SweepCounts(scanned=1, enrolled=1)
    assert names(found) == by_day


def test_an_instance_profile_that_holds_another_role_is_a_matter_for_a_person_and_told_once_a_day(world: World) -> None:
    world.settings = settings(instanceProfile="repair")
    world.create_role(EC2_STATEMENT, profile=False)
    world.grant(bucket_grant())
    world.create_role(EC2_STATEMENT, name="other", tags={}, profile=False)
    world.iam.create_instance_profile(InstanceProfileName=ROLE)
    world.iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName="other")
    counts, found = sweep_world(world)
    assert counts == SweepCounts(scanned=2, enrolled=1, undecided=1)
    assert found == []


# In accounts that moto cannot make.


def test_an_account_of_five_thousand_roles_takes_as_many_calls_as_it_has_pages_policies_and_buckets() -> None:
    shared = [f"arn:aws:iam::{ACCOUNT}:policy/shared-{number}" for number in range(3)]

    def role(number: int) -> Any:
        if number % 10:
            return raw_role(f"role-{number}", path="/team/", tags={"team": "ml"}, attached=(f"{shared[0]}-of-others",))
        trust = LAMBDA_STATEMENT if number % 1000 == 0 else EC2_STATEMENT
        return raw_role(f"role-{number}", trust, attached=(shared[number % 3],), boundary=None)

    whole = Sweeper(StubAccount(5_000, role))
    assert whole.counts() == SweepCounts(scanned=5_000, enrolled=500, clean=495, drifted=5, queued=5, missed=5)
    assert whole.account.calls == {"GetAccountAuthorizationDetails": 5, "GetPolicy": 3, "GetPolicyVersion": 3}
    assert whole.buckets.read == [BUCKET]
    assert whole.names == [f"role-{number}" for number in range(0, 5_000, 1_000)]


def test_memory_does_not_grow_with_the_roles_that_are_not_enrolled() -> None:
    def peak(roles: int) -> int:
        account = StubAccount(roles, lambda number: raw_role(f"role-{number}", tags={"team": "ml"}), pages=(100,))
        tracemalloc.start()
        Sweeper(account).run()
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(3_000) < 1.5 * peak(300)


def test_of_a_page_only_the_roles_that_carry_the_tag_are_kept() -> None:
    account: Any = StubAccount(1_000, lambda number: raw_role(f"role-{number}", tags=None if number == 7 else {}))
    page = AccountScan(account, TAG).page()
    assert (page.scanned, len(page.roles), page.next_marker) == (1_000, 1, None)


@pytest.mark.parametrize("pages", [(4,), (1,), (3, 0, 2, 0, 0, 1), (0, 4), (2, 2)])
def test_short_and_empty_pages_are_followed_to_the_last(pages: tuple[int, ...]) -> None:
    roles = [raw_role(f"role-{number}", LAMBDA_STATEMENT) for number in range(4)]
    found = Sweeper(StubAccount.of(*roles, pages=pages))
    assert found.counts().scanned == 4
    assert found.names == [f"role-{number}" for number in range(4)]


def test_an_account_without_roles_is_swept() -> None:
    assert sweeper().counts() == SweepCounts()


@pytest.mark.parametrize("answer", [{"IsTruncated": True}, {"IsTruncated": True, "Marker": "1"}])
def test_a_page_that_leads_nowhere_though_there_is_another_is_an_error_and_no_loop(answer: Any) -> None:
    class Stuck(StubAccount):
        def get_account_authorization_details(self, **arguments: Any) -> Any:
            self._called("GetAccountAuthorizationDetails")
            return {"RoleDetailList": [], **answer}

    stuck = Sweeper(Stuck.of())
    with pytest.raises(UnknownAwsError, match="no marker"):
        stuck.run()
    assert stuck.account.calls.total() <= 2


def clock(*, looks: int) -> Callable[[], int]:
    """The milliseconds of an invocation whose time is up after so many looks at the clock."""
    left = iter([300_000] * looks)
    return lambda: next(left, 0)


@pytest.mark.parametrize("looks", [13, 14, 17, 25, 40])
def test_a_sweep_that_is_cut_off_goes_on_where_it_stopped_and_ends_like_one_that_is_not(looks: int) -> None:
    def role(number: int) -> Any:
        trusts = (EC2_STATEMENT, LAMBDA_STATEMENT, CONDITIONAL)
        return raw_role(
            f"role-{number}", trusts[number % 3], path="/elsewhere/" if number % 7 == 0 else "/anyscale/production/"
        )

    asked = begun(BY_DAY, event("production", "elsewhere"))
    whole = Sweeper(StubAccount(60, role, pages=(10, 0, 5)))
    counts = whole.counts(asked)
    parts = Sweeper(StubAccount(60, role, pages=(10, 0, 5)))
    swept = parts.run(asked, remaining=clock(looks=looks))
    invocations = 1
    while not swept.is_complete:
        unfinished = parse_sweep(parts.unfinished.pop())
        assert isinstance(unfinished, Sweep)
        swept = parts.run(unfinished, remaining=clock(looks=looks))
        invocations += 1
    assert invocations > 1
    assert swept.sweep.counts == counts
    assert {request.deduplication_id for request in parts.queued} == {r.deduplication_id for r in whole.queued}
    assert set(parts.names) == set(whole.names)
    assert parts.unfinished == []


def test_a_sweep_that_comes_to_no_page_s_end_is_an_error_and_asks_for_no_other_without_end() -> None:
    endless = Sweeper(StubAccount.of(*(raw_role(f"role-{number}", LAMBDA_STATEMENT) for number in range(9))))
    for looks in (0, 5):
        with pytest.raises(TransientError, match="time was up"):
            endless.run(remaining=clock(looks=looks))
    assert endless.unfinished == []
    assert endless.names == ["role-0", "role-1", "role-2", "role-3"], "what was found is not lost"


def test_a_marker_that_aws_refuses_is_given_up_and_the_sweep_begins_anew_once() -> None:
    forgetful = sweeper(raw_role("head-node", LAMBDA_STATEMENT))
    forgetful.account.fail = lambda operation, arguments: (
        "ValidationError" if arguments.get("Marker") == "stale" else None
    )
    stale = replace(begun(), marker="stale", counts=SweepCounts(scanned=1_000))
    swept = forgetful.run(stale)
    assert swept.is_complete
    assert swept.sweep.restarted
    assert swept.sweep.counts == SweepCounts(scanned=1, enrolled=1, drifted=1, queued=1, missed=1)
    with pytest.raises(RejectedError):
        forgetful.run(replace(stale, restarted=True))


@pytest.mark.parametrize(("code", "error"), [("Throttling", TransientError), ("AccessDenied", DeniedError)])
def test_a_page_that_cannot_be_had_is_an_error_and_never_the_end(code: str, error: type[Exception]) -> None:
    roles = [raw_role(f"role-{number}", LAMBDA_STATEMENT) for number in range(4)]
    failing = Sweeper(StubAccount.of(*roles, pages=(2,)))
    failing.account.fail = lambda operation, arguments: code if arguments.get("Marker") == "1" else None
    with pytest.raises(error):
        failing.run()
    with pytest.raises(error):
        failing.run(replace(begun(), marker="1"))
    assert failing.names == ["role-0", "role-1"]


def test_a_bucket_that_is_denied_is_for_a_person_and_the_other_roles_are_judged() -> None:
    denied = sweeper(
        raw_role("head-node"),
        raw_role("notebook", EC2_STATEMENT, path="/anyscale/research/", tags={TAG: "research"}),
        settings=two_clouds(),
        buckets=Buckets({BUCKET: Unreadable("s3:GetBucketPolicy failed with AccessDenied")}),
    )
    assert denied.counts(begun(AT_MIDNIGHT)) == SweepCounts(scanned=2, enrolled=2, undecided=1, drifted=1, queued=2)


def test_a_bucket_that_cannot_be_reached_holds_up_the_roles_of_its_clouds_and_no_others() -> None:
    throttled = sweeper(
        raw_role("notebook", LAMBDA_STATEMENT, path="/anyscale/research/", tags={TAG: "research"}),
        raw_role("laptop", LAMBDA_STATEMENT, path="/anyscale/research/", tags={TAG: "research"}),
        raw_role("head-node", LAMBDA_STATEMENT),
        settings=two_clouds(),
        buckets=Buckets({"research-data": TransientError("s3:GetBucketPolicy", "SlowDown", "Please wait.")}),
    )
    with pytest.raises(TransientError, match="incomplete"):
        throttled.run(begun(AT_MIDNIGHT))
    assert throttled.names == ["head-node"]
    assert throttled.buckets.read.count("research-data") == 1
    with pytest.raises(TransientError, match="incomplete"):
        throttled.run(begun(AT_MIDNIGHT), remaining=clock(looks=3))


def test_a_managed_policy_that_cannot_be_reached_holds_up_the_roles_that_use_it_and_no_others() -> None:
    using = [raw_role(f"using-{number}", LAMBDA_STATEMENT, attached=(BOUNDARY,)) for number in range(3)]
    throttled = sweeper(raw_role("before", LAMBDA_STATEMENT), *using, raw_role("after", LAMBDA_STATEMENT))
    throttled.account.fail = lambda operation, arguments: "ServiceFailure" if operation == "GetPolicy" else None
    with pytest.raises(TransientError, match="incomplete"):
        throttled.run()
    assert throttled.names == ["before", "after"]
    assert throttled.account.calls["GetPolicy"] == 1


def test_instance_profiles_are_listed_once_however_many_roles_have_none_of_their_name() -> None:
    bare = [raw_role(f"role-{number}", profiled=False) for number in range(50)]
    found = sweeper(*bare, settings=settings(instanceProfile="repair"))
    assert found.counts() == SweepCounts(scanned=50, enrolled=50, drifted=50, queued=50, missed=50)
    assert found.account.calls == {"GetAccountAuthorizationDetails": 1, "ListInstanceProfiles": 1}


def test_a_list_of_instance_profiles_that_cannot_be_had_holds_up_only_the_roles_that_need_it() -> None:
    bare = [raw_role(f"bare-{number}", profiled=False) for number in range(2)]
    throttled = sweeper(
        bare[0], raw_role("broken", LAMBDA_STATEMENT), bare[1], settings=settings(instanceProfile="repair")
    )
    throttled.account.fail = lambda operation, arguments: "Throttling" if operation.startswith("List") else None
    with pytest.raises(TransientError, match="incomplete"):
        throttled.run()
    assert throttled.names == ["broken"]


def test_a_role_that_is_too_powerful_is_counted_as_refused_and_not_pressing() -> None:
    powerful = raw_role("admin", LAMBDA_STATEMENT, inline={"Effect": "Allow", "Action": "*", "Resource": "*"})
    found = sweeper(powerful, raw_role("broken", LAMBDA_STATEMENT))
    assert found.counts() == SweepCounts(scanned=2, enrolled=2, refused=1, drifted=1, queued=1, missed=1)
    assert found.names == ["broken"]


class TestUnsettledRoles:
    def test_are_queued_at_the_end_whatever_was_found_and_none_twice(self) -> None:
        found = sweeper(raw_role("clean"), raw_role("broken", LAMBDA_STATEMENT), unsettled=("broken", "clean", "gone"))
        counts = SweepCounts(scanned=2, enrolled=2, clean=1, drifted=1, queued=3, missed=1, unsettled=2)
        assert found.counts() == counts
        assert found.names == ["broken", "clean", "gone"]
        assert all(is_sweep(request.cause) for request in found.queued)

    def test_are_queued_by_a_sweep_because_of_an_event_if_they_are_of_its_clouds(self) -> None:
        other = raw_role("other", path="/anyscale/research/", tags={TAG: "research"})
        found = sweeper(raw_role("clean"), other, unsettled=("clean", "gone", "other"), settings=two_clouds())
        assert found.counts(begun(event("production"))).unsettled == 1
        (request,) = found.queued
        assert (request.role_name, request.cause.event_id) == ("clean", "e-1")

    def test_keep_the_group_of_their_bucket(self) -> None:
        found = sweeper(raw_role("clean"), unsettled=("clean",), settings=settings(grant="bucket-policy"))
        found.counts()
        assert [request.bucket for request in found.queued] == [BUCKET]

    def test_that_cannot_be_read_fail_the_sweep_after_the_others_were_queued(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreadable(_: Sweeper) -> tuple[str, ...]:
            raise ThrottledError("dynamodb:Query", "ThrottlingException", "slow down")

        found = sweeper(raw_role("broken", LAMBDA_STATEMENT))
        monkeypatch.setattr(Sweeper, "pending_roles", unreadable)
        with pytest.raises(TransientError):
            found.run()
        assert found.names == ["broken"]


@pytest.mark.parametrize("used", [{"attached": (BOUNDARY,)}, {"boundary": BOUNDARY}])
def test_a_role_whose_managed_policy_has_gone_meanwhile_is_looked_at_rather_than_judged(used: Any) -> None:
    moving = sweeper(raw_role("head-node", **used), raw_role("worker"))
    moving.account.fail = lambda operation, arguments: "NoSuchEntity" if operation == "GetPolicy" else None
    assert moving.counts() == SweepCounts(scanned=2, enrolled=2, clean=1, undecided=1, queued=1)
    assert moving.names == ["head-node"]


def test_documents_in_the_encoding_of_the_raw_api_are_understood() -> None:
    raw = raw_role("head-node")
    raw["AssumeRolePolicyDocument"] = quote(json.dumps(raw["AssumeRolePolicyDocument"]), safe="")
    raw["RolePolicyList"][0]["PolicyDocument"] = quote(json.dumps(raw["RolePolicyList"][0]["PolicyDocument"]), safe="")
    assert sweeper(raw).counts() == SweepCounts(scanned=1, enrolled=1, clean=1)


def absurd(**changes: Any) -> Any:
    """An enrolled role with other values; a value of None takes the field away."""
    raw = {**raw_role("absurd"), **changes}
    return {key: value for key, value in raw.items() if value is not None}


ABSURD: dict[str, Any] = {
    "no role at all": None,
    "a text": "head-node",
    "an ARN of nothing": absurd(Arn="arn:aws:iam"),
    "no ARN": absurd(Arn=None),
    "a number for an ARN": absurd(Arn=7),
    "a name that no role can have": absurd(RoleName="n" * 500),
    "a name that is not the ARN's": absurd(RoleName="another"),
    "half a character for a name": absurd(RoleName="\ud800"),
    "no id": absurd(RoleId=None),
    "a text for a date": absurd(CreateDate="yesterday"),
    "tags that are no list": absurd(Tags="production"),
    "a tag that is no object": absurd(Tags=["production"]),
    "a tag without a value": absurd(Tags=[{"Key": TAG}]),
    "no list of inline policies": absurd(RolePolicyList=None),
    "an inline policy without a document": absurd(RolePolicyList=[{"PolicyName": "data"}]),
    "an inline policy without a name": absurd(RolePolicyList=[{"PolicyDocument": {}}]),
    "no list of attached policies": absurd(AttachedManagedPolicies=None),
    "an attached policy without an ARN": absurd(AttachedManagedPolicies=[{"PolicyName": "data"}]),
    "a boundary without an ARN": absurd(PermissionsBoundary={}),
    "a number of instance profiles": absurd(InstanceProfileList=3),
    "an instance profile without a name": absurd(InstanceProfileList=[{"Arn": "arn", "Roles": []}]),
}


@pytest.mark.parametrize("raw", ABSURD.values(), ids=ABSURD.keys())
def test_an_absurd_role_is_counted_and_told_and_hides_no_other(raw: Any) -> None:
    others = [raw_role("before", LAMBDA_STATEMENT), raw_role("after", LAMBDA_STATEMENT)]
    found = sweeper(others[0], raw, others[1])
    assert found.counts() == SweepCounts(scanned=3, enrolled=2, drifted=2, unreadable=1, queued=2, missed=2)
    assert found.names == ["before", "after"]
    ((role, error),) = found.unreadable
    assert role.why
    assert error is None
    found.run(begun(AT_MIDNIGHT, sweep_id="s-2"))
    told = ["before", *([] if role.name is None else [role.name]), "after"]
    assert found.names[2:] == told


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("trust", ["not json", [], 7, {"Statement": 7}, {"Statement": nested(100_000)}, {"\ud800": {}}])
def test_a_trust_policy_that_cannot_be_understood_is_for_a_person_and_hides_no_other(trust: Any) -> None:
    found = sweeper(absurd(AssumeRolePolicyDocument=trust), raw_role("after", LAMBDA_STATEMENT))
    counts = found.counts()
    assert counts.refused + counts.unreadable + counts.undecided == 1
    assert found.names == ["after"]


def test_whatever_goes_wrong_with_one_role_is_told_and_hides_no_other() -> None:
    found = sweeper(raw_role("before"), raw_role("unlucky", attached=(BOUNDARY,)), raw_role("after", LAMBDA_STATEMENT))
    client: Any = found.account
    broken = interfering(IamGateway(client), before_read_managed_policy=raising(ZeroDivisionError("a fault of ours")))
    counts = found.counts(roles=broken)
    assert counts == SweepCounts(scanned=3, enrolled=2, clean=1, drifted=1, unreadable=1, queued=1, missed=1)
    ((role, error),) = found.unreadable
    assert (role.name, role.cloud) == ("unlucky", "production")
    assert "a fault of ours" in role.why
    assert isinstance(error, ZeroDivisionError)
    found.run(begun(DEPLOYMENT, sweep_id="s-2"), roles=broken)
    assert found.names == ["after", "unlucky", "after"]


def test_a_role_whose_cloud_is_unknown_is_told_where_all_clouds_are() -> None:
    found = sweeper(absurd(Tags=[{"Key": TAG}]))
    assert found.counts(begun(event("production"))) == SweepCounts(scanned=1)
    assert found.counts(begun(event())) == SweepCounts(scanned=1, unreadable=1, queued=1)
    assert found.names == ["absurd"]


def test_only_drift_that_the_schedule_finds_and_no_event_of_the_batch_tells_of_was_missed() -> None:
    found = sweeper(raw_role("head-node", LAMBDA_STATEMENT))
    assert found.counts(begun(BY_DAY, event("production"))).missed == 0
    assert found.counts(begun(event("production"))).missed == 0
    assert found.counts(begun(DEPLOYMENT)).missed == 0
    assert found.counts(begun(BY_DAY, event("research"))).missed == 1


def test_drift_of_a_role_that_is_only_observed_was_not_missed() -> None:
    observed = raw_role("head-node", LAMBDA_STATEMENT, tags={**ENROLLED, "anyscale:remediation": "observe"})
    assert sweeper(observed).counts() == SweepCounts(scanned=1, enrolled=1, drifted=1)
