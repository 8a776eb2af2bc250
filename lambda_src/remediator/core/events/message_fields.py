"""The remediator's own messages and records, read strictly: what is missing or wrong in one is an error that names
it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from remediator.core.events.event import Actor, Cause
from remediator.errors import RemediatorError

T = TypeVar("T")


def json_line(value: object) -> str:
    """The value as one line of JSON without white space."""
    return json.dumps(value, separators=(",", ":"))


def read_message(text: str, what: str, form: int, read: Callable[[Fields], T], error: type[RemediatorError]) -> T:
    """What ``read`` makes of a JSON object whose ``format`` is ``form``; another version is never guessed at.

    ``what`` names the message ("an alert"). Raises ``error`` for any other text, and where ``read`` finds a field
    missing or wrong.
    """
    try:
        members = json.loads(text)
        fields = Fields(members)
    except (TypeError, ValueError, RecursionError) as problem:
        raise error(f"{what} must be a JSON object: {str(problem)[:200]}") from problem
    found = members.get("format")
    if found != form or isinstance(found, bool):
        raise error(f"{what} of format {form} is needed, and this one has {str(found)[:20]}")
    try:
        return read(fields)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as problem:
        because = f"{type(problem).__name__}: {str(problem)[:200]}"
        raise error(f"{what} has a missing or wrong field: {because}") from problem


class Fields:
    """The members of a JSON object; each method reads one that must be there.

    Every method raises KeyError where it is not there, and TypeError or ValueError where it is something else.
    """

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise TypeError("where an object must be, there is none")
        self._members: Mapping[str, object] = value

    def has(self, key: str) -> bool:
        """Whether the member is there, and is not null."""
        return self._members.get(key) is not None

    def is_null(self, key: str) -> bool:
        """Whether the member is null."""
        return self._members[key] is None

    def text(self, key: str, *, may_be_empty: bool = False) -> str:
        """A text."""
        value = self._members[key]
        if not isinstance(value, str) or not (value or may_be_empty):
            raise TypeError(f"`{key}` must be a text")
        value.encode()  # JSON can spell half a character, which no message of the remediator could carry
        return value

    def text_or_none(self, key: str, *, may_be_empty: bool = False) -> str | None:
        """A text or null."""
        return None if self.is_null(key) else self.text(key, may_be_empty=may_be_empty)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, which may be empty."""
        return tuple(Fields({key: item}).text(key, may_be_empty=True) for item in self._list(key))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A list of lists of two texts."""
        pairs = [Fields({key: item}).texts(key) for item in self._list(key)]
        return tuple((one, other) for one, other in pairs)

    def count(self, key: str) -> int:
        """A whole number that is not negative."""
        value = self._members[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise TypeError(f"`{key}` must be a number of things")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._members[key]
        if not isinstance(value, bool):
            raise TypeError(f"`{key}` must be true or false")
        return value

    def time(self, key: str) -> datetime:
        """A time in the form of ISO 8601 with its zone."""
        time = datetime.fromisoformat(self.text(key))
        if time.tzinfo is None:
            raise ValueError(f"`{key}` names no zone")
        return time

    def document(self, key: str) -> Mapping[str, object] | None:
        """An object, handed on as it is, or null."""
        value = self._members[key]
        if value is not None and not isinstance(value, dict):
            raise TypeError(f"`{key}` must be an object")
        return value

    def read(self, key: str, read: Callable[[Fields], T]) -> T:
        """What ``read`` makes of an object."""
        return read(Fields(self._members[key]))

    def read_or_none(self, key: str, read: Callable[[Fields], T]) -> T | None:
        """What ``read`` makes of an object; None for null."""
        return None if self.is_null(key) else self.read(key, read)

    def each(self, key: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """What ``read`` makes of each object of a list."""
        return tuple(read(Fields(item)) for item in self._list(key))

    def _list(self, key: str) -> list[object]:
        value = self._members[key]
        if not isinstance(value, list):
            raise TypeError(f"`{key}` must be a list")
        return value


def read_cause(fields: Fields) -> Cause:
    """The cause that ``dataclasses.asdict`` wrote."""
    return Cause(
        event_id=fields.text("event_id"),
        call=fields.text("call"),
        time=fields.text("time"),
        actor=fields.read("actor", _actor),
        # The value of a tag may be empty. Messages of an older version have neither.
        enrolls=fields.text("enrolls", may_be_empty=True) if fields.has("enrolls") else None,
        mode=fields.text("mode", may_be_empty=True) if fields.has("mode") else None,
        region=fields.text("region") if fields.has("region") else None,
    )


def _actor(fields: Fields) -> Actor:
    return Actor(
        kind=fields.text("kind"),
        arn=fields.text("arn"),
        issuer_arn=fields.text_or_none("issuer_arn"),
        invoked_by=fields.text_or_none("invoked_by"),
        user_agent=fields.text_or_none("user_agent"),
    )
