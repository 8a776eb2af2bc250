"""Runs all benchmarks, each in its own process, and prints one table of results.

``python -m benchmarks [NAME ...] [--roles N] [--events N] [--json FILE]``; without names, all of them. ``--roles`` and
``--events`` apply to the load test.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import ROOT
from benchmarks.measuring import TABLE_WIDTH, Json, at_least, headlines_table, machine_record

MEASUREMENTS: Final = ("repair", "cold_start", "sweep", "evaluation", "load")
STORM: Final = "load"
FORMAT: Final = 1
"""Format version of the JSON file."""


def run(names: Sequence[str], storm: Sequence[str] = ()) -> Json:
    """Run these benchmarks and return their results; ``storm`` holds the options of the load test.

    Raises CalledProcessError if one of them fails.
    """
    record: Json = {"format": FORMAT, "machine": machine_record()}
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        for name in names:
            sys.stderr.write(f"· {name}\n")
            file = Path(temporary) / f"{name}.json"
            subprocess.run(  # noqa: S603 - the project's own modules
                [sys.executable, "-m", f"benchmarks.{name}", *(storm if name == STORM else ()), "--json", str(file)],
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            result: Any = json.loads(file.read_text("utf-8"))
            record[name] = result
    return record


def storm_options(roles: int | None, events: int | None) -> list[str]:
    """Return the options of the load test, without those that were not given."""
    given = {"--roles": roles, "--events": events}
    return [word for option, number in given.items() if number is not None for word in (option, str(number))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and print the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(MEASUREMENTS)} (default: all)")
    for option in ("roles", "events"):
        parser.add_argument(f"--{option}", type=at_least(2), metavar="N", help=f"{option} of the load test ({STORM})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in MEASUREMENTS]:
        parser.error(f"unknown benchmark {unknown[0]}; choose from: {', '.join(MEASUREMENTS)}")
    names = options.names or MEASUREMENTS
    record = run(names, storm_options(options.roles, options.events))
    lines = [line for name in names for line in record[name]["headlines"]]
    Console(width=None if sys.stdout.isatty() else TABLE_WIDTH).print(headlines_table(lines))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
