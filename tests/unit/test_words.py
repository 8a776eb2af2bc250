"""The word check finds banned words, in all places that readers and developers see."""

from __future__ import annotations

import pytest

from tests.words import BANNED, EXCEPTIONS, MAX_SENTENCE, SENTENCE, check, main, tracked, without_exceptions

LONG = "word " * (MAX_SENTENCE + 1)


def entries(path: str, text: str) -> list[str]:
    return [problem.entry for problem in check(path, text)]


@pytest.mark.parametrize(
    ("path", "text", "entry"),
    [
        ("docs/page.md", "An operator is\ntold.", "tell"),
        ("docs/page.md", "| cell | whoever |", "whoever"),
        ("README.md", "It is repaired at\nonce.", "at once"),
        ("stacks/x.py", '"""Somebody did it."""', "somebody"),
        ("stacks/x.py", "x = 1  # the behaviour", "-our"),
        ("stacks/x.py", "def test_a_person_decides() -> None: ...", "a person"),
        ("stacks/x.py", "class HeardOf: ...", "hears of"),
        ("stacks/x.py", "# it is looked\n# at", "look at"),
        ("stacks/x.py", 'x = f"{y} is mended"', "mend"),
        ("cli/page.html", "<p>enrolment</p>", "enrol"),
    ],
)
def test_a_banned_word_is_found(path: str, text: str, entry: str) -> None:
    assert entries(path, text) == [entry]


def test_a_problem_names_the_place_and_the_replacement() -> None:
    (problem,) = check("docs/page.md", "# Title\n\nRun it.\nThen mend it.\n")
    assert str(problem) == "docs/page.md:4: mend -> repair, fix"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/page.md", "The value `contested`, see [a page](mend.md) and https://example.com/tell."),
        ("docs/page.md", "Buckets in us-east-1; besides, a standard honors it and looks up a key."),
        ("stacks/x.py", 'x = {"told": "contested"}'),
        ("stacks/x.py", 'name = "RolesNeedingAPerson"'),
        ("docs/page.md", "```\n" + LONG + "\n```\n\n| " + "word | " * (MAX_SENTENCE + 1)),
        ("docs/page.md", "- " + "word " * 20 + "\n- " + "word " * 20),
        ("CHANGELOG.md", LONG),
    ],
)
def test_what_is_allowed_is_not_reported(path: str, text: str) -> None:
    assert check(path, text) == []


@pytest.mark.parametrize("text", [LONG, f"- {LONG}", f"| short | {LONG} |", "Short. " + LONG.replace(" ", "\n")])
def test_a_long_sentence_is_found(text: str) -> None:
    assert entries("docs/page.md", text) == [SENTENCE]


def test_an_exception_removes_its_problems_only() -> None:
    problems = [*check("stacks/a.py", "# tell, anew"), *check("stacks/b.py", "# tell")]
    left, stale = without_exceptions(problems, {("stacks/a*", "tell"): "a reason"})
    assert [(problem.path, problem.entry) for problem in left] == [("stacks/a.py", "anew"), ("stacks/b.py", "tell")]
    assert stale == []


def test_an_exception_that_matches_nothing_is_stale() -> None:
    exception = ("stacks/*", "mend")
    assert without_exceptions(check("stacks/a.py", "# tell"), {exception: "a reason"})[1] == [exception]


def test_every_exception_names_an_entry_and_has_a_reason() -> None:
    assert {entry for _, entry in EXCEPTIONS} <= {*BANNED, SENTENCE}
    assert all(EXCEPTIONS.values())


def test_the_check_covers_the_repository_but_not_its_own_word_list() -> None:
    paths = tracked()
    assert {"README.md", "app.py", "Makefile"} <= set(paths)
    assert "tests/words.py" not in paths


def test_the_check_prints_problems_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stacks", "nothing-is-here"]) == 0
    assert capsys.readouterr().out == ""
