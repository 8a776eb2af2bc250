"""``remediator status``: whether the remediator is healthy, and what requires an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar, assert_never

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.events.event import utc_minute
from remediator.core.history.role_record import RoleRecord
from remediator.core.model.plain_text import plain
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator_cli.deployment import aws
from remediator_cli.deployment.deployment_status import QueueDepth, Status, read_status
from remediator_cli.deployment.stack_outputs import find_deployment
from remediator_cli.rendering.layout import facts
from remediator_cli.rendering.records import pause_record
from remediator_cli.terminal import clock
from remediator_cli.terminal.command import suggested
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack
from remediator_cli.terminal.output import OutputFormat, print_error, show
from remediator_cli.terminal.settings_file import DEFAULT_FILE

EXAMPLES = """
remediator status
remediator status --settings cdk.json
remediator status --json | jq -r '.needs_person[]'
"""


def status(
    form: OutputFormat = OutputFormat.TEXT,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Show whether the remediator is healthy, and what requires an operator.

    Covers pause, sweeps, queues, conflicts, open incidents and alarms. Exits with 3 if anything requires an operator.
    Roles that are refused or observed on purpose are listed, but do not count. What your credentials cannot read is
    left out and named; the exit code is then 1, unless something requires an operator. The modes of the clouds come
    from cdk.json in the working directory, or from --settings. To test the alerts, use `remediator test-alert`.

    Calls cloudformation:DescribeStacks, ssm:GetParameter, dynamodb:Query, dynamodb:GetItem, sqs:GetQueueAttributes,
    cloudwatch:GetMetricStatistics and cloudwatch:DescribeAlarms.
    """
    with aws.answered():
        deployment = find_deployment(stack, region, settings or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None))
        if other := deployment.other_configuration(deployment.settings):
            print_error("status", f"{other} The modes of the clouds are those of the given one")
        found = read_status(deployment, deployment.settings, clock.now())
    show(form, status_record(found), partial(status_text, found))
    for _, why in found.denied:
        print_error("status", why)
    if found.troubles:
        raise typer.Exit(ExitCode.FOUND)
    raise typer.Exit(ExitCode.ERROR if found.denied else ExitCode.OK)


_T = TypeVar("_T")

_MOST_TROUBLES: Final = 12
"""How many lines are shown: more do not fit on a screen."""
_UNREAD: Final = "could not be read"
"""Shown where AWS denied a call; standard error names it."""
_NO_CHANGE: Final = "unknown, as no change is recorded"


def status_record(status: Status) -> dict[str, Any]:
    return {
        "account": status.account,
        "stack": status.stack,
        "region": status.region,
        "stack_state": status.stack_state,
        "updated": status.updated.isoformat(),
        "last_version": status.last_version.value if isinstance(status.last_version, Present) else None,
        "needs_person": list(status.troubles),
        "paused": None if status.pause is None else pause_record(status.pause),
        "clouds": _each(
            status.clouds, lambda each: {"name": each[0], "mode": each[1], "paused": _is_paused(status, each[0])}
        ),
        "last_sweep": status.last_sweep.value.isoformat() if isinstance(status.last_sweep, Present) else None,
        "queues": _each(
            status.queues, lambda each: {"name": each.name, "messages": each.messages, "lost": each.is_lost}
        ),
        "roles": _each(status.roles, lambda each: _role_record(*each)),
        "more_roles": None if status.roles is None else status.more_roles,
        "alarms": _each(
            status.alarms, lambda each: {"name": each.name, "since": each.since.isoformat(), "what": each.what}
        ),
        "denied": [call for call, _ in status.denied],
    }


def _each(items: tuple[_T, ...] | None, record: Callable[[_T], dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The records of all items; None where they are not known."""
    return None if items is None else [record(each) for each in items]


def _role_record(name: str, role_record: RoleRecord) -> dict[str, Any]:
    conflict, incident = role_record.conflict, role_record.incident
    return {
        "name": name,
        "contested_since": None if conflict is None else conflict.since.isoformat(),
        "undone_by": [] if conflict is None else list(conflict.actors),
        "incident": None if incident is None else incident.incident_id,
        "open_since": None if incident is None else incident.opened.isoformat(),
    }


def _is_paused(status: Status, cloud: str) -> bool | None:
    return None if status.pause is None else status.pause.holds(cloud)


def status_text(status: Status) -> RenderableType:
    """First whether anything requires an operator, then what, then the facts."""
    troubles = status.troubles
    rows = ((name, Text(plain(value))) for name, value in _facts(status))
    first = _first_line(len(troubles), is_whole=not status.denied)
    on_purpose = [Text(), Text("Not repaired on purpose:", style="dim")] if status.information else []
    information = (*on_purpose, *_shown(status.information, "dim"))
    return Group(first, *_shown(troubles), *information, Text(), facts(rows, style="dim"))


def _first_line(count: int, *, is_whole: bool) -> Text:
    if count == 0 and not is_whole:
        return Text("Not everything could be read. Nothing that could be read requires action.", style="yellow")
    if count == 0:
        return Text("Healthy. No action needed.", style="green")
    problems = "1 problem requires" if count == 1 else f"{count} problems require"
    return Text(f"{problems} an operator:", style="bold red")


def _shown(lines: tuple[str, ...], style: str = "") -> Iterator[Text]:
    for line in lines[:_MOST_TROUBLES]:
        yield Text(f"- {plain(line)}", style=style)
    if len(lines) > _MOST_TROUBLES:
        yield Text(f"- and {len(lines) - _MOST_TROUBLES} more: {suggested('status --json')}", style=style)


def _facts(status: Status) -> Iterator[tuple[str, str]]:
    yield "deployment", f"{status.stack} in {status.region}, account {status.account}"
    yield "deployed", f"{utc_minute(status.updated)} ({status.stack_state})"
    yield "version", _said(status.last_version, lambda version: f"{version}, by the last change", _NO_CHANGE)
    yield "writes", _UNREAD if status.pause is None else (status.pause.why or "running")
    yield from _of_clouds(status)
    yield "last sweep", _said(status.last_sweep, utc_minute, "none within two days")
    yield from _of_queues(status.queues)
    count = len(status.roles or ()) + status.more_roles
    yield (
        "open",
        _UNREAD if status.roles is None else f"{count} role{'' if count == 1 else 's'}" if count else "nothing",
    )
    yield ("alarms", _UNREAD if status.alarms is None else (", ".join(alarm.name for alarm in status.alarms) or "none"))


def _of_clouds(status: Status) -> Iterator[tuple[str, str]]:
    if status.clouds is None:
        yield "clouds", "unknown; use --settings"
    for number, (name, mode) in enumerate(status.clouds or ()):
        yield "" if number else "clouds", f"{name}  {mode}{', paused' if _is_paused(status, name) else ''}"


def _said(reading: Reading[_T], text: Callable[[_T], str], absent: str) -> str:
    match reading:
        case Present(value=value):
            return text(value)
        case Absent():
            return absent
        case Unreadable():
            return _UNREAD
        case _ as never:
            assert_never(never)


def _of_queues(queues: tuple[QueueDepth, ...] | None) -> Iterator[tuple[str, str]]:
    if queues is None:
        yield from (("waiting", _UNREAD), ("given up", _UNREAD))
        return
    waiting = [f"{queue.name.removesuffix(' queue')} {queue.messages}" for queue in queues if not queue.is_lost]
    yield "waiting", ", ".join(waiting) or "no queues are known"
    lost = [f"{queue.name} {queue.messages}" for queue in queues if queue.is_lost and queue.messages]
    yield "given up", ", ".join(lost) or "nothing"
