"""Tables of a report's page: on a phone each row is a block of lines, and still a table to those who hear it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from remediator_cli.report.markup import Element, Node, element


@dataclass(frozen=True, slots=True)
class Row:
    """What stands in each cell; the first one names the row. ``standing`` and ``cloud`` are those of a role."""

    cells: tuple[tuple[Node, ...], ...]
    standing: str | None = None
    cloud: str | None = None


def table(caption: str, headings: tuple[str, ...], rows: Iterable[Row]) -> Element:
    """A table with its headings; ``caption`` is for those who hear it, as a heading stands above it.

    The roles are named, as browsers forget them for a table that is laid out another way.
    https://developer.mozilla.org/en-US/docs/Web/CSS/Reference/Properties/display#tables
    """
    heads = (element("th", heading, scope="col", role="columnheader") for heading in headings)
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *heads, role="row"), role="rowgroup"),
            element("tbody", *(_row(headings, row) for row in rows), role="rowgroup"),
            role="table",
        ),
        class_="table",
        role="region",
        aria_label=caption,
        tabindex="0",
    )


def _row(headings: tuple[str, ...], row: Row) -> Element:
    first, *others = row.cells
    return element(
        "tr",
        element("th", *first, scope="row", role="rowheader"),
        *(
            element("td", *cell, role="cell", data_heading=heading)
            for heading, cell in zip(headings[1:], others, strict=True)
        ),
        role="row",
        data_standing=row.standing,
        data_cloud=row.cloud,
    )
