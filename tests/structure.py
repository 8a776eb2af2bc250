"""How the product is built, in figures: ``make structure`` prints them, ``tests/unit/test_structure.py`` holds them.

The product is ``lambda_src``, ``cli`` and ``stacks``; counted is what is in the files now, committed or not.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final, TypeAlias

import grimp

ROOT: Final = Path(__file__).parents[1]
CORE: Final = Path("lambda_src/remediator/core")
CLI: Final = Path("cli/remediator_cli")
GATEWAYS: Final = Path("lambda_src/remediator/gateways")
LONG: Final = 400
"""A file of more lines is long."""

_WRITES: Final = ("write_", "delete_", "create_", "add_", "remove_")
"""How the methods of the gateways are called that write a document."""
_SDK_WRITES: Final = frozenset(
    {
        *("update_assume_role_policy", "put_role_policy", "delete_role_policy"),
        *("put_bucket_policy", "delete_bucket_policy"),
        *("create_instance_profile", "delete_instance_profile"),
        *("add_role_to_instance_profile", "remove_role_from_instance_profile"),
    }
)

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A file of the product; ``path`` is relative to the repository."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The file as it is."""
        return (ROOT / self.path).read_text(encoding="utf-8")

    @property
    def lines(self) -> int:
        """How many lines it has, blank ones and comments included."""
        return len(self.text.splitlines())

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of its syntax tree."""
        return tuple(ast.walk(ast.parse(self.text)))

    @property
    def classes(self) -> tuple[ast.ClassDef, ...]:
        """Its classes, at any depth."""
        return tuple(node for node in self.nodes if isinstance(node, ast.ClassDef))

    @property
    def functions(self) -> tuple[Function, ...]:
        """Its functions and methods, but for commands and constructs, whose parameters are what people type or set."""
        of_people = {self.path.stem} if self.path.is_relative_to(CLI / "commands") else set()
        of_people |= {"__init__"} if self.path.parts[0] == "stacks" else set()
        return tuple(node for node in self.nodes if isinstance(node, Function) and node.name not in of_people)

    @property
    def names_used(self) -> frozenset[str]:
        """What it takes from objects and modules: the names after a dot."""
        return frozenset(node.attr for node in self.nodes if isinstance(node, ast.Attribute))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """The modules below some folders of the product, or all of it."""
    found = (path for folder in folders or ("lambda_src", "cli", "stacks") for path in (ROOT / folder).rglob("*.py"))
    return tuple(Module(path.relative_to(ROOT)) for path in sorted(found))


def lines(*folders: str) -> int:
    """How many lines there are below some folders, or in all of the product."""
    return sum(module.lines for module in modules(*folders))


def rooms() -> dict[str, tuple[str, ...]]:
    """The rooms at the top of ``core`` with their modules, and under an empty name the modules that are in none."""
    found: dict[str, tuple[str, ...]] = {}
    for module in modules(str(CORE)):
        *within, name = module.path.relative_to(CORE).parts
        if name != "__init__.py":
            room = within[0] if within else ""
            found[room] = (*found.get(room, ()), name)
    return found


def loose_modules() -> tuple[str, ...]:
    """The modules directly in ``cli/remediator_cli``."""
    return tuple(module.path.name for module in modules(str(CLI)) if module.path.parent == CLI and _is_named(module))


def arrows_up() -> tuple[str, ...]:
    """The imports that point up, against the layers in ``pyproject.toml``, as import-linter's engine finds them."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    sys.path[:0] = [str(ROOT), str(ROOT / "lambda_src"), str(ROOT / "cli")]
    graph = grimp.build_graph(*linter["root_packages"], cache_dir=None)
    return tuple(
        f"{arrow.importer} -> {arrow.imported}"
        for contract in linter["contracts"]
        if contract["type"] == "layers"
        for arrow in graph.find_illegal_dependencies_for_layers(
            layers=[_layer(each) for each in contract["layers"]], containers=set(contract.get("containers", ()))
        )
    )


