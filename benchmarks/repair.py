"""From an event to a repaired role, beside making the same AWS calls with boto3 and nothing else; and which calls.

``python -m benchmarks.repair [--rounds N] [--json FILE]``. Router and reconciler run as Lambda calls them, on an
account in memory. Their calls are written down once; the floor makes the same calls, with the same arguments and
clients that are configured alike, on an account like it. Each round does both, and the floor twice: their mean is
what is compared with, and the second beside the first is the noise. Each is done three times, of which the best counts:
whatever else the machine does can only make one longer. Time is the processor's, as others may use the machine too.
An account in memory answers within a millisecond or two, AWS within ten or a hundred: there the ratio is nearer to 1.
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
    seconds_of,
    spread,
    tell,
)
from remediator.handlers.consumer import CLIENT_CONFIG
from tests.examples import EC2_STATEMENT, LAMBDA_STATEMENT, bucket_grant, settings
from tests.functional.world import READS, ROLE, World

DEFAULT_ROUNDS: Final = 18  # each of the six orders three times
TRIES: Final = 3
RATIO_AIM: Final = 1.3
READS_OF_STRANGERS_AIM: Final = 1

_LOOKED_AT: Final = ("iam", "kms", "s3")
"""The services whose documents are judged; calls of the others queue, record and tell."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an AWS service; ``text`` stands for its arguments where calls are compared."""

    service: str
    operation: str
    text: str
    arguments: Mapping[str, Any] = field(compare=False)

    @property
    def name(self) -> str:
        """As IAM would name it."""
        return f"{self.service}:{self.operation}"

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.operation.startswith(READS)

    @property
    def looks(self) -> bool:
        """Whether it is about a document that is judged or repaired."""
        return self.service in _LOOKED_AT


