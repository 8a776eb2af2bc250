"""The mutants that ``make mutate`` tries: each is one change of one module, and the same in every run of a seed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.chaos.mutation import CORE, ROOT, mutants_of, sample

MODULE = Path("lambda_src/remediator/core/example.py")


def became(body: str) -> list[str]:
    """What the mutants of a function with that body make of the node that each of them changes."""
    return [mutant.became for mutant in mutants_of(MODULE, f"def example(one, other):\n    {body}\n")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x = one < other", ["one <= other"]),
        ("x = one is other", ["one is not other"]),
        ("x = one and other", ["one or other"]),
        ("x = one + other", ["one - other"]),
        ("x = not one", ["one"]),
        ("x = True", ["False"]),
        ("x = 7", ["8"]),
        ("x = any(one)", ["all(one)"]),
        ("x = replace(one, a=other)", ["replace(one)"]),
        ("x = [y for y in one if y]", ["for y in one"]),
        ("if one: x = other", ["if not one: x = other"]),
        ("return one", ["return None"]),
        ("return None", []),
        ('"""What it promises."""', []),
        ("raise ValueError(one + other)", []),
    ],
)
def test_each_kind_of_node_becomes_another_one(body: str, expected: list[str]) -> None:
    assert became(body) == expected


def test_every_mutant_changes_one_place_of_its_module_and_can_be_read() -> None:
    mutants = sample(40, seed=3)
    assert len(mutants) == 40
    for mutant in mutants:
        source = ast.unparse(ast.parse((ROOT / mutant.module).read_text()))
        assert ast.unparse(ast.parse(mutant.source)) != source, str(mutant)


def test_a_sample_is_the_same_for_a_seed_and_takes_no_second_mutant_of_a_module_before_each_has_one() -> None:
    one, other = sample(40, seed=1), sample(40, seed=1)
    assert list(map(str, one)) == list(map(str, other))
    assert len({mutant.module for mutant in one}) == 40
    assert all(CORE in mutant.module.parents for mutant in one)
