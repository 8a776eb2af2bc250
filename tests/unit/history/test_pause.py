"""The value of the parameter that stops writes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.history.pause import Pause, parse_pause, pause_text
from tests.examples import settings

(_PRODUCTION,) = settings().clouds
TWO_CLOUDS = replace(settings(), clouds=(_PRODUCTION, replace(_PRODUCTION, name="staging")))
CLOUDS = st.frozensets(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,10}\Z"), max_size=4)


@pytest.mark.parametrize("text", ["running", " Running\n", "RUNNING"])
def test_running_pauses_nothing(text: str) -> None:
    assert parse_pause(text) == Pause()
    assert not parse_pause(text).holds("production")


@pytest.mark.parametrize("text", ["paused", " Paused ", "PAUSED\n"])
def test_paused_pauses_every_cloud(text: str) -> None:
    assert parse_pause(text).holds("production")


def test_a_list_of_clouds_pauses_those_and_no_other() -> None:
    pause = parse_pause("paused: production, staging")
    assert (pause.holds("production"), pause.holds("staging"), pause.holds("research")) == (True, True, False)
    assert pause.why == "Writes for production, staging are paused."


@pytest.mark.parametrize(
    "text", ["", "on", "paused:", "paused: a,,b", "running: production", "paused production", "{}"]
)
def test_any_other_value_pauses_everything_and_says_what_is_allowed(text: str) -> None:
    pause = parse_pause(text)
    assert pause.everything
    assert "not understood" in pause.why


@pytest.mark.parametrize("text", ["paused: Production", "paused: production, stagin"])
def test_a_cloud_that_is_not_configured_pauses_everything_because_it_may_be_misspelt(text: str) -> None:
    pause = parse_pause(text).under(TWO_CLOUDS)
    assert pause.everything
    assert text.rpartition(" ")[2] in pause.why


@pytest.mark.parametrize("text", ["running", "paused", "paused: staging", "what?"])
def test_any_other_pause_means_what_it_says_whatever_is_configured(text: str) -> None:
    assert parse_pause(text).under(TWO_CLOUDS) == parse_pause(text)


@given(st.text())
def test_only_the_word_running_pauses_nothing(text: str) -> None:
    assert (pause_text(parse_pause(text)) == "running") == (text.strip().casefold() == "running")


@given(st.booleans(), CLOUDS)
def test_what_is_written_is_read_back(everything: bool, clouds: frozenset[str]) -> None:
    pause = Pause(everything=everything, clouds=frozenset() if everything else clouds)
    read = parse_pause(pause_text(pause))
    assert (read.everything, read.clouds) == (pause.everything, pause.clouds)
