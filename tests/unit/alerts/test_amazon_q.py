"""Messages for Amazon Q Developer in chat applications: complete, within its limits, and nothing but text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from remediator.core.alerts.amazon_q import amazon_q_json
from remediator.core.alerts.layout import Layout, Section, SectionForm
from remediator.core.alerts.slack_markup import length
from tests.unit.alerts.samples import ALERTS
from tests.unit.alerts.test_slack_message import LAYOUT, assert_is_only_text, layouts, long


def notification(layout: Layout) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(amazon_q_json(layout))
    return loaded


def test_it_has_the_form_that_amazon_q_requires() -> None:
    sent = notification(LAYOUT)
    assert (sent["version"], sent["source"]) == ("1.0", "custom")
    content = sent["content"]
    assert content["textType"] == "client-markdown"
    assert content["title"] == f"🚨 {LAYOUT.subject}"
    assert content["description"].startswith(
        f"{LAYOUT.headline}\n"
        "*Role* `arn:aws:iam::111122223333:role/head-node`\n*Cloud* `production`\n*Incident* `0123456789ab`\n\n"
        "*What is wrong*\n• The role cannot use the bucket.\n    ◦ statement 'Freeze' denies it\n\n"
    )
    assert content["nextSteps"] == ["To turn remediation off: `aws iam tag-role --tags Key=a,Value=off`"]
    assert content["keywords"] == ["needs-person", "error"]
    assert sent["metadata"] == {
        "summary": LAYOUT.subject,
        "eventType": "Anyscale role remediator",
        "threadId": "0123456789ab",
        "additionalContext": {
            "role": "arn:aws:iam::111122223333:role/head-node",
            "cloud": "production",
            "incident": "0123456789ab",
            "severity": "error",
            "record": "remediator history head-node",
        },
    }


def test_the_colon_after_the_title_of_commands_makes_no_emoji_of_it() -> None:
    layout = replace(LAYOUT, sections=(Section(":wave", ("do",), SectionForm.COMMANDS),))
    assert notification(layout)["content"]["nextSteps"] == ["\u2236wave: `do`"]


def test_a_message_that_belongs_to_no_other_has_no_thread() -> None:
    assert "threadId" not in notification(replace(LAYOUT, thread=None))["metadata"]


def test_a_message_without_facts_and_sections_still_has_a_description() -> None:
    bare = notification(replace(LAYOUT, facts=(), sections=()))
    assert LAYOUT.headline in bare["content"]["description"]


def test_a_subject_that_is_too_long_for_the_title_is_cut_and_the_headline_is_in_the_description() -> None:
    content = notification(replace(LAYOUT, subject="a" * 200, headline="a" * 149 + "b" * 100))["content"]
    assert content["title"].endswith("a…")
    assert "a" * 149 + "b" * 100 in content["description"]


@pytest.mark.parametrize(("lines", "line"), [(11, "remediator undo 1"), (1, "x" * 400)])
def test_commands_that_are_no_steps_are_in_the_description(lines: int, line: str) -> None:
    sections = tuple(long(each, lines, line) if each.form is SectionForm.COMMANDS else each for each in LAYOUT.sections)
    content = notification(replace(LAYOUT, sections=sections))["content"]
    assert content["nextSteps"] == []
    assert content["description"].count(line) == lines


def test_what_does_not_fit_is_named_with_where_it_is_found() -> None:
    sections = tuple(long(each) if each.form is SectionForm.DIFF else each for each in LAYOUT.sections)
    description = notification(replace(LAYOUT, sections=sections))["content"]["description"]
    assert description.endswith(
        "Left out here: To make it permanent in Terraform; To make it permanent in CloudFormation. "
        "Everything: `remediator history head-node`"
    )
    assert "lines left out" in description
    assert "*Next steps*" in description
    assert length(description) > 2000


@given(layouts)
def test_every_layout_keeps_the_limits(layout: Layout) -> None:
    sent = notification(layout)
    content, metadata = sent["content"], sent["metadata"]
    assert 0 < length(content["title"]) <= 150
    assert 0 < length(content["description"]) <= 3000
    assert len(content["nextSteps"]) <= 10
    assert all(0 < length(step) <= 350 for step in content["nextSteps"])
    assert all(length(keyword) <= 75 for keyword in content["keywords"])
    assert length(metadata["summary"]) <= 200
    assert 0 < length(metadata.get("threadId", "x")) <= 200
    assert all(isinstance(value, str) for value in metadata["additionalContext"].values())
    assert len(json.dumps(sent).encode()) < 100_000


@given(layouts)
def test_nothing_in_a_message_is_more_than_text(layout: Layout) -> None:
    sent = notification(layout)
    content = sent["content"]
    for text in (content["title"], content["description"], *content["keywords"], sent["metadata"]["summary"]):
        assert_is_only_text(text)
    for step in content["nextSteps"]:
        assert_is_only_text(step)
    everything = json.dumps(sent, ensure_ascii=False)
    assert not re.search(r"<[!@#]|(?<![\w.+-])@(?:here|channel|everyone)\b", everything, re.IGNORECASE)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_is_sent_in_one_thread_for_its_incident(name: str) -> None:
    layout = ALERTS[name].layout
    sent = notification(layout)
    assert sent["metadata"].get("threadId") == layout.thread
