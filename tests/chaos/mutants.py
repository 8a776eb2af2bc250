"""The mutants of ``core/``: each is one small change of one module.

cosmic-ray makes them, and ``OURS`` adds what it does not know: membership, filters, guards, operands, words,
statements, and what is returned. Not mutated are types, decorators, ``__all__``, what is raised and asserted, and texts
of more than one word, which are for people.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from cosmic_ray.ast import ast_nodes, get_ast  # type: ignore[import-untyped]  # cosmic-ray has no types
from cosmic_ray.mutating import mutate_code  # type: ignore[import-untyped]  # it has no types
from cosmic_ray.plugins import get_operator  # type: ignore[import-untyped]  # it has no types
from parso.python.tree import Function, Name

ROOT: Final = Path(__file__).parents[2]
CORE: Final = Path("lambda_src/remediator/core")

# An operator becomes its opposite and its neighbour alone. What cosmic-ray would make of it besides, as an order of two
# words or the remainder of two sets, is a TypeError in every test: it would flatter the figure. `is` and `==` are the
# same for None and for members of an enumeration. Without @dataclass or @property nothing runs, and without @lru_cache
# nothing is different: RemoveDecorator is left out. VariableReplacer and VariableInserter draw numbers without a seed.
_COMPARED: Final = (
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
)
_CALCULATED: Final = (
    *("Add_Sub", "Sub_Add", "Mul_FloorDiv", "FloorDiv_Mul", "Mod_FloorDiv"),
    *("BitOr_BitAnd", "BitAnd_BitOr", "BitAnd_BitXor"),
)
COSMIC_RAY: Final = (
    *(f"ReplaceComparisonOperator_{each}" for each in _COMPARED),
    *(f"ReplaceBinaryOperator_{each}" for each in _CALCULATED),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub"),
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("ExceptionReplacer", "NumberReplacer"),
)

Node = Any  # parso says the types of few of its methods

_WORD: Final = re.compile(r"""(["'])([^\s"']+)\1""")


class Rewriting:
    """An operator, in the form that cosmic-ray expects, that puts other texts in the place of nodes of these types."""

    def __init__(self, texts_for: Callable[[Node, str], Sequence[str]], *types: str) -> None:
        self._texts_for = texts_for
        self._types = types

    def _texts(self, node: Node) -> Sequence[str]:
        return self._texts_for(node, node.get_code(include_prefix=False)) if node.type in self._types else ()

    def mutation_positions(self, node: Node) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Where the node is, once for each text that can stand there."""
        return ((node.start_pos, node.end_pos) for _ in self._texts(node))

    def mutate(self, node: Node, index: int) -> Node:
        """The text of that number in the place of the node."""
        return Name(self._texts(node)[index], node.start_pos, node.get_first_leaf().prefix)


def _membership(node: Node, code: str) -> Sequence[str]:
    is_compared = node.parent.type == "comparison"
    return {"in": ["not in"], "not in": ["in"]}.get(code, []) if is_compared else []


def _quantifier(node: Node, code: str) -> Sequence[str]:
    return {"any": ["all"], "all": ["any"]}.get(code, []) if node.parent.type == "atom_expr" else []


def _word(node: Node, code: str) -> Sequence[str]:
    word = _WORD.fullmatch(code)
    return [f"{word[1]}{word[2]}_{word[1]}"] if word and _called(node) != "TypeVar" else []


def _returned(_node: Node, code: str) -> Sequence[str]:
    # True and False become each other, by an operator of cosmic-ray.
    return [] if code in ("return None", "return True", "return False") else ["return None"]


def _field(node: Node, code: str) -> Sequence[str]:
    return ["**{}"] if "=" in code and _called(node) == "replace" else []


def _filter(_node: Node, _code: str) -> Sequence[str]:
    return ["if True"]


def _guard(_node: Node, code: str) -> Sequence[str]:
    # parso does not know `match`: what is left of a `case` with a guard is a node that it could not make sense of.
    pattern, has_guard, guard = code.partition(" if ")
    return [f"{pattern} if not ({guard})"] if has_guard else []


def _operand(node: Node, _code: str) -> Sequence[str]:
    operator, operands = node.children[1].get_code(), [each.get_code() for each in node.children[::2]]
    return [operator.join(operands[:left] + operands[left + 1 :]).strip() for left in range(len(operands))]


def _statement(node: Node, code: str) -> Sequence[str]:
    is_call = node.children[0].type in ("atom_expr", "yield_expr")
    is_never_reached = code.startswith("assert_never(")
    return ["pass\n"] if is_call and not is_never_reached else []


OURS: Final[Mapping[str, Rewriting]] = {
    "Membership": Rewriting(_membership, "keyword", "comp_op"),
    "Quantifier": Rewriting(_quantifier, "name"),
    "Word": Rewriting(_word, "string"),
    "Returned": Rewriting(_returned, "return_stmt"),
    "FieldOfReplace": Rewriting(_field, "argument"),
    "Filter": Rewriting(_filter, "comp_if"),
    "Guard": Rewriting(_guard, "error_node"),
    "Operand": Rewriting(_operand, "and_test", "or_test"),
    "Statement": Rewriting(_statement, "simple_stmt"),
}


def _called(node: Node) -> str:
    """The name of the function that is called in the innermost expression around a node."""
    around = node.search_ancestor("atom_expr")
    return str(around.get_first_leaf().value) if around else ""


@cache
def _operators() -> Mapping[str, Any]:
    return {**{name: get_operator(f"core/{name}")() for name in COSMIC_RAY}, **OURS}


@dataclass(frozen=True, slots=True)
class Spot:
    """What one mutant changes: the operator, the how many-th of its places, and the lines of the statement there."""

    operator: str
    occurrence: int
    statement: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one thing changed: where, the line as it was, and what it became."""

    module: Path
    spot: Spot
    line: int
    was: str
    became: str
    source: str
    functions: tuple[tuple[str, int], ...]
    """Those in whose body it is, by their names and first lines, the outermost first."""

    def __str__(self) -> str:
        return f"{self.module.relative_to(CORE)}:{self.line}: {self.was}  ->  {self.became}"

    @property
    def function(self) -> tuple[str, int] | None:
        """The only one in which it is. One within another may have been made while its module was imported."""
        return self.functions[0] if len(self.functions) == 1 else None

    def result(self, *, survived: bool) -> Result:
        """What became of it."""
        module = str(self.module.relative_to(CORE))
        return Result(module, self.spot.operator, self.spot.occurrence, str(self), bool(self.functions), survived)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant."""

    module: str
    operator: str
    occurrence: int
    mutant: str
    in_function: bool
    survived: bool


@cache
def spots(source: str) -> tuple[Spot, ...]:
    """All places of a module that can be changed, in the same order each time."""
    nodes = list(ast_nodes(get_ast(source)))
    return tuple(
        Spot(name, occurrence, _lines(node))
        for name, operator in _operators().items()
        for occurrence, node in enumerate(each for each in nodes for _ in operator.mutation_positions(each))
        if not _is_left_alone(node) and not (name == "AddNot" and _is_turned_round_elsewhere(node))
    )


def _lines(node: Node) -> tuple[int, int]:
    """The first and the last line of the innermost statement around a node."""
    kinds = ("simple_stmt", "if_stmt", "for_stmt", "while_stmt", "try_stmt", "with_stmt", "funcdef", "classdef")
    around = node if node.type in kinds else node.search_ancestor(*kinds) or node
    return around.start_pos[0], around.get_last_leaf().start_pos[0]


def _is_left_alone(node: Node) -> bool:
    """Whether a node is of a type, a decorator, what is raised or asserted, or the list of what a module gives away."""
    following = node.get_next_leaf()
    if node.get_code().strip() == "|" and following and re.match(" [A-Z][a-z]", following.get_code()):
        return True
    inner = node
    while (outer := inner.parent) is not None:
        is_of_variable = outer.type == "annassign" and outer.children[1] is inner
        is_of_function = isinstance(outer, Function) and outer.annotation is inner
        is_for_import = inner.type == "expr_stmt" and inner.get_first_leaf().value == "__all__"
        if is_of_variable or is_of_function or is_for_import:
            return True
        if inner.type in ("raise_stmt", "assert_stmt", "decorator", "tfpdef"):
            return True
        inner = outer
    return False


def _is_turned_round_elsewhere(node: Node) -> bool:
    """Whether the condition is turned round by the operators for comparisons and for ``not`` already."""
    condition = node.children[2 if node.type == "test" else 1]
    return condition.type in ("comparison", "not_test")


def mutant_of(module: Path, source: str, spot: Spot) -> Mutant | None:
    """The module changed in that place; nothing if that is no Python, or means the same."""
    changed = mutate_code(source, _operators()[spot.operator], spot.occurrence)
    try:
        if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:
        return None
    pairs = zip(source.splitlines(), changed.splitlines(), strict=False)
    line, was, became = next((line, *pair) for line, pair in enumerate(pairs, 1) if pair[0] != pair[1])
    return Mutant(module, spot, line, was.strip(), became.strip(), changed, tuple(_functions(changed, line)))


def _functions(source: str, line: int) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):  # the outer ones first
        if isinstance(node, ast.FunctionDef) and node.body[0].lineno <= line <= (node.end_lineno or line):
            yield node.name, min([node.lineno, *(each.lineno for each in node.decorator_list)])


def sample(count: int, seed: int) -> list[Mutant]:
    """So many mutants, as many of each module as of any other, as far as there are that many."""
    rng = random.Random(seed)  # noqa: S311 - the same in every run with that seed
    sources = {path.relative_to(ROOT): path.read_text() for path in sorted((ROOT / CORE).rglob("*.py"))}
    left = {module: rng.sample(found := spots(source), len(found)) for module, source in sources.items()}
    chosen: dict[Path, list[Mutant]] = {module: [] for module in sources}
    while sum(map(len, chosen.values())) < count and any(left.values()):
        fewest = min(len(chosen[module]) for module in left if left[module])
        module = rng.choice([module for module in left if left[module] and len(chosen[module]) == fewest])
        if mutant := mutant_of(module, sources[module], left[module].pop()):
            chosen[module].append(mutant)
    mutants = [mutant for of_module in chosen.values() for mutant in of_module]
    return rng.sample(mutants, len(mutants))
