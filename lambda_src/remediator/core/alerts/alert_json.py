"""Alerts for programs, as the alerts topic carries them: one JSON object, and attributes to filter on.

The form is published as docs/alert.schema.json. Foreign text in it is unchanged, but escaped so that a chat that shows
it raw takes it for neither markup nor a mention.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from remediator.core.alerts.decide import AlertReason
from remediator.core.alerts.notification import (
    DocumentChange,
    Notification,
    Point,
    Severity,
    SystemNotice,
    SystemNoticeKind,
    WriteState,
)
from remediator.core.events.event import Actor, Cause
from remediator.core.events.message_fields import Fields, json_line, read_message
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.plain_text import SENTENCE_LIMIT, foreign, unmarked_json
from remediator.core.repair.infrastructure_code import PermanentFix
from remediator.core.repair.outcome import Hold, OutcomeKind
from remediator.errors import MalformedAlert
from remediator.settings import WriteLimit

FORMAT: Final = 3
"""Version of the JSON form; a field that is added does not change it."""

_MESSAGE_LIMIT: Final = 250_000
"""Bytes; SNS takes 262,144, the attributes included. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
_CAUSES_LIMIT: Final = 5
_ATTRIBUTE_LIMIT: Final = 256
_MORE = re.compile(r"… and (?P<more>[0-9]+) more of this kind")

_DETAILS: Final = ((8, SENTENCE_LIMIT, True), (2, 240, True), (1, 120, False), (0, 60, False))
"""Levels of detail: sentences that explain a point, characters of each, and whether documents are included."""

_Explained: TypeAlias = Callable[[tuple[str, ...]], tuple[str, ...]]


def record_json(message: Notification | SystemNotice) -> str:
    """The alert as JSON, in as much detail as an SNS message can carry (256 KB); ``parse_record`` reads it back."""
    if isinstance(message, SystemNotice):
        return unmarked_json(json_line(_notice(message)))
    *fuller, barest = (_notification_json(message, *detail) for detail in _DETAILS)
    return next((text for text in fuller if len(text.encode()) <= _MESSAGE_LIMIT), barest)


def attributes_of(message: Notification | SystemNotice) -> dict[str, str]:
    """What subscriptions filter on, by name; none is empty.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """
    if isinstance(message, SystemNotice):
        return {"outcome": message.kind.value, "severity": message.severity.value, "account": message.account}
    attributes = {
        "outcome": message.kind.value,
        "news": message.reason.value,
        "severity": message.severity.value,
        "account": message.account,
        "role": message.role_name,
    }
    if message.cloud:
        attributes["cloud"] = foreign(message.cloud, _ATTRIBUTE_LIMIT)
    return attributes


def parse_record(text: str) -> Notification | SystemNotice:
    """The alert of that JSON. Raises MalformedAlert, which says what is missing or wrong."""
    return read_message(text, "an alert", FORMAT, _read, MalformedAlert)


def _read(fields: Fields) -> Notification | SystemNotice:
    return _read_notice(fields) if fields.text("outcome") in set(SystemNoticeKind) else _read_notification(fields)


def _notice(notice: SystemNotice) -> Mapping[str, object]:
    return {
        "format": FORMAT,
        "id": notice.notification_id,
        "outcome": notice.kind,
        "severity": notice.severity,
        "title": notice.title,
        "headline": notice.headline,
        "account": notice.account,
        "toDo": notice.to_do,
        "limit": notice.limit and {"writes": notice.limit.writes, "minutes": notice.limit.minutes},
    }


def _notification_json(notification: Notification, sentences: int, length: int, documents: bool) -> str:
    permanent, configuration = notification.permanent, notification.compute_configuration
    documents = documents and notification.documents

    def shown(explaining: tuple[str, ...]) -> tuple[str, ...]:
        return _shown(explaining, sentences, length)

    text = json_line(
        {
            "format": FORMAT,
            "id": notification.notification_id,
            "outcome": notification.kind,
            "hold": notification.hold,
            "news": notification.reason,
            "incident": notification.incident_id,
            "severity": notification.severity,
            "title": notification.title,
            "subject": notification.subject,
            "headline": notification.headline,
            "since": notification.since and notification.since.isoformat(),
            "account": notification.account,
            "role": {"name": notification.role_name, "arn": notification.role_arn},
            "cloud": notification.cloud,
            "findings": [
                {
                    "code": finding.code,
                    "subject": finding.subject,
                    "actions": finding.actions,
                    "because": shown(finding.because),
                }
                for finding in notification.findings
            ],
            "changes": [
                {
                    "document": change.document,
                    "state": change.state,
                    "note": foreign(change.note, length),
                    "changeId": change.change_id or None,
                    "before": change.before if documents else None,
                    "after": change.after if documents else None,
                }
                for change in notification.changes
            ],
            "documentsLeftOut": not documents,
            "wrong": list(_lines(notification.wrong, shown)),
            "toDo": list(_lines(notification.to_do, shown)),
            "causes": [
                {
                    "eventId": cause.event_id,
                    "call": cause.call,
                    "time": cause.time,
                    "actor": cause.actor.arn,
                    "actorType": cause.actor.kind,
                    "invokedBy": cause.actor.invoked_by,
                    "userAgent": cause.actor.user_agent,
                    "region": cause.region,
                }
                for cause in notification.causes[-_CAUSES_LIMIT:]
            ],
            "permanent": permanent and {"terraform": permanent.terraform, "cloudformation": permanent.cloudformation},
            "computeConfiguration": None if configuration is None else json.loads(configuration),
            "undo": notification.undo,
            "resume": notification.resume,
            "pause": notification.pause,
        }
    )
    return unmarked_json(text)


