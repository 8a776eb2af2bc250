"""What a role of a cloud must be able to do, and what may be written for it: the desired state."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.settings import Cloud, GrantLocation, InstanceProfileMode, RolePattern


@dataclass(frozen=True, slots=True)
class Desired:
    """What is asked for besides EC2's trust and the use of the observed buckets.

    ``grant`` is the side where a missing grant is put. ``writes_bucket_policies`` says whether the policies of the
    buckets may be written. ``instance_profile`` is what is done where the role has no instance profile of its own name,
    and ``instance_profiles`` are the patterns for the paths and names of those that the remediator may put a role into.
    """

    grant: GrantLocation = GrantLocation.ROLE_POLICY
    writes_bucket_policies: bool = False
    instance_profile: InstanceProfileMode = InstanceProfileMode.IGNORE
    instance_profiles: tuple[RolePattern, ...] = ()


def desired_of(cloud: Cloud) -> Desired:
    """What a cloud's configuration asks for."""
    return Desired(cloud.grant, cloud.writes_bucket_policies, cloud.instance_profile, cloud.roles)
