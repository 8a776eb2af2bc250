"""A role and its policies, as IAM returned them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Reading


@dataclass(frozen=True, slots=True)
class InlinePolicy:
    """A policy that lives inside the role, under ``name``."""

    name: str
    document: Reading[PolicyDocument]


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy in its default version: attached to the role, or its permissions boundary."""

    arn: str
    document: Reading[PolicyDocument]


@dataclass(frozen=True, slots=True)
class Role:
    """A role as ``iam:GetRole`` shows it: one call, no policies.

    ``role_id`` is the unique id (``AROA…``); ``tags`` keep their case, as IAM does. ``created`` is when the role was
    created, with its zone, None where that is unknown.
    """

    arn: RoleArn
    role_id: str
    tags: Mapping[str, str]
    trust: Reading[PolicyDocument]
    boundary_arn: str | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class RolePolicies:
    """All identity policies of a role, and its boundary.

    A list that could not be read is Unreadable as a whole: an unknown policy might hold a Deny.
    ``boundary`` is Absent where the role has none.
    """

    inline: Reading[tuple[InlinePolicy, ...]]
    attached: Reading[tuple[ManagedPolicy, ...]]
    boundary: Reading[ManagedPolicy] = field(default_factory=Absent)