def _lines(points: Iterable[Point], shown: _Explained) -> Iterator[str]:
    """One sentence per line; those that explain it begin with two spaces."""
    for sentence, *explaining in points:
        yield foreign(sentence).lstrip()
        yield from (f"  {line}" for line in shown(tuple(explaining)))


def _shown(explaining: tuple[str, ...], most: int, length: int) -> tuple[str, ...]:
    """The first sentences, each on one line, and the number of those left out."""
    explaining, more = _left_out(explaining)
    shown = tuple(foreign(sentence, length) for sentence in explaining[:most])
    more += len(explaining) - len(shown)
    return (*shown, f"… and {more} more of this kind") if more else shown


def _left_out(sentences: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """The sentences without the last one, where that only counts what was left out before."""
    match = _MORE.fullmatch(sentences[-1]) if sentences else None
    return (sentences[:-1], int(match["more"])) if match else (sentences, 0)


def _read_notice(fields: Fields) -> SystemNotice:
    return SystemNotice(
        notification_id=fields.text("id"),
        kind=SystemNoticeKind(fields.text("outcome")),
        severity=Severity(fields.text("severity")),
        title=fields.text("title"),
        headline=fields.text("headline"),
        account=fields.text("account"),
        to_do=fields.texts("toDo"),
        limit=fields.read_or_none("limit", _limit),
    )


def _limit(limit: Fields) -> WriteLimit:
    return WriteLimit(limit.count("writes"), limit.count("minutes"))


def _read_notification(fields: Fields) -> Notification:
    role_name, role_arn = fields.read("role", _role)
    hold, configuration = fields.text_or_none("hold"), fields.document("computeConfiguration")
    return Notification(
        notification_id=fields.text("id"),
        kind=OutcomeKind(fields.text("outcome")),
        hold=None if hold is None else Hold(hold),
        reason=AlertReason(fields.text("news")),
        incident_id=fields.text_or_none("incident"),
        severity=Severity(fields.text("severity")),
        title=fields.text("title"),
        # An alert of an earlier version may still be in a queue when this one is deployed: it lacks the newer fields.
        subject=fields.text("subject") if fields.has("subject") else f"{role_name}: {fields.text('title')}",
        headline=fields.text("headline"),
        since=fields.time("since") if fields.has("since") else None,
        role_name=role_name,
        role_arn=role_arn,
        account=fields.text("account"),
        cloud=fields.text_or_none("cloud", may_be_empty=True),
        wrong=_points(fields.texts("wrong")),
        changes=fields.each("changes", _change),
        to_do=_points(fields.texts("toDo")),
        causes=fields.each("causes", _cause),
        permanent=fields.read_or_none("permanent", _permanent),
        compute_configuration=None if configuration is None else json.dumps(configuration, indent=2),
        undo=fields.texts("undo"),
        resume=fields.text_or_none("resume"),
        pause=fields.text_or_none("pause"),
        findings=fields.each("findings", _finding),
        documents=not fields.flag("documentsLeftOut"),
    )


def _points(lines: tuple[str, ...]) -> tuple[Point, ...]:
    points: list[Point] = []
    for line in lines:
        if line.startswith("  ") and points:
            points[-1] = (*points[-1], line[2:])
        else:
            points.append((line,))
    return tuple(points)


def _change(change: Fields) -> DocumentChange:
    return DocumentChange(
        document=change.text("document"),
        state=WriteState(change.text("state")),
        before=change.document("before"),
        after=change.document("after"),
        note=change.text_or_none("note", may_be_empty=True) or "",
        change_id=change.text_or_none("changeId") or "",
    )


def _cause(cause: Fields) -> Cause:
    event_id, call, time, kind, arn = (
        cause.text(key, may_be_empty=True) for key in ("eventId", "call", "time", "actorType", "actor")
    )
    invoked_by, user_agent = (cause.text_or_none(key, may_be_empty=True) for key in ("invokedBy", "userAgent"))
    actor = Actor(kind, arn, invoked_by=invoked_by, user_agent=user_agent)
    return Cause(event_id, call, time, actor, region=cause.text("region") if cause.has("region") else None)


def _role(role: Fields) -> tuple[str, str | None]:
    return role.text("name"), role.text_or_none("arn")


def _finding(finding: Fields) -> Finding:
    return Finding(
        FindingCode(finding.text("code")),
        finding.text("subject"),
        finding.texts("because"),
        finding.texts("actions"),
    )


def _permanent(permanent: Fields) -> PermanentFix:
    return PermanentFix(permanent.text("terraform"), permanent.text("cloudformation"))
