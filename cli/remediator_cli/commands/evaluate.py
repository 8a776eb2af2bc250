"""``remediator evaluate``: verdicts on roles that are described in files, without an account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remediator.core.access.decision import GrantEvaluation, GrantVerdict
from remediator.core.model.finding import FindingCode
from remediator.core.model.plain_text import plain
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator.core.repair.trust import TrustEvaluation, TrustVerdict
from remediator_cli.evaluation.cases import MalformedCase, read_case
from remediator_cli.evaluation.evaluation import CaseWrite, Edit, Evaluation, NotRepaired, evaluate_case
from remediator_cli.rendering.documents import changed_text
from remediator_cli.rendering.layout import indented
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.json_lines import Fault, read_json_lines
from remediator_cli.terminal.options import files_or_standard_input
from remediator_cli.terminal.output import OutputFormat, print_error, show

_STYLES: dict[str, str] = {
    TrustVerdict.OK: "green",
    GrantVerdict.ALLOWED: "green",
    GrantVerdict.MISSING: "yellow",
    TrustVerdict.CONDITIONAL: "yellow",
    GrantVerdict.BLOCKED: "red",
    GrantVerdict.UNDECIDED: "magenta",
}
_EDITS = {
    Edit.CREATED: "creates it",
    Edit.APPENDED: "appends one statement",
    Edit.REPLACED: "replaces the remediator's statements",
    Edit.MERGED: "the smaller edit, as a new statement would not fit",
}
_SIDES = {
    "identity": "the role's policies",
    "bucket_policy": "the bucket policy",
    "identity+bucket_policy": "both the role's policies and the bucket policy",
}

EXAMPLES = """
remediator evaluate roles.jsonl
remediator evaluate --output text roles.jsonl
remediator evaluate --check *.jsonl > verdicts.jsonl
jq -c . role.json | remediator evaluate
"""


def evaluate(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Cases as JSON lines; - or none: standard input.")
    ] = None,
    form: OutputFormat = OutputFormat.JSON,
    check: Annotated[bool, typer.Option("--check", help="Exit with 3 if a role is not usable as it is.")] = False,
) -> None:
    """Evaluate roles that are described in files.

    Answers whether EC2 can assume each role, whether it can use its bucket, and what would be repaired. Reads one case
    per line and prints one answer per line, in the same order. Needs no credentials and no network. A line that cannot
    be read is reported on standard error; the others are answered, and the exit code is 2.
    """
    code = evaluate_files(files_or_standard_input(files, "cases"), form)
    if code is ExitCode.FOUND and not check:
        code = ExitCode.OK
    raise typer.Exit(code)


def evaluate_files(names: Sequence[str], form: OutputFormat) -> ExitCode:
    """Answer every line of the files; says whether all could be read and, if so, whether every role is usable."""
    code = ExitCode.OK
    for line in read_json_lines(names):
        if isinstance(line, Fault):
            print_error(line.place, line.why)
            code = ExitCode.BAD_INPUT
            continue
        try:
            evaluation = evaluate_case(read_case(line.value))
            record = evaluation_record(evaluation)
        except MalformedCase as error:
            print_error(line.place, str(error))
            code = ExitCode.BAD_INPUT
            continue
        except Exception as error:  # noqa: BLE001  # one bad line must not affect the others
            print_error(line.place, f"this is a bug in the program: {type(error).__name__}: {error}")
            code = ExitCode.ERROR
            continue
        show(form, record, partial(evaluation_table, evaluation))
        if code is ExitCode.OK and not evaluation.is_usable:
            code = ExitCode.FOUND
    return code


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
    for each in (*evaluation.grants, *evaluation.key):
        because = "\n".join((*_reasons(each), *_policy_sets(each)))
        alike.setdefault((each.verdict, because), []).append(each.action)
    for (verdict, because), actions in alike.items():
        yield "\n".join(actions), verdict, because


def _reasons(each: TrustEvaluation | GrantEvaluation) -> tuple[str, ...]:
    return tuple(dict.fromkeys(plain(reason) for reason in each.because))


def _policy_sets(each: GrantEvaluation) -> Iterator[str]:
    if each.fix_by:
        yield f"An Allow in {' or in '.join(_SIDES[side] for side in sorted(each.fix_by))} would help."


def _repair(evaluation: Evaluation) -> Iterator[RenderableType]:
    if evaluation.is_usable:
        yield Text("Nothing to repair.", style="green")
    elif evaluation.refused:
        yield Text.assemble("The remediator would refuse this role: ", (plain(evaluation.refused), "bold"))
    for planned in evaluation.writes:
        write = planned.write
        yield Text(f"The repair: write the {write.document} ({planned.call}; {_EDITS[planned.edit]}):")
        if write.note:
            yield Text(plain(write.note))
        yield changed_text(write.before, write.after)
    said = {reason.partition(": ")[2] for reason in evaluation.because}
    for blocked in evaluation.blocked:
        meaning = FINDING_TEXTS[blocked.finding].meaning
        yield Text.assemble("Not repaired: ", (blocked.finding, "bold red"), f". {meaning}")
        if more := "\n".join(_reasons_not_to_repair(blocked, said)):
            yield indented(Text(more, overflow="fold"))


def _reasons_not_to_repair(blocked: NotRepaired, said: set[str]) -> Iterator[str]:
    yield from (f"- {plain(each)}" for each in blocked.because if each not in said)
    if blocked.statements:
        policy = "key policy" if blocked.finding is FindingCode.KEY_BEYOND_ROLE else "bucket policy"
        yield f"- Its owner must add to the {policy}:"
        yield json.dumps(list(blocked.statements), indent=2)


def evaluation_record(evaluation: Evaluation) -> dict[str, Any]:
    """The members in their fixed order; ``kms`` is there only where the bucket has a customer managed key."""
    grants = (*evaluation.grants, *evaluation.key)
    return {
        "id": evaluation.id,
        "ec2_trust": evaluation.trust.verdict.value,
        "s3": {each.action: each.verdict.value for each in evaluation.grants},
        **({"kms": {each.action: each.verdict.value for each in evaluation.key}} if evaluation.key else {}),
        "because": list(evaluation.because),
        "repair": {
            "fix_by": {each.action: sorted(each.fix_by) for each in grants if each.fix_by},
            "writes": [_write(each) for each in evaluation.writes],
            "withheld": [_blocked(each) for each in evaluation.blocked],
            "refused": evaluation.refused,
        },
    }


def _write(planned: CaseWrite) -> dict[str, Any]:
    return {
        "document": str(planned.write.document),
        "call": planned.call,
        "edit": planned.edit.value,
        "before": planned.write.before,
        "after": planned.write.after,
        **({"note": planned.write.note} if planned.write.note else {}),
    }


def _blocked(blocked: NotRepaired) -> dict[str, Any]:
    return {
        "finding": str(blocked.finding),
        "subject": blocked.subject,
        "actions": list(blocked.actions),
        "because": list(blocked.because),
        **({"statements": list(blocked.statements)} if blocked.statements else {}),
    }