class Recorder:
    """A session whose clients' calls are written down, while there is somewhere to write them to."""

    def __init__(self) -> None:
        self.session = boto3.Session()
        self.session.events.register("provide-client-params", self._note)
        self._calls: list[Call] | None = None
        self._clients: dict[str, Any] = {}

    @contextmanager
    def calls(self) -> Iterator[list[Call]]:
        """The calls that are made meanwhile, in order."""
        self._calls = []
        try:
            yield self._calls
        finally:
            self._calls = None

    def again(self, calls: Sequence[Call]) -> Callable[[], None]:
        """What makes the same calls once more, whatever is answered, and nothing besides."""
        prepared: list[tuple[Any, Any]] = [
            (getattr(self._client(call.service), xform_name(call.operation)), copy.deepcopy(call.arguments))
            for call in calls
        ]

        def run() -> None:
            for call, arguments in prepared:
                with suppress(ClientError):  # the functions were answered that too, and took it for an answer
                    call(**arguments)

        return run

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' classes at run time
        if service not in self._clients:
            self._clients[service] = self.session.client(service, config=CLIENT_CONFIG)
        return self._clients[service]

    def _note(self, params: Any, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        if self._calls is not None:
            arguments = copy.deepcopy(params)  # botocore's own handlers change them after us
            self._calls.append(Call(model.service_model.service_name, model.name, repr(params), arguments))


@dataclass(frozen=True, slots=True)
class Scene:
    """An event about a role, and how that stands; ``cloud`` are the settings of its cloud."""

    name: str
    furnish: Callable[[World], None]
    cloud: tuple[tuple[str, str], ...] = ()


def _drifted(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())


def _bare(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)


def _clean(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())


def _stranger(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={})


def _nothing(_: World) -> None:
    pass


MEASURED: Final = Scene("trust repaired", _drifted)
STRANGER: Final = Scene("not enrolled", _stranger)
CLEAN: Final = Scene("enrolled and clean", _clean)
SCENES: Final = (
    Scene("deleted since", _nothing),
    STRANGER,
    CLEAN,
    MEASURED,
    Scene("trust and grant repaired, in the role", _bare),
    Scene("trust and grant repaired, in the bucket's policy", _bare, (("grant", "bucket-policy"),)),
)


@contextmanager
def _account(scene: Scene, recorder: Recorder) -> Iterator[World]:
    """An account in which the role stands as the scene says."""
    with mock_aws(), mock.patch.object(boto3, "DEFAULT_SESSION", recorder.session):
        world = World()
        world.settings = settings(**dict(scene.cloud))
        scene.furnish(world)
        yield world


def _event() -> Any:  # noqa: ANN401 - an event is JSON of any shape
    return json.loads((ROOT / "tests" / "events" / "UpdateAssumeRolePolicy.json").read_text("utf-8"))


def calls_of(scene: Scene, recorder: Recorder) -> tuple[Call, ...]:
    """The calls that the two functions make for an event about the role, in order."""
    made: list[Call] = []

    def noted(work: Callable[[], object]) -> None:
        with recorder.calls() as calls:
            work()
        made.extend(calls)

    with _account(scene, recorder) as world, deployed(world, recorder.session):
        route_then_reconcile(world, _event(), noted)
    return tuple(made)


def _seconds_of_functions(recorder: Recorder) -> float:
    taken: list[float] = []
    with _account(MEASURED, recorder) as world:
        with deployed(world, recorder.session):
            route_then_reconcile(world, _event(), lambda work: taken.append(seconds_of(work)))
        if not world.trusts_ec2(ROLE):
            raise RuntimeError("The role was not repaired, so that nothing was measured.")
    return sum(taken)


def _seconds_of_floor(recorder: Recorder, calls: Sequence[Call]) -> float:
    with _account(MEASURED, recorder) as world:
        taken = seconds_of(recorder.again(calls))
        if not world.trusts_ec2(ROLE):
            raise RuntimeError("The same calls did not repair the role, so that the floor is none.")
    return taken


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each round."""

    functions: tuple[float, ...]
    floor: tuple[float, ...]
    floor_again: tuple[float, ...]


def measure(recorder: Recorder, calls: Sequence[Call], rounds: int) -> Measured:
    """The best of some tries of all three, ``rounds`` times after one to warm up, in each order equally often.

    What comes after what matters.
    """
    taken: tuple[list[float], list[float], list[float]] = ([], [], [])
    works: tuple[Callable[[], float], ...] = (
        lambda: _seconds_of_functions(recorder),
        lambda: _seconds_of_floor(recorder, calls),
        lambda: _seconds_of_floor(recorder, calls),
    )
    orders = tuple(permutations(range(len(works))))
    for number in range(rounds + 1):
        for each in orders[number % len(orders)]:
            seconds = min(works[each]() for _ in range(TRIES))
            if number:
                taken[each].append(seconds)
    functions, floor, again = (tuple(seconds) for seconds in taken)
    return Measured(functions, floor, again)


def scene_record(scene: Scene, calls: Sequence[Call]) -> Json:
    """How often the functions called, of which what, and what they asked for more than once with the same arguments."""
    looks = [call for call in calls if call.looks]
    repeated = {call: count for call, count in Counter(looks).items() if count > 1}
    return {
        "scene": scene.name,
        "reads": sum(call.is_read for call in looks),
        "writes": sum(not call.is_read for call in looks),
        "beside": len(calls) - len(looks),
        "calls": [call.name for call in calls],
        "repeated": {call.name: count for call, count in repeated.items()},
    }


def _scenes_table(scenes: Sequence[Json]) -> Table:
    table = Table(title="Calls for one event", box=box.SIMPLE_HEAD)
    for heading in ("the role", "reads", "writes", "queue, history, alert", "asked for more than once"):
        table.add_column(heading, justify="right" if heading in {"reads", "writes"} else "left")
    for scene in scenes:
        repeated = ", ".join(f"{name} {count} times" for name, count in scene["repeated"].items())
        table.add_row(
            scene["scene"], str(scene["reads"]), str(scene["writes"]), str(scene["beside"]), repeated or "nothing"
        )
    return table


def repair_record(measured: Measured, scenes: Sequence[Json], rounds: int) -> Json:
    """The figures for programs."""
    floors = [(one + other) / 2 for one, other in zip(measured.floor, measured.floor_again, strict=True)]
    beside = ratio(measured.functions, floors)
    more = spread((one - other) * 1e3 for one, other in zip(measured.functions, floors, strict=True))
    best = min(measured.functions) / min(*measured.floor, *measured.floor_again)
    stranger = next(scene for scene in scenes if scene["scene"] == STRANGER.name)
    return {
        "benchmark": "repair",
        "rounds": rounds,
        "functions_ms": spread(one * 1e3 for one in measured.functions).record(),
        "floor_ms": spread(one * 1e3 for one in floors).record(),
        "own_ms": more.record(),
        "ratio": beside.record(),
        "best_ratio": round(best, 3),
        "noise": ratio(measured.floor_again, measured.floor).record(),
        "scenes": list(scenes),
        "headlines": [
            Headline("event to repair, beside the same calls", beside.median, "times", RATIO_AIM, beside).record(),
            Headline("event to repair, the best beside the best", best, "times", RATIO_AIM).record(),
            Headline(
                "reads for an event of a role that is not enrolled", stranger["reads"], "", READS_OF_STRANGERS_AIM
            ).record(),
            *(
                Headline(f"calls: {scene['scene']}", scene["reads"] + scene["writes"] + scene["beside"], "").record()
                for scene in scenes
            ),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Count the calls, measure, and tell."""
    parser = arguments_parser("repair", __doc__)
    parser.add_argument("--rounds", type=at_least(1), default=DEFAULT_ROUNDS, help="how often each is done")
    asked = parser.parse_args(arguments)
    on_one_core()
    recorder = Recorder()
    calls = {scene: calls_of(scene, recorder) for scene in SCENES}
    scenes = [scene_record(scene, made) for scene, made in calls.items()]
    record = repair_record(measure(recorder, calls[MEASURED], asked.rounds), scenes, asked.rounds)
    tell(record, [_scenes_table(scenes)], asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
