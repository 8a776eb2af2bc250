"""``remediator apply``: one repair now, by the hand of a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, assert_never

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.change import document_of
from remediator.core.outcome import Applied, Hold, NotApplied, Outcome, OutcomeKind, Unconfirmed
from remediator.core.plain_text import plain
from remediator.errors import AwsError, TransientError
from remediator_cli import aws
from remediator_cli.applying import Applying, begin_applying
from remediator_cli.deployment import find_deployment
from remediator_cli.exits import ExitCode
from remediator_cli.fleet_form import finding_text, step_text
from remediator_cli.needed_settings import BESIDE, needed_settings
from remediator_cli.options import DEFAULT_STACK, Region, SettingsFile, Stack, Yes, role_name_of
from remediator_cli.output import complain, confirmed, tell

EXAMPLES = """
remediator apply head-node
remediator apply --yes --settings cdk.json head-node
"""

_IN_ORDER = frozenset({OutcomeKind.CLEAN, OutcomeKind.REPAIRED})
"""Nothing is wrong (any more); repaired without a write is what was interrupted before, and had been written."""


def apply(
    role: Annotated[str, typer.Argument(metavar="ROLE", show_default=False, help="The role's name or its ARN.")],
    yes: Yes = False,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Repair one role now, as the remediator would: recorded in the history, told to people, and to be undone.

    Shows the diff and asks. A pause, the observe mode, a contest, the limit of writes and every guard hold it back, and
    it says which. The configuration is cdk.json in the working directory, or --settings, and has to be the deployed one.

    Writes with the credentials of the current profile, which need what the reconciler's role may do for this role.
    """
    configuration = needed_settings(settings)
    name = role_name_of(role)
    with aws.answered():
        deployment = find_deployment(stack, region, settings or BESIDE)
        deployment.must_have(configuration)
        applying = begin_applying(deployment, configuration, name)
        seen = applying.look()
        tell(_seen(seen))
        if not seen.proposed:
            _end_without_a_write(name, seen)
        if why := _why_held(seen, applying):
            complain(name, f"not repaired. {why}")
            raise typer.Exit(ExitCode.ERROR)
        if not yes and not confirmed("Write it?"):
            complain(name, "nothing was changed")
            raise typer.Exit(ExitCode.ERROR)
        outcome = _repaired(applying)
    _say(outcome)
    _tell_people(applying, outcome)
    raise typer.Exit(ExitCode.OK if outcome.kind in _IN_ORDER else ExitCode.ERROR)


def _repaired(applying: Applying) -> Outcome:
    """What came of the repair; where nothing was written because trying again may help, the command ends."""
    try:
        return applying.repair()
    except TransientError as error:
        complain(applying.role_name, f"not repaired, and nothing was written. {error.message}")
        raise typer.Exit(ExitCode.ERROR) from error


def _seen(outcome: Outcome) -> RenderableType:
    held = {each.finding: each.because for each in outcome.withheld}
    return Group(
        Text.assemble((plain(outcome.role_name), "bold"), f"  {plain(outcome.cloud or 'of no cloud')}"),
        *(finding_text(finding, held.get(finding)) for finding in outcome.findings),
        *(step_text(step) for step in outcome.proposed),
    )


def _end_without_a_write(name: str, outcome: Outcome) -> None:
    if outcome.kind in _IN_ORDER:
        tell(Text(f"Nothing is wrong with {name}; nothing was changed."))
        raise typer.Exit(ExitCode.OK)
    why = outcome.why or "What is wrong is for a person: no write of ours repairs it."
    complain(name, f"not repaired ({outcome.kind}). {why}")
    raise typer.Exit(ExitCode.ERROR)


def _why_held(outcome: Outcome, applying: Applying) -> str:
    """What holds the repair back, as far as that is known before it is tried; empty where nothing does."""
    if outcome.hold is Hold.OBSERVE:
        return "The role is only observed, by the mode of its cloud or by its tag anyscale:remediation."
    if outcome.cloud is not None and applying.paused.holds(outcome.cloud):
        return f"{applying.paused.why} `remediator resume` ends that."
    contest = None if outcome.memory is None else outcome.memory.contest
    if contest is not None:
        by = ", ".join(contest.actors) or "somebody"
        return (
            f"It is contested since {contest.since:%Y-%m-%d %H:%M} UTC: its repairs are undone by {by}. `remediator "
            f"resume {outcome.role_name}` ends that, when it is settled."
        )
    return ""


def _say(outcome: Outcome) -> None:
    for result in outcome.results:
        what = plain(str(document_of(result.step)))
        match result:
            case Applied(change_id=change_id):
                tell(Text(f"Written: {what}, recorded as {change_id}."))
            case Unconfirmed(why=why):
                complain(outcome.role_name, f"{what}: written, but not seen to take effect. {why}")
            case NotApplied(why=why):
                complain(outcome.role_name, f"{what}: not written. {why}")
            case _ as never:
                assert_never(never)
    for reason in _why_not_repaired(outcome):
        complain(outcome.role_name, f"not repaired ({outcome.kind}). {reason}")


def _why_not_repaired(outcome: Outcome) -> Iterator[str]:
    if outcome.kind in _IN_ORDER or outcome.results:
        return
    if outcome.contest is not None:
        yield (
            f"Its repairs were undone too often, by {', '.join(outcome.contest.actors)}: it is contested now. "
            f"`remediator resume {outcome.role_name}` ends that, when it is settled."
        )
    yield from filter(None, (outcome.why, *outcome.notes))


def _tell_people(applying: Applying, outcome: Outcome) -> None:
    """What was written is done, whatever becomes of the alert."""
    try:
        applying.tell(outcome)
    except AwsError as error:
        complain(
            outcome.role_name,
            f"people could not be told: {error}. What was written is told when the remediator looks at the role the "
            "next time",
        )
