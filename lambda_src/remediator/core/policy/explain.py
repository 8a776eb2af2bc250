"""Reasons, in sentences that a tired engineer understands."""

from __future__ import annotations

from remediator.core.policy.statement import Condition, Statement


def reason(document: str, statement: Statement, text: str) -> str:
    """What one statement of a document does: "statement `Freeze` of the bucket policy denies s3:PutObject"."""
    return f"{statement.name} of {document} {text}"


_PHRASES = {
    "stringequals": "is",
    "stringequalsignorecase": "is, in any case,",
    "stringlike": "is like",
    "arnequals": "is",
    "arnlike": "is like",
    "bool": "is",
    "binaryequals": "is",
    "ipaddress": "is in",
    "numericequals": "is",
    "numericlessthan": "is below",
    "numericlessthanequals": "is at most",
    "numericgreaterthan": "is above",
    "numericgreaterthanequals": "is at least",
    "dateequals": "is",
    "datelessthan": "is before",
    "datelessthanequals": "is not after",
    "dategreaterthan": "is after",
    "dategreaterthanequals": "is not before",
}


def conditions_in_words(statement: Statement) -> str:
    """What the Condition of a statement asks for: " when …, unless …"; empty where it asks for nothing."""
    wanted: list[str] = []
    exempt: list[str] = []
    for condition in statement.conditions:
        negated, phrase = _phrase(condition)
        (exempt if negated else wanted).append(phrase)
    parts = []
    if wanted:
        parts.append(f" when {' and '.join(wanted)}")
    if exempt:
        parts.append(f" unless {' or '.join(exempt)}")
    return ",".join(parts)


def _phrase(condition: Condition) -> tuple[bool, str]:
    name = condition.operator.lower()
    qualifier, _, rest = name.rpartition(":")
    if_exists = rest.endswith("ifexists")
    rest = rest.removesuffix("ifexists")
    negated = "not" in rest
    base = rest.replace("not", "", 1)
    if base == "null":
        absent = "true" in [value.lower() for value in condition.values]
        return False, f"{condition.key} is {'absent' if absent else 'present'}"
    values = " or ".join(f"`{value}`" for value in condition.values) or "nothing"
    verb = _PHRASES.get(base, f"satisfies {condition.operator}")
    subject = {"foranyvalue": f"any {condition.key}", "forallvalues": f"every {condition.key}"}.get(
        qualifier, condition.key
    )
    suffix = " (if it is present)" if if_exists else ""
    return negated, f"{subject} {verb} {values}{suffix}"
