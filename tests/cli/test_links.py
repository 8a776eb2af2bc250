"""What the Markdown files point to exists: files, headings, commands of the command line, and targets of make."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import typer

import remediator
from remediator_cli.app import app
from tests.cli.terminal import ROOT

GENERATED = {"node_modules", "cdk.out", "build", "htmlcov"}
"""Folders that others fill; so are those whose names begin with a dot."""

FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)

# In a block a word counts as a command only where a shell would take it for one: drawings and printed texts name the
# remediator as well.
BEGINNING = r"(?:^[ \t]*(?:\$ |// )?|[|;&] |\$\()"


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file, by its path from the root."""

    path: Path

    def __str__(self) -> str:
        return self.path.as_posix()

    @property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """Everything but code, in which a bracket is no link and a number sign no heading."""
        return SPAN.sub("`code`", FENCE.sub("", self.text))

    @property
    def links(self) -> tuple[str, ...]:
        """Where the page points to inside the repository."""
        return tuple(target for target in LINK.findall(self.prose) if not OUTSIDE.match(target))

    @property
    def anchors(self) -> frozenset[str]:
        """The names by which headings are linked to, as GitHub and GitLab make them: the second of a name gets a -1."""
        seen: dict[str, int] = {}
        names = set()
        for heading in HEADING.findall(FENCE.sub("", self.text)):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            names.add(f"{name}-{seen[name]}" if name in seen else name)
            seen[name] = seen.get(name, 0) + 1
        return frozenset(names)

    def called(self, program: str) -> Iterator[str]:
        """The first word after the name of a program, wherever the page shows a call of it."""
        call = re.compile(rf"{program} ([a-z][a-z-]*)")
        for _, span in SPAN.findall(FENCE.sub("", self.text)):
            if found := call.match(" ".join(span.split())):
                yield found[1]
        for block in FENCE.finditer(self.text):
            yield from re.findall(BEGINNING + call.pattern, block[0], re.MULTILINE)


@cache
def pages() -> tuple[Page, ...]:
    found = []
    for folder, inside, files in os.walk(ROOT):
        inside[:] = sorted(name for name in inside if name not in GENERATED and not name.startswith("."))
        found += [Page((Path(folder) / name).relative_to(ROOT)) for name in sorted(files) if name.endswith(".md")]
    return tuple(found)


every_page = pytest.mark.parametrize("page", pages(), ids=str)


def broken(page: Page) -> Iterator[str]:
    """The links of a page that lead nowhere, each with the reason."""
    for link in page.links:
        file, _, anchor = link.partition("#")
        to = (ROOT / page.path.parent / file).resolve() if file else ROOT / page.path
        if link.startswith("/") or not to.is_relative_to(ROOT):
            yield f"{link}: not inside the repository"
        elif not to.exists():
            yield f"{link}: no such file"
        elif anchor and (to.suffix != ".md" or anchor not in Page(to.relative_to(ROOT)).anchors):
            yield f"{link}: no such heading"


@every_page
def test_every_link_inside_the_repository_leads_to_a_file_and_a_heading(page: Page) -> None:
    assert list(broken(page)) == []


@every_page
def test_every_command_that_is_named_exists(page: Page) -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    assert set(page.called("remediator")) <= set(command.commands)


@every_page
def test_every_target_of_make_that_is_named_exists(page: Page) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    assert set(page.called("make")) <= targets


def test_every_page_of_the_documentation_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [Path("README.md")]
    while ahead:
        path = ahead.pop()
        reached.add(path)
        for file in filter(None, (link.partition("#")[0] for link in Page(path).links)):
            to = (ROOT / path.parent / file).resolve()
            pages_there = to.glob("*.md") if to.is_dir() else [to] if to.suffix == ".md" else []
            ahead += {page.relative_to(ROOT) for page in pages_there} - reached
    assert {page.path for page in pages() if page.path.parts[0] == "docs"} <= reached


def test_what_is_code_is_no_link_and_what_a_shell_would_not_run_is_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "# A page\n\n## A page\n\n## `some-code`: and more\n\nSee [this\none](other.md#there), [that](https://a.b/c)"
        " and `[no](link)`.\n\nUse `remediator\nundo X`, never `remediator/undo`; `remediator` is no `make-up`.\n\n"
        "```sh\n# make believe\nmake demo && remediator history | remediator resume\n[no](link)\n```\n\n"
        "```\n│ remediator stack │ we make things\n```\n"
    )
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    page = Page(Path("page.md"))
    assert page.links == ("other.md#there",)
    assert page.anchors == {"a-page", "a-page-1", "some-code-and-more"}
    assert list(page.called("remediator")) == ["undo", "history", "resume"]
    assert list(page.called("make")) == ["demo"]
    assert list(broken(page)) == ["other.md#there: no such file"]


def test_the_changelog_speaks_of_the_version_of_the_code() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert remediator.__version__ in text


def test_what_cloudwatch_costs_is_counted_as_in_the_runbook_and_added_up() -> None:
    runbook, cost = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("runbook.md", "cost.md"))
    times = "\N{MULTIPLICATION SIGN}"
    counted = (
        rf"(\d+) alarms {times} 0\.10 \+ one dashboard {times} 3\.00 \+ (\d+) metrics {times} 0\.30 \| ([\d.]+) \|"
    )
    ((alarms, metrics, dollars),) = re.findall(counted, cost)
    assert round(float(dollars) * 100) == 10 * int(alarms) + 300 + 30 * int(metrics)
    assert {alarms, metrics} <= set(re.findall(r"\d+", runbook.partition("## What this costs")[2]))
