"""Read the parameter by which people pause the writes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from remediator.core.history.pause import Pause, parse_pause
from remediator.gateways.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_ssm.client import SSMClient

_RUNNING_SECONDS: Final = 60.0
_PAUSED_SECONDS: Final = 2.0
"""Shorter, so that the sweep that follows when somebody resumes does not meet what was true before."""


class PauseParameter:
    """The parameter of Systems Manager of that ``name``; ``clock`` counts seconds and is never set back."""

    def __init__(self, client: SSMClient, name: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._name = name
        self._clock = clock
        self._value = ""
        self._until = -inf

    def read(self) -> str:
        """The value of the parameter, as it is now or, at most a minute ago, was; one call in a minute at most.

        A value that pauses anything is read again after two seconds. Raises any AwsError; what was read before is never
        taken instead.
        https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
        """
        now = self._clock()
        if now >= self._until:
            with translated("ssm:GetParameter"):
                self._value = self._client.get_parameter(Name=self._name)["Parameter"]["Value"]
            self._until = now + (_RUNNING_SECONDS if parse_pause(self._value) == Pause() else _PAUSED_SECONDS)
        return self._value
