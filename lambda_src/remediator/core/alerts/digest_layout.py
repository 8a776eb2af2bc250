"""Digests laid out for readers: whether action is required, the result by role, and who caused it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Final

from remediator.core.alerts.alert_layout import subject_line
from remediator.core.alerts.digest import DIGEST, FEW, Asks, Digest, DigestRole, Group
from remediator.core.alerts.layout import Layout, Rank, Section, SectionForm
from remediator.core.model.plain_text import capitalized, foreign
from remediator.core.repair.outcome import OutcomeKind

_CHANGES_OF_AN_ALERT: Final = 4
"""How many changes the history command lists for each alert of a digest; few alerts have more."""
_MOST_LISTED: Final = 10_000
_STATUS: Final = "remediator status"
_OTHERS_SHOWN: Final = 6


def digest_layout(digest: Digest) -> Layout:
    """The digest laid out."""
    start, end = digest.window.start.astimezone(UTC), digest.window.end.astimezone(UTC)
    name, _, incident = _only_role(digest) or (None, None, None)
    headline = digest_headline(digest)
    return Layout(
        subject=subject_line(_subject(digest)),
        headline=headline,
        severity=digest.severity,
        facts=(
            ("Alerts", f"{digest.alerts} about {_roles(digest.roles)}"),
            ("Sent", f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"),
            ("Account", foreign(digest.account)),
        ),
        sections=tuple(_sections(digest, headline)),
        thread=incident,
        keywords=(DIGEST, digest.severity.value, foreign(digest.account)),
        record=_record(digest, name),
    )


def _sections(digest: Digest, headline: str) -> Iterator[Section]:
    for group in digest.groups:
        yield Section(
            f"{foreign(capitalized(group.title))}: {_roles(group.count)}",
            tuple(_names(group)),
            rank=Rank.DETAIL if group.asks is Asks.NOTHING else Rank.NEEDED,
            note="" if group.headline in (None, headline) else foreign(group.headline),
        )
    causes = [f"{foreign(actor)} ({_roles(roles)})" for actor, roles in digest.actors]
    if digest.found_by_sweep:
        causes.append(f"Found by the scheduled sweep; no event named a caller ({_roles(digest.found_by_sweep)})")
    yield Section("What triggered the checks", tuple(causes), rank=Rank.DETAIL)
    if digest.asks is not Asks.NOTHING:
        yield _commands("To see what is still open, by role", _STATUS)
    yield _commands("To see every change, its caller, and its id for `remediator undo`", _history(digest))
    yield _commands("To pause all writes of the remediator", "remediator pause")
    if digest.undo:
        undo = map(foreign, digest.undo)
        yield _commands("To undo it (sets the role to observe)", *undo, rank=Rank.LASTING)


def _commands(title: str, *commands: str, rank: Rank = Rank.HANDY) -> Section:
    return Section(title, commands, SectionForm.COMMANDS, rank)


def _record(digest: Digest, only: str | None) -> str:
    """The command that shows the rest: the history has what was written, but not what requires manual action."""
    if only is None:
        return _history(digest) if digest.asks is Asks.NOTHING else _STATUS
    return f"remediator {'history' if digest.asks is Asks.NOTHING else 'plan --role'} {only}"


def _history(digest: Digest) -> str:
    """The command that lists the changes; by default it lists fifty, which is enough for a few roles."""
    limit = min(_CHANGES_OF_AN_ALERT * digest.alerts, _MOST_LISTED)
    return f"remediator history --limit {limit}" if digest.alerts > FEW else "remediator history"


def _names(group: Group) -> Iterator[str]:
    """The roles; all that are known where action is required."""
    shown = group.named[:FEW] if group.asks is Asks.NOTHING else group.named
    for name, cloud, _ in shown:
        yield f"{foreign(name)} ({foreign(cloud)})" if cloud else foreign(name)
    if more := group.count - len(shown):
        yield f"… and {more} more"


def _only_role(digest: Digest) -> DigestRole | None:
    """The role that the digest is about, where it is a single one and is named."""
    return digest.groups[0].named[0] if digest.roles == 1 and digest.groups[0].named else None


def _subject(digest: Digest) -> str:
    only, first = _only_role(digest), digest.groups[0]
    name, cloud = (only[0], only[1]) if only is not None else (None, _only_cloud(digest))
    of_cloud = f" ({cloud})" if cloud else ""
    actor = _only_actor(digest)
    by = f" changed by {actor}" if actor else ""
    if digest.asks is Asks.NOTHING:
        return f"{capitalized(first.title)}: {name or f'{_roles(first.count)}{by}'}{of_cloud}"
    lead = "ACTION REQUIRED" if digest.asks is Asks.NOW else "Check today"
    if name:
        return f"{lead}: {name}, {first.title}{of_cloud}"
    return f"{lead}: {_asking(digest)}{by}{of_cloud}"


def digest_headline(digest: Digest) -> str:
    """The first line: what happened to how many roles, by whom, and whether action is required."""
    if digest.roles == 1 and digest.groups[0].headline:
        return foreign(digest.groups[0].headline)
    if digest.asks is Asks.NOTHING:
        return _nothing_asked(digest)
    when = "now" if digest.asks is Asks.NOW else "today"
    others = _counts(group for group in digest.groups if group.asks is not digest.asks)
    return foreign(
        f"{capitalized(_asking(digest))} {'requires' if _count(digest) == 1 else 'require'} an operator {when}"
        f"{f'; the others: {others}' if others else ''}."
    )


def _nothing_asked(digest: Digest) -> str:
    repaired = sum(group.count for group in digest.groups if group.outcome is OutcomeKind.REPAIRED)
    if not repaired:
        return foreign(f"{_roles(digest.roles)}: {_counts(digest.groups)}. No action needed now.")
    others = _counts(group for group in digest.groups if group.outcome is not OutcomeKind.REPAIRED)
    start, end = digest.window.start.astimezone(UTC), digest.window.end.astimezone(UTC)
    by = _only_actor(digest)
    what = f"{by} changed {_roles(repaired)}" if by else f"{_roles(repaired)} changed"
    return foreign(
        f"{what} between {start:%H:%M} and {end:%H:%M} UTC; all repaired. No action needed now. "
        f"Correct the code behind it, or the next run breaks them again.{f' The others: {others}.' if others else ''}"
    )


def _count(digest: Digest) -> int:
    return sum(group.count for group in digest.groups if group.asks is digest.asks)


def _asking(digest: Digest) -> str:
    """``12 of 295 roles``."""
    count = _count(digest)
    return f"all {_roles(count)}" if count == digest.roles else f"{count} of {_roles(digest.roles)}"


def _only_actor(digest: Digest) -> str | None:
    """The caller that is behind every role of the digest; None where there are several, or an unknown one."""
    if digest.found_by_sweep or len(digest.actors) != 1:
        return None
    ((actor, roles),) = digest.actors
    return actor if roles == digest.roles else None


def _only_cloud(digest: Digest) -> str | None:
    """The cloud of every named role, where it is the same."""
    clouds = {cloud for group in digest.groups for _, cloud, _ in group.named}
    return clouds.pop() if len(clouds) == 1 else None


def _counts(groups: Iterable[Group]) -> str:
    """``280 repaired; 3 refused``, the first few of them."""
    counted = [f"{group.count} {foreign(group.title)}" for group in groups]
    more = ("more below",) if len(counted) > _OTHERS_SHOWN else ()
    return "; ".join((*counted[:_OTHERS_SHOWN], *more))


def _roles(count: int) -> str:
    return "1 role" if count == 1 else f"{count} roles"
