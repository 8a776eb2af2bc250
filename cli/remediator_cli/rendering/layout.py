"""The arrangement of printed parts."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


def indented(*parts: RenderableType, by: int = 2) -> Padding:
    """Some parts, one below the other, some columns to the right."""
    return Padding(Group(*parts), (0, 0, 0, by))


def facts(rows: Iterable[tuple[str, Text]], *, style: str = "") -> Table:
    """Names, in a style, each with its text; long texts are folded."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style=style)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
