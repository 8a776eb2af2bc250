"""Break ``core/`` in small ways, one after the other, and see which of them the tests of ``core/`` do not notice.

All is done in a copy of the project, which nobody edits meanwhile. There, the tests are loaded once, and coverage finds
out which of them reach which statement. For each mutant in a function the process forks, exchanges the code of the
function, and runs the tests that reach the statement. What is not noticed this way, or is in no function, is tried in a
process that imports the mutant: with the tests that look at ``core/`` while they are imported, or, where no test
reaches the statement, with all but the generated ones. A mutant survives if all of these pass.

mutmut, which does the same, leaves alone what has a decorator: properties, and whatever is cached, where much of
``core/`` is. Needs Unix, for ``fork``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import _lru_cache_wrapper, cache, partial
from importlib.machinery import SourceFileLoader
from itertools import groupby, islice
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final, TypeVar
from unittest import mock

import pytest
from _pytest.runner import runtestprotocol
from coverage import Coverage, CoverageData
from hypothesis import HealthCheck, Phase, settings

from tests.chaos.mutants import CORE, ROOT, Mutant, Result, sample

TESTS: Final = ("tests/unit", "tests/cases", "tests/properties")
IMPORTED: Final = ("tests/unit/alerts/test_golden_alerts.py", "tests/cases")
"""They look at what ``core/`` makes before the first test, when files of tests are imported."""
COPIED: Final = ("lambda_src", "tests", "stacks", "cli", "docs", "demo", "pyproject.toml", "app.py", "cdk.json")
SECONDS: Final = 300
"""A mutant that has computed for so long is taken for one that does not come to an end, which is as good as noticed."""
BYTES: Final = 4 << 30
"""No mutant may take more memory than this."""

QUICK: Final = settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
"""That a property fails is enough, without its smallest example; and each run tries the same few examples."""

_IN_COPY: Final = "import sys; from tests.chaos.mutation import try_sample; try_sample(*sys.argv[1:])"
_NOTICED: Final = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
"""A test failed, or a module could not be imported any more."""
_BROKEN: Final = 70
_T = TypeVar("_T")


def copy(folder: Path) -> None:
    """Put what the tests of ``core/`` need into a folder."""
    ignored = shutil.ignore_patterns("chaos", "e2e", "functional", "infrastructure")
    for source in (ROOT / name for name in COPIED):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=ignored if source.name == "tests" else None)
        elif source.exists():
            shutil.copy(source, folder)
    (folder / "tests/chaos").mkdir()
    for source in (Path(__file__), Path(__file__).with_name("mutants.py")):
        shutil.copy(source, folder / "tests/chaos")


class Reach:
    """Which tests reach which lines of ``core/``, as the copy keeps it; tests are named as pytest names them."""

    FILE: Final = ROOT / "reach.db"

    def __init__(self) -> None:
        self._data = CoverageData(basename=str(self.FILE))
        self._data.read()
        self._of_module = cache(self._data.contexts_by_lineno)

    def of_statement(self, mutant: Mutant) -> set[str]:
        """The tests that reach the statement which a mutant changes."""
        first, last = mutant.spot.statement
        lines = self._of_module(str(ROOT / mutant.module))
        return {test for line in range(first, last + 1) for test in lines.get(line, ()) if test}

    def nearest_files(self, mutant: Mutant) -> list[str]:
        """The files of tests that are most about the module of a mutant: named like it, then by how many reach it."""
        tests = {test for of_line in self._of_module(str(ROOT / mutant.module)).values() for test in of_line if test}
        files = [file for file, _ in Counter(test.partition("::")[0] for test in tests).most_common()]
        near = [file for file in files if not file.startswith(TESTS[-1])]
        return sorted(near, key=lambda file: mutant.module.stem not in file)[:3]


def _forked(jobs: Iterable[tuple[_T, Callable[[], int]]], workers: int) -> Iterator[tuple[_T, int]]:
    """What each job answers in a process of its own, as soon as it does; minus the signal that ended it, if one did."""
    running: dict[int, _T] = {}
    waiting = iter(jobs)
    while True:
        for tag, job in islice(waiting, workers - len(running)):
            if not (process := os.fork()):
                try:
                    os._exit(job())
                except BaseException:  # noqa: BLE001 - whatever it is must not go on in a second copy of this process
                    traceback.print_exc()
                    os._exit(_BROKEN)
            running[process] = tag
        if not running:
            return
        process, status = os.wait()
        yield running.pop(process), os.waitstatus_to_exitcode(status)


def _limited() -> None:
    """What a mutant does must come to an end, and is not shown."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())


