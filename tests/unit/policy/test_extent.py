"""How two extents go together: each is a lower and an upper bound, and the answer is as tight as both allow."""

from __future__ import annotations

from itertools import product

import pytest

from remediator.core.policy.extent import (
    ALWAYS,
    NEVER,
    SOMETIMES,
    UNKNOWN,
    Extent,
    both,
    either,
    opposite,
)

ALL = tuple(Extent)


@pytest.mark.parametrize(("one", "other"), tuple(product(ALL, ALL)))
def test_both_hold_as_far_as_the_rarer_one_and_either_as_far_as_the_more_frequent(one: Extent, other: Extent) -> None:
    assert both(one, other).value == (min(one.least, other.least), min(one.most, other.most))
    assert either(one, other).value == (max(one.least, other.least), max(one.most, other.most))


@pytest.mark.parametrize(("one", "other"), tuple(product(ALL, ALL)))
def test_every_answer_is_one_of_those_that_have_a_name(one: Extent, other: Extent) -> None:
    for answer in (both(one, other), either(one, other), opposite(one)):
        assert any(answer is named for named in ALL)


@pytest.mark.parametrize(
    ("one", "other"),
    [(NEVER, ALWAYS), (SOMETIMES, SOMETIMES), (UNKNOWN, UNKNOWN), (Extent.PARTLY_IF_AT_ALL, Extent.AT_LEAST_PARTLY)],
)
def test_what_does_not_hold_is_the_rest(one: Extent, other: Extent) -> None:
    assert opposite(one) is other
    assert opposite(other) is one
