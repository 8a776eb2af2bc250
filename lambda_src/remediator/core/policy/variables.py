"""Policy variables: ``${aws:PrincipalTag/team}``, with a default, and the characters ``${*}``, ``${?}`` and ``${$}``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeAlias

from remediator.core.policy.context import Context, Gap
from remediator.core.policy.matching import Glob, glob

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_SPECIAL = frozenset("*?$")
_WITH_DEFAULT = re.compile(r"(?P<key>[^,']*?)\s*,\s*'(?P<default>[^']*)'\s*")


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
