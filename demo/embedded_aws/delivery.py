# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""Differences between ministack and AWS in deliveries by EventBridge and EventBridge Scheduler.

- ministack delivers to any target; AWS requires the target's role or the queue's policy to allow it.
  https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
- ministack loses events that are not allowed or whose target does not exist; AWS sends them to the target's dead-letter
  queue, without retries if they cannot help. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
- ministack cannot send to a bus in another Region; on AWS an event arrives there with its original Region.
  https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
- A rate schedule without a start date first runs immediately on AWS, but in ministack only after the first period.
  https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#rate-based
- ministack does not replace the placeholders in a schedule's input.
  https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
- ministack's Lambda takes at most ten messages per batch, without waiting, regardless of batch size and window.
  https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html

AWS retries deliveries that fail for other reasons for up to a day; no delivery fails that way here.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.iam_evaluator import EvalContext
from ministack.core.responses import get_account_id, get_region, set_request_region
from ministack.services import eventbridge, iam, lambda_svc, scheduler, sqs

_ACTIONS = {"sqs": "sqs:SendMessage", "events": "events:PutEvents"}
_EVENTS, _SCHEDULER = "events.amazonaws.com", "scheduler.amazonaws.com"
_SCHEDULE_CHECK_SECONDS = 1


def install() -> None:
    """Make ministack deliver as AWS does."""
    _check_deliveries()
    _reach_other_regions()
    _start_rates_immediately()
    _fill_batches()


def _check_deliveries() -> None:
    deliver = eventbridge._invoke_target

    def deliver_if_allowed(target: Mapping[str, Any], event: Any, rule: Any, view: Any = None) -> None:  # noqa: ANN401 - ministack's own
        scheduled = ":scheduler:" in rule["Arn"]
        if scheduled:
            target = {**target, "Input": _filled(str(target.get("Input", "")), event, rule)}
        with _inside_aws():
            if _may_reach(target["Arn"], target.get("RoleArn"), rule):
                deliver(target, event, rule, view)
                return
            dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
            if dead_letters and _may_reach(dead_letters, target.get("RoleArn") if scheduled else None, rule):
                # A rule sends the original event there, a schedule its input.
                kept = {"Input": target["Input"]} if scheduled else {}
                deliver({"Arn": dead_letters, **kept}, event, rule, view)

    eventbridge._invoke_target = deliver_if_allowed


@contextmanager
def _inside_aws() -> Iterator[None]:
    """Mark requests between AWS services as encrypted, which policies may require."""
    token = iam_evaluator._request_origin.set(("AWS Internal", True))
    try:
        yield
    finally:
        iam_evaluator._request_origin.reset(token)


def _may_reach(arn: str, role_arn: str | None, rule: Mapping[str, Any]) -> bool:
    """Return whether a rule or schedule may send to an existing queue or bus; true for any other target."""
    try:
        spec = parse_arn(arn)
    except ArnParseError:
        return True
    if spec.service not in _ACTIONS:
        return True
    account = get_account_id()
    if spec.service == "events":
        bus = spec.resource.removeprefix("event-bus/")
        if eventbridge._event_buses.get_scoped(account, spec.region, bus) is None:
            return False
        policy = eventbridge._event_bus_policies.get_scoped(account, spec.region, bus) or ""
    else:
        if sqs._queue_by_arn(arn) is None:
            return False
        policy, _ = sqs.queue_policy_for_arn(arn)
    if role_arn:
        return _role_allows(role_arn, arn, policy, rule)
    if spec.service == "sqs":
        return bool(sqs.queue_policy_allows(arn, _EVENTS, rule["Arn"], account))
    return True


