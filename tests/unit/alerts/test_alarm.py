"""A CloudWatch alarm is laid out like every other message: what it means and what to do first."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.core.alerts.layout import email_text
from remediator.core.alerts.notification import Severity
from remediator.core.alerts.topic_messages import alarm_layout, is_alarm
from tests.examples import ACCOUNT


def alarm(**changes: Any) -> dict[str, Any]:
    """What CloudWatch publishes, in the fields that are read."""
    return {
        "AlarmName": "AnyscaleRemediator-work-dead-letters",
        "AlarmDescription": "Roles could not be reconciled. See docs/runbook.md#work-dead-letters",
        "AWSAccountId": ACCOUNT,
        "NewStateValue": "ALARM",
        "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed: 1 datapoint [1.0] was greater than or equal to the threshold (1.0).",
        "StateChangeTime": "2026-03-04T10:00:20.000+0000",
        "Region": "US East (N. Virginia)",
        **changes,
    }


@pytest.mark.parametrize("field", ["AlarmName", "NewStateValue"])
def test_what_lacks_the_name_or_the_state_is_no_alarm(field: str) -> None:
    message = alarm()
    assert is_alarm(message)
    del message[field]
    assert not is_alarm(message)


def test_an_alarm_says_in_its_first_line_what_to_do() -> None:
    layout = alarm_layout(alarm())
    assert email_text(layout).splitlines()[0] == "Roles could not be reconciled."
    assert ("Runbook", "docs/runbook.md#work-dead-letters") in layout.facts
    assert layout.severity is Severity.ERROR
    assert layout.subject == "ALARM: AnyscaleRemediator-work-dead-letters"
    assert layout.keywords == ("alarm", "AnyscaleRemediator-work-dead-letters")


def test_an_alarm_that_is_over_requires_no_action() -> None:
    layout = alarm_layout(alarm(NewStateValue="OK"))
    assert layout.subject == "Alarm over: AnyscaleRemediator-work-dead-letters"
    assert "No action needed" in layout.headline
    assert layout.severity is Severity.INFO


@pytest.mark.parametrize("description", [None, "", 7])
def test_an_alarm_without_a_description_is_still_sent(description: object) -> None:
    assert alarm_layout(alarm(AlarmDescription=description)).headline == "The alarm is on."


def test_the_text_of_an_alarm_mentions_no_one() -> None:
    text = email_text(alarm_layout(alarm(AlarmDescription="<!channel>", NewStateReason="@here\nnow")))
    assert "<" not in text
    assert "@here" not in text


def test_only_what_names_an_alarm_and_its_state_is_one() -> None:
    assert is_alarm(alarm())
    assert not is_alarm({"outcome": "repaired"})
    assert not is_alarm({"AlarmName": "x"})
