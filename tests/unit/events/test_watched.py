"""The table of calls: it agrees with the fixtures and with the page that explains it, both ways."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from remediator.core.events.watched import (
    BUS_SOURCES,
    IAM,
    KMS,
    S3,
    UNWATCHED,
    WATCHED,
    WATCHED_CALLS,
    Concern,
    watched_names,
)

ROOT = Path(__file__).parents[3]
EVENTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "tests" / "events").glob("*.json")}
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of the first table under a heading of the page, without its head."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")) for line in table[2:]]


def test_every_call_has_a_fixture_and_every_fixture_is_of_a_call() -> None:
    assert EVENTS.keys() == {name for _, name in (*WATCHED, *UNWATCHED)}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_fixture_is_an_event_of_the_call_that_it_is_named_after(name: str) -> None:
    event = EVENTS[name]
    detail = event["detail"]
    assert (detail["eventSource"], name) in {*WATCHED, *UNWATCHED}
    assert detail["eventName"] == name
    assert event["source"] == BUS_SOURCES[detail["eventSource"]]
    assert event["account"] == detail["recipientAccountId"] == "111122223333"
    assert event["region"] == detail["awsRegion"]
    assert "errorCode" not in detail


def test_no_two_fixtures_have_the_same_id() -> None:
    assert len({event["detail"]["eventID"] for event in EVENTS.values()}) == len(EVENTS)
    assert len({event["id"] for event in EVENTS.values()}) == len(EVENTS)


def test_the_fixtures_are_made_by_all_kinds_of_actors() -> None:
    identities = [event["detail"]["userIdentity"] for event in EVENTS.values()]
    assert {identity["type"] for identity in identities} == {"IAMUser", "AssumedRole", "Root", "AWSService"}
    assert "cloudformation.amazonaws.com" in {identity.get("invokedBy") for identity in identities}


def test_no_call_is_both_watched_and_not_and_none_stands_there_twice() -> None:
    assert len(WATCHED) == len(WATCHED_CALLS)
    assert not WATCHED.keys() & UNWATCHED.keys()


def test_names_are_chosen_by_service_and_by_what_they_concern() -> None:
    assert watched_names(S3, Concern.ACCOUNT) == ("PutAccountPublicAccessBlock", "DeleteAccountPublicAccessBlock")
    assert watched_names(IAM, Concern.BUCKET) == ()
    everything = [name for source in (IAM, S3, KMS) for name in watched_names(source, *Concern)]
    assert everything == [call.name for call in WATCHED_CALLS]


def test_the_page_lists_the_watched_calls_as_they_are() -> None:
    listed = rows("Watched calls")
    assert listed == [(call.bus_source, call.name, call.concern.value, call.effect) for call in WATCHED_CALLS]


def test_the_page_lists_the_unwatched_calls_with_their_reasons() -> None:
    listed = rows("Calls that are not watched")
    assert listed == [(BUS_SOURCES[source], name, why) for (source, name), why in UNWATCHED.items()]


def test_what_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
