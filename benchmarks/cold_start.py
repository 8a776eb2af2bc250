"""Measures each function's cold start relative to an empty function, and the size of the deployed zip.

``python -m benchmarks.cold_start [--rounds N] [--functions NAME ...] [--json FILE]``, on Linux. The bundle is built as
for a deployment. Each start has its own interpreter, with the packages and variables of Lambda's runtime; functions and
empty function take turns. Time is CPU time since the interpreter started: what Lambda does before is the same for all.
It is taken at the first client, and after the first event (``benchmarks.first_events``), whose calls an empty function
makes as well.

Lambda cannot write next to the code, so it compiles all of it at each cold start (``as deployed``). A bundle that
includes bytecode (``with bytecode``) shows that cost.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.table import Table

from benchmarks import ROOT
from benchmarks.first_events import WORK_OF, FirstEvent, first_events
from benchmarks.measuring import Headline, Json, Spread, arguments_parser, at_least, ratio, report, spread
from stacks.bundle import build_bundle
from tests.examples import settings

DEFAULT_ROUNDS: Final = 9
TIME_AIM: Final = 1.25
MEMORY_AIM: Final = 1.2
ZIP_AIM: Final = 1.5
"""Megabytes (10⁶ bytes), compressed."""

EMPTY: Final = "empty"
POWERTOOLS: Final = "powertools"
FUNCTIONS: Final = tuple(WORK_OF)

PYTHON: Final = ROOT / ".venv-lambda" / "bin" / "python"
NO_EVENT: Final = FirstEvent({}, {})
_START: Final = Path(__file__).with_name("one_cold_start.py")
_MEGA: Final = 1e6
_MS: Final = 1e3


@dataclass(frozen=True, slots=True)
class Start:
    """The cost of a start, up to the first client and with the first event: seconds, peak bytes, and modules."""

    seconds: float
    peak: int
    modules: int
    event_seconds: float
    event_peak: int
    clients_seconds: float | None
    """Up to the last client, if all are created before the first call."""


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts the functions of a bundle, which includes ``bytecode`` or is compiled at each start.

    ``events`` maps the functions' names to their first events.
    """

    bundle: Path
    bytecode: bool
    events: Mapping[str, FirstEvent]

    def start(self, function: str, event: str | None = None) -> Start:
        """Start a function in its own interpreter, and pass it the first event of the function named by ``event``.

        Raises CalledProcessError if it does not start or does not handle the event.
        """
        first_event = self.events[event] if event else NO_EVENT
        with tempfile.NamedTemporaryFile(suffix=".pickle") as file:
            file.write(first_event.pickled())
            file.flush()
            ran = subprocess.run(  # noqa: S603 - no shell, and every argument is fixed here
                [
                    *(str(PYTHON), "-I", *(() if self.bytecode else ("-B",)), str(_START)),
                    *(str(self.bundle), function, file.name),
                ],
                env={**first_event.environment, **self._environment()},
                stdout=subprocess.PIPE,
                check=True,
            )
        result: Any = json.loads(ran.stdout.splitlines()[-1])  # after the function's log
        first, whole = result["first"], result["event"]
        return Start(
            first["seconds"], first["bytes"], first["modules"], whole["seconds"], whole["bytes"], result["clients"]
        )

    def _environment(self) -> dict[str, str]:
        """Return the variables of Lambda and of the stack; tracing is on, and sends to the discard port.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        return {
            **kept,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:9",
            "_X_AMZN_TRACE_ID": "Root=1-00000000-000000000000000000000001;Parent=0000000000000001;Sampled=1",
            "LAMBDA_TASK_ROOT": str(self.bundle),
            "POWERTOOLS_SERVICE_NAME": "remediator",
            "POWERTOOLS_METRICS_NAMESPACE": "AnyscaleRemediator",
            "CONSUMED_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/queue",
        }


def measure(
    starter: Starter, rounds: int, warm_up: int = 1, functions: Sequence[str] = FUNCTIONS
) -> dict[str, tuple[Start, ...]]:
    """Start all of them in turn, ``rounds`` times after ``warm_up`` rounds that load the files into memory.

    ``empty:FUNCTION`` is the empty function that makes the calls of that function's first event.
    """
    starters: Mapping[str, tuple[str, str | None]] = {
        EMPTY: (EMPTY, None),
        f"{EMPTY} again": (EMPTY, None),
        POWERTOOLS: (POWERTOOLS, None),
        **{function: (function, function) for function in functions},
        **{f"{EMPTY}:{function}": (EMPTY, function) for function in functions},
    }
    starts: dict[str, list[Start]] = {name: [] for name in starters}
    for number in range(warm_up + rounds):
        for name, (function, event) in starters.items():
            start = starter.start(function, event)
            if number >= warm_up:
                starts[name].append(start)
    return {name: tuple(each) for name, each in starts.items()}


def _function_record(name: str, starts: Mapping[str, Sequence[Start]]) -> Json:
    """Compare a function with the empty one, up to the first client and with the first event, which that ignores.

    ``calls_ratio`` compares with an empty function that makes the calls of the first event; ``clients_milliseconds`` is
    the time for creating all of its clients but the first.
    """
    these, empty = starts[name], starts[EMPTY]
    record: Json = {
        "function": name,
        "milliseconds": spread(start.seconds * _MS for start in these).record(1),
        "peak_mb": spread(start.peak / _MEGA for start in these).record(1),
        "modules": these[0].modules,
        "ratio": ratio([start.seconds for start in these], [start.seconds for start in empty]).record(2),
        "memory_ratio": ratio([start.peak for start in these], [start.peak for start in empty]).record(2),
    }
    if alike := starts.get(f"{EMPTY}:{name}"):
        seconds, peaks = [start.event_seconds for start in these], [start.event_peak for start in these]
        made = [(start.clients_seconds or start.seconds) - start.seconds for start in alike]
        record |= {
            "event_milliseconds": spread(each * _MS for each in seconds).record(1),
            "event_peak_mb": spread(each / _MEGA for each in peaks).record(1),
            "event_ratio": ratio(seconds, [start.event_seconds for start in empty]).record(2),
            "event_memory_ratio": ratio(peaks, [start.event_peak for start in empty]).record(2),
            "calls_ratio": ratio(seconds, [start.event_seconds for start in alike]).record(2),
            "calls_memory_ratio": ratio(peaks, [start.event_peak for start in alike]).record(2),
            "clients_milliseconds": spread(each * _MS for each in made).record(1),
        }
    return record


def starts_record(starts: Mapping[str, Sequence[Start]]) -> list[Json]:
    """Return the records of the empty function, the one with Powertools, and each function."""
    return [_function_record(name, starts) for name in starts if not name.startswith(f"{EMPTY}:")]


def zip_bytes(folder: Path) -> int:
    """Return the size of the folder as a zip."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        return file.tell()


