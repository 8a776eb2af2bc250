"""How much is tried, and the tables of what came of it."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.chaos.calls import Fault
from tests.functional.conftest import _session, world

__all__ = ["_session", "world"]  # fixtures, which pytest finds here by their names

_SHORT = {"disturbances": 1, "schedules": 240, "lagging": 40, "generated": 2_400}
_SHORT_NAMES = dict(
    zip(Fault, ("thr", "5xx", "den", "lost<", "lost>", "twice", "stale", "kill<", "kill>"), strict=True)
)


def how_many(what: str) -> int:
    """How many of something are tried; ``make chaos`` asks for more than ``make test`` does. 0 stands for all."""
    return int(os.environ.get(f"CHAOS_{what.upper()}", _SHORT[what]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests have found out, as a whole, where all of it was asked for."""
    if "CHAOS_DISTURBANCES" not in os.environ:
        return
    properties: dict[str, list[Any]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for report in reports:
            is_of_the_call = getattr(report, "when", "") == "call"
            for name, value in report.user_properties if is_of_the_call else ():
                properties[name].append(json.loads(value))
    tellings: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    calls: dict[str, tuple[int, int]] = {}
    for rows in properties["disturbed"]:
        tellings[rows["flow"]] += rows["tellings"]
        calls[rows["flow"]] = rows["calls"]
    for flow in sorted(tellings):
        _print_flow(terminalreporter, flow, tellings[flow])
    _print_totals(terminalreporter, [each for rows in tellings.values() for each in rows])
    wrong, made = (sum(numbers) for numbers in zip(*calls.values(), strict=True)) if calls else (0, 0)
    terminalreporter.write_line(f"of {made} calls in {len(calls)} stories {wrong} are made to go wrong")
    for gaps in properties["window"]:
        terminalreporter.write_line(f"between the last read of a document and its write: {gaps}")
    _print_generated(terminalreporter, properties["generated"])
    for kind in ("schedules", "lagging schedules"):
        totals: Counter[str] = Counter()
        for values in properties[kind]:
            totals.update(values)
        terminalreporter.write_line(f"{kind}: {dict(sorted(totals.items()))}")


def _print_generated(terminalreporter: Any, generated: list[dict[str, Any]]) -> None:
    """One line for each kind of input, with how often each answer was given."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for values in generated:
        answers[values["kind"]].update(values["answers"])
    for kind, counts in answers.items():
        terminalreporter.write_line(f"{kind} damaged: {counts.total()}, {dict(sorted(counts.items()))}")


def _print_flow(terminalreporter: Any, flow: str, tellings: list[tuple[str, str, str]]) -> None:
    """One line for each call of the flow, with one letter for each telling of it."""
    terminalreporter.write_line("")
    terminalreporter.write_line(f"{flow:<55}" + "".join(f"{_SHORT_NAMES[fault]:>7}" for fault in Fault))
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    for call, fault, verdict in tellings:
        cells[call, fault].append(verdict)
    for call in sorted({call for call, _, _ in tellings}):
        line = "".join(f"{_cell(cells.get((call, fault.value), [])):>7}" for fault in Fault)
        terminalreporter.write_line(f"  {call:<53}{line}")


def _cell(verdicts: list[str]) -> str:
    return "".join(f"{count}{letter}" for letter, count in sorted(Counter(verdicts).items()))


def _print_totals(terminalreporter: Any, tellings: list[tuple[str, str, str]]) -> None:
    totals = Counter((fault, verdict) for _, fault, verdict in tellings)
    words = {
        "r": "in order before the sweep",
        "d": "in order before the sweep, machines told twice",
        "s": "in order after the sweep",
        "b": "in order after the sweep, machines told twice",
        "p": "in order, and people told twice",
        "t": "told by the first sweep of the next day",
        "-": "nothing that could go wrong",
        "X": "a promise was broken",
    }
    terminalreporter.write_line("")
    for verdict, word in words.items():
        counts = {fault.value: totals[fault.value, verdict] for fault in Fault if totals[fault.value, verdict]}
        terminalreporter.write_line(f"{verdict} {word:<45} {sum(counts.values()):>6}  {counts}")


@pytest.fixture
def note(record_property: Any) -> Any:
    """Notes something that was found out, for the tables at the end."""

    def noted(name: str, value: object) -> None:
        record_property(name, json.dumps(value))

    return noted
