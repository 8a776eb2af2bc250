"""What a message says and in which order; each channel prints it its own way, e-mail as plain text.

All text in it is ours, or foreign text that ``core.model.plain_text`` has made harmless. A channel in which not
everything fits leaves out whole sections, those of the highest rank first, and says where the rest can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from remediator.core.alerts.notification import Severity

_FACT_WIDTH: Final = 9
"""Of the names of facts in an e-mail."""


class SectionForm(Enum):
    """How a section is printed."""

    SENTENCES = "sentences"
    """One a line; a line that begins with two spaces explains the one before it."""
    COMMANDS = "commands"
    """To be typed as they stand."""
    DIFF = "diff"
    """A unified diff."""
    CODE = "code"
    """To be pasted as it stands."""


class Rank(IntEnum):
    """How much is lost without a section; the highest is left out first."""

    NEEDED = 0
    """What is wrong, and what to do."""
    TELLING = 1
    """Who caused it, what was changed."""
    HANDY = 2
    """Commands to undo, pause or resume."""
    LASTING = 3
    """How to make it permanent."""
    SPARE = 4
    """The same in another language."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a message; ``note`` is a sentence between the title and the lines, empty where there is none."""

    title: str
    lines: tuple[str, ...]
    form: SectionForm = SectionForm.SENTENCES
    rank: Rank = Rank.NEEDED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole message.

    ``subject`` has at most 99 ASCII characters on one line. ``headline`` is the first line, which says whether the
    reader has to do anything. ``facts`` are short, as names and values (``("Role", "arn:…")``). ``thread`` is the same
    in all messages that belong together, None where a message stands alone. ``keywords`` are single words to search
    for. ``record`` says where the rest can be read, as a command (``remediator history head-node``).
    """

    subject: str
    headline: str
    severity: Severity
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    thread: str | None
    keywords: tuple[str, ...]
    record: str


def email_text(layout: Layout) -> str:
    """The whole message: the headline is the first line, sections are parted by empty lines and indented."""
    facts = "\n".join(f"{name:<{_FACT_WIDTH}}{value}" for name, value in layout.facts)
    return "\n\n".join(filter(None, (layout.headline, facts, *map(_section, layout.sections)))) + "\n"


def _section(section: Section) -> str:
    lines = (section.note, *section.lines) if section.note else section.lines
    return "\n".join((section.title, *(f"  {line}".rstrip() for line in lines)))
