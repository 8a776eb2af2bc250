"""The parameter that pauses the writes: how old its value may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from moto import mock_aws

from remediator.errors import AwsError, NotFoundError
from remediator.gateways.aws_errors import ERROR_CLASSES
from remediator.gateways.parameter import PauseParameter

NAME = "/anyscale-remediator/writes"


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        client: Any = boto3.client("ssm")
        set_to(client, "running")
        yield client


def set_to(client: Any, value: str) -> None:
    client.put_parameter(Name=NAME, Value=value, Type="String", Overwrite=True)


class Clock:
    """Seconds that go by when they are told to, from a time when a machine has just started."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_value_is_read_once_in_a_minute(ssm: Any) -> None:
    clock, calls = Clock(), []
    ssm.meta.events.register("before-call.ssm.GetParameter", lambda **_: calls.append(clock.seconds))
    parameter = PauseParameter(ssm, NAME, clock)
    for clock.seconds in (0.0, 30.0, 59.0, 60.0, 61.0, 119.0, 120.0):
        assert parameter.read() == "running"
    assert calls == [0.0, 60.0, 120.0]


def test_a_pause_is_noticed_within_a_minute(ssm: Any) -> None:
    clock = Clock()
    parameter = PauseParameter(ssm, NAME, clock)
    assert parameter.read() == "running"
    set_to(ssm, "paused: production")
    clock.seconds = 60.0
    assert parameter.read() == "paused: production"


@pytest.mark.parametrize("paused", ["paused", "paused: production", "what?"])
def test_that_writes_go_on_is_noticed_within_two_seconds(ssm: Any, paused: str) -> None:
    clock = Clock()
    parameter = PauseParameter(ssm, NAME, clock)
    set_to(ssm, paused)
    assert parameter.read() == paused
    set_to(ssm, "running")
    clock.seconds = 2.0
    assert parameter.read() == "running"


def test_the_minute_begins_before_the_value_is_asked_for(ssm: Any) -> None:
    clock = Clock()

    def take_long(**_: Any) -> None:
        clock.seconds += 10.0

    ssm.meta.events.register("before-call.ssm.GetParameter", take_long)
    parameter = PauseParameter(ssm, NAME, clock)
    assert parameter.read() == "running"
    set_to(ssm, "paused")
    clock.seconds = 60.0
    assert parameter.read() == "paused"


def test_what_cannot_be_read_is_an_error_and_not_what_it_was(ssm: Any) -> None:
    clock = Clock()
    parameter = PauseParameter(ssm, NAME, clock)
    assert parameter.read() == "running"
    ssm.delete_parameter(Name=NAME)
    clock.seconds = 60.0
    for _ in range(2):
        with pytest.raises(NotFoundError) as raised:
            parameter.read()
        assert raised.value.operation == "ssm:GetParameter"


def test_every_error_that_the_api_model_declares_for_our_call_is_known() -> None:
    model = botocore.session.get_session().get_service_model("ssm").operation_model("GetParameter")
    for shape in model.error_shapes:
        assert issubclass(ERROR_CLASSES[shape.metadata.get("error", {}).get("code", shape.name)], AwsError)
