"""The commands in docs/command-line.md do what the page says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator_cli.terminal.exits import ExitCode
from tests.cli.deployed import Deployed
from tests.cli.terminal import ROOT, Json, Remediator, command, environment
from tests.cli.test_test_alert import ADDRESS, AMAZON_Q, Channels

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
(CASE,) = [example for example in EXAMPLES if "role" in example]
(EVENT,) = [example for example in EXAMPLES if "eventName" in example]
ROLE_ID = "AROAEXAMPLEHEADNODE01"
(SCRIPT,) = [text for kind, text in BLOCKS if kind == "sh" and text.startswith("#!")]


ON_A_DEPLOYMENT = ("history", "undo", "resume", "pause", "test-alert")


def documented(*, on_a_deployment: bool) -> Iterator[tuple[str, str]]:
    """Each command that is shown with its output: those that use a deployment, or those that do not."""
    for kind, text in BLOCKS:
        if kind == "console":
            typed, _, printed = text.removeprefix("$ ").partition("\n")
            if typed.startswith(tuple(f"remediator {name}" for name in ON_A_DEPLOYMENT)) is on_a_deployment:
                yield typed, printed


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder with the files that the page speaks of, and the commands that it calls."""
    role: Json = CASE["role"]
    (tmp_path / "head-node.jsonl").write_text(json.dumps(CASE) + "\n")
    (tmp_path / "event.json").write_text(json.dumps(EVENT, indent=2))
    (tmp_path / "cdk.json").write_bytes((ROOT / "cdk.json").read_bytes())
    (tmp_path / "trust.json").write_text(json.dumps(role["trust"], indent=2))
    (tmp_path / "data.json").write_text(json.dumps(role["inline"]["data"], indent=2))
    (tmp_path / "check-role.sh").write_text(SCRIPT)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in (("remediator", command()), ("python3", [sys.executable])):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(arguments)} "$@"\n')
        (programs / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "printed"), list(documented(on_a_deployment=False)), ids=lambda value: value.split("\n")[0]
)
def test_a_documented_command_prints_what_is_shown(typed: str, printed: str, shell: Path) -> None:
    path = os.pathsep.join([str(shell / "bin"), os.defpath])
    ran = subprocess.run(
        ["/bin/sh", "-c", typed],
        capture_output=True,
        text=True,
        check=False,
        cwd=shell,
        env={**environment(), "PATH": path, "COLUMNS": "80"},
    )
    assert ran.stderr == ""
    assert ran.stdout.rstrip() == printed.rstrip()


def test_what_is_documented_of_a_deployment_is_what_happens_one_after_the_other(
    deployed: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    channels = Channels(deployed)
    for protocol, endpoint in (("email", ADDRESS), ("https", AMAZON_Q)):
        channels.subscribe(protocol, endpoint)
    for typed, printed in documented(on_a_deployment=True):
        answer = remediator(*shlex.split(typed)[1:])
        assert answer.err == "", typed
        assert answer.out.replace(deployed.change.role_id, ROLE_ID).rstrip() == printed.rstrip(), typed


def test_the_exit_codes_are_those_that_there_are() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert listed == {code.value for code in ExitCode}


def test_what_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target
