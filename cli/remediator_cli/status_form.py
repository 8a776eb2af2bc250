"""How a deployment is, as a JSON object, and as text for people: one screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remediator.core.plain_text import plain
from remediator_cli.deployment_status import Status

_MOST_TROUBLES: Final = 12
"""How much people are shown of what needs them: more does not fit a screen."""


def status_record(status: Status) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there."""
    return {
        "account": status.account,
        "stack": status.stack,
        "region": status.region,
        "stack_state": status.stack_state,
        "updated": status.updated.isoformat(),
        "last_version": status.last_version,
        "needs_person": list(status.troubles),
        "paused": {"everything": status.pause.everything, "clouds": sorted(status.pause.clouds)},
        "clouds": None
        if status.clouds is None
        else [{"name": name, "mode": mode, "paused": status.pause.holds(name)} for name, mode in status.clouds],
        "last_sweep": None if status.last_sweep is None else status.last_sweep.isoformat(),
        "queues": [{"name": queue.name, "messages": queue.messages, "lost": queue.is_lost} for queue in status.queues],
        "roles": [
            {
                "name": name,
                "contested_since": None if memory.contest is None else memory.contest.since.isoformat(),
                "undone_by": [] if memory.contest is None else list(memory.contest.actors),
                "incident": None if memory.incident is None else memory.incident.incident_id,
                "open_since": None if memory.incident is None else memory.incident.opened.isoformat(),
            }
            for name, memory in status.roles
        ],
        "more_roles": status.more_roles,
        "alarms": [
            {"name": alarm.name, "since": alarm.since.isoformat(), "what": alarm.what} for alarm in status.alarms
        ],
    }


def status_text(status: Status) -> RenderableType:
    """First whether anything needs a person, then what, then the facts."""
    troubles = status.troubles
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(status):
        facts.add_row(name, Text(plain(value)))
    return Group(_first_line(len(troubles)), *_shown(troubles), Text(), facts)


def _first_line(count: int) -> Text:
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
    yield (
        "version",
        "unknown, as no change is recorded"
        if status.last_version is None
        else (f"{status.last_version}, by the last change"),
    )
    yield "writes", status.pause.why or "running"
    if status.clouds is None:
        yield "clouds", "unknown: name the configuration with --settings"
    else:
        for number, (name, mode) in enumerate(status.clouds):
            yield "" if number else "clouds", f"{name}  {mode}{', paused' if status.pause.holds(name) else ''}"
    yield (
        "last sweep",
        "none within two days" if status.last_sweep is None else f"{status.last_sweep:%Y-%m-%d %H:%M} UTC",
    )
    waiting = [f"{queue.name.removesuffix(' queue')} {queue.messages}" for queue in status.queues if not queue.is_lost]
    yield "waiting", ", ".join(waiting) or "no queues are known"
    lost = [f"{queue.name} {queue.messages}" for queue in status.queues if queue.is_lost and queue.messages]
    yield "given up", ", ".join(lost) or "nothing"
    count = len(status.roles) + status.more_roles
    yield "open", f"{count} role{'' if count == 1 else 's'}" if count else "nothing"
    yield "alarms", ", ".join(alarm.name for alarm in status.alarms) or "none is on"