def _table(title: str, functions: Sequence[Json]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD)
    for heading in (
        "function",
        "ms",
        "ratio",
        "peak MB",
        "ratio ",
        "first event ms",
        "ratio  ",
        "peak MB ",
        "ratio   ",
    ):
        table.add_column(heading, justify="left" if heading == "function" else "right")
    for each in functions:
        first = ("milliseconds", "ratio", "peak_mb", "memory_ratio")
        measures = (*first, *(f"event_{name}" for name in first))
        shown = [f"{each[name]['median']:g}" if name in each else "" for name in measures]
        table.add_row(each["function"], *shown)
    return table


def _headlines(deployed: Sequence[Json], compiled: Sequence[Json], size: float, compiled_size: float) -> list[Headline]:
    functions, with_bytecode = (
        [each for each in listed if each["function"] in FUNCTIONS] for listed in (deployed, compiled)
    )

    def worst(listed: Sequence[Json], name: str) -> Spread:
        return max((Spread(**each[name]) for each in listed), key=lambda each: each.median)

    def headline(figure: str, measured: Spread, aim: float | None = None) -> Headline:
        return Headline(figure, measured.median, "times", aim, measured)

    powertools = next(each for each in deployed if each["function"] == POWERTOOLS)
    clients = worst(functions, "clients_milliseconds")
    return [
        headline("cold start, slowest function, relative to an empty one", worst(functions, "ratio"), TIME_AIM),
        headline("cold start with first event, relative to an empty one", worst(functions, "event_ratio"), TIME_AIM),
        headline("cold start with first event, relative to its calls alone", worst(functions, "calls_ratio")),
        headline("cold start with Powertools only, relative to an empty one", Spread(**powertools["ratio"])),
        headline("cold start, slowest function, with bytecode in the zip", worst(with_bytecode, "ratio")),
        headline(
            "cold start with first event, relative to its calls, with bytecode", worst(with_bytecode, "calls_ratio")
        ),
        Headline("creating the clients for a first event, slowest function", clients.median, "ms", None, clients),
        headline(
            "peak memory, largest function, relative to an empty one", worst(functions, "memory_ratio"), MEMORY_AIM
        ),
        headline(
            "peak memory with first event, relative to an empty one", worst(functions, "event_memory_ratio"), MEMORY_AIM
        ),
        headline("peak memory with first event, relative to its calls alone", worst(functions, "calls_memory_ratio")),
        Headline("zip size", size, "MB", ZIP_AIM),
        Headline("zip size with bytecode", compiled_size, "MB"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, start, and report."""
    parser = arguments_parser("cold_start", __doc__)
    parser.add_argument("--rounds", type=at_least(1), default=DEFAULT_ROUNDS, help="measured starts per function")
    parser.add_argument("--warm-up", type=at_least(0), default=1, help="starts per function before the measurement")
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=FUNCTIONS, help="functions (default: all)")
    options = parser.parse_args(arguments)
    if not PYTHON.exists():
        parser.error(f"{PYTHON.relative_to(ROOT)} is missing. Run `make setup` first.")
    with redirect_stdout(io.StringIO()):  # discard the functions' logs and metrics
        events = first_events()
    with tempfile.TemporaryDirectory(prefix="cold-start-") as temporary:
        folder = Path(temporary)
        bundle = build_bundle(settings(), folder / "bundles")
        size = zip_bytes(bundle) / _MEGA
        compiled = shutil.copytree(bundle, folder / "compiled")
        subprocess.run([str(PYTHON), "-m", "compileall", "-q", str(compiled)], check=True)  # noqa: S603 - fixed arguments
        compiled_size = zip_bytes(compiled) / _MEGA
        deployed, with_bytecode = (
            starts_record(
                measure(
                    Starter(where, bytecode=included, events=events), options.rounds, options.warm_up, options.functions
                )
            )
            for where, included in ((bundle, False), (compiled, True))
        )
    record = {
        "benchmark": "cold_start",
        "rounds": options.rounds,
        "zip_mb": round(size, 2),
        "zip_with_bytecode_mb": round(compiled_size, 2),
        "as_deployed": deployed,
        "with_bytecode": with_bytecode,
        "headlines": [line.record() for line in _headlines(deployed, with_bytecode, size, compiled_size)],
    }
    tables = (_table("Cold start, as deployed", deployed), _table("Cold start, with bytecode", with_bytecode))
    report(record, tables, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
