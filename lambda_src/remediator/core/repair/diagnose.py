"""Compare what a role is with what its cloud needs, and record every difference as a finding."""

from __future__ import annotations

from remediator.core.enrollment.quarantine import quarantine_findings
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import Finding
from remediator.core.model.observed import Observed
from remediator.core.repair import bucket_policy, buckets, instance_profile, keys, role_policy, trust
from remediator.core.repair.desired import Desired
from remediator.settings import GrantLocation


def diagnose(
    observed: Observed,
    context: EvaluationContext | None = None,
    desired: Desired = Desired(),  # noqa: B008  # it is frozen
) -> tuple[Finding, ...]:
    """Every difference between the observed state and a usable cluster role, trust first, then bucket by bucket.

    An empty answer means that EC2 may assume the role, that it can read and write all buckets of its cloud, and that
    nothing of the remediator is where it should not be. What belongs to the remediator in the previous grant location
    does not count as a grant: so it is granted again in the present one before it is removed.
    """
    known = context or EvaluationContext()
    counted = _without_previous_location(observed, desired)
    found = (
        *trust.assess(observed.role, known),
        *buckets.assess(counted, known),
        *keys.assess(counted, known),
    )
    locations = [role_policy.assess, bucket_policy.assess]
    if desired.grant is GrantLocation.BUCKET_POLICY:
        locations.reverse()  # the present location comes first
    return (
        *found,
        *(finding for assess in locations for finding in assess(observed, counted, found, desired)),
        *instance_profile.assess(observed, desired),
        *quarantine_findings(observed.role, observed.policies),
    )


def _without_previous_location(observed: Observed, desired: Desired) -> Observed:
    """What is observed, less what belongs to the remediator in the location where grants are no longer put and that the
    remediator may write."""
    if desired.grant is GrantLocation.BUCKET_POLICY:
        return role_policy.without_own_buckets(observed)
    return bucket_policy.without_own_statements(observed) if desired.writes_bucket_policies else observed
