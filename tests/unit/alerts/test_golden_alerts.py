"""Every alert is compared with its file in ``golden/``, where a review sees the effect of a changed text.

``UPDATE_GOLDEN=1 .venv/bin/pytest tests/unit/alerts/test_golden_alerts.py`` writes these files again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from remediator.core.alerts.amazon_q import amazon_q_json
from remediator.core.alerts.slack_message import slack_message
from remediator.core.repair.outcome import OutcomeKind
from tests.unit.alerts.samples import ALERTS, Published, alarm, storm

GOLDEN = Path(__file__).parents[1] / "golden"
EVERY = {**ALERTS, "digest-of-a-storm": storm(), "alarm": alarm()}
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def rendered(name: str, alert: Published) -> dict[Path, str]:
    """The files that show an alert: the e-mail, the JSON with its attributes, and both ways into Slack."""
    slack = indented(readable(json.loads(slack_message(alert.layout)[0])))
    if not alert.attributes:  # an alarm: CloudWatch itself words the e-mail, and Amazon Q what it shows of it
        return {GOLDEN / f"{name}.slack.json": slack}
    machines = {"attributes": alert.attributes, "message": json.loads(alert.json)}
    amazon_q = json.loads(amazon_q_json(alert.layout))
    return {
        GOLDEN / f"{name}.txt": f"Subject: {alert.subject}\n\n{alert.text}",
        GOLDEN / f"{name}.json": f"{json.dumps(machines, indent=2)}\n",
        GOLDEN / f"{name}.slack.json": slack,
        GOLDEN / f"{name}.amazon-q.json": indented(readable(amazon_q)),
    }


def indented(content: Any) -> str:
    return f"{json.dumps(content, indent=2, ensure_ascii=False)}\n"


def readable(content: Any) -> Any:
    """The same with every text of several lines as a list of lines."""
    match content:
        case dict():
            return {key: readable(value) for key, value in content.items()}
        case list():
            return [readable(value) for value in content]
        case str() if "\n" in content:
            return content.split("\n")
        case _:
            return content


@pytest.mark.parametrize("name", EVERY)
def test_the_message_is_the_golden_one(name: str) -> None:
    for path, text in rendered(name, EVERY[name]).items():
        if UPDATE:
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, path.name


def test_every_outcome_has_golden_alerts_short_and_long_and_none_is_left_over() -> None:
    assert {f"{kind}{length}" for kind in OutcomeKind for length in ("", "-long")} <= set(ALERTS)
    files = {path for name, alert in EVERY.items() for path in rendered(name, alert)}
    assert set(GOLDEN.iterdir()) == files


@pytest.mark.parametrize("name", ALERTS)
def test_the_subject_leads_with_what_to_do_and_the_severity_agrees(name: str) -> None:
    alert = ALERTS[name]
    is_urgent = alert.subject.startswith(("ACTION REQUIRED", "FAILED:"))
    assert (alert.attributes["severity"] == "error") == is_urgent
    if alert.attributes["severity"] == "info":
        assert "No action needed" in alert.text.splitlines()[0] or "no longer managed" in alert.subject


@pytest.mark.parametrize("name", ALERTS)
def test_the_subject_and_first_line_name_the_role_and_who_changed_it(name: str) -> None:
    message = json.loads(ALERTS[name].json)
    if "role" not in message or not message["causes"]:
        return
    assert message["role"]["name"][:40] in ALERTS[name].subject
    actor = message["causes"][-1]["actor"].rpartition("/")[2][:20]
    if name != "hostile" and actor and "interrupted" not in message["headline"]:
        assert actor in message["headline"] or "scheduled sweep" in message["headline"]


@pytest.mark.parametrize("name", [name for name, alert in ALERTS.items() if alert.attributes["severity"] == "info"])
def test_in_slack_a_message_without_action_has_at_most_15_lines(name: str) -> None:
    blocks = json.loads(slack_message(ALERTS[name].layout)[0])["blocks"]
    texts = [text for block in blocks for text in (block.get("text"), *block.get("fields", ()))]
    assert sum(len(text["text"].splitlines()) for text in texts if text) <= 14  # and the line of marks
