"""Where changes and what is remembered of roles are kept, and how a change of a role is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, assert_never

from remediator.core.events.event import Cause
from remediator.core.history.change import Change, ChangeKind, ChangeState, intended
from remediator.core.history.role_record import RoleMemory
from remediator.core.model.finding import Finding
from remediator.core.model.role import Role
from remediator.core.model.step import Step
from remediator.core.repair.outcome import Applied, NotApplied, StepResult, Unconfirmed
from remediator.errors import AwsError


class History(Protocol):
    """What the flows need of the history; the methods promise what ``gateways.history.HistoryTable`` promises."""

    def read_memory(self, role_name: str) -> RoleMemory:
        """What is remembered of the role, with the ids of its open changes; empty where nothing is."""
        ...

    def write_memory(self, role_name: str, memory: RoleMemory) -> None:
        """Replace what is remembered of the role, if it is still what ``memory`` was made from."""
        ...

    def intend(self, change: Change) -> None:
        """Record a change that is about to be made, as open, and count it towards the limit of writes."""
        ...

    def conclude(self, change_id: str, state: ChangeState, why: str, at: datetime) -> None:
        """Say what came of a change, if that is not known yet; it is still open."""
        ...

    def close(self, change_id: str) -> None:
        """Take a change out of those that are open: what came of it is known, and people were told."""
        ...

    def read_change(self, change_id: str) -> Change | None:
        """The change with its documents; None where there is none of that id (any more)."""
        ...

    def changes_since(self, role_name: str, since: datetime) -> tuple[Change, ...]:
        """The changes of the role that were intended at or after that time, oldest first, without their documents."""
        ...


@dataclass(slots=True)
class Recorder:
    """Records what one reconcile changes on, or for, one role: before it is made, and what came of it.

    What came of a change is recorded at once. What was, or may have been, written stays open until people were told
    all the same: its id is only gathered in ``untold``, so that whoever is interrupted before that leaves it to be told
    at the next reconcile of the role. What could not be recorded at once is tried once more by ``conclude_again``, and
    ``on_trouble`` is told of the error that kept it from being recorded then, too.
    """

    history: History
    role: Role
    cloud: str | None
    causes: tuple[Cause, ...]
    code_version: str
    clock: Callable[[], datetime]
    on_trouble: Callable[[str, AwsError], None]
    untold: list[str]
    changes: list[Change] = field(default_factory=list)
    """All changes that were recorded, in order, as they were intended."""
    _unrecorded: list[_Conclusion] = field(default_factory=list)

    def intend(self, step: Step, findings: tuple[Finding, ...], kind: ChangeKind) -> Change:
        """Record that a step is about to be written.

        Raises WritesCapped where no more may be written within this window, and any AwsError of the history; in both
        cases nothing may be written.
        """
        change = intended(
            step,
            self.role,
            kind=kind,
            cloud=self.cloud,
            findings=findings,
            causes=self.causes,
            code_version=self.code_version,
            at=self.clock(),
            sequence=len(self.changes),
        )
        self.history.intend(change)
        self.changes.append(change)
        return change

    def conclude(self, change: Change, result: StepResult) -> None:
        """Say what came of it."""
        match result:
            case Applied():
                self._conclude(_Conclusion(change.change_id, ChangeState.COMPLETED))
            case Unconfirmed(why=why):
                self._conclude(_Conclusion(change.change_id, ChangeState.UNCONFIRMED, why))
            case NotApplied(is_lost=True):
                pass  # it stays open: the next reconcile finds out whether it took effect after all
            case NotApplied(why=why):
                self.abandon(change, why)
            case _ as never:
                assert_never(never)

    def abandon(self, change: Change, why: str) -> None:
        """Record that it was not written after all; of that nobody need be told."""
        self._conclude(_Conclusion(change.change_id, ChangeState.NOT_WRITTEN, why))

    def conclude_again(self) -> bool:
        """Try once more to record what could not be recorded; whether all that may have been written is recorded now.

        What is not stays open even if people are told of it: closed, it would have no end for good, and nobody could
        undo it. The next reconcile finds out what came of it, and should come before anybody else writes the document.
        """
        unrecorded, self._unrecorded = tuple(self._unrecorded), []
        for conclusion in unrecorded:
            error = self._conclude(conclusion)
            if error is not None:
                self.on_trouble(conclusion.change_id, error)
        return all(conclusion.state is ChangeState.NOT_WRITTEN for conclusion in self._unrecorded)

    def _conclude(self, conclusion: _Conclusion) -> AwsError | None:
        """Record it, or give the error that kept it from being recorded."""
        change_id = conclusion.change_id
        try:
            self.history.conclude(change_id, conclusion.state, conclusion.why, self.clock())
            if conclusion.state is ChangeState.NOT_WRITTEN:
                self.history.close(change_id)
        except AwsError as error:
            self._unrecorded.append(conclusion)
            return error
        if conclusion.state is not ChangeState.NOT_WRITTEN:
            self.untold.append(change_id)
        return None


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """What came of a change."""

    change_id: str
    state: ChangeState
    why: str = ""
