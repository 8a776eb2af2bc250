"""Digests: the alerts of a window that were not told one by one, told at once when it is over.

A window begins at a fixed time, so that an alert belongs to the same one however often it comes. The state of a role is
that of its last alert within the window; what came before stands in the history.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from enum import IntEnum
from typing import Final, TypeAlias, assert_never

from remediator.core.alerts.alert_layout import subject_line
from remediator.core.alerts.layout import Form, Layout, Rank, Section
from remediator.core.alerts.notification import Notification
from remediator.core.alerts.severity import Severity
from remediator.core.alerts.window import Window, parse_window
from remediator.core.events.actors import describe_actor
from remediator.core.events.message_fields import read_list, read_object, read_optional_text, read_text
from remediator.core.events.sweep import is_sweep
from remediator.core.model.plain_text import foreign, unmarked_json
from remediator.core.repair.outcome import Hold, OutcomeKind
from remediator.errors import MalformedAlert

DIGEST: Final = "digest"
"""What stands in a digest where the outcome stands in an alert."""

FORMAT: Final = 1
"""Version of the forms in which a digest is published, an alert is kept for it, and the end of its window is asked for;
another version is never guessed at."""

_JSON_LIMIT: Final = 100_000
"""Bytes: what is left of a message of SNS is for the e-mail and the chat."""
_NAMED_OF_OTHERS: Final = 100
_NAMED: Final = (1000, 500, 200, 100, 50, 20, 5, 0)
"""How many roles of a group are named to machines, the most that fits."""
_SHOWN: Final = 20
"""How many roles of a group are named to people for which they need not do anything, and how many commands at most."""
_CHANGES_OF_AN_ALERT: Final = 4
"""How many changes of the history are listed for each alert of a digest; few alerts have more."""
_MOST_LISTED: Final = 10_000
_STATUS: Final = "remediator status"
_ACTORS_SHOWN: Final = 5
_ACTOR_LIMIT: Final = 300
_CLOUD_LIMIT: Final = 60
_OTHERS_SHOWN: Final = 6

_WORST_FIRST = (Severity.ERROR, Severity.WARNING, Severity.INFO)


def window_end_json(window: Window) -> str:
    """The message that asks for the digest of a window; ``parse_window_end`` reads it back."""
    return json.dumps(
        {"format": FORMAT, "digest": window.start.isoformat(), "until": window.end.isoformat()}, separators=(",", ":")
    )


def parse_window_end(text: str) -> Window | None:
    """The window whose digest a message asks for; None where it is another message.

    Raises MalformedAlert where it asks for a digest in a form that this version does not know.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedAlert(f"the message is not JSON: {str(error)[:200]}") from error
    if not isinstance(fields, dict) or DIGEST not in fields:
        return None
    try:
        _must_be_known(fields)
        return parse_window(f"{read_text(fields, DIGEST)}/{read_text(fields, 'until')}")
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed("no message of ours that asks for a digest", error) from error


@dataclass(frozen=True, slots=True)
class DigestItem:
    """What a digest says of one alert.

    ``actors`` are those who caused it in words, each once and none where only a sweep has found it. ``undo`` are the
    commands that undo what was written.
    """

    role_name: str
    account: str
    cloud: str | None
    outcome: OutcomeKind
    hold: Hold | None
    severity: Severity
    title: str
    headline: str
    incident_id: str | None
    actors: tuple[str, ...]
    undo: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alone:
    """The alert is one of the first of its window, and is told on its own."""


@dataclass(frozen=True, slots=True)
class Held:
    """The alert is told with the digest of this window."""

    window: Window


Placement: TypeAlias = Alone | Held


def digest_item(notification: Notification) -> DigestItem:
    """What a digest says of an alert; all foreign text in it is harmless."""
    actors = (cause.actor for cause in notification.causes if not is_sweep(cause))
    return DigestItem(
        role_name=foreign(notification.role_name),
        account=notification.account,
        cloud=foreign(notification.cloud, _CLOUD_LIMIT) if notification.cloud else None,
        outcome=notification.kind,
        hold=notification.hold,
        severity=notification.severity,
        title=foreign(notification.title),
        headline=foreign(notification.headline),
        incident_id=notification.incident_id,
        actors=tuple(dict.fromkeys(foreign(describe_actor(actor), _ACTOR_LIMIT) for actor in actors)),
        undo=notification.undo,
    )


