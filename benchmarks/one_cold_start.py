"""One cold start, in its own interpreter: ``python one_cold_start.py BUNDLE FUNCTION FIRST_EVENT``.

Starts the function, creates the client that every function has, and handles the first event. Prints the cost up to both
points as JSON. FIRST_EVENT is a pickled file with the event and its AWS calls and responses. botocore gets these
responses instead of the network's, so connections and TLS are not included.
Two names are not functions: ``empty`` logs with Powertools; for its first event it creates all clients, records when
they are ready, and only makes the calls in FIRST_EVENT. ``powertools`` has all parts of Powertools that the router has.
The script runs by its path and imports nothing of the project, because its imports would precede the function's.
"""

# ruff: noqa: PLC0415 - the imports are what is measured

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:function",
    aws_request_id="00000000-0000-4000-8000-000000000000",
    get_remaining_time_in_millis=lambda: 300_000,
)


def _peak_bytes() -> int:
    """Return the peak memory of this process; getrusage would return the parent's if that is higher.

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html (VmHWM)
    """
    status = Path("/proc/self/status").read_text("ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


class _Answers:
    """Replays the responses of ``calls``, in order. Raises LookupError on any other call."""

    def __init__(self, calls: list[Any]) -> None:
        self.left = calls[::-1]

    def listen(self) -> None:
        """Respond to all clients that are created afterward."""
        import boto3

        session: Any = boto3.Session()
        session.events.register("before-send", self._answer)
        boto3.DEFAULT_SESSION = session

    def _answer(self, request: Any, event_name: str, **_: object) -> Any:  # noqa: ANN401 - botocore's own
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        requested = event_name.partition(".")[2]
        call = self.left.pop() if self.left else None
        if call is None or requested != call["name"]:
            raise LookupError(f"The function called {requested}; the next recorded call is {call and call['name']}.")
        raw = SimpleNamespace(stream=lambda **_: iter([call["body"].encode()]))
        return AWSResponse(request.url, call["status"], HTTPHeaders.from_dict(call["headers"]), raw)


def _start(function: str, answers: _Answers) -> Callable[[Any], float | None]:
    """Start a function up to its first client, and return its event handler.

    The handler returns the time at which all clients were ready, or None if the function creates them on demand.
    """
    if function not in {"empty", "powertools"}:
        module = import_module(f"remediator.handlers.{function}")
        answers.listen()
        import_module("remediator.handlers.consumer").client("sqs")  # as the function does
        return lambda event: _handle(module, event)
    import boto3
    from aws_lambda_powertools import Logger

    Logger()
    if function == "powertools":
        from aws_lambda_powertools import Metrics, Tracer
        from aws_lambda_powertools.utilities import batch
        from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

        Metrics()
        Tracer(patch_modules=("botocore",))
        SQSRecord({})
        batch.BatchProcessor(event_type=batch.EventType.SQS)
    answers.listen()
    clients = {"sqs": boto3.client("sqs")}
    calls = [(call["service"], call["operation"], call["arguments"]) for call in answers.left[::-1]]
    return lambda _event: _make_calls(calls, clients)


def _handle(module: Any, event: Any) -> None:  # noqa: ANN401 - a handler, and JSON of any shape
    if module.__name__.endswith(".notifier"):
        # Only Slack itself is replaced; the function loads everything else that posting needs.
        answer = SimpleNamespace(status=200, headers={}, read=lambda _: b"ok", close=lambda: None)
        module._webhook()._pool = SimpleNamespace(request=lambda *_, **__: answer)  # noqa: SLF001 - see above
    answered = module.handle(event, _CONTEXT)
    if answered["batchItemFailures"]:
        raise RuntimeError(f"The function failed its message: {answered}")


def _make_calls(calls: list[Any], clients: dict[str, Any]) -> float:
    import boto3
    from botocore import xform_name
    from botocore.exceptions import ClientError

    for service, _, _ in calls:
        if service not in clients:
            clients[service] = boto3.client(service)
    made = time.process_time()
    for service, operation, arguments in calls:
        with suppress(ClientError):  # the functions got the same errors and handled them
            getattr(clients[service], xform_name(operation))(**arguments)
    return made


def _main(bundle: str, function: str, first_event: str) -> None:
    sys.path.insert(0, bundle)
    recorded = pickle.loads(Path(first_event).read_bytes())  # noqa: S301 - cold_start.py has just written it
    answers = _Answers(recorded["calls"])

    def cost_so_far() -> dict[str, float]:
        return {"seconds": time.process_time() - start, "bytes": _peak_bytes(), "modules": len(sys.modules) - before}

    before = len(sys.modules)
    start = time.process_time()
    handle = _start(function, answers)
    first = cost_so_far()
    made = handle(recorded["event"])
    result = {"first": first, "clients": made and made - start, "event": cost_so_far()}
    if answers.left:
        raise RuntimeError(f"{len(answers.left)} recorded calls were not made.")
    sys.stdout.write("\n" + json.dumps(result) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
