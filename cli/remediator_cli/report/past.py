"""The last days by the history: the repairs of each day, the calls before them, and what is still open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from remediator.core.events.actors import tool_of
from remediator.core.events.causes import causes_of
from remediator.core.events.event import APPLY_CALL, TAGGING, Cause
from remediator.core.events.sweep import is_sweep
from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.history.role_record import RoleRecord
from remediator_cli.deployment.stack_outputs import Deployment

_AT_FIRST: Final = 1_000
_AT_MOST: Final = 20_000
"""How many changes are read: first a few; if they do not reach back far enough, many."""

_MADE: Final = (ChangeState.COMPLETED, ChangeState.UNCONFIRMED)
_PROFILE_CREATION: Final = ("CreateInstanceProfile", "AddRoleToInstanceProfile")
_BREAK_NOTHING: Final = TAGGING | {"CreateRole", "CreateBucket", *_PROFILE_CREATION, APPLY_CALL}
"""Calls after which a role is repaired that was not in order, or not managed, before."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """A principal whose calls broke roles.

    ``principal`` is the ARN of the role or user, whatever its sessions are called. ``tools`` are what it worked with,
    as far as its calls say so, ``roles`` the names of the roles, both sorted. ``repairs`` counts the documents that
    were written, ``last`` is when the last one was (with its zone).
    """

    principal: str
    tools: tuple[str, ...]
    repairs: int
    roles: tuple[str, ...]
    last: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """The history of a deployment over the ``days`` days (UTC) up to ``today``.

    ``changes`` are those of these days, newest first. ``is_cut`` says that there were more than are read, so that the
    oldest are missing. ``open`` are the roles of which something is open, with what is remembered of them.
    """

    stack: str
    region: str
    days: int
    today: date
    changes: tuple[Change, ...]
    is_cut: bool
    open: tuple[tuple[str, RoleRecord], ...]

    @property
    def first_day(self) -> date:
        """The first of the days."""
        return self.today - timedelta(days=self.days - 1)

    @property
    def repairs(self) -> tuple[Change, ...]:
        """The documents that were written to repair something, newest first."""
        return tuple(each for each in self.changes if each.kind is ChangeKind.REPAIR and each.state in _MADE)

    @property
    def by_day(self) -> tuple[tuple[date, int], ...]:
        """How many repairs there were on each of the days, the oldest first; days without any are there, too."""
        counts = Counter(each.intended_at.astimezone(UTC).date() for each in self.repairs)
        days = (self.first_day + timedelta(days=number) for number in range(self.days))
        return tuple((day, counts[day]) for day in days)

    @property
    def breakers(self) -> tuple[Breaker, ...]:
        """After whose calls roles were repaired, most repairs first. A repair with several causes counts for each."""
        after: dict[str, list[tuple[Change, Cause]]] = {}
        for change in self.repairs:
            for cause in _breaking(change):
                after.setdefault(cause.actor.issuer_arn or cause.actor.arn, []).append((change, cause))
        found = (_breaker(principal, calls) for principal, calls in after.items())
        return tuple(sorted(found, key=lambda each: (-each.repairs, each.principal)))

    @property
    def unexplained(self) -> int:
        """The number of repairs without a call that could have broken anything: a sweep found them, or an operator
        asked."""
        return sum(next(_breaking(each), None) is None for each in self.repairs)

    @property
    def asked_for(self) -> int:
        """The number of these that have a call anyway: the role was created, enrolled or released, or an operator
        asked."""
        return sum(
            next(_breaking(each), None) is None and not all(is_sweep(cause) for cause in each.causes)
            for each in self.repairs
        )


def read_past(deployment: Deployment, *, days: int, now: datetime) -> Past:
    """Read the history of the last ``days`` days, today included; ``now`` (with its zone) is the time.

    Raises any AwsError, and MalformedRecord for what cannot be read.
    """
    today = now.astimezone(UTC).date()
    since = datetime.combine(today - timedelta(days=days - 1), time.min, UTC)
    history = deployment.history()
    changes = history.list_changes(most=_AT_FIRST)
    if _goes_on(changes, _AT_FIRST, since):
        changes = history.list_changes(most=_AT_MOST)
    found = ((name, history.read_role_record(name)) for name in history.pending_roles())
    return Past(
        stack=deployment.stack,
        region=deployment.region,
        days=days,
        today=today,
        changes=tuple(change for change in changes if change.intended_at >= since),
        is_cut=_goes_on(changes, _AT_MOST, since),
        open=tuple(sorted(((name, each) for name, each in found if each.is_pending), key=lambda each: each[0])),
    )


def _goes_on(changes: tuple[Change, ...], most: int, since: datetime) -> bool:
    return len(changes) >= most and changes[-1].intended_at >= since


def _breaking(change: Change) -> Iterator[Cause]:
    """The calls that broke what was repaired; none where they created or enrolled the role."""
    is_new = any(cause.call == "CreateRole" or cause.enrolls for cause in change.causes)
    able = () if is_new else causes_of(change.findings, change.causes)
    return (cause for cause in able if cause.call not in _BREAK_NOTHING)


def _breaker(principal: str, calls: list[tuple[Change, Cause]]) -> Breaker:
    changes = {change.change_id: change for change, _ in calls}.values()
    return Breaker(
        principal=principal,
        tools=tuple(sorted({tool for _, cause in calls if (tool := tool_of(cause.actor)) is not None})),
        repairs=len(changes),
        roles=tuple(sorted({change.role_name for change in changes})),
        last=max(change.intended_at for change in changes),
    )
