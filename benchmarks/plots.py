"""Creates the plots in docs/evidence/ and the tables in docs/evidence.md from docs/evidence/bench.json.

``python -m benchmarks.plots`` writes them. Each table is between two comments that name it; the rest of the document is
not changed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks import ROOT
from benchmarks.measuring import number_text
from benchmarks.svg import Bar, bars, line

EVIDENCE: Final = ROOT / "docs" / "evidence"
FIGURES: Final = EVIDENCE / "bench.json"
DOCUMENT: Final = ROOT / "docs" / "evidence.md"

_NAMES: Final[Mapping[str, str]] = {
    "empty": "empty function",
    "empty again": "empty function, repeated",
    "powertools": "Powertools only",
}


def plots(figures: Any) -> dict[str, str]:  # noqa: ANN401 - the JSON of the benchmarks
    """Return the plots by file name."""
    starts = figures["cold_start"]["as_deployed"]
    scenes = figures["repair"]["scenes"]
    durations = figures["load"]["seconds_to_repair"]
    empty = starts[0]["milliseconds"]["median"]
    return {
        "calls.svg": bars(
            "AWS calls for one event, router and reconciler together",
            "calls",
            [Bar(_wrapped(each["scene"]), each["reads"] + each["writes"] + each["beside"]) for each in scenes],
        ),
        "cold-start.svg": bars(
            "CPU time from the running interpreter to the first client",
            "milliseconds; the line at the end of a bar spans the middle half of all starts",
            [
                Bar(
                    _NAMES.get(each["function"], each["function"]),
                    each["milliseconds"]["median"],
                    each["milliseconds"]["low"],
                    each["milliseconds"]["high"],
                    baseline=each["function"] in _NAMES,
                )
                for each in starts
            ],
            aim=("target", empty * _aim(figures["cold_start"])),
        ),
        "sweep.svg": line(
            "CPU time of a sweep",
            "roles in the account, 10% enrolled",
            "seconds",
            [(size["roles"], size["seconds"]["median"]) for size in figures["sweep"]["sizes"]],
            marked=True,
        ),
        "load.svg": line(
            f"Time from event to repair: {figures['load']['events']} events on {figures['load']['roles']} roles",
            "seconds",
            "percent of all repairs",
            [
                (0, 0),
                *((seconds, 100 * (number + 1) / len(durations)) for number, seconds in enumerate(durations)),
            ],
        ),
    }


def tables(figures: Any) -> dict[str, str]:  # noqa: ANN401 - the JSON of the benchmarks
    """Return the tables of the document by name, as Markdown."""
    return {
        "machine": _machine(figures),
        "figures": _headlines(figures),
        "calls": _calls(figures["repair"]["scenes"]),
        "cold start": _starts(figures["cold_start"]),
        "sweeps": _sweeps(figures["sweep"]),
        "storm": _storm(figures["load"]),
    }


def with_tables(document: str, made: Mapping[str, str]) -> str:
    """Return the document with these tables inserted. Raises ValueError if the document lacks a table's comments."""
    for name, table in made.items():
        begin, end = f"<!-- {name}: made by `python -m benchmarks.plots` -->", "<!-- end -->"
        place = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not place.search(document):
            raise ValueError(f"{DOCUMENT.name} has no place for the table {name!r}: add {begin} and {end}")
        document = place.sub(lambda _, text=f"{begin}\n\n{table}\n\n{end}": text, document)  # type: ignore[misc]  # a default binds it
    return document


def _aim(record: Any) -> float:  # noqa: ANN401 - the JSON of the benchmarks
    return float(record["headlines"][0]["aim"])


def _wrapped(text: str) -> str:
    return text.replace("trust and grant repaired, in the", "both repaired,")


def _machine(figures: Any) -> str:  # noqa: ANN401 - the JSON of the benchmarks
    machine, noise = figures["machine"], figures["repair"]["noise"]
    again = next(each for each in figures["cold_start"]["as_deployed"] if each["function"] == "empty again")["ratio"]
    return (
        f"Measured with Python {machine['python']} on {machine['system']} ({machine['architecture']}, "
        f"{machine['processors']} processors), on a shared machine with a load of {machine['load_before']}. "
        f"Each round measures the baseline twice, which shows the noise. In the repair benchmark, the second time was "
        f"{noise['median']:.2f} times the first (half of all rounds: {noise['low']:.2f} to {noise['high']:.2f}). "
        f"In the cold start benchmark, it was {again['median']:.2f} times ({again['low']:.2f} to {again['high']:.2f})."
    )


