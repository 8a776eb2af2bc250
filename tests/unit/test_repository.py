"""The README, its picture, and the files for the hosting platform stay correct."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.structure import ROOT

FIRST_SCREEN = 45
README = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
PICTURE = ROOT / "docs" / "images" / "session.svg"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_first_screen_of_the_readme_shows_the_picture_the_two_commands_and_what_is_written() -> None:
    first = "\n".join(README[:FIRST_SCREEN])
    for part in ("](docs/images/session.svg)", "\nmake demo ", "\nmake test ", "\n## What it may touch\n"):
        assert part in first
    assert len(README) <= 110


def test_the_picture_is_an_svg_that_loads_nothing_and_names_no_machine() -> None:
    svg = PICTURE.read_text(encoding="utf-8")
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - a file of this repository
    assert re.findall(r"@font-face|@import|href=|url\((?!#)|/tmp/|/home/|/root/|127\.0\.0\.1|localhost", svg) == []


def test_the_workflow_runs_make_test_on_the_oldest_python_with_read_access_and_pinned_actions() -> None:
    workflow = read(".github/workflows/test.yml")
    job = workflow["jobs"]["test"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert oldest == f">={job['strategy']['matrix']['python'][0]}"
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test"]
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used == [step for step in used if re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step)]


def covered() -> Iterator[tuple[str, str]]:
    """Yield each ecosystem and folder that Dependabot updates."""
    for update in read(".github/dependabot.yml")["updates"]:
        assert update["groups"]
        for folder in update.get("directories", [update.get("directory")]):
            yield update["package-ecosystem"], folder


def test_dependabot_covers_the_folder_of_every_lock_file_and_the_workflows() -> None:
    command = ["git", "ls-files", "*requirements*.txt", "*package-lock.json"]
    files = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    locked = {("npm" if path.endswith(".json") else "pip", f"/{Path(path).parent}".rstrip(".")) for path in files}
    assert len(locked) > 1
    assert set(covered()) == {*locked, ("github-actions", "/")}


def test_the_hooks_of_pre_commit_are_the_commands_of_make_lint() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["entry"].replace(" --force-exclude", "").removeprefix("env ") for hook in repository["hooks"]}
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nlint: setup\n")[2].partition("\n\n")[0]
    assert hooks == {line.strip("\t@").replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()}


@pytest.mark.parametrize("form", [path for path in FORMS if path.stem != "config"], ids=lambda path: path.stem)
def test_an_issue_form_has_a_name_a_description_and_labeled_fields(form: Path) -> None:
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert content["name"]
    assert content["description"]
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)


def test_every_issue_needs_a_form() -> None:
    assert read(".github/ISSUE_TEMPLATE/config.yml") == {"blank_issues_enabled": False}
