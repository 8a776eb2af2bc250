"""How far something holds: for no request, for some, for all, or it is unknown.

A verdict speaks about many requests at once (every object of a bucket, every instance of a cluster), and some facts
about them are unknown. An extent bounds the answer from below and from above; from "never … always" nothing is known.
"""

from __future__ import annotations

from enum import Enum

_NONE, _SOME, _ALL = 0, 1, 2


class Extent(Enum):
    """The share of the requests for which something holds, from ``least`` to ``most`` (0 none, 1 some, 2 all)."""

    NEVER = (_NONE, _NONE)
    SOMETIMES = (_SOME, _SOME)
    ALWAYS = (_ALL, _ALL)
    UNKNOWN = (_NONE, _ALL)
    PARTLY_IF_AT_ALL = (_NONE, _SOME)
    AT_LEAST_PARTLY = (_SOME, _ALL)

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self.is_certain_somewhere = least >= _SOME
        """It certainly holds for some request."""
        self.is_possible_everywhere = most == _ALL
        """It may hold for every request."""


NEVER, SOMETIMES, ALWAYS, UNKNOWN = Extent.NEVER, Extent.SOMETIMES, Extent.ALWAYS, Extent.UNKNOWN

_NAMED = {(each.least, each.most): each for each in Extent}


def both(one: Extent, other: Extent) -> Extent:
    """Both hold. Two that hold for some requests are taken to meet: for a Deny, that is the careful reading."""
    if one is ALWAYS or other is NEVER:
        return other
    if other is ALWAYS or one is NEVER:
        return one
    return _NAMED[min(one.least, other.least), min(one.most, other.most)]


def either(one: Extent, other: Extent) -> Extent:
    """One of them holds, at least."""
    if one is NEVER or other is ALWAYS:
        return other
    if other is NEVER or one is ALWAYS:
        return one
    return _NAMED[max(one.least, other.least), max(one.most, other.most)]


def opposite(one: Extent) -> Extent:
    """It does not hold."""
    return _NAMED[_ALL - one.most, _ALL - one.least]
