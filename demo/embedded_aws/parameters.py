# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""Differences between ministack and AWS in Systems Manager parameters.

AWS puts an event on the Region's default bus whenever a parameter is created, updated or deleted; ministack does not.
https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html

Events about labels and parameter policies are not emulated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ssm

DETAIL_TYPE = "Parameter Store Change"

Publish = Callable[..., object]
"""Queues an event for a bus: ``source``, ``detail_type``, ``detail``, ``region``, ``resources``."""


def install(publish: Publish) -> None:
    """Make ministack report changes as AWS does; ``publish`` puts events on a bus."""
    put, delete, delete_many = ssm._put_parameter, ssm._delete_parameter, ssm._delete_parameters

    def report(operation: str, parameter: Mapping[str, Any]) -> None:
        detail = {"operation": operation, "name": parameter["Name"], "type": parameter["Type"]}
        if parameter.get("Description"):
            detail["description"] = parameter["Description"]
        publish("aws.ssm", DETAIL_TYPE, detail, get_region(), [parameter["ARN"]])

    def put_and_report(request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - ministack's own
        name = str(request.get("Name") or "")
        known = name in ssm._parameters
        answer = put(request)
        if answer[0] == HTTPStatus.OK:
            report("Update" if known else "Create", ssm._parameters[name])
        return answer

    def reporting(deletion: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
        def delete_and_report(request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - ministack's own
            before = dict(ssm._parameters.items())
            answer = deletion(request)
            for name in before.keys() - ssm._parameters.keys():
                report("Delete", before[name])
            return answer

        return delete_and_report

    ssm._put_parameter = put_and_report
    ssm._delete_parameter = reporting(delete)
    ssm._delete_parameters = reporting(delete_many)
