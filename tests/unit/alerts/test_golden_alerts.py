"""Every alert reads as it stands in ``golden/``, where a review sees what a change of the texts does to them.

``UPDATE_GOLDEN=1 .venv/bin/pytest tests/unit/alerts/test_golden_alerts.py`` writes them anew.
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
from tests.unit.alerts.samples import ALERTS, Told, alarm, storm

GOLDEN = Path(__file__).parents[1] / "golden"
EVERY = {**ALERTS, "digest-of-a-storm": storm(), "alarm": alarm()}
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def rendered(name: str, alert: Told) -> dict[Path, str]:
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
def test_the_message_reads_as_before(name: str) -> None:
    for path, text in rendered(name, EVERY[name]).items():
        if UPDATE:
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, path.name


def test_every_outcome_has_golden_alerts_short_and_long_and_none_is_left_over() -> None:
    assert {f"{kind}{length}" for kind in OutcomeKind for length in ("", "-long")} <= set(ALERTS)
    files = {path for name, alert in EVERY.items() for path in rendered(name, alert)}
    assert set(GOLDEN.iterdir()) == files


@pytest.mark.parametrize("name", ALERTS)
def test_the_first_line_says_whether_there_is_anything_to_do_and_the_severity_agrees(name: str) -> None:
    told = ALERTS[name]
    first = told.text.splitlines()[0]
    assert ("nothing for you to do" in first) != ("Please" in first)
    assert told.attributes["severity"] != ("error" if "Please" not in first else "info")
