"""Edits, events, deliveries and faults in any order: all comes to rest, and edits are lost in one gap alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.chaos.conftest import how_many
from tests.chaos.simulation import simulate

PARTS = 4


def seeds(what: str, part: int) -> range:
    """The seeds of one of the parts, which run beside one another."""
    return range(part, how_many(what), PARTS)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_schedule_ends_with_all_in_order_recorded_and_told_and_with_no_more_writes_than_drifts(
    part: int, note: Any
) -> None:
    schedules = [simulate(seed) for seed in seeds("schedules", part)]
    counts: Counter[str] = sum((each.counts for each in schedules), Counter())
    note("schedules", {"tried": len(schedules), **counts})
    assert [(each.seed, each.wrong) for each in schedules if each.wrong] == []
    assert counts["edits between calls"] > 0
    assert counts["faults"] > 0
    assert counts["undone"] > 0
    assert counts["repaired by hand"] > 0
    assert counts["in order without the last sweep"] > 0


@pytest.mark.parametrize("part", range(PARTS))
def test_every_schedule_ends_in_order_recorded_and_told_even_if_aws_answers_with_what_was(part: int, note: Any) -> None:
    schedules = [simulate(seed, lag=2) for seed in seeds("lagging", part)]
    counts: Counter[str] = sum((each.counts for each in schedules), Counter())
    note("lagging schedules", {"tried": len(schedules), **counts})
    assert [(each.seed, each.wrong) for each in schedules if each.wrong] == []
