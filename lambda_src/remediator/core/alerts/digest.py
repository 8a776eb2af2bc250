"""Digests: the alerts of a window that were not sent individually, sent together at its end.

Windows begin at fixed times, so an alert that is delivered twice belongs to the same one. The state of a role is that
of its last alert within the window; the history has the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from remediator.core.alerts.notification import Notification, Severity
from remediator.core.alerts.window import Window
from remediator.core.events.causes import short_actor
from remediator.core.events.sweep import is_sweep
from remediator.core.model.plain_text import foreign
from remediator.core.repair.outcome import Hold, OutcomeKind

DIGEST: Final = "digest"
"""The value of ``outcome`` in a digest."""

FEW: Final = 20
"""How many roles of a group are named if no action is required, and how many undo commands are listed at most."""
_ACTORS_SHOWN: Final = 5
_ACTOR_LIMIT: Final = 300
_CLOUD_LIMIT: Final = 60

_WORST_FIRST = (Severity.ERROR, Severity.WARNING, Severity.INFO)

DigestRole: TypeAlias = tuple[str, str | None, str | None]
"""A role in a digest: its name, its cloud, and the incident that its alert belongs to."""


@dataclass(frozen=True, slots=True)
class DigestItem:
    """The part of a digest about one alert; all foreign text in it is harmless.

    ``actors`` are the callers in words, each once; none where only a sweep found the problem. ``undo`` are the commands
    that undo the writes.
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
    """The part of a digest about an alert."""
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
        actors=tuple(
            dict.fromkeys(foreign(short_actor(actor, notification.account), _ACTOR_LIMIT) for actor in actors)
        ),
        undo=notification.undo,
    )


class Asks(IntEnum):
    """How soon a group requires an operator; the highest comes first."""

    NOTHING = 0
    """No action: it is in order, or the next try or sweep repairs it."""
    DURING_THE_DAY = 1
    NOW = 2


@dataclass(frozen=True, slots=True)
class Group:
    """The roles whose last alert has the same state: ``count`` of them, the first ones named.

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
        """How soon it requires an operator."""
        if self.severity is Severity.ERROR:
            return Asks.NOW
        resolves_itself = self.outcome is OutcomeKind.FAILED or (
            self.outcome is OutcomeKind.WOULD_REPAIR and self.hold is None
        )
        return Asks.NOTHING if self.severity is Severity.INFO or resolves_itself else Asks.DURING_THE_DAY


@dataclass(frozen=True, slots=True)
class Digest:
    """The alerts of a window together, the worst first.

    ``alerts`` counts them. ``actors`` are the callers with the most roles, each with the number of roles.
    ``found_by_sweep`` is the number of roles that only a sweep found. ``undo`` are the commands that undo the writes;
    none where there are too many of them, as the history has them all.
    """

    window: Window
    account: str
    alerts: int
    groups: tuple[Group, ...]
    actors: tuple[tuple[str, int], ...]
    found_by_sweep: int
    undo: tuple[str, ...]

    @property
    def roles(self) -> int:
        """The number of roles."""
        return sum(group.count for group in self.groups)

    @property
    def severity(self) -> Severity:
        """The severity of its worst alert."""
        return min((group.severity for group in self.groups), key=_WORST_FIRST.index)

    @property
    def asks(self) -> Asks:
        """How soon its most urgent group requires an operator."""
        return max(group.asks for group in self.groups)


def gather(window: Window, items: tuple[DigestItem, ...]) -> Digest:
    """The digest of the alerts of a window (at least one), in the order in which they were sent."""
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
        found_by_sweep=sum(not actors for actors in causes.values()),
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
