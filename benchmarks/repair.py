"""Measures the time from an event to a repaired role, relative to the same AWS calls in plain boto3; lists the calls.

``python -m benchmarks.repair [--rounds N] [--json FILE]``. Router and reconciler run as in Lambda, on an account in
memory. Their calls are recorded once. The baseline makes the same calls, with the same arguments and client
configuration, on an identical account. Each round measures the functions once and the baseline twice: the functions are
compared with the mean of the two, and their difference is the noise. Each measurement is the best of three, because
other load can only make it longer. Time is CPU time, because the machine may be shared.
The account in memory responds within one or two milliseconds, AWS within ten to a hundred; there the ratio is closer to
1.
"""

from __future__ import annotations

import copy
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Final
from unittest import mock

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from moto import mock_aws
from rich import box
from rich.table import Table

from benchmarks import ROOT
from benchmarks.functions import deployed, route_then_reconcile
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
from remediator.handlers.consumer import CLIENT_CONFIG
from tests.examples import EC2_STATEMENT, LAMBDA_STATEMENT, bucket_grant, settings
from tests.functional.world import READS, ROLE, World

DEFAULT_ROUNDS: Final = 18  # three times each of the six orders
TRIES: Final = 3
RATIO_AIM: Final = 1.3
UNMANAGED_READS_AIM: Final = 1

_DOCUMENT_SERVICES: Final = ("iam", "kms", "s3")
"""The services with the evaluated documents; calls to other services queue, record and alert."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to an AWS service; ``text`` represents its arguments when calls are compared."""

    service: str
    operation: str
    text: str
    arguments: Mapping[str, Any] = field(compare=False)

    @property
    def name(self) -> str:
        """The call's name in IAM."""
        return f"{self.service}:{self.operation}"

    @property
    def is_read(self) -> bool:
        """Whether the call only reads."""
        return self.operation.startswith(READS)

    @property
    def is_on_document(self) -> bool:
        """Whether the call reads or writes an evaluated document."""
        return self.service in _DOCUMENT_SERVICES


class Recorder:
    """Records the calls of a session's clients, within ``calls``."""

    def __init__(self) -> None:
        self.session = boto3.Session()
        self.session.events.register("provide-client-params", self._note)
        self._calls: list[Call] | None = None
        self._clients: dict[str, Any] = {}

    @contextmanager
    def calls(self) -> Iterator[list[Call]]:
        """Record the calls in this context, in order."""
        self._calls = []
        try:
            yield self._calls
        finally:
            self._calls = None

    def replay(self, calls: Sequence[Call]) -> Callable[[], None]:
        """Return a function that makes the same calls again, ignores errors, and does nothing else."""
        prepared: list[tuple[Any, Any]] = [
            (getattr(self._client(call.service), xform_name(call.operation)), copy.deepcopy(call.arguments))
            for call in calls
        ]

        def run() -> None:
            for call, arguments in prepared:
                with suppress(ClientError):  # the functions got the same errors and handled them
                    call(**arguments)

        return run

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3 creates client classes at run time
        if service not in self._clients:
            self._clients[service] = self.session.client(service, config=CLIENT_CONFIG)
        return self._clients[service]

    def _note(self, params: Any, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        if self._calls is not None:
            arguments = copy.deepcopy(params)  # botocore's own handlers change them later
            self._calls.append(Call(model.service_model.service_name, model.name, repr(params), arguments))


@dataclass(frozen=True, slots=True)
class Scene:
    """An event about a role in a certain state; ``cloud`` holds the settings of its cloud."""

    name: str
    set_up: Callable[[World], None]
    cloud: tuple[tuple[str, str], ...] = ()


def _drifted(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())


def _bare(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)


def _clean(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())


def _unmanaged(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})


def _nothing(_: World) -> None:
    pass


MEASURED: Final = Scene("trust repaired", _drifted)
UNMANAGED: Final = Scene("not enrolled", _unmanaged)
CLEAN: Final = Scene("enrolled and clean", _clean)
SCENES: Final = (
    Scene("already deleted", _nothing),
    UNMANAGED,
    CLEAN,
    MEASURED,
    Scene("trust and grant repaired, in the role policy", _bare),
    Scene("trust and grant repaired, in the bucket policy", _bare, (("grant", "bucket-policy"),)),
)


@contextmanager
def _account(scene: Scene, recorder: Recorder) -> Iterator[World]:
    """An account with the role in the scene's state."""
    with mock_aws(), mock.patch.object(boto3, "DEFAULT_SESSION", recorder.session):
        world = World()
        world.settings = settings(**dict(scene.cloud))
        scene.set_up(world)
        yield world


def _event() -> Any:  # noqa: ANN401 - an event is JSON of any shape
    return json.loads((ROOT / "tests" / "events" / "UpdateAssumeRolePolicy.json").read_text("utf-8"))


def record_calls(scene: Scene, recorder: Recorder) -> tuple[Call, ...]:
    """Return the calls that the two functions make for an event about the role, in order."""
    made: list[Call] = []

    def record(work: Callable[[], object]) -> None:
        with recorder.calls() as calls:
            work()
        made.extend(calls)

    with _account(scene, recorder) as world, deployed(world, recorder.session):
        route_then_reconcile(world, _event(), record)
    return tuple(made)


