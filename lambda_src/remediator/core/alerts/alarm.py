"""The alarms of CloudWatch that tell that the remediator itself does not work as it should."""

from __future__ import annotations

from collections.abc import Mapping

from remediator.core.alerts.alert_layout import subject_line
from remediator.core.alerts.layout import Form, Layout, Rank, Section
from remediator.core.alerts.severity import Severity
from remediator.core.events.message_fields import read_text
from remediator.core.model.plain_text import foreign


def is_alarm(fields: Mapping[str, object]) -> bool:
    """Whether a message is what CloudWatch publishes when an alarm changes its state."""
    return "AlarmName" in fields and "NewStateValue" in fields


def alarm_layout(fields: Mapping[str, object]) -> Layout:
    """What CloudWatch publishes of an alarm, laid out. Raises KeyError or TypeError where a field is not there.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions-notify.html
    """
    name, state = foreign(read_text(fields, "AlarmName")), read_text(fields, "NewStateValue")
    description = fields.get("AlarmDescription")
    advice = foreign(description) if isinstance(description, str) else ""
    is_over = state == "OK"
    headline = (
        f"Over; nothing for you to do. The alarm {name} is not on any more."
        if is_over
        else f"Please look: {advice or f'the alarm {name} is on.'}"
    )
    command = f"aws cloudwatch describe-alarms --alarm-names {name}"
    return Layout(
        subject=subject_line(f"Anyscale role remediator: {'over' if is_over else 'alarm'} {name}"),
        headline=headline,
        severity=Severity.INFO if is_over else Severity.ERROR,
        facts=(
            ("Alarm", name),
            ("Account", foreign(read_text(fields, "AWSAccountId"))),
            ("Region", foreign(read_text(fields, "Region"))),
            ("Since", foreign(read_text(fields, "StateChangeTime"))),
        ),
        sections=(
            Section("Why", (foreign(read_text(fields, "NewStateReason")),)),
            Section("To look at it", (command,), Form.COMMANDS, Rank.HANDY),
        ),
        thread=None,
        keywords=("alarm", name),
        record=command,
    )
