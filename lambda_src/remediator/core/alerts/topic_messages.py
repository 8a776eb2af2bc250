"""What the topics carry, read back and laid out for people."""

from __future__ import annotations

import json

from remediator.core.alerts.alarm import alarm_layout, is_alarm
from remediator.core.alerts.alert_json import parse_record
from remediator.core.alerts.alert_layout import layout_of
from remediator.core.alerts.digest import DIGEST, digest_layout, parse_digest
from remediator.core.alerts.layout import Layout
from remediator.core.events.message_fields import read_object
from remediator.errors import MalformedAlert

__all__ = ["layout_of", "parse_record", "published_layout"]


def published_layout(text: str) -> Layout:
    """The layout of what the topic for people carries: an alert, a digest of many, or an alarm of CloudWatch.

    Raises MalformedAlert, which says what is wrong with it.
    """
    try:
        fields = read_object(json.loads(text))
        if is_alarm(fields):
            return alarm_layout(fields)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise MalformedAlert(f"this is no message for people: {type(error).__name__}: {str(error)[:200]}") from error
    return digest_layout(parse_digest(text)) if fields.get("outcome") == DIGEST else layout_of(parse_record(text))
