# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""Differences between ministack and AWS in CloudWatch metrics.

CloudWatch extracts metrics from log lines in the embedded metric format; ministack keeps such lines in the log only.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

The metrics can be read, but do not trigger alarms.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.services import cloudwatch, lambda_svc


def install() -> None:
    """Make ministack store the metrics that functions log."""
    emit = lambda_svc._emit_lambda_logs

    def emit_and_count(function: Any, request_id: str, text: str, *rest: Any, **options: Any) -> None:  # noqa: ANN401 - ministack's own
        emit(function, request_id, text, *rest, **options)
        for line in (text or "").splitlines():
            for namespace, name, dimensions, unit, seconds, value in _metrics_in(line):
                cloudwatch._store_datum(namespace, name, dimensions, seconds, unit, value, None, None, None)

    lambda_svc._emit_lambda_logs = emit_and_count


def _metrics_in(line: str) -> Iterator[tuple[str, str, dict[str, str], str, float, float]]:
    """Yield each value in a log line: namespace, name, dimensions, unit, time in seconds, and the value."""
    try:
        record = json.loads(line)
        metadata = record["_aws"]
    except (ValueError, TypeError, KeyError):
        return
    for directive in metadata["CloudWatchMetrics"]:
        for metric in directive["Metrics"]:
            values = record[metric["Name"]]
            for dimensions in directive["Dimensions"]:
                for value in values if isinstance(values, list) else [values]:
                    yield (
                        directive["Namespace"],
                        metric["Name"],
                        _with_values(dimensions, record),
                        metric.get("Unit", "None"),
                        metadata["Timestamp"] / 1000,
                        float(value),
                    )


def _with_values(names: list[str], record: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(record[name]) for name in names}
