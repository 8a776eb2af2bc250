"""From an event to queued requests: which roles does it concern, do they exist, do they ask to be managed?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.events.event import (
    Cause,
    Ignored,
    RoleTrigger,
    SharedTrigger,
    is_recent_cause,
    parse_event,
    parse_time,
)
from remediator.core.events.request import ReconcileRequest, request_for
from remediator.core.events.sweep import MOST_ROLES_OF_A_POLICY, SweepReason, SweepRequest, sweep_for
from remediator.core.events.watched import Concern
from remediator.core.model.role import Role
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.errors import NotYetVisible, RemediatorError
from remediator.gateways.world import World
from remediator.settings import MODE_TAG, Settings

_LONGEST_TAG_VALUE = 256
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html"""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The event leads to nothing, at least for the role that is named; ``why`` is for the log."""

    why: str
    role_name: str | None = None


Dispatched: TypeAlias = ReconcileRequest | SweepRequest | Dropped
"""A request that is queued now, or why there is none."""


def dispatch(envelope: object, world: World) -> tuple[Dispatched, ...]:
    """Queue what an event asks for, and say what was queued or dropped: one result, or one per role of a policy.

    A role is read, and queued if it carries the enrolment tag; a refused one too, since the refusal must be reported.
    What concerns the roles of whole clouds is left to a sweep. Our own writes to buckets ask for nothing.
    Raises MalformedEvent and AwsError; NotYetVisible where a fresh event says more than AWS shows yet; RemediatorError
    where a role, or the list of a policy's roles, cannot be read. Whatever is raised, all that could be queued has
    been, and doing it again does no harm.
    """
    trigger = parse_event(envelope, account=world.account)
    match trigger:
        case Ignored(why=why):
            return (Dropped(why),)
        case RoleTrigger():
            if trigger.namesake is None:
                return (_dispatch_role(trigger, world),)
            other = RoleTrigger(trigger.account, trigger.namesake, trigger.cause)
            return _dispatch_roles((trigger, other), "roles that the instance profile concerns", world)
        case SharedTrigger(concern=Concern.MANAGED_POLICY):
            return _dispatch_policy(trigger, world)
        case SharedTrigger(concern=Concern.BUCKET) if trigger.cause.actor.issuer_arn == world.own_role_arn:
            # A repair reads back what it wrote; a sweep after each would check every role for nothing.
            return (Dropped(f"the policy of bucket {trigger.name} was written by ourselves"),)
        case SharedTrigger():
            swept = sweep_for(trigger, world.settings)
            return (Dropped(swept.why) if isinstance(swept, Ignored) else _sweep(swept, world),)
        case _ as never:
            assert_never(never)


def _sweep(request: SweepRequest, world: World) -> SweepRequest:
    world.sweeps.send(request)
    return request


def _dispatch_policy(trigger: SharedTrigger, world: World) -> tuple[Dispatched, ...]:
    arn = trigger.name
    match world.roles.roles_of_policy(arn):
        case Absent():
            return (Dropped(f"the managed policy {arn} does not exist (any more)"),)
        case Unreadable(why=why):
            raise RemediatorError(f"the roles that use {arn} are unknown: {why}")
        case Present(value=()):
            return (Dropped(f"no role uses the managed policy {arn}"),)
        case Present(value=names) if len(names) > MOST_ROLES_OF_A_POLICY:
            return (_sweep(SweepRequest(SweepReason.EVENT, None, trigger.cause), world),)
        case Present(value=names):
            triggers = tuple(RoleTrigger(trigger.account, name, trigger.cause) for name in names)
            return _dispatch_roles(triggers, f"roles that use {arn}", world)
        case _ as never:
            assert_never(never)


def _dispatch_roles(triggers: tuple[RoleTrigger, ...], what: str, world: World) -> tuple[Dispatched, ...]:
    """All that can be checked are; then the first error of the others is raised, with how many they are."""
    dispatched: list[Dispatched] = []
    failed: list[RemediatorError] = []
    for trigger in triggers:
        try:
            dispatched.append(_dispatch_role(trigger, world))
        except RemediatorError as error:
            failed.append(error)
    if failed:
        why = f"{len(failed)} of the {len(triggers)} {what} could not be checked or queued"
        raise RemediatorError(f"{why}; the first because {failed[0]}") from failed[0]
    return tuple(dispatched)


def _dispatch_role(trigger: RoleTrigger, world: World) -> ReconcileRequest | Dropped:
    settings, name = world.settings, trigger.role_name
    fresh = is_recent_cause(trigger.cause, world.clock())
    role = _role_of(trigger, world, fresh=fresh)
    if role is None:
        return Dropped("the role does not exist (any more)", name)
    enrollment = decide_enrollment(role, settings, account=trigger.account)
    match enrollment:
        case NotEnrolled() if settings.approvers and settings.enrollment_tag in trigger.untagged:
            pass  # whoever approved the role has not approved what may be tagged again by anybody
        case NotEnrolled(why=why) | Off(why=why):
            return Dropped(why, name)
        case Enrolled() | Refused():
            if fresh and _was_deleted(trigger, role):
                raise NotYetVisible(f"role {name} was just deleted, and can still be seen")
        case _ as never:
            assert_never(never)
    bucket = settings.shared_bucket(enrollment.cloud) if isinstance(enrollment, Enrolled) else None
    request = request_for(replace(trigger, cause=_with_what_it_asks_for(trigger, settings)), bucket=bucket)
    world.work.send(request)
    return request


def _role_of(trigger: RoleTrigger, world: World, *, fresh: bool) -> Role | None:
    """The role, None where there is none. Raises NotYetVisible where a ``fresh`` event says more than AWS shows yet."""
    name, tag = trigger.role_name, world.settings.enrollment_tag
    match world.roles.read_role(name):
        case Absent():
            if fresh and (trigger.cause.call == "CreateRole" or tag in trigger.tagged):
                # Any other call about an absent role came before its deletion.
                raise NotYetVisible(f"role {name} was just created or enrolled, but cannot be seen yet")
            return None
        case Unreadable(why=why):
            raise RemediatorError(f"role {name} cannot be read, so that its enrollment is unknown: {why}")
        case Present(value=role):
            if fresh and _contradicts(trigger, role, (tag, MODE_TAG)):
                raise NotYetVisible(f"the tags of role {name} were just changed, and cannot be seen yet")
            return role
        case _ as never:
            assert_never(never)


def _with_what_it_asks_for(trigger: RoleTrigger, settings: Settings) -> Cause:
    """The cause with the values that the call gave the remediator's two tags: by whose hand they were set must be known
    later."""
    removed_value = "" if settings.enrollment_tag in trigger.untagged else None
    enrolls, mode = trigger.tagged.get(settings.enrollment_tag, removed_value), trigger.tagged.get(MODE_TAG)
    return replace(
        trigger.cause,
        enrolls=None if enrolls is None else enrolls[:_LONGEST_TAG_VALUE],
        mode=None if mode is None else mode[:_LONGEST_TAG_VALUE],
    )


def _was_deleted(trigger: RoleTrigger, role: Role) -> bool:
    """Whether the role, as it was read, is the one that the call deleted, and not one created in its place."""
    deleted = parse_time(trigger.cause.time) if trigger.cause.call == "DeleteRole" else None
    return deleted is not None and (role.created is None or role.created < deleted)


def _contradicts(trigger: RoleTrigger, role: Role, keys: tuple[str, ...]) -> bool:
    """Whether the role, as it was read, shows other tags than the event says it has now."""
    return any(
        (key in trigger.tagged and role.tags.get(key) != trigger.tagged[key])
        or (key in trigger.untagged and key in role.tags)
        for key in keys
    )