def dataclasses() -> tuple[str, ...]:
    """The dataclasses of the functions' code."""
    return tuple(
        each.name
        for module in modules("lambda_src")
        for each in module.classes
        if any(ast.unparse(decorator).startswith("dataclass") for decorator in each.decorator_list)
    )


def protocols() -> tuple[str, ...]:
    """The Protocols of the product."""
    return tuple(
        each.name
        for module in modules()
        for each in module.classes
        if any(ast.unparse(base).split("[")[0].endswith("Protocol") for base in each.bases)
    )


def classes_named_alike() -> dict[str, tuple[str, ...]]:
    """The names that more than one class has, with the files of these."""
    where: dict[str, tuple[str, ...]] = {}
    for module in modules():
        for each in module.classes:
            where[each.name] = (*where.get(each.name, ()), str(module.path))
    return {name: files for name, files in where.items() if len(files) > 1}


def parameters() -> dict[str, int]:
    """How many parameters each function takes, besides ``self`` and ``cls``."""
    return {f"{module.path}:{each.name}": _width(each) for module in modules() for each in module.functions}


def writers() -> tuple[str, ...]:
    """The modules that write documents: those that call for it what the gateways offer, or the SDK themselves."""
    gateways = (Module(GATEWAYS / name) for name in ("iam.py", "s3.py"))
    offered = {each.name for gateway in gateways for each in gateway.functions if each.name.startswith(_WRITES)}
    return tuple(
        str(module.path)
        for module in modules("lambda_src", "cli")
        if module.path.parent != GATEWAYS and module.names_used & (offered | _SDK_WRITES)
    )


def long_files() -> dict[str, int]:
    """The files of more than 400 lines."""
    return {str(module.path): module.lines for module in modules() if module.lines > LONG}


def complex_functions() -> dict[str, int]:
    """The functions, methods and classes of complexity C or worse, by radon: from 11 paths on."""
    command = [sys.executable, "-m", "radon", "cc", "--min", "C", "--json", "lambda_src", "cli", "stacks"]
    answer = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    return {f"{path}:{each['name']}": each["complexity"] for path, found in answer.items() for each in found}


def table() -> str:
    """All figures, one a line."""
    of_rooms = rooms()
    figures: dict[str, int | tuple[int, str]] = {
        "rooms at the top of core": _counted(name for name in of_rooms if name),
        "arrows up": _counted(arrows_up()),
        "files in the largest room": max(((len(files), room) for room, files in of_rooms.items())),
        "modules directly in cli/remediator_cli": _counted(loose_modules()),
        "lines of lambda_src": lines("lambda_src"),
        "lines of cli": lines("cli"),
        "lines of stacks": lines("stacks"),
        "lines in all": lines(),
        "dataclasses in lambda_src": len(dataclasses()),
        "Protocols": _counted(protocols()),
        "class names used twice": _counted(classes_named_alike()),
        "parameters of the widest function": max((count, function) for function, count in parameters().items()),
        "modules that write documents": _counted(writers()),
        "files over 400 lines": _counted(f"{path} ({count})" for path, count in long_files().items()),
        "functions of complexity C or worse": len(complex_functions()),
    }
    return "\n".join(f"{name:40}{_shown(value)}" for name, value in figures.items())


def _is_named(module: Module) -> bool:
    return module.path.name != "__init__.py"


def _layer(text: str) -> grimp.Layer:
    return grimp.Layer(*(each.strip() for each in text.split("|")), independent=True)


def _width(function: Function) -> int:
    taken = function.args
    names = [each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")]) + (taken.vararg is not None)


def _counted(names: Iterable[str]) -> tuple[int, str]:
    listed = sorted(names)
    return len(listed), ", ".join(listed)


def _shown(figure: int | tuple[int, str]) -> str:
    number, names = figure if isinstance(figure, tuple) else (figure, "")
    return f"{number:>6,}  {names}".rstrip()


if __name__ == "__main__":
    print(table())  # noqa: T201 - a person asks for it
