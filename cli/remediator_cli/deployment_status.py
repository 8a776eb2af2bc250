"""How a deployment is: what it says of itself, and what of that needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from remediator.core.memory import RoleMemory
from remediator.core.pause import Pause, parse_pause
from remediator.settings import Settings
from remediator_cli.deployment import Deployment

ALARM_PREFIX: Final = "AnyscaleRemediator-"
"""What the names of all alarms of a deployment begin with."""
NAMESPACE: Final = "AnyscaleRemediator"
"""Of what the functions count."""

_MOST_ROLES: Final = 100
"""Of how many roles with something open it is asked what that is: each takes a call."""

_SWEEPS_BACK: Final = timedelta(days=2)
"""How far back the last sweep is looked for: a little more than the longest time between two of them."""
_FIRST_SWEEP: Final = timedelta(hours=1)
"""How long after a deployment there need not have been any sweep: it asks for one, which may be tried again."""
_SWEEP_PERIOD: Final = 300
"""Seconds. A call answers at most 1,440 periods.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
"""
_WAITING: Final = "QueueUrl"
_DEAD: Final = "DeadLettersUrl"
_UNDELIVERED: Final = "Undelivered"


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many messages lie in a queue, of which ``name`` is ours; ``is_lost`` where nobody takes them out any more."""

    name: str
    messages: int
    is_lost: bool


@dataclass(frozen=True, slots=True)
class AlarmOn:
    """An alarm that is on, since when (with its zone), and what its description says."""

    name: str
    since: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Status:
    """How a deployment is.

    ``at`` is when it was looked at. ``stack_state`` is what CloudFormation says of the stack, ``updated`` when it was
    deployed the last time.
    ``last_version`` is the version of the code that made the last change, None where there is none. ``last_sweep`` is
    when the last sweep came to its end, to five minutes, None where none did within two days. ``roles`` are those of
    which something is open, with what is remembered of them, ``more_roles`` how many there are besides. ``clouds`` are
    the names and modes of the configuration that the caller named, None without one.
    """

    at: datetime
    account: str
    stack: str
    region: str
    stack_state: str
    updated: datetime
    last_version: str | None
    pause: Pause
    clouds: tuple[tuple[str, str], ...] | None
    last_sweep: datetime | None
    queues: tuple[QueueDepth, ...]
    roles: tuple[tuple[str, RoleMemory], ...]
    more_roles: int
    alarms: tuple[AlarmOn, ...]

    @property
    def troubles(self) -> tuple[str, ...]:
        """What needs a person, in sentences, the most urgent first; empty where nothing does."""
        return (
            *self._of_the_stack(),
            *(f"The alarm {alarm.name} is on since {_minute(alarm.since)}. {alarm.what}" for alarm in self.alarms),
            *(
                f"{_messages(queue.messages)} in {queue.name}: docs/runbook.md says how to have them tried again."
                for queue in self.queues
                if queue.is_lost and queue.messages
            ),
            *self._of_roles(),
        )

    def _of_the_stack(self) -> Iterator[str]:
        if "FAILED" in self.stack_state or "ROLLBACK" in self.stack_state:
            yield f"The last deployment did not succeed ({self.stack_state}): deploy it again (npx cdk deploy --all)."
        if self.pause.why:
            yield f"{self.pause.why} `remediator resume` ends that."
        if self.last_sweep is None and self.at - self.updated > _FIRST_SWEEP:
            yield (
                "No sweep has come to its end within two days: read the end of the sweeper's log, and see whether the "
                "schedule is enabled."
            )

    def _of_roles(self) -> Iterator[str]:
        for name, memory in self.roles:
            if memory.contest is not None:
                by = ", ".join(memory.contest.actors) or "somebody"
                yield (
                    f"The role {name} is contested since {_minute(memory.contest.since)}: its repairs are undone by "
                    f"{by}. `remediator resume {name}` when that is settled."
                )
            elif memory.incident is not None:
                yield (
                    f"Something is wrong with the role {name} since {_minute(memory.incident.opened)}, and is not "
                    f"repaired by itself: remediator plan --role {name}"
                )
        if self.more_roles:
            yield f"Something is open of {self.more_roles} more roles: `remediator plan` shows them all."


