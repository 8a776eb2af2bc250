"""The fields of our own messages, read strictly: a KeyError or a TypeError says which one is missing or wrong."""

from __future__ import annotations

from collections.abc import Mapping

from remediator.core.events.event import Actor, Cause


def read_cause(value: object) -> Cause:
    """The cause that ``dataclasses.asdict`` wrote."""
    cause = read_object(value)
    actor = read_object(cause["actor"])
    return Cause(
        event_id=read_text(cause, "event_id"),
        call=read_text(cause, "call"),
        time=read_text(cause, "time"),
        actor=Actor(
            kind=read_text(actor, "kind"),
            arn=read_text(actor, "arn"),
            issuer_arn=read_optional_text(actor, "issuer_arn"),
            invoked_by=read_optional_text(actor, "invoked_by"),
            user_agent=read_optional_text(actor, "user_agent"),
        ),
        enrolls=_tag_value(cause.get("enrolls")),
        mode=_tag_value(cause.get("mode")),
    )


def _tag_value(value: object) -> str | None:
    """The value of a tag, which may be empty; None where there is none, as in a message of an older version."""
    if value is not None and not isinstance(value, str):
        raise TypeError("the value of a tag must be a text")
    if value is not None:
        value.encode()
    return value


def read_object(value: object) -> Mapping[str, object]:
    """The value, which must be an object."""
    if not isinstance(value, dict):
        raise TypeError("where an object must be, there is none")
    return value


def read_list(value: object) -> list[object]:
    """The value, which must be a list."""
    if not isinstance(value, list):
        raise TypeError("where a list must be, there is none")
    return value


def read_text(members: Mapping[str, object], key: str) -> str:
    """The member, which must be a text that is not empty."""
    value = members[key]
    if not isinstance(value, str) or not value:
        raise TypeError(f"`{key}` must be a text")
    value.encode()  # JSON can spell half a character, which no message of ours could carry
    return value


def read_optional_text(members: Mapping[str, object], key: str) -> str | None:
    """The member, which must be there, and a text that is not empty or null."""
    return None if members[key] is None else read_text(members, key)
