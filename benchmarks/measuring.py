"""What the measurements share: medians with their spread, an environment without an account, and what is told of each.

A measurement is a module with a ``main`` that prints what it found and writes it, as one JSON object, where ``--json``
says. The object's ``headlines`` are its rows in the table of all measurements.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

Json = dict[str, Any]

TABLE_WIDTH = 120
_QUARTILES = 4


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the quartiles below and above it: half of all values lie between these."""

    median: float
    low: float
    high: float

    def record(self, digits: int = 3) -> Json:
        """The same as JSON, rounded."""
        return {"median": round(self.median, digits), "low": round(self.low, digits), "high": round(self.high, digits)}


def spread(values: Iterable[float]) -> Spread:
    """What half of the values lie between; there must be at least one."""
    listed = sorted(values)
    if len(listed) == 1:
        return Spread(listed[0], listed[0], listed[0])
    low, median, high = statistics.quantiles(listed, n=_QUARTILES, method="inclusive")
    return Spread(median, low, high)


def ratio(values: Sequence[float], floor: Sequence[float]) -> Spread:
    """How many times as much as the floor of the same round; what disturbed a round disturbed both."""
    return spread(value / below for value, below in zip(values, floor, strict=True))


def seconds_of(work: Callable[[], object]) -> float:
    """The processor's seconds that the work takes of this process, without the garbage collector's pauses.

    All of it happens in this process, and on a machine that others use too, a clock on the wall measures mostly them.
    """
    gc.collect()
    gc.disable()
    start = time.process_time()
    try:
        work()
        return time.process_time() - start
    finally:
        gc.enable()


@dataclass(frozen=True, slots=True)
class Headline:
    """One row of the table of all measurements, with the ``aim`` that it should not exceed, if there is one.

    ``within`` are the quartiles of what was measured again and again, None for what was counted.
    """

    figure: str
    value: float
    unit: str
    aim: float | None = None
    within: Spread | None = None

    @property
    def verdict(self) -> str | None:
        """``kept``, ``missed``, or ``undecided`` where the aim lies between the quartiles; None without an aim."""
        if self.aim is None:
            return None
        low, high = (self.within.low, self.within.high) if self.within else (self.value, self.value)
        return "kept" if high <= self.aim else "missed" if low > self.aim else "undecided"

    def record(self) -> Json:
        """The same as JSON."""
        return {
            "figure": self.figure,
            "value": round(self.value, 3),
            "unit": self.unit,
            "aim": self.aim,
            "verdict": self.verdict,
        }


def headlines_table(headlines: Iterable[Mapping[str, Any]]) -> Table:
    """The rows for people."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("figure", "value", "aim", ""):
        table.add_column(heading, justify="right" if heading in {"value", "aim"} else "left")
    for line in headlines:
        aim = "" if line["aim"] is None else f"≤ {line['aim']:g}"
        table.add_row(line["figure"], number_text(line["value"], line["unit"]), aim, line["verdict"] or "")
    return table


def number_text(value: float, unit: str) -> str:
    """A figure as people read it, with three digits at least."""
    shown = f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - from there on, digits behind the point tell nothing
    return f"{shown} {unit}".strip()


def machine_record() -> Json:
    """What was measured on: never a name by which the machine could be found."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def peak_bytes() -> int:
    """The most memory that this process has had so far.

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html (VmHWM)
    """
    status = Path("/proc/self/status").read_text("ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def on_one_core() -> None:
    """Keep this process on one core, and always the same, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def arguments_parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """A parser that knows ``--json`` and describes the measurement by the first line of its docstring."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=(doc or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """What argparse takes for a whole number from ``least`` on."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{text} is too small: at least {least} is needed")
        return value

    return number


def tell(record: Json, tables: Iterable[Table], file: Path | None) -> None:
    """Print the tables and the headlines, and write the record to the file, if there is one."""
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    for table in (*tables, headlines_table(record["headlines"])):
        console.print(table)
    if file:
        file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