def _time_functions(recorder: Recorder) -> float:
    times: list[float] = []
    with _account(MEASURED, recorder) as world:
        with deployed(world, recorder.session):
            route_then_reconcile(world, _event(), lambda work: times.append(seconds_of(work)))
        if not world.trusts_ec2(ROLE):
            raise RuntimeError("The role was not repaired, so nothing was measured.")
    return sum(times)


def _time_baseline(recorder: Recorder, calls: Sequence[Call]) -> float:
    with _account(MEASURED, recorder) as world:
        seconds = seconds_of(recorder.replay(calls))
        if not world.trusts_ec2(ROLE):
            raise RuntimeError("The same calls did not repair the role, so there is no baseline.")
    return seconds


@dataclass(frozen=True, slots=True)
class Measured:
    """The seconds of each round."""

    functions: tuple[float, ...]
    floor: tuple[float, ...]
    floor_again: tuple[float, ...]


def measure(recorder: Recorder, calls: Sequence[Call], rounds: int) -> Measured:
    """Measure all three, ``rounds`` times after a warm-up round, in each order equally often; keep the best tries.

    The order matters for the results.
    """
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    works: tuple[Callable[[], float], ...] = (
        lambda: _time_functions(recorder),
        lambda: _time_baseline(recorder, calls),
        lambda: _time_baseline(recorder, calls),
    )
    orders = tuple(permutations(range(len(works))))
    for number in range(rounds + 1):
        for each in orders[number % len(orders)]:
            seconds = min(works[each]() for _ in range(TRIES))
            if number:
                times[each].append(seconds)
    functions, floor, again = (tuple(seconds) for seconds in times)
    return Measured(functions, floor, again)


def scene_record(scene: Scene, calls: Sequence[Call]) -> Json:
    """Count the functions' calls: reads, writes, others, and those repeated with the same arguments."""
    on_documents = [call for call in calls if call.is_on_document]
    repeated = {call: count for call, count in Counter(on_documents).items() if count > 1}
    return {
        "scene": scene.name,
        "reads": sum(call.is_read for call in on_documents),
        "writes": sum(not call.is_read for call in on_documents),
        "beside": len(calls) - len(on_documents),
        "calls": [call.name for call in calls],
        "repeated": {call.name: count for call, count in repeated.items()},
    }


def _scenes_table(scenes: Sequence[Json]) -> Table:
    table = Table(title="Calls for one event", box=box.SIMPLE_HEAD)
    for heading in ("role", "reads", "writes", "queue, history, alert", "repeated calls"):
        table.add_column(heading, justify="right" if heading in {"reads", "writes"} else "left")
    for scene in scenes:
        repeated = ", ".join(f"{name} {count} times" for name, count in scene["repeated"].items())
        table.add_row(
            scene["scene"], str(scene["reads"]), str(scene["writes"]), str(scene["beside"]), repeated or "none"
        )
    return table


def repair_record(measured: Measured, scenes: Sequence[Json], rounds: int) -> Json:
    """Return the results as JSON, with headlines."""
    floors = [(one + other) / 2 for one, other in zip(measured.floor, measured.floor_again, strict=True)]
    relative = ratio(measured.functions, floors)
    more = spread((one - other) * 1e3 for one, other in zip(measured.functions, floors, strict=True))
    best = min(measured.functions) / min(*measured.floor, *measured.floor_again)
    unmanaged = next(scene for scene in scenes if scene["scene"] == UNMANAGED.name)
    return {
        "benchmark": "repair",
        "rounds": rounds,
        "functions_ms": spread(one * 1e3 for one in measured.functions).record(),
        "floor_ms": spread(one * 1e3 for one in floors).record(),
        "own_ms": more.record(),
        "ratio": relative.record(),
        "best_ratio": round(best, 3),
        "noise": ratio(measured.floor_again, measured.floor).record(),
        "scenes": list(scenes),
        "headlines": [
            Headline(
                "event to repair, relative to the same calls", relative.median, "times", RATIO_AIM, relative
            ).record(),
            Headline("event to repair, best relative to best", best, "times", RATIO_AIM).record(),
            Headline(
                "reads for an event about a role that is not enrolled", unmanaged["reads"], "", UNMANAGED_READS_AIM
            ).record(),
            *(
                Headline(f"calls: {scene['scene']}", scene["reads"] + scene["writes"] + scene["beside"], "").record()
                for scene in scenes
            ),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Count the calls, measure, and report."""
    parser = arguments_parser("repair", __doc__)
    parser.add_argument("--rounds", type=at_least(1), default=DEFAULT_ROUNDS, help="number of rounds")
    options = parser.parse_args(arguments)
    on_one_core()
    recorder = Recorder()
    calls = {scene: record_calls(scene, recorder) for scene in SCENES}
    scenes = [scene_record(scene, made) for scene, made in calls.items()]
    record = repair_record(measure(recorder, calls[MEASURED], options.rounds), scenes, options.rounds)
    report(record, [_scenes_table(scenes)], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
