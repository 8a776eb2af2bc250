"""Whether people are told: alerts are about changes of state, not about every look.

What only a person can settle is told once, again when it changes, once a day as long as it stays, and once more when
it is over. What was written is always told.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from remediator.core.history.role_record import Incident, RoleMemory
from remediator.core.repair.outcome import TOLD, Hold, Outcome, OutcomeKind

DAY: Final = timedelta(hours=24)
REMINDED_AFTER: Final = timedelta(hours=23)
"""A little less than a day, because the sweep that reminds comes at the same time each day, or a moment sooner."""

MOST_OF_A_KIND: Final = 3
"""How often a day the same thing is told, where it comes and goes: somebody may have a tag flap a thousand times."""
MOST_A_DAY: Final = 12
"""How much is told of one role a day, besides what was written."""
TOLD_ALL_THE_SAME: Final = timedelta(hours=1)
"""After what time something is told that was not, because it was too much: it is still there, so it is no flapping."""


class News(StrEnum):
    """What is new about an outcome."""

    NEW = "new"
    """Something was written, or is wrong that people do not know of."""
    REMINDER = "reminder"
    """It was told a day ago and is still so."""
    RESOLVED = "resolved"
    """What people were told of is over."""
    NONE = "none"
    """Nothing: nobody is told."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told of an outcome, to which incident it belongs, and what is remembered of the role afterwards."""

    news: News
    incident_id: str | None
    memory: RoleMemory


def decide_telling(outcome: Outcome, now: datetime) -> Telling:
    """Whether people are told of the outcome, by what is remembered of the role.

    An outcome without a memory, because the role could not even be looked at, is told as it is.
    """
    memory = outcome.memory
    if memory is None:
        return Telling(News.NEW if outcome.kind in TOLD else News.NONE, None, RoleMemory())
    memory = replace(memory, told=tuple((mark, at) for mark, at in memory.told if now - at < DAY))
    if outcome.kind in TOLD and (outcome.may_have_written or not outcome.own):
        return _of_something_wrong(outcome, memory, now)
    if outcome.own and outcome.kind is not OutcomeKind.CLEAN:
        return Telling(News.NONE, None, memory)  # what our own write left over was told when it was written
    return _of_nothing_wrong(memory, now, in_order=outcome.kind is OutcomeKind.CLEAN)


def fingerprint(outcome: Outcome) -> str:
    """What is wrong, in 16 hex digits: the same as long as nothing else is wrong, however it is put in words."""
    wrong = sorted(" ".join((finding.code, finding.subject, *sorted(finding.actions))) for finding in outcome.findings)
    text = "\n".join((outcome.kind, outcome.refusal or "", outcome.cloud or "", outcome.hold or "", *wrong))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _of_something_wrong(outcome: Outcome, memory: RoleMemory, now: datetime) -> Telling:
    if outcome.hold is Hold.CAPPED and not outcome.may_have_written and not outcome.for_a_person:
        # One alert for all roles says that the limit is reached.
        return Telling(News.NONE, None, memory)
    mark = fingerprint(outcome)
    opened = memory.incident
    incident_id = opened.incident_id if opened is not None else _incident_id(outcome, mark, now)
    news = News.NEW if outcome.may_have_written else _news(outcome, mark, memory, now)
    if outcome.kind is OutcomeKind.REPAIRED:
        return Telling(news, incident_id, replace(memory, incident=None))
    known = news is not News.NONE or _is_known(opened, mark)
    incident = Incident(incident_id, mark, now if opened is None else opened.opened, told=known)
    told = memory.told if news is News.NONE else (*memory.told, (mark, now))
    return Telling(news, incident_id, replace(memory, incident=incident, told=told))


def _news(outcome: Outcome, mark: str, memory: RoleMemory, now: datetime) -> News:
    """That we have stopped repairing is told whatever else was told: a contest lasts for a day."""
    alike = [at for told, at in memory.told if told == mark]
    if _is_known(memory.incident, mark):
        return News.REMINDER if now - max(alike, default=now - DAY) >= REMINDED_AFTER else News.NONE
    is_bearable = len(alike) < MOST_OF_A_KIND and len(memory.told) < MOST_A_DAY
    if is_bearable or outcome.kind is OutcomeKind.CONTESTED or _has_stayed(memory, mark, now):
        return News.NEW
    return News.NONE


def _is_known(incident: Incident | None, mark: str) -> bool:
    """Whether people know of the incident as it is."""
    return incident is not None and incident.fingerprint == mark and incident.told


def _has_stayed(memory: RoleMemory, mark: str, now: datetime) -> bool:
    """Whether what was too much to tell has stayed, and nothing was told lately."""
    incident = memory.incident
    if incident is None or incident.fingerprint != mark or now - incident.opened < TOLD_ALL_THE_SAME:
        return False
    return all(now - at >= TOLD_ALL_THE_SAME for _, at in memory.told)


def _of_nothing_wrong(memory: RoleMemory, now: datetime, *, in_order: bool) -> Telling:
    contest = memory.contest
    if contest is not None and (in_order or now >= contest.until):
        contest = None  # not where only the tag was taken away: it may be set again at once
    settled = replace(memory, incident=None, contest=contest)
    opened = memory.incident
    if opened is None:
        return Telling(News.NONE, None, settled)
    return Telling(News.RESOLVED if opened.told else News.NONE, opened.incident_id, settled)


def _incident_id(outcome: Outcome, mark: str, now: datetime) -> str:
    seed = "\n".join((outcome.account, outcome.role_name, mark, now.isoformat()))
    return hashlib.sha256(seed.encode()).hexdigest()[:16]
