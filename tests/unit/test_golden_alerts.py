"""Every alert reads as it stands in ``golden/``, where a review sees what a change of the texts does to them.

``UPDATE_GOLDEN=1 .venv/bin/pytest tests/unit/test_golden_alerts.py`` writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from remediator.core.message import Alert
from remediator.core.outcome import OutcomeKind
from tests.unit.alerts import ALERTS

GOLDEN = Path(__file__).with_name("golden")
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def rendered(name: str, alert: Alert) -> dict[Path, str]:
    """The files that show an alert: the e-mail, and the JSON with its attributes."""
    shown = {"attributes": alert.attributes, "message": json.loads(alert.json)}
    return {
        GOLDEN / f"{name}.txt": f"Subject: {alert.subject}\n\n{alert.text}",
        GOLDEN / f"{name}.json": f"{json.dumps(shown, indent=2)}\n",
    }


@pytest.mark.parametrize("name", ALERTS)
def test_the_alert_reads_as_before(name: str) -> None:
    for path, text in rendered(name, ALERTS[name]).items():
        if UPDATE:
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text


def test_every_outcome_has_golden_alerts_short_and_long_and_none_is_left_over() -> None:
    assert {f"{kind}{length}" for kind in OutcomeKind for length in ("", "-long")} <= set(ALERTS)
    files = {path for name, alert in ALERTS.items() for path in rendered(name, alert)}
    assert set(GOLDEN.iterdir()) == files


@pytest.mark.parametrize("name", ALERTS)
def test_the_first_line_says_whether_there_is_anything_to_do_and_the_severity_agrees(name: str) -> None:
    told = ALERTS[name]
    first = told.text.splitlines()[0]
    assert ("nothing for you to do" in first) != ("Please" in first)
    assert told.attributes["severity"] != ("error" if "Please" not in first else "info")
