"""The observed state of one role: all that is checked before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.core.model.bucket import Bucket
from remediator.core.model.instance_profile import InstanceProfiles
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.reading import Reading


@dataclass(frozen=True, slots=True)
class Observed:
    """The role with its policies and the buckets of its cloud, by name, as they are now.

    ``profiles`` is None where instance profiles were not looked at.
    """

    role: Role
    policies: RolePolicies
    buckets: tuple[tuple[str, Reading[Bucket]], ...]
    profiles: InstanceProfiles | None = None
