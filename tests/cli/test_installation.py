"""The command line as ``pipx install .`` installs it: into an environment of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remediator import __version__
from tests.cli.terminal import ROOT, case, lines

SOURCES = ("pyproject.toml", "lambda_src", "cli")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the project in it, built from a copy: building leaves files in the source."""
    folder = tmp_path_factory.mktemp("installation")
    source, environment = folder / "source", folder / "environment"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    uv = [sys.executable, "-m", "uv"]
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, str(environment)],
        ["pip", "install", "--quiet", "--python", str(environment / "bin" / "python"), str(source)],
    ):
        ran = subprocess.run([*uv, *arguments], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    return environment


def test_the_installed_command_answers_and_brings_nothing_of_what_deploys(installed: Path) -> None:
    command = installed / "bin" / "remediator"
    ran = subprocess.run([command, "evaluate"], input=lines(case()), capture_output=True, check=True, env={})
    assert json.loads(ran.stdout)["ec2_trust"] == "ok"
    ran = subprocess.run([command, "--version"], capture_output=True, check=True, env={})
    assert ran.stdout.decode() == f"remediator {__version__}\n"
    packages = {path.name for path in installed.glob("lib/python*/site-packages/*")}
    assert {"remediator", "remediator_cli"} <= packages
    assert not packages & {"aws_cdk", "aws_lambda_powertools", "cli", "lambda_src", "stacks", "tests", "benchmarks"}


def test_what_the_page_of_a_report_is_made_of_is_installed_with_it(installed: Path) -> None:
    (package,) = installed.glob("lib/python*/site-packages/remediator_cli/report")
    assert {path.name for path in package.glob("report.*")} == {"report.css", "report.js"}
    templates = {path.name for path in (ROOT / "cli" / "remediator_cli" / "report" / "templates").iterdir()}
    assert {path.name for path in (package / "templates").iterdir()} == templates
