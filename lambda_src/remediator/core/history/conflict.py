"""Conflicts: where another principal keeps undoing the same repair, an operator has to decide which is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from remediator.core.events.actors import describe_actor
from remediator.core.events.event import APPLY_CALL, TAGGING, Cause
from remediator.core.events.sweep import is_sweep
from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.history.role_record import Conflict, RoleRecord
from remediator.core.model.finding import REPAIRABLE, Finding
from remediator.settings import MODE_TAG, ConflictLimit, Mode

_COUNTED = (ChangeState.COMPLETED, ChangeState.UNCONFIRMED)
_MOST_ACTORS = 5
_MOST_PRINCIPALS = 20


def counted_since(role_record: RoleRecord, limit: ConflictLimit, now: datetime) -> datetime:
    """From when repairs count: for one window back, but not from before an operator resumed the role."""
    window = now - timedelta(minutes=limit.minutes)
    return window if role_record.counted_from is None else max(window, role_record.counted_from)


def detect_conflict(
    recent: Iterable[Change],
    findings: Iterable[Finding],
    causes: tuple[Cause, ...],
    *,
    limit: ConflictLimit,
    now: datetime,
    own_role_arn: str,
) -> Conflict | None:
    """The conflict that begins now, because a finding was repaired too often and is back; None where none begins.

    ``recent`` are the changes of the role since ``counted_since``. A repair that was written but not confirmed counts
    too: undoing it immediately must not lead to another repair each time. So does a repair of a role that was deleted
    and created again since.
    """
    made = [change for change in recent if change.kind is not ChangeKind.UNDO and change.state in _COUNTED]
    repeated = tuple(_repaired_too_often(findings, made, limit))
    if not repeated:
        return None
    undone_by = [
        *(cause for change in made[1:] for cause in change.causes),  # the first repair answered no undoing
        *causes,
    ]
    begun = Conflict(since=now, until=now + timedelta(minutes=limit.cool_down_minutes), findings=repeated, actors=())
    return replace(counted(begun, tuple(undone_by), own_role_arn=own_role_arn), events=0)


def _repaired_too_often(findings: Iterable[Finding], made: Iterable[Change], limit: ConflictLimit) -> Iterator[Finding]:
    repaired = Counter((finding.code, finding.subject) for change in made for finding in change.findings)
    for finding in findings:
        if finding.code in REPAIRABLE and repaired[finding.code, finding.subject] >= limit.repairs:
            yield Finding(finding.code, finding.subject)


def apply_operator_override(
    role_record: RoleRecord, causes: tuple[Cause, ...], *, limit: ConflictLimit, now: datetime, own_role_arn: str
) -> RoleRecord:
    """The role record without a conflict that has cooled down, or that an operator has ended by the resume tag.

    The tag counts only if it was set after the conflict began. It does not count from a principal that undid the
    repairs, which may set it with every run, nor a second time within the cool-down. ``remediator resume`` then ends
    the conflict.
    """
    conflict = role_record.conflict
    if conflict is None:
        return role_record
    cool_down = timedelta(minutes=limit.cool_down_minutes)
    resumed_lately = role_record.counted_from is not None and now - role_record.counted_from < cool_down
    resumed = not resumed_lately and any(_resumes(cause, conflict, own_role_arn) for cause in causes)
    return replace(role_record, conflict=None, counted_from=now) if resumed or now >= conflict.until else role_record


def _resumes(cause: Cause, conflict: Conflict, own_role_arn: str) -> bool:
    return (
        cause.mode is not None
        and cause.mode.strip().casefold() == Mode.REPAIR
        and datetime.fromisoformat(cause.time) >= conflict.since.replace(microsecond=0)
        and _is_of_others(cause, own_role_arn)
        and _principal(cause) not in conflict.principals
    )


def counted(conflict: Conflict, causes: tuple[Cause, ...], *, own_role_arn: str) -> Conflict:
    """The conflict with the calls made since, and their callers."""
    further = [cause for cause in causes if _is_of_others(cause, own_role_arn)]
    # A call that only tags undoes nothing.
    undoing = [cause for cause in further if cause.call not in TAGGING]
    actors = dict.fromkeys((*conflict.actors, *(describe_actor(cause.actor) for cause in undoing)))
    principals = dict.fromkeys((*conflict.principals, *map(_principal, undoing)))
    return replace(
        conflict,
        events=conflict.events + len(further),
        actors=tuple(actors)[:_MOST_ACTORS],
        principals=tuple(principals)[:_MOST_PRINCIPALS],
    )


def resume_command(role_name: str) -> str:
    """The command that ends a conflict, so that the role is repaired again."""
    return f"remediator resume {role_name}"


def mode_command(role_name: str, mode: str) -> str:
    """The command that sets the role's mode tag: ``repair``, ``observe`` or ``off``."""
    return f"aws iam tag-role --role-name {role_name} --tags Key={MODE_TAG},Value={mode}"


def _principal(cause: Cause) -> str:
    """The role or user behind a call; the name of a session may differ in every run."""
    return cause.actor.issuer_arn or cause.actor.arn


def _is_of_others(cause: Cause, own_role_arn: str) -> bool:
    return not is_sweep(cause) and cause.call != APPLY_CALL and cause.actor.issuer_arn != own_role_arn
