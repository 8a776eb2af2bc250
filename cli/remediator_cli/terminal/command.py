"""How a command becomes part of the program: loaded when it is called, with the options that all commands share."""

from __future__ import annotations

import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from shlex import quote
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

CHOSEN: Final[dict[str, str]] = {}
"""The options with which the running command was called, of those that commands share: what it suggests has them too,
and the AWS profile is taken from here."""

_SHARED: Final = ("settings", "stack", "region", "profile")
_FORM: Final = "form"
"""The parameter that a command takes for ``--output`` and ``--json``; its default is that of the command."""

Run = Callable[..., object]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command: its one line in the list of commands, which is the first sentence of its docstring.

    ``shared`` are the options of ``_SHARED`` that it has; ``cls`` is the name of its class in its module.
    """

    summary: str
    shared: frozenset[str] = frozenset()
    cls: str | None = None


_DEPLOYED: Final = frozenset(_SHARED)
_ACCOUNT: Final = frozenset({"settings", "profile"})
_FILES: Final = frozenset({"settings"})

ENTRIES: Final[Mapping[str, CommandEntry]] = MappingProxyType(
    {
        "status": CommandEntry("Show whether the remediator is healthy, and what requires an operator.", _DEPLOYED),
        "plan": CommandEntry("Show what the remediator would do with every role.", _ACCOUNT, "PlanCommand"),
        "apply": CommandEntry("Repair one role now, as the remediator would.", _DEPLOYED),
        "enroll": CommandEntry("Enroll a role in a cloud by setting its enrollment tag.", _ACCOUNT),
        "unenroll": CommandEntry("Remove the enrollment tag of a role.", _ACCOUNT),
        "history": CommandEntry("List the changes that the remediator made, or show one.", _DEPLOYED),
        "undo": CommandEntry("Undo one change, and set the role to observe.", _DEPLOYED),
        "pause": CommandEntry("Pause all writes of the remediator, or those for some clouds.", _DEPLOYED),
        "resume": CommandEntry("End a pause, or let a role be repaired again.", _DEPLOYED),
        "remove-grants": CommandEntry("Remove everything that the remediator has granted.", _DEPLOYED),
        "report": CommandEntry("Write an HTML report on every role and on the history.", _DEPLOYED),
        "test-alert": CommandEntry("Send a test alert through every channel.", _DEPLOYED),
        "compute-config": CommandEntry(
            "Print the compute configuration that names a role's instance profile.", frozenset({"profile"})
        ),
        "check-terraform": CommandEntry("Check which enrolled roles a Terraform plan would break.", _FILES),
        "check-cloudformation": CommandEntry(
            "Check which enrolled roles a CloudFormation template would break.", _FILES
        ),
        "evaluate": CommandEntry("Evaluate roles that are described in files."),
        "explain-event": CommandEntry("Explain what an event means to the remediator.", _FILES),
        "guardrails": CommandEntry("Print a policy that protects the remediator's tags and resources.", _FILES),
    }
)
"""The commands in the order of the help."""


def suggested(command: str) -> str:
    """A command to suggest (``plan --role head-node``), with those options of the running one that it has too."""
    entry = ENTRIES[command.split(maxsplit=1)[0]]
    return " ".join(("remediator", command, *_options(entry.shared)))


def suggested_aws(command: str) -> str:
    """A command of the AWS CLI to suggest (``sns subscribe``), with the profile of the running command."""
    return " ".join(("aws", command, *_options(frozenset({"profile"}))))


def _options(shared: frozenset[str]) -> Iterator[str]:
    return (f"--{option} {quote(value)}" for option, value in CHOSEN.items() if option in shared)


class LazyGroup(TyperGroup):
    """A group that imports a command only when it is called: listing the commands must not load the SDK."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  # Typer's own
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=entry.summary, callback=str) for name, entry in ENTRIES.items()}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002  # Typer's own type of it is private
        """The names in the order of the help."""
        return list(ENTRIES)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # as above
        """The command that is called, loaded."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name is not None else found, rest


def load_command(name: str) -> TyperCommand:
    """Import a command and give it its options, its help and its examples."""
    entry = ENTRIES[name]
    module = importlib.import_module(f"remediator_cli.commands.{name.replace('-', '_')}")
    run: Run = getattr(module, getattr(module, "RUN", name.replace("-", "_")))
    one = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
    one.command(
        name,
        cls=None if entry.cls is None else getattr(module, entry.cls),
        help=_paragraphs(run.__doc__ or ""),
        epilog="\n\n".join(["Examples:", *module.EXAMPLES.strip().splitlines()]),
    )(_with_options(run, has_profile="profile" in entry.shared))
    loaded = get_command(one)
    assert isinstance(loaded, TyperCommand)  # noqa: S101  # a Typer with one command is that command
    return loaded


def _paragraphs(text: str) -> str:
    """The paragraphs of a docstring, each on one line, so that the terminal alone wraps them."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _with_options(run: Run, *, has_profile: bool) -> Run:
    """The function with ``--output`` and ``--json`` in place of its parameter ``form``, and ``--profile``."""
    hints = typing.get_type_hints(run, include_extras=True)
    signature = inspect.signature(run)
    added: dict[str, Any] = {}
    if _FORM in signature.parameters:
        added["output"] = _output_option(hints[_FORM], signature.parameters[_FORM].default)
        added["json"] = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
    if has_profile:
        option = typer.Option("--profile", metavar="NAME", help="The AWS profile to use.")
        added["profile"] = Annotated[str | None, option]

    @functools.wraps(run)
    def with_options(**given: Any) -> object:  # noqa: ANN401  # Typer hands over what it parsed
        chosen = {name: given.pop(name) for name in added}
        if _FORM in signature.parameters:
            given[_FORM] = _form(signature.parameters[_FORM].default, chosen["output"], is_json=chosen["json"])
        CHOSEN.clear()
        CHOSEN.update(_given_options({**given, **chosen}, signature))
        return run(**given)

    parameters = [each for each in signature.parameters.values() if each.name != _FORM]
    defaults = {"output": None, "json": False, "profile": None}
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
        for name, kind in added.items()
    ]
    resolved = [each.replace(annotation=hints.get(each.name, each.annotation)) for each in parameters]
    with_options.__signature__ = inspect.Signature(resolved)  # type: ignore[attr-defined]  # read by Typer
    with_options.__annotations__ = {each.name: each.annotation for each in resolved}
    return with_options


def _given_options(values: Mapping[str, Any], signature: inspect.Signature) -> dict[str, str]:
    """The shared options that differ from their defaults."""
    defaults = {name: each.default for name, each in signature.parameters.items()}
    given = {name: values.get(name) for name in _SHARED}
    return {name: str(value) for name, value in given.items() if value not in (None, defaults.get(name))}


def _output_option(kind: type[Enum], default: Enum) -> Any:  # noqa: ANN401  # an Annotated made at run time
    option = typer.Option("--output", "-o", help=f"The output format. The default is {default.value}.")
    return Annotated[kind | None, option]


def _form(default: Enum, output: Enum | None, *, is_json: bool) -> Enum:
    """The format that is asked for. Raises BadParameter where two are."""
    if not is_json:
        return default if output is None else output
    if output is not None and output.value != "json":
        raise typer.BadParameter(f"--json and --output {output.value} exclude each other", param_hint="--json")
    return type(default)("json")
