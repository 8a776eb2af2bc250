"""Every command that a Markdown file shows is run by a test, or a table here says why a test cannot run it.

A shell reads the blocks, so that quotes, variables, loops and pipes mean what they mean to a reader who pastes them.
Programs are not started: each call is noted with its arguments. Calls of ``aws`` are held to the models of the
services, and tests/e2e/test_documented_recipes.py makes them on the embedded AWS.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]  # botocore brings it, without types
import pytest
import typer
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, StringShape
from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]  # see above
from typer.exceptions import TyperException

from remediator_cli.app import app
from remediator_cli.terminal.command import load_command
from tests.cli import test_check_documentation, test_documentation
from tests.cli.terminal import ROOT
from tests.cli.test_links import SPAN, Page, pages

BLOCK = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^\n`]*)\n(.*?)^[ \t]*\2[ \t]*$", re.MULTILINE | re.DOTALL)
SHELL = ("sh", "bash", "shell")
OF_A_LETTER = re.compile(r"^\s+(aws .+)$", re.MULTILINE)
PROGRAMS = ("aws", "remediator", "make", "npx")
"""Whose calls in the middle of a sentence are calls to be typed."""

TOOLS = ("basename", "cat", "date", "diff", "head", "tail", "tr")
"""Programs of every system, which the shell may start."""

FILES = ("accounts/production.json", "accounts/research.json", "data.json", "trust.json")
"""What the pages leave to their readers to have."""

VARIABLES = {
    "ACCOUNT_NAME": "research",
    "ALERTS_TOPIC_ARN": "arn:aws:sns:us-east-1:111122223333:AnyscaleRemediator-AlertsTopicEXAMPLE1",
    "BUCKET": "acme-anyscale-production",
    "QUEUE_ARN": "arn:aws:sqs:us-east-1:111122223333:listener",
    "ROLE": "head-node",
    "SWEEP_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/AnyscaleRemediator-SweepQueueEXAMPLE1",
    "TABLE": "AnyscaleRemediator-HistoryEXAMPLE1",
    "WEBHOOK_URL": "https://hooks.slack.com/services/T0000000/B0000000/xxxxxxxxxxxxxxxxxxxxxxxx",
}
"""What the pages leave to their readers to set."""

E2E = "tests/e2e/test_command_line.py::"


@dataclass(frozen=True, slots=True)
class RunBy:
    """A command is run by a test: its file and its name, as pytest names it."""

    test: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """Why no test runs a command, and what runs in its place, where something does."""

    why: str
    instead: str = ""


NOT_HERE: Mapping[str, str] = {
    "cloudformation delete-stack *": "On the embedded AWS the forwarder is needed by other tests.",
    "cloudformation detect-stack-drift *": "The embedded CloudFormation does not know it.",
    "cloudtrail *": "The gateway of the embedded AWS plays CloudTrail: it has no trails, and keeps no events.",
    "logs tail /aws/chatbot/*": "Amazon Q is not configured on the embedded AWS, so that there is no such log group.",
    "sqs *-message-move-task*": "The embedded SQS moves no messages.",
}
"""Commands of ``aws`` that are not made on the embedded AWS, and why; their form is held by the tests below."""

TABLE: Mapping[str, RunBy | NotRun] = {
    "make demo": RunBy("tests/e2e/test_demo.py::test_every_act_of_the_demo_goes_as_told"),
    "make playground": RunBy("tests/e2e/test_demo.py::playground"),
    "make playground-stop": RunBy("tests/e2e/test_demo.py::playground"),
    "make setup": NotRun("It installs what the tests run with."),
    "make test": NotRun("It is what runs this."),
    "make check": NotRun("`make test` begins with it."),
    "make synth": NotRun("The tests synthesize by themselves.", "tests/infrastructure/test_app.py"),
    "make bench*": NotRun("It takes minutes.", "tests/functional/test_benchmarks.py"),
    "make load*": NotRun("It takes minutes.", "tests/functional/test_benchmarks.py"),
    "make *": NotRun(
        "A target that takes long, or changes files of the repository; test_links.py knows that it exists."
    ),
    "npx cdk * -c remediator=*": NotRun(
        "It changes a real account, or compares with it; what is new in it is the option.",
        "tests/infrastructure/test_app.py::"
        "test_without_credentials_and_from_the_command_line_the_same_templates_come_out",
    ),
    "npx cdk deploy*": NotRun(
        "It changes a real account; the embedded AWS takes its place.", "demo/deployment.py::deploy"
    ),
    "npx cdk bootstrap*": NotRun("As for deploy.", "demo/deployment.py::bootstrap"),
    "npx cdk diff*": NotRun("It compares with a real account."),
    "npx cdk destroy*": NotRun("It takes down what a real account has."),
    "pipx install .": NotRun("It changes the machine.", "tests/cli/test_installation.py"),
    "remediator --help": RunBy("tests/cli/test_frame.py::test_help_lists_the_commands_and_each_has_examples"),
    "remediator --version": RunBy("tests/cli/test_frame.py::test_the_version_is_that_of_the_package"),
    "remediator --install-completion": RunBy("tests/cli/test_frame.py::test_shells_can_complete_commands_and_options"),
    "remediator apply*": RunBy(
        E2E + "test_a_repair_by_hand_is_recorded_told_undone_and_made_again_when_the_role_is_resumed"
    ),
    "remediator check-*": RunBy("tests/cli/test_check_documentation.py::test_a_documented_script_runs_to_its_verdicts"),
    "remediator enroll*": RunBy(E2E + "test_a_role_is_looked_after_from_its_enrolment_to_its_end"),
    "remediator unenroll*": RunBy(E2E + "test_a_role_is_looked_after_from_its_enrolment_to_its_end"),
    "remediator evaluate*": RunBy("tests/cli/test_documentation.py::test_a_documented_command_prints_what_is_shown"),
    "remediator explain-event*": RunBy(
        "tests/cli/test_documentation.py::test_a_documented_command_prints_what_is_shown"
    ),
    "remediator compute-config*": RunBy(
        E2E + "test_the_page_for_others_and_what_instances_need_are_printed",
    ),
    "remediator guardrails*": RunBy(E2E + "test_the_guardrails_let_only_approvers_enrol_and_pause"),
    "remediator history*": RunBy(
        E2E + "test_a_repair_by_hand_is_recorded_told_undone_and_made_again_when_the_role_is_resumed"
    ),
    "remediator pause*": RunBy(
        E2E + "test_what_is_broken_while_writes_are_paused_is_planned_and_repaired_by_the_sweep_after_resuming"
    ),
    "remediator plan*": RunBy(
        E2E + "test_what_is_broken_while_writes_are_paused_is_planned_and_repaired_by_the_sweep_after_resuming"
    ),
    "remediator remove-grants*": RunBy(
        E2E + "test_what_is_ours_is_taken_back_only_while_writes_are_paused_and_given_again_after_that"
    ),
    "remediator report*": RunBy(E2E + "test_the_page_for_others_and_what_instances_need_are_printed"),
    "remediator resume*": RunBy(
        E2E + "test_a_repair_by_hand_is_recorded_told_undone_and_made_again_when_the_role_is_resumed"
    ),
    "remediator status*": RunBy(
        E2E + "test_what_is_broken_while_writes_are_paused_is_planned_and_repaired_by_the_sweep_after_resuming"
    ),
    "remediator test-alert*": RunBy(E2E + "test_a_test_alert_arrives_wherever_alerts_do"),
    "remediator undo*": RunBy(
        E2E + "test_a_repair_by_hand_is_recorded_told_undone_and_made_again_when_the_role_is_resumed"
    ),
    "sh check-role.sh": RunBy("tests/cli/test_documentation.py::test_a_documented_command_prints_what_is_shown"),
    "python3 -m json.tool": RunBy("tests/cli/test_documentation.py::test_a_documented_command_prints_what_is_shown"),
    "terraform *": RunBy("tests/cli/test_check_documentation.py::test_a_documented_script_runs_to_its_verdicts"),
    "jq *": RunBy("tests/e2e/test_documented_recipes.py::test_every_recipe_does_its_work_on_the_deployed_stack"),
    "aws cloudformation get-template*": RunBy(
        "tests/cli/test_check_documentation.py::test_a_documented_script_runs_to_its_verdicts"
    ),
    **{f"aws {pattern}": NotRun(why) for pattern, why in NOT_HERE.items()},
    "aws *": RunBy("tests/e2e/test_documented_recipes.py::test_every_recipe_does_its_work_on_the_deployed_stack"),
}
"""What runs each command; the first pattern that matches is the one that counts."""

OF_THE_CLI: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "logs tail": ("filter-log-events", {"group_name": "logGroupName", "since": "startTime"}),
    "sns subscribe": ("subscribe", {"notification_endpoint": "Endpoint"}),
}
"""Commands of AWS's command line that are no operation, or call a member otherwise: the operation, and the member of an
option. The first word after ``logs tail`` is its group.

