"""Record what one flow changes: each change before it is written, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import assert_never

from remediator.core.history.change import Change, ChangeContext, ChangeKind, ChangeState, intended
from remediator.core.model.write import Write
from remediator.core.repair.outcome import Applied, NotApplied, Unconfirmed, WriteResult
from remediator.errors import AwsError
from remediator.gateways.world import World


@dataclass(slots=True)
class Recorder:
    """Records the changes of one occasion.

    The result of a change is recorded as soon as it is known. What was, or may have been, written stays open until
    people were notified: its id is only gathered in ``untold``, so that an interruption before that leaves it to the
    next reconcile of the role. What an operator does is closed as soon as its result is recorded, since the operator
    knows it. ``is_kept`` is False where there is no history any more: then nothing is recorded.
    """

    world: World
    occasion: ChangeContext
    unreported: list[str] = field(default_factory=list)
    is_kept: bool = True
    first: int = 0
    """The number of the first change, where one occasion has several recorders."""
    changes: list[Change] = field(default_factory=list)
    """All changes that were recorded, in order, each with its result once that is known."""
    unrecorded: dict[str, AwsError] = field(default_factory=dict)
    """Why the result of a change, by its id, could not be recorded."""

    def intend(self, write: Write, kind: ChangeKind) -> Change:
        """Record that a document is about to be written.

        Raises WritesCapped where no more may be written within this window, and any AwsError of the history; in both
        cases nothing may be written.
        """
        number = self.first + len(self.changes)
        change = intended(write, self.occasion, kind, self.world.clock(), number)
        if self.is_kept:
            self.world.history.intend(change)
        self.changes.append(change)
        return change

    def conclude(self, change: Change, result: WriteResult) -> None:
        """Record the result of a write."""
        match result:
            case Applied():
                self._conclude(change, ChangeState.COMPLETED)
            case Unconfirmed(why=why):
                self._conclude(change, ChangeState.UNCONFIRMED, why)
            case NotApplied(is_lost=True, why=why):
                # A repair stays open: the next reconcile finds out whether it took effect after all.
                if change.kind is ChangeKind.UNDO:
                    self._conclude(change, ChangeState.UNKNOWN, why)
            case NotApplied(why=why):
                self.abandon(change, why)
            case _ as never:
                assert_never(never)

    def abandon(self, change: Change, why: str) -> None:
        """Record that it was not written; no one need be notified of that."""
        self._conclude(change, ChangeState.NOT_WRITTEN, why)

    def conclude_again(self) -> bool:
        """Try once more to record what could not be recorded; whether all that may have been written is recorded now.

        What is not stays open even if people are notified of it: closed, it would have no result for good, and could
        not be undone. The next reconcile finds the result, and should come before anything else writes the document.
        """
        for change in self.changes:
            if change.change_id in self.unrecorded:
                self._record(change)
        for change_id, error in self.unrecorded.items():
            self.world.on_unrecorded(change_id, error)
        left = [change for change in self.changes if change.change_id in self.unrecorded]
        return all(change.state is ChangeState.NOT_WRITTEN for change in left)

    def _conclude(self, change: Change, state: ChangeState, why: str = "") -> None:
        concluded = replace(change, state=state, why=why, concluded_at=self.world.clock())
        self.changes[self.changes.index(change)] = concluded
        if self.is_kept:
            self._record(concluded)

    def _record(self, change: Change) -> None:
        """Record a result, or keep the error."""
        self.unrecorded.pop(change.change_id, None)
        is_closed = change.state is ChangeState.NOT_WRITTEN or change.kind is ChangeKind.UNDO
        try:
            at = change.concluded_at or self.world.clock()
            self.world.history.conclude(change.change_id, change.state, change.why, at)
            if is_closed:
                self.world.history.close(change.change_id)
        except AwsError as error:
            self.unrecorded[change.change_id] = error
            return
        if not is_closed:
            self.unreported.append(change.change_id)
