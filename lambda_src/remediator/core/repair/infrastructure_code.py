"""Repairs as code: JSON values as Terraform and CloudFormation spell them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from remediator.core.model.finding import Finding, FindingCode


@dataclass(frozen=True, slots=True)
class PermanentFix:
    """The same fix in both languages; each text is complete but for the names that only the reader's code knows."""

    terraform: str
    cloudformation: str


def subjects_of(findings: tuple[Finding, ...], *codes: FindingCode) -> tuple[str, ...]:
    """What the findings with these codes are about, each once, sorted."""
    return tuple(sorted({finding.subject for finding in findings if finding.code in codes}))


def without_sid(statement: Mapping[str, object]) -> Mapping[str, object]:
    """One of the remediator's statements for the code of others, who must not use the remediator's Sids."""
    return {key: value for key, value in statement.items() if key != "Sid"}


def hcl(value: object, indent: str = "") -> str:
    """A JSON value as an HCL expression.

    https://developer.hashicorp.com/terraform/language/expressions/types
    """
    inner = f"{indent}  "
    if isinstance(value, Mapping):
        lines = [f"{inner}{key} = {hcl(item, inner)}" for key, item in value.items()]
        return "\n".join(("{", *lines, f"{indent}}}"))
    if isinstance(value, (list, tuple)):
        lines = [f"{inner}{hcl(item, inner)}," for item in value]
        return "\n".join(("[", *lines, f"{indent}]"))
    # Within quotes these would begin a template.
    # https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")


def yaml(value: object, indent: str = "") -> str:
    """A JSON value as block-style YAML; scalars are written as JSON strings, which YAML reads the same way.

    https://yaml.org/spec/1.2.2/#rule-c-double-quoted
    """
    if isinstance(value, Mapping):
        return "\n".join(_yaml_entry(f"{indent}{key}:", item, indent) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "\n".join(f"{indent}- {yaml(item, f'{indent}  ').lstrip()}" for item in value)
    return f"{indent}{json.dumps(value)}"


def _yaml_entry(head: str, value: object, indent: str) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return f"{head}\n{yaml(value, indent + '  ')}"
    return f"{head} {json.dumps(value)}"
