"""Named policy scenarios: documents in, verdicts out, one JSON object a line, read as the command line reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.role import Role, RolePolicies
from remediator_cli.evaluation.cases import read_case

HERE = Path(__file__).parent
FILES = ("policy_cases.jsonl", "more_cases.jsonl")


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario: ``expected`` is the part of the same name of the line, and ``sentence`` what it is about."""

    id: str
    sentence: str
    role: Role
    policies: RolePolicies
    bucket: Bucket
    evaluation_context: EvaluationContext
    expected: dict[str, Any]


def read_cases(*names: str) -> list[Case]:
    """All cases of some files beside this one; of all of them where none is named."""
    return [_expected(json.loads(line)) for name in names or FILES for line in _lines(name)]


def _lines(name: str) -> list[str]:
    return (HERE / name).read_text(encoding="utf-8").splitlines()


def _expected(line: dict[str, Any]) -> Case:
    case = read_case(line)
    return Case(case.id, line["what"], case.role, case.policies, case.bucket, case.evaluation_context, line["expected"])
