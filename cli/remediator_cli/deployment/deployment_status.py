"""The state of a deployment, and what of it requires an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from remediator.core.events.event import utc_minute
from remediator.core.history.pause import Pause, parse_pause
from remediator.core.history.role_record import Incident, RoleRecord
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.outcome import OutcomeKind
from remediator.errors import DeniedError
from remediator.settings import Settings
from remediator_cli.deployment.aws import calling
from remediator_cli.deployment.denials import denial
from remediator_cli.deployment.stack_outputs import Deployment
from remediator_cli.terminal.command import suggested

if TYPE_CHECKING:
    from remediator.gateways.history import HistoryTable

_T = TypeVar("_T")

ALARM_PREFIX: Final = "AnyscaleRemediator-"
"""The prefix of the names of all alarms."""
NAMESPACE: Final = "AnyscaleRemediator"
"""The namespace of the metrics of the functions."""

_MOST_ROLES: Final = 100
"""How many roles with an open incident or conflict are read: each takes a call."""

_SWEEPS_BACK: Final = timedelta(days=2)
"""How far back the last sweep is searched: a little more than the longest sweep interval."""
_FIRST_SWEEP: Final = timedelta(hours=1)
"""How long after a deployment its first sweep can take, retries included."""
_SWEEP_PERIOD: Final = 300
"""Seconds. A call answers at most 1,440 periods.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
"""
_STATES: Final[Mapping[str, str]] = {
    OutcomeKind.REFUSED: "refused",
    OutcomeKind.WOULD_REPAIR: "broken, not repaired",
    OutcomeKind.MANUAL_ACTION: "manual action required",
    OutcomeKind.FAILED: "repair failed",
}
_WAITING: Final = "QueueUrl"
_DEAD: Final = "DeadLettersUrl"
_UNDELIVERED: Final = "Undelivered"


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The number of messages in a queue, by its ``name``; ``is_lost`` where no function consumes them."""

    name: str
    messages: int
    is_lost: bool


@dataclass(frozen=True, slots=True)
class AlarmOn:
    """An alarm that is on, since when (an aware time), and its description."""

    name: str
    since: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a deployment.

    ``at`` is when it was read. ``stack_state`` is CloudFormation's state of the stack, ``updated`` the time of the last
    deployment. ``last_version`` is the version of the code that made the last change, Absent where there is none.
    ``last_sweep`` is the end of the last sweep, to five minutes, Absent where none ended within two days. ``roles`` are
    those with an open incident or conflict, with their records, and ``more_roles`` the number of further ones.
    ``clouds`` are the names and modes of the given configuration, None without one. ``pause``, ``queues``, ``roles``
    and ``alarms`` are None where AWS denied reading them. ``denied`` are these calls, each with a sentence.
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
        """What requires an operator, in sentences, the most urgent first; empty where nothing does."""
        return (
            *self._of_the_stack(),
            *(
                f"The alarm {alarm.name} is on since {utc_minute(alarm.since)}. {alarm.what}"
                for alarm in self.alarms or ()
            ),
            *(
                f"{_messages(queue.messages)} in {queue.name}. To retry them, see docs/runbook.md."
                for queue in self.queues or ()
                if queue.is_lost and queue.messages
            ),
            *self._of_roles(),
        )

    def _of_the_stack(self) -> Iterator[str]:
        if "FAILED" in self.stack_state or "ROLLBACK" in self.stack_state:
            yield f"The last deployment failed ({self.stack_state}). Deploy again: npx cdk deploy --all"
        if self.pause is not None and self.pause.why:
            yield f"{self.pause.why} To end the pause: {suggested('resume')}"
        if isinstance(self.last_sweep, Absent) and self.at - self.updated > _FIRST_SWEEP:
            yield (
                "No sweep has completed within two days. Read the end of the sweeper's log, and check whether the "
                "schedule is enabled."
            )

    def _of_roles(self) -> Iterator[str]:
        for name, record in self.roles or ():
            if record.conflict is not None:
                yield (
                    f"{name}: conflict since {utc_minute(record.conflict.since)}, its repairs are undone by "
                    f"{record.conflict.undone_by}. When that is resolved: {suggested(f'resume {name}')}"
                )
            elif record.incident is not None and not _is_intended(record.incident):
                yield _of_incident(name, record.incident)
        if self.more_roles:
            yield f"{self.more_roles} more roles have open problems. To list them: {suggested('plan')}"

    @property
    def information(self) -> tuple[str, ...]:
        """Roles that are not repaired on purpose, in sentences: refused, or only observed."""
        found = ((name, record.incident) for name, record in self.roles or () if record.conflict is None)
        return tuple(_of_incident(name, each) for name, each in found if each is not None and _is_intended(each))


def _is_intended(incident: Incident) -> bool:
    """Whether configuration or tags keep the role from being repaired, so that no operator has to act now."""
    return incident.outcome in (OutcomeKind.REFUSED, OutcomeKind.WOULD_REPAIR)


def _of_incident(name: str, incident: Incident) -> str:
    """The role, its state, what is wrong, since when, and the command that shows the rest."""
    state = _STATES.get(incident.outcome, "open problem")
    problem = f" ({incident.problem.removesuffix('.')})" if incident.problem else ""
    return f"{name}: {state} since {utc_minute(incident.opened)}{problem}. Details: {suggested(f'plan --role {name}')}"


def read_status(deployment: Deployment, settings: Settings | None, now: datetime) -> Status:
    """Read the state of the deployment; ``now`` (an aware time) is the time.

    What AWS denies is left out, and named. Raises NotDeployed and any other AwsError.
    """
    state, updated = _stack_state(deployment)
    denied = _Denied({})
    history = deployment.history()
    pause = denied.unless(lambda: parse_pause(deployment.pause_switch().read()))
    if pause is not None and settings is not None:
        pause = pause.under(settings)
    newest = denied.unless(lambda: history.list_changes(most=1))
    pending = denied.unless(lambda: _pending(history))
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
        roles=None if pending is None else pending[0],
        more_roles=0 if pending is None else pending[1],
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
    found = ((name, history.read_role_record(name)) for name in names[:_MOST_ROLES])
    return tuple((name, record) for name, record in found if record.is_pending), len(names[_MOST_ROLES:])


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
    return "1 message" if count == 1 else f"{count:,} messages"
