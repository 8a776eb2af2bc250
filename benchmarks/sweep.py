"""A sweep beside the plain loop that asks for each role, and sweeps of accounts of several sizes.

``python -m benchmarks.sweep [--rounds N] [--roles N] [--sizes N,N,N] [--json FILE]``. A tenth of the roles is enrolled,
and half of those broken. Beside the loop the account is in memory, and its answers are XML that botocore reads, as
those of AWS are. The loop is what is left without ``GetAccountAuthorizationDetails``: it lists the roles, asks for each
one's tags, and for the policies of those alone that carry ours.

The sweeps of several sizes read pages of 1,000 roles, with six policies each, in the XML that AWS would send; making it
is not counted. Each runs in a process of its own, whose peak of memory is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final, cast

import boto3
from moto import mock_aws
from rich import box
from rich.table import Table

from benchmarks import ROOT
from benchmarks.iam_endpoint import PAGE, is_broken, is_enrolled
from benchmarks.measuring import (
    Headline,
    Json,
    arguments_parser,
    at_least,
    on_one_core,
    ratio,
    seconds_of,
    spread,
    tell,
)
from remediator.core.events.sweep import Sweep, SweepCounts, SweepReason, SweepRequest, begin_sweep
from remediator.core.model.bucket import Bucket
from remediator.core.policy.reading import Absent, Present, Reading
from remediator.flows.sweep import sweep
from remediator.gateways.account import AccountScan
from remediator.gateways.iam import IamGateway
from remediator.gateways.queue import WorkQueue
from remediator.gateways.world import World as GivenWorld
from tests.examples import ACCOUNT, EC2_STATEMENT, ENROLLED, LAMBDA_STATEMENT, bucket_grant, settings
from tests.functional.world import World

DEFAULT_ROUNDS: Final = 5
DEFAULT_ROLES: Final = 1_000
DEFAULT_SIZES: Final = (100, 1_000, 5_000)
_MOST_MEMORY: Final = 256
"""Megabytes, of the 512 that the sweeper has."""

_TAG: Final = "anyscale:cluster-role"
_NOW: Final = datetime(2026, 3, 4, 10, tzinfo=UTC)


@dataclass
class StubQueues:
    """SQS, which takes all that is sent to it: ``calls`` by their operations, and how many messages came."""

    calls: Counter[str] = field(default_factory=Counter)
    messages: int = 0

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Json:  # noqa: N803, ARG002 - the SDK's names
        """Take a batch."""
        self.calls["SendMessageBatch"] += 1
        self.messages += len(Entries)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


@dataclass
class StubBuckets:
    """Buckets without policies, and how often one was read."""

    reads: int = 0

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:  # noqa: ARG002 - the gateway's signature
        """A bucket that has no policy."""
        self.reads += 1
        return Present(Bucket(name, account, region, Absent()))


class NeverContinued:
    """Where an unfinished sweep would go; with all the time in the world, none is unfinished."""

    def send(self, request: Sweep) -> None:
        """Refuse it."""
        raise RuntimeError(f"The sweep was not finished at once, so that nothing was measured: {request}")


def sweep_account(iam: Any, buckets: StubBuckets, queue: WorkQueue) -> SweepCounts:  # noqa: ANN401 - a client of IAM, or its stub
    asked = begin_sweep(
        (SweepRequest(SweepReason.SCHEDULE, time=_NOW),), sweep_id="s-1", started=_NOW, interval=timedelta(hours=1)
    )
    world = GivenWorld(
        account=ACCOUNT,
        settings=settings(),
        clock=lambda: _NOW,
        roles=IamGateway(iam),
        buckets=cast("Any", buckets),
        scan=AccountScan(iam, _TAG),
        history=cast("Any", SimpleNamespace(pending_roles=lambda: ())),
        work=queue,
        sweeps=cast("Any", NeverContinued()),
    )
    swept = sweep(
        asked,
        world,
        remaining=lambda: 300_000,
        on_unreadable=lambda role: None,  # noqa: ARG005 - the counts show it
    )
    if not swept.is_complete:
        raise TypeError(f"The sweep was not completed, so that nothing was measured: {swept}")
    return swept.sweep.counts


# --- beside the plain loop ---


class CountedIam:
    """A client of IAM, whose calls are counted, in an account in memory."""

    def __init__(self) -> None:
        self.client: Any = boto3.client("iam")
        self.calls: Counter[str] = Counter()
        self.client.meta.events.register("before-call", self._note)

    def _note(self, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        self.calls[model.name] += 1

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        """The calls that are made meanwhile."""
        self.calls.clear()
        yield self.calls


def plain_loop(iam: Any) -> int:  # noqa: ANN401 - a client of IAM
    """Read what a sweep reads, role by role; how many of them carry the tag."""
    found = 0
    for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": PAGE}):
        for listed in page["Roles"]:
            name = listed["RoleName"]
            role = iam.get_role(RoleName=name)["Role"]
            if _TAG not in {tag["Key"] for tag in role.get("Tags", ())}:
                continue
            found += 1
            for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.get_role_policy(RoleName=name, PolicyName=inline)
            iam.list_attached_role_policies(RoleName=name)
            iam.list_instance_profiles_for_role(RoleName=name)
    return found


def _furnish(world: World, roles: int) -> None:
    for number in range(roles):
        tags = ENROLLED if is_enrolled(number) else {}
        trust = LAMBDA_STATEMENT if is_broken(number) else EC2_STATEMENT
        name = f"role-{number}"
        world.create_role(trust, name=name, tags=tags, profile=is_enrolled(number))
        world.grant(bucket_grant(), role=name)


def beside_loop(roles: int, rounds: int) -> Json:
    """Both, in turn, after one round to warm up."""
    loops: list[float] = []
    sweeps: list[float] = []
    with mock_aws():
        world = World()
        _furnish(world, roles)
        iam, queues = CountedIam(), StubQueues()
        client: Any = queues
        queue = WorkQueue(client, "https://queue")
        enrolled = sum(map(is_enrolled, range(roles)))
        reads: dict[str, Counter[str]] = {}

        def loop() -> None:
            if plain_loop(iam.client) != enrolled:
                raise RuntimeError("The loop did not find the roles that are enrolled, so that it is no floor.")

        def swept() -> None:
            if sweep_account(iam.client, StubBuckets(), queue).enrolled != enrolled:
                raise RuntimeError("The sweep did not find the roles that are enrolled.")

        works: tuple[tuple[str, Callable[[], None], list[float]], ...] = (
            ("loop", loop, loops),
            ("sweep", swept, sweeps),
        )
        for number in range(rounds + 1):
            for name, work, taken in works:
                with iam.counted() as calls:
                    seconds = seconds_of(work)
                reads[name] = Counter(calls)
                if number:
                    taken.append(seconds)
    return {
        "roles": roles,
        "loop_reads": reads["loop"].total(),
        "sweep_reads": reads["sweep"].total(),
        "loop_seconds": spread(loops).record(),
        "sweep_seconds": spread(sweeps).record(),
        "ratio": ratio(sweeps, loops).record(4),
        "times_fewer_reads": round(reads["loop"].total() / reads["sweep"].total()),
    }


# --- several sizes ---


def size_record(roles: int, rounds: int) -> Json:
    """Sweeps of an account of that many roles, each in a process of its own."""
    runs = [_in_a_process(roles) for _ in range(rounds)]
    return {
        **runs[-1],
        "seconds": spread(run["seconds"] for run in runs).record(4),
        "peak_mb": max(run["peak_mb"] for run in runs),
    }


def _in_a_process(roles: int) -> Json:
    ran = subprocess.run(  # noqa: S603 - no shell, and every argument is ours
        (sys.executable, "-m", "benchmarks.one_sweep", str(roles)),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    record: Json = json.loads(ran.stdout)
    return record


def _sizes_table(sizes: Sequence[Json]) -> Table:
    table = Table(title="Sweeps", box=box.SIMPLE_HEAD)
    columns = (
        "roles",
        "enrolled",
        "broken",
        "reads",
        "of policies",
        "of buckets",
        "writes",
        "messages",
        "s",
        "peak MB",
    )
    for heading in columns:
        table.add_column(heading, justify="right")
    for size in sizes:
        counts = ("roles", "enrolled", "broken", "iam_reads", "policy_reads", "bucket_reads", "writes", "messages")
        table.add_row(
            *(f"{size[name]:,}" for name in counts),
            f"{size['seconds']['median']:.2f}",
            f"{size['peak_mb']:.0f}",
        )
    return table


def sweep_record(beside: Json, sizes: Sequence[Json], rounds: int) -> Json:
    """The figures for programs."""
    largest = sizes[-1]
    return {
        "benchmark": "sweep",
        "rounds": rounds,
        "page": PAGE,
        "beside_loop": beside,
        "sizes": list(sizes),
        "headlines": [
            Headline(
                f"sweep of {beside['roles']:,} roles, beside a loop over them", beside["ratio"]["median"], "times"
            ).record(),
            Headline(
                "reads of IAM in it, beside the loop's, without managed policies",
                beside["sweep_reads"] / beside["loop_reads"],
                "times",
            ).record(),
            Headline(
                f"reads of all roles, for {largest['roles']:,} of them", largest["iam_reads"], "", largest["pages"]
            ).record(),
            Headline(
                f"reads of managed policies and instance profiles for {largest['roles']:,} roles",
                largest["policy_reads"] + largest["other_reads"],
                "",
            ).record(),
            Headline(f"processor's time for {largest['roles']:,} roles", largest["seconds"]["median"], "s").record(),
            Headline(f"peak memory for {largest['roles']:,} roles", largest["peak_mb"], "MB", _MOST_MEMORY).record(),
        ],
    }


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(at_least(1)(part) for part in text.split(","))


def main(arguments: Sequence[str] | None = None) -> int:
    """Sweep, and tell."""
    parser = arguments_parser("sweep", __doc__)
    parser.add_argument("--rounds", type=at_least(1), default=DEFAULT_ROUNDS, help="how often each is done")
    parser.add_argument("--roles", type=at_least(1), default=DEFAULT_ROLES, help="roles beside the loop")
    parser.add_argument("--sizes", type=_numbers, default=DEFAULT_SIZES, metavar="N,N", help="sizes of the accounts")
    asked = parser.parse_args(arguments)
    on_one_core()
    beside = beside_loop(asked.roles, asked.rounds)
    sizes = [size_record(roles, asked.rounds) for roles in asked.sizes]
    tell(sweep_record(beside, sizes, asked.rounds), [_sizes_table(sizes)], asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
