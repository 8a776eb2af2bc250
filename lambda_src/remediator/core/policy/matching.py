"""Wildcards: which texts, and how much of a family of texts, a pattern matches.

``*`` stands for any number of characters, ``/`` and ``:`` included, and ``?`` for exactly one.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from remediator.core.policy.extent import ALWAYS, NEVER, SOMETIMES, Extent

_CACHED = 4096


class Wildcard(Enum):
    """The two wildcards, distinguished from the same characters meant literally (``${*}``, ``${?}``)."""

    STAR = "*"
    ANY = "?"


Glob: TypeAlias = tuple[str | Wildcard, ...]
"""A pattern, one token for each character."""

_WILDCARDS = {"*": Wildcard.STAR, "?": Wildcard.ANY}


@dataclass(frozen=True, slots=True)
class Resource:
    """What a request is about: one text or, where ``family`` is true, every text that begins with it and goes on.

    The objects of a bucket are the family of ``arn:aws:s3:::bucket/``; an object key has at least one character.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """

    text: str
    family: bool = False


def glob(text: str) -> Glob:
    """The pattern that ``text`` stands for, ``*`` and ``?`` being wildcards."""
    return tuple([_WILDCARDS.get(character, character) for character in text])


def has_wildcards(text: str) -> bool:
    """Whether ``text`` has a ``*`` or a ``?``."""
    return "*" in text or "?" in text


def matches(pattern: Glob, text: str) -> bool:
    """Whether a pattern matches the whole of a text."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(_CACHED)
def text_matches(pattern: str, text: str) -> bool:
    """Whether a pattern without policy variables matches the whole of a text."""
    if not has_wildcards(pattern):
        return pattern == text
    return matches(glob(pattern), text)


def text_extent(pattern: str, target: Resource) -> Extent:
    """How much of a target a pattern without policy variables matches."""
    return _text_extent(pattern, target.text, target.family)


def glob_extent(pattern: Glob, target: Resource) -> Extent:
    """How much of a target a pattern matches; exact, for every pattern."""
    if not target.family:
        return ALWAYS if matches(pattern, target.text) else NEVER
    if not _goes_on_after(pattern, target.text):
        return NEVER
    # A character that the pattern does not name can only be matched by a wildcard. If the pattern matches the start
    # with one such character and with more of them than it has tokens, then only wildcards follow its last literal,
    # among them a star, and they can take whatever key there is.
    fresh = next(character for code in range(0x10FFFF, 0, -1) if (character := chr(code)) not in pattern)
    shortest, long = target.text + fresh, target.text + fresh * (len(pattern) + 1)
    return ALWAYS if matches(pattern, shortest) and matches(pattern, long) else SOMETIMES


@lru_cache(_CACHED)
def _text_extent(pattern: str, text: str, family: bool) -> Extent:
    if not family:
        return ALWAYS if text_matches(pattern, text) else NEVER
    if not has_wildcards(pattern):
        return SOMETIMES if pattern.startswith(text) and pattern != text else NEVER
    return glob_extent(glob(pattern), Resource(text, family))


def _goes_on_after(pattern: Glob, start: str) -> bool:
    """Whether the pattern matches some text that begins with ``start`` and is longer."""
    places = _past_stars(pattern, {0})
    for character in start:
        moved = set()
        for place in places:
            if place == len(pattern):
                continue
            token = pattern[place]
            if token is Wildcard.STAR:
                moved.add(place)
            elif token is Wildcard.ANY or token == character:
                moved.add(place + 1)
        places = _past_stars(pattern, moved)
        if not places:
            return False
    return any(place < len(pattern) for place in places)


def _past_stars(pattern: Glob, places: set[int]) -> set[int]:
    reached = set(places)
    for start in places:
        place = start
        while place < len(pattern) and pattern[place] is Wildcard.STAR:
            place += 1
            reached.add(place)
    return reached


@lru_cache(_CACHED)
def _compiled(pattern: Glob) -> re.Pattern[str]:
    runs = [""]
    for token in pattern:
        if token is Wildcard.STAR:
            runs.append("")
        else:
            runs[-1] += "." if token is Wildcard.ANY else re.escape(str(token))
    if len(runs) == 1:
        return re.compile(runs[0], re.DOTALL)
    # Atomic groups: the first place where a run between two stars fits is as good as any later one, so that the time
    # is never exponential in the number of stars.
    middle = "".join(f"(?>.*?{run})" for run in runs[1:-1] if run)
    return re.compile(f"{runs[0]}{middle}.*{runs[-1]}", re.DOTALL)
