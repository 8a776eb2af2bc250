"""From an event to queued requests: which roles does it concern, do they exist, do they ask for us?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.events.event import (
    Cause,
    Ignored,
    RoleTrigger,
    SharedTrigger,
    is_fresh,
    parse_event,
    parse_time,
)
from remediator.core.events.request import ReconcileRequest, request_for
from remediator.core.events.sweep import SweepReason, SweepRequest
from remediator.core.events.watched import Concern
from remediator.core.model.role import Role
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.errors import NotYetVisible, RemediatorError
from remediator.gateways.world import World
from remediator.settings import MODE_TAG, Cloud, Settings

MOST_ROLES_OF_A_POLICY = 50
"""How many roles are read one by one because of one event; beyond that one sweep costs fewer calls, and less time."""


_LONGEST_TAG_VALUE = 256
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html"""


@dataclass(frozen=True, slots=True)
class Queued:
    """The role asks for us, and its request is in the work queue."""

    request: ReconcileRequest


@dataclass(frozen=True, slots=True)
class SweepQueued:
    """The event concerns more roles than can be named here, and its request is in the sweep queue."""

    request: SweepRequest


@dataclass(frozen=True, slots=True)
class Dropped:
    """The event leads to nothing, at least for the role that is named; ``why`` is for the log."""

    why: str
    role_name: str | None = None


Dispatched: TypeAlias = Queued | SweepQueued | Dropped


def dispatch(envelope: object, world: World) -> tuple[Dispatched, ...]:
    """Queue what an event asks for, and say what was queued or dropped: one result, or one per role of a policy.

    A role is read, and queued if it carries the enrolment tag; a refused one too, since the refusal must be reported.
    What concerns the roles of whole clouds is left to a sweep. The reconciler's own writes to buckets ask for nothing.
    Raises MalformedEvent and AwsError; NotYetVisible where a fresh event says more than AWS shows yet; RemediatorError
    where a role, or the list of a policy's roles, cannot be read. Whatever is raised, all that could be queued has
    been, and doing it again does no harm.
    """
    trigger = parse_event(envelope, account=world.account)
    each_role = _EachRole(world)
    match trigger:
        case Ignored(why=why):
            return (Dropped(why),)
        case RoleTrigger():
            return each_role.of_trigger(trigger)
        case SharedTrigger(concern=Concern.MANAGED_POLICY):
            return _dispatch_policy(trigger, each_role, world)
        case SharedTrigger(concern=Concern.BUCKET, name=bucket, cause=cause) if (
            cause.actor.issuer_arn == world.own_role_arn
        ):
            # A repair reads back what it wrote; a sweep after each would look at every role for nothing.
            return (Dropped(f"the policy of bucket {bucket} was written by ourselves"),)
        case SharedTrigger():
            swept = sweep_for(trigger, world.settings)
            return (swept if isinstance(swept, Dropped) else _sweep(swept, world),)
        case _ as never:
            assert_never(never)


def sweep_for(trigger: SharedTrigger, settings: Settings) -> SweepRequest | Dropped:
    """The sweep that a call on a bucket, a key or the account asks for; dropped where none of our clouds is concerned.

    A sweep because of the account as a whole is one of all clouds.
    """
    if trigger.concern is Concern.BUCKET:
        return _sweep_of_clouds(settings.clouds_of_bucket(trigger.name), trigger)
    if trigger.concern is Concern.KEY:
        return _sweep_of_clouds(settings.clouds_of_key(trigger.name), trigger)
    return SweepRequest(SweepReason.EVENT, None, trigger.cause)


def _sweep_of_clouds(clouds: tuple[Cloud, ...], trigger: SharedTrigger) -> SweepRequest | Dropped:
    if not clouds:
        return Dropped(f"{trigger.concern} {trigger.name} is not in the configuration")
    return SweepRequest(SweepReason.EVENT, tuple(cloud.name for cloud in clouds), trigger.cause)


def _sweep(request: SweepRequest, world: World) -> SweepQueued:
    world.sweeps.send(request)
    return SweepQueued(request)


def _dispatch_policy(trigger: SharedTrigger, each_role: _EachRole, world: World) -> tuple[Dispatched, ...]:
    arn = trigger.name
    match world.roles.roles_of_policy(arn):
        case Absent():
            return (Dropped(f"the managed policy {arn} does not exist (any more)"),)
        case Unreadable(why=why):
            raise RemediatorError(f"the roles that use {arn} are unknown: {why}")
        case Present(value=names):
            pass
    if not names:
        return (Dropped(f"no role uses the managed policy {arn}"),)
    if len(names) > MOST_ROLES_OF_A_POLICY:
        return (_sweep(SweepRequest(SweepReason.EVENT, None, trigger.cause), world),)
    return each_role.of_all(
        tuple(RoleTrigger(trigger.account, name, trigger.cause) for name in names), f"roles that use {arn}"
    )