def _role_allows(role_arn: str, arn: str, policy: Any, rule: Mapping[str, Any]) -> bool:  # noqa: ANN401 - text or JSON
    """Return whether the service may assume the role for this rule or schedule, and the role may send."""
    account, name = get_account_id(), role_arn.rpartition("/")[2]
    role = iam._roles.get_scoped(account, None, name)
    if role is None or role["Arn"] != role_arn:
        return False
    scheduled = ":scheduler:" in rule["Arn"]
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    source = rule["Arn"].rpartition("/")[0].replace(":schedule/", ":schedule-group/") if scheduled else rule["Arn"]

    def context(principal: str, kind: str, action: str, resource: str) -> EvalContext:
        return EvalContext(
            principal_arn=principal,
            principal_type=kind,
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=get_region(),
            service_context={"aws:sourcearn": source, "aws:sourceaccount": account},
        )

    service = _SCHEDULER if scheduled else _EVENTS
    assuming = context("*", "Service", "sts:AssumeRole", role_arn)
    if iam_evaluator.evaluate_resource_policy(role["AssumeRolePolicyDocument"], assuming, service).decision != "Allow":
        return False
    session = f"arn:aws:sts::{account}:assumed-role/{name}/{service}"
    sending = context(session, "AssumedRole", _ACTIONS[parse_arn(arn).service], arn)
    own = iam_evaluator.evaluate(sending, iam_evaluator._gather_role_policies(name, account))
    decision: str = iam_evaluator.combine_resource_policy(own, sending, policy, account).decision
    return decision == "Allow"


def _reach_other_regions() -> None:
    to_bus, dispatch = eventbridge._dispatch_to_event_bus, eventbridge._dispatch_event

    def to_bus_anywhere(spec: Any, event: Mapping[str, Any], *rest: Any) -> None:  # noqa: ANN401 - ministack's own
        here = get_region()
        set_request_region(spec.region)
        try:
            to_bus(spec, {**event, "_FromRegion": event["Region"]}, *rest)
        finally:
            set_request_region(here)

    def dispatch_as_sent(event: Mapping[str, Any], view: Any = None) -> None:  # noqa: ANN401 - ministack's own
        dispatch({**event, "Region": event.get("_FromRegion", event["Region"])}, view)

    eventbridge._dispatch_to_event_bus = to_bus_anywhere
    eventbridge._dispatch_event = dispatch_as_sent


def _start_rates_immediately() -> None:
    fire_due = scheduler._tick_schedules

    def fire_due_and_new() -> None:
        fired, schedules = scheduler._schedule_last_fired, dict(scheduler._schedules._data)
        for key in fired.keys() - schedules.keys():  # a new schedule with the same name also starts immediately
            del fired[key]
        for key, schedule in schedules.items():
            rate = eventbridge._parse_rate_seconds(schedule["ScheduleExpression"])
            if key not in fired and rate is not None and schedule.get("StartDate") is None:
                fired[key] = float("-inf")
        fire_due()

    scheduler._tick_schedules = fire_due_and_new
    scheduler._SCHEDULE_TICK_INTERVAL = _SCHEDULE_CHECK_SECONDS


def _filled(text: str, event: Mapping[str, Any], schedule: Mapping[str, Any]) -> str:
    """Return a schedule's input with its placeholders replaced. The time is the invocation's, in seconds."""
    values = {
        "schedule-arn": schedule["Arn"],
        "scheduled-time": datetime.fromtimestamp(event["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in values.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def _fill_batches() -> None:
    def receive(queue_url: str, size: int) -> list[dict[str, Any]]:
        with sqs._queues_lock:
            queue = sqs._get_q(queue_url)
            sqs._expire_retained(queue)
            sqs._dlq_sweep(queue)
            if not _is_filled(queue, size, _window(queue)):
                return []
            messages: list[dict[str, Any]] = sqs._collect_msgs(
                queue, size, int(queue["attributes"].get("VisibilityTimeout", "30"))
            )
            return messages

    sqs._receive_messages_for_esm = receive


def _window(queue: Mapping[str, Any]) -> int:
    """Return the longest batching window of a queue's consumers, in seconds."""
    arn = queue["attributes"]["QueueArn"]
    mappings = [mapping for _, _, mapping in lambda_svc._iter_all_esms() if mapping["EventSourceArn"] == arn]
    return max((int(mapping.get("MaximumBatchingWindowInSeconds") or 0) for mapping in mappings), default=0)


def _is_filled(queue: Mapping[str, Any], size: int, window: int) -> bool:
    """Return whether a batch is full, or its first message has waited for the whole window."""
    now = time.time()
    waiting = [message["visible_at"] for message in queue["messages"] if message["visible_at"] <= now]
    return len(waiting) >= size or bool(waiting and now - min(waiting) >= window)
