"""Check all roles of the account that are enrolled, or nearly so, and say what would be done; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Refusal, Refused
from remediator.core.enrollment.misconfigured import MisconfiguredEnrollment, misconfigured_enrollment
from remediator.core.model.scan import Scanned, UnreadableRole
from remediator.core.policy.arn import RoleArn
from remediator.core.repair.outcome import ALERTED
from remediator.flows.assess import Assessment, Assessor
from remediator.gateways.world import World
from remediator.settings import Mode, Settings

_OUTDATED = "one of its policies was detached and deleted while the account was checked; check again"
_NEAR = frozenset({Refusal.UNKNOWN_CLOUD, Refusal.NOT_ALLOWED})


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What came of one role; ``near`` says what keeps it from being enrolled, None where nothing of that kind does."""

    assessment: Assessment
    near: MisconfiguredEnrollment | None

    @property
    def needs_something(self) -> bool:
        """Whether something would be written, or a person has to look at it."""
        return self.assessment.kind in ALERTED or (self.near is not None and self.near.is_intended)

    @property
    def cloud(self) -> str | None:
        """The cloud in its enrollment tag; None where it has no such tag, or is off."""
        match self.assessment.enrollment:
            case Enrolled(cloud=cloud):
                return cloud.name
            case Refused(cloud=name):
                return name
            case _:
                return None

    @property
    def is_observed_only(self) -> bool:
        """Whether nothing is written because the mode of its cloud, or its own tag, says so."""
        enrollment = self.assessment.enrollment
        return isinstance(enrollment, Enrolled) and enrollment.mode is Mode.OBSERVE

    @property
    def why(self) -> str:
        """Why it is not managed, in a sentence; empty where it is."""
        if self.assessment.refused is not None:
            return self.assessment.refused.why
        return "" if isinstance(self.assessment.enrollment, Enrolled) else self.assessment.enrollment.why


@dataclass(frozen=True, slots=True)
class Survey:
    """What came of an account.

    ``scanned`` is how many roles it has. ``roles`` are those that are enrolled or nearly so, and those that were asked
    for by name, sorted by their ARNs. ``unjudged`` are those of which nothing can be said now.
    """

    scanned: int
    roles: tuple[Surveyed, ...]
    unjudged: tuple[UnreadableRole, ...]

    @property
    def needs_something(self) -> bool:
        """Whether something would be written, or needs an operator, as far as could be found out."""
        return any(each.needs_something for each in self.roles)


def is_surveyed(settings: Settings, names: frozenset[str]) -> Callable[[RoleArn, Mapping[str, str]], bool]:
    """Which roles without the enrollment tag a survey needs of the scan: those misconfigured, and those named."""
    return lambda arn, tags: arn.name in names or misconfigured_enrollment(arn, tags, settings) is not None


def survey(world: World, names: frozenset[str], *, on_roles: Callable[[int], None]) -> Survey:
    """Assess the roles of the account, those of these ``names`` only if there are any.

    ``world.scan`` has to keep the roles of which ``is_surveyed`` says so. ``on_roles`` is called after each page with
    how many roles were read so far.
    Raises any AwsError of the scan. What cannot be reached for now leaves the roles that need it unjudged.
    """
    settings = world.settings
    assessor = Assessor(world)
    scanned = 0
    surveyed: list[Surveyed] = []
    unjudged: list[UnreadableRole] = []
    marker: str | None = None
    while True:
        page = world.scan.page(marker)
        for each in page.roles:
            if names and each.name not in names:
                continue
            found = _assessed(each, assessor)
            if isinstance(found, UnreadableRole):
                unjudged.append(found)
            else:
                surveyed.append(Surveyed(found, _near(found, settings)))
        scanned += page.scanned
        on_roles(scanned)
        marker = page.next_marker
        if marker is None:
            break
    surveyed.sort(key=lambda each: str(each.assessment.scanned.role.arn))
    return Survey(scanned, tuple(surveyed), tuple(unjudged))


def _assessed(scanned: Scanned, assessor: Assessor) -> Assessment | UnreadableRole:
    if isinstance(scanned, UnreadableRole):
        return scanned
    found = assessor.assess(scanned)
    if found is None:
        return assessor.unreadable(scanned, str(assessor.unreached))
    is_outdated = isinstance(found, Assessment) and found.is_outdated
    return assessor.unreadable(scanned, _OUTDATED) if is_outdated else found


def _near(assessment: Assessment, settings: Settings) -> MisconfiguredEnrollment | None:
    """Only of a role that would be enrolled if it were not for its tag or the patterns."""
    role = assessment.scanned.role
    match assessment.enrollment:
        case NotEnrolled():
            return misconfigured_enrollment(role.arn, role.tags, settings)
        case Refused(refusal=refusal) if refusal in _NEAR:
            return misconfigured_enrollment(role.arn, role.tags, settings)
        case _:
            return None
