"""Assess the roles that a scan of the account has shown, one after the other; nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from remediator.core.enrollment.decide import Enrolled, Enrollment, NotEnrolled, Off, Refused, decide_enrollment
from remediator.core.enrollment.privilege import refuse_by_policies
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.observed import Observed
from remediator.core.model.role import ManagedPolicy, RolePolicies
from remediator.core.model.scan import Scanned, ScannedRole, UnreadableRole
from remediator.core.policy.reading import Absent, Present, Reading
from remediator.core.repair.desired import Desired, desired_of
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.outcome import OutcomeKind, conclude
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.errors import NotFoundError, TransientError
from remediator.gateways.world import World
from remediator.settings import BucketSettings, Cloud, InstanceProfileMode

NO_REPAIR: Final = RepairPlan((), ())
"""The plan that writes nothing, and blocks nothing."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What came of a role that a scan has shown.

    ``enrollment`` is what its tags, its name and its trust policy say, ``refused`` what its policies say against an
    enrolled one, None where they do not. ``findings`` and ``plan`` are empty unless it may be touched. ``is_outdated``
    says that a policy of the role was detached and deleted after the scan, so that it is not what was seen any more,
    and nothing was found out.
    """

    scanned: ScannedRole
    enrollment: Enrollment
    refused: Refused | None = None
    findings: tuple[Finding, ...] = ()
    plan: RepairPlan = NO_REPAIR
    is_outdated: bool = False

    @property
    def kind(self) -> OutcomeKind:
        """What the reconciler would make of the role if it were to write nothing: never a repair, never a failure."""
        match self.enrollment:
            case NotEnrolled():
                return OutcomeKind.NOT_ENROLLED
            case Off():
                return OutcomeKind.OFF
            case Refused():
                return OutcomeKind.REFUSED
            case Enrolled():
                if self.refused is not None:
                    return OutcomeKind.REFUSED
                proposed = (*self.plan.writes, *self.plan.removals)
                return conclude(findings=self.findings, proposed=proposed, blocked=self.plan.blocked)
            case _ as never:
                assert_never(never)


class Assessor:
    """Assesses one role after the other, and reads what they share once: buckets and managed policies.

    Conditions on the date are assessed at the time of ``world.clock`` when it is made. ``unreached`` is the error of
    the last thing that could not be reached for now, None where all could.
    """

    def __init__(self, world: World) -> None:
        self.unreached: TransientError | None = None
        self._world = world
        self._evaluation_context = EvaluationContext.at(world.clock())
        self._read_policies: dict[str, ManagedPolicy | TransientError | None] = {}
        self._read_profiles: Mapping[str, InstanceProfile] | TransientError | None = None
        self._read_buckets: dict[str, Reading[Bucket] | TransientError] = {}

    def assess(self, scanned: Scanned) -> Assessment | UnreadableRole | None:
        """What comes of a role; None where something that it takes cannot be reached for now.

        Whatever is wrong with one role must not hide the others: it is a role of which nothing can be said.
        """
        if isinstance(scanned, UnreadableRole):
            return scanned
        try:
            return self.assess_role(scanned)
        except TransientError as error:
            self.unreached = error
            return None
        except Exception as error:  # noqa: BLE001 - see above
            return self.unreadable(scanned, f"{type(error).__name__}: {error}", error)

    def unreadable(self, scanned: ScannedRole, why: str, error: Exception | None = None) -> UnreadableRole:
        """The role as one of which nothing can be said."""
        cloud = scanned.role.tags.get(self._world.settings.enrollment_tag)
        return UnreadableRole(scanned.role.arn.name, cloud, why, error)

    def assess_role(self, scanned: ScannedRole) -> Assessment | None:
        """What comes of a role; None where a bucket of its cloud cannot be reached for now.

        Raises TransientError where a managed policy, or the list of instance profiles, cannot be reached for now.
        """
        enrollment = decide_enrollment(scanned.role, self._world.settings, account=self._world.account)
        match enrollment:
            case NotEnrolled() | Off() | Refused():
                return Assessment(scanned, enrollment)
            case Enrolled():
                return self._enrolled(scanned, enrollment)
            case _ as never:
                assert_never(never)

    def _enrolled(self, scanned: ScannedRole, enrollment: Enrolled) -> Assessment | None:
        cloud = enrollment.cloud
        policies = self._policies_of(scanned)
        if policies is None:
            return Assessment(scanned, enrollment, is_outdated=True)
        refused = refuse_by_policies(scanned.role, policies, cloud, self._evaluation_context)
        if refused is not None:
            return Assessment(scanned, enrollment, refused)
        buckets = self._buckets_of(cloud)
        if buckets is None:
            return None
        desired = desired_of(cloud)
        reads_profiles = desired.instance_profile is not InstanceProfileMode.IGNORE
        profiles = InstanceProfiles(holding=Present(scanned.profiles)) if reads_profiles else None
        observed = Observed(scanned.role, policies, buckets, profiles)
        findings = diagnose(observed, self._evaluation_context, desired)
        if profiles is not None and _may_get_profile(findings, desired):
            # The scan shows the instance profiles that hold the role, not the one that could.
            found = self._profiles().get(scanned.role.arn.name)
            namesake: Reading[InstanceProfile] = Absent() if found is None else Present(found)
            observed = replace(observed, profiles=replace(profiles, namesake=namesake))
            findings = diagnose(observed, self._evaluation_context, desired)
        plan = plan_repair(observed, findings, desired) if findings else NO_REPAIR
        return Assessment(scanned, enrollment, findings=findings, plan=plan)

    def _policies_of(self, scanned: ScannedRole) -> RolePolicies | None:
        """The policies of the role; None where one of them is gone."""
        attached = [self._managed_policy(arn) for arn in scanned.attached]
        boundary_arn = scanned.role.boundary_arn
        boundary = None if boundary_arn is None else self._managed_policy(boundary_arn)
        known = tuple(policy for policy in attached if policy is not None)
        if len(known) < len(attached) or (boundary is None and boundary_arn is not None):
            return None
        return RolePolicies(
            inline=Present(scanned.inline),
            attached=Present(known),
            boundary=Absent() if boundary is None else Present(boundary),
        )

    def _managed_policy(self, arn: str) -> ManagedPolicy | None:
        if arn not in self._read_policies:
            try:
                self._read_policies[arn] = self._world.roles.read_managed_policy(arn)
            except NotFoundError:
                self._read_policies[arn] = None
            except TransientError as error:
                self._read_policies[arn] = error
        read = self._read_policies[arn]
        if isinstance(read, TransientError):
            raise read
        return read

    def _profiles(self) -> Mapping[str, InstanceProfile]:
        """All instance profiles of the account, read once, and only where a role has none of its own name."""
        if self._read_profiles is None:
            try:
                self._read_profiles = self._world.scan.instance_profiles()
            except TransientError as error:
                self._read_profiles = error
        if isinstance(self._read_profiles, TransientError):
            raise self._read_profiles
        return self._read_profiles

    def _buckets_of(self, cloud: Cloud) -> tuple[tuple[str, Reading[Bucket]], ...] | None:
        """The buckets of a cloud; None where one of them cannot be reached for now."""
        readings: list[tuple[str, Reading[Bucket]]] = []
        for bucket in cloud.buckets:
            reading = self._bucket(bucket, cloud)
            if isinstance(reading, TransientError):
                self.unreached = reading
                return None
            readings.append((bucket.name, reading))
        return tuple(readings)

    def _bucket(self, bucket: BucketSettings, cloud: Cloud) -> Reading[Bucket] | TransientError:
        if bucket.name not in self._read_buckets:
            account = bucket.account or cloud.account or self._world.account
            try:
                self._read_buckets[bucket.name] = self._world.buckets.read_bucket(
                    bucket.name, region=bucket.region, account=account, key=bucket.key
                )
            except TransientError as error:
                self._read_buckets[bucket.name] = error
        return self._read_buckets[bucket.name]


def _may_get_profile(findings: tuple[Finding, ...], desired: Desired) -> bool:
    """Whether the repair may be to put the role into an instance profile of its name."""
    return desired.instance_profile is InstanceProfileMode.REPAIR and any(
        finding.code is FindingCode.PROFILE_MISSING for finding in findings
    )
