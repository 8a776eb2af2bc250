"""Records the first invocation of each function, with its AWS calls and responses, to replay it later.

The functions run on an account in memory: one of two roles is repaired after an event, alerts are sent, and then a
sweep finds the other role. The recorder keeps the first invocation of each function with its calls and AWS's responses.
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
    """An SDK call, with the ``name`` of its botocore events, and the response's status, headers and body."""

    name: str
    service: str
    operation: str
    arguments: Mapping[str, Any]
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class FirstEvent:
    """The ``event`` of a function's first invocation, its ``calls``, and its environment variables."""

    event: Json
    environment: Mapping[str, str]
    calls: list[Answered] = field(default_factory=list)

    def pickled(self) -> bytes:
        """Serialize for the interpreter in which a function starts. Not JSON, because DynamoDB gets bytes."""
        return pickle.dumps({"event": self.event, "calls": [asdict(call) for call in self.calls]})


WORK_OF: Final[Mapping[str, str]] = {
    "router": "SendMessage",
    "sweeper": "SendMessageBatch",
    "reconciler": "PutRolePolicy",
    "digester": "Publish",
    "notifier": "GetSecretValue",
}
"""The call by each function that proves that it has done its work."""


def first_events() -> dict[str, FirstEvent]:
    """Record the first events of all functions, by name. Raises RuntimeError if a function did not do its work."""
    recorder, before = _Recorder(), dict(os.environ)
    with recorder.listening() as listening, stage() as made:
        made.time = datetime.now(UTC)  # the functions will start with the machine's clock
        create(ROLE, WORKER)(made)
        given = {name: value for name, value in os.environ.items() if before.get(name) != value}
        for function in FUNCTIONS:
            recorded = recorder.wrap(function.name, function.module.handle, given)
            listening.enter_context(mock.patch.object(function.module, "handle", recorded))
        hear("UpdateAssumeRolePolicy", ROLE)(made)
        made.run()
        made.sweep()
        made.run()
        granted = [OWN_POLICY_NAME in made.account.inline(role) for role in (ROLE, WORKER)]
    done = {name for name, event in recorder.first.items() if WORK_OF[name] in {call.operation for call in event.calls}}
    if idle := WORK_OF.keys() - done:
        raise RuntimeError(f"These functions did not do their work: {', '.join(sorted(idle))}.")
    if granted != [True, True] or len(made.slack) != len(granted):
        raise RuntimeError(f"Roles repaired: {granted}; messages in Slack: {len(made.slack)}; expected 2 of each.")
    return recorder.first


class _Recorder:
    """Records the functions' first invocations in ``first``."""

    def __init__(self) -> None:
        self.first: dict[str, FirstEvent] = {}
        self._current: FirstEvent | None = None

    def listening(self) -> ExitStack:
        """Observe all SDK calls until the returned context ends."""
        stack, events = ExitStack(), session().events
        for name, note in (("provide-client-params", self._note_call), ("response-received", self._note_response)):
            events.register(name, note)
            stack.callback(events.unregister, name, note)
        return stack

    def wrap(self, name: str, handle: Callable[..., Any], environment: Mapping[str, str]) -> Callable[..., Any]:
        """Return the same handler with its first invocation recorded."""

        def recording(event: Json, context: object) -> Any:  # noqa: ANN401 - the result of Powertools
            if name in self.first:
                return handle(event, context)
            self._current = self.first[name] = FirstEvent(event, environment)
            try:
                return handle(event, context)
            finally:
                self._current = None

        return recording

    def _note_call(self, params: Any, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        if self._current is not None:
            service = model.service_model
            name = f"{service.service_id.hyphenize()}.{model.name}"
            self._current.calls.append(Answered(name, service.service_name, model.name, dict(params)))

    def _note_response(self, response_dict: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        if self._current is not None:
            call = self._current.calls[-1]
            call.status = response_dict["status_code"]
            call.headers = dict(response_dict["headers"])
            call.body = response_dict["body"].decode()
