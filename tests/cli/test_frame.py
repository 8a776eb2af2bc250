"""What all commands have in common: help, version, errors, pipes, and what they never import."""

from __future__ import annotations

import importlib
import io
import pkgutil
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from remediator import __version__
from remediator.errors import RemediatorError
from remediator_cli import commands
from remediator_cli.commands import evaluate as command
from remediator_cli.terminal.command import ENTRIES, load_command
from remediator_cli.terminal.output import confirmed
from stacks.bundle import build_bundle
from tests.cases.case import FILES, HERE
from tests.cli.terminal import ROOT, Remediator, case, environment, lines, run
from tests.cli.terminal import command as program
from tests.examples import settings

MODULES = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_is_that_of_the_package(remediator: Remediator) -> None:
    answer = remediator("--version")
    assert (answer.code, answer.out) == (0, f"remediator {__version__}\n")


@pytest.mark.parametrize("module", MODULES)
def test_help_lists_the_commands_and_each_has_examples(module: str, remediator: Remediator) -> None:
    name = module.replace("_", "-")
    assert f" {name} " in remediator("--help").out
    helped = remediator(name, "--help")
    assert helped.code == 0
    words = " ".join(helped.out.split())
    examples: str = importlib.import_module(f"remediator_cli.commands.{module}").EXAMPLES
    for example in examples.strip().splitlines():
        assert example.startswith(f"remediator {name}") or f"| remediator {name}" in example
        assert example in words


def test_without_a_command_there_is_help(remediator: Remediator) -> None:
    answer = remediator()
    assert answer.code == 2
    assert "evaluate" in answer.out + answer.err


