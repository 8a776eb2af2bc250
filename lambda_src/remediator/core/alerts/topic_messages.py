"""Topic messages read back and laid out for readers: alerts, digests, and CloudWatch alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping

from remediator.core.alerts.alert_json import parse_record
from remediator.core.alerts.alert_layout import layout_of, subject_line
from remediator.core.alerts.digest import DIGEST
from remediator.core.alerts.digest_json import parse_digest
from remediator.core.alerts.digest_layout import digest_layout
from remediator.core.alerts.layout import Layout, Rank, Section, SectionForm
from remediator.core.alerts.notification import Severity
from remediator.core.events.message_fields import Fields
from remediator.core.model.plain_text import foreign
from remediator.errors import MalformedAlert


def topic_message_layout(text: str) -> Layout:
    """The layout of a message of the people topic: an alert, a digest, or a CloudWatch alarm.

    Raises MalformedAlert, which names the fault.
    """
    try:
        message = json.loads(text)
        is_digest = Fields(message).has("outcome") and message["outcome"] == DIGEST
        if is_alarm(message):
            return alarm_layout(message)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedAlert(
            f"not a message of the people topic: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    return digest_layout(parse_digest(text)) if is_digest else layout_of(parse_record(text))


def is_alarm(message: Mapping[str, object]) -> bool:
    """Whether a message is what CloudWatch publishes when an alarm changes state."""
    return "AlarmName" in message and "NewStateValue" in message


def alarm_layout(message: Mapping[str, object]) -> Layout:
    """A CloudWatch alarm laid out. Raises KeyError or TypeError where a field is missing.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions-notify.html
    """
    fields = Fields(message)
    name, state = foreign(fields.text("AlarmName")), fields.text("NewStateValue")
    description = message.get("AlarmDescription")
    advice = foreign(description) if isinstance(description, str) else ""
    is_over = state == "OK"
    advice, _, runbook = advice.partition(" See ")
    headline = "The alarm is over. No action needed." if is_over else advice or "The alarm is on."
    command = f"aws cloudwatch describe-alarms --alarm-names {name}"
    return Layout(
        subject=subject_line(f"{'Alarm over' if is_over else 'ALARM'}: {name}"),
        headline=headline,
        severity=Severity.INFO if is_over else Severity.ERROR,
        facts=(
            ("Alarm", name),
            ("Account", foreign(fields.text("AWSAccountId"))),
            ("Region", foreign(fields.text("Region"))),
            ("Since", foreign(fields.text("StateChangeTime"))),
            *((("Runbook", runbook),) if runbook else ()),
        ),
        sections=(
            Section("Reason", (foreign(fields.text("NewStateReason")),)),
            Section("To see its state", (command,), SectionForm.COMMANDS, Rank.HANDY),
        ),
        thread=None,
        keywords=("alarm", name),
        record=command,
    )
