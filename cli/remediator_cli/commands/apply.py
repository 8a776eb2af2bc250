"""``remediator apply``: one repair now, by an operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn, assert_never

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.events.event import utc_minute
from remediator.core.history.change import ChangeState
from remediator.core.model.plain_text import plain
from remediator.core.model.role import Role
from remediator.core.model.write import Write
from remediator.core.repair.outcome import Applied, Hold, NotApplied, Outcome, OutcomeKind, Unconfirmed, WriteResult
from remediator.errors import AwsError, TransientError
from remediator_cli.deployment import aws
from remediator_cli.deployment.applying import Applying, begin_applying
from remediator_cli.deployment.stack_outputs import find_deployment
from remediator_cli.rendering.documents import write_text
from remediator_cli.rendering.findings import finding_text
from remediator_cli.rendering.records import (
    blocked_repair_records,
    conflict_record,
    document_record,
    finding_records,
    role_record,
)
from remediator_cli.terminal.command import suggested
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.options import DEFAULT_STACK, Region, RoleArgument, SettingsFile, Stack, Yes, named_role
from remediator_cli.terminal.output import OutputFormat, confirmed, decline, present, print_error, print_text, record
from remediator_cli.terminal.settings_file import DEFAULT_FILE, needed_settings

EXAMPLES = """
remediator apply head-node
remediator apply --yes --settings cdk.json head-node
"""

_IN_ORDER = frozenset({OutcomeKind.CLEAN, OutcomeKind.REPAIRED})
"""Nothing is wrong; repaired without a write is what an interrupted reconcile had written."""

_CONFLICT: Final = "contest"
"""The word for a repair that stops because of a conflict; the other words are those of ``Hold``."""


def apply(
    role: RoleArgument,
    yes: Yes = False,
    form: OutputFormat = OutputFormat.TEXT,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Repair one role now, as the remediator would.

    Shows the diff and asks first. The repair is recorded in the history, alerted, and can be undone. A pause, observe
    mode, a conflict, the write limit and every guard apply, and are named. The configuration is cdk.json in the working
    directory, or --settings; it must be the deployed one.

    Writes with your credentials, which need the permissions that the reconciler's role has for this role.
    """
    named = named_role(role)
    configuration = needed_settings(settings)
    with aws.answered():
        deployment = find_deployment(stack, region, settings or DEFAULT_FILE)
        deployment.must_have(configuration)
        applying = begin_applying(deployment, configuration, named)
        seen = applying.preview()
        held = _on_hold(seen, applying) if seen.proposed else None
        asks = bool(seen.proposed) and held is None and not yes
        present(form, _seen(seen), asks=asks)
        if not seen.proposed:
            _end_without_a_write(applying.role, seen, form)
        if held is not None:
            print_error(named.name, f"not repaired. {held.why}")
            record(form, lambda: apply_record(applying.role, seen, "held-back", why=held.why, hold_reason=held.by))
            raise typer.Exit(ExitCode.ERROR)
        if asks and not confirmed("Write it?"):
            decline(named.name, form, lambda: apply_record(applying.role, seen, "declined", why="Not confirmed."))
        outcome = _repaired(applying, seen, form)
    _say_results(outcome, form)
    alerted = _notify(applying, outcome)
    for reason in _why_not_repaired(outcome, alerted=alerted):
        print_error(outcome.role_name, f"not repaired ({outcome.kind}). {reason}")
    record(
        form, lambda: apply_record(applying.role, outcome, _result(outcome), hold_reason=_by(outcome), alerted=alerted)
    )
    raise typer.Exit(ExitCode.OK if outcome.kind in _IN_ORDER else ExitCode.ERROR)


@dataclass(frozen=True, slots=True)
class _Held:
    """Why a repair is on hold: the word ``by``, and ``why`` in sentences that say how it ends."""

    by: str
    why: str


def _repaired(applying: Applying, seen: Outcome, form: OutputFormat) -> Outcome:
    """The outcome of the repair; where nothing is known to have been written, the command ends."""
    try:
        return applying.repair()
    except TransientError as error:
        why = error.message
        print_error(seen.role_name, f"not repaired, and nothing is known to have been written. {why}")
        record(form, lambda: apply_record(applying.role, seen, "not-repaired", why=why))
        raise typer.Exit(ExitCode.ERROR) from error


def _result(outcome: Outcome) -> str:
    """One word for the result of the repair."""
    if outcome.kind in _IN_ORDER:
        return "repaired"
    return "incomplete" if outcome.may_have_written else "not-repaired"


def _by(outcome: Outcome) -> str | None:
    """The word for the reason why the repair was on hold when it was tried."""
    return _CONFLICT if outcome.conflict is not None else outcome.hold


def _seen(outcome: Outcome) -> RenderableType:
    blocked = {each.finding: each for each in outcome.blocked}
    return Group(
        Text.assemble((plain(outcome.role_name), "bold"), f"  {plain(outcome.cloud or 'of no cloud')}"),
        *(finding_text(finding, blocked.get(finding)) for finding in outcome.findings),
        *(write_text(write) for write in outcome.proposed),
    )


