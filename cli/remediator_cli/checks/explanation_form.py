"""An explanation as one JSON object, and as text for people."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remediator.core.model.plain_text import plain
from remediator_cli.checks.explanation import Explanation


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there."""
    return {
        "place": explanation.place,
        "event_id": explanation.event_id,
        "call": explanation.call,
        "account": explanation.account,
        "region": explanation.region,
        "concerns": None if explanation.concerns is None else dict([explanation.concerns]),
        "clouds": None if explanation.clouds is None else list(explanation.clouds),
        "ignored": explanation.ignored,
        "next": explanation.next,
    }


def explanation_text(explanation: Explanation) -> RenderableType:
    """What to print for one record. Foreign text in it is one line of printable characters, and never mark-up."""
    title = Text(plain(explanation.call or "an unknown call"), style="bold")
    where = (explanation.event_id, explanation.account, explanation.region, explanation.place)
    title.append(plain("".join(f"  {each}" for each in where if each)), style="not bold dim")
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    if explanation.concerns is not None:
        table.add_row("concerns", Text(plain(" ".join(explanation.concerns))))
    if explanation.ignored is not None:
        table.add_row("ignored", Text(plain(explanation.ignored), style="yellow"))
    table.add_row("next", Text(plain(explanation.next)))
    return Group(title, table, Text())
