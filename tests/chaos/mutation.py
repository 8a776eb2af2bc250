"""Break ``core/`` in small ways, one after the other, and see which of them the tests of ``core/`` do not notice.

A mutant is made from the syntax tree: another operator, comparison, number or boolean, a condition turned round or left
out, the first field that ``replace`` sets left alone, or what a function returns replaced by None. It is written into a
copy of the project, never into the project itself, and survives if all tests of ``core/`` that reach its statement
still pass. Which do is found out once, by coverage. mutmut, which does the same, leaves alone what has a decorator:
properties, and whatever is cached, where much of ``core/`` is.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from coverage import CoverageData

ROOT: Final = Path(__file__).parents[2]
CORE: Final = Path("lambda_src/remediator/core")
TESTS: Final = ("tests/unit", "tests/cases", "tests/properties")
COPIED: Final = ("lambda_src", "tests", "stacks", "cli", "docs", "demo", "pyproject.toml", "app.py", "cdk.json")
SECONDS: Final = 300
"""After so long a mutant is taken for one that does not come to an end, which is as good as noticed."""

_QUICK: Final = """
from coverage import Coverage
from hypothesis import Phase, settings


def pytest_configure():
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("quick", deadline=None, database=None, phases=phases, derandomize=True)
    settings.load_profile("quick")


def pytest_runtest_logstart(nodeid):
    if (measured := Coverage.current()) is not None:
        measured.switch_context(nodeid)
"""
"""What is measured is told apart by test; and that a property fails is enough here, without its smallest example."""

_FAILED: Final = (1, 2)
"""The exit codes of pytest where a test failed, or a module could not be imported any more.

https://docs.pytest.org/en/stable/reference/exit-codes.html
"""

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one thing changed: where, what it was, and what it became.

    ``statement`` are the first and the last line of the innermost statement around it.
    """

    module: Path
    line: int
    statement: tuple[int, int]
    was: str
    became: str
    source: str

    def __str__(self) -> str:
        return f"{self.module.relative_to(CORE)}:{self.line}: {self.was}  ->  {self.became}"


def mutants_of(module: Path, source: str, numbers: frozenset[int] | None = None) -> Iterator[Mutant]:
    """The mutants of a module of those numbers, or all; types and texts for people are left alone."""
    tree = ast.parse(source)
    for number, (node, changed) in enumerate(_places(tree)):
        if numbers is None or number in numbers:
            yield _mutant(module, tree, node, changed)


def how_many(source: str) -> int:
    """How many mutants a module has."""
    return sum(1 for _ in _places(ast.parse(source)))


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST]]:
    for function in [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]:
        for node in list(_statements(function)):
            for changed in _changed(node):
                yield node, changed


