"""Documents that change, as a terminal shows them."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from remediator.core.model.plain_text import document_diff, plain
from remediator.core.model.write import Write
from remediator.core.policy.document import Json
from remediator_cli.rendering.layout import indented

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def diff_text(diff: str) -> Padding:
    """A unified diff in colors; a terminal that is too narrow folds its lines."""
    text = Text(overflow="fold")
    for line in diff.splitlines():
        text.append(f"{line}\n", style=_STYLES.get(line[:1], ""))
    text.rstrip()
    return indented(text)


def changed_text(before: Json | None, after: Json | None) -> Padding:
    """How a document changes; None where there is none."""
    return diff_text(document_diff(before, after))


def write_text(write: Write, *, removal: bool = False) -> RenderableType:
    """A document that would be written, with its diff."""
    verb = "would be removed from" if removal else "would be written:"
    heading = Text.assemble(f"{verb} ", (plain(str(write.document)), "bold"))
    note = [Text(plain(write.note))] if write.note else []
    return Group(heading, *note, changed_text(write.before, write.after))
