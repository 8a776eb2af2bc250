"""The messages of the sweep queue, what several of them come to, and what a sweep tells of which role."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.events.event import Actor, Cause, SharedTrigger, parse_time
from remediator.core.events.request import ReconcileRequest, parse_request, request_json
from remediator.core.events.sweep import (
    Sweep,
    SweepCause,
    SweepCounts,
    SweepReason,
    SweepRequest,
    begin_sweep,
    is_first_of_day,
    is_sweep,
    parse_sweep,
    seconds_since_event,
    sweep_cause,
    sweep_for,
    sweep_json,
)
from remediator.core.events.watched import Concern
from remediator.errors import MalformedRequest
from tests.examples import ACCOUNT, a_cause, settings

NOW = datetime(2026, 3, 4, 10, 0, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOUDS = ("production", "research", "staging")

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
optional_texts = st.none() | texts
times = st.timedeltas(timedelta(), timedelta(days=300_000)).map(lambda since: datetime(2001, 1, 1, tzinfo=UTC) + since)
clouds = st.none() | st.lists(st.sampled_from(CLOUDS), min_size=1, max_size=3).map(tuple)
causes = st.builds(
    Cause,
    event_id=texts,
    call=texts,
    time=times.map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ")),
    actor=st.builds(
        Actor, kind=texts, arn=texts, issuer_arn=optional_texts, invoked_by=optional_texts, user_agent=optional_texts
    ),
)
requests = st.one_of(
    st.builds(SweepRequest, st.just(SweepReason.SCHEDULE), time=st.none() | times),
    st.builds(SweepRequest, st.just(SweepReason.DEPLOYMENT)),
    st.builds(SweepRequest, st.just(SweepReason.EVENT), clouds, causes),
)
counted = st.builds(SweepCounts, **{each.name: st.integers(0, 9_999) for each in fields(SweepCounts)})
unfinished = st.builds(
    Sweep,
    sweep_id=texts,
    started=times,
    scheduled=st.booleans(),
    thorough=st.booleans(),
    causes=st.lists(st.builds(SweepCause, clouds, causes), max_size=3).map(tuple),
    marker=optional_texts,
    counts=counted,
    restarted=st.booleans(),
)


def event(*names: str, time: str = "10:00:00", event_id: str = "e-1") -> SweepRequest:
    """A request because of an event that concerns some clouds, or all of them."""
    cause = replace(a_cause("PutBucketPolicy"), event_id=event_id, time=f"2026-03-04T{time}Z")
    return SweepRequest(SweepReason.EVENT, names or None, cause)


def scheduled(hour: int, minute: int = 20) -> SweepRequest:
    return SweepRequest(SweepReason.SCHEDULE, time=datetime(2026, 3, 4, hour, minute, tzinfo=UTC))


DEPLOYMENT = SweepRequest(SweepReason.DEPLOYMENT)


def begun(*asked: SweepRequest) -> Sweep:
    return begin_sweep(asked, sweep_id="s-1", started=NOW, interval=HOUR)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('{"format":1,"reason":"schedule"}', SweepRequest(SweepReason.SCHEDULE)),
        ('{"format":1,"reason":"deployment"}', DEPLOYMENT),
        ('{"format": 1, "reason": "schedule", "time": "2026-03-04T10:20:00Z"}', scheduled(10)),
        ('{"format": 1, "reason": "schedule", "time": "2026-03-04T11:20:00.000+01:00"}', scheduled(10)),
    ],
)
def test_what_scheduler_and_rule_send_word_for_word_is_understood(text: str, request_: SweepRequest) -> None:
    assert parse_sweep(text) == request_


@given(request=requests)
def test_a_request_that_is_written_reads_back_equal(request: SweepRequest) -> None:
    assert parse_sweep(sweep_json(request)) == request


@given(sweep=unfinished)
def test_an_unfinished_sweep_that_is_written_reads_back_equal(sweep: Sweep) -> None:
    assert parse_sweep(sweep_json(sweep)) == sweep


WRITTEN_EVENT = json.loads(sweep_json(event("production")))
WRITTEN_SWEEP = json.loads(sweep_json(replace(begun(event("production"), DEPLOYMENT), marker="m-1")))
WRITTEN_CAUSE = WRITTEN_EVENT["cause"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        '{"format":1}',
        '{"format":2,"reason":"schedule"}',
        '{"format":1,"reason":"fun"}',
        '{"format":1,"reason":["schedule"]}',
        '{"format":1,"reason":"event"}',
        '{"format":1,"reason":"event","cause":null}',
        '{"format":1,"reason":"event","cause":{"actor":7}}',
        '{"format":1,"reason":"continuation"}',
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_sweep(text)


@pytest.mark.parametrize(
    ("message", "changed", "named"),
    [
        ({"reason": "schedule"}, {"time": "yesterday"}, "yesterday"),
        ({"reason": "schedule"}, {"time": "<aws.scheduler.scheduled-time>"}, "scheduled-time"),
        ({"reason": "schedule"}, {"time": "2026-03-04T10:20:00"}, "`time` names no zone"),
        ({"reason": "schedule"}, {"time": "0001-01-01T00:00:00+14:00"}, "2000"),
        ({"reason": "schedule"}, {"time": "9999-12-31T23:59:59-14:00"}, "wrong field"),
        ({"reason": "schedule"}, {"time": 1_700_000_000}, "`time` must be a text"),
        ({"reason": "schedule"}, {"clouds": ["production"]}, "`clouds`"),
        ({"reason": "deployment"}, {"cause": WRITTEN_CAUSE}, "`cause`"),
        (WRITTEN_EVENT, {"clouds": []}, "`clouds` must be a list of at least one name"),
        (WRITTEN_EVENT, {"clouds": "production"}, "`clouds`"),
        (WRITTEN_EVENT, {"clouds": [7]}, "`clouds`"),
        (WRITTEN_EVENT, {"cause": {**WRITTEN_CAUSE, "event_id": "\ud800"}}, "surrogates"),
        (WRITTEN_EVENT, {"cause": {**WRITTEN_CAUSE, "time": None}}, "`time`"),
        (WRITTEN_EVENT, {"cause": {**WRITTEN_CAUSE, "actor": None}}, "object"),
        (WRITTEN_SWEEP, {"sweep_id": ""}, "`sweep_id`"),
        (WRITTEN_SWEEP, {"scheduled": 1}, "`scheduled`"),
        (WRITTEN_SWEEP, {"causes": {}}, "`causes`"),
        (WRITTEN_SWEEP, {"causes": [7]}, "object"),
        (WRITTEN_SWEEP, {"counts": {**WRITTEN_SWEEP["counts"], "missed": -1}}, "`missed`"),
        (WRITTEN_SWEEP, {"counts": {**WRITTEN_SWEEP["counts"], "missed": True}}, "`missed`"),
        (WRITTEN_SWEEP, {"counts": {**WRITTEN_SWEEP["counts"], "missed": 1.5}}, "`missed`"),
    ],
)
def test_a_message_with_a_wrong_field_is_malformed_and_says_which(
    message: dict[str, Any], changed: dict[str, Any], named: str
) -> None:
    with pytest.raises(MalformedRequest, match=named):
        parse_sweep(json.dumps({"format": 1, **message, **changed}))


@pytest.mark.parametrize("field", [key for key in WRITTEN_SWEEP if key not in ("format", "reason")])
def test_an_unfinished_sweep_that_lacks_a_field_is_malformed_and_names_it(field: str) -> None:
    with pytest.raises(MalformedRequest, match=field):
        parse_sweep(json.dumps({key: value for key, value in WRITTEN_SWEEP.items() if key != field}))


@pytest.mark.parametrize("field", [each.name for each in fields(SweepCounts) if each.name != "unsettled"])
def test_an_unfinished_sweep_that_lacks_a_count_is_malformed_and_names_it(field: str) -> None:
    counts = {key: value for key, value in WRITTEN_SWEEP["counts"].items() if key != field}
    with pytest.raises(MalformedRequest, match=field):
        parse_sweep(json.dumps({**WRITTEN_SWEEP, "counts": counts}))


def test_an_unfinished_sweep_of_before_there_was_a_count_of_unsettled_roles_goes_on() -> None:
    counts = {key: value for key, value in WRITTEN_SWEEP["counts"].items() if key != "unsettled"}
    sweep = parse_sweep(json.dumps({**WRITTEN_SWEEP, "counts": counts}))
    assert isinstance(sweep, Sweep)
    assert sweep.counts == replace(SweepCounts(**WRITTEN_SWEEP["counts"]), unsettled=0)


@given(one=counted, other=counted)
def test_the_counts_of_two_parts_add_up_field_by_field(one: SweepCounts, other: SweepCounts) -> None:
    for each in fields(SweepCounts):
        assert getattr(one + other, each.name) == getattr(one, each.name) + getattr(other, each.name)
    assert one + SweepCounts() == one


@given(
    first=times,
    minutes=st.integers(5, 24 * 60),
    zone=st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours))),
)
def test_exactly_one_sweep_of_a_schedule_is_the_first_of_each_day(
    first: datetime, minutes: int, zone: timezone
) -> None:
    interval = timedelta(minutes=minutes)
    made = [first + interval * number for number in range(4 * 24 * 60 // minutes + 1)]
    firsts = [time.date() for time in made if is_first_of_day(time.astimezone(zone), interval)]
    assert firsts == [day for day in dict.fromkeys(time.date() for time in made) if day in firsts], "never twice"
    assert set(firsts) >= {time.date() for time in made} - {first.date()}, "every day, but perhaps the one it began in"


@pytest.mark.parametrize(
    ("asked", "scheduled_", "everywhere", "production"),
    [
        ((scheduled(10),), True, False, False),
        ((scheduled(0),), True, True, True),
        ((DEPLOYMENT,), False, True, True),
        ((event("production"),), False, False, True),
        ((event(),), False, True, True),
        ((scheduled(10), event("production")), True, False, True),
        ((scheduled(10), scheduled(0)), True, True, True),
        ((event("research"), scheduled(10), DEPLOYMENT), True, True, True),
    ],
)
def test_each_request_of_a_batch_keeps_its_own_rule(
    asked: tuple[SweepRequest, ...], scheduled_: bool, everywhere: bool, production: bool
) -> None:
    sweep = begun(*asked)
    assert sweep.scheduled == scheduled_
    assert sweep.reports_all("staging") == everywhere
    assert sweep.reports_all("production") == production
    assert sweep.covers("staging") == (everywhere or scheduled_)
    assert sweep.covers("production") == (production or scheduled_)


@given(asked=st.lists(requests, min_size=1, max_size=8))
def test_one_sweep_answers_all_requests_of_a_batch_with_the_latest_cause_of_each_cloud(
    asked: list[SweepRequest],
) -> None:
    sweep = begun(*asked)
    for cloud in (*CLOUDS, None):
        concerned = [each for each in asked if each.clouds is None or cloud in each.clouds]
        assert sweep.covers(cloud) == bool(concerned)
        times_of_calls = [each.cause.time for each in concerned if each.cause is not None]
        cause = sweep.cause_for(cloud)
        if times_of_calls:
            assert cause.time == max(times_of_calls)
            assert cause in [each.cause for each in concerned]
        else:
            assert is_sweep(cause)
    assert len(sweep.causes) <= len(CLOUDS) + 1, "no more than the clouds, whatever the batch"


def test_of_several_events_about_a_cloud_the_latest_is_the_cause() -> None:
    early = event("production", time="09:00:00", event_id="early")
    late = event("production", "research", time="11:00:00", event_id="late")
    of_all = event(time="10:00:00", event_id="of all")
    superseded = (event("staging", time="09:30:00"), event(time="08:00:00"))
    sweep = begun(late, early, *superseded, of_all)
    assert sweep.cause_for("production").event_id == "late"
    assert sweep.cause_for("staging").event_id == "of all"
    assert sweep.cause_for(None).event_id == "of all"
    assert [each.cause.event_id for each in sweep.causes] == ["of all", "late"]
    assert [each.cause.event_id for each in begun(early, late).causes] == ["late"]


def test_a_schedule_without_a_time_is_taken_to_ask_when_the_sweep_began() -> None:
    request = SweepRequest(SweepReason.SCHEDULE)
    for started, told in ((NOW, False), (NOW.replace(hour=0), True)):
        assert begin_sweep([request], sweep_id="s", started=started, interval=HOUR).thorough is told


def test_a_look_that_no_call_asked_for_has_the_sweep_as_its_cause() -> None:
    cause = sweep_cause("s-1", NOW.astimezone(timezone(timedelta(hours=5))))
    assert is_sweep(cause)
    assert not is_sweep(a_cause("PutBucketPolicy"))
    assert not is_sweep(a_cause(cause.call))
    assert not is_sweep(replace(cause, call="PutBucketPolicy"))
    assert cause.event_id == "s-1"
    assert parse_time(cause.time) == NOW
    assert cause == begun(scheduled(10)).cause_for("production")
    request = ReconcileRequest(ACCOUNT, "head-node", cause)
    assert parse_request(request_json(request)) == request


def test_what_is_wrong_with_a_message_is_told_in_short() -> None:
    with pytest.raises(MalformedRequest, match="wrong field") as raised:
        parse_sweep(json.dumps({"format": 1, "reason": "x" * 5_000}))
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (("2026-03-04T10:00:00Z",), 20.0),
        (("2026-03-04T10:00:10Z", "2026-03-04T10:00:00Z"), 20.0),
        (("2026-03-04T10:00:21Z",), 0.0),
        (("yesterday", "2026-03-04T10:00:00Z"), 20.0),
        (("yesterday",), None),
        ((), None),
    ],
)
def test_the_time_since_the_event_is_that_of_the_first_call_whose_time_can_be_read_and_no_sweep_counts(
    times: tuple[str, ...], seconds: float | None
) -> None:
    swept = sweep_cause("s-1", NOW - HOUR)
    causes = (swept, *(replace(a_cause(), time=time) for time in times))
    assert seconds_since_event(causes, NOW) == seconds


@pytest.mark.parametrize("concern", [Concern.ROLE, Concern.INSTANCE_PROFILE, Concern.MANAGED_POLICY])
def test_a_call_that_names_its_roles_asks_for_no_sweep(concern: Concern) -> None:
    with pytest.raises(ValueError, match="asks for no sweep"):
        sweep_for(SharedTrigger(ACCOUNT, concern, "head-node", a_cause()), settings())