def digest_item_json(item: DigestItem) -> str:
    """What a digest says of one alert as one line of JSON; ``parse_digest_item`` reads it back."""
    return json.dumps(
        {
            "format": FORMAT,
            "role": item.role_name,
            "account": item.account,
            "cloud": item.cloud,
            "outcome": item.outcome,
            "hold": item.hold,
            "severity": item.severity,
            "title": item.title,
            "headline": item.headline,
            "incident": item.incident_id,
            "actors": item.actors,
            "undo": item.undo,
        },
        separators=(",", ":"),
    )


def parse_digest_item(text: str) -> DigestItem:
    """Read what ``digest_item_json`` wrote. Raises MalformedAlert for anything else."""
    try:
        fields = read_object(json.loads(text))
        _must_be_known(fields)
        return DigestItem(
            role_name=read_text(fields, "role"),
            account=read_text(fields, "account"),
            cloud=read_optional_text(fields, "cloud"),
            outcome=OutcomeKind(read_text(fields, "outcome")),
            hold=_hold(fields),
            severity=Severity(read_text(fields, "severity")),
            title=read_text(fields, "title"),
            headline=read_text(fields, "headline"),
            incident_id=read_optional_text(fields, "incident"),
            actors=_texts(fields["actors"]),
            undo=_texts(fields["undo"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _malformed("no alert that was kept for a digest", error) from error


@dataclass(frozen=True, slots=True)
class NamedRole:
    """A role in a digest, with the incident that its alert belongs to."""

    name: str
    cloud: str | None
    incident_id: str | None


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
    named: tuple[NamedRole, ...]


@dataclass(frozen=True, slots=True)
class CausedBy:
    """Who caused alerts, in words, about that many roles."""

    actor: str
    roles: int


@dataclass(frozen=True, slots=True)
class Digest:
    """What the alerts of a window say together, the worst first.

    ``alerts`` counts them. ``actors`` are those who caused the most of them, ``unheard_of`` is the number of roles that
    only a sweep has found. ``undo`` are the commands that undo what was written, none where there are too many of them
    to be typed: the history has them all.
    """

    window: Window
    account: str
    alerts: int
    groups: tuple[Group, ...]
    actors: tuple[CausedBy, ...]
    unheard_of: int
    undo: tuple[str, ...]

    @property
    def roles(self) -> int:
        """How many roles it is about."""
        return sum(group.count for group in self.groups)

    @property
    def severity(self) -> Severity:
        """That of its worst alert."""
        return next(severity for severity in _WORST_FIRST if any(group.severity is severity for group in self.groups))


def digest_of(window: Window, items: tuple[DigestItem, ...]) -> Digest:
    """The digest of the alerts of a window, of which there is at least one, in the order in which they were sent.

    It names as many roles as fit where it is published.
    """
    last = {item.role_name: item for item in items}
    causes: dict[str, set[str]] = {item.role_name: set() for item in items}
    for item in items:
        causes[item.role_name].update(item.actors)
    counted = Counter(actor for actors in causes.values() for actor in sorted(actors))
    undo = tuple(dict.fromkeys(command for item in items for command in item.undo))
    digest = Digest(
        window=window,
        account=items[0].account,
        alerts=len(items),
        groups=tuple(_groups(tuple(last.values()))),
        actors=tuple(
            CausedBy(actor, roles)
            for actor, roles in sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:_ACTORS_SHOWN]
        ),
        unheard_of=sum(not actors for actors in causes.values()),
        undo=undo if len(undo) <= _SHOWN else (),
    )
    return _fitting(digest)


def _groups(items: tuple[DigestItem, ...]) -> Iterator[Group]:
    alike: dict[tuple[Severity, OutcomeKind, Hold | None, str], list[DigestItem]] = {}
    for item in items:
        alike.setdefault((item.severity, item.outcome, item.hold, item.title), []).append(item)
    by_weight = sorted(alike.items(), key=lambda each: (_WORST_FIRST.index(each[0][0]), -len(each[1]), each[0][3]))
    for (severity, outcome, hold, title), of_group in by_weight:
        headlines = {item.headline for item in of_group}
        named = sorted(of_group, key=lambda item: item.role_name)[: _NAMED[0]]
        yield Group(
            outcome=outcome,
            hold=hold,
            severity=severity,
            title=title,
            headline=headlines.pop() if len(headlines) == 1 else None,
            count=len(of_group),
            named=tuple(NamedRole(item.role_name, item.cloud, item.incident_id) for item in named),
        )


def _fitting(digest: Digest) -> Digest:
    """The digest naming as many roles as fit where it is published."""
    *fuller, barest = (_naming(digest, most) for most in _NAMED)
    return next((each for each in fuller if len(digest_json(each)) <= _JSON_LIMIT), barest)


def _naming(digest: Digest, most: int) -> Digest:
    """The digest naming that many roles of each group at most, fewer where nobody has to do anything about them."""
    groups = (
        replace(group, named=group.named[: most if _asks(group) is not _Asks.NOTHING else min(most, _NAMED_OF_OTHERS)])
        for group in digest.groups
    )
    return replace(digest, groups=tuple(groups))


def digest_json(digest: Digest) -> str:
    """The digest as it is published, in less than 100 KB; ``parse_digest`` reads it back.

    What says the same has the same ``id``.
    """
    content = {
        "outcome": DIGEST,
        "severity": digest.severity,
        "headline": _headline(digest),
        "account": digest.account,
        "from": digest.window.start.isoformat(),
        "until": digest.window.end.isoformat(),
        "alerts": digest.alerts,
        "groups": [
            {
                "outcome": group.outcome,
                "hold": group.hold,
                "severity": group.severity,
                "title": group.title,
                "headline": group.headline,
                "count": group.count,
                "roles": [
                    {"name": role.name, "cloud": role.cloud, "incident": role.incident_id} for role in group.named
                ],
            }
            for group in digest.groups
        ],
        "actors": [{"actor": caused.actor, "roles": caused.roles} for caused in digest.actors],
        "unheardOf": digest.unheard_of,
        "undo": digest.undo,
    }
    digest_id = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    return unmarked_json(json.dumps({"format": FORMAT, "id": digest_id, **content}, separators=(",", ":")))


def parse_digest(text: str) -> Digest:
    """Read what ``digest_json`` wrote. Raises MalformedAlert, which says what is missing or wrong."""
    try:
        fields = read_object(json.loads(text))
        _must_be_known(fields)
        if fields["outcome"] != DIGEST:
            raise MalformedAlert("this is no digest")
        groups = tuple(_group(each) for each in read_list(fields["groups"]))
        if not groups:
            raise MalformedAlert("a digest of nothing is none")
        return Digest(
            window=parse_window(f"{read_text(fields, 'from')}/{read_text(fields, 'until')}"),
            account=read_text(fields, "account"),
            alerts=_count(fields, "alerts"),
            groups=groups,
            actors=tuple(_caused(each) for each in read_list(fields["actors"])),
            unheard_of=_count(fields, "unheardOf"),
            undo=_texts(fields["undo"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _malformed("no digest of ours", error) from error


def digest_layout(digest: Digest) -> Layout:
    """The digest laid out: whether anybody has to do anything, what came of which roles, and who caused it."""
    only = _only_role(digest)
    start, end = digest.window.start.astimezone(UTC), digest.window.end.astimezone(UTC)
    return Layout(
        subject=subject_line(_subject(digest)),
        headline=_headline(digest),
        severity=digest.severity,
        facts=(
            ("Alerts", f"{digest.alerts} about {_roles(digest.roles)}"),
            ("Sent", f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"),
            ("Account", foreign(digest.account)),
        ),
        sections=tuple(_sections(digest)),
        thread=None if only is None else only.incident_id,
        keywords=(DIGEST, digest.severity.value, foreign(digest.account)),
        record=_record(digest, only),
    )


def _sections(digest: Digest) -> Iterator[Section]:
    headline = _headline(digest)
    for group in digest.groups:
        yield Section(
            f"{group.title[:1].upper()}{foreign(group.title[1:])}: {_roles(group.count)}",
            tuple(_names(group)),
            rank=Rank.NEEDED if _asks(group) is not _Asks.NOTHING else Rank.TELLING,
            note="" if group.headline in (None, headline) else foreign(group.headline),
        )
    causes = [f"{foreign(caused.actor)} ({_roles(caused.roles)})" for caused in digest.actors]
    if digest.unheard_of:
        causes.append(f"Nobody that we heard of: a sweep found it ({_roles(digest.unheard_of)})")
    yield Section("Who caused it", tuple(causes), rank=Rank.TELLING)
    if _needs_somebody(digest):
        yield Section("To see what is still open, and of which roles", (_STATUS,), Form.COMMANDS, Rank.HANDY)
    yield Section(
        "To see every change, who caused it, and its id for `remediator undo`",
        (_history(digest),),
        Form.COMMANDS,
        Rank.HANDY,
    )
    yield Section("To pause the remediator for all roles", ("remediator pause",), Form.COMMANDS, Rank.HANDY)
    if digest.undo:
        yield Section(
            "To undo it (the role is left alone after that)",
            tuple(foreign(command) for command in digest.undo),
            Form.COMMANDS,
            Rank.LASTING,
        )


def _needs_somebody(digest: Digest) -> bool:
    return any(_asks(group) is not _Asks.NOTHING for group in digest.groups)


def _record(digest: Digest, only: NamedRole | None) -> str:
    """Where the rest can be read: the history knows what was written, and not what only a person can do."""
    needs_somebody = _needs_somebody(digest)
    if only is not None:
        return f"remediator plan --role {only.name}" if needs_somebody else f"remediator history {only.name}"
    return _STATUS if needs_somebody else _history(digest)


def _history(digest: Digest) -> str:
    """The command that lists the changes; without a number it lists fifty, which is enough for a few roles."""
    most = min(_CHANGES_OF_AN_ALERT * digest.alerts, _MOST_LISTED)
    return f"remediator history --most {most}" if digest.alerts > _SHOWN else "remediator history"


def _names(group: Group) -> Iterator[str]:
    """The roles, all that are known where a person has to do something about them."""
    shown = group.named[:_SHOWN] if _asks(group) is _Asks.NOTHING else group.named
    for role in shown:
        yield f"{foreign(role.name)} ({foreign(role.cloud)})" if role.cloud else foreign(role.name)
    more = group.count - len(shown)
    if more:
        yield f"… and {more} more"


class _Asks(IntEnum):
    """What a group asks of a person; the highest comes first."""

    NOTHING = 0
    """It is in order, or the next try or sweep settles it."""
    DURING_THE_DAY = 1
    NOW = 2


def _asks(group: Group) -> _Asks:
    if group.severity is Severity.ERROR:
        return _Asks.NOW
    settles_itself = group.outcome is OutcomeKind.FAILED or (
        group.outcome is OutcomeKind.WOULD_REPAIR and group.hold is None
    )
    return _Asks.NOTHING if group.severity is Severity.INFO or settles_itself else _Asks.DURING_THE_DAY


def _most_asked(digest: Digest) -> _Asks:
    return max(_asks(group) for group in digest.groups)


def _asking(digest: Digest, asks: _Asks) -> int:
    """How many roles ask for that."""
    return sum(group.count for group in digest.groups if _asks(group) is asks)


def _only_role(digest: Digest) -> NamedRole | None:
    """The role that the digest is about, where it is a single one, which may have been left out."""
    return digest.groups[0].named[0] if digest.roles == 1 and digest.groups[0].named else None


def _subject(digest: Digest) -> str:
    only = _only_role(digest)
    if only is not None:
        cloud = f" ({only.cloud})" if only.cloud else ""
        return f"Anyscale role {only.name}: {digest.groups[0].title}{cloud}"
    asks = _most_asked(digest)
    if asks is not _Asks.NOTHING:
        return f"Anyscale role remediator: {_need(_asking(digest, asks), digest.roles, asks)}"
    first = digest.groups[0]
    return f"Anyscale role remediator: {_roles(first.count)} {first.title}"


def _headline(digest: Digest) -> str:
    """The first line, which says whether anybody has to do anything."""
    if digest.roles == 1 and digest.groups[0].headline:
        return foreign(digest.groups[0].headline)
    match asks := _most_asked(digest):
        case _Asks.NOW:
            begin = "Please look:"
        case _Asks.DURING_THE_DAY:
            begin = "Please look during the day:"
        case _Asks.NOTHING:
            return _nothing_asked(digest)
        case _ as never:
            assert_never(never)
    others = _counts(group for group in digest.groups if _asks(group) is not asks)
    needed = _need(_asking(digest, asks), digest.roles, asks)
    return foreign(f"{begin} {needed}; the others: {others}." if others else f"{begin} {needed}.")


def _nothing_asked(digest: Digest) -> str:
    repaired = sum(group.count for group in digest.groups if group.outcome is OutcomeKind.REPAIRED)
    if not repaired:
        return foreign(f"{_roles(digest.roles)}; nothing for you to do now: {_counts(digest.groups)}.")
    others = _counts(group for group in digest.groups if group.outcome is not OutcomeKind.REPAIRED)
    return foreign(
        f"Repaired {_roles(repaired)}; nothing for you to do now. To keep it so, change the code that broke them."
        f"{' The others: ' if others else ''}{others}{'.' if others else ''}"
    )


def _need(count: int, of: int, asks: _Asks) -> str:
    """``12 of 295 roles need a person``."""
    verb = "need" if asks is _Asks.NOW else "wait for"
    if count == of:
        return f"all {_roles(of)} {verb} a person"
    singular = "needs" if asks is _Asks.NOW else "waits for"
    return f"{count} of {_roles(of)} {singular if count == 1 else verb} a person"


def _counts(groups: Iterable[Group]) -> str:
    """``280 repaired; 3 refused``, the first few of them."""
    counted = [f"{group.count} {group.title}" for group in groups]
    more = ("further ones below",) if len(counted) > _OTHERS_SHOWN else ()
    return "; ".join((*counted[:_OTHERS_SHOWN], *more))


def _roles(count: int) -> str:
    return "1 role" if count == 1 else f"{count} roles"


def _group(value: object) -> Group:
    group = read_object(value)
    named = tuple(_named(each) for each in read_list(group["roles"]))
    count = _count(group, "count")
    if count < max(1, len(named)):
        raise ValueError("a group names more roles than it counts")
    return Group(
        outcome=OutcomeKind(read_text(group, "outcome")),
        hold=_hold(group),
        severity=Severity(read_text(group, "severity")),
        title=read_text(group, "title"),
        headline=read_optional_text(group, "headline"),
        count=count,
        named=named,
    )


def _named(value: object) -> NamedRole:
    role = read_object(value)
    return NamedRole(read_text(role, "name"), read_optional_text(role, "cloud"), read_optional_text(role, "incident"))


def _caused(value: object) -> CausedBy:
    caused = read_object(value)
    return CausedBy(read_text(caused, "actor"), _count(caused, "roles"))


def _hold(fields: Mapping[str, object]) -> Hold | None:
    hold = read_optional_text(fields, "hold")
    return None if hold is None else Hold(hold)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(read_text({"text": each}, "text") for each in read_list(value))


def _count(fields: Mapping[str, object], key: str) -> int:
    value = fields[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"`{key}` must be a number of things")
    return value


def _must_be_known(fields: Mapping[str, object]) -> None:
    found = fields.get("format")
    if found != FORMAT or isinstance(found, bool):
        raise MalformedAlert(f"format {FORMAT} of a digest is needed, and this is {str(found)[:20]}")


def _malformed(what: str, error: Exception) -> MalformedAlert:
    return MalformedAlert(f"this is {what}: {type(error).__name__}: {str(error)[:200]}")
