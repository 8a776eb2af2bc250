"""Findings: everything that can be wrong with an enrolled role, and what each is about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from remediator.core.model.own_names import OWN_POLICY_NAME


class FindingCode(StrEnum):
    """Everything that can be wrong with an enrolled role; each has a message and a row in the documentation."""

    TRUST_MISSING = "trust-missing"
    TRUST_CONDITIONAL = "trust-conditional"
    TRUST_BLOCKED = "trust-blocked"
    TRUST_UNDECIDED = "trust-undecided"
    GRANT_MISSING = "grant-missing"
    GRANT_BLOCKED = "grant-blocked"
    GRANT_UNDECIDED = "grant-undecided"
    GRANT_ALTERED = "grant-altered"
    GRANT_BEYOND_ROLE = "grant-beyond-role"
    GRANT_LEFTOVER = "grant-leftover"
    BUCKET_ABSENT = "bucket-absent"
    BUCKET_UNREADABLE = "bucket-unreadable"
    KEY_MISSING = "key-missing"
    KEY_BLOCKED = "key-blocked"
    KEY_UNDECIDED = "key-undecided"
    KEY_BEYOND_ROLE = "key-beyond-role"
    KEY_UNUSABLE = "key-unusable"
    KEY_UNKNOWN = "key-unknown"
    PROFILE_MISSING = "profile-missing"
    PROFILE_OCCUPIED = "profile-occupied"
    PROFILE_UNDECIDED = "profile-undecided"
    QUARANTINED = "quarantined"


REPAIRABLE = frozenset(
    {
        FindingCode.TRUST_MISSING,
        FindingCode.GRANT_MISSING,
        FindingCode.GRANT_ALTERED,
        FindingCode.GRANT_LEFTOVER,
        FindingCode.KEY_MISSING,
        FindingCode.PROFILE_MISSING,
    }
)
"""The findings that adding, restoring or taking back something of ours can repair. All others are for a person."""

TRUST_SUBJECT = "trust policy"
ROLE_SUBJECT = "role"
"""The subject of a finding about the role as a whole."""

OWN_POLICY_SUBJECT = f"inline policy {OWN_POLICY_NAME}"


def bucket_policy_subject(bucket: str) -> str:
    """The subject of a finding about the policy of a bucket, rather than about the use of the bucket."""
    return f"bucket policy of {bucket}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between the observed role and the desired one.

    ``subject`` is what it is about: a document (``trust policy``, ``inline policy …``, ``bucket policy of …``), an
    instance profile, or what shall be used: the name of a bucket, the ARN of a key. ``because`` are the reasons, most
    telling first. ``actions`` are the API actions that are missing, blocked or undecided, sorted.
    """

    code: FindingCode
    subject: str
    because: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockedRepair:
    """A repairable finding that is not repaired here: ``because`` gives the reasons, ``to_do`` the remedy for each.

    Where ``to_do`` is empty, the remedy of the finding itself applies.
    """

    finding: Finding
    because: tuple[str, ...]
    to_do: tuple[str, ...] = ()
