"""One cold start, in an interpreter of its own: ``python one_cold_start.py BUNDLE FUNCTION SERVICE...``.

Starts the function of that name, makes the client that every function has, then those of the other services, and prints
what it took up to each of the two, as JSON. Two that are none stand beside them: ``empty`` logs with Powertools and
calls AWS, nothing else, and ``powertools`` has all parts of Powertools that the router has.
It is started by its path and imports nothing of ours, because whatever it imports would be there before the function.
"""

# ruff: noqa: PLC0415 - what is measured are the imports

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path


def _peak_bytes() -> int:
    """The most memory that this process has had: what getrusage tells would be its parent's, where that had more.

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html (VmHWM)
    """
    status = Path("/proc/self/status").read_text("ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _start(function: str) -> None:
    if function not in {"empty", "powertools"}:
        import_module(f"remediator.handlers.{function}")._consumed_queue()  # noqa: SLF001 - as the function does for itself
        return
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
    boto3.client("sqs")


def _main(bundle: str, function: str, *services: str) -> None:
    sys.path.insert(0, bundle)

    def taken() -> dict[str, float]:
        return {"seconds": time.process_time() - start, "bytes": _peak_bytes(), "modules": len(sys.modules) - before}

    before = len(sys.modules)
    start = time.process_time()
    _start(function)
    first = taken()
    for service in services:
        sys.modules["boto3"].client(service)
    sys.stdout.write(json.dumps({"first": first, "ready": taken()}) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
