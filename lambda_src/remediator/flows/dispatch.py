"""From an event to a queued request: which role, does it exist, does it ask for us?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias, assert_never

from remediator.core.enrollment import Enrolled, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.event import Ignored, RoleTrigger, is_fresh, parse_event
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.request import ReconcileRequest, request_for
from remediator.core.state import Role
from remediator.errors import NotYetVisible, RemediatorError
from remediator.settings import MODE_TAG, Settings


class RoleReader(Protocol):
    """Where roles are read."""

    def read_role(self, role_name: str) -> Reading[Role]:
        """The role with its tags and trust policy."""
        ...


class RequestSink(Protocol):
    """Where requests go."""

    def send(self, request: ReconcileRequest) -> None:
        """Queue the request."""
        ...


@dataclass(frozen=True, slots=True)
class Queued:
    """The role asks for us, and its request is in the work queue."""

    request: ReconcileRequest


@dataclass(frozen=True, slots=True)
class Dropped:
    """The event leads to nothing; ``why`` is for the log."""

    why: str
    role_name: str | None = None


Dispatched: TypeAlias = Queued | Dropped


def dispatch(
    envelope: object, *, account: str, roles: RoleReader, queue: RequestSink, settings: Settings, now: datetime
) -> Dispatched:
    """Queue a request for the role that an event concerns, if the role carries the enrolment tag.

    Costs at most one read. A refused role is queued too, since the refusal must be reported. Raises MalformedEvent
    and AwsError; NotYetVisible where a fresh event says more than AWS shows yet.
    """
    trigger = parse_event(envelope, account=account)
    match trigger:
        case Ignored(why=why):
            return Dropped(why)
        case RoleTrigger():
            return _dispatch_role(trigger, roles=roles, queue=queue, settings=settings, now=now)
        case _ as never:
            assert_never(never)


def _dispatch_role(
    trigger: RoleTrigger, *, roles: RoleReader, queue: RequestSink, settings: Settings, now: datetime
) -> Dispatched:
    match roles.read_role(trigger.role_name):
        case Absent():
            if trigger.cause.call == "CreateRole" and is_fresh(trigger.cause, now):
                raise NotYetVisible(f"role {trigger.role_name} was just created, but cannot be seen yet")
            return Dropped("the role does not exist (any more)", trigger.role_name)
        case Unreadable(why=why):
            raise RemediatorError(f"role {trigger.role_name} cannot be read, so that its enrolment is unknown: {why}")
        case Present(value=role):
            pass
    enrollment = decide_enrollment(role, settings, account=trigger.account)
    match enrollment:
        case NotEnrolled(why=why) | Off(why=why):
            if is_fresh(trigger.cause, now) and _contradicts(trigger, role, (settings.enrollment_tag, MODE_TAG)):
                raise NotYetVisible(f"the tags of role {trigger.role_name} were just changed, and cannot be seen yet")
            return Dropped(why, trigger.role_name)
        case Enrolled() | Refused():
            request = request_for(trigger)
            queue.send(request)
            return Queued(request)
        case _ as never:
            assert_never(never)


def _contradicts(trigger: RoleTrigger, role: Role, keys: tuple[str, ...]) -> bool:
    """Whether the role, as it was read, shows other tags than the event says it has by now."""
    return any(
        (key in trigger.tagged and role.tags.get(key) != trigger.tagged[key])
        or (key in trigger.untagged and key in role.tags)
        for key in keys
    )
