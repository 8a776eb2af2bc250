"""Measures a sweep relative to a plain loop over all roles, and sweeps of accounts of several sizes.

``python -m benchmarks.sweep [--rounds N] [--roles N] [--sizes N,N,N] [--json FILE]``. A tenth of the roles is enrolled,
and half of those are broken. The comparison uses an account in memory, with XML responses that botocore parses like
AWS's. The loop is the alternative to ``GetAccountAuthorizationDetails``: it lists the roles, reads each one's tags, and
reads the policies of the enrolled ones.

The sweeps of several sizes read pages of 1,000 roles, with six policies each, as AWS's XML; the time for creating it is
excluded. Each sweep runs in its own process, whose peak memory is reported.
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
    report,
    seconds_of,
    spread,
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
    """An SQS that accepts all messages, with its ``calls`` by operation and its number of messages."""

    calls: Counter[str] = field(default_factory=Counter)
    messages: int = 0

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Json:  # noqa: N803, ARG002 - the SDK's names
        """Accept a batch."""
        self.calls["SendMessageBatch"] += 1
        self.messages += len(Entries)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


@dataclass
class StubBuckets:
    """Buckets without policies, and the number of reads."""

    reads: int = 0

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:  # noqa: ARG002 - the gateway's signature
        """Return a bucket without a policy."""
        self.reads += 1
        return Present(Bucket(name, account, region, Absent()))


class NeverContinued:
    """The queue for an unfinished sweep; without a time limit, no sweep is unfinished."""

    def send(self, request: Sweep) -> None:
        """Reject the request."""
        raise RuntimeError(f"The sweep did not finish in one invocation, so nothing was measured: {request}")


def sweep_account(iam: Any, buckets: StubBuckets, queue: WorkQueue) -> SweepCounts:  # noqa: ANN401 - an IAM client or stub
    begun = begin_sweep(
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
        begun,
        world,
        remaining=lambda: 300_000,
        on_unreadable=lambda role: None,  # noqa: ARG005 - the counts show it
    )
    if not swept.is_complete:
        raise TypeError(f"The sweep did not complete, so nothing was measured: {swept}")
    return swept.sweep.counts


# --- relative to the plain loop ---


class CountedIam:
    """An IAM client for an account in memory, with counted calls."""

    def __init__(self) -> None:
        self.client: Any = boto3.client("iam")
        self.calls: Counter[str] = Counter()
        self.client.meta.events.register("before-call", self._note)

    def _note(self, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        self.calls[model.name] += 1

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        """Count the calls in this context."""
        self.calls.clear()
        yield self.calls


def plain_loop(iam: Any) -> int:  # noqa: ANN401 - an IAM client
    """Read what a sweep reads, role by role, and return the number of enrolled roles."""
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


def _create_roles(world: World, roles: int) -> None:
    for number in range(roles):
        tags = ENROLLED if is_enrolled(number) else {}
        trust = LAMBDA_STATEMENT if is_broken(number) else EC2_STATEMENT
        name = f"role-{number}"
        world.create_role(trust, name=name, tags=tags, profile=is_enrolled(number))
        world.grant(bucket_grant(), role=name)


def compare_with_loop(roles: int, rounds: int) -> Json:
    """Measure both, in turn, after a warm-up round."""
    loops: list[float] = []
    sweeps: list[float] = []
    with mock_aws():
        world = World()
        _create_roles(world, roles)
        iam, queues = CountedIam(), StubQueues()
        client: Any = queues
        queue = WorkQueue(client, "https://queue")
        enrolled = sum(map(is_enrolled, range(roles)))
        reads: dict[str, Counter[str]] = {}

        def loop() -> None:
            if plain_loop(iam.client) != enrolled:
                raise RuntimeError("The loop did not find the enrolled roles, so there is no baseline.")

        def swept() -> None:
            if sweep_account(iam.client, StubBuckets(), queue).enrolled != enrolled:
                raise RuntimeError("The sweep did not find the enrolled roles.")

        works: tuple[tuple[str, Callable[[], None], list[float]], ...] = (
            ("loop", loop, loops),
            ("sweep", swept, sweeps),
        )
        for number in range(rounds + 1):
            for name, work, times in works:
                with iam.counted() as calls:
                    seconds = seconds_of(work)
                reads[name] = Counter(calls)
                if number:
                    times.append(seconds)
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
    """Sweep an account with this many roles, each time in a new process."""
    runs = [_in_new_process(roles) for _ in range(rounds)]
    return {
        **runs[-1],
        "seconds": spread(run["seconds"] for run in runs).record(4),
        "peak_mb": max(run["peak_mb"] for run in runs),
    }


def _in_new_process(roles: int) -> Json:
    ran = subprocess.run(  # noqa: S603 - no shell, and every argument is fixed here
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
        "role reads",
        "policy reads",
        "bucket reads",
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


def sweep_record(comparison: Json, sizes: Sequence[Json], rounds: int) -> Json:
    """Return the results as JSON, with headlines."""
    largest = sizes[-1]
    return {
        "benchmark": "sweep",
        "rounds": rounds,
        "page": PAGE,
        "beside_loop": comparison,
        "sizes": list(sizes),
        "headlines": [
            Headline(
                f"sweep of {comparison['roles']:,} roles, relative to a loop over them",
                comparison["ratio"]["median"],
                "times",
            ).record(),
            Headline(
                "its IAM reads, relative to the loop's, without managed policies",
                comparison["sweep_reads"] / comparison["loop_reads"],
                "times",
            ).record(),
            Headline(f"role reads for {largest['roles']:,} roles", largest["iam_reads"], "", largest["pages"]).record(),
            Headline(
                f"managed policy and instance profile reads for {largest['roles']:,} roles",
                largest["policy_reads"] + largest["other_reads"],
                "",
            ).record(),
            Headline(f"CPU time for {largest['roles']:,} roles", largest["seconds"]["median"], "s").record(),
            Headline(f"peak memory for {largest['roles']:,} roles", largest["peak_mb"], "MB", _MOST_MEMORY).record(),
        ],
    }


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(at_least(1)(part) for part in text.split(","))


def main(arguments: Sequence[str] | None = None) -> int:
    """Sweep, and report."""
    parser = arguments_parser("sweep", __doc__)
    parser.add_argument("--rounds", type=at_least(1), default=DEFAULT_ROUNDS, help="number of rounds")
    parser.add_argument(
        "--roles", type=at_least(1), default=DEFAULT_ROLES, help="roles in the comparison with the loop"
    )
    parser.add_argument("--sizes", type=_numbers, default=DEFAULT_SIZES, metavar="N,N", help="account sizes, in roles")
    options = parser.parse_args(arguments)
    on_one_core()
    comparison = compare_with_loop(options.roles, options.rounds)
    sizes = [size_record(roles, options.rounds) for roles in options.sizes]
    report(sweep_record(comparison, sizes, options.rounds), [_sizes_table(sizes)], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
