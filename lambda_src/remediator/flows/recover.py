"""Recover changes that were interrupted between their record and their result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from remediator.core.events.event import APPLY_CALL
from remediator.core.history.change import Change, ChangeKind, ChangeState, settlement
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentKind
from remediator.core.repair.trust import has_own_trust
from remediator.flows.documents import read_document
from remediator.gateways.world import World

_UNDER_WAY: Final = timedelta(minutes=2)
"""The reconciler and an operator are not serialized: each may be about to write what the other finds open."""

_RECENT_CHANGES: Final = 20
"""How many changes of a role are searched for the repair that is still in its trust policy."""


def recover(open_changes: Iterable[str], role: Role | None, world: World, *, by_hand: bool) -> tuple[Change, ...]:
    """Find the result of a role's open changes, record it, and return those whose result is known now.

    ``by_hand``: an operator runs this, at any time next to the reconciler. ``role`` is the role as it is now, None
    where there is none.

    A change that was, or may have been, made stays open until it is reported. Its result may have been known before, if
    only the report was interrupted. A change stays open, too, if its document cannot be read, or if another process may
    still be about to write it.

    Raises any AwsError of the history, and TransientError where a document cannot be reached at present.
    """
    history, now = world.history, world.clock()
    recovered: list[Change] = []
    for change_id in sorted(open_changes):
        change = history.read_change(change_id)
        if change is None:
            history.close(change_id)
            continue
        if change.state is ChangeState.INTENDED:
            if (by_hand or _is_by_hand(change)) and now - change.intended_at < _UNDER_WAY:
                continue
            state, why = _found_out(change, role, world)
            if state is ChangeState.INTENDED:
                continue
            history.conclude(change_id, state, why, now)
            change = replace(change, state=state, why=why, concluded_at=now)
        if change.kind is ChangeKind.UNDO or not change.may_have_taken_effect:
            history.close(change_id)  # an operator undid it and knows, or there is nothing to report
        recovered.append(change)
    return tuple(recovered)


def trust_in_place(role: Role, world: World) -> tuple[Change, ...]:
    """The last repair that is still in the trust policy of a role, of those that the history still has."""
    if not has_own_trust(role):
        return ()
    for change in world.history.list_changes(role.arn.name, most=_RECENT_CHANGES):
        is_of_trust = change.document.kind is DocumentKind.TRUST_POLICY and change.kind is ChangeKind.REPAIR
        if is_of_trust and change.role_id == role.role_id and change.may_have_taken_effect:
            with_documents = world.history.read_change(change.change_id)
            return () if with_documents is None else (with_documents,)
    return ()


def _is_by_hand(change: Change) -> bool:
    return change.kind is ChangeKind.UNDO or any(cause.call == APPLY_CALL for cause in change.causes)


def _found_out(change: Change, role: Role | None, world: World) -> tuple[ChangeState, str]:
    if role is None or role.role_id != change.role_id:
        return ChangeState.SUPERSEDED, "It was interrupted, and the role was deleted since."
    return settlement(change, read_document(change.document, change.role_name, world))
