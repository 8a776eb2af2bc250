"""Changes as JSON objects, and as text for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from remediator.core.events.actors import describe_actor
from remediator.core.events.event import Cause
from remediator.core.events.sweep import is_sweep
from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.model.plain_text import document_diff, plain
from remediator_cli.terminal.diff import diff_text

_STYLES = {
    ChangeState.COMPLETED: "green",
    ChangeState.INTENDED: "yellow",
    ChangeState.UNCONFIRMED: "yellow",
    ChangeState.NOT_WRITTEN: "dim",
    ChangeState.SUPERSEDED: "magenta",
    ChangeState.UNKNOWN: "magenta",
}


def change_record(change: Change, *, with_documents: bool = False) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there, ``before`` and ``after`` where asked for."""
    document = change.document
    return {
        "change": change.change_id,
        "time": change.intended_at.isoformat(),
        "kind": change.kind,
        "state": change.state,
        "why": change.why,
        "concluded": None if change.concluded_at is None else change.concluded_at.isoformat(),
        "account": change.account,
        "role": {"name": change.role_name, "id": change.role_id, "arn": change.role_arn},
        "cloud": change.cloud,
        "document": {"kind": document.kind, "name": document.name or None, "region": document.region},
        "findings": [{"code": finding.code, "subject": finding.subject} for finding in change.findings],
        "causes": [
            {
                "event_id": cause.event_id,
                "call": cause.call,
                "time": cause.time,
                "actor": cause.actor.arn,
                "actor_type": cause.actor.kind,
                "role": cause.actor.issuer_arn,
                "invoked_by": cause.actor.invoked_by,
                "user_agent": cause.actor.user_agent,
            }
            for cause in change.causes
        ],
        "code_version": change.code_version,
        **({"before": change.before, "after": change.after} if with_documents else {}),
    }


def history_table(changes: Iterable[Change]) -> RenderableType:
    """Each change with its id, its findings and its causes, beside its time in UTC."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for change in changes:
        table.add_row(f"{change.intended_at:%Y-%m-%d %H:%M:%S}", Text("\n").join(_lines(change)))
    return table


def change_text(change: Change) -> RenderableType:
    """Everything that is known of one change, with its diff."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column()
    facts.add_column(overflow="fold")
    for name, value in (
        ("role", f"{change.role_arn} ({change.role_id})"),
        ("cloud", change.cloud or "unknown"),
        ("document", str(change.document)),
        ("findings", ", ".join(_findings(change)) or "none"),
        ("intended", f"{change.intended_at:%Y-%m-%d %H:%M:%S} UTC by version {change.code_version}"),
        ("concluded", "not yet" if change.concluded_at is None else f"{change.concluded_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("because of", "\n".join(f"{line}\n  event {cause.event_id}" for cause, line in _causes(change))),
    ):
        facts.add_row(name, Text("\n".join(plain(line) for line in value.split("\n"))))
    diff = diff_text(document_diff(change.before, change.after))
    return Group(_title(change), Text(change.change_id), facts, Padding(diff, (0, 0, 0, 2)))


def _lines(change: Change) -> Iterable[Text]:
    yield _title(change)
    yield Text(change.change_id, style="cyan")
    if change.findings:
        yield Text(plain(", ".join(_findings(change))))
    yield from (Text(plain(line)) for _, line in _causes(change))


def _title(change: Change) -> Text:
    state = Text(change.state, style=_STYLES[change.state])
    if change.why:
        state.append(plain(f" ({change.why})"), style="not bold")
    return Text.assemble(
        (plain(change.role_name), "bold"), "  ", plain(str(change.document)), "  ", change.kind, " ", state
    )


def _findings(change: Change) -> Iterable[str]:
    for finding in change.findings:
        same = finding.subject == str(change.document)
        yield finding.code if same else f"{finding.code} ({finding.subject})"


def _causes(change: Change) -> Iterable[tuple[Cause, str]]:
    for cause in change.causes:
        if is_sweep(cause):
            yield cause, "found by a sweep"
        elif change.kind is ChangeKind.UNDO:
            yield cause, f"{cause.actor.arn} undid {cause.event_id}"
        else:
            yield cause, f"after {cause.call} by {describe_actor(cause.actor)}"
