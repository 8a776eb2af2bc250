"""All measurements, one after the other, each in a process of its own, and one table of what they have found.

``python -m benchmarks [NAME ...] [--roles N] [--events N] [--json FILE]``; without names, all of them. The numbers are
those of the storm.
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
"""Version of the form of the JSON file."""


def run(names: Sequence[str], storm: Sequence[str] = ()) -> Json:
    """What the measurements of these names have found; ``storm`` are the options of the storm.

    Raises CalledProcessError where one of them fails.
    """
    record: Json = {"format": FORMAT, "machine": machine_record()}
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        for name in names:
            sys.stderr.write(f"· {name}\n")
            file = Path(temporary) / f"{name}.json"
            subprocess.run(  # noqa: S603 - our own modules
                [sys.executable, "-m", f"benchmarks.{name}", *(storm if name == STORM else ()), "--json", str(file)],
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            found: Any = json.loads(file.read_text("utf-8"))
            record[name] = found
    return record


def storm_options(roles: int | None, events: int | None) -> list[str]:
    """The options of the storm, of which those are left out that nobody has named."""
    given = {"--roles": roles, "--events": events}
    return [word for option, number in given.items() if number is not None for word in (option, str(number))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}; all, if none is given")
    for option in ("roles", "events"):
        parser.add_argument(f"--{option}", type=at_least(2), metavar="N", help=f"{option} of the storm ({STORM})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in MEASUREMENTS]:
        parser.error(f"{unknown[0]} is no measurement; there are: {', '.join(MEASUREMENTS)}")
    names = asked.names or MEASUREMENTS
    record = run(names, storm_options(asked.roles, asked.events))
    lines = [line for name in names for line in record[name]["headlines"]]
    Console(width=None if sys.stdout.isatty() else TABLE_WIDTH).print(headlines_table(lines))
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
