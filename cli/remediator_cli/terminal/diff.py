"""A diff in colours."""

from __future__ import annotations

from rich.text import Text

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def diff_text(diff: str) -> Text:
    """A unified diff as text for people; a terminal that is too narrow folds its lines."""
    text = Text(overflow="fold")
    for line in diff.splitlines():
        text.append(f"{line}\n", style=_STYLES.get(line[:1], ""))
    text.rstrip()
    return text
