"""Messages as the text of an e-mail."""

from __future__ import annotations

from remediator.core.alerts.layout import Layout, Section

_FACT_WIDTH = 9


def email_text(layout: Layout) -> str:
    """The whole message: the headline is the first line, sections are parted by empty lines and indented."""
    facts = "\n".join(f"{name:<{_FACT_WIDTH}}{value}" for name, value in layout.facts)
    return "\n\n".join(filter(None, (layout.headline, facts, *map(_section, layout.sections)))) + "\n"


def _section(section: Section) -> str:
    lines = (section.note, *section.lines) if section.note else section.lines
    return "\n".join((section.title, *(f"  {line}".rstrip() for line in lines)))
