"""Route an alert: individually and immediately, or with others in the digest of its window."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from remediator.core.alerts.alert_json import attributes_of, parse_record, record_json
from remediator.core.alerts.alert_layout import layout_of
from remediator.core.alerts.amazon_q import amazon_q_json
from remediator.core.alerts.digest import DIGEST, Digest, digest_item
from remediator.core.alerts.digest_json import digest_json, digest_of
from remediator.core.alerts.digest_layout import digest_layout
from remediator.core.alerts.layout import email_text
from remediator.core.alerts.notification import Notification, SystemNotice
from remediator.core.alerts.window import Window, parse_window_end
from remediator.gateways.topic import MESSAGE_LIMIT, PeopleMessage
from remediator.gateways.world import World

LATE: Final = timedelta(seconds=10)
"""How long after the end of a window its digest is made; alerts that were sent within it have then arrived."""

_EMAIL_NEEDS: Final = 50_000
"""Bytes that a shortened e-mail keeps."""


Publish = Callable[[PeopleMessage, str], None]
"""Publishes a message to the people topic, unless one was published under that name within a day."""


class Route(StrEnum):
    """What was done with a record, as the log says it."""

    INDIVIDUAL = "sent individually"
    """The alert was sent individually, now or before."""
    HELD = "held for a digest"
    """The alert waits for the digest of its window, which is scheduled."""
    DIGEST = "digest sent"
    """The digest of a window was sent, now or before."""
    RESCHEDULED = "rescheduled, the window is not over yet"
    """The digest of the window was scheduled again."""
    EMPTY = "no alert waits for the digest"
    """No alert waits for the digest of the window."""


@dataclass(frozen=True, slots=True)
class Routed:
    """The route of an alert, by its id, or of a window, with the number of its alerts."""

    route: Route
    alert_id: str | None = None
    window: Window | None = None
    alerts: int | None = None


def route_alert(text: str, sent_at: datetime, world: World, publish: Publish) -> Routed:
    """Send one record of the alerts topic, published at ``sent_at``, or the digest of the window that it ends.

    The first alerts of a window and system notices are sent immediately. Repeating it sends nothing twice. After an
    error or a crash it must be repeated, or an alert may reach no one. Raises MalformedAlert for any other record, any
    AwsError, and MalformedRecord for a window that cannot be read.
    """
    ended = parse_window_end(text)
    if ended is not None:
        return _end(ended, world, publish)
    message = parse_record(text)
    alert_id = message.notification_id
    window: Window | None = None
    if not isinstance(message, SystemNotice):
        window = world.digests.place(alert_id, digest_item(message), sent_at=sent_at, now=world.clock())
    if window is None:
        publish(_message(message, text), alert_id)
        return Routed(Route.INDIVIDUAL, alert_id)
    # Scheduled first: a crash in between leads to two messages for one digest, never to none.
    if not world.digests.is_asked(window):
        world.digest_queue.ask(window, after=window.end + LATE - world.clock())
        world.digests.note_asked(window)
    return Routed(Route.HELD, alert_id, window)


def _end(window: Window, world: World, publish: Publish) -> Routed:
    remaining = window.end + LATE - world.clock()
    if remaining > timedelta():
        world.digest_queue.ask(window, after=remaining)
        return Routed(Route.RESCHEDULED, window=window)
    items = world.digests.close(window)
    if not items:
        return Routed(Route.EMPTY, window=window)
    publish(_digest_message(digest_of(window, items)), f"{DIGEST} {window.key}")
    return Routed(Route.DIGEST, window=window, alerts=len(items))


def _digest_message(digest: Digest) -> PeopleMessage:
    layout = digest_layout(digest)
    return PeopleMessage(
        subject=layout.subject,
        email=email_text(layout),
        chat=amazon_q_json(layout),
        default=digest_json(digest),
        attributes={"outcome": DIGEST, "severity": digest.severity.value, "account": digest.account},
    )


def _message(alert: Notification | SystemNotice, text: str) -> PeopleMessage:
    """The alert for each channel, in as much detail as one message can carry."""
    layout = layout_of(alert)
    message = PeopleMessage(
        subject=layout.subject,
        email=email_text(layout),
        chat=amazon_q_json(layout),
        default=text,
        attributes=attributes_of(alert),
    )
    return message if isinstance(alert, SystemNotice) else _fitting(message, alert, layout.record)


def _fitting(message: PeopleMessage, alert: Notification, record: str) -> PeopleMessage:
    """The message within the limit of SNS: first the JSON loses its documents, then the e-mail its end.

    The JSON loses its explaining sentences only where the e-mail would otherwise have too little room.
    """
    if message.size <= MESSAGE_LIMIT:
        return message
    room = 0
    for bare in (replace(alert, documents=False), _barest(alert)):
        message = replace(message, default=record_json(bare))
        if message.size <= MESSAGE_LIMIT:
            return message
        room = MESSAGE_LIMIT - replace(message, email="").size
        if room >= _EMAIL_NEEDS:
            break
    return replace(message, email=_cut(message.email, room, record))


def _barest(alert: Notification) -> Notification:
    """The alert without documents, and without explanations of its sentences and changes."""
    return replace(
        alert,
        documents=False,
        wrong=tuple(point[:1] for point in alert.wrong),
        to_do=tuple(point[:1] for point in alert.to_do),
        findings=tuple(replace(finding, because=()) for finding in alert.findings),
        changes=tuple(replace(change, note="") for change in alert.changes),
    )


def _cut(email: str, room: int, record: str) -> str:
    """As many lines of the e-mail as fit into that many bytes of JSON, and the command that shows the rest."""
    end = f"\n(Shortened. Everything: {record})\n"
    room -= _bytes(end)
    lines = email.splitlines(keepends=True)
    for number, line in enumerate(lines):
        room -= _bytes(line)
        if room < 0:
            return "".join((*lines[:number], end))
    return email


def _bytes(text: str) -> int:
    """The bytes that it takes in a JSON text."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - len('""')
