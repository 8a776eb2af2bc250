"""The role record: the state of a role that is stored from one reconcile to the next.

An approval belongs to the role with its unique id: a role that was deleted and created again under the same name must
be approved again. Everything else is kept by name. Otherwise a caller that recreates the role would reset its conflict
and its alerts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from remediator.core.events.message_fields import Fields, json_line, read_message
from remediator.core.model.finding import Finding, FindingCode
from remediator.errors import MalformedRecord

FORMAT = 1
"""Version of the record's format; a record of another version is an error."""


@dataclass(frozen=True, slots=True)
class Approval:
    """The role may be enrolled in ``cloud``: ``by`` is the ARN of the approver, ``event_id`` the call.

    ``time`` is the time of the call (ISO 8601, UTC).
    """

    cloud: str
    by: str
    event_id: str
    time: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another principal keeps undoing the repairs of these findings; nothing is written until an operator decides.

    ``since`` and ``until`` (the end of the cool-down) are aware times. ``actors`` describe who undoes the repairs.
    ``events`` counts the calls since then. ``principals`` cannot end the conflict with a tag: the ARNs of the roles or
    users behind the calls that undid the repairs.
    """

    since: datetime
    until: datetime
    findings: tuple[Finding, ...]
    actors: tuple[str, ...]
    events: int = 0
    principals: tuple[str, ...] = ()

    @property
    def undone_by(self) -> str:
        """Who undoes the repairs, in words: a conflict can be known without any event that names a caller."""
        return ", ".join(self.actors) or "an unknown principal"


@dataclass(frozen=True, slots=True)
class Incident:
    """An open problem of the role.

    ``fingerprint`` identifies the problem; ``incident_id`` stays the same when the fingerprint changes. ``alerted``:
    the problem was alerted as it is now. ``outcome`` is the word for the outcome, and ``problem`` the problem in a few
    words; both are empty in a record of an earlier version.
    """

    incident_id: str
    fingerprint: str
    opened: datetime
    alerted: bool
    outcome: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """The stored state of a role; empty for a role without one.

    ``role_id`` is the unique id of the role. ``counted_from`` is when an operator resumed the role: earlier repairs do
    not count towards a conflict. ``alerts`` are those of the last day: the fingerprint of each, and when it was sent.
    ``open_changes`` are the ids of pending changes; the history keeps them, and they are not written with the record.
    ``version`` counts the writes, so that no update is lost.
    """

    role_id: str | None = None
    approval: Approval | None = None
    conflict: Conflict | None = None
    counted_from: datetime | None = None
    incident: Incident | None = None
    alerts: tuple[tuple[str, datetime], ...] = ()
    open_changes: tuple[str, ...] = ()
    version: int = 0

    def for_role_id(self, role_id: str) -> RoleRecord:
        """The record for the role with that unique id: without the approval where the role was created again."""
        return self if self.role_id == role_id else replace(self, role_id=role_id, approval=None)

    @property
    def is_pending(self) -> bool:
        """Whether every sweep must reconcile the role: an incident or a conflict is open."""
        return self.incident is not None or self.conflict is not None

    def says_the_same(self, other: RoleRecord) -> bool:
        """Whether replacing one by the other would change nothing."""
        return replace(self, open_changes=(), version=0) == replace(other, open_changes=(), version=0)


def role_record_json(role_record: RoleRecord) -> str:
    """The record as one line of JSON; ``parse_role_record`` reads it back."""
    conflict, incident = role_record.conflict, role_record.incident
    return json_line(
        {
            "format": FORMAT,
            "role_id": role_record.role_id,
            "approval": role_record.approval and asdict(role_record.approval),
            "contest": conflict
            and {
                "since": conflict.since.isoformat(),
                "until": conflict.until.isoformat(),
                "findings": [[finding.code, finding.subject] for finding in conflict.findings],
                "actors": conflict.actors,
                "events": conflict.events,
                "principals": conflict.principals,
            },
            "counted_from": role_record.counted_from and role_record.counted_from.isoformat(),
            "incident": incident
            and {
                "incident_id": incident.incident_id,
                "fingerprint": incident.fingerprint,
                "opened": incident.opened.isoformat(),
                "told": incident.alerted,
                "outcome": incident.outcome,
                "problem": incident.problem,
            },
            "told": [[fingerprint, at.isoformat()] for fingerprint, at in role_record.alerts],
        }
    )


def parse_role_record(text: str, *, open_changes: tuple[str, ...] = (), version: int = 0) -> RoleRecord:
    """Read what ``role_record_json`` wrote. Raises MalformedRecord for anything else: it never reads as empty."""
    role_record = read_message(text, "a role record", FORMAT, _role_record_of, MalformedRecord)
    return replace(role_record, open_changes=open_changes, version=version)


def _role_record_of(fields: Fields) -> RoleRecord:
    return RoleRecord(
        role_id=fields.text_or_none("role_id"),
        approval=fields.read_or_none("approval", _approval),
        conflict=fields.read_or_none("contest", _conflict),
        counted_from=None if fields.is_null("counted_from") else fields.time("counted_from"),
        incident=fields.read_or_none("incident", _incident),
        alerts=tuple((mark, Fields({"at": at}).time("at")) for mark, at in fields.pairs("told")),
    )


def _approval(fields: Fields) -> Approval:
    return Approval(*(fields.text(key) for key in ("cloud", "by", "event_id", "time")))


def _conflict(fields: Fields) -> Conflict:
    return Conflict(
        since=fields.time("since"),
        until=fields.time("until"),
        findings=tuple(Finding(FindingCode(code), subject) for code, subject in fields.pairs("findings")),
        actors=fields.texts("actors"),
        events=fields.count("events"),
        principals=fields.texts("principals"),
    )


def _incident(fields: Fields) -> Incident:
    return Incident(
        incident_id=fields.text("incident_id"),
        fingerprint=fields.text("fingerprint"),
        opened=fields.time("opened"),
        alerted=fields.flag("told"),
        outcome=fields.text("outcome", may_be_empty=True) if fields.has("outcome") else "",
        problem=fields.text("problem", may_be_empty=True) if fields.has("problem") else "",
    )
