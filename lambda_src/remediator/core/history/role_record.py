"""What is remembered of a role from one reconcile to the next.

An approval belongs to the role with its unique id: one that was deleted and created again under the same name must be
approved anew. All else goes by the name, or else whoever creates the role anew would begin every fight and every alert
from the start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from remediator.core.events.message_fields import read_list, read_object, read_text
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
class Contest:
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
class Told:
    """That people were told of something, by its fingerprint, at a time with its zone."""

    fingerprint: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RoleMemory:
    """What is remembered of a role; empty for one that was never seen.

    ``role_id`` is the unique id of the role. ``counted_from`` is when a person resumed the role: repairs before that
    do not count towards a contest. ``told`` are the alerts of the last day. ``open_changes`` are the ids of changes
    that were intended and not concluded; they are kept by the history itself and are no part of what is written.
    ``version`` counts the writes, so that none is lost.
    """

    role_id: str | None = None
    approval: Approval | None = None
    contest: Contest | None = None
    counted_from: datetime | None = None
    incident: Incident | None = None
    told: tuple[Told, ...] = ()
    open_changes: tuple[str, ...] = ()
    version: int = 0

    def of(self, role_id: str) -> RoleMemory:
        """What is remembered of the role with that unique id: no approval, where it is another one than before."""
        return self if self.role_id == role_id else replace(self, role_id=role_id, approval=None)

    @property
    def is_unsettled(self) -> bool:
        """Whether the role must be looked at even if nothing happens: people believe that something is open."""
        return self.incident is not None or self.contest is not None

    def says_the_same(self, other: RoleMemory) -> bool:
        """Whether writing one over the other would change nothing."""
        return replace(self, open_changes=(), version=0) == replace(other, open_changes=(), version=0)


def memory_json(memory: RoleMemory) -> str:
    """What is remembered as one line of JSON; ``parse_memory`` reads it back."""
    contest, incident = memory.contest, memory.incident
    return json.dumps(
        {
            "format": FORMAT,
            "role_id": memory.role_id,
            "approval": None if memory.approval is None else asdict(memory.approval),
            "contest": None
            if contest is None
            else {
                "since": contest.since.isoformat(),
                "until": contest.until.isoformat(),
                "findings": [[finding.code, finding.subject] for finding in contest.findings],
                "actors": contest.actors,
                "events": contest.events,
                "principals": contest.principals,
            },
            "counted_from": None if memory.counted_from is None else memory.counted_from.isoformat(),
            "incident": None if incident is None else {**asdict(incident), "opened": incident.opened.isoformat()},
            "told": [[each.fingerprint, each.at.isoformat()] for each in memory.told],
        },
        separators=(",", ":"),
    )


def parse_memory(text: str, *, open_changes: tuple[str, ...] = (), version: int = 0) -> RoleMemory:
    """Read what ``memory_json`` wrote. Raises MalformedRecord for anything else: it is never taken for nothing."""
    try:
        fields = read_object(json.loads(text))
        if fields.get("format") != FORMAT:
            raise MalformedRecord(f"what is remembered of a role is not of format {FORMAT}")
        role_id = fields["role_id"]
        return RoleMemory(
            role_id=None if role_id is None else read_text(fields, "role_id"),
            approval=_approval(fields["approval"]),
            contest=_contest(fields["contest"]),
            counted_from=None if fields["counted_from"] is None else _time(fields, "counted_from"),
            incident=_incident(fields["incident"]),
            told=tuple(_told(each) for each in read_list(fields["told"])),
            open_changes=open_changes,
            version=version,
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedRecord(f"what is remembered of a role cannot be read: {str(error)[:200]}") from error


def _approval(value: object) -> Approval | None:
    if value is None:
        return None
    fields = read_object(value)
    return Approval(*(read_text(fields, key) for key in ("cloud", "by", "event_id", "time")))


def _contest(value: object) -> Contest | None:
    if value is None:
        return None
    fields = read_object(value)
    events = fields["events"]
    if not isinstance(events, int) or isinstance(events, bool):
        raise TypeError("`events` must be a number")
    return Contest(
        since=_time(fields, "since"),
        until=_time(fields, "until"),
        findings=tuple(
            Finding(FindingCode(str(code)), str(subject))
            for code, subject in map(read_list, read_list(fields["findings"]))
        ),
        actors=tuple(str(actor) for actor in read_list(fields["actors"])),
        events=events,
        principals=tuple(str(principal) for principal in read_list(fields["principals"])),
    )


def _incident(value: object) -> Incident | None:
    if value is None:
        return None
    fields = read_object(value)
    return Incident(
        read_text(fields, "incident_id"),
        read_text(fields, "fingerprint"),
        _time(fields, "opened"),
        fields["told"] is True,
    )


def _told(value: object) -> Told:
    fingerprint, at = read_list(value)
    return Told(str(fingerprint), _time({"at": at}, "at"))


def _time(fields: Mapping[str, object], key: str) -> datetime:
    time = datetime.fromisoformat(read_text(fields, key))
    if time.tzinfo is None:
        raise ValueError(f"`{key}` names no zone")
    return time