@dataclass(frozen=True, slots=True)
class _EachRole:
    """Looks at one role after the other, and queues those that ask for us."""

    world: World

    def of_trigger(self, trigger: RoleTrigger) -> tuple[Dispatched, ...]:
        if trigger.namesake is None:
            return (self.dispatch(trigger),)
        other = RoleTrigger(trigger.account, trigger.namesake, trigger.cause)
        return self.of_all((trigger, other), "roles that the instance profile concerns")

    def of_all(self, triggers: tuple[RoleTrigger, ...], what: str) -> tuple[Dispatched, ...]:
        """All that can be looked at are; then the first error of the others is raised, with how many they are."""
        dispatched: list[Dispatched] = []
        failed: list[RemediatorError] = []
        for trigger in triggers:
            try:
                dispatched.append(self.dispatch(trigger))
            except RemediatorError as error:
                failed.append(error)
        if failed:
            why = f"{len(failed)} of the {len(triggers)} {what} could not be looked at or queued"
            raise RemediatorError(f"{why}; the first because {failed[0]}") from failed[0]
        return tuple(dispatched)

    def dispatch(self, trigger: RoleTrigger) -> Queued | Dropped:
        settings = self.world.settings
        fresh = is_fresh(trigger.cause, self.world.clock())
        match self.world.roles.read_role(trigger.role_name):
            case Absent():
                if fresh and _may_enrol(trigger, settings):
                    raise NotYetVisible(
                        f"role {trigger.role_name} was just created or enrolled, but cannot be seen yet"
                    )
                return Dropped("the role does not exist (any more)", trigger.role_name)
            case Unreadable(why=why):
                raise RemediatorError(
                    f"role {trigger.role_name} cannot be read, so that its enrolment is unknown: {why}"
                )
            case Present(value=role):
                pass
        if fresh and _contradicts(trigger, role, (settings.enrollment_tag, MODE_TAG)):
            raise NotYetVisible(f"the tags of role {trigger.role_name} were just changed, and cannot be seen yet")
        enrollment = decide_enrollment(role, settings, account=trigger.account)
        match enrollment:
            case NotEnrolled() if settings.approvers and settings.enrollment_tag in trigger.untagged:
                # Whoever approved the role has not approved what may be tagged again by anybody.
                request = request_for(replace(trigger, cause=_with_what_it_asks_for(trigger, settings)))
                self.world.work.send(request)
                return Queued(request)
            case NotEnrolled(why=why) | Off(why=why):
                return Dropped(why, trigger.role_name)
            case Enrolled() | Refused():
                if fresh and _was_deleted(trigger, role):
                    raise NotYetVisible(f"role {trigger.role_name} was just deleted, and can still be seen")
                bucket = settings.shared_bucket(enrollment.cloud) if isinstance(enrollment, Enrolled) else None
                request = request_for(replace(trigger, cause=_with_what_it_asks_for(trigger, settings)), bucket=bucket)
                self.world.work.send(request)
                return Queued(request)
            case _ as never:
                assert_never(never)


def _with_what_it_asks_for(trigger: RoleTrigger, settings: Settings) -> Cause:
    """The cause with the values that the call gave our two tags: by whose hand they were set must be known later."""
    taken_away = "" if settings.enrollment_tag in trigger.untagged else None
    enrolls, mode = trigger.tagged.get(settings.enrollment_tag, taken_away), trigger.tagged.get(MODE_TAG)
    return replace(
        trigger.cause,
        enrolls=None if enrolls is None else enrolls[:_LONGEST_TAG_VALUE],
        mode=None if mode is None else mode[:_LONGEST_TAG_VALUE],
    )


def _may_enrol(trigger: RoleTrigger, settings: Settings) -> bool:
    """Whether the call made the role, or made it ours; any other call about an absent role came before its deletion."""
    return trigger.cause.call == "CreateRole" or settings.enrollment_tag in trigger.tagged


def _was_deleted(trigger: RoleTrigger, role: Role) -> bool:
    """Whether the role, as it was read, is the one that the call deleted, and not one created in its place."""
    deleted = parse_time(trigger.cause.time) if trigger.cause.call == "DeleteRole" else None
    return deleted is not None and (role.created is None or role.created < deleted)


def _contradicts(trigger: RoleTrigger, role: Role, keys: tuple[str, ...]) -> bool:
    """Whether the role, as it was read, shows other tags than the event says it has by now."""
    return any(
        (key in trigger.tagged and role.tags.get(key) != trigger.tagged[key])
        or (key in trigger.untagged and key in role.tags)
        for key in keys
    )