def _pytest(plugin: object, *tests: str) -> int:
    return int(pytest.main(["-x", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", *tests], plugins=[plugin]))


def _is_generated(item: pytest.Item) -> bool:
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


def _failed(items: Sequence[pytest.Item]) -> Iterator[pytest.TestReport]:
    for item, following in zip(items, [*items[1:], None], strict=True):
        yield from (each for each in runtestprotocol(item, log=False, nextitem=following) if each.failed)


class Loaded:
    """A plugin of pytest that loads all tests once, and tries each mutant of a function in a fork."""

    def __init__(self, mutants: Sequence[Mutant], workers: int, results: Path) -> None:
        self._mutants = [mutant for mutant in mutants if mutant.function]
        self._workers = workers
        self._results = results

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find out what the tests reach, then try the mutants. Ends all if a test fails without any mutant."""
        # What is no property in the last folder takes long, and is about the generators of the examples.
        items = [each for each in session.items if _is_generated(each) or not each.nodeid.startswith(TESTS[-1])]
        items.sort(key=_is_generated)
        for item in filter(_is_generated, items):
            function = getattr(item, "obj")  # noqa: B009 - only a pytest.Function has it
            getattr(function, "__func__", function)._hypothesis_internal_use_settings = QUICK
        [(_, status)] = _forked([(None, lambda: self._measure(items))], 1)
        if status:
            pytest.exit("The tests of core/ fail without any mutant: mend them first.", _BROKEN)
        reach = Reach()

        def jobs() -> Iterator[tuple[Mutant, Callable[[], int]]]:
            for mutant in self._mutants:
                tests = reach.of_statement(mutant)
                yield mutant, partial(self._notices, mutant, [item for item in items if item.nodeid in tests])

        for mutant, status in _forked(jobs(), self._workers):
            if status in _NOTICED or status < 0:
                _add(self._results, mutant, survived=False)
        return True

    @staticmethod
    def _measure(items: Sequence[pytest.Item]) -> int:
        measured = Coverage(data_file=str(Reach.FILE), config_file=False, source=[str(ROOT / CORE)])
        caches = list(_caches())
        with measured.collect():
            for item in items:
                for each in caches:  # what an earlier test has left there would not be reached
                    each.cache_clear()
                measured.switch_context(item.nodeid)
                for failed in _failed([item]):
                    sys.stderr.write(f"{item.nodeid}\n{failed.longreprtext}\n")
                    return 1
        measured.save()
        return 0

    @staticmethod
    def _notices(mutant: Mutant, tests: Sequence[pytest.Item]) -> int:
        _limited()
        exchange(mutant)
        return int(any(_failed(tests)))


def exchange(mutant: Mutant) -> None:
    """Put the mutant in the place of the function that it changes, and forget what functions have kept in caches."""
    path = str(ROOT / mutant.module)
    [code] = [code for code in _codes(compile(mutant.source, path, "exec")) if _place(code) == (path, mutant.function)]
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and _place(each.__code__) == (path, mutant.function):
            each.__code__ = code
    for each in _caches():
        each.cache_clear()


def _caches() -> Iterator[_lru_cache_wrapper[Any]]:
    for each in gc.get_objects():
        if isinstance(each, _lru_cache_wrapper) and str(each.__module__).startswith(("remediator", "tests")):
            yield each


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _place(code: CodeType) -> tuple[str, tuple[str, int]]:
    return code.co_filename, (code.co_name, code.co_firstlineno)


class NotGenerated:
    """A plugin of pytest that leaves out the tests whose examples are generated, because they take long."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave them out."""
        items[:] = [item for item in items if not _is_generated(item)]


def _notices_afresh(mutant: Mutant, runs: Sequence[Sequence[str]]) -> int:
    """Whether a test notices the mutant, if nothing of the project has been imported in this process before."""
    _limited()
    path, original = str(ROOT / mutant.module), SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        return compile(mutant.source, path, "exec") if loader.path == path else original(loader, name)

    with mock.patch.object(SourceFileLoader, "get_code", get_code):
        for tests in filter(None, runs):
            status = _pytest(NotGenerated(), *tests)
            if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                return status
    return 0


def try_sample(count: str, seed: str, workers: str, results: str) -> None:
    """Try what has no result yet, and add what becomes of each, one a line. Only for a copy of the project."""
    file = Path(results)
    known = {_key(result) for result in read(file)}
    mutants = [each for each in sample(int(count), int(seed)) if _key(each.result(survived=False)) not in known]
    if not mutants:
        return
    [(_, status)] = _forked([(None, lambda: _pytest(Loaded(mutants, int(workers), file), *TESTS))], 1)
    if status:
        sys.exit(status)
    known, reach = {_key(result) for result in read(file)}, Reach()

    def jobs() -> Iterator[tuple[Mutant, Callable[[], int]]]:
        for mutant in mutants:
            if _key(mutant.result(survived=False)) not in known:
                is_tried = mutant.function and reach.of_statement(mutant)
                runs = [IMPORTED] if is_tried else [reach.nearest_files(mutant), TESTS[:-1]]
                yield mutant, partial(_notices_afresh, mutant, runs)

    for mutant, status in _forked(jobs(), int(workers)):
        if status > max(_NOTICED):
            sys.exit(f"{mutant}: the tests could not be run")
        _add(file, mutant, survived=status == 0)


def _key(result: Result) -> tuple[str, int, str]:
    return result.operator, result.occurrence, result.mutant


def _add(file: Path, mutant: Mutant, *, survived: bool) -> None:
    sys.stderr.write(f"{'survived' if survived else 'killed  '}  {mutant}\n")
    with file.open("a") as lines:
        lines.write(f"{json.dumps(asdict(mutant.result(survived=survived)), ensure_ascii=False)}\n")


def read(file: Path) -> list[Result]:
    """The results that a file holds."""
    return [Result(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def main() -> int:
    """Try a sample of mutants, and tell how many of each place and kind were noticed, and which were not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--results", type=Path, help="a file for each result; what is in it is not tried again")
    parser.add_argument("--json", type=Path, help="a file for the counts and the survivors")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        copy(Path(scratch))
        file = (options.results or Path(scratch, "results.jsonl")).absolute()
        numbers = (options.mutants, options.seed, options.workers)
        tried = subprocess.run(
            (sys.executable, "-c", _IN_COPY, *map(str, numbers), file),
            cwd=scratch,
            env={name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTEST_"))},
            check=False,
        )
        results = read(file)
    if tried.returncode:
        return tried.returncode
    counts = summary(results)
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, **counts}, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{report(counts)}\n\nin {time.monotonic() - begun:.0f} s\n")
    return 0


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """How many were tried and killed, in all and of each place and kind, and those that survived."""

    def counted(results: Sequence[Result]) -> dict[str, int]:
        return {"tried": len(results), "killed": sum(not each.survived for each in results)}

    def counted_by(name_of: Callable[[Result], str]) -> dict[str, dict[str, int]]:
        ordered = sorted(results, key=name_of)
        return {name: counted(list(those)) for name, those in groupby(ordered, key=name_of)}

    return {
        **counted(results),
        "by place": counted_by(lambda each: "in functions" if each.in_function else "elsewhere"),
        "by kind": counted_by(lambda each: each.operator.partition("_")[0]),
        "survivors": sorted(each.mutant for each in results if each.survived),
    }


def report(counts: Mapping[str, Any]) -> str:
    """A summary, for people."""
    lines = [f"{'':<28}{'tried':>8}{'killed':>8}{'survived':>10}"]
    for table in ({"all": counts}, counts["by place"], counts["by kind"]):
        for name, of_name in table.items():
            tried, killed = of_name["tried"], of_name["killed"]
            lines.append(f"{name:<28}{tried:>8}{killed:>8}{tried - killed:>10}")
        lines.append("")
    return "\n".join([*lines, "These survived:", *counts["survivors"]])


if __name__ == "__main__":
    sys.exit(main())