https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html
https://docs.aws.amazon.com/cli/latest/reference/sns/subscribe.html
"""

OF_EVERY_COMMAND = {"output", "region"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of a page that a shell can read, with all before it that defines functions for it."""

    page: Page
    line: int
    script: str
    before: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Page) -> Iterator[Shown]:
    """What a page shows in blocks; of those that show output too, what is typed."""
    functions = ""
    for block in BLOCK.finditer(page.text):
        indent, _, kind, text = block.groups()
        line = page.text.count("\n", 0, block.start()) + 1
        text = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        kind = kind.strip()
        if kind in SHELL:
            yield Shown(page, line, text, functions)
            if re.search(r"^\w+\(\) ", text, re.MULTILINE):
                functions += text
        elif kind in ("console", "text", "json5", ""):
            typed = re.findall(r"^(?:\$|//) ((?:\w[\w.-]*) .*)$", text, re.MULTILINE)
            typed += OF_A_LETTER.findall(text) if kind == "text" else []
            yield from (Shown(page, line, one + "\n") for one in typed)


def spans(page: Page) -> Iterator[Shown]:
    """The whole calls in a page's sentences. A name of a command alone is none, nor is a form such as ``[ROLE]…``."""
    text = BLOCK.sub(lambda block: "\n" * block[0].count("\n"), page.text)
    for found in SPAN.finditer(text):
        typed = " ".join(found[2].split())
        if typed.split()[0] in PROGRAMS and not set("[…|") & set(typed) and len(typed.split()) > 1:
            yield Shown(page, text.count("\n", 0, found.start()) + 1, typed + "\n")


