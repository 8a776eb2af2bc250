"""The mutants that ``make mutate`` tries: each is one change of one module, and the same in every run of a seed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.mutants import CORE, ROOT, Result, mutant_of, sample, spots
from tests.chaos.mutation import report, summary

MODULE = CORE / "example.py"


def became(source: str) -> list[str]:
    """What the mutants of a module make of the line that each of them changes."""
    mutants = [mutant_of(MODULE, source, spot) for spot in spots(source)]
    return [" ".join(mutant.became.split()) for mutant in mutants if mutant]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = one == other", ["x = one != other"]),
        ("x = one < other", ["x = one <= other", "x = one >= other"]),
        ("x = one is other", ["x = one is not other"]),
        ("x = one in other", ["x = one not in other"]),
        ("x = one not in other", ["x = one in other"]),
        ("x = one + other", ["x = one - other"]),
        ("x = one | {*other}", ["x = one & {*other}"]),
        ("x = one and other", ["x = one or other", "x = other", "x = one"]),
        (
            "x = one or two or z",
            ["x = one and two or z", "x = one or two and z", "x = two or z", "x = one or z", "x = one or two"],
        ),
        ("x = not one", ["x = one"]),
        ("x = one if z else other", ["x = one if not z else other"]),
        ("x = True", ["x = False"]),
        ("x = 7", ["x = 8", "x = 6"]),
        ("x = 'Allow'", ["x = 'Allow_'"]),
        ("x = any(one)", ["x = all(one)"]),
        ("x = replace(one, a=other)", ["x = replace(one, **{})"]),
        ("x = [y for y in one if y]", ["x = [y for y in one if True]"]),
        ("if one: x = other", ["if not one: x = other"]),
        ("for one in other: pass", ["for one in []: pass"]),
        ("def f(): return one", ["def f(): return None"]),
        ("one.append(other)", ["pass"]),
    ],
)
def test_each_kind_of_place_becomes_something_else(line: str, expected: list[str]) -> None:
    assert became(f"{line}\n") == expected


def test_what_stands_under_match_is_changed_as_well() -> None:
    source = "match one:\n    case Read(value) if value:\n        x = True\n    case 'none':\n        x = other\n"
    assert sorted(became(source)) == ["case 'none_':", "case Read(value) if not (value):", "x = False"]


def test_what_an_except_clause_catches_is_changed() -> None:
    assert became("try: f()\nexcept KeyError: pass\n")[0] == "except CosmicRayTestingException: pass"


@pytest.mark.parametrize(
    "text",
    [
        "def f(): return None",
        "x: Role | None = other",
        "x = Role | Bucket",
        "T = TypeVar('T')",
        "def f(x: Role | None) -> Role | None: pass",
        "@dataclass(frozen=True)\nclass Example: pass",
        "'''What it promises.'''",
        "x = 'said to a person'",
        "__all__ = ['one']",
        "raise ValueError(one + other)",
        "assert one",
        "def f(one, *, other): pass",
        "f = [*one, *other]",
        "assert_never(never)",
    ],
)
def test_types_decorators_errors_and_texts_for_people_are_left_alone(text: str) -> None:
    assert became(f"{text}\n") == []


def test_the_lines_of_a_spot_are_those_of_the_statement_around_it() -> None:
    source = "x = (\n    one,\n    7,\n)\nif x == y:\n    pass\n"
    assert {spot.statement for spot in spots(source)} == {(1, 4), (5, 6)}


def test_every_mutant_changes_its_module_and_can_be_read() -> None:
    mutants = sample(75, seed=3)
    assert len(mutants) == 75
    for mutant in mutants:
        assert ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse((ROOT / mutant.module).read_text())), mutant
        assert mutant.was in (ROOT / mutant.module).read_text()


def test_a_sample_is_the_same_for_a_seed_and_takes_no_second_mutant_of_a_module_before_each_has_one() -> None:
    one, other = sample(40, seed=1), sample(40, seed=1)
    assert list(map(str, one)) == list(map(str, other))
    assert len({mutant.module for mutant in one}) == 40
    assert all(CORE in mutant.module.parents for mutant in one)


TESTED = """
from functools import lru_cache

LIMIT = 7


@lru_cache
def is_large(number):
    return number + 0 > LIMIT


def above(limit):
    def is_above(number):
        return number > limit

    return is_above


KEPT = is_large(LIMIT)
is_huge = above(100)
"""
TESTS = """
import pytest
from remediator.core.example import KEPT, is_huge, is_large


@pytest.mark.parametrize("number", [8, 9])
def test_what_is_above_the_limit_is_large(number):
    assert is_large(number)


def test_the_limit_is_not():
    assert not is_large(7)
    assert not KEPT


def test_what_is_above_another_limit_is_huge():
    assert is_huge(101)
    assert not is_huge(100)
"""


def test_mutants_in_functions_and_elsewhere_are_killed_but_for_one_that_makes_no_difference(tmp_path: Path) -> None:
    for name, text in {
        f"{CORE}/example.py": TESTED,
        "tests/unit/test_example.py": TESTS,
        "tests/unit/alerts/test_golden_alerts.py": "def test_nothing(): pass\n",
        "tests/cases/test_cases.py": "def test_nothing(): pass\n",
        "tests/properties/test_properties.py": "def test_nothing(): pass\n",
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['lambda_src']\n",
        **{name: (ROOT / name).read_text() for name in ("tests/chaos/mutation.py", "tests/chaos/mutants.py")},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = (sys.executable, "-m", "tests.chaos.mutation", "--json", "mutants.json")
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "mutants.json").read_text())
    assert found["survivors"] == ["example.py:9: return number + 0 > LIMIT  ->  return number - 0 > LIMIT"]
    assert found["by place"] == {"elsewhere": {"tried": 4, "killed": 4}, "in functions": {"tried": 10, "killed": 9}}


def test_the_summary_counts_by_place_and_kind_and_lists_what_survived() -> None:
    killed = Result("plan.py", "ReplaceComparisonOperator_Eq_NotEq", 0, "plan.py:1: a == b  ->  a != b", True, False)
    survived = Result("plan.py", "Word", 3, "plan.py:9: 'a'  ->  'a_'", False, True)
    assert [line.split() for line in report(summary([killed, survived])).splitlines() if line] == [
        ["tried", "killed", "survived"],
        ["all", "2", "1", "1"],
        ["elsewhere", "1", "0", "1"],
        ["in", "functions", "1", "1", "0"],
        ["ReplaceComparisonOperator", "1", "1", "0"],
        ["Word", "1", "0", "1"],
        ["These", "survived:"],
        survived.mutant.split(),
    ]
