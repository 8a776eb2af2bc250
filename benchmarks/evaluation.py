"""Measures how many roles are evaluated per second on one core, compared with parsing the same JSON.

``python -m benchmarks.evaluation [--rounds N] [--json FILE]`` prints a table and optionally writes the results as JSON.
The cases are the named policy scenarios of the tests. Every round does each kind of work once over all cases, one after
the other, so other load on the machine affects all of them equally.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import ROOT
from benchmarks.measuring import Headline, Spread, on_one_core, ratio, seconds_of
from remediator.core.access.grants import evaluate_grants, evaluate_key
from remediator.core.model.observed import Observed
from remediator.core.policy.reading import Present
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.plan import plan_repair
from remediator.core.repair.trust import evaluate_trust
from remediator_cli.commands.evaluate import evaluation_record
from remediator_cli.evaluation.cases import Case, read_case
from remediator_cli.evaluation.evaluation import evaluate_case
from remediator_cli.terminal.json_lines import parse_json

FILES = ("policy_cases.jsonl", "more_cases.jsonl")
FLOOR = "parse the JSON"
MEASURED = "read and evaluate"
T = TypeVar("T")

AIM = 15.0
"""The target: at most this many times the parsing time, so evaluation never dominates a call."""
DEFAULT_ROUNDS = 21


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work on all cases; ``what`` describes it."""

    name: str
    what: str
    run: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """The seconds of one kind of work over all cases, and its ratios to the baseline; best and median of all rounds.

    In a run without disturbances, the ratios of the medians and of the best times are close.
    """

    name: str
    what: str
    best: float
    median: float
    best_ratio: float
    ratios: Spread
    roles_per_second: float


def kinds_of_work(lines: Sequence[str]) -> tuple[Work, ...]:
    """Return the kinds of work, the baseline first."""
    values = [json.loads(line) for line in lines]
    cases = [read_case(value) for value in values]
    return (
        Work(FLOOR, "json.loads of the whole case", _over(lines, json.loads)),
        Work("read", "from parsed JSON to typed documents", _over(values, read_case)),
        Work("evaluate", "trust, eight S3 actions, key", _over(cases, _evaluate)),
        Work(MEASURED, "both: from parsed JSON to verdicts", _over(values, _read_and_evaluate)),
        Work("diagnose and plan", "findings and the documents to write", _over(cases, _plan)),
        Work("the command line", "evaluate, from text to text", _over(lines, _answer)),
    )


def _over(items: Sequence[T], do: Callable[[T], object]) -> Callable[[], None]:
    def run() -> None:
        for item in items:
            do(item)

    return run


def _evaluate(case: Case) -> None:
    evaluate_trust(case.role, case.evaluation_context)
    evaluate_grants(case.role, case.policies, case.bucket, case.evaluation_context)
    evaluate_key(case.role, case.policies, case.bucket, case.evaluation_context)


def _read_and_evaluate(value: object) -> None:
    _evaluate(read_case(value))


def _plan(case: Case) -> None:
    observed = Observed(case.role, case.policies, ((case.bucket.name, Present(case.bucket)),))
    plan_repair(observed, diagnose(observed, case.evaluation_context))


def _answer(line: str) -> None:
    json.dumps(evaluation_record(evaluate_case(read_case(parse_json(line)))))


def measure(works: Sequence[Work], rounds: int, roles: int) -> tuple[Figure, ...]:
    """Do all kinds of work in turn, ``rounds`` times after a warm-up round, without garbage collection."""
    seconds: dict[str, list[float]] = {work.name: [] for work in works}
    for number in range(rounds + 1):
        for work in works:
            elapsed = seconds_of(work.run)
            if number:
                seconds[work.name].append(elapsed)
    floor = seconds[works[0].name]
    return tuple(
        Figure(
            name=work.name,
            what=work.what,
            best=min(seconds[work.name]),
            median=statistics.median(seconds[work.name]),
            best_ratio=min(seconds[work.name]) / min(floor),
            ratios=ratio(seconds[work.name], floor),
            roles_per_second=roles / statistics.median(seconds[work.name]),
        )
        for work in works
    )


def figures_table(figures: Sequence[Figure], roles: int) -> Table:
    """Return the results as a table."""
    table = Table(title=f"Evaluation of {roles} roles on one core", box=box.SIMPLE_HEAD)
    for heading in ("work", "per role", "best ms", "median ms", "roles/s", "best ratio", "median ratio"):
        table.add_column(heading, justify="left" if heading in {"work", "per role"} else "right")
    for figure in figures:
        table.add_row(
            *(figure.name, figure.what, f"{figure.best * 1e3:.1f}", f"{figure.median * 1e3:.1f}"),
            *(f"{figure.roles_per_second:,.0f}", f"{figure.best_ratio:.1f}", f"{figure.ratios.median:.1f}"),
            style="bold" if figure.name == MEASURED else "",
        )
    return table


def figures_json(figures: Sequence[Figure], roles: int, rounds: int) -> dict[str, Any]:
    """Return the results as JSON, with the machine."""
    measured = next(figure.ratios for figure in figures if figure.name == MEASURED)
    return {
        "benchmark": "evaluation",
        "roles": roles,
        "rounds": rounds,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "aim": AIM,
        "ratio": round(measured.median, 2),
        "figures": [
            {
                "work": figure.name,
                "what": figure.what,
                "best_seconds": figure.best,
                "median_seconds": figure.median,
                "roles_per_second": round(figure.roles_per_second),
                "best_ratio": round(figure.best_ratio, 2),
                "median_ratio": round(figure.ratios.median, 2),
            }
            for figure in figures
        ],
        "headlines": [
            Headline(
                "reading and evaluating a role, relative to parsing its JSON", measured.median, "times", AIM, measured
            ).record()
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="rounds per kind of work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds: the minimum is 1")
    on_one_core()
    lines = [line for name in FILES for line in (ROOT / "tests" / "cases" / name).read_text("utf-8").splitlines()]
    figures = measure(kinds_of_work(lines), options.rounds, len(lines))
    Console(width=None if sys.stdout.isatty() else 120).print(figures_table(figures, len(lines)))
    record = figures_json(figures, len(lines), options.rounds)
    sys.stdout.write(f"{MEASURED}: {record['ratio']} times the time for parsing the same JSON; target: {AIM:g}.\n")
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
