"""Word check: reports words, spellings and sentences that the style of this repository bans. Run by ``make lint``.

``python -m tests.words [PATH ...]`` checks all tracked texts, or only those under the paths. It prints
``path:line: word -> replacement`` for each problem and exits with 1 if there is one.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
MAX_SENTENCE: Final = 35
SENTENCE: Final = "long sentence"

CHECKED: Final = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "app.py", ".ci/*", ".github/*"),
    *("docs/alerts.md", "docs/findings.md", "docs/deploying.md", "docs/alert.schema.json", "docs/glossary.md"),
    *("cli/*.py", "cli/*.html", "cli/*.js", "stacks/*.py", "demo/*.py", "benchmarks/*.py", "tests/unit/golden/*"),
)
"""What an operator, a reviewer or a newcomer reads first: each alert, each command, each stack."""
SKIPPED: Final = ("tests/words.py", "tests/unit/test_words.py")
"""These files quote the banned words."""
LENGTH_CHECKED: Final = ("README.md", "docs/*.md")

BANNED: Final[Mapping[str, tuple[str, str]]] = {
    "tell": (r"tells?|telling|told|retold|untold", "notify, report, say, show"),
    "mend": (r"mend(s|ed|ing)?", "repair, fix"),
    "whoever": (r"whoever|whomever", "name the actor"),
    "somebody": (r"somebody|someone|anybody|nobody", "an operator, another principal, no one"),
    "a person": (r"(a|one|another) person|persons", "an operator, a user, the caller"),
    "look at": (r"look(s|ed|ing)? at", "read, check"),
    "a look": (r"(a|the|each|every|last|next) looks?(?! (up|for|like))", "read, check, reconciliation"),
    "what came of": (r"what (came|comes|has come) of", "result of"),
    "at once": (r"at once", "immediately"),
    "anew": (r"anew", "again"),
    "for good": (r"for good", "permanently"),
    "by now": (r"by now", "already"),
    "left alone": (r"(left|leaves?|leaving)( it| them)? alone", "skipped"),
    "taken back": (r"(takes?|taken|taking|took)( it| them)? back", "removed"),
    "stands": (r"stands?|stood", "is"),
    "beside": (r"beside", "next to, besides"),
    "hears of": (r"(hears?|heard|hearing) of|unheard", "receives, learns of"),
    "shall": (r"shall", "must, will"),
    "or not": (r"whether\b[^.]{0,80}\bor not", "whether"),
    "of ours": (r"of ours|ours", "the remediator's"),
    "we": (r"we|our|(?-i:us)(?!( |-)?(east|west|gov))", "the remediator, the reconciler"),
    "other side": (r"(former|other|either|own|bucket's|role's) sides?", "previous location, grant location"),
    "contest": (r"contest(s|ed|ing)?|fought|tug( |-)of( |-)war", "conflict, repair loop"),
    "near miss": (r"near miss|nearly enroll?ed", "misconfigured enrollment"),
    "settled": (r"(un)?settled", "recovered"),
    "surroundings": (r"surroundings", "evaluation context"),
    "obstacle": (r"obstacles?", "write blocker"),
    "withheld": (r"with(hold|holds|held)|(held|holds?|holding) back", "on hold, not applied"),
    "power": (r"power|powers|powerful", "privilege, privileged"),
    "judge": (r"judg(e|es|ed|ing)", "assess, evaluate"),
    "works off": (r"work(s|ed|ing)? off", "consumes"),
    "foreign": (r"foreign statements?", "other principals' statements"),
    "memories": (r"memories", "role records"),
    "-ise": (
        r"(author|central|custom|final|initial|normal|optim|organ|recogn|serial|summar|synthes|util)is(e[ds]?|er|ing|ation)",
        "-ize, -ization",
    ),
    "-our": (r"(?:behavi|col|fav|hon|neighb)our(?:s|ed|ing|ite|able|hood)?", "-or"),
    "enrol": (r"enrols?|enrolments?", "enroll, enrollment"),
    "double l": (r"(?:cancel|label|travel|model|signal)l(?:ed|ing)", "one l"),
    "British": (
        r"judgements?|licences?|centres?|grey|catalogues?|defence|artefacts?|whilst|amongst",
        "American spelling",
    ),
}
"""Each entry: its name, a pattern of whole words, and the replacement."""

WIRE_NAMES: Final = (
    *("RolesNeedingAPerson", "RolesContested", "SweepRolesUnsettled", "AlertsTold", "KeepWhatIsTold", "OurRules"),
    *("OurAlarms", "OurForwarders", "unheardOf", "needs-person", "power-unknown"),
)
"""Names of metrics, Sids and values that cannot change."""
WIRE_VALUES: Final = frozenset({"beside", "contest", "contested", "told", "untold", "powerful", "settled", "withheld"})
"""Strings that are keys or values of stored data or of messages."""

EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("benchmarks/cold_start.py", "tell"): "file.tell() is a method of Python's files",
    ("cli/remediator_cli/checks/verdicts.py", "we"): "REPAIRED_BY_US is the verdict `repaired-by-us` of the JSON",
}
"""(path pattern, name of the entry): the reason."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A banned word in a file."""

    path: str
    line: int
    entry: str
    found: str
    replacement: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found} -> {self.replacement}"


