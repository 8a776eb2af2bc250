"""One sweep of an account with a number of roles, in its own process: ``python -m benchmarks.one_sweep ROLES``.

Prints as JSON what it read and queued, the CPU seconds without those for creating IAM's responses, and the process's
peak memory. It needs its own process because Python does not return the memory of an earlier sweep.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from benchmarks.iam_endpoint import PAGE, IamEndpoint, is_broken, is_enrolled
from benchmarks.measuring import on_one_core, peak_bytes, seconds_of
from benchmarks.sweep import StubBuckets, StubQueues, sweep_account
from remediator.gateways.queue import WorkQueue

_MEGA = 1e6


def _main(text: str) -> None:
    roles = int(text)
    on_one_core()
    endpoint, buckets, queues = IamEndpoint(roles), StubBuckets(), StubQueues()
    client: Any = queues
    queue = WorkQueue(client, "https://queue")
    before = peak_bytes()
    seconds = seconds_of(lambda: sweep_account(endpoint.client, buckets, queue))
    expected = sum(map(is_broken, range(roles)))
    if queues.messages != expected:
        raise RuntimeError(f"The sweep queued {queues.messages} roles, but {expected} are broken.")
    record = {
        "roles": roles,
        "enrolled": sum(map(is_enrolled, range(roles))),
        "broken": expected,
        "iam_reads": endpoint.calls["GetAccountAuthorizationDetails"],
        "pages": math.ceil(roles / PAGE),
        "policy_reads": endpoint.calls["GetPolicy"] + endpoint.calls["GetPolicyVersion"],
        "other_reads": endpoint.calls["ListInstanceProfiles"],
        "bucket_reads": buckets.reads,
        "writes": sum(count for call, count in endpoint.calls.items() if not call.startswith(("Get", "List"))),
        "messages": queues.messages,
        "queue_calls": queues.calls.total(),
        "seconds": seconds - endpoint.own_seconds,
        "before_mb": round(before / _MEGA, 1),
        "peak_mb": round(peak_bytes() / _MEGA, 1),
    }
    sys.stdout.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
