"""Whether an outcome is alerted: alerts are about changes of state, not about every reconcile.

What requires an operator is alerted once, again when it changes, once a day while it stays, and once when it is
resolved. A write is always alerted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from remediator.core.history.role_record import Incident, RoleRecord
from remediator.core.model.plain_text import foreign
from remediator.core.repair.finding_texts import problems_of
from remediator.core.repair.outcome import ALERTED, Hold, Outcome, OutcomeKind

_PROBLEM_LIMIT: Final = 200

DAY: Final = timedelta(hours=24)
REMINDER_AFTER: Final = timedelta(hours=23)
"""A little less than a day, because the sweep that reminds runs at the same time each day, or a moment earlier."""

MAX_REPEATS_PER_DAY: Final = 3
"""How often the same state is alerted within a day; a tag can flap a thousand times."""
MAX_ALERTS_PER_DAY: Final = 12
"""How many alerts about one role are sent within a day, besides those about writes."""
REALERT_AFTER: Final = timedelta(hours=1)
"""After this time, a state that was suppressed as too frequent is alerted: it persists, so it is not flapping."""


class AlertReason(StrEnum):
    """Why an outcome is alerted."""

    NEW = "new"
    """Something was written, or a problem is not reported yet."""
    REMINDER = "reminder"
    """The problem was reported a day ago and persists."""
    RESOLVED = "resolved"
    """A reported problem is gone."""
    NONE = "none"
    """Nothing is new: no alert."""


@dataclass(frozen=True, slots=True)
class AlertDecision:
    """Why an outcome is alerted, the incident that it belongs to, the role record afterwards, and the time."""

    reason: AlertReason
    incident_id: str | None
    role_record: RoleRecord
    decided_at: datetime


def decide_alert(outcome: Outcome, now: datetime) -> AlertDecision:
    """Whether the outcome is alerted, by the role record.

    An outcome without a role record, because the role could not even be read, is alerted as it is.
    """
    record = outcome.role_record
    if record is None:
        reason = AlertReason.NEW if outcome.kind in ALERTED else AlertReason.NONE
        return AlertDecision(reason, None, RoleRecord(), now)
    record = replace(record, alerts=tuple((mark, at) for mark, at in record.alerts if now - at < DAY))
    if outcome.kind in ALERTED and (outcome.may_have_written or not outcome.own):
        return _broken(outcome, record, now)
    if outcome.own and outcome.kind is not OutcomeKind.CLEAN:
        # What our own write did not repair was alerted together with that write.
        return AlertDecision(AlertReason.NONE, None, record, now)
    return _in_order(record, now, is_clean=outcome.kind is OutcomeKind.CLEAN)


def fingerprint(outcome: Outcome) -> str:
    """The problem in 16 hex digits: the same as long as nothing else is wrong, however it is worded."""
    wrong = sorted(" ".join((finding.code, finding.subject, *sorted(finding.actions))) for finding in outcome.findings)
    text = "\n".join((outcome.kind, outcome.refusal or "", outcome.cloud or "", outcome.hold or "", *wrong))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _broken(outcome: Outcome, record: RoleRecord, now: datetime) -> AlertDecision:
    if outcome.hold is Hold.CAPPED and not outcome.may_have_written and not outcome.manual_findings:
        # One system notice for all roles says that the limit is reached.
        return AlertDecision(AlertReason.NONE, None, record, now)
    mark = fingerprint(outcome)
    opened = record.incident
    incident_id = opened.incident_id if opened is not None else _incident_id(outcome, mark, now)
    reason = AlertReason.NEW if outcome.may_have_written else _reason(outcome, mark, record, now)
    if outcome.kind is OutcomeKind.REPAIRED:
        return AlertDecision(reason, incident_id, replace(record, incident=None), now)
    known = reason is not AlertReason.NONE or _is_known(opened, mark)
    incident = Incident(
        incident_id,
        mark,
        now if opened is None else opened.opened,
        alerted=known,
        outcome=outcome.kind,
        problem=problems_of(outcome.worst_first) or foreign(outcome.why, _PROBLEM_LIMIT),
    )
    alerts = record.alerts if reason is AlertReason.NONE else (*record.alerts, (mark, now))
    return AlertDecision(reason, incident_id, replace(record, incident=incident, alerts=alerts), now)


def _reason(outcome: Outcome, mark: str, record: RoleRecord, now: datetime) -> AlertReason:
    """A conflict is alerted however many alerts were sent before: repairs have stopped."""
    alike = [at for alerted, at in record.alerts if alerted == mark]
    if _is_known(record.incident, mark):
        return AlertReason.REMINDER if now - max(alike, default=now - DAY) >= REMINDER_AFTER else AlertReason.NONE
    is_bearable = len(alike) < MAX_REPEATS_PER_DAY and len(record.alerts) < MAX_ALERTS_PER_DAY
    if is_bearable or outcome.kind is OutcomeKind.CONFLICT or _persists(record, mark, now):
        return AlertReason.NEW
    return AlertReason.NONE


def _is_known(incident: Incident | None, mark: str) -> bool:
    """Whether the incident was alerted as it is."""
    return incident is not None and incident.fingerprint == mark and incident.alerted


def _persists(record: RoleRecord, mark: str, now: datetime) -> bool:
    """Whether a suppressed problem persists, and no alert was sent lately."""
    incident = record.incident
    if incident is None or incident.fingerprint != mark or now - incident.opened < REALERT_AFTER:
        return False
    return all(now - at >= REALERT_AFTER for _, at in record.alerts)


def _in_order(record: RoleRecord, now: datetime, *, is_clean: bool) -> AlertDecision:
    conflict = record.conflict
    if conflict is not None and (is_clean or now >= conflict.until):
        conflict = None  # it stays where only the tag was removed: the tag can be set again
    recovered = replace(record, incident=None, conflict=conflict)
    opened = record.incident
    if opened is None:
        return AlertDecision(AlertReason.NONE, None, recovered, now)
    reason = AlertReason.RESOLVED if opened.alerted else AlertReason.NONE
    return AlertDecision(reason, opened.incident_id, recovered, now)


def _incident_id(outcome: Outcome, mark: str, now: datetime) -> str:
    seed = "\n".join((outcome.account, outcome.role_name, mark, now.isoformat()))
    return hashlib.sha256(seed.encode()).hexdigest()[:16]
