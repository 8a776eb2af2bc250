"""Instance profiles, as IAM returned them."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.core.policy.reading import Reading


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """An instance profile, by its ARN and its name; ``role_names`` are the roles in it, one at most.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html#ec2-instance-profile
    """

    arn: str
    name: str
    role_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InstanceProfiles:
    """The instance profiles of a role: those that hold it, and the one that has its name.

    ``namesake`` is None where it was not checked, because it holds the role, or to save a call.
    """

    holding: Reading[tuple[InstanceProfile, ...]]
    namesake: Reading[InstanceProfile] | None = None
