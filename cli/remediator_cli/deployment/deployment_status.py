"""How a deployment is: what it says of itself, and what of that needs a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from remediator.core.history.pause import Pause, parse_pause
from remediator.core.history.role_record import RoleRecord
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import DeniedError
from remediator.settings import Settings
from remediator_cli.deployment.aws import calling
from remediator_cli.deployment.denials import denial
from remediator_cli.deployment.stack_outputs import Deployment

if TYPE_CHECKING:
    from remediator.gateways.history import HistoryTable

_T = TypeVar("_T")

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
    ``last_version`` is the version of the code that made the last change, Absent where there is none. ``last_sweep`` is
    when the last sweep came to its end, to five minutes, Absent where none did within two days. ``roles`` are those of
    which something is open, with what is remembered of them, ``more_roles`` how many there are besides. ``clouds`` are
    the names and modes of the configuration that the caller named, None without one. ``pause``, ``queues``, ``roles``
    and ``alarms`` are None where AWS denied to read them. ``denied`` are all such calls, each in a sentence after its
    name.
    """

    at: datetime
    account: str
    stack: str
    region: str
    stack_state: str
    updated: datetime
    last_version: Reading[str]
    pause: Pause | None
    clouds: tuple[tuple[str, str], ...] | None
    last_sweep: Reading[datetime]
    queues: tuple[QueueDepth, ...] | None
    roles: tuple[tuple[str, RoleRecord], ...] | None
    more_roles: int
    alarms: tuple[AlarmOn, ...] | None
    denied: tuple[tuple[str, str], ...] = ()

    @property
    def troubles(self) -> tuple[str, ...]:
        """What needs a person, in sentences, the most urgent first; empty where nothing does."""
        return (
            *self._of_the_stack(),
            *(
                f"The alarm {alarm.name} is on since {_minute(alarm.since)}. {alarm.what}"
                for alarm in self.alarms or ()
            ),
            *(
                f"{_messages(queue.messages)} in {queue.name}: docs/runbook.md says how to have them tried again."
                for queue in self.queues or ()
                if queue.is_lost and queue.messages
            ),
            *self._of_roles(),
        )

    def _of_the_stack(self) -> Iterator[str]:
        if "FAILED" in self.stack_state or "ROLLBACK" in self.stack_state:
            yield f"The last deployment did not succeed ({self.stack_state}): deploy it again (npx cdk deploy --all)."
        if self.pause is not None and self.pause.why:
            yield f"{self.pause.why} `remediator resume` ends that."
        if isinstance(self.last_sweep, Absent) and self.at - self.updated > _FIRST_SWEEP:
            yield (
                "No sweep has come to its end within two days: read the end of the sweeper's log, and see whether the "
                "schedule is enabled."
            )

    def _of_roles(self) -> Iterator[str]:
        for name, role_record in self.roles or ():
            if role_record.conflict is not None:
                by = ", ".join(role_record.conflict.actors) or "somebody"
                yield (
                    f"The role {name} is contested since {_minute(role_record.conflict.since)}: its repairs are undone "
                    f"by {by}. `remediator resume {name}` when that is settled."
                )
            elif role_record.incident is not None:
                yield (
                    f"Something is wrong with the role {name} since {_minute(role_record.incident.opened)}, and is not "
                    f"repaired by itself: remediator plan --role {name}"
                )
        if self.more_roles:
            yield f"Something is open of {self.more_roles} more roles: `remediator plan` shows them all."


def read_status(deployment: Deployment, settings: Settings | None, now: datetime) -> Status:
    """Ask AWS how the deployment is; ``now`` (with its zone) is the time.

    What it denies is left out, and named. Raises NotDeployed and any other AwsError.
    """
    state, updated = _stack_state(deployment)
    denied = _Denied({})
    history = deployment.history()
    pause = denied.unless(lambda: parse_pause(deployment.pause_switch().read()))
    if pause is not None and settings is not None:
        pause = pause.under(settings)
    newest = denied.unless(lambda: history.list_changes(most=1))
    unsettled = denied.unless(lambda: _pending(history))
    last_sweep = denied.unless(lambda: _last_sweep(deployment, now))
    queues = denied.unless(lambda: _queues(deployment))
    alarms = denied.unless(lambda: _alarms(deployment))
    return Status(
        at=now,
        account=deployment.account_id,
        stack=deployment.stack,
        region=deployment.region,
        stack_state=state,
        updated=updated,
        last_version=_reading(newest, [change.code_version for change in newest or ()]),
        pause=pause,
        clouds=None if settings is None else tuple((cloud.name, cloud.mode) for cloud in settings.clouds),
        last_sweep=_reading(last_sweep, last_sweep or ()),
        queues=queues,
        roles=None if unsettled is None else unsettled[0],
        more_roles=0 if unsettled is None else unsettled[1],
        alarms=alarms,
        denied=tuple(denied.calls.items()),
    )


@dataclass(frozen=True, slots=True)
class _Denied:
    """The calls that AWS has denied so far, by their names, each in a sentence."""

    calls: dict[str, str]

    def unless(self, read: Callable[[], _T]) -> _T | None:
        """What was read; None where AWS denies a call for it, which is noted. Raises any other AwsError."""
        try:
            return read()
        except DeniedError as error:
            self.calls[error.operation] = denial(error)
            return None


def _reading(answer: object, found: Sequence[_T]) -> Reading[_T]:
    """The first of what was ``found`` in an answer, which is None where AWS denied it."""
    if answer is None:
        return Unreadable("AWS denied to read it.")
    return Present(found[0]) if found else Absent()


def _pending(history: HistoryTable) -> tuple[tuple[tuple[str, RoleRecord], ...], int]:
    """The roles of which something is open, with what is remembered of them, and how many there are besides."""
    names = history.pending_roles()
    stored_record = ((name, history.read_role_record(name)) for name in names[:_MOST_ROLES])
    return tuple((name, role_record) for name, role_record in stored_record if role_record.is_pending), len(
        names[_MOST_ROLES:]
    )


def _stack_state(deployment: Deployment) -> tuple[str, datetime]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html"""
    with calling("cloudformation:DescribeStacks"):
        client = deployment.account.client("cloudformation", deployment.region)
        (found,) = client.describe_stacks(StackName=deployment.stack)["Stacks"]
    return str(found["StackStatus"]), found.get("LastUpdatedTime") or found["CreationTime"]


def _last_sweep(deployment: Deployment, now: datetime) -> tuple[datetime, ...]:
    """When the last sweep came to its end, alone; empty where none did."""
    with calling("cloudwatch:GetMetricStatistics"):
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
    return tuple(sorted(times)[-1:])


def _queues(deployment: Deployment) -> tuple[QueueDepth, ...]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html"""
    client = deployment.account.client("sqs", deployment.region)
    found: list[QueueDepth] = []
    for output, url in deployment.outputs.items():
        name, is_lost = _queue_name(output)
        if not name:
            continue
        with calling("sqs:GetQueueAttributes"):
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
    pages = deployment.account.client("cloudwatch", deployment.region).get_paginator("describe_alarms")
    listed: list[Any] = []
    with calling("cloudwatch:DescribeAlarms"):
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