@pytest.mark.parametrize("arguments", [("evalute",), ("evaluate", "--outptu"), ("evaluate", "--output=x")])
def test_a_wrong_call_ends_with_2_and_says_what_is_wrong(arguments: tuple[str, ...], remediator: Remediator) -> None:
    answer = remediator(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert arguments[-1].partition("=")[0] in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RemediatorError("Name a region."), "error: Name a region.\n"),
        (KeyError("x"), "error: this is a bug in the program: KeyError: 'x'\n"),
    ],
)
def test_an_error_is_one_line_and_no_traceback(
    error: Exception, said: str, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(command, "read_json_lines", fail)
    answer = remediator("evaluate", stdin=b"x")
    assert (answer.code, answer.out, answer.err) == (1, "", said)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_commands_and_options(shell: str) -> None:
    words = {"COMP_WORDS": "remediator ev", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "remediator ev"}
    asked = {"_REMEDIATOR_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "evaluate" in run(variables={**words, **asked}).out


def test_evaluating_imports_no_sdk_and_opens_no_connection() -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a connection')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        f"sys.argv = ['remediator', 'evaluate', {str(HERE / FILES[0])!r}]\n"
        "from remediator_cli.app import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    ran = subprocess.run(  # this interpreter and a script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment()
    )
    imported = {name.partition(".")[0] for name in ran.stderr.split()}
    assert "remediator_cli" in imported
    assert not imported & {"boto3", "botocore", "aws_lambda_powertools", "urllib3", "aws_cdk"}


def test_a_line_is_answered_before_the_next_one_comes() -> None:
    with subprocess.Popen(
        [*program(), "evaluate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        patience = threading.Timer(30, running.kill)
        patience.start()
        for name in ("first", "second"):
            running.stdin.write(lines(case(id=name)))
            running.stdin.flush()
            assert running.stdout.readline().startswith(f'{{"id": "{name}"'.encode())
        running.stdin.close()
        assert running.wait() == 0
        patience.cancel()


@pytest.mark.parametrize("form", ["", "--output=text"])
def test_a_reader_that_goes_away_ends_the_program_quietly(form: str, tmp_path: Path) -> None:
    roles = tmp_path / "roles.jsonl"
    roles.write_bytes(lines(*[case()] * 2_000))
    pipe = f"{' '.join(program())} evaluate {form} {roles} | head -n 1; echo ${{PIPESTATUS[0]}} >&2"
    ran = subprocess.run(  # this program
        ["/bin/bash", "-c", pipe], capture_output=True, text=True, check=True, env=environment()
    )
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == "141\n"


def test_the_functions_zip_holds_nothing_of_the_command_line(tmp_path: Path) -> None:
    bundle = build_bundle(settings(), tmp_path)
    names = {path.name.lower() for path in bundle.rglob("*")}
    assert "remediator" in names
    assert not names & {"remediator_cli", "cli", "typer", "rich", "jinja2"}


def test_commands_that_work_on_files_do_not_load_the_sdk() -> None:
    loaded = "import sys, remediator_cli.app; print(sorted({'boto3', 'botocore'} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, env=environment())
    assert ran.stdout == "[]\n"


def test_the_installed_packages_are_those_that_the_tests_run_with() -> None:
    listed = "\n".join((ROOT / name).read_text() for name in ("requirements.in", "requirements-dev.in"))
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([0-9.]+)", listed, re.MULTILINE))
    for requirement in PROJECT["project"]["dependencies"]:
        name, _, version = requirement.partition("==")
        assert pinned[name] == version


POLICY = "guardrails --approver arn:aws:iam::111122223333:role/lead"
FULL = "No space left on device"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (f"{POLICY} >/dev/full", f"error: standard output cannot be written: {FULL}\n"),
        (f"{POLICY} --json >/dev/full", f"error: standard output cannot be written: {FULL}\n"),
        (
            f"plan --print-policy --settings {ROOT}/cdk.json >/dev/full",
            f"error: standard output cannot be written: {FULL}\n",
        ),
        ("--version >/dev/full", f"error: the operating system reports: {FULL}\n"),
        (f"{POLICY} >&-", "error: nothing can be printed: standard output is closed\n"),
        (f"{POLICY} >&- 2>&-", ""),
    ],
)
def test_a_standard_output_that_takes_nothing_is_an_error_in_a_line(typed: str, said: str) -> None:
    ran = subprocess.run(  # this program
        ["/bin/bash", "-c", f"{' '.join(program())} {typed}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", said)


@pytest.mark.parametrize("typed", ["evaluate <&-", "evaluate - <&-", "explain-event <&-", "explain-event - <&-"])
def test_a_standard_input_that_is_closed_is_a_file_that_cannot_be_read(typed: str) -> None:
    ran = subprocess.run(  # this program
        ["/bin/bash", "-c", f"{' '.join(program())} {typed}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "<stdin>: is closed\n")


class Folder:
    """A folder as standard input, as ``</tmp`` gives it."""

    def readline(self) -> str:
        raise IsADirectoryError(21, "Is a directory")


@pytest.mark.parametrize("stdin", [None, Folder(), io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8")])
def test_a_standard_input_that_gives_no_answer_is_a_no(
    stdin: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert confirmed("Sure?") is False
    assert capsys.readouterr().err == "Sure? [y/N] \n"


@pytest.mark.parametrize("role", ["", "a\x1b[31mb", "a b", "\u00e9", "x" * 65, "arn:aws:iam::111122223333:role/\u00e9"])
@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("plan --role", "", 1),
        ("history", "", 2),
        ("apply --yes", "", 2),
        ("enroll --yes", "production", 2),
        ("unenroll --yes", "", 2),
        ("resume", "", 2),
        ("remove-grants --yes --role", "", 2),
        ("compute-config", "", 2),
    ],
)
def test_what_can_be_the_name_of_no_role_is_a_wrong_call_before_aws_is_asked(
    before: str, after: str, code: int, role: str, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> None:
        raise AssertionError("AWS was asked")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("remediator_cli.deployment.aws.account", ask)
    monkeypatch.setattr("remediator_cli.deployment.stack_outputs.account", ask)
    answer = remediator(*before.split(), role, *after.split())
    assert (answer.code, answer.out) == (code, "")
    assert "Invalid value for" in answer.err
    assert "\x1b" not in answer.err


def test_the_list_of_commands_is_that_of_the_modules_and_each_summary_begins_the_help() -> None:
    assert sorted(ENTRIES) == [name.replace("_", "-") for name in MODULES]
    for name, entry in ENTRIES.items():
        assert (load_command(name).help or "").startswith(entry.summary), name


def test_a_suggested_command_has_those_options_of_the_call_that_it_takes() -> None:
    for name, entry in ENTRIES.items():
        options = {option.removeprefix("--") for each in load_command(name).params for option in each.opts}
        shared = {"settings", "stack", "region", "profile"} if "stack" in options else {"settings", "profile"}
        assert entry.shared == options & shared, name


@pytest.mark.parametrize(
    "moment",
    [
        "import remediator_cli.commands.status as s; s.aws.answered = stop",
        "sys.meta_path.insert(0, type('Finder', (), {'find_spec': stop})())",
    ],
    ids=["while it runs", "while it is imported"],
)
def test_an_interrupt_ends_the_program_quietly(moment: str) -> None:
    script = (
        "import builtins, sys\n"
        "from remediator_cli.__main__ import main\n"
        "def stop(*_, **__): raise KeyboardInterrupt\n"
        "builtins.stop = stop\n"
        "sys.argv = ['remediator', 'status']\n"
        f"{moment}\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, env=environment())
    assert (ran.returncode, ran.stderr) == (130, "")


def test_listing_the_commands_imports_neither_the_sdk_nor_a_command() -> None:
    script = (
        "import sys\n"
        "sys.argv = ['remediator', '--help']\n"
        "from remediator_cli.app import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment())
    imported = set(ran.stderr.split())
    assert not imported & {"boto3", "botocore", "yaml", "jinja2"}
    assert not any(name.startswith("remediator_cli.commands.") for name in imported)
