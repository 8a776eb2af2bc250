"""How far something holds: for no request, for some, for all, or nobody can say.

A verdict speaks about many requests at once (every object of a bucket, every instance of a cluster), and some facts
about them are unknown. An extent bounds the answer from below and from above; from "never … always" nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass

_NONE, _SOME, _ALL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Extent:
    """The share of the requests for which something holds lies between ``least`` and ``most`` (0 none, 1 some, 2 all).

    Only the named values below are in use, so that they can be compared with ``is``.
    """

    least: int
    most: int

    @property
    def is_certain_somewhere(self) -> bool:
        """It certainly holds for some request."""
        return self.least >= _SOME

    @property
    def is_possible_everywhere(self) -> bool:
        """It may hold for every request."""
        return self.most == _ALL


NEVER = Extent(_NONE, _NONE)
SOMETIMES = Extent(_SOME, _SOME)
ALWAYS = Extent(_ALL, _ALL)
UNKNOWN = Extent(_NONE, _ALL)
PARTLY_IF_AT_ALL = Extent(_NONE, _SOME)
AT_LEAST_PARTLY = Extent(_SOME, _ALL)

_NAMED = {
    (each.least, each.most): each for each in (NEVER, SOMETIMES, ALWAYS, UNKNOWN, PARTLY_IF_AT_ALL, AT_LEAST_PARTLY)
}


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
