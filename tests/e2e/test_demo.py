"""The demo and the playground, as a newcomer starts them."""

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

from demo import story
from demo.account import DemoAccount
from demo.embedded import EmbeddedAws
from demo.playground import STATE
from demo.story import STEPS, Step, StepFailed

pytestmark = pytest.mark.embedded

PROJECT = Path(__file__).parents[2]


def test_every_act_of_the_demo_goes_as_told(account: DemoAccount) -> None:
    for step in STEPS:  # in order: each step builds on the ones before it
        step.run(account)


def test_an_act_that_fails_ends_the_demo_with_an_error_and_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise StepFailed("The role was not repaired.")

    monkeypatch.setattr(story, "set_up", lambda aws, output: aws)
    monkeypatch.setattr(story, "STEPS", (Step("a failure", fail),))
    assert story.main() == 1
    assert "The role was not repaired." in capsys.readouterr().err


@pytest.fixture
def playground() -> Iterator[str]:
    """What `make playground` prints; the playground is stopped afterwards."""
    if (PROJECT / ".playground").exists():
        pytest.fail("A playground is in use in this folder; stop it with: make playground-stop")
    command = [sys.executable, "-m", "demo.playground"]
    try:
        yield subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    finally:
        subprocess.run([*command, "stop"], cwd=PROJECT, check=True, capture_output=True)


def test_every_command_that_the_playground_prints_works(playground: str) -> None:
    printed = re.findall(r"^  ((?:aws|remediator|source) .+?)(?:  # exits with (\d): .+)?$", playground, re.MULTILINE)
    assert len(printed) == 22
    names = {command.split()[1] for command, _ in printed if command.startswith("remediator ")}
    assert names == {"status", "plan", "history", "undo", "pause", "resume", "report", "test-alert"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    aws = EmbeddedAws.find(STATE / "aws")
    assert aws
    account = DemoAccount(aws)
    account.outputs = json.loads((STATE / "cdk" / "outputs.json").read_text("utf-8"))["AnyscaleRemediator"]
    (source,) = (command for command, _ in printed if command.startswith("source "))
    told = ""
    for command, code in printed:
        script = f"set -eu\n{source}\n{typed(command, code)}"
        ran = subprocess.run(["bash", "-c", script], cwd=PROJECT, env=kept, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        told += ran.stdout
        account.settle()  # what was broken must be there again to be broken again
    assert "Healthy. No action needed." in told
    assert "A sweep checks every enrolled role now." in told
    mail = subprocess.run(
        [sys.executable, "-m", "demo.playground", "mail"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    assert "Subject: Repaired: playground-node (production)" in mail
    assert "Subject: ACTION REQUIRED: playground-node " in mail
    assert "Subject: Test: alerts of the Anyscale role remediator arrive here" in mail
    again = subprocess.run(
        [sys.executable, "-m", "demo.playground"], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert "already running" in again.stdout


def typed(command: str, code: str) -> str:
    """A printed command as somebody types it, who looks up the newest change; it has to end with that code.

    What only looks is typed again while it ends with another one: what was done before may still be under way.
    """
    if "CHANGE" in command:
        looked_up = re.sub(r"undo (.+) CHANGE .*", r"history \1 --json --limit 1", command)
        newest = (
            f"$({looked_up} | {shlex.quote(sys.executable)} -c 'import json; print(json.loads(input())[\"change\"])')"
        )
        command = command.replace("CHANGE", f'"{newest}"')
    code = code or "0"
    once = f"code=0; {command} || code=$?"
    if command.startswith(("remediator status ", "remediator plan ")):
        once = f"for try in $(seq 20); do {once}; if test $code -eq {code}; then break; fi; sleep 1; done"
    return f"{once}; test $code -eq {code}"


def test_the_playground_says_how_it_is_used() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "demo.playground", "what"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "stop | mail" in ran.stderr