def read_status(deployment: Deployment, settings: Settings | None, now: datetime) -> Status:
    """Ask AWS how the deployment is; ``now`` (with its zone) is the time. Raises any AwsError and NotDeployed."""
    pause = parse_pause(deployment.pause_switch().read())
    history = deployment.history()
    newest = history.list_changes(most=1)
    unsettled = history.unsettled_roles()
    remembered = ((name, history.read_memory(name)) for name in unsettled[:_MOST_ROLES])
    state, updated = _stack_state(deployment)
    return Status(
        at=now,
        account=deployment.account_id,
        stack=deployment.stack,
        region=deployment.region,
        stack_state=state,
        updated=updated,
        last_version=newest[0].code_version if newest else None,
        pause=pause,
        clouds=None if settings is None else tuple((cloud.name, cloud.mode) for cloud in settings.clouds),
        last_sweep=_last_sweep(deployment, now),
        queues=_queues(deployment),
        roles=tuple((name, memory) for name, memory in remembered if memory.is_unsettled),
        more_roles=len(unsettled[_MOST_ROLES:]),
        alarms=_alarms(deployment),
    )


def _stack_state(deployment: Deployment) -> tuple[str, datetime]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html"""
    from remediator.gateways.aws_errors import translated  # noqa: PLC0415  # only commands that ask AWS pay for it

    with translated("cloudformation:DescribeStacks"):
        client = deployment.account.client("cloudformation", deployment.region)
        (found,) = client.describe_stacks(StackName=deployment.stack)["Stacks"]
    return str(found["StackStatus"]), found.get("LastUpdatedTime") or found["CreationTime"]


def _last_sweep(deployment: Deployment, now: datetime) -> datetime | None:
    from remediator.gateways.aws_errors import translated  # noqa: PLC0415  # only commands that ask AWS pay for it

    with translated("cloudwatch:GetMetricStatistics"):
        answer = deployment.account.client("cloudwatch", deployment.region).get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName="SweepsCompleted",
            Dimensions=[{"Name": "service", "Value": "sweeper"}],
            StartTime=now - _SWEEPS_BACK,
            EndTime=now,
            Period=_SWEEP_PERIOD,
            Statistics=["Sum"],
        )
    times: list[datetime] = [point["Timestamp"] for point in answer["Datapoints"] if point["Sum"] > 0]
    return max(times, default=None)


def _queues(deployment: Deployment) -> tuple[QueueDepth, ...]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html"""
    from remediator.gateways.aws_errors import translated  # noqa: PLC0415  # only commands that ask AWS pay for it

    client = deployment.account.client("sqs", deployment.region)
    found: list[QueueDepth] = []
    for output, url in deployment.outputs.items():
        name, is_lost = _queue_name(output)
        if not name:
            continue
        with translated("sqs:GetQueueAttributes"):
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        found.append(QueueDepth(name, int(answer["Attributes"]["ApproximateNumberOfMessages"]), is_lost=is_lost))
    return tuple(sorted(found, key=lambda queue: (queue.is_lost, queue.name)))


def _queue_name(output: str) -> tuple[str, bool]:
    """What people call the queue of an output of the stack, empty where it is none, and whether what is in it is lost.

    ``WorkQueueUrl``, ``WorkDeadLettersUrl``, ``UndeliveredEventsUrl``.
    """
    if output.startswith(_UNDELIVERED):
        return f"undelivered {output.removeprefix(_UNDELIVERED).removesuffix('Url').lower()}", True
    if output.endswith(_DEAD):
        return f"{output.removesuffix(_DEAD).lower()} dead letters", True
    return (f"{output.removesuffix(_WAITING).lower()} queue", False) if output.endswith(_WAITING) else ("", False)


def _alarms(deployment: Deployment) -> tuple[AlarmOn, ...]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
    from remediator.gateways.aws_errors import translated  # noqa: PLC0415  # only commands that ask AWS pay for it

    pages = deployment.account.client("cloudwatch", deployment.region).get_paginator("describe_alarms")
    listed: list[Any] = []
    with translated("cloudwatch:DescribeAlarms"):
        for page in pages.paginate(AlarmNamePrefix=ALARM_PREFIX, AlarmTypes=["MetricAlarm"]):
            listed += page["MetricAlarms"]
    return tuple(
        AlarmOn(
            alarm["AlarmName"].removeprefix(ALARM_PREFIX),
            alarm["StateUpdatedTimestamp"],
            alarm.get("AlarmDescription", ""),
        )
        for alarm in listed
        if alarm["StateValue"] == "ALARM"
    )


def _messages(count: int) -> str:
    return "1 message lies" if count == 1 else f"{count:,} messages lie"


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
