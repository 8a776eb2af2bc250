"""The commands in docs/checks.md do what the page says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from remediator_cli.checks.output_formats import CheckFormat
from remediator_cli.checks.verdicts import ENROLLMENT_UNDECIDED, ROLE_DELETED, ROLE_NOT_IN_FILE, UNENROLLED, Verdict
from remediator_cli.terminal.exits import ExitCode
from tests.cli.terminal import ROOT, command, environment

PAGE = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
FIXTURES = ROOT / "tests" / "cli" / "fixtures" / "checks"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = [text.removeprefix("$ ").partition("\n") for kind, text in BLOCKS if kind == "console"]
SCRIPTS = [text for kind, text in BLOCKS if kind == "sh"]
(WORKFLOW,) = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]

TERRAFORM = """#!/bin/sh
case "$1" in
  init) ;;
  plan) for each; do case "$each" in -out=*) echo plan > "${each#-out=}";; esac; done ;;
  show) test "$2" = -json && test -s "$3" && cat PLAN ;;
  *) exit 64 ;;
esac
"""
AWS = """#!/bin/sh
test "$1 $2 $3" = "cloudformation get-template --stack-name" && printf '{"TemplateBody": %s}' "$(cat BODY)"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the page speaks of, and the programs that it calls."""
    (tmp_path / "cdk.json").write_bytes((ROOT / "cdk.json").read_bytes())
    (tmp_path / "plan.json").write_bytes((FIXTURES / "plan.json").read_bytes())
    template = (FIXTURES / "roles.template.yaml").read_text()
    (tmp_path / "template.yaml").write_text(template)
    body = tmp_path / "body.json"
    body.write_text(json.dumps(template))
    programs = {
        "remediator": f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n',
        "terraform": TERRAFORM.replace("PLAN", str(FIXTURES / "plan.json")),
        "aws": AWS.replace("BODY", str(body)),
        "pipx": '#!/bin/sh\ntest "$1" = install\n',
    }
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def ran(script: str, folder: Path, *, flags: Sequence[str] = ("-e",)) -> subprocess.CompletedProcess[str]:
    """A script, as a shell runs it in the folder."""
    path = os.pathsep.join([str(folder / "bin"), os.defpath])
    return subprocess.run(
        ["/bin/sh", *flags, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**environment(), "PATH": path, "COLUMNS": "80"},
    )


@pytest.mark.parametrize(("typed", "printed"), [(typed, printed) for typed, _, printed in SHOWN])
def test_a_documented_command_prints_what_is_shown(typed: str, printed: str, folder: Path) -> None:
    answer = ran(typed, folder)
    assert (answer.returncode, answer.stderr) == (ExitCode.FOUND, "")
    assert answer.stdout.rstrip() == printed.rstrip()


def test_the_json_that_is_shown_is_what_is_printed(folder: Path) -> None:
    (block,) = [text for kind, text in BLOCKS if kind == "json5"]
    comment, _, shown = block.partition("\n")
    answer = ran(comment.removeprefix("// "), folder)
    assert json.loads(answer.stdout) == json.loads(shown)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_documented_script_runs_to_its_verdicts(script: str, folder: Path) -> None:
    answer = ran(script, folder)
    assert (answer.returncode, answer.stderr) in ((ExitCode.FOUND, ""), (ExitCode.OK, ""))
    assert answer.stdout


def test_the_steps_of_the_workflow_run_and_annotate_what_breaks(folder: Path) -> None:
    (job,) = WORKFLOW["jobs"].values()
    (folder / "plan.json").unlink()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    answers = [ran(step, folder) for step in steps]
    assert [answer.returncode for answer in answers] == [0] * (len(steps) - 1) + [ExitCode.FOUND]
    assert [line.partition(" ")[0] for line in answers[-1].stdout.splitlines()] == ["::error", "::error"]


def test_the_page_lists_the_verdicts_codes_forms_and_exit_codes_that_there_are() -> None:
    listed = set(re.findall(r"^\| `([^`]+)`", PAGE, re.MULTILINE))
    assert {verdict.value for verdict in Verdict} <= listed
    assert {UNENROLLED, ROLE_DELETED, ROLE_NOT_IN_FILE, ENROLLMENT_UNDECIDED} <= listed
    assert {f"--output {form.value}" for form in CheckFormat} <= listed
    exits = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert exits == {ExitCode.OK, ExitCode.ERROR, ExitCode.BAD_INPUT, ExitCode.FOUND}


def test_every_option_of_the_commands_is_on_the_page(folder: Path) -> None:
    listed = set(re.findall(r"`(--[a-z-]+)", PAGE))
    for name in ("check-terraform", "check-cloudformation"):
        helped = ran(f"remediator {name} --help", folder).stdout
        assert set(re.findall(r"(?<!\S)(--[a-z-]+)", helped)) - {"--help"} <= listed


def test_what_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target