BLOCKS = tuple(block for page in pages() for block in blocks(page))
SPANS = tuple(span for page in pages() for span in spans(page))

NOTING = """
command_not_found_handle() {
  local IFS=$'\\037'
  printf '%s\\037\\036' "$*" >> "$NOTED"
  echo '{"Statement": []}' 2> /dev/null || true
}
"""
"""Each call is noted by one write, as both ends of a pipe run concurrently; and the other end may be gone already."""


def calls(shown: Shown, folder: Path) -> list[tuple[str, ...]]:
    """The calls that a shell makes of it; fails where the shell cannot read it or a variable is not set."""
    noted = folder / "noted"
    noted.write_text("")
    tools = folder / "tools"
    if not tools.exists():
        tools.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (tools / tool).symlink_to(found)
        (folder / "accounts").mkdir()
        for name in FILES:
            (folder / name).write_text("{}")
    ran = subprocess.run(
        ["/bin/bash", "-c", f'{NOTING}set -eu\n{shown.before}\n: > "$NOTED"\n{shown.script}'],
        cwd=folder,
        env={"PATH": str(tools), "NOTED": str(noted), **VARIABLES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    return [tuple(call.split("\x1f")[:-1]) for call in noted.read_text().split("\x1e")[:-1]]


@pytest.mark.parametrize("shown", BLOCKS + SPANS, ids=str)
def test_every_command_that_is_shown_is_run_by_a_test_or_says_why_not_and_has_the_options_it_is_given(
    shown: Shown, tmp_path: Path
) -> None:
    made = calls(shown, tmp_path)
    assert made or re.search(r"^\w+\(\) ", shown.script, re.MULTILINE), "no command was found in it"
    for call in made:
        assert row(call), f"no row of the table matches: {' '.join(call)}"
    in_a_sentence = shown in SPANS
    assert [trouble for call in made for trouble in troubles(call, in_a_sentence=in_a_sentence)] == []


def row(call: Sequence[str]) -> str | None:
    """The pattern of the table that a call matches first."""
    return next((pattern for pattern in TABLE if fnmatchcase(" ".join(call), pattern)), None)


def troubles(call: Sequence[str], *, in_a_sentence: bool = False) -> Iterator[str]:
    """What is wrong with a call of a program that is known here. In a sentence, a command may represent its options."""
    match call:
        case ("aws", service, command, *options):
            yield from (f"{' '.join(call)}: {why}" for why in aws_troubles(service, command, options, in_a_sentence))
        case ("remediator", *arguments) if not (in_a_sentence and len(arguments) == 1):
            yield from (f"{' '.join(call)}: {why}" for why in remediator_troubles(arguments))
        case ("jq", program, *_):
            yield from (f"{' '.join(call)}: {why}" for why in jq_troubles(program))


def remediator_troubles(arguments: Sequence[str]) -> Iterator[str]:
    """Why the command line would not understand its arguments."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    name, *rest = arguments
    if name.startswith("--"):
        if not any(name in (*parameter.opts, "--help") for parameter in group.params):
            yield f"no such option {name}"
        return
    if name not in group.commands:
        yield "no such command"
        return
    try:
        load_command(name).make_context(name, rest)
    except (TyperException, typer.Exit) as error:
        yield f"{error!r}"


def jq_troubles(program: str) -> Iterator[str]:
    """Why jq does not understand a program; nothing where there is no jq to ask."""
    if found := shutil.which("jq"):
        ran = subprocess.run([found, program], input='{"Statement": []}', capture_output=True, text=True, check=False)
        if ran.returncode:
            yield ran.stderr


@cache
def operations(service: str) -> Mapping[str, OperationModel]:
    """The operations of a service, by the names of their commands. Empty where there is no such service."""
    try:
        model = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(service, service))
    except UnknownServiceError:
        return {}
    return {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}


def aws_troubles(service: str, command: str, options: Sequence[str], in_a_sentence: bool) -> Iterator[str]:
    """Why AWS's command line would not take a command: by the model of the service, and JMESPath for ``--query``."""
    if command == "wait":
        waiters = botocore.session.get_session().create_client(service, region_name="us-east-1").waiter_names
        command, *options = options
        if command.replace("-", "_") not in waiters:
            yield "no such thing to wait for"
            return
        command = {"table-exists": "describe-table"}[command]
    operation, renamed = OF_THE_CLI.get(f"{service} {command}", (command, {}))
    known = operations(service).get(operation)
    if known is None:
        yield "no such operation"
        return
    if in_a_sentence and not options:
        return
    if "group_name" in renamed:
        options = ["--group-name", *options]
    given = dict(_options(options))
    yield from _query_troubles(given.pop("query", None))
    shape = known.input_shape
    members: Mapping[str, Any] = shape.members if shape else {}
    by_option = {**{xform_name(name): name for name in members}, **renamed}
    named = set()
    for option, value in given.items():
        name = by_option.get(option) or by_option.get(option.removeprefix("no_"))
        named.add(name)
        if name is not None and option not in renamed:
            yield from _value_troubles(option, value, members[name])
        elif name is None and option not in OF_EVERY_COMMAND:
            yield f"no such option --{option.replace('_', '-')}"
    required = shape.required_members if shape else ()
    yield from (f"--{xform_name(name, '-')} is missing" for name in required if name not in named)


def _query_troubles(query: str | None) -> Iterator[str]:
    try:
        if query is not None:
            jmespath.compile(query)
    except JMESPathError as error:
        yield f"--query: {error}"


def _options(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Each option with its value, None where it has none; several values of one are joined."""
    for found in re.split(r"\x1f(?=--[a-z])", "\x1f" + "\x1f".join(words))[1:]:
        name, *values = found.split("\x1f")
        yield name.removeprefix("--").replace("-", "_"), " ".join(values) if values else None


def _value_troubles(option: str, value: str | None, shape: Any) -> Iterator[str]:
    """Why a value cannot be of its kind, as far as its text says so."""
    if shape.type_name == "boolean":
        if value is not None:
            yield f"--{option} takes no value"
    elif value is None:
        yield f"--{option} needs a value"
    elif isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"--{option} is none of {shape.enum}"
    elif shape.type_name in ("integer", "long") and not value.isdigit():
        yield f"--{option} is no number"
    elif shape.type_name in ("structure", "map", "list") and value.startswith(("{", "[")):
        try:
            json.loads(value)
        except ValueError as error:
            yield f"--{option} is no JSON: {error}"


# --- the table ---


@pytest.mark.parametrize("pattern", TABLE)
def test_what_the_table_names_exists_and_speaks_of_the_command(pattern: str) -> None:
    entry = TABLE[pattern]
    named = entry.test if isinstance(entry, RunBy) else entry.instead
    assert named or isinstance(entry, NotRun)
    if named:
        path, _, name = named.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE)
        if named.startswith(E2E):
            assert f'"{pattern.split()[1].removesuffix("*")}"' in text


def test_no_row_of_the_table_is_about_nothing(tmp_path: Path) -> None:
    matched = {row(call) for shown in BLOCKS + SPANS for call in calls(shown, tmp_path)}
    assert matched == set(TABLE)


def test_the_pages_whose_output_is_shown_are_run_with_all_their_commands() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests" / "cli").glob("test_*.py")))
    run: dict[str, Iterable[str]] = {
        "docs/command-line.md": [
            *(typed for on in (True, False) for typed, _ in test_documentation.documented(on_a_deployment=on)),
            *re.findall(r'documented\("([^"]+)"\)', tests),
            "remediator compute-config head-node",  # held by test_compute_config.py, which reads the block
        ],
        "docs/checks.md": [
            *(typed for typed, _, _ in test_check_documentation.SHOWN),
            *test_check_documentation.SCRIPTS,
            *re.findall(r"^// (.+)$", test_check_documentation.PAGE, re.MULTILINE),
        ],
    }
    for name, scripts in run.items():
        shown = {block.script.rstrip() for block in BLOCKS if str(block.page) == name and "pipx" not in block.script}
        assert shown - {script.rstrip() for script in scripts} - {test_documentation.SCRIPT.rstrip()} == set()


# --- what finds the faults ---


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("aws iam tag-rolle --role-name r --tags Key=a,Value=b", "no such operation"),
        ("aws iamm tag-role --role-name r", "no such operation"),
        ("aws iam tag-role --role-name r", "--tags is missing"),
        ("aws iam tag-role --role r --tags Key=a,Value=b", "no such option --role"),
        ("aws iam get-role --role-name r --query 'Role.['", "--query"),
        ("aws sqs receive-message --queue-url q --max-number-of-messages ten", "is no number"),
        ("aws sns subscribe --topic-arn t --protocol sqs --attributes '{x'", "is no JSON"),
        ("aws cloudwatch describe-alarms --state-value ALERT", "is none of"),
        ("aws ssm put-parameter --name n --value v --overwrite yes", "takes no value"),
        ("aws dynamodb wait table-exist --table-name t", "no such thing to wait for"),
        ("aws logs tail group --sinse 1h", "no such option --sinse"),
        ("remediator histery", "no such command"),
        ("remediator history --mosst 3", "NoSuchOption"),
        ("remediator enroll head-node", "MissingParameter"),
        ("remediator --versio", "no such option"),
    ],
)
def test_a_command_with_a_fault_is_found(typed: str, why: str, tmp_path: Path) -> None:
    (call,) = calls(Shown(Page(Path("page.md")), 1, typed + "\n"), tmp_path)
    assert why in " ".join(troubles(call))


def test_a_shell_reads_the_blocks(tmp_path: Path) -> None:
    script = 'for each in a b; do X=1 aws "$each c" --d="$(remediator e | jq .f)"; done\n'
    made = calls(Shown(Page(Path("page.md")), 1, script), tmp_path)
    answer = '{"Statement": []}'
    assert [call for call in made if call[0] == "aws"] == [("aws", f"{each} c", f"--d={answer}") for each in "ab"]
    assert made.count(("remediator", "e")) == made.count(("jq", ".f")) == 2
    with pytest.raises(AssertionError, match="NOT_SET"):
        calls(Shown(Page(Path("page.md")), 1, 'aws "$NOT_SET"\n'), tmp_path)
    with pytest.raises(AssertionError, match="syntax error"):
        calls(Shown(Page(Path("page.md")), 1, "for each in a; aws\n"), tmp_path)
