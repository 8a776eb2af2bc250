"""A sweep: who asked for it, what is told of which role, how far it has come, and the messages that say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from remediator.core.events.event import Actor, Cause, Ignored, SharedTrigger
from remediator.core.events.message_fields import Fields, json_line, read_cause, read_message
from remediator.core.events.watched import Concern
from remediator.errors import MalformedRequest
from remediator.settings import Settings

FORMAT: Final = 1
"""Version of the messages' form; a message of another version is dead-lettered, never guessed at."""

SWEEP_CALL: Final = "Sweep"
"""What stands in the place of a call where nobody made one: the sweep itself found the role."""

MOST_ROLES_OF_A_POLICY: Final = 50
"""How many roles are read one by one because of one event; beyond that one sweep costs fewer calls, and less time."""

_CONTINUATION: Final = "continuation"
_TIME_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
_FIRST_YEAR: Final = 2000


class SweepReason(StrEnum):
    """What asked for a sweep."""

    SCHEDULE = "schedule"
    """The time has come."""
    DEPLOYMENT = "deployment"
    """The stack was deployed, so that code or configuration may have changed."""
    EVENT = "event"
    """A call concerned a bucket, a key or the account, and so more than one role."""


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """Sweep the enrolled roles of some clouds, by their names, or of all where ``clouds`` is None.

    ``cause`` is the call that asked for it, None unless the reason is an event. ``time`` is when the schedule asked for
    it, with its zone; None where that is not known, and for the other reasons, where it does not matter.
    """

    reason: SweepReason
    clouds: tuple[str, ...] | None = None
    cause: Cause | None = None
    time: datetime | None = None


def sweep_for(trigger: SharedTrigger, settings: Settings) -> SweepRequest | Ignored:
    """The sweep that a call on a bucket, a key or the account asks for; one because of the account is of all clouds."""
    match trigger.concern:
        case Concern.BUCKET:
            clouds = settings.clouds_of_bucket(trigger.name)
        case Concern.KEY:
            clouds = settings.clouds_of_key(trigger.name)
        case Concern.ACCOUNT:
            return SweepRequest(SweepReason.EVENT, None, trigger.cause)
        case Concern.ROLE | Concern.INSTANCE_PROFILE | Concern.MANAGED_POLICY:
            raise ValueError(f"a call on a {trigger.concern} names its roles, and asks for no sweep")
        case _ as never:
            assert_never(never)
    if not clouds:
        return Ignored(f"{trigger.concern} {trigger.name} is not in the configuration")
    return SweepRequest(SweepReason.EVENT, tuple(cloud.name for cloud in clouds), trigger.cause)


