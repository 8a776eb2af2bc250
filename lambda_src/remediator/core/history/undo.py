"""Whether a change can be undone, and what undoing it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.model.plain_text import document_diff
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentKind, Write, same_document
from remediator.core.policy.document import Json, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.settings import MODE_TAG, Mode

_NOT_IN_EFFECT = {
    ChangeState.NOT_WRITTEN: "It was not written, so there is nothing to undo.",
    ChangeState.INTENDED: "Whether it was made is not known yet. The remediator finds out when it checks the role "
    "the next time, within one interval between two sweeps at the latest.",
}


@dataclass(frozen=True, slots=True)
class UndoRefused:
    """The change cannot be undone.

    ``diff`` shows by what the document differs from what the change left, empty where that is not the reason.
    """

    why: str
    diff: str = ""


def decide_undo(change: Change, role: Reading[Role], now: Reading[Json]) -> Write | UndoRefused:
    """What undoing a change writes, by the role and the changed document as they are now, or why it cannot be undone.

    Only what the change left is ever replaced, and only for the role that it was made for: putting a bucket policy back
    for a role that was created again under the same name would grant the bucket to another one.
    """
    if change.kind is ChangeKind.UNDO:
        return UndoRefused(
            f"It is an undo itself. To have the role repaired again: remediator resume {change.role_name}"
        )
    if change.state in _NOT_IN_EFFECT:
        return UndoRefused(_NOT_IN_EFFECT[change.state])
    match role:
        case Absent():
            return UndoRefused(f"The role {change.role_name} does not exist any more.")
        case Unreadable(why=why):
            return UndoRefused(f"The role could not be read: {why}")
        case Present(value=found):
            if found.role_id != change.role_id:
                return UndoRefused(
                    f"The role {change.role_name} was deleted and created again since: it was {change.role_id}, and "
                    f"now it is {found.role_id}. Nothing is put back for another role."
                )
        case _ as never:
            assert_never(never)
    return _of_document(change, now)


def _of_document(change: Change, reading: Reading[Json]) -> Write | UndoRefused:
    now: Json | None
    match reading:
        case Unreadable(why=why):
            return UndoRefused(f"The document could not be read: {why}")
        case Absent():
            now = None
        case Present(value=document):
            now = document
        case _ as never:
            assert_never(never)
    if same_document(now, change.before):
        return UndoRefused("It is undone already: the document is what it was before the change.")
    if _is_emptied_profile(change, now):
        return Write(change.document, now, change.before)
    if not same_document(now, change.after):
        return UndoRefused(
            "The document has changed since. What the change left is marked with -, what is there now with +:",
            document_diff(change.after, now),
        )
    if change.document.kind is not DocumentKind.INSTANCE_PROFILE and not _can_be_written(change.before):
        return UndoRefused("What was there before is no policy that AWS would take.")
    return Write(change.document, now, change.before, note=_warning(change))


def _is_emptied_profile(change: Change, now: Json | None) -> bool:
    """Whether it is an instance profile that the change created, and that holds no role any more.

    Undoing it takes two calls, and may have been cut off between them.
    """
    return (
        change.document.kind is DocumentKind.INSTANCE_PROFILE
        and change.before is None
        and change.after is not None
        and same_document(now, {**change.after, "Roles": []})
    )


def _can_be_written(document: Json | None) -> bool:
    reading = read_policy(document)
    return isinstance(reading, Absent) or (isinstance(reading, Present) and not reading.value.faults)


def _warning(change: Change) -> str:
    if change.document.kind is DocumentKind.INSTANCE_PROFILE:
        return "Instances that were started with this instance profile lose the role's credentials."
    return ""


def is_on_hold(role: Role) -> bool:
    """Whether the role's own tag keeps the remediator from writing to it: it is there, and does not say repair."""
    return role.tags.get(MODE_TAG, Mode.REPAIR).strip().casefold() != Mode.REPAIR
