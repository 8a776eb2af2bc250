"""No tug-of-war: where somebody keeps undoing the same repair, a person has to decide who is right."""

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
    """From when on repairs count: for one window back, but not from before a person resumed the role."""
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
    """The contest that begins now, because a finding is there again that was repaired too often; None where none does.

    ``recent`` are the changes of the role since ``counted_since``. A repair that was written but not seen counts too:
    somebody who undoes it at once must not get another one for it each time. So does one of a role that was deleted and
    created anew since.
    """
    made = [change for change in recent if change.kind is not ChangeKind.UNDO and change.state in _COUNTED]
    repeated = tuple(_repaired_too_often(findings, made, limit))
    if not repeated:
        return None
    undone_by = [
        *(cause for change in made[1:] for cause in change.causes),  # the first repair undid nobody's undoing
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
    """What is remembered, less a contest that has cooled down or that a person has ended by setting the tag to repair.

    The tag counts where it was set after the contest began: an event that comes late says nothing of it. It does not
    count by the hand of those who undid our repairs, who may set it with every run, nor a second time within the
    cool-down: then ``remediator resume`` ends the contest.
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
    """The contest with the calls that came since, and who made them."""
    further = [cause for cause in causes if _is_of_others(cause, own_role_arn)]
    # Whoever only tags undoes nothing.
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
    """The command that lets the remediator repair a role again."""
    return f"aws iam tag-role --role-name {role_name} --tags Key={MODE_TAG},Value={Mode.REPAIR}"


def _principal(cause: Cause) -> str:
    """Who made a call, whatever the session is called: its name may be another one in every run."""
    return cause.actor.issuer_arn or cause.actor.arn


def _is_of_others(cause: Cause, own_role_arn: str) -> bool:
    return not is_sweep(cause) and cause.call != APPLY_CALL and cause.actor.issuer_arn != own_role_arn
