"""The demo and the playground, as a newcomer starts them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import story
from demo.account import DemoAccount
from demo.story import ACTS, Act, ActFailed
from tests.e2e.clearing import clear

pytestmark = pytest.mark.embedded

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def theatre(stage: DemoAccount) -> DemoAccount:
    """The stage for all acts, which go on with what those before them have left."""
    clear(stage)
    return stage


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.title)
def test_every_act_of_the_demo_goes_as_told(act: Act, theatre: DemoAccount) -> None:
    act.play(theatre)


def test_an_act_that_fails_ends_the_demo_with_an_error_and_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ActFailed("The role was not repaired.")

    monkeypatch.setattr(story, "set_up", lambda aws, output: aws)
    monkeypatch.setattr(story, "ACTS", (Act("a failure", fail),))
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
    commands = re.findall(r"^  (aws .+|source .+)$", playground, re.MULTILINE)
    assert len(commands) == 11
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # Every command takes effect within a second; in between, what was broken must be there to be broken again.
    script = "\nsleep 1\n".join(["set -eu", *commands])
    ran = subprocess.run(["bash", "-c", script], cwd=PROJECT, env=kept, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    mail = subprocess.run(
        [sys.executable, "-m", "demo.playground", "mail"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    assert "Subject: Anyscale role playground-node: repaired (production)" in mail
    assert "Subject: Anyscale role playground-node: needs a person (production)" in mail
    again = subprocess.run(
        [sys.executable, "-m", "demo.playground"], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert "running already" in again.stdout


def test_the_playground_says_how_it_is_used() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "demo.playground", "what"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "stop | mail" in ran.stderr
