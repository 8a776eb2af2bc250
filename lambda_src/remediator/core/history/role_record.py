"""What is remembered of a role from one reconcile to the next.

An approval belongs to the role with its unique id: one that was deleted and created again under the same name must be
approved anew. All else goes by the name, or else whoever creates the role anew would begin every fight and every alert
from the start.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from remediator.core.events.message_fields import Fields, json_line, read_message
from remediator.core.model.finding import Finding, FindingCode
from remediator.errors import MalformedRecord

FORMAT = 1
"""Version of the record's form; a record of another version is never guessed at."""


@dataclass(frozen=True, slots=True)
class Approval:
    """That the role may be enrolled in ``cloud``: ``by`` is the ARN of the approver, ``event_id`` the call.

    ``time`` is when it was made (ISO 8601, UTC).
    """

    cloud: str
    by: str
    event_id: str
    time: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """That somebody keeps undoing our repairs of these findings, so that nothing is written until a person decides.

    ``since`` and ``until``, when the cool-down ends, have their zone. ``actors`` describe who undoes them. ``events``
    counts the calls that came since. ``principals`` are those who may not end it with a tag: the ARNs of the roles or
    users behind the calls that undid our repairs.
    """

    since: datetime
    until: datetime
    findings: tuple[Finding, ...]
    actors: tuple[str, ...]
    events: int = 0
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """What is wrong with the role and is still open.

    ``fingerprint`` says what it is; ``incident_id`` names it for good, also when the fingerprint changes. ``told`` says
    whether people know of it as it is now.
    """

    incident_id: str
    fingerprint: str
    opened: datetime
    told: bool


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """What is remembered of a role; empty for one that was never seen.

    ``role_id`` is the unique id of the role. ``counted_from`` is when a person resumed the role: repairs before that
    do not count towards a contest. ``told`` are the alerts of the last day: what each was about, by
    its fingerprint, and when it was sent. ``open_changes`` are the ids of changes
    that were intended and not concluded; they are kept by the history itself and are no part of what is written.
    ``version`` counts the writes, so that none is lost.
    """

    role_id: str | None = None
    approval: Approval | None = None
    conflict: Conflict | None = None
    counted_from: datetime | None = None
    incident: Incident | None = None
    told: tuple[tuple[str, datetime], ...] = ()
    open_changes: tuple[str, ...] = ()
    version: int = 0

    def of(self, role_id: str) -> RoleRecord:
        """What is remembered of the role with that unique id: no approval, where it is another one than before."""
        return self if self.role_id == role_id else replace(self, role_id=role_id, approval=None)

    @property
    def is_pending(self) -> bool:
        """Whether the role must be looked at even if nothing happens: people believe that something is open."""
        return self.incident is not None or self.conflict is not None

    def says_the_same(self, other: RoleRecord) -> bool:
        """Whether writing one over the other would change nothing."""
        return replace(self, open_changes=(), version=0) == replace(other, open_changes=(), version=0)


def role_record_json(role_record: RoleRecord) -> str:
    """What is remembered as one line of JSON; ``parse_role_record`` reads it back."""
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
            "incident": incident and {**asdict(incident), "opened": incident.opened.isoformat()},
            "told": [[fingerprint, at.isoformat()] for fingerprint, at in role_record.told],
        }
    )


def parse_role_record(text: str, *, open_changes: tuple[str, ...] = (), version: int = 0) -> RoleRecord:
    """Read what ``role_record_json`` wrote. Raises MalformedRecord for anything else: it is never taken for nothing."""
    role_record = read_message(text, "what is remembered of a role", FORMAT, _role_record_of, MalformedRecord)
    return replace(role_record, open_changes=open_changes, version=version)


def _role_record_of(fields: Fields) -> RoleRecord:
    return RoleRecord(
        role_id=fields.text_or_none("role_id"),
        approval=fields.read_or_none("approval", _approval),
        conflict=fields.read_or_none("contest", _conflict),
        counted_from=None if fields.is_null("counted_from") else fields.time("counted_from"),
        incident=fields.read_or_none("incident", _incident),
        told=tuple((mark, Fields({"at": at}).time("at")) for mark, at in fields.pairs("told")),
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
        told=fields.flag("told"),
    )
