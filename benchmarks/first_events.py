"""What each function is handed first, and what AWS answers to it: written down once, to be given again.

The product works on an account in memory: one of two roles is repaired after an event, people are told, and then a
sweep finds the other. The first invocation of each function is kept, with its calls and the answers as AWS sends them.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from unittest import mock

from benchmarks.measuring import Json
from remediator.core.model.own_names import OWN_POLICY_NAME
from tests.chaos.flows import WORKER, create, hear
from tests.chaos.stage import FUNCTIONS, session, stage
from tests.functional.world import ROLE


@dataclass(slots=True)
class Answered:
    """A call of the SDK, by the ``name`` of its events, and the answer: its status, its headers and its body."""

    name: str
    service: str
    operation: str
    arguments: Mapping[str, Any]
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class FirstEvent:
    """The ``event`` of a function's first invocation, the ``calls`` that it made, and the variables it was given."""

    event: Json
    environment: Mapping[str, str]
    calls: list[Answered] = field(default_factory=list)

    def pickled(self) -> bytes:
        """For the interpreter in which a function starts. No JSON, as DynamoDB is given bytes."""
        return pickle.dumps({"event": self.event, "calls": [asdict(call) for call in self.calls]})


WORK_OF: Final[Mapping[str, str]] = {
    "router": "SendMessage",
    "sweeper": "SendMessageBatch",
    "reconciler": "PutRolePolicy",
    "digester": "Publish",
    "notifier": "GetSecretValue",
}
"""The call of each function without which it has not done its work."""


def first_events() -> dict[str, FirstEvent]:
    """Those of all functions, by their names. Raises RuntimeError where a function did not do its work in it."""
    recorder, before = _Recorder(), dict(os.environ)
    with recorder.listening() as listening, stage() as made:
        made.time = datetime.now(UTC)  # the functions will be started with the machine's clock
        create(ROLE, WORKER)(made)
        given = {name: value for name, value in os.environ.items() if before.get(name) != value}
        for function in FUNCTIONS:
            noted = recorder.noted(function.name, function.module.handle, given)
            listening.enter_context(mock.patch.object(function.module, "handle", noted))
        hear("UpdateAssumeRolePolicy", ROLE)(made)
        made.run()
        made.sweep()
        made.run()
        granted = [OWN_POLICY_NAME in made.account.inline(role) for role in (ROLE, WORKER)]
    done = {name for name, event in recorder.first.items() if WORK_OF[name] in {call.operation for call in event.calls}}
    if idle := WORK_OF.keys() - done:
        raise RuntimeError(f"These functions have not done their work: {', '.join(sorted(idle))}.")
    if granted != [True, True] or len(made.slack) != len(granted):
        raise RuntimeError(f"Repaired are {granted}, and Slack has {len(made.slack)} messages.")
    return recorder.first


class _Recorder:
    """Writes down what the functions do in their first invocations, in ``first``."""

    def __init__(self) -> None:
        self.first: dict[str, FirstEvent] = {}
        self._current: FirstEvent | None = None

    def listening(self) -> ExitStack:
        """Hear of all calls, until what is given back is left."""
        stack, events = ExitStack(), session().events
        for name, note in (("provide-client-params", self._ask), ("response-received", self._answer)):
            events.register(name, note)
            stack.callback(events.unregister, name, note)
        return stack

    def noted(self, name: str, handle: Callable[..., Any], environment: Mapping[str, str]) -> Callable[..., Any]:
        """The same handler, whose first invocation is written down."""

        def handling(event: Json, context: object) -> Any:  # noqa: ANN401 - what Powertools answers
            if name in self.first:
                return handle(event, context)
            self._current = self.first[name] = FirstEvent(event, environment)
            try:
                return handle(event, context)
            finally:
                self._current = None

        return handling

    def _ask(self, params: Any, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        if self._current is not None:
            service = model.service_model
            name = f"{service.service_id.hyphenize()}.{model.name}"
            self._current.calls.append(Answered(name, service.service_name, model.name, dict(params)))

    def _answer(self, response_dict: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        if self._current is not None:
            call = self._current.calls[-1]
            call.status = response_dict["status_code"]
            call.headers = dict(response_dict["headers"])
            call.body = response_dict["body"].decode()
