"""The forms of a check: a table for people, JSON lines, SARIF for code scanning, annotations for GitHub Actions."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from remediator import __version__
from remediator.core.enrollment.decide import Refusal
from remediator.core.model.finding import FindingCode
from remediator.core.model.plain_text import plain
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator_cli.checks.verdicts import (
    ENROLLMENT_UNDECIDED,
    REFUSED,
    ROLE_DELETED,
    ROLE_NOT_IN_FILE,
    UNENROLLED,
    Remark,
    RoleCheck,
    Verdict,
)
from remediator_cli.iac.declared import Place

_COMMENT_WIDTH = 76

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_STYLES = {
    Verdict.BREAKS: "bold red",
    Verdict.REPAIRED_BY_US: "bold yellow",
    Verdict.UNDECIDED: "magenta",
    Verdict.OK: "green",
    Verdict.NOT_ENROLLED: "dim",
}
_LEVELS = {
    Verdict.BREAKS: ("error", "error"),
    Verdict.REPAIRED_BY_US: ("error", "error"),
    Verdict.UNDECIDED: ("note", "notice"),
    Verdict.OK: ("none", "notice"),
    Verdict.NOT_ENROLLED: ("none", "notice"),
}
"""For each verdict the level in SARIF, and the command of GitHub Actions."""

RULES: Mapping[str, str] = {
    **{str(code): FINDING_TEXTS[code].meaning for code in FindingCode},
    **{
        f"{REFUSED}-{refusal}": "The remediator would refuse to manage a role with the enrollment tag."
        for refusal in Refusal
    },
    UNENROLLED: "The remediator does not manage the role, or no longer manages it.",
    ROLE_DELETED: "The role would be deleted.",
    ROLE_NOT_IN_FILE: "The file changes policies of a role that it does not contain.",
    ENROLLMENT_UNDECIDED: "Whether the remediator manages the role is undecided.",
}
"""Every code that a check may give, with what it means."""


class CheckFormat(Enum):
    """The form of what a check prints."""

    TEXT = "text"
    """Text for people."""
    JSON = "json"
    """One JSON object a role, each on a line of its own, in the form of docs/check.schema.json."""
    SARIF = "sarif"
    """One SARIF 2.1.0 log, for code scanning."""
    GITHUB = "github"
    """One annotation for each thing that is said, as GitHub Actions reads them from a log."""


def json_lines(checks: Sequence[RoleCheck]) -> str:
    """One JSON object a role."""
    return "".join(f"{json.dumps(check_record(check), allow_nan=False)}\n" for check in checks)


def check_record(check: RoleCheck) -> dict[str, Any]:
    """The members in their fixed order."""
    return {
        "role": check.role,
        **_place_record(check.place),
        "cloud": check.cloud,
        "verdict": check.verdict.value,
        "findings": [
            {
                "code": str(each.code),
                "verdict": each.verdict.value,
                **_place_record(each.place),
                "text": each.text,
                "because": list(each.because),
                "actions": list(each.actions),
            }
            for each in check.said
        ],
        "fix": check.fix or None,
    }


def _place_record(place: Place) -> dict[str, Any]:
    return {"file": place.file, "address": place.address, "line": place.line}


def checks_table(checks: Sequence[RoleCheck], files: Sequence[str]) -> RenderableType:
    """What to print for people. Foreign text in it is one line of printable characters, and never mark-up."""
    if not checks:
        return Text(plain(f"No enrolled role is in {', '.join(files)}."))
    parts: list[RenderableType] = []
    for check in checks:
        parts.extend(_role_text(check))
    return Group(*parts)


def _role_text(check: RoleCheck) -> Iterator[RenderableType]:
    title = Text(f"{check.verdict.value:<14}  ", style=_STYLES[check.verdict])
    title.append(plain(check.role), style="bold")
    title.append(plain(f"  {_where(check.place)}"), style="dim")
    yield title
    for each in check.said:
        yield Padding(_text(each, check), (0, 0, 0, 2))
    if check.fix:
        yield Padding(Text(_with_short_comments(check.fix)), (0, 0, 0, 4))


def _with_short_comments(code: str) -> str:
    """Code whose comments stay comments on a terminal that would break their lines."""
    lines = (
        textwrap.fill(line, _COMMENT_WIDTH, subsequent_indent="# ") if line.startswith("# ") else line
        for line in code.split("\n")
    )
    return "\n".join(lines)


def _text(said: Remark, check: RoleCheck) -> Text:
    text = Text.assemble((str(said.code), _STYLES[said.verdict]), plain(f"  {said.text}"))
    if said.place != check.place:
        text.append(f"\nin {plain(_where(said.place))}")
    for reason in said.because:
        text.append(f"\n- {plain(reason)}")
    return text


def _where(place: Place) -> str:
    line = "" if place.line is None else f":{place.line}"
    return f"{place.file}{line} {place.address}"


def sarif_log(checks: Sequence[RoleCheck]) -> str:
    """One SARIF log with a result for each thing that is said; roles of which nothing is said are not in it.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
    """
    results = [(check, said) for check in checks for said in check.said]
    used = sorted({str(said.code) for _, said in results})
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "remediator",
                        "version": __version__,
                        "rules": [{"id": code, "shortDescription": {"text": RULES[code]}} for code in used],
                    }
                },
                "results": [_sarif_result(check, said, used.index(str(said.code))) for check, said in results],
            }
        ],
    }
    return f"{json.dumps(log, indent=2, allow_nan=False)}\n"


def _sarif_result(check: RoleCheck, said: Remark, rule: int) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(said.place.file)}}
    if said.place.line is not None:
        physical["region"] = {"startLine": said.place.line}
    return {
        "ruleId": str(said.code),
        "ruleIndex": rule,
        "level": _LEVELS[said.verdict][0],
        "message": {"text": _message(check, said)},
        "locations": [
            {
                "physicalLocation": physical,
                "logicalLocations": [{"fullyQualifiedName": said.place.address, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"role/v1": f"{check.place.address} {said.code}"},
    }


def github_annotations(checks: Sequence[RoleCheck]) -> str:
    """One workflow command a line.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
    """
    return "".join(_annotation(check, said) for check in checks for said in check.said)


def _annotation(check: RoleCheck, said: Remark) -> str:
    properties = {
        "file": said.place.file,
        **({} if said.place.line is None else {"line": str(said.place.line)}),
        "title": f"{check.role}: {said.code}",
    }
    listed = ",".join(f"{key}={_escaped_property(value)}" for key, value in properties.items())
    return f"::{_LEVELS[said.verdict][1]} {listed}::{_escaped(_message(check, said))}\n"


def _message(check: RoleCheck, said: Remark) -> str:
    lines = [
        f"{said.verdict.value}: {check.role} ({said.place.address}). {said.text}",
        *(f"- {reason}" for reason in said.because),
    ]
    text = "\n".join(plain(line) for line in lines)
    return f"{text}\n{check.fix}" if check.fix and said.verdict is not Verdict.NOT_ENROLLED else text


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(plain(text)).replace(":", "%3A").replace(",", "%2C")
