"""The verdicts on what a change of infrastructure code does to the enrolled roles, before it is applied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from remediator_cli.iac.declared import Place


class Verdict(StrEnum):
    """What becomes of a role when the file is applied, the worst first."""

    BREAKS = "breaks"
    """It loses something that a cluster needs, or its enrollment, and nothing restores it."""
    REPAIRED_BY_US = "repaired-by-us"
    """It loses something that the remediator adds again: after each time that the file is applied."""
    UNDECIDED = "undecided"
    """The file does not say enough, or the role was not usable before either."""
    OK = "ok"
    """It is usable by what the file says, and the file takes nothing away."""
    NOT_ENROLLED = "not-enrolled"
    """The remediator manages it neither before nor after."""


FOUND = frozenset({Verdict.BREAKS, Verdict.REPAIRED_BY_US})
"""The verdicts for which a check ends with the exit code of something found."""

FOUND_IF_STRICT = FOUND | {Verdict.UNDECIDED}
"""The same for a check that is asked to be strict."""

_ORDER = tuple(Verdict)

UNENROLLED = "un-enrolled"
ROLE_DELETED = "role-deleted"
ENROLLMENT_UNDECIDED = "enrollment-undecided"
REFUSED = "refused"
ROLE_NOT_IN_FILE = "role-not-in-file"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is said of a role: a finding of the remediator, or one of the codes above.

    ``place`` is the resource that is to blame, else the role. ``text`` is a sentence, ``because`` the reasons.
    """

    code: str
    verdict: Verdict
    place: Place
    text: str
    because: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleCheck:
    """All that is said of one role, the worst first; ``fix`` is code to add, empty where code does not help."""

    place: Place
    role: str
    cloud: str | None
    said: tuple[Remark, ...]
    fix: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of what is said; it is ok where nothing is."""
        return min((each.verdict for each in self.said), key=_ORDER.index, default=Verdict.OK)


def sorted_by_verdict(said: Iterable[Remark]) -> list[Remark]:
    """The same, the worst first; else in their order."""
    return sorted(said, key=lambda each: _ORDER.index(each.verdict))
