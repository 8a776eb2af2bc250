"""Shared code of the benchmarks: timing, medians with their spread, and the output of results.

A benchmark is a module with a ``main`` that prints its results and writes them, as one JSON object, to the file given
with ``--json``. The object's ``headlines`` are its rows in the table of all benchmarks.
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
    """The median of some values, and the lower and upper quartile; half of all values lie between these."""

    median: float
    low: float
    high: float

    def record(self, digits: int = 3) -> Json:
        """Return rounded JSON."""
        return {"median": round(self.median, digits), "low": round(self.low, digits), "high": round(self.high, digits)}


def spread(values: Iterable[float]) -> Spread:
    """Return the spread of at least one value."""
    listed = sorted(values)
    if len(listed) == 1:
        return Spread(listed[0], listed[0], listed[0])
    low, median, high = statistics.quantiles(listed, n=_QUARTILES, method="inclusive")
    return Spread(median, low, high)


def ratio(values: Sequence[float], floor: Sequence[float]) -> Spread:
    """Return the spread of the ratios to the baseline of the same round; a disturbance affects both."""
    return spread(value / base for value, base in zip(values, floor, strict=True))


def seconds_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process for the work, without garbage collection.

    All work happens in this process; on a shared machine, wall-clock time mostly measures other processes.
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
    """One row in the table of all benchmarks, with the target (``aim``) that it must not exceed, if any.

    ``within`` holds the quartiles of a measured value; it is None for a count.
    """

    figure: str
    value: float
    unit: str
    aim: float | None = None
    within: Spread | None = None

    @property
    def verdict(self) -> str | None:
        """``kept``, ``missed``, or ``undecided`` if the target lies between the quartiles; None without a target."""
        if self.aim is None:
            return None
        low, high = (self.within.low, self.within.high) if self.within else (self.value, self.value)
        return "kept" if high <= self.aim else "missed" if low > self.aim else "undecided"

    def record(self) -> Json:
        """Return JSON."""
        return {
            "figure": self.figure,
            "value": round(self.value, 3),
            "unit": self.unit,
            "aim": self.aim,
            "verdict": self.verdict,
        }


def headlines_table(headlines: Iterable[Mapping[str, Any]]) -> Table:
    """Return the rows as a table."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("figure", "value", "target", ""):
        table.add_column(heading, justify="right" if heading in {"value", "target"} else "left")
    for line in headlines:
        aim = "" if line["aim"] is None else f"≤ {line['aim']:g}"
        table.add_row(line["figure"], number_text(line["value"], line["unit"]), aim, line["verdict"] or "")
    return table


def number_text(value: float, unit: str) -> str:
    """Format a figure with at least three digits."""
    number = f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - decimals add nothing above it
    return f"{number} {unit}".strip()


def machine_record() -> Json:
    """Describe the machine, without anything that identifies it."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def peak_bytes() -> int:
    """Return the peak memory of this process so far.

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html (VmHWM)
    """
    status = Path("/proc/self/status").read_text("ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def on_one_core() -> None:
    """Pin this process to one core, always the same one, if the system supports it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def arguments_parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with ``--json``, and the first line of the docstring as its description."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=(doc or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """Return an argparse type for an integer of at least ``least``."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{text} is too small; the minimum is {least}")
        return value

    return number


def report(record: Json, tables: Iterable[Table], file: Path | None) -> None:
    """Print the tables and the headlines, and write the record to the file, if given."""
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    for table in (*tables, headlines_table(record["headlines"])):
        console.print(table)
    if file:
        file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
