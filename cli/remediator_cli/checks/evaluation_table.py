"""An evaluation for people: a table of verdicts with their reasons, then what would be written and what not."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from remediator.core.access.decision import GrantJudgement, GrantVerdict
from remediator.core.alerts.finding_texts import FINDING_TEXTS
from remediator.core.model.finding import FindingCode
from remediator.core.model.plain_text import document_diff, plain
from remediator.core.repair.trust import TrustJudgement, TrustVerdict
from remediator_cli.checks.evaluation import Edit, Evaluation
from remediator_cli.terminal.diff import diff_text

_STYLES: dict[str, str] = {
    TrustVerdict.OK: "green",
    GrantVerdict.ALLOWED: "green",
    GrantVerdict.MISSING: "yellow",
    TrustVerdict.CONDITIONAL: "yellow",
    GrantVerdict.BLOCKED: "red",
    GrantVerdict.UNDECIDED: "magenta",
}
_EDITS = {
    Edit.CREATED: "it does not exist yet",
    Edit.APPENDED: "one statement more at its end",
    Edit.REPLACED: "our own statements, in their place",
    Edit.MERGED: "the smaller edit, because a new statement would not fit",
}
_SIDES = {
    "identity": "the role's policies",
    "bucket_policy": "the bucket policy",
    "identity+bucket_policy": "both the role's policies and the bucket policy",
}


def evaluation_table(evaluation: Evaluation) -> RenderableType:
    """What to print for one case. Foreign text in it is one line of printable characters, and never mark-up."""
    title = Text(plain(evaluation.id), style="bold")
    title.append(plain(f"  {evaluation.role.arn} and bucket {evaluation.bucket.name}"), style="not bold dim")
    table = Table(box=box.HORIZONTALS, show_edge=False, pad_edge=False)
    table.add_column("may", overflow="fold", ratio=3)
    table.add_column("verdict", no_wrap=True)
    table.add_column("because", overflow="fold", ratio=7)
    for what, verdict, because in _rows(evaluation):
        table.add_row(Text(what), Text(verdict, style=_STYLES[verdict]), Text(because))
    return Group(title, table, *_repair(evaluation), Text())


def _rows(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    yield "EC2 assume the role", evaluation.trust.verdict, "\n".join(_reasons(evaluation.trust))
    alike: dict[tuple[str, str], list[str]] = {}
    for judgement in (*evaluation.grants, *evaluation.key):
        because = "\n".join((*_reasons(judgement), *_sides(judgement)))
        alike.setdefault((judgement.verdict, because), []).append(judgement.action)
    for (verdict, because), actions in alike.items():
        yield "\n".join(actions), verdict, because


def _reasons(judgement: TrustJudgement | GrantJudgement) -> tuple[str, ...]:
    return tuple(dict.fromkeys(plain(reason) for reason in judgement.because))


def _sides(judgement: GrantJudgement) -> Iterator[str]:
    if judgement.fix_by:
        yield f"An Allow in {' or in '.join(_SIDES[side] for side in sorted(judgement.fix_by))} would help."


def _repair(evaluation: Evaluation) -> Iterator[RenderableType]:
    if evaluation.is_usable:
        yield Text("Nothing to repair.", style="green")
    elif evaluation.refused:
        yield Text.assemble("The remediator would leave this role alone: ", (plain(evaluation.refused), "bold"))
    for planned in evaluation.writes:
        write = planned.write
        yield Text(f"The repair: write the {write.document} ({planned.call}; {_EDITS[planned.edit]}):")
        if write.note:
            yield Text(plain(write.note))
        yield Padding(diff_text(document_diff(write.before, write.after)), (0, 0, 0, 2))
    said = {reason.partition(": ")[2] for reason in evaluation.because}
    for withheld in evaluation.withheld:
        yield _heading(withheld.finding)
        more = [f"- {plain(each)}" for each in withheld.because if each not in said]
        if withheld.statements:
            policy = "key policy" if withheld.finding is FindingCode.KEY_BEYOND_ROLE else "bucket policy"
            more.append(f"- Its owner would have to add to the {policy}:")
            more.append(json.dumps(list(withheld.statements), indent=2))
        if more:
            yield Padding(Text("\n".join(more), overflow="fold"), (0, 0, 0, 2))


def _heading(finding: FindingCode) -> Text:
    return Text.assemble("Not repaired: ", (finding, "bold red"), f". {FINDING_TEXTS[finding].meaning}")
