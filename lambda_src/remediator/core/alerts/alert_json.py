"""Alerts as the alerts topic carries them to machines: one JSON object, and attributes to filter on.

Its form is published as docs/alert.schema.json. Foreign text in it stands as it is, but so that no chat that shows it
raw takes it for markup or a mention.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remediator.core.alerts.decide import News
from remediator.core.alerts.notice import Notice, NoticeKind
from remediator.core.alerts.notification import Change, Notification, PermanentFix, Point, WriteState
from remediator.core.alerts.severity import Severity
from remediator.core.events.event import Actor, Cause
from remediator.core.events.message_fields import read_list, read_object, read_optional_text, read_text
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.plain_text import SENTENCE_LIMIT, foreign, unmarked_json
from remediator.core.policy.document import Json
from remediator.core.repair.outcome import Hold, OutcomeKind
from remediator.errors import MalformedAlert
from remediator.settings import WriteLimit

FORMAT: Final = 3
"""Version of the JSON form."""

_MESSAGE_LIMIT: Final = 250_000
"""Bytes; SNS takes 262,144, the attributes included. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
_CAUSES_LIMIT: Final = 5
_ATTRIBUTE_LIMIT: Final = 256
_MORE = re.compile(r"… and (?P<more>[0-9]+) more of this kind")


