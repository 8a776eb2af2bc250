"""Turn findings into writes: at most one new document per policy, and what is blocked with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.core.model.finding import REPAIRABLE, BlockedRepair, Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.write import Write
from remediator.core.repair import bucket_policy, instance_profile, role_policy, trust
from remediator.core.repair.desired import Desired
from remediator.core.repair.write_blockers import Planned, block_repairs
from remediator.settings import GrantLocation


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What would be written, in this order, and which repairable findings are blocked.

    ``removals`` take away what belongs to the remediator in the previous grant location: they come last, and only after
    every write was applied and seen.
    """

    writes: tuple[Write, ...]
    blocked: tuple[BlockedRepair, ...]
    removals: tuple[Write, ...] = ()


def plan_repair(
    observed: Observed,
    findings: tuple[Finding, ...],
    desired: Desired = Desired(),  # noqa: B008  # it is frozen
) -> RepairPlan:
    """The writes that repair the findings: none for a finding that is not repairable, none on a role that was locked
    down.

    Planning again with the state that the writes and the removals leave behind gives neither.
    """
    if any(finding.code is FindingCode.QUARANTINED for finding in findings):
        repairable = (finding for finding in findings if finding.code in REPAIRABLE)
        return RepairPlan((), _blocked(block_repairs(repairable, "The role is locked down.")))
    repairs = (
        *trust.repair(observed.role, findings),
        *role_policy.repair(observed, findings, desired),
        *bucket_policy.repair(observed, findings, desired),
        *instance_profile.repair(observed, findings, desired),
    )
    removals = _removals(observed, findings, desired, repairs)
    return RepairPlan(_writes(repairs), (*_blocked(repairs), *_blocked(removals)), _writes(removals))


def _removals(
    observed: Observed, findings: tuple[Finding, ...], desired: Desired, repairs: tuple[Planned, ...]
) -> tuple[Planned, ...]:
    """What belongs to the remediator in the previous location is removed where the present one grants, or will after
    the repairs."""
    held = {each.finding for each in _blocked(repairs)}
    not_granted = frozenset(
        finding.subject for finding in findings if finding.code is not FindingCode.GRANT_MISSING or finding in held
    )
    return tuple(
        planned
        for finding in findings
        if finding.code is FindingCode.GRANT_LEFTOVER
        for planned in (
            role_policy.remove_from_previous(observed, finding, not_granted, _writes(repairs))
            if desired.grant is GrantLocation.BUCKET_POLICY
            else bucket_policy.remove_from_previous(observed, finding, not_granted, desired)
        )
    )


def _writes(planned: tuple[Planned, ...]) -> tuple[Write, ...]:
    return tuple(each for each in planned if isinstance(each, Write))


def _blocked(planned: tuple[Planned, ...]) -> tuple[BlockedRepair, ...]:
    return tuple(each for each in planned if isinstance(each, BlockedRepair))
