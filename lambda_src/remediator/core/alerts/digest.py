"""Digests: the alerts of a window that were not sent individually, sent together when it is over.

A window begins at a fixed time, so that an alert belongs to the same one however often it comes. The state of a role is
that of its last alert within the window; what came before is in the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from remediator.core.alerts.notification import Notification, Severity
from remediator.core.alerts.window import Window
from remediator.core.events.actors import describe_actor
from remediator.core.events.sweep import is_sweep
from remediator.core.model.plain_text import foreign
from remediator.core.repair.outcome import Hold, OutcomeKind

DIGEST: Final = "digest"
"""What stands in a digest where the outcome stands in an alert."""

FEW: Final = 20
"""How many roles of a group are named to people for which they need not do anything, and how many commands at most."""
_ACTORS_SHOWN: Final = 5
_ACTOR_LIMIT: Final = 300
_CLOUD_LIMIT: Final = 60

_WORST_FIRST = (Severity.ERROR, Severity.WARNING, Severity.INFO)

DigestRole: TypeAlias = tuple[str, str | None, str | None]
"""A role in a digest: its name, its cloud, and the incident that its alert belongs to."""


@dataclass(frozen=True, slots=True)
class DigestItem:
    """What a digest says of one alert about ``role``; all foreign text in it is harmless.

    ``actors`` are those who caused it in words, each once and none where only a sweep has found it. ``undo`` are the
    commands that undo what was written.
    """

    role: str
    account: str
    cloud: str | None
    outcome: OutcomeKind
    hold: Hold | None
    severity: Severity
    title: str
    headline: str
    incident: str | None
    actors: tuple[str, ...]
    undo: tuple[str, ...]


def digest_item(notification: Notification) -> DigestItem:
    """What a digest says of an alert."""
    actors = (cause.actor for cause in notification.causes if not is_sweep(cause))
    return DigestItem(
        role=foreign(notification.role_name),
        account=notification.account,
        cloud=foreign(notification.cloud, _CLOUD_LIMIT) if notification.cloud else None,
        outcome=notification.kind,
        hold=notification.hold,
        severity=notification.severity,
        title=foreign(notification.title),
        headline=foreign(notification.headline),
        incident=notification.incident_id,
        actors=tuple(dict.fromkeys(foreign(describe_actor(actor), _ACTOR_LIMIT) for actor in actors)),
        undo=notification.undo,
    )


class Asks(IntEnum):
    """What a group asks of a person; the highest comes first."""

    NOTHING = 0
    """It is in order, or the next try or sweep settles it."""
    DURING_THE_DAY = 1
    NOW = 2


@dataclass(frozen=True, slots=True)
class Group:
    """The roles of which the last alert says the same: ``count`` of them, the first ones named.

    ``headline`` is that of their alerts, None where these differ.
    """

    outcome: OutcomeKind
    hold: Hold | None
    severity: Severity
    title: str
    headline: str | None
    count: int
    named: tuple[DigestRole, ...]

    @property
    def asks(self) -> Asks:
        """What it asks of a person."""
        if self.severity is Severity.ERROR:
            return Asks.NOW
        resolves_itself = self.outcome is OutcomeKind.FAILED or (
            self.outcome is OutcomeKind.WOULD_REPAIR and self.hold is None
        )
        return Asks.NOTHING if self.severity is Severity.INFO or resolves_itself else Asks.DURING_THE_DAY


@dataclass(frozen=True, slots=True)
class Digest:
    """What the alerts of a window say together, the worst first.

    ``alerts`` counts them. ``actors`` are those who caused the most of them, each with the number of roles;
    ``unheard_of`` is the number of roles that only a sweep has found. ``undo`` are the commands that undo what was
    written, none where there are too many of them to be typed: the history has them all.
    """

    window: Window
    account: str
    alerts: int
    groups: tuple[Group, ...]
    actors: tuple[tuple[str, int], ...]
    unheard_of: int
    undo: tuple[str, ...]

    @property
    def roles(self) -> int:
        """How many roles it is about."""
        return sum(group.count for group in self.groups)

    @property
    def severity(self) -> Severity:
        """That of its worst alert."""
        return min((group.severity for group in self.groups), key=_WORST_FIRST.index)

    @property
    def asks(self) -> Asks:
        """What it asks of a person at most."""
        return max(group.asks for group in self.groups)


def gather(window: Window, items: tuple[DigestItem, ...]) -> Digest:
    """The digest of the alerts of a window, of which there is at least one, in the order in which they were sent."""
    causes: dict[str, set[str]] = {}
    for item in items:
        causes.setdefault(item.role, set()).update(item.actors)
    counted = Counter(actor for actors in causes.values() for actor in actors)
    undo = tuple(dict.fromkeys(command for item in items for command in item.undo))
    last = {item.role: item for item in items}
    return Digest(
        window=window,
        account=items[0].account,
        alerts=len(items),
        groups=tuple(_groups(last.values())),
        actors=tuple(sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:_ACTORS_SHOWN]),
        unheard_of=sum(not actors for actors in causes.values()),
        undo=undo if len(undo) <= FEW else (),
    )


def _groups(items: Iterable[DigestItem]) -> Iterator[Group]:
    alike: dict[tuple[Severity, OutcomeKind, Hold | None, str], list[DigestItem]] = {}
    for item in items:
        alike.setdefault((item.severity, item.outcome, item.hold, item.title), []).append(item)
    by_weight = sorted(alike.items(), key=lambda each: (_WORST_FIRST.index(each[0][0]), -len(each[1]), each[0][3]))
    for (severity, outcome, hold, title), of_group in by_weight:
        headlines = {item.headline for item in of_group}
        yield Group(
            outcome=outcome,
            hold=hold,
            severity=severity,
            title=title,
            headline=headlines.pop() if len(headlines) == 1 else None,
            count=len(of_group),
            named=tuple(sorted((item.role, item.cloud, item.incident) for item in of_group)),
        )
