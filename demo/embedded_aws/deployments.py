# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""Differences between ministack and AWS in CloudFormation.

- AWS puts an event on the Region's default bus whenever the status of a stack changes; ministack only stores it.
  https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/event-detail-stack-status-change.html
- ministack ignores the policy in an event bus's template.
  https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-eventbus.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import eventbridge
from ministack.services.cloudformation import changesets, handlers, provisioners, stacks

DETAIL_TYPE = "CloudFormation Stack Status Change"

_STACK = "AWS::CloudFormation::Stack"

Publish = Callable[..., object]
"""Queues an event for a bus: ``source``, ``detail_type``, ``detail``, ``region``, ``resources``."""


def install(publish: Publish) -> None:
    """Make ministack deploy as AWS does; ``publish`` puts events on a bus."""
    _publish_status_changes(publish)
    _keep_bus_policies()


def _publish_status_changes(publish: Publish) -> None:
    store = stacks._add_event

    def store_and_publish(
        stack_id: str,
        stack_name: str,
        logical_id: str,
        resource_type: str,
        status: str,
        reason: str = "",
        physical_id: str = "",
        detailed_status: str = "",
    ) -> None:
        store(stack_id, stack_name, logical_id, resource_type, status, reason, physical_id, detailed_status)
        if resource_type == _STACK and physical_id == stack_id:
            detail = {
                "stack-id": stack_id,
                "status-details": {"status": status, "status-reason": reason},
                "client-request-token": stacks.CLIENT_REQUEST_TOKEN.get() or "",
            }
            publish("aws.cloudformation", DETAIL_TYPE, detail, stack_id.split(":")[3], [stack_id])

    for module in (stacks, handlers, changesets):  # each module has its own reference
        module._add_event = store_and_publish


def _keep_bus_policies() -> None:
    known = provisioners._RESOURCE_HANDLERS["AWS::Events::EventBus"]

    def keeping(handle: Callable[..., Any], properties_at: int) -> Callable[..., Any]:
        def handle_and_keep(*arguments: Any) -> Any:  # noqa: ANN401 - passed on unchanged
            answer = handle(*arguments)
            name, policy = answer[0], arguments[properties_at].get("Policy")
            if policy:
                eventbridge._event_bus_policies[name] = policy
            else:
                eventbridge._event_bus_policies.pop(name, None)
            return answer

        return handle_and_keep

    known["create"] = keeping(known["create"], 1)
    known["update"] = keeping(known["update"], 2)
