"""The content of a message and its order; each channel prints it its own way, e-mail as plain text.

All foreign text in it was made harmless by ``core.model.plain_text``. A channel in which not everything fits leaves out
whole sections, those of the highest rank first, and names the command that shows the rest.
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
    """One per line; a line that begins with two spaces explains the one before it."""
    COMMANDS = "commands"
    """To be run as they are."""
    DIFF = "diff"
    """A unified diff."""
    CODE = "code"
    """To be pasted as it is."""


class Rank(IntEnum):
    """How important a section is; the highest rank is left out first."""

    NEEDED = 0
    """What is wrong, and what to do."""
    DETAIL = 1
    """Who caused it, what was changed."""
    HANDY = 2
    """Commands to undo, turn off or resume."""
    LASTING = 3
    """How to make it permanent."""
    SPARE = 4
    """The same in another language."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a message; ``note`` is a sentence between the title and the lines, or empty."""

    title: str
    lines: tuple[str, ...]
    form: SectionForm = SectionForm.SENTENCES
    rank: Rank = Rank.NEEDED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole message.

    ``subject`` has at most 99 ASCII characters on one line. ``headline`` is the first line: what happened, to what, by
    whom. ``facts`` are short, as names and values (``("Role", "arn:…")``). ``thread`` is the same in all messages that
    belong together, None where there is no other. ``keywords`` are single words to search for. ``record`` is the
    command that shows the rest (``remediator history head-node``). ``links`` are labels and https addresses made by
    this package, never foreign text.
    """

    subject: str
    headline: str
    severity: Severity
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    thread: str | None
    keywords: tuple[str, ...]
    record: str
    links: tuple[tuple[str, str], ...] = ()


def email_text(layout: Layout) -> str:
    """The whole message: the headline is the first line, sections are separated by empty lines and indented."""
    facts = "\n".join(f"{name:<{_FACT_WIDTH}}{value}" for name, value in layout.facts)
    links = "\n".join(f"{label}: {address}" for label, address in layout.links)
    head = "\n".join(filter(None, (facts, links)))
    return "\n\n".join(filter(None, (layout.headline, head, *map(_section, layout.sections)))) + "\n"


def _section(section: Section) -> str:
    lines = (section.note, *section.lines) if section.note else section.lines
    return "\n".join((section.title, *(f"  {line}".rstrip() for line in lines)))
