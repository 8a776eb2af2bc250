"""The three answers to "what is there?": it is present, it is absent, or the remediator could not look.

"Could not look" is a value of its own, so that it can never be taken for "nothing there" by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Present(Generic[T]):
    """It was read: ``value`` is what AWS returned."""

    value: T


@dataclass(frozen=True, slots=True)
class Absent:
    """AWS said that it does not exist."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """It may exist, but could not be read or understood; ``why`` is a sentence for a person."""

    why: str


Reading: TypeAlias = Present[T] | Absent | Unreadable
