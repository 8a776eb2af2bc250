"""An embedded Slack that accepts messages like an incoming webhook, and keeps them.

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
    """A response of Slack."""

    status: int = HTTPStatus.OK
    text: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)


class Slack:
    """A channel; ``posted`` are the messages in it, oldest first."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self._next: deque[Answer] = deque()

    def expect(self, answers: Iterable[Mapping[str, Any]]) -> int:
        """Set the answers to the next messages; after them, ``ok``. Return the number of answers not yet used."""
        self._next.extend(Answer(**answer) for answer in answers)
        return len(self._next)

    def post(self, body: bytes) -> Answer:
        """Accept a message; it appears in the channel only if the answer is 200."""
        try:
            message = json.loads(body)
        except ValueError:
            return Answer(400, "invalid_payload")
        answer = self._next.popleft() if self._next else Answer()
        if answer.status == HTTPStatus.OK:
            self.posted.append(message)
        return answer
