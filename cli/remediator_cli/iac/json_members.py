"""Members of JSON of any shape: what is not of the kind that is asked for counts as if there were none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Members: TypeAlias = Mapping[str, object]
NO_MEMBERS: Members = {}


def object_of(value: object, *keys: str) -> Members:
    """The value where it is an object, or the object that it holds below some keys; else an empty one."""
    for key in keys:
        value = object_of(value).get(key)
    return value if isinstance(value, dict) else NO_MEMBERS


def list_of(value: object) -> list[object]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def objects_of(value: object) -> list[Members]:
    """The objects in a list."""
    return [each for each in list_of(value) if isinstance(each, dict)]


def texts_of(value: object) -> list[str]:
    """The texts in a list."""
    return [each for each in list_of(value) if isinstance(each, str)]


def text_of(value: object) -> str:
    """The value where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""
