"""What a scan of the account shows: the enrolled roles, page by page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.role import InlinePolicy, Role


@dataclass(frozen=True, slots=True)
class ScannedRole:
    """A role that carries the enrollment tag, with all that the scan shows of it.

    Of its managed policies the scan shows the ARNs in ``attached``, not the documents. ``profiles`` are the instance
    profiles that hold the role.
    """

    role: Role
    inline: tuple[InlinePolicy, ...]
    attached: tuple[str, ...]
    profiles: tuple[InstanceProfile, ...]

    @property
    def name(self) -> str:
        """The name of the role."""
        return self.role.arn.name


@dataclass(frozen=True, slots=True)
class UnreadableRole:
    """A role of which nothing certain can be said; ``why`` is for the log.

    ``name`` is None where it has none that a role can have. ``cloud`` is the value of its enrollment tag, None where
    that is unknown, too: then it may be any owner's.
    """

    name: str | None
    cloud: str | None
    why: str
    error: Exception | None = field(default=None, compare=False)
    """What kept the remediator from saying something, where it was not foreseen."""


Scanned: TypeAlias = ScannedRole | UnreadableRole


@dataclass(frozen=True, slots=True)
class ScannedPage:
    """One page of the scan.

    ``roles`` are those that carry the enrollment tag, and those of which that cannot be said; ``scanned`` is how many
    the page had. ``next_marker`` leads to the next page, None where this one was the last.
    """

    roles: tuple[Scanned, ...]
    scanned: int
    next_marker: str | None