def _headlines(figures: Any) -> str:  # noqa: ANN401 - the JSON of the benchmarks
    return _table(
        ("figure", "measured", "target", ""),
        [
            (
                each["figure"],
                number_text(each["value"], each["unit"]),
                "" if each["aim"] is None else f"≤ {each['aim']:g}",
                _verdict(each["verdict"]),
            )
            for name in ("repair", "cold_start", "sweep", "evaluation", "load")
            for each in figures[name]["headlines"]
        ],
    )


def _verdict(verdict: str | None) -> str:
    return verdict if verdict == "kept" else f"**{verdict}**" if verdict else ""


def _calls(scenes: Sequence[Any]) -> str:
    return _table(
        ("role", "reads", "writes", "queue, history, alert", "repeated calls"),
        [
            (
                each["scene"],
                str(each["reads"]),
                str(each["writes"]),
                str(each["beside"]),
                ", ".join(f"`{name}` {count} times" for name, count in each["repeated"].items()) or "none",
            )
            for each in scenes
        ],
    )


def _starts(record: Any) -> str:  # noqa: ANN401 - the JSON of the benchmarks
    compiled = {each["function"]: each for each in record["with_bytecode"]}

    def cells(each: Any) -> tuple[str, ...]:  # noqa: ANN401 - the JSON of the benchmarks
        with_bytecode = compiled[each["function"]]["milliseconds"]["median"]
        handles = "event_ratio" in each
        return (
            _NAMES.get(each["function"], each["function"]),
            f"{each['milliseconds']['median']:.0f} ms",
            f"{each['ratio']['median']:.2f}",
            f"{with_bytecode:.0f} ms",
            f"{each['peak_mb']['median']:.0f} MB",
            f"{each['memory_ratio']['median']:.2f}",
            f"{each['event_milliseconds']['median']:.0f} ms" if handles else "",
            f"{each['event_ratio']['median']:.2f}, {each['calls_ratio']['median']:.2f}" if handles else "",
            f"{each['event_peak_mb']['median']:.0f} MB" if handles else "",
            f"{each['event_memory_ratio']['median']:.2f}, {each['calls_memory_ratio']['median']:.2f}"
            if handles
            else "",
        )

    before = ("first client", "ratio", "with bytecode", "peak memory", "ratio")
    heads = ("function", *before, "first event", "ratios", "peak memory", "ratios")
    return _table(heads, [cells(each) for each in record["as_deployed"]])


def _sweeps(record: Any) -> str:  # noqa: ANN401 - the JSON of the benchmarks
    columns = {
        "roles": "roles",
        "enrolled": "enrolled",
        "broken": "broken",
        "iam_reads": "role reads",
        "policy_reads": "policy reads",
        "bucket_reads": "bucket reads",
        "writes": "writes",
        "messages": "queued",
        "queue_calls": "queue calls",
    }
    return _table(
        (*columns.values(), "CPU time", "peak memory"),
        [
            (
                *(f"{size[name]:,}" for name in columns),
                f"{size['seconds']['median']:.2f} s",
                f"{size['peak_mb']:.0f} MB",
            )
            for size in record["sizes"]
        ],
    )


def _storm(record: Any) -> str:  # noqa: ANN401 - the JSON of the benchmarks
    counted = record["counted"]
    rows = (
        ("roles, half with each grant location", record["roles"]),
        ("events", record["events"]),
        ("of these, trust policies replaced", record["replaced"]),
        ("trust policies repaired", len(record["seconds_to_repair"])),
        ("all events sent after", f"{record['storm_seconds']:g} s"),
        ("all roles repaired after", f"{record['seconds']:g} s"),
        ("reconciliations", counted["Reconciled"]),
        ("of these, with a repair", counted["RolesRepaired"]),
        ("AWS calls by all functions per repair", f"{record['calls_for_each_repair']:.0f}"),
        ("documents written", sum(record["changes"].values())),
        ("event to repair: p50, p99", f"{record['p50']:g} s, {record['p99']:g} s"),
        ("roles left broken, messages lost, changes out of order", _three(record)),
        ("alerts for machines", record["alerts"]),
        ("e-mails, of which digests", f"{record['letters']}, {counted['DigestsSent']}"),
    )
    return _table(("storm", ""), [(name, str(value)) for name, value in rows])


def _three(record: Any) -> str:  # noqa: ANN401 - the JSON of the benchmarks
    return f"{record['unrepaired']}, {record['lost']}, {len(record['out_of_order'])}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> int:
    """Write the plots and the tables."""
    figures = json.loads(FIGURES.read_text("utf-8"))
    for name, drawn in plots(figures).items():
        (EVIDENCE / name).write_text(drawn, encoding="utf-8")
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8"), tables(figures)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