@dataclass(frozen=True, slots=True)
class SweepCounts:
    """How many roles a sweep has seen, and what came of them; the counts of two parts of a sweep can be added.

    A role that carries the enrollment tag counts once among ``clean``, ``drifted``, ``undecided``, ``refused``, ``off``
    and ``unreadable``, if it is of a cloud that is swept. So does one that cannot be read at all, tag or no tag.
    """

    scanned: int = 0
    """Roles of the account, enrolled or not."""
    enrolled: int = 0
    """Roles that carry the tag and may have it; one that is unreadable may not have come so far."""
    clean: int = 0
    drifted: int = 0
    """Something would be written, whether the mode allows it or not."""
    undecided: int = 0
    """Nothing would be written, and an operator, or a closer look than that of a sweep, has to decide."""
    refused: int = 0
    off: int = 0
    unreadable: int = 0
    queued: int = 0
    unsettled: int = 0
    """Roles that were queued only because people believe that something is open, or a change was interrupted."""
    missed: int = 0
    """Roles in repair mode that had drifted when a sweep of the schedule came, and so what the events had missed.

    The events that were on their way just then are among them, and so is a role whose repair keeps failing.
    """

    def __add__(self, other: SweepCounts) -> SweepCounts:
        return SweepCounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class SweepCause:
    """The latest call that concerns the roles of some clouds, by their names, or of all where ``clouds`` is None."""

    clouds: tuple[str, ...] | None
    cause: Cause

    def concerns(self, cloud: str | None) -> bool:
        """Whether it concerns the roles of a cloud; None stands for a role whose cloud is unknown."""
        return self.clouds is None or cloud in self.clouds


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep, which answers all that asked for it together: at its beginning, or where it has stopped.

    ``sweep_id`` names it for good, ``started`` (with its zone) is when it began. ``scheduled`` says that the schedule
    asked for it, among others. ``thorough`` says that of every role everything is told, including what was told before.
    ``causes`` are the events that asked for it, oldest first. ``marker`` is that of the page to go on with, None for
    the first one, and ``counts`` belong to the pages before it. ``restarted`` says that AWS refused a marker once, so
    that it began again.
    """

    sweep_id: str
    started: datetime
    scheduled: bool = False
    thorough: bool = False
    causes: tuple[SweepCause, ...] = ()
    marker: str | None = None
    counts: SweepCounts = field(default_factory=SweepCounts)
    restarted: bool = False

    def covers(self, cloud: str | None) -> bool:
        """Whether the roles of a cloud are looked at; None stands for a role whose cloud is unknown."""
        return self.scheduled or self.reports_all(cloud)

    def reports_all(self, cloud: str | None) -> bool:
        """Whether people are told what only a person can settle about a role of the cloud, though it may not be new."""
        return self.thorough or any(each.concerns(cloud) for each in self.causes)

    def cause_for(self, cloud: str | None) -> Cause:
        """What a role of the cloud is checked for: the latest call that concerns it, else the sweep itself."""
        calls = (each.cause for each in reversed(self.causes) if each.concerns(cloud))
        return next(calls, sweep_cause(self.sweep_id, self.started))


SweepMessage: TypeAlias = SweepRequest | Sweep
"""What is in the sweep queue: what asks for a sweep, or one that has not come to its end."""


def begin_sweep(requests: Iterable[SweepRequest], *, sweep_id: str, started: datetime, interval: timedelta) -> Sweep:
    """The one sweep that answers all requests; ``interval`` is the time between two sweeps of the schedule.

    It keeps no more events than there are clouds: of those that concern the same cloud, the latest.
    """
    asked = tuple(requests)
    return Sweep(
        sweep_id=sweep_id,
        started=started,
        scheduled=any(request.reason is SweepReason.SCHEDULE for request in asked),
        thorough=any(
            request.reason is SweepReason.DEPLOYMENT
            or (request.reason is SweepReason.SCHEDULE and is_first_of_day(request.time or started, interval))
            for request in asked
        ),
        causes=_latest(SweepCause(request.clouds, request.cause) for request in asked if request.cause is not None),
    )


def is_first_of_day(time: datetime, interval: timedelta) -> bool:
    """Whether a sweep at ``time`` is the first of its day, in UTC, where one is made every ``interval``.

    The time alone says so: the intervals before the sweeps leave no gap, and midnight falls into one of them.
    """
    return time.astimezone(UTC).date() != (time.astimezone(UTC) - interval).date()


def sweep_cause(sweep_id: str, started: datetime) -> Cause:
    """The cause of a check that no call asked for."""
    actor = Actor(kind=SWEEP_CALL, arn="the sweep of all roles")
    return Cause(sweep_id, SWEEP_CALL, started.astimezone(UTC).strftime(_TIME_FORM), actor)


def is_sweep(cause: Cause) -> bool:
    """Whether a cause is none of a call, but of a sweep that found the role."""
    return cause.call == SWEEP_CALL and cause.actor.kind == SWEEP_CALL


def seconds_since_event(causes: tuple[Cause, ...], now: datetime) -> float | None:
    """How long ago the first of the calls was made that led here; None where there is none whose time can be read.

    CloudTrail gives the time of a call in whole seconds, so that it is up to a second too long.
    """
    times = []
    for cause in causes:
        if is_sweep(cause):
            continue
        try:
            times.append(datetime.strptime(cause.time, _TIME_FORM).replace(tzinfo=UTC))
        except ValueError:
            continue
    return max(0.0, (now - min(times)).total_seconds()) if times else None


def sweep_json(message: SweepMessage) -> str:
    """The message as one line of JSON; ``parse_sweep`` reads it back."""
    match message:
        case SweepRequest(reason=reason, clouds=clouds, cause=cause, time=time):
            optional = {
                "clouds": clouds,
                "cause": None if cause is None else asdict(cause),
                "time": None if time is None else time.isoformat(),
            }
            given = {key: value for key, value in optional.items() if value is not None}
            return json_line({"format": FORMAT, "reason": reason, **given})
        case Sweep():
            unfinished = {**asdict(message), "started": message.started.isoformat()}
            return json_line({"format": FORMAT, "reason": _CONTINUATION, **unfinished})
        case _ as never:
            assert_never(never)


def parse_sweep(text: str) -> SweepMessage:
    """Read a message of the sweep queue: what asks for a sweep, or a sweep to go on with.

    The schedule and the rule for deployments write theirs as literal texts: ``{"format":1,"reason":"deployment"}``,
    ``{"format":1,"reason":"schedule","time":"2026-03-04T10:00:00Z"}``, where the time may be left out.
    Raises MalformedRequest, saying what is wrong, for anything else that ``sweep_json`` of this version did not write.
    """

    def read(message: Fields) -> SweepMessage:
        return _sweep(message) if message.text("reason") == _CONTINUATION else _request(message)

    return read_message(text, "a message about a sweep", FORMAT, read, MalformedRequest)


def _latest(causes: Iterable[SweepCause]) -> tuple[SweepCause, ...]:
    """The causes, oldest first, each reduced to the clouds that no later one concerns, and left out if none is left."""
    kept: list[SweepCause] = []
    later: set[str] = set()
    for each in sorted(causes, key=lambda each: each.cause.time, reverse=True):
        if each.clouds is None:
            kept.append(each)
            break  # what came before it concerns no cloud that it does not
        clouds = tuple(cloud for cloud in dict.fromkeys(each.clouds) if cloud not in later)
        if clouds:
            kept.append(SweepCause(clouds, each.cause))
        later.update(clouds)
    return tuple(reversed(kept))


def _request(message: Fields) -> SweepRequest:
    reason = SweepReason(message.text("reason"))
    if reason is SweepReason.EVENT:
        clouds = _clouds(message) if message.has("clouds") else None
        return SweepRequest(reason, clouds, message.read("cause", read_cause))
    for key in ("clouds", "cause"):
        if message.has(key):
            raise ValueError(f"`{key}` is for a sweep because of an event, and not because of a {reason}")
    return SweepRequest(reason, time=_time(message, "time") if message.has("time") else None)


def _sweep(message: Fields) -> Sweep:
    return Sweep(
        sweep_id=message.text("sweep_id"),
        started=_time(message, "started"),
        scheduled=message.flag("scheduled"),
        thorough=message.flag("thorough"),
        causes=message.each("causes", _sweep_cause),
        marker=message.text_or_none("marker"),
        counts=message.read("counts", _counts),
        restarted=message.flag("restarted"),
    )


def _counts(counts: Fields) -> SweepCounts:
    # A sweep that an earlier version left off did not count the pending ones.
    names = (each.name for each in fields(SweepCounts) if each.name != "unsettled" or counts.has("unsettled"))
    return SweepCounts(**{name: counts.count(name) for name in names})


def _sweep_cause(cause: Fields) -> SweepCause:
    return SweepCause(None if cause.is_null("clouds") else _clouds(cause), cause.read("cause", read_cause))


def _clouds(members: Fields) -> tuple[str, ...]:
    clouds = members.texts("clouds")
    if not all(clouds) or not clouds:
        raise ValueError("`clouds` must be a list of at least one name")
    return clouds


def _time(members: Fields, key: str) -> datetime:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""
    time = members.time(key)
    if time.year < _FIRST_YEAR:  # what is counted back from it must be a time too
        raise ValueError(f"`{key}` lies before the year {_FIRST_YEAR}")
    return time.astimezone(UTC)
