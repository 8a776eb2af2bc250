"""What the alerts topic carries can be read back: nothing that people are told gets lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remediator.core.alerts.alert_json import FORMAT, attributes_of, parse_record, record_json
from remediator.core.alerts.alert_layout import layout_of
from remediator.core.alerts.decide import AlertReason
from remediator.core.alerts.describe import describe
from remediator.core.alerts.layout import email_text
from remediator.core.alerts.notification import Notification, Point, SystemNotice
from remediator.core.repair.outcome import OutcomeKind
from remediator.errors import MalformedAlert
from tests.unit.alerts.samples import ALERTS, alert, decision, longest, outcome

EVERY = {**ALERTS, "longest": longest()}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_read_back_is_published_as_the_same_again(name: str) -> None:
    told = EVERY[name]
    read = parse_record(told.json)
    assert (record_json(read), attributes_of(read)) == (told.json, told.attributes)


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_what_fits_is_told_as_if_it_had_not_been_published_in_between(kind: OutcomeKind) -> None:
    described = describe(outcome(kind, why="somebody changed it"), decision(AlertReason.NEW), buckets=("data",))
    read = parse_record(record_json(described))
    assert isinstance(read, Notification)
    assert layout_of(read) == layout_of(described)


def test_what_was_left_out_already_is_counted_once_when_more_is_left_out() -> None:
    described = describe(outcome(), decision(AlertReason.NEW))
    many = ("a reason", *(f"because {n}" for n in range(20)))
    once = parse_record(record_json(_with(described, many)))
    assert isinstance(once, Notification)
    assert once.wrong[-1][-1] == "… and 12 more of this kind"
    twice = parse_record(record_json(once))
    assert isinstance(twice, Notification)
    assert twice.wrong == once.wrong


def _with(notification: Notification, point: Point) -> Notification:
    fields = {name: getattr(notification, name) for name in Notification.__slots__}
    return Notification(**{**fields, "wrong": (point,)})


def test_an_alert_of_another_version_is_refused_with_both_versions() -> None:
    told = {**json.loads(ALERTS["repaired"].json), "format": FORMAT + 1}
    with pytest.raises(MalformedAlert, match=f"format {FORMAT} is needed, and this one has {FORMAT + 1}"):
        parse_record(json.dumps(told))


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "[" * 100_000, '"text"', '{"format":3}'])
def test_what_is_no_alert_is_refused(text: str) -> None:
    with pytest.raises(MalformedAlert):
        parse_record(text)


def _places(content: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = list(content.items()) if isinstance(content, dict) else list(enumerate(content)) if path else []
    return [
        *([path] if path else []),
        *(each for key, value in inner if isinstance(value, dict | list) for each in _places(value, (*path, key))),
        *((*path, key) for key, value in inner if not isinstance(value, dict | list)),
    ]


FREE = {"before", "after", "IamInstanceProfile"}
"""Documents, which are handed on as they are."""


@pytest.mark.parametrize("name", ["repaired", "contested", "limit-reached", "needs-person-instance-profile"])
def test_a_field_of_the_wrong_type_is_refused_and_never_taken_for_an_empty_one(name: str) -> None:
    text = ALERTS[name].json
    for path in _places(json.loads(text)):
        if FREE & set(path):
            continue
        wrong = json.loads(text)
        place = wrong
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = 3.5
        with pytest.raises(MalformedAlert):
            parse_record(json.dumps(wrong))


def test_the_same_outcome_has_the_same_id_whenever_it_is_told_and_another_one_has_another() -> None:
    def found(**fields: Any) -> str:
        return describe(outcome(**fields), decision(AlertReason.NEW)).notification_id

    assert found() == found()
    assert found() != found(causes=())
    assert found() != found(findings=())
    assert found() != found(results=())
    assert found() != describe(outcome(), decision(AlertReason.REMINDER)).notification_id


def test_a_notice_is_read_back() -> None:
    for name in ("limit-reached", "test"):
        assert isinstance(parse_record(ALERTS[name].json), SystemNotice)


def test_documents_that_were_left_out_are_reported_as_such() -> None:
    read = parse_record(longest().json)
    assert isinstance(read, Notification)
    assert not read.documents
    assert "(too long for this message)" in email_text(layout_of(read))
    assert "too long" not in alert(outcome()).text


def test_an_alert_of_an_earlier_version_without_the_newer_fields_is_still_read() -> None:
    content = json.loads(ALERTS["repaired"].json)
    for added in ("subject", "since"):
        del content[added]
    for cause in content["causes"]:
        del cause["region"]
    read = parse_record(json.dumps(content))
    assert isinstance(read, Notification)
    assert (read.subject, read.since, read.causes[0].region) == ("head-node: repaired", None, None)
