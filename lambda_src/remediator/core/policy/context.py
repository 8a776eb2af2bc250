"""The request context: which condition keys a request carries, what is not known of them, and policy variables.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from remediator.core.policy.matching import Glob, glob

# ``${aws:PrincipalTag/team}``, with a default, and the characters ``${*}``, ``${?}`` and ``${$}``.
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_SPECIAL = frozenset("*?$")
_WITH_DEFAULT = re.compile(r"(?P<key>[^,']*?)\s*,\s*'(?P<default>[^']*)'\s*")


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
        """What is known of one condition key; UNKNOWN where it is not known."""
        key = key.lower()
        for layer in self.layers:
            known = layer.get(key)
            if known is not None:
                return known
        for start, value in self.families:
            if key.startswith(start):
                return value
        return Gap.UNKNOWN


class Unresolved(Enum):
    """Why a text with variables stands for no pattern.

    NOT_PRESENT: the request does not carry a key, so that nothing matches. UNKNOWN: the value is not known.
    """

    NOT_PRESENT = "not present"
    UNKNOWN = "unknown"


Pieces: TypeAlias = tuple[tuple[str, bool], ...]
"""A text in pieces; the flag says that a piece came from a variable, so that its ``*`` and ``?`` are no wildcards."""


def has_variable(text: str) -> bool:
    """Whether a text may hold a policy variable."""
    return "${" in text


def resolve(text: str, context: Context) -> Pieces | Unresolved:
    """Put the request's values in the place of the variables of a text.

    A variable whose key has several values cannot be resolved, and counts as not present.
    """
    pieces: list[tuple[str, bool]] = []
    unknown = False
    end = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > end:
            pieces.append((text[end : match.start()], False))
        end = match.end()
        value = _value(match[1], context)
        if value is Unresolved.NOT_PRESENT:
            return value
        if isinstance(value, str):
            pieces.append((value, True))
        else:
            unknown = True
    if unknown:
        return Unresolved.UNKNOWN
    if end < len(text):
        pieces.append((text[end:], False))
    return tuple(pieces)


def pieces_text(pieces: Pieces) -> str:
    """The pieces as one plain text."""
    return "".join([text for text, _ in pieces])


def pieces_glob(pieces: Pieces) -> Glob:
    """The pieces as one pattern, in which only what was written as a wildcard is one."""
    pattern: Glob = ()
    for text, literal in pieces:
        pattern += tuple(text) if literal else glob(text)
    return pattern


def _value(name: str, context: Context) -> str | Unresolved:
    if name in _SPECIAL:
        return name
    with_default = _WITH_DEFAULT.fullmatch(name)
    key = with_default["key"] if with_default else name.strip()
    value = context.value(key)
    if isinstance(value, tuple) and len(value) == 1:
        return value[0]
    if value is Gap.ABSENT or isinstance(value, tuple):
        return with_default["default"] if with_default else Unresolved.NOT_PRESENT
    return Unresolved.UNKNOWN
