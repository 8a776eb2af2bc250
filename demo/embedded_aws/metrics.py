# ruff: noqa: SLF001 - ministack offers no other way in; its version is pinned, and tests/e2e hold what is used here
"""CloudWatch's metrics, where ministack and AWS differ.

CloudWatch reads metrics out of what functions log, where a line has the embedded metric format; ministack keeps such
a line in the log alone.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

No alarm is evaluated because of them: what a function counts is there to be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.services import cloudwatch, lambda_svc


def install() -> None:
    """Make ministack keep the metrics in what functions log."""
    emit = lambda_svc._emit_lambda_logs

    def emit_and_count(function: Any, request_id: str, text: str, *rest: Any, **options: Any) -> None:  # noqa: ANN401 - ministack's own
        emit(function, request_id, text, *rest, **options)
        for line in (text or "").splitlines():
            for namespace, name, dimensions, unit, seconds, value in _metrics_in(line):
                cloudwatch._store_datum(namespace, name, dimensions, seconds, unit, value, None, None, None)

    lambda_svc._emit_lambda_logs = emit_and_count


def _metrics_in(line: str) -> Iterator[tuple[str, str, dict[str, str], str, float, float]]:
    """Each value of a line: namespace, name, dimensions, unit, when in seconds, and the value. None of another line."""
    try:
        told = json.loads(line)
        metadata = told["_aws"]
    except (ValueError, TypeError, KeyError):
        return
    for directive in metadata["CloudWatchMetrics"]:
        for metric in directive["Metrics"]:
            values = told[metric["Name"]]
            for dimensions in directive["Dimensions"]:
                for value in values if isinstance(values, list) else [values]:
                    yield (
                        directive["Namespace"],
                        metric["Name"],
                        _valued(dimensions, told),
                        metric.get("Unit", "None"),
                        metadata["Timestamp"] / 1000,
                        float(value),
                    )


def _valued(names: list[str], told: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(told[name]) for name in names}