def _statements(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function's body, without its docstring, its types, and functions inside it."""
    waiting: list[ast.AST] = [each for each in function.body if not _is_text(each)]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.JoinedStr | ast.Raise | ast.Assert):
            continue
        yield node
        hidden = node.annotation if isinstance(node, ast.AnnAssign) else None
        waiting += [child for child in ast.iter_child_nodes(node) if child is not hidden]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changed(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912 - one line for each kind of node
    """What can stand in the place of a node."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            yield _with(node, ops=[_COMPARISONS[type(operator)]()])
        case ast.BinOp(op=operation) if type(operation) in _OPERATORS:
            yield _with(node, op=_OPERATORS[type(operation)]())
        case ast.BoolOp(op=operation):
            yield _with(node, op=ast.Or() if isinstance(operation, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.If() | ast.IfExp():
            yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Call(func=ast.Name(id="any" | "all" as name)):
            yield _with(node, func=ast.Name("all" if name == "any" else "any", ast.Load()))
        case ast.Call(func=ast.Name(id="replace"), keywords=[_, *rest]):
            yield _with(node, keywords=rest)
        case ast.comprehension(ifs=[_, *rest]):
            yield _with(node, ifs=rest)
        case ast.match_case(guard=guard) if guard is not None:
            yield _with(node, guard=ast.UnaryOp(ast.Not(), guard))
        case ast.Continue():
            yield ast.Break()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = deepcopy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _mutant(module: Path, tree: ast.Module, node: ast.AST, changed: ast.AST) -> Mutant:
    class _Exchange(ast.NodeTransformer):
        def visit(self, each: ast.AST) -> ast.AST:
            return ast.copy_location(changed, node) if each is node else self.generic_visit(each)

    line = _line(node)
    statement = _statement(tree, line)
    # The nodes of the tree itself are told apart by identity, so that it is exchanged in it, and put back.
    mutated = ast.unparse(ast.fix_missing_locations(_Exchange().visit(tree)))
    _Restore(changed, node).visit(tree)
    return Mutant(module, line, statement, _shown(node), _shown(changed), mutated)


def _line(node: ast.AST) -> int:
    """The first line of a node, or of the first of its children that has one."""
    return next(int(each.lineno) for each in ast.walk(node) if hasattr(each, "lineno"))


def _statement(tree: ast.Module, line: int) -> tuple[int, int]:
    """The lines of the innermost statement that stands on a line."""
    around = [
        (each.lineno, each.end_lineno)
        for each in ast.walk(tree)
        if isinstance(each, ast.stmt) and each.end_lineno is not None and each.lineno <= line <= each.end_lineno
    ]
    return min(around, key=lambda lines: lines[1] - lines[0])


class _Restore(ast.NodeTransformer):
    def __init__(self, changed: ast.AST, node: ast.AST) -> None:
        self._changed = changed
        self._node = node

    def visit(self, each: ast.AST) -> ast.AST:
        """Put the node back where what it was changed to stands."""
        return self._node if each is self._changed else self.generic_visit(each)


def _shown(node: ast.AST) -> str:
    """The node on one line, not too long."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:87]}…"


def sample(count: int, seed: int) -> list[Mutant]:
    """So many mutants, as many of each module as of any other, as far as there are that many."""
    rng = random.Random(seed)  # noqa: S311 - the same in every run with that seed
    sources = {path.relative_to(ROOT): path.read_text() for path in sorted((ROOT / CORE).rglob("*.py"))}
    left = {module: rng.sample(range(most := how_many(source)), most) for module, source in sources.items()}
    chosen: dict[Path, set[int]] = defaultdict(set)
    for _ in range(min(count, sum(map(len, left.values())))):
        fewest = min(len(chosen[module]) for module in left if left[module])
        module = rng.choice([module for module in left if left[module] and len(chosen[module]) == fewest])
        chosen[module].add(left[module].pop())
    return [each for module in sources for each in mutants_of(module, sources[module], frozenset(chosen[module]))]


class Copy:
    """A copy of the project, in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "chaos", "e2e", "functional", "infrastructure")
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=None if name != "tests" else ignored)
            elif source.exists():
                shutil.copy(source, folder / name)
        (folder / "quick.py").write_text(_QUICK)

    def reach(self) -> Reach:
        """Which tests reach which lines of ``core/``. Raises CalledProcessError where they do not pass as it is."""
        (self._folder / "contexts.ini").write_text("[run]\nsource = lambda_src\n")
        measured = ("-m", "coverage", "run", "--rcfile", "contexts.ini", "--data-file", "contexts.db")
        self._pytest(measured, TESTS).check_returncode()
        data = CoverageData(basename=str(self._folder / "contexts.db"))
        data.read()
        return Reach({path: data.contexts_by_lineno(path) for path in data.measured_files()}, self._folder)

    def _pytest(
        self, started: Sequence[str], tests: Sequence[str], seconds: int | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        options = ("-x", "-q", "-p", "quick", "-p", "no:cacheprovider", "-p", "no:xdist")
        return subprocess.run(
            (sys.executable, *started, "-m", "pytest", *options, *tests),
            cwd=self._folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(self._folder)},
            capture_output=True,
            timeout=seconds,
            check=False,
        )

    def survives(self, mutant: Mutant, reach: Reach) -> bool:
        """Whether no test notices the mutant."""
        tests = reach.tests_of(mutant)
        if not tests:
            return True
        path = self._folder / mutant.module
        source = path.read_text()
        path.write_text(mutant.source)
        try:
            done = self._pytest((), tests, SECONDS)
        except subprocess.TimeoutExpired:
            return False
        finally:
            path.write_text(source)
        if done.returncode not in (0, *_FAILED):
            raise RuntimeError(f"{mutant}: the tests could not be run: {done.stdout.decode()[-500:]}")
        return done.returncode == 0


@dataclass(frozen=True, slots=True)
class Reach:
    """Which tests reach each line, by the files and their lines; a test is named as pytest names it."""

    contexts: Mapping[str, Mapping[int, Sequence[str]]]
    folder: Path

    def tests_of(self, mutant: Mutant) -> tuple[str, ...]:
        """The tests that reach the statement of a mutant, as pytest names them, the quickest kind first."""
        first, last = mutant.statement
        lines = self.contexts.get(str(self.folder / mutant.module), {})
        names = {name.partition("[")[0] for line in range(first, last + 1) for name in lines.get(line, ()) if name}
        return tuple(sorted(names, key=lambda test: (*map(test.startswith, reversed(TESTS)), test)))


def main() -> int:
    """Try a sample of mutants, and print how many of each module were noticed, and which were not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="where the survivors are written to as well")
    options = parser.parse_args()
    begun = time.monotonic()
    mutants = sample(options.mutants, options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(options.workers):
            copies.put(Copy(Path(scratch) / str(number)))
        first = copies.get()
        try:
            reach = first.reach()
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{error.stdout.decode()}\nThe tests of core/ fail without any mutant. Mend them first.\n")
            return 2
        copies.put(first)

        def tried(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                is_alive = copy.survives(mutant, reach)
            finally:
                copies.put(copy)
            sys.stderr.write(f"{'survived' if is_alive else 'killed  '}  {mutant}\n")
            return is_alive

        with ThreadPoolExecutor(options.workers) as pool:
            survived = list(pool.map(tried, mutants))
    _report(mutants, survived, options.json, time.monotonic() - begun)
    return 0


def _report(mutants: list[Mutant], survived: list[bool], to: Path | None, seconds: float) -> None:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for mutant, is_alive in zip(mutants, survived, strict=True):
        counts[str(mutant.module.relative_to(CORE))][is_alive] += 1
    lines = [f"{'module':<28}{'killed':>8}{'survived':>10}"]
    lines += [f"{module:<28}{killed:>8}{alive:>10}" for module, (killed, alive) in sorted(counts.items())]
    alive = [str(mutant) for mutant, is_alive in zip(mutants, survived, strict=True) if is_alive]
    lines += ["", f"{len(mutants) - len(alive)} of {len(mutants)} killed in {seconds:.0f} s; these survived:", *alive]
    sys.stdout.write("\n".join(lines) + "\n")
    if to is not None:
        to.write_text(json.dumps({"tried": len(mutants), "survived": alive}, indent=2))


if __name__ == "__main__":
    sys.exit(main())
