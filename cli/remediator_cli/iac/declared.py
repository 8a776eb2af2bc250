"""What a file of Terraform or CloudFormation says of roles, their policies and buckets at one time.

What such a file does not contain, or only contains after it is applied, is Unreadable, with the attribute by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from remediator.core.model.bucket import PublicAccessBlock
from remediator.core.policy.document import PolicyDocument, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import RemediatorError


class NotReadable(RemediatorError):
    """A file is no plan, or no template; the text says what it is instead, and what to do."""


def read_document(value: object, what: str) -> Reading[PolicyDocument]:
    """A policy; where it cannot be read, the reason begins with ``what`` it is."""
    reading = read_policy(value)
    return Unreadable(f"{what}: {reading.why}") if isinstance(reading, Unreadable) else reading


def or_root(path: Reading[str]) -> Reading[str]:
    """A path, the root where none is given."""
    return Present("/") if isinstance(path, Absent) else path


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is declared: the file, the address of the resource in it, and the line, None where unknown."""

    file: str
    address: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class OutsideRole:
    """A role that the file does not hold, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Retention:
    """Whether a resource is left as it is when the file no longer holds it, or replaces it by one of another name.

    False where it is deleted, None where that is unknown.
    """

    if_removed: bool | None = False
    if_replaced: bool | None = False


@dataclass(frozen=True, slots=True)
class DeclaredPolicy:
    """A policy of a role: an inline one by its name, or a managed one by its ARN.

    ``place`` is where the role is given it, ``written_at`` where its document is, None where that is no other place.
    """

    place: Place
    name: str
    is_managed: bool
    document: Reading[PolicyDocument]
    written_at: Place | None = None

    @property
    def label(self) -> str:
        """How the reasons of a verdict call it."""
        return f"managed policy `{self.name.rpartition('/')[2]}`" if self.is_managed else f"inline policy `{self.name}`"


@dataclass(frozen=True, slots=True)
class DeclaredRole:
    """A role with its policies.

    ``tags_unknown`` says why there may be more tags than ``tags``, None where there are not. ``boundary`` is the ARN of
    the permissions boundary, ``boundary_place`` the resource with its document, None where the file has none.
    ``account`` and ``role_id`` are what AWS gave the role, None where creates it.
    """

    place: Place
    name: Reading[str]
    path: Reading[str]
    trust: Reading[PolicyDocument]
    tags: Mapping[str, Reading[str]] = field(default_factory=dict)
    tags_unknown: str | None = None
    boundary: Reading[str] = field(default_factory=Absent)
    boundary_document: Reading[PolicyDocument] = field(default_factory=Absent)
    boundary_place: Place | None = None
    policies: tuple[DeclaredPolicy, ...] = ()
    account: str | None = None
    role_id: str | None = None
    retention: Retention = Retention()


@dataclass(frozen=True, slots=True)
class PlannedBucket:
    """A bucket that the file itself declares; ``name`` is Absent where AWS generates it.

    ``is_new`` says that the change creates it, whatever there was before under its name. ``unsure`` says why it may not
    be there at all, None where it is.
    """

    place: Place
    name: Reading[str]
    retention: Retention = Retention()
    is_new: bool = False
    unsure: str | None = None


@dataclass(frozen=True, slots=True)
class LostBucket:
    """A bucket that the change takes away, or may take away where that is not certain; ``because`` is the reason."""

    place: Place
    because: str
    is_certain: bool


@dataclass(frozen=True, slots=True)
class DeclaredBucket:
    """What is said of a bucket's access; ``policy`` is Absent where it has none."""

    place: Place
    policy: Reading[PolicyDocument] = field(default_factory=Absent)
    block: PublicAccessBlock | None = None


@dataclass(frozen=True, slots=True)
class DeclaredProfile:
    """An instance profile, with the name of the role in it, and its address where it is in the same file."""

    place: Place
    name: Reading[str]
    role: Reading[str]
    role_address: str | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """All that a file says of one time.

    ``roles`` are by their addresses, ``buckets`` by the names of the buckets. ``stray_policies`` and ``stray_buckets``
    belong to unknown roles and buckets; ``elsewhere`` are policies of roles that are not in
    the file, by the names of these roles. ``held`` are the buckets that the file declares, by their addresses, and
    ``lost`` those that the change has taken away by then, by their names.
    """

    roles: Mapping[str, DeclaredRole]
    buckets: Mapping[str, DeclaredBucket]
    profiles: tuple[DeclaredProfile, ...] = ()
    stray_policies: tuple[DeclaredPolicy, ...] = ()
    stray_buckets: tuple[DeclaredBucket, ...] = ()
    elsewhere: Mapping[str, tuple[DeclaredPolicy, ...]] = field(default_factory=dict)
    held: Mapping[str, PlannedBucket] = field(default_factory=dict)
    lost: Mapping[str, LostBucket] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredChange:
    """What a file changes.

    ``before`` is None where the file has only the state after, and not the one before. ``account`` is the account that
    the file itself names, None where it names none.
    """

    before: Declared | None
    after: Declared
    account: str | None = None
