"""One statement of a policy, parsed once so that evaluation never checks raw JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Effect: TypeAlias = Literal["Allow", "Deny"]

_ELEMENTS = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_EFFECTS: dict[str | None, Effect] = {"Allow": "Allow", "Deny": "Deny"}
_PRINCIPAL_KINDS = dict.fromkeys(("AWS", "Service", "Federated", "CanonicalUser"))
"""In the order of the fields of Principals."""
_TEXT = {str}
_NO_CONDITION: Mapping[str, object] = {}
_LARGEST_NUMBER = 2**63


@dataclass(frozen=True, slots=True)
class Principals:
    """A Principal or NotPrincipal element: who is named, kind by kind.

    ``"*"`` is kept as ``{"AWS": "*"}``, to which it is equivalent.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-anonymous
    """

    negated: bool
    aws: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    federated: tuple[str, ...] = ()
    canonical_user: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patterns:
    """An Action or Resource element (``negated``: NotAction or NotResource), as a tuple of patterns."""

    negated: bool
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator: ``operator`` and ``key`` as written, ``values`` as texts."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """What one statement says.

    ``position`` counts from 1. ``effect`` is None where it is neither Allow nor Deny. ``principals``, ``actions``
    and ``resources`` are None where the element is missing or cannot be understood. ``has_condition`` is true for any
    Condition element that is not empty, even one without a key. ``has_variables``: ``${…}`` are policy variables.
    ``faults`` holds a sentence for each breach of the grammar.
    """

    position: int
    sid: str | None
    effect: Effect | None
    principals: Principals | None
    actions: Patterns | None
    resources: Patterns | None
    conditions: tuple[Condition, ...]
    has_condition: bool
    has_variables: bool
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How people find the statement: its Sid in back quotes, or its position."""
        return f"statement `{self.sid}`" if self.sid else f"statement {self.position}"


def read_statement(value: object, position: int, has_variables: bool) -> Statement:
    """Parse one statement; whatever breaks the grammar becomes a fault and is read as "cannot be understood".

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
    """
    if not isinstance(value, (dict, Mapping)):
        fault = f"Statement {position} is not a JSON object."
        return Statement(position, None, None, None, None, None, (), False, has_variables, (fault,))
    faults: list[str] = []
    if not value.keys() <= _ELEMENTS:
        faults.append("has elements that no statement has")
    sid = _text(value, "Sid")
    if sid is None and "Sid" in value:
        faults.append("has a Sid that is not a text")
    effect = _EFFECTS.get(_text(value, "Effect"))
    if effect is None:
        faults.append("has an Effect that is neither Allow nor Deny")
    principals = _principals(value, faults)
    actions = _patterns(value, "Action", "NotAction", faults)
    if actions is None:
        faults.append("has no Action that can be understood")
    resources = _patterns(value, "Resource", "NotResource", faults)
    if resources is not None and not all(map(_is_resource, resources.patterns)):
        faults.append("has a Resource that is neither an ARN nor *")
    written = value.get("Condition", _NO_CONDITION)
    return Statement(
        position,
        sid,
        effect,
        principals,
        actions,
        resources,
        _conditions(written, faults),
        bool(written),
        has_variables,
        tuple([f"Statement {position} {fault}." for fault in faults]),
    )


def _principals(value: Mapping[str, object], faults: list[str]) -> Principals | None:
    negated = "NotPrincipal" in value
    if negated and "Principal" in value:
        faults.append("has both Principal and NotPrincipal")
        return None
    element = "NotPrincipal" if negated else "Principal"
    if element not in value:
        return None
    principals = _named(value[element], negated)
    if principals is None:
        faults.append("has a Principal that cannot be understood")
    return principals


def _named(written: object, negated: bool) -> Principals | None:
    if written == "*":
        return Principals(negated, aws=("*",))
    if not isinstance(written, (dict, Mapping)) or not written or not written.keys() <= _PRINCIPAL_KINDS.keys():
        return None
    named = [_texts(written.get(kind, ())) for kind in _PRINCIPAL_KINDS]
    known = [names for names in named if names is not None]
    return Principals(negated, *known) if len(known) == len(named) else None


def _text(value: Mapping[str, object], key: str) -> str | None:
    text = value.get(key)
    return text if isinstance(text, str) else None


def _patterns(value: Mapping[str, object], name: str, opposite: str, faults: list[str]) -> Patterns | None:
    negated = opposite in value
    if negated and name in value:
        faults.append(f"has both {name} and {opposite}")
        return None
    element = opposite if negated else name
    if element not in value:
        return None
    patterns = _texts(value[element])
    if patterns is None:
        faults.append(f"has a {element} that is neither a text nor a list of texts")
        return None
    return Patterns(negated, patterns)


def _texts(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and not set(map(type, value)) - _TEXT:
        return tuple(value)
    return None


def _is_resource(pattern: str) -> bool:
    return pattern.startswith(("arn:", "*")) and (pattern.startswith("arn:") or not pattern.strip("*"))


def _conditions(written: object, faults: list[str]) -> tuple[Condition, ...]:
    if not isinstance(written, (dict, Mapping)):
        faults.append("has a Condition that is not a JSON object")
        return (Condition("", "", ()),)
    conditions: list[Condition] = []
    for operator, tests in written.items():
        if not isinstance(tests, (dict, Mapping)):
            faults.append(f"has a Condition whose {operator} is not a JSON object")
            conditions.append(Condition("", "", ()))
            continue
        for key, values in tests.items():
            texts = _values(values)
            if texts is None:
                faults.append(f"has a Condition whose value for {key} cannot be understood")
                conditions.append(Condition("", key, ()))
            else:
                conditions.append(Condition(operator, key, texts))
    return tuple(conditions)


def _values(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    listed = value if isinstance(value, (list, tuple)) else (value,)
    if not set(map(type, listed)) - _TEXT:
        return tuple(listed)
    texts = [_scalar(item) for item in listed]
    return None if None in texts else tuple([text for text in texts if text is not None])


def _scalar(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < _LARGEST_NUMBER:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    return None
