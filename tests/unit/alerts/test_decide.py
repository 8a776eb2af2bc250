"""Whether people are told: alerts are about changes of state."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.alerts.decide import MAX_ALERTS_PER_DAY, MAX_REPEATS_PER_DAY, AlertReason, decide_alert
from remediator.core.history.change import ChangeState
from remediator.core.history.role_record import Conflict, RoleRecord
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.repair.outcome import ALERTED, Applied, Hold, NotApplied, Outcome, OutcomeKind, Unconfirmed
from tests.examples import ACCOUNT, BUCKET, a_cause
from tests.unit.history.changes import NOW, TRUST_STEP, a_change

BLOCKED = Finding(FindingCode.GRANT_BLOCKED, BUCKET)
UNKNOWN = Finding(FindingCode.KEY_UNKNOWN, BUCKET)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def outcome(kind: OutcomeKind, *findings: Finding, **fields: Any) -> Outcome:
    return Outcome(kind, ACCOUNT, "head-node", (a_cause(),), findings=findings, **fields)


class Role:
    """A role of which people are told, or not, one outcome after the other."""

    def __init__(self) -> None:
        self.role_record = RoleRecord(role_id="AROA")
        self.incidents: list[str | None] = []

    def sees(self, of: Outcome, at: datetime) -> AlertReason:
        telling = decide_alert(replace(of, role_record=self.role_record), at)
        self.role_record = telling.role_record
        self.incidents.append(telling.incident_id)
        return telling.reason

    def sees_all(self, *outcomes: Outcome, every: timedelta = MINUTE) -> list[AlertReason]:
        return [self.sees(each, NOW + number * every) for number, each in enumerate(outcomes)]


MANUAL_ACTION = outcome(OutcomeKind.MANUAL_ACTION, BLOCKED)
CLEAN = outcome(OutcomeKind.CLEAN)
REPAIRED = outcome(OutcomeKind.REPAIRED, results=(Applied(TRUST_STEP),))


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_the_first_time_exactly_those_outcomes_are_told_of_which_a_person_should_know(kind: OutcomeKind) -> None:
    assert (Role().sees(outcome(kind, BLOCKED), NOW) is AlertReason.NEW) == (kind in ALERTED)


def test_what_stays_is_told_once_and_reminded_of_daily() -> None:
    role = Role()
    hourly = role.sees_all(*[MANUAL_ACTION] * 73, every=timedelta(hours=1))
    assert hourly[0] is AlertReason.NEW
    assert hourly.count(AlertReason.NEW) == 1
    assert [hour for hour, reason in enumerate(hourly) if reason is AlertReason.REMINDER] == [23, 46, 69]


def test_it_is_told_again_when_it_changes_and_when_it_is_over_as_one_incident() -> None:
    role = Role()
    told = role.sees_all(MANUAL_ACTION, outcome(OutcomeKind.MANUAL_ACTION, BLOCKED, UNKNOWN), CLEAN, CLEAN)
    assert told == [AlertReason.NEW, AlertReason.NEW, AlertReason.RESOLVED, AlertReason.NONE]
    assert len(set(role.incidents[:3])) == 1
    assert role.role_record.incident is None


@pytest.mark.parametrize(
    "worse",
    [
        outcome(OutcomeKind.MANUAL_ACTION, replace(BLOCKED, actions=("s3:GetObject", "s3:PutObject"))),
        outcome(OutcomeKind.MANUAL_ACTION, replace(BLOCKED, subject="another-bucket")),
        outcome(OutcomeKind.MANUAL_ACTION, BLOCKED, cloud="staging"),
        outcome(OutcomeKind.CONFLICT, BLOCKED),
    ],
)
def test_more_of_the_same_and_another_cloud_are_something_new(worse: Outcome) -> None:
    assert Role().sees_all(MANUAL_ACTION, worse, worse) == [AlertReason.NEW, AlertReason.NEW, AlertReason.NONE]


def test_other_words_for_the_same_are_nothing_new() -> None:
    role = Role()
    worded = outcome(OutcomeKind.MANUAL_ACTION, replace(BLOCKED, because=("another statement",)), why="otherwise")
    assert role.sees_all(MANUAL_ACTION, worded) == [AlertReason.NEW, AlertReason.NONE]


def test_what_was_written_is_always_told() -> None:
    role = Role()
    unseen = outcome(OutcomeKind.FAILED, BLOCKED, results=(Unconfirmed(TRUST_STEP, "not seen"),))
    assert role.sees_all(*[REPAIRED] * 20, *[unseen] * 20) == [AlertReason.NEW] * 40


def test_a_write_that_was_refused_is_told_once() -> None:
    refused = outcome(OutcomeKind.FAILED, BLOCKED, results=(NotApplied(TRUST_STEP, "denied"),))
    assert Role().sees_all(refused, refused) == [AlertReason.NEW, AlertReason.NONE]


def test_a_repair_ends_the_incident_and_says_so_itself() -> None:
    role = Role()
    assert role.sees_all(MANUAL_ACTION, REPAIRED, CLEAN) == [AlertReason.NEW, AlertReason.NEW, AlertReason.NONE]
    assert role.incidents[0] == role.incidents[1]


def test_our_own_event_tells_nothing_but_the_end_of_an_incident() -> None:
    role = Role()
    own = replace(MANUAL_ACTION, own=True)
    assert role.sees_all(own, MANUAL_ACTION, own, replace(CLEAN, own=True)) == [
        *(AlertReason.NONE, AlertReason.NEW, AlertReason.NONE, AlertReason.RESOLVED)
    ]


def test_an_interrupted_write_is_told_even_by_our_own_event() -> None:
    recovered = (replace(a_change(), state=ChangeState.COMPLETED),)
    assert Role().sees(outcome(OutcomeKind.REPAIRED, recovered=recovered, own=True), NOW) is AlertReason.NEW


def test_a_role_that_is_in_order_is_contested_by_nobody() -> None:
    role = Role()
    role.role_record = replace(role.role_record, conflict=Conflict(NOW, NOW + DAY, (BLOCKED,), ()))
    role.sees(CLEAN, NOW)
    assert not role.role_record.is_pending


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF])
def test_taking_the_tag_away_ends_no_contest_before_it_has_cooled_down(kind: OutcomeKind) -> None:
    role = Role()
    role.role_record = replace(role.role_record, conflict=Conflict(NOW, NOW + DAY, (BLOCKED,), ()))
    role.sees(outcome(kind), NOW)
    assert role.role_record.conflict is not None
    role.sees(outcome(kind), NOW + DAY)
    assert not role.role_record.is_pending


def test_a_contest_is_told_however_much_was_told_before() -> None:
    role = Role()
    role.sees_all(*(outcome(OutcomeKind.REFUSED, replace(BLOCKED, subject=str(n))) for n in range(MAX_ALERTS_PER_DAY)))
    contested = outcome(OutcomeKind.CONFLICT, BLOCKED, proposed=(TRUST_STEP,))
    assert role.sees_all(*[contested] * 5) == [AlertReason.NEW, *[AlertReason.NONE] * 4]


def test_what_was_too_much_to_tell_is_told_when_it_stays() -> None:
    role = Role()
    role.sees_all(*[MANUAL_ACTION, CLEAN] * MAX_REPEATS_PER_DAY, MANUAL_ACTION)
    hourly = [role.sees(MANUAL_ACTION, NOW + timedelta(hours=hour)) for hour in range(1, 6)]
    assert hourly.count(AlertReason.NEW) == 1
    assert AlertReason.NEW in hourly[:2]


def test_somebody_who_waits_for_an_hour_each_time_makes_an_alert_an_hour_at_most() -> None:
    role = Role()
    pairs = [outcome(OutcomeKind.MANUAL_ACTION, replace(BLOCKED, subject=str(n // 2))) for n in range(600)]
    told = role.sees_all(*pairs, every=timedelta(minutes=2))
    assert len([reason for reason in told if reason is not AlertReason.NONE]) <= MAX_ALERTS_PER_DAY + 20


def test_what_is_held_up_by_the_limit_of_writes_is_told_for_all_roles_together() -> None:
    missing = Finding(FindingCode.TRUST_MISSING, "trust policy")
    held = outcome(OutcomeKind.WOULD_REPAIR, missing, proposed=(TRUST_STEP,), hold=Hold.CAPPED)
    assert Role().sees(held, NOW) is AlertReason.NONE
    assert Role().sees(replace(held, results=(Applied(TRUST_STEP),)), NOW) is AlertReason.NEW
    assert Role().sees(replace(held, hold=Hold.PAUSED), NOW) is AlertReason.NEW
    assert (
        Role().sees(replace(held, kind=OutcomeKind.MANUAL_ACTION, findings=(missing, BLOCKED)), NOW) is AlertReason.NEW
    )


def test_an_outcome_without_a_memory_is_told_as_it_is() -> None:
    assert decide_alert(outcome(OutcomeKind.FAILED), NOW).reason is AlertReason.NEW
    assert decide_alert(CLEAN, NOW).reason is AlertReason.NONE


def test_what_comes_and_goes_a_thousand_times_is_told_a_few_times_a_day() -> None:
    role = Role()
    told = role.sees_all(*[MANUAL_ACTION, CLEAN] * 1000, every=timedelta(seconds=10))
    assert told.count(AlertReason.NEW) == told.count(AlertReason.RESOLVED) == MAX_REPEATS_PER_DAY
    assert role.sees(MANUAL_ACTION, NOW + 2 * DAY) is AlertReason.NEW


def test_so_is_what_changes_all_the_time() -> None:
    role = Role()
    ever_new = [outcome(OutcomeKind.MANUAL_ACTION, replace(BLOCKED, subject=f"bucket-{n}")) for n in range(1000)]
    assert role.sees_all(*ever_new, every=timedelta(seconds=10)).count(AlertReason.NEW) == 12
    assert len(role.role_record.alerts) <= 12


def test_what_was_not_told_because_it_was_too_much_is_told_when_a_day_has_passed() -> None:
    role = Role()
    role.sees_all(*[MANUAL_ACTION, CLEAN] * 5, MANUAL_ACTION)
    assert role.role_record.incident is not None
    assert not role.role_record.incident.alerted
    assert role.sees(MANUAL_ACTION, NOW + timedelta(hours=25)) is AlertReason.NEW


KINDS = st.sampled_from([MANUAL_ACTION, CLEAN, REPAIRED, outcome(OutcomeKind.REFUSED), outcome(OutcomeKind.OFF)])


@given(st.lists(st.tuples(KINDS, st.integers(0, 40)), max_size=40))
def test_nobody_is_told_of_an_end_without_a_beginning(history: list[tuple[Outcome, int]]) -> None:
    role, at, open_for_people = Role(), NOW, False
    for seen, hours in history:
        at += timedelta(hours=hours)
        reason = role.sees(seen, at)
        if reason is AlertReason.RESOLVED:
            assert open_for_people
        if reason is not AlertReason.NONE:
            open_for_people = seen.kind in ALERTED and seen.kind is not OutcomeKind.REPAIRED
        assert role.role_record.is_pending or not open_for_people


def test_each_incident_has_a_name_of_its_own_that_no_other_role_or_time_shares() -> None:
    known = replace(MANUAL_ACTION, role_record=RoleRecord(role_id="AROA"))
    names = [
        decide_alert(each, at).incident_id or ""
        for each in (known, replace(known, role_name="worker"))
        for at in (NOW, NOW + MINUTE)
    ]
    assert len(set(names)) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
