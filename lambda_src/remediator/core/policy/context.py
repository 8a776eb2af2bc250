"""The request context: which condition keys a request carries, with which values, and what nobody knows about them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Gap(Enum):
    """A condition key whose value cannot be given.

    ABSENT: the request does not carry it. PRESENT: it carries it, the value is not known. UNKNOWN: not even that is
    known. VARYING: some requests carry it, with every value there is, and some do not. PUBLIC_ADDRESS: a public IPv4
    address that is not known.
    """

    ABSENT = "absent"
    PRESENT = "present"
    UNKNOWN = "unknown"
    VARYING = "varying"
    PUBLIC_ADDRESS = "public address"


@dataclass(frozen=True, slots=True)
class Span:
    """A number, or a time in seconds since 1970, that lies between ``low`` and ``high``, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Prefixed:
    """A text of which only the start is known; at least one character follows."""

    start: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values; which one is not known."""

    options: tuple[Value, ...]


Value: TypeAlias = tuple[str, ...] | Gap | Span | Prefixed | Choice
"""What is known of a condition key: its values where they are known, else what kind of gap there is."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about the condition keys of a request.

    ``layers`` go by the key in lower case, because key names are not case-sensitive; of several layers that know a
    key, the first counts. ``families`` say it for all other keys that begin with a text (``aws:principaltag/``), the
    first that fits.
    """

    layers: tuple[Mapping[str, Value], ...]
    families: tuple[tuple[str, Value], ...] = ()

    def value(self, key: str) -> Value:
        """What is known of one condition key; UNKNOWN for a key that nobody knows."""
        key = key.lower()
        for layer in self.layers:
            known = layer.get(key)
            if known is not None:
                return known
        for start, value in self.families:
            if key.startswith(start):
                return value
        return Gap.UNKNOWN
