"""Values in a CloudFormation template, as far as they are known before it is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_LONGEST_TEXT = 100_000
"""Characters; texts that are joined over and over could grow without end."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is unknown before the template is deployed, and why.

    ``resource`` is the logical id where the value is what identifies a resource of this template.
    """

    why: str
    resource: str | None = None


class _NoValue:
    """The type of ``AWS::NoValue``, which removes what it is given to."""


NO_VALUE: Final = _NoValue()


def is_known(value: object) -> bool:
    """Whether nothing in a value is unknown."""
    match value:
        case Unknown():
            return False
        case dict():
            return all(is_known(each) for each in value.values())
        case list():
            return all(is_known(each) for each in value)
        case _:
            return True


def joined(separator: str, items: list[object]) -> object:
    """Texts, one after the other, with a separator between them."""
    texts = [scalar(each) for each in items]
    unknown = next((each for each in texts if isinstance(each, Unknown)), None)
    if unknown is not None:
        return Unknown(unknown.why)
    return bounded(separator.join(text for text in texts if isinstance(text, str)))


def selected(index: int | str, items: list[object]) -> object:
    """An item of a list, counted from 0."""
    text = str(index)
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) >= len(items):  # noqa: PLR2004  # no list is longer
        return Unknown(f"Fn::Select asks for the item {text[:20]} of {len(items)}")
    return items[int(text)]


def bounded(text: str) -> str | Unknown:
    """A text, if it is not longer than any that a verdict depends on."""
    return text if len(text) <= _LONGEST_TEXT else Unknown("the text is longer than any that a verdict depends on")


def scalar(value: object) -> str | Unknown:
    """A value as a text."""
    match value:
        case Unknown(why=why):
            return Unknown(why)
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case _:
            return Unknown("a string is expected")


def comparable(value: object) -> object:
    """What makes two values equal: numbers and truth values are compared as texts."""
    text = scalar(value)
    return value if isinstance(text, Unknown) else text
