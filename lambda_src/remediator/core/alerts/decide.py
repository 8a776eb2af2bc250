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

from remediator.core.history.role_record import Incident, RoleRecord
from remediator.core.repair.outcome import ALERTED, Hold, Outcome, OutcomeKind

DAY: Final = timedelta(hours=24)
REMINDER_AFTER: Final = timedelta(hours=23)
"""A little less than a day, because the sweep that reminds comes at the same time each day, or a moment sooner."""

MAX_REPEATS_PER_DAY: Final = 3
"""How often a day the same thing is told, where it comes and goes: somebody may have a tag flap a thousand times."""
MAX_ALERTS_PER_DAY: Final = 12
"""How much is told of one role a day, besides what was written."""
REALERT_AFTER: Final = timedelta(hours=1)
"""After what time something is told that was not, because it was too much: it is still there, so it is no flapping."""


class AlertReason(StrEnum):
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
class AlertDecision:
    """What is told of an outcome, to which incident it belongs, and what is remembered of the role afterwards."""

    reason: AlertReason
    incident_id: str | None
    role_record: RoleRecord


def decide_alert(outcome: Outcome, now: datetime) -> AlertDecision:
    """Whether people are told of the outcome, by what is remembered of the role.

    An outcome without a memory, because the role could not even be looked at, is told as it is.
    """
    role_record = outcome.role_record
    if role_record is None:
        return AlertDecision(AlertReason.NEW if outcome.kind in ALERTED else AlertReason.NONE, None, RoleRecord())
    role_record = replace(role_record, told=tuple((mark, at) for mark, at in role_record.told if now - at < DAY))
    if outcome.kind in ALERTED and (outcome.may_have_written or not outcome.own):
        return _of_something_wrong(outcome, role_record, now)
    if outcome.own and outcome.kind is not OutcomeKind.CLEAN:
        return AlertDecision(
            AlertReason.NONE, None, role_record
        )  # what our own write left over was told when it was written
    return _of_nothing_wrong(role_record, now, in_order=outcome.kind is OutcomeKind.CLEAN)


def fingerprint(outcome: Outcome) -> str:
    """What is wrong, in 16 hex digits: the same as long as nothing else is wrong, however it is put in words."""
    wrong = sorted(" ".join((finding.code, finding.subject, *sorted(finding.actions))) for finding in outcome.findings)
    text = "\n".join((outcome.kind, outcome.refusal or "", outcome.cloud or "", outcome.hold or "", *wrong))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _of_something_wrong(outcome: Outcome, role_record: RoleRecord, now: datetime) -> AlertDecision:
    if outcome.hold is Hold.CAPPED and not outcome.may_have_written and not outcome.manual_findings:
        # One alert for all roles says that the limit is reached.
        return AlertDecision(AlertReason.NONE, None, role_record)
    mark = fingerprint(outcome)
    opened = role_record.incident
    incident_id = opened.incident_id if opened is not None else _incident_id(outcome, mark, now)
    reason = AlertReason.NEW if outcome.may_have_written else _reason(outcome, mark, role_record, now)
    if outcome.kind is OutcomeKind.REPAIRED:
        return AlertDecision(reason, incident_id, replace(role_record, incident=None))
    known = reason is not AlertReason.NONE or _is_known(opened, mark)
    incident = Incident(incident_id, mark, now if opened is None else opened.opened, told=known)
    told = role_record.told if reason is AlertReason.NONE else (*role_record.told, (mark, now))
    return AlertDecision(reason, incident_id, replace(role_record, incident=incident, told=told))


def _reason(outcome: Outcome, mark: str, role_record: RoleRecord, now: datetime) -> AlertReason:
    """That we have stopped repairing is told whatever else was told: a contest lasts for a day."""
    alike = [at for told, at in role_record.told if told == mark]
    if _is_known(role_record.incident, mark):
        return AlertReason.REMINDER if now - max(alike, default=now - DAY) >= REMINDER_AFTER else AlertReason.NONE
    is_bearable = len(alike) < MAX_REPEATS_PER_DAY and len(role_record.told) < MAX_ALERTS_PER_DAY
    if is_bearable or outcome.kind is OutcomeKind.CONFLICT or _has_stayed(role_record, mark, now):
        return AlertReason.NEW
    return AlertReason.NONE


def _is_known(incident: Incident | None, mark: str) -> bool:
    """Whether people know of the incident as it is."""
    return incident is not None and incident.fingerprint == mark and incident.told


def _has_stayed(role_record: RoleRecord, mark: str, now: datetime) -> bool:
    """Whether what was too much to tell has stayed, and nothing was told lately."""
    incident = role_record.incident
    if incident is None or incident.fingerprint != mark or now - incident.opened < REALERT_AFTER:
        return False
    return all(now - at >= REALERT_AFTER for _, at in role_record.told)


def _of_nothing_wrong(role_record: RoleRecord, now: datetime, *, in_order: bool) -> AlertDecision:
    conflict = role_record.conflict
    if conflict is not None and (in_order or now >= conflict.until):
        conflict = None  # not where only the tag was taken away: it may be set again at once
    recovered = replace(role_record, incident=None, conflict=conflict)
    opened = role_record.incident
    if opened is None:
        return AlertDecision(AlertReason.NONE, None, recovered)
    return AlertDecision(AlertReason.RESOLVED if opened.told else AlertReason.NONE, opened.incident_id, recovered)


def _incident_id(outcome: Outcome, mark: str, now: datetime) -> str:
    seed = "\n".join((outcome.account, outcome.role_name, mark, now.isoformat()))
    return hashlib.sha256(seed.encode()).hexdigest()[:16]
