"""A link to CloudTrail leads to CloudTrail, whatever the message says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator.core.events.causes import event_link
from tests.examples import a_cause

EVENT = "11111111-2222-4333-8444-555555555555"


def test_an_event_has_a_link_to_cloudtrail_in_its_region() -> None:
    cause = replace(a_cause(), event_id=EVENT, region="us-west-2")
    assert event_link(cause) == (
        f"https://us-west-2.console.aws.amazon.com/cloudtrailv2/home?region=us-west-2#/events/{EVENT}"
    )


@pytest.mark.parametrize(
    "region", [None, "", "evil.example/?", "us-west-2.evil.example", "us-west-2|x>", "us-west-2\n"]
)
def test_what_is_no_region_gets_no_link(region: str | None) -> None:
    assert event_link(replace(a_cause(), event_id=EVENT, region=region)) is None


@pytest.mark.parametrize("event_id", ["", "deployment", f"{EVENT}|x>", f"{EVENT}\n"])
def test_what_is_no_event_gets_no_link(event_id: str) -> None:
    assert event_link(replace(a_cause(), event_id=event_id, region="us-west-2")) is None
