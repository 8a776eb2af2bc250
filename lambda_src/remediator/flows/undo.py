"""Undo a change: set the role to observe, then put the document back as the engine of writes does."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.core.events.event import Cause
from remediator.core.history.change import Change, ChangeContext, ChangeKind
from remediator.core.history.undo import UndoRefused, decide_undo, is_on_hold
from remediator.core.model.write import Write
from remediator.core.policy.reading import Absent, Present
from remediator.core.repair.outcome import Applied, NotApplied, Unconfirmed, WriteResult
from remediator.errors import RemediatorError
from remediator.flows.documents import read_document
from remediator.flows.recorder import Recorder
from remediator.flows.write import READ_BACK_PAUSES, Changed, Engine
from remediator.gateways.world import World
from remediator.settings import MODE_TAG, Mode


@dataclass(frozen=True, slots=True)
class Undone:
    """The document is what it was before the change, and reading it back showed it.

    ``change`` is the undo itself, as it is recorded. ``trouble`` says what could not be recorded, empty where all was.
    """

    change: Change
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class NotUndone:
    """The change was not undone, or not wholly; ``why`` says what was and what was not done, in sentences.

    ``change`` is the undo itself, as it is recorded; None where it did not come to that. ``diff`` shows by what the
    document differs from what the undone change left, where that is the reason. ``is_on_hold`` says whether the role
    is set to observe now.
    """

    why: str
    is_on_hold: bool
    change: Change | None = None
    diff: str = ""


def plan_undo(change: Change, world: World) -> Write | UndoRefused:
    """What undoing a change would write now, or why it cannot be undone.

    Raises TransientError where trying again later can help.
    """
    role = world.roles.read_role(change.role_name)
    return decide_undo(change, role, read_document(change.document, change.role_name, world))


def undo(change: Change, planned: Write, cause: Cause, world: World) -> Undone | NotUndone:
    """Undo a change as ``planned``, and give the result; ``cause`` is who does it.

    First the role is set to observe, so that the remediator does not make the repair again. Raises no AwsError:
    whatever happens, the result says what was done.
    """
    try:
        _put_on_hold(change.role_name, world)
    except RemediatorError as error:
        why = f"Nothing was undone. The role could not be set to observe, which comes first: {error}"
        return NotUndone(why, is_on_hold=False)
    recorder = Recorder(world, ChangeContext.for_change(change, (cause,)))
    try:
        result = Engine(world, recorder).carry_out(planned, ChangeKind.UNDO)
    except Changed as changed:
        return _changed(change, changed, recorder.changes[-1])
    except RemediatorError as error:
        if not recorder.changes:
            why = f"It could not be recorded, and nothing is written without a record: {error}"
            return NotUndone(f"Nothing was undone. {why}", is_on_hold=True)
        why = f"What is there could not be checked again before it was to be written: {error}"
        return NotUndone(f"Nothing was undone. {why}", is_on_hold=True, change=recorder.changes[-1])
    return _result(result, recorder)


def _result(result: WriteResult, recorder: Recorder) -> Undone | NotUndone:
    record = recorder.changes[-1] if recorder.changes else None
    trouble = trouble_of(recorder)
    if isinstance(result, Applied) and record is not None:
        return Undone(record, trouble)
    why = why_not(result, nothing="Nothing was undone.")
    return NotUndone(" ".join(filter(None, (why, trouble))), is_on_hold=True, change=record)


def why_not(result: WriteResult, nothing: str) -> str:
    """What is to be said of a write that an operator asked for; ``nothing`` says that nothing was done."""
    match result:
        case NotApplied(is_lost=True, why=why):
            return f"{why}. The document is as it was, and may still change: look in a minute."
        case NotApplied(why=why):
            return f"{nothing} {why}".strip()
        case Unconfirmed(why=why):
            return why
        case Applied():
            return ""


def trouble_of(recorder: Recorder) -> str:
    """What kept the results from being recorded, in sentences; empty where nothing did."""
    return " ".join(
        f"The result could not be recorded: {error}. The remediator finds it when it reads the role the next time."
        for error in recorder.unrecorded.values()
    )


def _changed(change: Change, changed: Changed, record: Change) -> NotUndone:
    """Why nothing was undone, where the role or its document is not what it was when the undo was planned."""
    why, diff = "Meanwhile another principal has changed the document.", ""
    if changed.is_retry:
        why = "AWS did not take it for now, and meanwhile another principal has changed the document."
    elif changed.role is not None:
        refused = decide_undo(change, changed.role, changed.document or Absent())
        if isinstance(refused, UndoRefused):
            why, diff = refused.why, refused.diff
    return NotUndone(f"Nothing was undone. {why}", is_on_hold=True, change=record, diff=diff)


def _put_on_hold(role_name: str, world: World) -> None:
    """Set the role to observe, unless its tag holds the remediator back already. Raises RemediatorError."""
    reading = world.roles.read_role(role_name)
    if isinstance(reading, Present) and is_on_hold(reading.value):
        return
    world.roles.tag_role(role_name, MODE_TAG, Mode.OBSERVE)
    for seconds in READ_BACK_PAUSES:
        if seconds:
            world.sleep(seconds)
        reading = world.roles.read_role(role_name)
        if isinstance(reading, Present) and is_on_hold(reading.value):
            return
    raise RemediatorError(f"the tag {MODE_TAG} was set, but reading it back does not show it yet. Try again")