def _end_without_a_write(role: Role, outcome: Outcome, form: OutputFormat) -> NoReturn:
    name = role.arn.name
    if outcome.kind in _IN_ORDER:
        print_text(Text(f"Nothing is wrong with {name}; nothing was changed."), form)
        record(form, lambda: apply_record(role, outcome, "nothing-to-do"))
        raise typer.Exit(ExitCode.OK)
    why = outcome.why or "Manual action is required: the remediator does not repair it."
    print_error(name, f"not repaired ({outcome.kind}). {why}")
    record(form, lambda: apply_record(role, outcome, "not-repaired", why=why))
    raise typer.Exit(ExitCode.ERROR)


def _on_hold(outcome: Outcome, applying: Applying) -> _Held | None:
    """Why the repair is on hold, as far as that is known before it is tried; None where it is not."""
    if outcome.hold is Hold.OBSERVE:
        return _Held(Hold.OBSERVE, "The role is in observe mode, by its cloud or by its tag anyscale:remediation.")
    if outcome.cloud is not None and applying.paused.holds(outcome.cloud):
        return _Held(Hold.PAUSED, f"{applying.paused.why} To end the pause: {suggested('resume')}")
    conflict = None if outcome.role_record is None else outcome.role_record.conflict
    if conflict is not None:
        return _Held(
            _CONFLICT,
            f"The role is in conflict since {utc_minute(conflict.since)}: its repairs are undone by "
            f"{conflict.undone_by}. When that is resolved: {suggested(f'resume {outcome.role_name}')}",
        )
    return None


def _say_results(outcome: Outcome, form: OutputFormat) -> None:
    for result in outcome.results:
        what = plain(str(result.write.document))
        match result:
            case Applied(change_id=change_id):
                print_text(Text(f"Written: {what}, recorded as {change_id}."), form)
            case Unconfirmed(why=why):
                print_error(outcome.role_name, f"{what}: written, but not confirmed. {why}")
            case NotApplied(why=why, is_lost=True):
                print_error(outcome.role_name, f"{what}: whether it was written is unknown. {why}")
            case NotApplied(why=why):
                print_error(outcome.role_name, f"{what}: not written. {why}")
            case _ as never:
                assert_never(never)


def _why_not_repaired(outcome: Outcome, *, alerted: bool) -> Iterator[str]:
    """Sentences for the operator; a conflict is stored only together with its alert (``alerted``)."""
    if outcome.kind in _IN_ORDER or (outcome.results and outcome.refusal is None):
        return
    if outcome.conflict is not None:
        undone = f"Its repairs were undone too often, by {outcome.conflict.undone_by}"
        yield (
            f"{undone}: the role is in conflict now. When that is resolved: {suggested(f'resume {outcome.role_name}')}"
            if alerted
            else f"{undone}. The conflict is not stored yet: the remediator detects and reports it when it checks the "
            "role the next time."
        )
    yield from filter(None, (outcome.why, *outcome.notes))


def _notify(applying: Applying, outcome: Outcome) -> bool:
    """Whether the alert was sent and recorded; a failed alert does not change what was written."""
    try:
        applying.notify(outcome)
    except AwsError as error:
        print_error(
            outcome.role_name,
            f"the alert could not be sent: {error}. The remediator reports the write when it checks the role the next "
            "time"
            if error.operation.startswith("sns:")
            else f"the alert was sent but could not be recorded: {error}. It may be sent again",
        )
        return False
    return True


def apply_record(
    role: Role,
    outcome: Outcome,
    result: str,
    *,
    why: str = "",
    hold_reason: str | None = None,
    alerted: bool | None = None,
) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there.

    ``alerted`` says whether the alert was sent and recorded; it is None where that was not tried.
    """
    sentences = filter(None, (why or outcome.why, *outcome.notes))
    conflict = conflict_record(outcome.conflict)
    return {
        "account": outcome.account,
        "role": role_record(role),
        "cloud": outcome.cloud,
        "result": result,
        "outcome": outcome.kind,
        "why": " ".join(sentences) or None,
        "held_back_by": hold_reason,
        "refusal": outcome.refusal,
        "findings": finding_records(outcome.findings),
        "withheld": blocked_repair_records(outcome.blocked),
        "writes": list(_writes(outcome)),
        "contest": None if conflict is None else {**conflict, "stored": alerted is not False},
        "told": alerted,
    }


def _writes(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for result in outcome.results:
        state, why = _state(result)
        change = {"id": result.change_id, "state": state} if result.change_id else None
        yield {**_write_record(result.write), "state": state, "why": why or None, "change": change}
    for write in outcome.proposed:
        yield {**_write_record(write), "state": "proposed", "why": None, "change": None}


def _state(result: WriteResult) -> tuple[ChangeState, str]:
    match result:
        case Applied():
            return ChangeState.COMPLETED, ""
        case Unconfirmed(why=why):
            return ChangeState.UNCONFIRMED, why
        case NotApplied(why=why, is_lost=True):
            return ChangeState.INTENDED, why
        case NotApplied(why=why):
            return ChangeState.NOT_WRITTEN, why
        case _ as never:
            assert_never(never)


def _write_record(write: Write) -> dict[str, Any]:
    return {"document": document_record(write.document), "before": write.before, "after": write.after}
