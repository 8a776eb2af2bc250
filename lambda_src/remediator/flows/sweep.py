"""Check every enrolled role of the account, and queue those that need something; nothing is written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, assert_never

from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Off, Refused
from remediator.core.events.request import ReconcileRequest
from remediator.core.events.sweep import Sweep, SweepCounts, is_sweep
from remediator.core.model.scan import Scanned, ScannedPage, ScannedRole, UnreadableRole
from remediator.errors import RejectedError, TransientError, UnknownAwsError
from remediator.flows.assess import Assessment, Assessor
from remediator.gateways.world import World
from remediator.settings import Mode

ENOUGH_FOR_A_PAGE: Final = 100_000
"""Milliseconds that must be left where a page is begun: three tries of the call that reads it, each of 30 seconds."""
ENOUGH_FOR_A_ROLE: Final = 30_000
"""Milliseconds that must be left where a role is begun: reading its policies, and queueing what the page has brought.

Both are a small part of the function's timeout, so that a sweep that is cut off has come further before that.
"""


@dataclass(frozen=True, slots=True)
class Swept:
    """How far a ``sweep`` has come, with its counts: to the end, or as far as the time allowed.

    One that is not complete is in the sweep queue.
    """

    sweep: Sweep
    is_complete: bool


class _Verdict(StrEnum):
    """What came of one role; each is the name of its count."""

    CLEAN = "clean"
    DRIFTED = "drifted"
    UNDECIDED = "undecided"
    REFUSED = "refused"
    OFF = "off"
    UNREADABLE = "unreadable"


_NEVER_QUEUED: Final = frozenset({_Verdict.CLEAN, _Verdict.OFF})


@dataclass(frozen=True, slots=True)
class _Assessed:
    """What came of the role ``name`` with the enrolment tag ``cloud``, each None where it is unknown.

    ``pressing`` roles are queued whoever asked for the sweep; those that only a person can settle are queued where all
    is told, because nobody remembers whether a person was told already. ``bucket`` is that of the request.
    """

    name: str | None
    cloud: str | None
    verdict: _Verdict
    is_enrolled: bool = False
    pressing: bool = False
    bucket: str | None = None


def sweep(
    asked: Sweep,
    world: World,
    *,
    remaining: Callable[[], int],
    on_unreadable: Callable[[UnreadableRole], None],
) -> Swept:
    """Sweep the roles of the account to the end, or as far as the time allows; doing it again does no harm.

    The roles that the history has something open of are queued when the last page is done, whatever was found, so that
    an end is noticed that no event of the role itself has shown.
    ``remaining`` says how many milliseconds are left. ``on_unreadable`` is told of each role that could not be judged.

    Raises any AwsError of the scan, of the history and of the queues, and TransientError where the time is up before
    one page is done. A bucket or a managed policy that cannot be reached for now holds up the roles that need it alone:
    the others are judged and queued before its error is raised. To judge without it would be to take what could not be
    looked at for nothing, and to do without those roles would lose what an event has asked for; so the whole is tried
    again.
    """
    return _SweepInvocation(asked, world, remaining, on_unreadable, Assessor(world)).to_the_end()


@dataclass(frozen=True, slots=True)
class _SweepInvocation:
    """What one invocation does of a sweep."""

    asked: Sweep
    world: World
    remaining: Callable[[], int]
    on_unreadable: Callable[[UnreadableRole], None]
    assessor: Assessor
    assessed: dict[str, _Assessed] = field(default_factory=dict)
    """The roles that were evaluated here, by name."""
    queued: set[str] = field(default_factory=set)
    """The names of those that were queued."""

    def to_the_end(self) -> Swept:
        current = self.asked
        while self.remaining() >= ENOUGH_FOR_A_PAGE:
            current, page = self._page(current)
            counts = self._page_swept(page)
            if counts is None:
                break
            current = replace(current, marker=page.next_marker, counts=current.counts + counts)
            if current.marker is None:
                counts = self._pending_queued()
                self._raise_for_what_was_not_reached()
                return Swept(replace(current, counts=current.counts + counts), is_complete=True)
        return self._stopped(current)

    def _page(self, current: Sweep) -> tuple[Sweep, ScannedPage]:
        """The next page; the first one, where AWS refuses the marker that another invocation has left."""
        try:
            return current, self.world.scan.page(current.marker)
        except (RejectedError, UnknownAwsError):
            if current is not self.asked or current.marker is None or current.restarted:
                raise
        anew = replace(current, marker=None, counts=SweepCounts(), restarted=True)
        return anew, self.world.scan.page(None)

    def _stopped(self, current: Sweep) -> Swept:
        self._raise_for_what_was_not_reached()
        if current.marker == self.asked.marker:
            raise TransientError("sweep", "too little time", "not one page of roles was done before the time was up")
        self.world.sweeps.send(current)
        return Swept(current, is_complete=False)

    def _pending_queued(self) -> SweepCounts:
        """Queue the pending roles that are not queued yet; which they are is asked at the end, when most are.

        A sweep because of events leaves out those that it has not evaluated: they are of other clouds, or gone.
        """
        sees_all = self.asked.scheduled or self.asked.thorough
        requests = tuple(
            self._request(name, self.assessed.get(name))
            for name in self.world.history.pending_roles()
            if name not in self.queued and (sees_all or name in self.assessed)
        )
        self.world.work.send_all(requests)
        return SweepCounts(queued=len(requests), unsettled=len(requests))

    def _raise_for_what_was_not_reached(self) -> None:
        unreached = self.assessor.unreached
        if unreached is not None:
            why = f"{unreached.message} (the sweep is incomplete: roles that need this were not evaluated)"
            raise TransientError(unreached.operation, unreached.code, why) from unreached

    def _page_swept(self, page: ScannedPage) -> SweepCounts | None:
        """Evaluate the roles of a page and queue those that need something; None where the time is up before its end.

        What was found until then is queued nevertheless. It is found once more when the page is begun again, and SQS
        knows it by its deduplication id.
        """
        counts = Counter(scanned=page.scanned)
        requests: list[ReconcileRequest] = []
        for scanned in page.roles:
            if self.remaining() < ENOUGH_FOR_A_ROLE:
                self.world.work.send_all(tuple(requests))
                return None
            assessed = self._assess(scanned) if self.asked.covers(self._cloud_of(scanned)) else None
            if assessed is not None:
                counts.update(self._counts_of(assessed))
                requests += self._requests_for(assessed)
        self.world.work.send_all(tuple(requests))
        return SweepCounts(**counts, queued=len(requests))

    def _counts_of(self, assessed: _Assessed) -> dict[str, int]:
        is_missed = assessed.verdict is _Verdict.DRIFTED and assessed.pressing and self.asked.scheduled
        missed = is_missed and is_sweep(self.asked.cause_for(assessed.cloud))
        return {assessed.verdict: 1, "enrolled": int(assessed.is_enrolled), "missed": int(missed)}

    def _requests_for(self, assessed: _Assessed) -> tuple[ReconcileRequest, ...]:
        """The request of a role that is queued, which one is that needs something; it is noted as queued."""
        if assessed.name is None:
            return ()
        self.assessed[assessed.name] = assessed
        is_reported = assessed.verdict not in _NEVER_QUEUED and self.asked.reports_all(assessed.cloud)
        if not (assessed.pressing or is_reported):
            return ()
        self.queued.add(assessed.name)
        return (self._request(assessed.name, assessed),)

    def _request(self, name: str, assessed: _Assessed | None) -> ReconcileRequest:
        cloud, bucket = (None, None) if assessed is None else (assessed.cloud, assessed.bucket)
        return ReconcileRequest(self.world.account, name, self.asked.cause_for(cloud), bucket)

    def _assess(self, scanned: Scanned) -> _Assessed | None:
        """What came of the role; None where it is left for another try, because something cannot be reached for now."""
        found = self.assessor.assess(scanned)
        if isinstance(found, UnreadableRole):
            self.on_unreadable(found)
            return self._unreadable(found)
        return None if found is None else self._distinguishes(found)

    def _cloud_of(self, scanned: Scanned) -> str | None:
        match scanned:
            case UnreadableRole(cloud=cloud):
                return cloud
            case ScannedRole(role=role):
                return role.tags.get(self.world.settings.enrollment_tag)
            case _ as never:
                assert_never(never)

    def _unreadable(self, role: UnreadableRole) -> _Assessed:
        """The result for a role of which nothing certain can be said."""
        cloud = None if role.cloud is None else self.world.settings.cloud(role.cloud)
        bucket = None if cloud is None else self.world.settings.shared_bucket(cloud)
        return _Assessed(role.name, role.cloud, _Verdict.UNREADABLE, bucket=bucket)

    def _distinguishes(self, assessment: Assessment) -> _Assessed | None:
        """What the assessment means to a sweep; None for a role that carries no enrollment tag."""
        role = assessment.scanned.role
        match assessment.enrollment:
            case NotEnrolled():
                return None
            case Off():
                return _Assessed(role.arn.name, role.tags[self.world.settings.enrollment_tag], _Verdict.OFF)
            case Refused(cloud=cloud_name):
                return _Assessed(role.arn.name, cloud_name, _Verdict.REFUSED)
            case Enrolled(cloud=cloud, mode=mode):
                verdict, needs_reconcile = _verdict_on(assessment)
                return _Assessed(
                    role.arn.name,
                    cloud.name,
                    verdict,
                    is_enrolled=True,
                    pressing=needs_reconcile and mode is Mode.REPAIR,
                    bucket=self.world.settings.shared_bucket(cloud),
                )
            case _ as never:
                assert_never(never)


def _verdict_on(assessment: Assessment) -> tuple[_Verdict, bool]:
    """What was found of an enrolled role, and whether the reconciler can do something about it, if its mode allows."""
    if assessment.is_outdated:
        return _Verdict.UNDECIDED, True
    if assessment.refused is not None:
        return _Verdict.REFUSED, False
    if not assessment.findings:
        return _Verdict.CLEAN, False
    plan = assessment.plan
    return (_Verdict.DRIFTED, True) if plan.writes or plan.removals else (_Verdict.UNDECIDED, False)
