"""What the topics carry, read back and laid out for people: alerts, digests, and the alarms of CloudWatch."""

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
    """The layout of what the topic for people carries: an alert, a digest of many, or an alarm of CloudWatch.

    Raises MalformedAlert, which says what is wrong with it.
    """
    try:
        message = json.loads(text)
        is_digest = Fields(message).has("outcome") and message["outcome"] == DIGEST
        if is_alarm(message):
            return alarm_layout(message)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedAlert(f"this is no message for people: {type(error).__name__}: {str(error)[:200]}") from error
    return digest_layout(parse_digest(text)) if is_digest else layout_of(parse_record(text))


def is_alarm(message: Mapping[str, object]) -> bool:
    """Whether a message is what CloudWatch publishes when an alarm changes its state."""
    return "AlarmName" in message and "NewStateValue" in message


def alarm_layout(message: Mapping[str, object]) -> Layout:
    """What CloudWatch publishes of an alarm, laid out. Raises KeyError or TypeError where a field is not there.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions-notify.html
    """
    fields = Fields(message)
    name, state = foreign(fields.text("AlarmName")), fields.text("NewStateValue")
    description = message.get("AlarmDescription")
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
            ("Account", foreign(fields.text("AWSAccountId"))),
            ("Region", foreign(fields.text("Region"))),
            ("Since", foreign(fields.text("StateChangeTime"))),
        ),
        sections=(
            Section("Why", (foreign(fields.text("NewStateReason")),)),
            Section("To look at it", (command,), SectionForm.COMMANDS, Rank.HANDY),
        ),
        thread=None,
        keywords=("alarm", name),
        record=command,
    )
