# ruff: noqa: SLF001 - ministack offers no other way in; its version is pinned, and tests/e2e hold what is used here
"""Systems Manager's parameters, where ministack and AWS differ.

AWS puts an event on the Region's default bus whenever a parameter is created, set or deleted; ministack puts none.
https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html

What is left out: the events about labels and about policies of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from ministack.core.responses import get_region
from ministack.services import ssm

DETAIL_TYPE = "Parameter Store Change"

Publish = Callable[..., object]
"""Puts an event on a bus, soon: ``source``, ``detail_type``, ``detail``, ``region``, ``resources``."""


def install(publish: Publish) -> None:
    """Make ministack tell of changes as AWS does; ``publish`` takes the events."""
    put, delete, delete_many = ssm._put_parameter, ssm._delete_parameter, ssm._delete_parameters

    def tell(operation: str, parameter: Mapping[str, Any]) -> None:
        detail = {"operation": operation, "name": parameter["Name"], "type": parameter["Type"]}
        if parameter.get("Description"):
            detail["description"] = parameter["Description"]
        publish("aws.ssm", DETAIL_TYPE, detail, get_region(), [parameter["ARN"]])

    def put_and_report(request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - ministack's own
        name = str(request.get("Name") or "")
        known = name in ssm._parameters
        answer = put(request)
        if answer[0] == HTTPStatus.OK:
            tell("Update" if known else "Create", ssm._parameters[name])
        return answer

    def telling_of_deleted(act: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
        def delete_and_report(request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - ministack's own
            before = dict(ssm._parameters.items())
            answer = act(request)
            for name in before.keys() - ssm._parameters.keys():
                tell("Delete", before[name])
            return answer

        return delete_and_report

    ssm._put_parameter = put_and_report
    ssm._delete_parameter = telling_of_deleted(delete)
    ssm._delete_parameters = telling_of_deleted(delete_many)
