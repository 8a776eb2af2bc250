"""The figures for readers: plots in docs/evidence/, and the tables in docs/evidence.md, from docs/evidence/bench.json.

``python -m benchmarks.plots`` writes them again. The tables stand between two comments that name them, and whatever
else is in the document stays as it is.
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
    "empty": "an empty function",
    "empty again": "the empty one once more",
    "powertools": "one that has Powertools",
}


def plots(figures: Any) -> dict[str, str]:  # noqa: ANN401 - JSON of our own form
    """The plots by the names of their files."""
    starts = figures["cold_start"]["as_deployed"]
    scenes = figures["repair"]["scenes"]
    taken = figures["load"]["seconds_to_repair"]
    empty = starts[0]["milliseconds"]["median"]
    return {
        "calls.svg": bars(
            "Calls of AWS for one event, router and reconciler together",
            "calls",
            [Bar(_wrapped(each["scene"]), each["reads"] + each["writes"] + each["beside"]) for each in scenes],
        ),
        "cold-start.svg": bars(
            "From the running interpreter to the first client",
            "milliseconds; the line in a bar's end spans half of all starts",
            [
                Bar(
                    _NAMES.get(each["function"], each["function"]),
                    each["milliseconds"]["median"],
                    each["milliseconds"]["low"],
                    each["milliseconds"]["high"],
                    beside=each["function"] in _NAMES,
                )
                for each in starts
            ],
            aim=("the aim", empty * _aim(figures["cold_start"])),
        ),
        "sweep.svg": line(
            "The processor's time of a sweep",
            "roles in the account, a tenth of them enrolled",
            "seconds",
            [(size["roles"], size["seconds"]["median"]) for size in figures["sweep"]["sizes"]],
            marked=True,
        ),
        "load.svg": line(
            f"From event to repair: {figures['load']['events']} events over {figures['load']['roles']} roles",
            "seconds",
            "percent of all repairs",
            [
                (0, 0),
                *((seconds, 100 * (number + 1) / len(taken)) for number, seconds in enumerate(taken)),
            ],
        ),
    }


def tables(figures: Any) -> dict[str, str]:  # noqa: ANN401 - JSON of our own form
    """The tables of the document by their names, as Markdown."""
    return {
        "machine": _machine(figures),
        "figures": _headlines(figures),
        "calls": _calls(figures["repair"]["scenes"]),
        "cold start": _starts(figures["cold_start"]),
        "sweeps": _sweeps(figures["sweep"]),
        "storm": _storm(figures["load"]),
    }


def with_tables(document: str, made: Mapping[str, str]) -> str:
    """The document with these tables in their places. Raises ValueError where one has no place."""
    for name, table in made.items():
        begin, end = f"<!-- {name}: made by `python -m benchmarks.plots` -->", "<!-- end -->"
        place = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not place.search(document):
            raise ValueError(f"{DOCUMENT.name} has no place for the table {name!r}: write {begin} and {end} into it")
        document = place.sub(lambda _, text=f"{begin}\n\n{table}\n\n{end}": text, document)  # type: ignore[misc]  # a default binds it
    return document


def _aim(record: Any) -> float:  # noqa: ANN401 - JSON of our own form
    return float(record["headlines"][0]["aim"])


def _wrapped(text: str) -> str:
    return text.replace("trust and grant repaired, in the", "both repaired, in the")


def _machine(figures: Any) -> str:  # noqa: ANN401 - JSON of our own form
    machine, noise = figures["machine"], figures["repair"]["noise"]
    again = next(each for each in figures["cold_start"]["as_deployed"] if each["function"] == "empty again")["ratio"]
    return (
        f"Measured with Python {machine['python']} on {machine['system']} ({machine['architecture']}, "
        f"{machine['processors']} processors), which had other work as well: the load was {machine['load_before']}. "
        f"How noisy it was is seen where the same is measured twice in each round: the second time took "
        f"{noise['median']:.2f} times as long as the first in the measurement of the repair (half of all rounds: "
        f"{noise['low']:.2f} to {noise['high']:.2f}), {again['median']:.2f} times in that of the cold start "
        f"({again['low']:.2f} to {again['high']:.2f})."
    )


def _headlines(figures: Any) -> str:  # noqa: ANN401 - JSON of our own form
    return _table(
        ("figure", "measured", "aim", ""),
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
        ("the role", "reads", "writes", "queue, history, alert", "asked for more than once"),
        [
            (
                each["scene"],
                str(each["reads"]),
                str(each["writes"]),
                str(each["beside"]),
                ", ".join(f"`{name}` {count} times" for name, count in each["repeated"].items()) or "nothing",
            )
            for each in scenes
        ],
    )


def _starts(record: Any) -> str:  # noqa: ANN401 - JSON of our own form
    compiled = {each["function"]: each for each in record["with_bytecode"]}

    def cells(each: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON of our own form
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


def _sweeps(record: Any) -> str:  # noqa: ANN401 - JSON of our own form
    columns = {
        "roles": "roles",
        "enrolled": "enrolled",
        "broken": "broken",
        "iam_reads": "reads of roles",
        "policy_reads": "of policies",
        "bucket_reads": "of buckets",
        "writes": "writes",
        "messages": "queued",
        "queue_calls": "in calls",
    }
    return _table(
        (*columns.values(), "took", "peak"),
        [
            (
                *(f"{size[name]:,}" for name in columns),
                f"{size['seconds']['median']:.2f} s",
                f"{size['peak_mb']:.0f} MB",
            )
            for size in record["sizes"]
        ],
    )


def _storm(record: Any) -> str:  # noqa: ANN401 - JSON of our own form
    counted = record["counted"]
    rows = (
        ("roles, half of each side", record["roles"]),
        ("events", record["events"]),
        ("of these, trust policies replaced", record["replaced"]),
        ("trust policies repaired", len(record["seconds_to_repair"])),
        ("handed in within", f"{record['storm_seconds']:g} s"),
        ("all repaired after", f"{record['seconds']:g} s"),
        ("looks at a role", counted["Reconciled"]),
        ("of these, such as ended in a repair", counted["RolesRepaired"]),
        ("calls of all functions, for each of these", f"{record['calls_for_each_repair']:.0f}"),
        ("documents written", sum(record["changes"].values())),
        ("event to repair: half of all, 99 of 100", f"{record['p50']:g} s, {record['p99']:g} s"),
        ("roles left broken, messages lost, changes out of order", _three(record)),
        ("alerts for machines", record["alerts"]),
        ("e-mails, of which digests", f"{record['letters']}, {counted['DigestsSent']}"),
    )
    return _table(("the storm", ""), [(name, str(value)) for name, value in rows])


def _three(record: Any) -> str:  # noqa: ANN401 - JSON of our own form
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
