"""Digests laid out for people: whether they have to do anything, the result for which roles, and who caused it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Final, assert_never

from remediator.core.alerts.alert_layout import subject_line
from remediator.core.alerts.digest import DIGEST, FEW, Asks, Digest, DigestRole, Group
from remediator.core.alerts.layout import Layout, Rank, Section, SectionForm
from remediator.core.model.plain_text import foreign
from remediator.core.repair.outcome import OutcomeKind

_CHANGES_OF_AN_ALERT: Final = 4
"""How many changes of the history are listed for each alert of a digest; few alerts have more."""
_MOST_LISTED: Final = 10_000
_STATUS: Final = "remediator status"
_OTHERS_SHOWN: Final = 6


def digest_layout(digest: Digest) -> Layout:
    """The digest laid out."""
    start, end = digest.window.start.astimezone(UTC), digest.window.end.astimezone(UTC)
    name, _, incident = _only_role(digest) or (None, None, None)
    return Layout(
        subject=subject_line(_subject(digest)),
        headline=digest_headline(digest),
        severity=digest.severity,
        facts=(
            ("Alerts", f"{digest.alerts} about {_roles(digest.roles)}"),
            ("Sent", f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"),
            ("Account", foreign(digest.account)),
        ),
        sections=tuple(_sections(digest)),
        thread=incident,
        keywords=(DIGEST, digest.severity.value, foreign(digest.account)),
        record=_record(digest, name),
    )


def _sections(digest: Digest) -> Iterator[Section]:
    headline = digest_headline(digest)
    for group in digest.groups:
        yield Section(
            f"{group.title[:1].upper()}{foreign(group.title[1:])}: {_roles(group.count)}",
            tuple(_names(group)),
            rank=Rank.TELLING if group.asks is Asks.NOTHING else Rank.NEEDED,
            note="" if group.headline in (None, headline) else foreign(group.headline),
        )
    causes = [f"{foreign(actor)} ({_roles(roles)})" for actor, roles in digest.actors]
    if digest.unheard_of:
        causes.append(f"Nobody that we heard of: a sweep found it ({_roles(digest.unheard_of)})")
    yield Section("Who caused it", tuple(causes), rank=Rank.TELLING)
    if digest.asks is not Asks.NOTHING:
        yield _commands("To see what is still open, and of which roles", _STATUS)
    yield _commands("To see every change, who caused it, and its id for `remediator undo`", _history(digest))
    yield _commands("To pause the remediator for all roles", "remediator pause")
    if digest.undo:
        undo = map(foreign, digest.undo)
        yield _commands("To undo it (the role is left alone after that)", *undo, rank=Rank.LASTING)


def _commands(title: str, *commands: str, rank: Rank = Rank.HANDY) -> Section:
    return Section(title, commands, SectionForm.COMMANDS, rank)


def _record(digest: Digest, only: str | None) -> str:
    """Where the rest can be read: the history knows what was written, and not what only a person can do."""
    if only is None:
        return _history(digest) if digest.asks is Asks.NOTHING else _STATUS
    return f"remediator {'history' if digest.asks is Asks.NOTHING else 'plan --role'} {only}"


def _history(digest: Digest) -> str:
    """The command that lists the changes; without a number it lists fifty, which is enough for a few roles."""
    most = min(_CHANGES_OF_AN_ALERT * digest.alerts, _MOST_LISTED)
    return f"remediator history --most {most}" if digest.alerts > FEW else "remediator history"


def _names(group: Group) -> Iterator[str]:
    """The roles, all that are known where a person has to do something about them."""
    shown = group.named[:FEW] if group.asks is Asks.NOTHING else group.named
    for name, cloud, _ in shown:
        yield f"{foreign(name)} ({foreign(cloud)})" if cloud else foreign(name)
    if more := group.count - len(shown):
        yield f"… and {more} more"


def _only_role(digest: Digest) -> DigestRole | None:
    """The role that the digest is about, where it is a single one, which may have been left out."""
    return digest.groups[0].named[0] if digest.roles == 1 and digest.groups[0].named else None


def _subject(digest: Digest) -> str:
    only = _only_role(digest)
    first = digest.groups[0]
    if only is not None:
        name, cloud, _ = only
        return f"Anyscale role {name}: {first.title}{f' ({cloud})' if cloud else ''}"
    if digest.asks is not Asks.NOTHING:
        return f"Anyscale role remediator: {_need(digest)}"
    return f"Anyscale role remediator: {_roles(first.count)} {first.title}"


def digest_headline(digest: Digest) -> str:
    """The first line, which says whether anybody has to do anything."""
    if digest.roles == 1 and digest.groups[0].headline:
        return foreign(digest.groups[0].headline)
    match digest.asks:
        case Asks.NOW:
            begin = "Please look:"
        case Asks.DURING_THE_DAY:
            begin = "Please look during the day:"
        case Asks.NOTHING:
            return _nothing_asked(digest)
        case _ as never:
            assert_never(never)
    others = _counts(group for group in digest.groups if group.asks is not digest.asks)
    return foreign(f"{begin} {_need(digest)}{f'; the others: {others}' if others else ''}.")


def _nothing_asked(digest: Digest) -> str:
    repaired = sum(group.count for group in digest.groups if group.outcome is OutcomeKind.REPAIRED)
    if not repaired:
        return foreign(f"{_roles(digest.roles)}; nothing for you to do now: {_counts(digest.groups)}.")
    others = _counts(group for group in digest.groups if group.outcome is not OutcomeKind.REPAIRED)
    return foreign(
        f"Repaired {_roles(repaired)}; nothing for you to do now. To keep it so, change the code that broke them."
        f"{f' The others: {others}.' if others else ''}"
    )


def _need(digest: Digest) -> str:
    """``12 of 295 roles need a person``."""
    one, several = ("needs", "need") if digest.asks is Asks.NOW else ("waits for", "wait for")
    count = sum(group.count for group in digest.groups if group.asks is digest.asks)
    if count == digest.roles:
        return f"all {_roles(count)} {several} a person"
    return f"{count} of {_roles(digest.roles)} {one if count == 1 else several} a person"


def _counts(groups: Iterable[Group]) -> str:
    """``280 repaired; 3 refused``, the first few of them."""
    counted = [f"{group.count} {group.title}" for group in groups]
    more = ("further ones below",) if len(counted) > _OTHERS_SHOWN else ()
    return "; ".join((*counted[:_OTHERS_SHOWN], *more))


def _roles(count: int) -> str:
    return "1 role" if count == 1 else f"{count} roles"