@dataclass(frozen=True, slots=True)
class Record:
    """An alert as it is published."""

    json: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is told: details per point, characters per detail, and whether documents are."""

    sentences: int
    length: int
    documents: bool


_DETAILS = (
    _Detail(8, SENTENCE_LIMIT, documents=True),
    _Detail(2, 240, documents=True),
    _Detail(1, 120, documents=False),
    _Detail(0, 60, documents=False),
)


def record_of(message: Notification | Notice) -> Record:
    """The alert with its attributes, in as much detail as a message of SNS can carry (256 KB)."""
    return Record(record_json(message), attributes_of(message))


def record_json(message: Notification | Notice) -> str:
    """The alert as JSON, in as much detail as a message of SNS can carry; ``parse_record`` reads it back."""
    if isinstance(message, Notice):
        return unmarked_json(json.dumps(_notice(message), separators=(",", ":")))
    *fuller, barest = (_notification_json(message, detail) for detail in _DETAILS)
    return next((text for text in fuller if len(text.encode()) <= _MESSAGE_LIMIT), barest)


def attributes_of(message: Notification | Notice) -> dict[str, str]:
    """What subscriptions filter on, by name; none is empty.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """
    if isinstance(message, Notice):
        return {"outcome": message.kind.value, "severity": message.severity.value, "account": message.account}
    attributes = {
        "outcome": message.kind.value,
        "news": message.news.value,
        "severity": message.severity.value,
        "account": message.account,
        "role": message.role_name,
    }
    if message.cloud:
        attributes["cloud"] = foreign(message.cloud, _ATTRIBUTE_LIMIT)
    return attributes


def parse_record(text: str) -> Notification | Notice:
    """The alert of that JSON. Raises MalformedAlert, which says what is missing or wrong."""
    try:
        fields = read_object(json.loads(text))
        found = fields.get("format")
        if found != FORMAT:
            raise MalformedAlert(f"an alert of format {FORMAT} is needed, and this one has {str(found)[:20]}")
        outcome = read_text(fields, "outcome")
        return _read_notice(fields) if outcome in set(NoticeKind) else _read_notification(fields)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedAlert(f"this is no alert of ours: {type(error).__name__}: {str(error)[:200]}") from error


def _notice(notice: Notice) -> Mapping[str, object]:
    return {
        "format": FORMAT,
        "id": notice.notification_id,
        "outcome": notice.kind,
        "severity": notice.severity,
        "title": notice.title,
        "headline": notice.headline,
        "account": notice.account,
        "toDo": notice.to_do,
        "limit": None if notice.limit is None else {"writes": notice.limit.writes, "minutes": notice.limit.minutes},
    }


def _notification_json(notification: Notification, detail: _Detail) -> str:
    permanent = notification.permanent
    documents = detail.documents and notification.documents
    text = json.dumps(
        {
            "format": FORMAT,
            "id": notification.notification_id,
            "outcome": notification.kind,
            "hold": notification.hold,
            "news": notification.news,
            "incident": notification.incident_id,
            "severity": notification.severity,
            "title": notification.title,
            "headline": notification.headline,
            "account": notification.account,
            "role": {"name": notification.role_name, "arn": notification.role_arn},
            "cloud": notification.cloud,
            "findings": [
                {
                    "code": finding.code,
                    "subject": finding.subject,
                    "actions": finding.actions,
                    "because": list(_shown(finding.because, detail)),
                }
                for finding in notification.findings
            ],
            "changes": [
                {
                    "document": change.document,
                    "state": change.state,
                    "note": foreign(change.note, detail.length),
                    "changeId": change.change_id or None,
                    "before": change.before if documents else None,
                    "after": change.after if documents else None,
                }
                for change in notification.changes
            ],
            "documentsLeftOut": not documents,
            "wrong": list(_lines(notification.wrong, detail)),
            "toDo": list(_lines(notification.to_do, detail)),
            "causes": [
                {
                    "eventId": cause.event_id,
                    "call": cause.call,
                    "time": cause.time,
                    "actor": cause.actor.arn,
                    "actorType": cause.actor.kind,
                    "invokedBy": cause.actor.invoked_by,
                    "userAgent": cause.actor.user_agent,
                }
                for cause in notification.causes[-_CAUSES_LIMIT:]
            ],
            "permanent": None
            if permanent is None
            else {"terraform": permanent.terraform, "cloudformation": permanent.cloudformation},
            "computeConfiguration": None
            if notification.compute_configuration is None
            else json.loads(notification.compute_configuration),
            "undo": notification.undo,
            "resume": notification.resume,
            "pause": notification.pause,
        },
        separators=(",", ":"),
    )
    return unmarked_json(text)


def _lines(points: Iterable[Point], detail: _Detail) -> Iterator[str]:
    """A sentence a line, and after two spaces what explains it."""
    for point in points:
        yield foreign(point.text).lstrip()
        yield from (f"  {line}" for line in _shown(point.details, detail))


def _shown(sentences: tuple[str, ...], detail: _Detail) -> tuple[str, ...]:
    """As many sentences as are told, each on one line, and how many are left out."""
    sentences, more = _left_out(sentences)
    shown = tuple(foreign(sentence, detail.length) for sentence in sentences[: detail.sentences])
    more += len(sentences) - len(shown)
    return (*shown, f"… and {more} more of this kind") if more else shown


def _left_out(sentences: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """What has been left out already, where the last sentence says so."""
    match = _MORE.fullmatch(sentences[-1]) if sentences else None
    return (sentences[:-1], int(match["more"])) if match else (sentences, 0)


def _read_notice(fields: Mapping[str, object]) -> Notice:
    limit = None if fields["limit"] is None else read_object(fields["limit"])
    return Notice(
        notification_id=read_text(fields, "id"),
        kind=NoticeKind(read_text(fields, "outcome")),
        severity=Severity(read_text(fields, "severity")),
        title=read_text(fields, "title"),
        headline=read_text(fields, "headline"),
        account=read_text(fields, "account"),
        to_do=_texts(fields["toDo"]),
        limit=None if limit is None else WriteLimit(_number(limit["writes"]), _number(limit["minutes"])),
    )


def _read_notification(fields: Mapping[str, object]) -> Notification:
    role = read_object(fields["role"])
    configuration = fields["computeConfiguration"]
    return Notification(
        notification_id=read_text(fields, "id"),
        kind=OutcomeKind(read_text(fields, "outcome")),
        hold=None if fields["hold"] is None else Hold(read_text(fields, "hold")),
        news=News(read_text(fields, "news")),
        incident_id=read_optional_text(fields, "incident"),
        severity=Severity(read_text(fields, "severity")),
        title=read_text(fields, "title"),
        headline=read_text(fields, "headline"),
        role_name=read_text(role, "name"),
        role_arn=read_optional_text(role, "arn"),
        account=read_text(fields, "account"),
        cloud=_text_or_none(fields["cloud"]),
        wrong=_points(fields["wrong"]),
        changes=tuple(_change(each) for each in read_list(fields["changes"])),
        to_do=_points(fields["toDo"]),
        causes=tuple(_cause(each) for each in read_list(fields["causes"])),
        permanent=_permanent(fields["permanent"]),
        compute_configuration=None if configuration is None else json.dumps(read_object(configuration), indent=2),
        undo=_texts(fields["undo"]),
        resume=read_optional_text(fields, "resume"),
        pause=read_optional_text(fields, "pause"),
        findings=tuple(_finding(each) for each in read_list(fields["findings"])),
        documents=not _flag(fields["documentsLeftOut"]),
    )


def _points(value: object) -> tuple[Point, ...]:
    points: list[Point] = []
    for line in _texts(value):
        if line.startswith("  ") and points:
            points[-1] = Point(points[-1].text, (*points[-1].details, line[2:]))
        else:
            points.append(Point(line))
    return tuple(points)


def _change(value: object) -> Change:
    change = read_object(value)
    return Change(
        document=read_text(change, "document"),
        state=WriteState(read_text(change, "state")),
        before=_document(change["before"]),
        after=_document(change["after"]),
        note=_text_or_none(change["note"]) or "",
        change_id=read_optional_text(change, "changeId") or "",
    )


def _document(value: object) -> Json | None:
    return None if value is None else read_object(value)


def _cause(value: object) -> Cause:
    cause = read_object(value)
    actor = Actor(
        kind=_text(cause["actorType"]),
        arn=_text(cause["actor"]),
        invoked_by=_text_or_none(cause["invokedBy"]),
        user_agent=_text_or_none(cause["userAgent"]),
    )
    return Cause(_text(cause["eventId"]), _text(cause["call"]), _text(cause["time"]), actor)


def _finding(value: object) -> Finding:
    finding = read_object(value)
    return Finding(
        FindingCode(read_text(finding, "code")),
        read_text(finding, "subject"),
        _texts(finding["because"]),
        _texts(finding["actions"]),
    )


def _permanent(value: object) -> PermanentFix | None:
    if value is None:
        return None
    permanent = read_object(value)
    return PermanentFix(read_text(permanent, "terraform"), read_text(permanent, "cloudformation"))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(each) for each in read_list(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("where a text must be, there is none")
    value.encode()  # JSON can spell half a character, which no channel could carry
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("where true or false must be, there is none")
    return value


def _number(value: Any) -> int:  # noqa: ANN401 - it is looked at here
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("where a whole number must be, there is none")
    return value
