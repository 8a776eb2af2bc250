"""A Slack that takes messages as an incoming webhook does, and keeps them.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What Slack answers."""

    status: int = HTTPStatus.OK
    text: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)


class Slack:
    """A channel; ``posted`` are the messages in it, oldest first."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self._next: deque[Answer] = deque()

    def expect(self, answers: Iterable[Mapping[str, Any]]) -> int:
        """Give these answers to the next messages, one each, and ``ok`` after that; returns how many are to come."""
        self._next.extend(Answer(**answer) for answer in answers)
        return len(self._next)

    def post(self, body: bytes) -> Answer:
        """Take a message; only one that is answered with 200 is in the channel."""
        try:
            message = json.loads(body)
        except ValueError:
            return Answer(400, "invalid_payload")
        answer = self._next.popleft() if self._next else Answer()
        if answer.status == HTTPStatus.OK:
            self.posted.append(message)
        return answer
