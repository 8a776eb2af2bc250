"""The message of the sweep queue: look at every enrolled role, of all clouds or of some, and what made us look."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from remediator.core.event import Cause


class SweepReason(StrEnum):
    """What asked for a sweep."""

    SCHEDULE = "schedule"
    """The time has come."""
    DEPLOYMENT = "deployment"
    """The stack was deployed, so that code or configuration may have changed."""
    EVENT = "event"
    """A call concerned a bucket, a key or the account, and so more than one role."""


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """Sweep the enrolled roles of some clouds, by their names, or of all where ``clouds`` is None.

    ``cause`` is the call that asked for it, None unless the reason is an event.
    """

    reason: SweepReason
    clouds: tuple[str, ...] | None = None
    cause: Cause | None = None
