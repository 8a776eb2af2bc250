"""Which steps an outcome is about, and which word it has."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.core.history.change import ChangeState
from remediator.core.model.finding import BlockedRepair
from remediator.core.repair.outcome import Applied, NotApplied, OutcomeKind, Unconfirmed, after_the_last_try, conclude
from tests.unit.alerts.samples import GRANT_BLOCKED, GRANT_STEP, TRUST_MISSING, outcome
from tests.unit.history.changes import TRUST_STEP, a_change
from tests.writes import profile_write

PROFILE_STEP = profile_write("head-node", "/anyscale/production/", is_new=True)


def test_the_steps_are_those_that_were_left_undone_and_those_that_were_tried_whatever_came_of_them() -> None:
    held = outcome(OutcomeKind.WOULD_REPAIR, proposed=(TRUST_STEP, GRANT_STEP), results=())
    assert held.writes == (TRUST_STEP, GRANT_STEP)
    tried = outcome(
        OutcomeKind.FAILED,
        proposed=(PROFILE_STEP,),
        results=(Applied(TRUST_STEP), Unconfirmed(GRANT_STEP, "not seen")),
    )
    assert tried.writes == (PROFILE_STEP, TRUST_STEP, GRANT_STEP)
    assert outcome(OutcomeKind.FAILED, results=(NotApplied(GRANT_STEP, "denied"),)).writes == (GRANT_STEP,)
    assert outcome(OutcomeKind.CLEAN, results=()).writes == ()


def test_the_last_attempt_is_not_tried_again() -> None:
    assert outcome(OutcomeKind.FAILED, results=(), again=True).to_be_retried
    assert not outcome(OutcomeKind.FAILED, results=(), again=True, is_last=True).to_be_retried


def test_after_the_last_try_nothing_is_tried_again() -> None:
    last = after_the_last_try(outcome(OutcomeKind.FAILED, results=(NotApplied(GRANT_STEP, "throttled", retried=True),)))
    assert last.is_last
    assert not last.to_be_retried
    assert last.results == (NotApplied(GRANT_STEP, "throttled"),)


def test_what_was_seen_in_part_when_the_last_try_ended_has_failed() -> None:
    assert after_the_last_try(outcome(OutcomeKind.MANUAL_ACTION, again=True)).kind is OutcomeKind.FAILED


def test_only_what_was_written_and_seen_was_applied() -> None:
    tried = outcome(
        OutcomeKind.FAILED,
        proposed=(PROFILE_STEP,),
        results=(NotApplied(TRUST_STEP, "denied"), Applied(GRANT_STEP)),
    )
    assert tried.applied == (GRANT_STEP,)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({}, OutcomeKind.CLEAN),
        ({"findings": (TRUST_MISSING,)}, OutcomeKind.MANUAL_ACTION),
        ({"findings": (TRUST_MISSING,), "results": (Applied(TRUST_STEP),)}, OutcomeKind.REPAIRED),
        ({"recovered": (a_change(state=ChangeState.COMPLETED),)}, OutcomeKind.REPAIRED),
        ({"recovered": (a_change(state=ChangeState.NOT_WRITTEN),)}, OutcomeKind.CLEAN),
        ({"recovered": (a_change(state=ChangeState.SUPERSEDED),)}, OutcomeKind.MANUAL_ACTION),
        ({"recovered": (a_change(state=ChangeState.UNKNOWN),)}, OutcomeKind.MANUAL_ACTION),
        (
            {"recovered": (a_change(state=ChangeState.UNKNOWN),), "results": (Applied(TRUST_STEP),)},
            OutcomeKind.REPAIRED,
        ),
        (
            {"recovered": (a_change(state=ChangeState.SUPERSEDED),), "proposed": (TRUST_STEP,)},
            OutcomeKind.WOULD_REPAIR,
        ),
        ({"findings": (TRUST_MISSING,), "proposed": (TRUST_STEP,)}, OutcomeKind.WOULD_REPAIR),
        ({"findings": (GRANT_BLOCKED,), "proposed": (TRUST_STEP,)}, OutcomeKind.MANUAL_ACTION),
        (
            {"findings": (TRUST_MISSING,), "blocked": (BlockedRepair(TRUST_MISSING, ("it is full",)),)},
            OutcomeKind.MANUAL_ACTION,
        ),
        (
            {"findings": (GRANT_BLOCKED,), "results": (Applied(TRUST_STEP), NotApplied(GRANT_STEP, "denied"))},
            OutcomeKind.FAILED,
        ),
        ({"results": (Unconfirmed(TRUST_STEP, "not seen"),)}, OutcomeKind.FAILED),
    ],
)
def test_of_all_that_came_of_a_reconcile_the_most_urgent_names_it(found: dict[str, Any], kind: OutcomeKind) -> None:
    assert conclude(**found) is kind
