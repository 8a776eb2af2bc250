"""How a deployment is, as a JSON object, and as text for people: one screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar, assert_never

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remediator.core.model.plain_text import plain
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator_cli.commands.action_form import pause_record
from remediator_cli.deployment.deployment_status import QueueDepth, Status

_T = TypeVar("_T")

_MOST_TROUBLES: Final = 12
"""How much people are shown of what needs them: more does not fit a screen."""
_UNREAD: Final = "could not be read"
"""What stands where AWS denied a call; standard error names it."""
_NO_CHANGE: Final = "unknown, as no change is recorded"


def status_record(status: Status) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there."""
    return {
        "account": status.account,
        "stack": status.stack,
        "region": status.region,
        "stack_state": status.stack_state,
        "updated": status.updated.isoformat(),
        "last_version": status.last_version.value if isinstance(status.last_version, Present) else None,
        "needs_person": list(status.troubles),
        "paused": None if status.pause is None else pause_record(status.pause),
        "clouds": None
        if status.clouds is None
        else [{"name": name, "mode": mode, "paused": _is_paused(status, name)} for name, mode in status.clouds],
        "last_sweep": status.last_sweep.value.isoformat() if isinstance(status.last_sweep, Present) else None,
        "queues": None
        if status.queues is None
        else [{"name": queue.name, "messages": queue.messages, "lost": queue.is_lost} for queue in status.queues],
        "roles": None
        if status.roles is None
        else [
            {
                "name": name,
                "contested_since": None if memory.contest is None else memory.contest.since.isoformat(),
                "undone_by": [] if memory.contest is None else list(memory.contest.actors),
                "incident": None if memory.incident is None else memory.incident.incident_id,
                "open_since": None if memory.incident is None else memory.incident.opened.isoformat(),
            }
            for name, memory in status.roles
        ],
        "more_roles": None if status.roles is None else status.more_roles,
        "alarms": None
        if status.alarms is None
        else [{"name": alarm.name, "since": alarm.since.isoformat(), "what": alarm.what} for alarm in status.alarms],
        "denied": [call for call, _ in status.denied],
    }


def _is_paused(status: Status, cloud: str) -> bool | None:
    return None if status.pause is None else status.pause.holds(cloud)


def status_text(status: Status) -> RenderableType:
    """First whether anything needs a person, then what, then the facts."""
    troubles = status.troubles
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(status):
        facts.add_row(name, Text(plain(value)))
    return Group(_first_line(len(troubles), is_whole=not status.denied), *_shown(troubles), Text(), facts)


def _first_line(count: int, *, is_whole: bool) -> Text:
    if count == 0 and not is_whole:
        return Text("Not everything could be read; in what could be, nothing needs a person.", style="yellow")
    if count == 0:
        return Text("All is well; nothing for you to do.", style="green")
    needs = "1 thing needs" if count == 1 else f"{count} things need"
    return Text(f"{needs} a person:", style="bold red")


def _shown(troubles: tuple[str, ...]) -> Iterator[Text]:
    for trouble in troubles[:_MOST_TROUBLES]:
        yield Text(f"- {plain(trouble)}")
    if len(troubles) > _MOST_TROUBLES:
        yield Text(f"- and {len(troubles) - _MOST_TROUBLES} more: remediator status --json")


def _facts(status: Status) -> Iterator[tuple[str, str]]:
    yield "deployment", f"{status.stack} in {status.region}, account {status.account}"
    yield "deployed", f"{status.updated:%Y-%m-%d %H:%M} UTC ({status.stack_state})"
    yield "version", _said(status.last_version, lambda version: f"{version}, by the last change", _NO_CHANGE)
    yield "writes", _UNREAD if status.pause is None else (status.pause.why or "running")
    if status.clouds is None:
        yield "clouds", "unknown: name the configuration with --settings"
    else:
        for number, (name, mode) in enumerate(status.clouds):
            yield "" if number else "clouds", f"{name}  {mode}{', paused' if _is_paused(status, name) else ''}"
    yield "last sweep", _said(status.last_sweep, lambda at: f"{at:%Y-%m-%d %H:%M} UTC", "none within two days")
    yield from _of_queues(status.queues)
    yield "open", _UNREAD if status.roles is None else _counted(len(status.roles) + status.more_roles)
    yield (
        "alarms",
        _UNREAD if status.alarms is None else (", ".join(alarm.name for alarm in status.alarms) or "none is on"),
    )


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


def _counted(roles: int) -> str:
    return f"{roles} role{'' if roles == 1 else 's'}" if roles else "nothing"
