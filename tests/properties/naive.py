"""A second evaluator, written for clarity alone: one request with one value for each key, straight from AWS's rules.

It shares no code with the product, knows only the condition operators of the generated documents, and decides a set
of requests by trying each of them. The tests hold the product against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Json = Any


@lru_cache(100_000)
def wildcard(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether a pattern with ``*`` and ``?`` matches."""
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(expression, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def listed(value: Json) -> list[Any]:
    """A value or a list of values as a list."""
    return value if isinstance(value, list) else [value]


def statements_of(document: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The statements of a document, one or many."""
    statements: list[Mapping[str, Json]] = listed(document["Statement"])
    return statements


def condition_holds(condition: Mapping[str, Json], context: Mapping[str, str], *, has_variables: bool) -> bool:
    """Whether every key of every operator holds."""
    for operator, tests in condition.items():
        for key, wanted in tests.items():
            value = context.get(key.lower())
            values = [variables(each, context) if has_variables else each for each in listed(wanted)]
            if not _holds(operator, value, values):
                return False
    return True


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return any((value is None) == (each == "true") for each in wanted)
    if operator.endswith("IfExists"):
        return value is None or _holds(operator.removesuffix("IfExists"), value, wanted)
    if "Not" in operator:
        return not _holds(operator.replace("Not", ""), value, wanted)
    if value is None:
        return False
    if operator == "StringLike":
        return any(wildcard(each, value) for each in wanted)
    return value in wanted


def variables(text: str, context: Mapping[str, str]) -> str:
    """The text with its variables replaced; one that is absent is replaced by something that matches nothing."""
    return re.sub(r"\$\{([^}]+)\}", lambda found: context.get(found[1].lower(), "\0"), text)


def covers(statement: Mapping[str, Json], action: str, resource: str, context: Mapping[str, str], version: str) -> bool:
    """Whether the statement is about this action on this resource under these keys."""
    has_variables = version == "2012-10-17"
    for element, value, fold in (("Action", action, True), ("Resource", resource, False)):
        negated = f"Not{element}" in statement
        patterns = listed(statement[f"Not{element}" if negated else element])
        if element == "Resource" and has_variables:
            patterns = [variables(each, context) for each in patterns]
        if any(wildcard(each, value, ignore_case=fold) for each in patterns) is negated:
            return False
    return condition_holds(statement.get("Condition", {}), context, has_variables=has_variables)


def says(document: Mapping[str, Json], effect: str, action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether some statement with this effect covers the request; principals are not looked at."""
    version = document.get("Version", "2008-10-17")
    return any(
        each["Effect"] == effect and covers(each, action, resource, context, version)
        for each in statements_of(document)
    )


def verdict(
    identity: Iterable[Mapping[str, Json]],
    boundary: Mapping[str, Json] | None,
    action: str,
    resources: Iterable[str],
    context: Mapping[str, str],
) -> str:
    """The worst verdict over the resources, for a role without any other policy in play."""
    identity = list(identity)
    limits = [boundary] if boundary is not None else []
    verdicts = []
    for resource in resources:
        request = (action, resource, context)
        is_denied = any(says(each, "Deny", *request) for each in (*identity, *limits))
        if is_denied or not all(says(each, "Allow", *request) for each in limits):
            verdicts.append("blocked")
        elif any(says(each, "Allow", *request) for each in identity):
            verdicts.append("allowed")
        else:
            verdicts.append("missing")
    return next(each for each in ("blocked", "missing", "allowed") if each in verdicts)
