"""The contents of a report: the state of each role, and its history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from remediator.core.enrollment.decide import Enrolled
from remediator.core.history.role_record import RoleRecord
from remediator.core.model.finding import REPAIRABLE, BlockedRepair, Finding
from remediator.core.repair.outcome import OutcomeKind
from remediator.flows.survey import Surveyed
from remediator_cli.deployment.fleet import Fleet
from remediator_cli.rendering.findings import explained
from remediator_cli.report.past import Past


class RoleStatus(StrEnum):
    """The state of a role, the most urgent first."""

    CONFLICT = "contested"
    MANUAL_ACTION = "needs-person"
    WOULD_REPAIR = "would-repair"
    REFUSED = "refused"
    MISCONFIGURED = "nearly-enrolled"
    OFF = "off"
    USABLE = "usable"


STATUS_WORDS: Final = {
    RoleStatus.CONFLICT: "conflict",
    RoleStatus.MANUAL_ACTION: "manual action required",
    RoleStatus.WOULD_REPAIR: "broken, to be repaired",
    RoleStatus.REFUSED: "refused",
    RoleStatus.MISCONFIGURED: "misconfigured enrollment",
    RoleStatus.OFF: "off",
    RoleStatus.USABLE: "usable",
}
"""The words for roles in each state."""

_STATUSES: Final = {
    OutcomeKind.MANUAL_ACTION: RoleStatus.MANUAL_ACTION,
    OutcomeKind.WOULD_REPAIR: RoleStatus.WOULD_REPAIR,
    OutcomeKind.REFUSED: RoleStatus.REFUSED,
    OutcomeKind.NOT_ENROLLED: RoleStatus.MISCONFIGURED,
    OutcomeKind.OFF: RoleStatus.OFF,
    OutcomeKind.CLEAN: RoleStatus.USABLE,
}
"""The states by assessment; a conflict is in the history only."""


@dataclass(frozen=True, slots=True)
class RoleReport:
    """One role: its assessment, its record, and how often it was repaired within the reported days.

    ``role_record`` is empty where nothing is open, or the history is not known. ``last_repair`` has its zone; it is
    None where there was none.
    """

    surveyed: Surveyed
    role_record: RoleRecord
    repairs: int
    last_repair: datetime | None

    @property
    def name(self) -> str:
        """The name of the role."""
        return self.surveyed.assessment.scanned.role.arn.name

    @property
    def arn(self) -> str:
        """The ARN of the role."""
        return str(self.surveyed.assessment.scanned.role.arn)

    @property
    def standing(self) -> RoleStatus:
        """Its state. A role in conflict that is no longer enrolled has its present state."""
        assessment = self.surveyed.assessment
        if (
            self.role_record.conflict is not None
            and isinstance(assessment.enrollment, Enrolled)
            and assessment.refused is None
        ):
            return RoleStatus.CONFLICT
        return _STATUSES[assessment.kind]

    @property
    def cloud(self) -> str | None:
        """The cloud in its enrollment tag; None where it has no such tag, or is off."""
        return self.surveyed.cloud

    @property
    def why(self) -> str:
        """Why it is refused, off or misconfigured, in a sentence; empty for any other role."""
        near = self.surveyed.near
        return self.surveyed.why if near is None else near.why

    @property
    def enrolling_cloud(self) -> str | None:
        """The cloud that a role without the tag was probably meant for; None where that is unknown."""
        near = self.surveyed.near
        return near.cloud if near is not None and self.standing is RoleStatus.MISCONFIGURED else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be said of it, in sentences."""
        enrollment = self.surveyed.assessment.enrollment
        said = enrollment.notes if isinstance(enrollment, Enrolled) else ()
        return (*said, "Observed only: nothing is written.") if self.surveyed.is_observed_only else said

    def explained(self, finding: Finding) -> tuple[str, ...]:
        """What a finding means, its reasons, what blocks its repair, and the remedy."""
        return explained(finding, self._blocked.get(finding))

    def needs_manual_action(self, finding: Finding) -> bool:
        """Whether a finding is not repaired automatically."""
        return finding.code not in REPAIRABLE or finding in self._blocked

    @property
    def _blocked(self) -> Mapping[Finding, BlockedRepair]:
        return {each.finding: each for each in self.surveyed.assessment.plan.blocked}


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says of an account at a time with its zone.

    ``plan`` is what ``remediator plan --json`` prints of the fleet. ``roles`` are those of the survey, in its order.
    ``past`` is None where the history is not known, and then ``without_past`` says why.
    """

    at: datetime
    fleet: Fleet
    plan: Mapping[str, Any]
    roles: tuple[RoleReport, ...]
    past: Past | None
    without_past: str = ""

    @property
    def account(self) -> str:
        """The account, 12 digits."""
        return self.fleet.account

    @property
    def counts(self) -> Mapping[RoleStatus, int]:
        """The number of roles in each state."""
        counted = Counter(each.standing for each in self.roles)
        return {standing: counted[standing] for standing in RoleStatus}

    @property
    def clouds(self) -> tuple[str, ...]:
        """The names of the clouds that the roles are in."""
        return tuple(sorted({each.cloud for each in self.roles if each.cloud is not None}))

    @property
    def open_elsewhere(self) -> tuple[tuple[str, RoleRecord], ...]:
        """The roles of which something is open although the account does not show them."""
        shown = {each.name for each in self.roles}
        return () if self.past is None else tuple(each for each in self.past.open if each[0] not in shown)


def make_report(
    *, at: datetime, fleet: Fleet, plan: Mapping[str, Any], past: Past | None, without_past: str = ""
) -> Report:
    """The report on a fleet and its past; where the past is not known, ``without_past`` says why."""
    stored_record = {} if past is None else dict(past.open)
    times: dict[str, list[datetime]] = {}
    for change in () if past is None else past.repairs:
        times.setdefault(change.role_name, []).append(change.intended_at)
    roles = tuple(
        RoleReport(
            surveyed=each,
            role_record=stored_record.get(each.assessment.scanned.role.arn.name, RoleRecord()),
            repairs=len(repaired := times.get(each.assessment.scanned.role.arn.name, [])),
            last_repair=max(repaired, default=None),
        )
        for each in fleet.survey.roles
    )
    return Report(at, fleet, plan, roles, past, without_past)
