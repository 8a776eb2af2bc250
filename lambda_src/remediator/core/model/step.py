"""The writes that a plan consists of: each is one document before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from remediator.core.model.finding import Finding
from remediator.core.policy.document import PolicyDocument


@dataclass(frozen=True, slots=True)
class TrustStep:
    """Write the role's trust policy: ``before`` is what it must still be just before the write.

    ``merged`` says why EC2 joins the services of a statement that is there, instead of getting one of its own; it is
    empty where it gets its own.
    """

    before: PolicyDocument
    after: PolicyDocument
    merged: str = ""


@dataclass(frozen=True, slots=True)
class InlinePolicyStep:
    """Write our own inline policy ``name``.

    ``before`` is None where the role does not have it yet, and ``after`` where it is deleted: what was ours on the
    former side goes, once the new side is seen to grant.
    """

    name: str
    before: PolicyDocument | None
    after: PolicyDocument | None


@dataclass(frozen=True, slots=True)
class BucketPolicyStep:
    """Write the policy of ``bucket``, which ``account`` owns and which lives in ``region``.

    ``before`` is None where the bucket has no policy yet, and ``after`` where it is deleted, because nothing but our
    statement was in it.
    """

    bucket: str
    account: str
    region: str
    before: PolicyDocument | None
    after: PolicyDocument | None


@dataclass(frozen=True, slots=True)
class InstanceProfileStep:
    """Put the role into the instance profile ``name``, which is created under ``path`` if ``is_new``."""

    name: str
    path: str
    is_new: bool


Step: TypeAlias = TrustStep | InlinePolicyStep | BucketPolicyStep | InstanceProfileStep


@dataclass(frozen=True, slots=True)
class Withheld:
    """A finding that could be repaired as such, but not here; ``because`` says what stands in the way."""

    finding: Finding
    because: tuple[str, ...]