_GAP: Final = r"[\s#>]+"
"""Between the words of a phrase: also the end of a line in a comment or a quotation."""
_WORDS: Final = re.compile(
    "|".join(rf"(?P<w{n}>\b(?:{pattern.replace(' ', _GAP)})\b)" for n, (pattern, _) in enumerate(BANNED.values())),
    re.IGNORECASE,
)
_NAMES: Final = tuple(BANNED)
_WIRE: Final = re.compile("|".join([*WIRE_NAMES, *(f'"{value}"' for value in sorted(WIRE_VALUES))]))
_CODE: Final = re.compile(r"``[^`]+``|`[^`\n]+`|https?://\S+|\]\([^)\s]*\)")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_+")
_STRINGS: Final = (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))


def check(path: str, text: str) -> list[Problem]:
    """Return the problems of a file, without those that are exceptions."""
    words = _in_python(path, text) if path.endswith(".py") else _in_text(path, 1, text)
    lengths = _long_sentences(path, text) if _matches(path, LENGTH_CHECKED) else ()
    return sorted([*words, *lengths], key=lambda problem: problem.line)


def _in_python(path: str, text: str) -> Iterator[Problem]:
    names: set[str] = set()
    comments: dict[int, str] = {}  # blocks of comment lines, by their first lines
    block = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            block, last = (block if line == last + 1 else line), line
            comments[block] = f"{comments.get(block, '')}\n{token.string}".lstrip()
        elif token.type in _STRINGS and token.string.lstrip("rbfuRBFU")[1:-1] not in WIRE_VALUES:
            yield from _in_text(path, line, token.string)
        elif token.type == tokenize.NAME and token.string not in names:  # each name once per file
            names.add(token.string)
            yield from _in_text(path, line, _CAMEL.sub(" ", _WIRE.sub("", token.string)))
    for line, comment in comments.items():
        yield from _in_text(path, line, comment)


def _in_text(path: str, first_line: int, text: str) -> Iterator[Problem]:
    plain = _WIRE.sub(_blank, _CODE.sub(_blank, text))
    for match in _WORDS.finditer(plain):
        entry = _NAMES[int((match.lastgroup or "w0")[1:])]
        line = first_line + text.count("\n", 0, match.start())
        yield Problem(path, line, entry, " ".join(match.group().split()), BANNED[entry][1])


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", ".", match.group())


def _long_sentences(path: str, text: str) -> Iterator[Problem]:
    for line, block in _blocks(text):
        plain = re.sub(r"`[^`]+`", "code", re.sub(r"\]\([^)]*\)", "]", block))
        for sentence in re.split(r"(?<=[.!?])[\"”)*]*\s+", plain):
            count = sum(any(character.isalnum() for character in word) for word in sentence.split())
            if count > MAX_SENTENCE:
                yield Problem(
                    path, line, SENTENCE, f"{sentence[:60]}… ({count} words)", f"at most {MAX_SENTENCE} words"
                )


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield paragraphs, list items, headings and table cells with their first lines; code and comments are omitted."""
    text = re.sub(r"^ *(```|~~~).*?^ *\1|<!--.*?-->", _keep_lines, text, flags=re.DOTALL | re.MULTILINE)
    block: list[str] = []
    start = 1
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        is_table = line.lstrip().startswith("|")
        if block and (not line.strip() or is_table or re.match(r"\s*([-*+]|\d+\.|#+)\s", line)):
            yield start, " ".join(block)
            block = []
        if is_table:
            yield from ((number, cell) for cell in line.strip().strip("|").split("|"))
        elif line.strip():
            start = start if block else number
            block.append(line.strip())


def _keep_lines(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def without_exceptions(
    problems: Sequence[Problem], exceptions: Mapping[tuple[str, str], str]
) -> tuple[list[Problem], list[tuple[str, str]]]:
    """Return the problems without the exceptions, and the stale exceptions, which match no problem."""
    used = {
        (pattern, entry)
        for pattern, entry in exceptions
        if any(problem.entry == entry and fnmatch(problem.path, pattern) for problem in problems)
    }
    left = [
        problem for problem in problems if not any(problem.entry == e and fnmatch(problem.path, p) for p, e in used)
    ]
    return left, [exception for exception in exceptions if exception not in used]


def tracked(under: Sequence[str] = ()) -> list[str]:
    """Return the paths of the tracked files that are checked."""
    command = ["git", "ls-files", "--", *under]
    paths = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for path in paths if _matches(path, CHECKED) and path not in SKIPPED and (ROOT / path).exists()]


def main(arguments: Sequence[str]) -> int:
    """Check the files, print the problems, and return the exit code."""
    problems = [p for path in tracked(arguments) for p in check(path, (ROOT / path).read_text("utf-8"))]
    left, stale = without_exceptions(problems, EXCEPTIONS)
    lines = [str(problem) for problem in left]
    if not arguments:  # a part of the files cannot show that an exception is stale
        lines += [f"tests/words.py: exception {pattern}, {entry} matches nothing" for pattern, entry in stale]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
