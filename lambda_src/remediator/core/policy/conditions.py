"""Condition operators: whether what a statement asks of the request context holds.

All operators and keys of a Condition must hold; of the values of one key, one must match, or none for a negated
operator. A key that the request does not carry fails, holds for a negated operator and holds under ``…IfExists``.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from typing import TypeAlias, TypeVar, assert_never

from remediator.core.policy import comparing
from remediator.core.policy.context import (
    Choice,
    Context,
    Gap,
    Prefixed,
    Span,
    Unresolved,
    Value,
    has_variable,
    pieces_glob,
    pieces_text,
    resolve,
)
from remediator.core.policy.extent import ALWAYS, NEVER, SOMETIMES, UNKNOWN, Extent, both, either, opposite
from remediator.core.policy.matching import Glob, Resource, glob, glob_extent
from remediator.core.policy.statement import Condition, Statement

P = TypeVar("P")

Wanted: TypeAlias = str | Glob | Unresolved
"""One value of the policy: a text, a pattern in which variables were replaced, or why it stands for neither."""


class Kind(Enum):
    """What an operator compares, which decides how a value that is not fully known can be compared."""

    TEXT = "text"
    PATTERN = "pattern"
    ARN = "arn"
    NUMBER = "number"
    DATE = "date"
    ADDRESS = "address"
    OTHER = "other"


class Quantifier(Enum):
    """How many of the request's values have to match: plain operators are meant for a single one."""

    SINGLE = "single"
    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator, taken apart.

    ``compare`` is given the request's value and the policy's: a text, or a Glob for patterns and ARNs. It is None for
    ``Null``. ``order`` is set for numbers and dates.
    """

    kind: Kind
    compare: Callable[..., bool | None] | None
    negated: bool = False
    order: comparing.Number | None = None
    quantifier: Quantifier = Quantifier.SINGLE
    if_exists: bool = False

    @property
    def when_absent(self) -> Extent:
        """What holds where the request does not carry the key (or, for a set operator, carries it without values)."""
        if self.if_exists or self.quantifier is Quantifier.ALL:
            return ALWAYS
        return ALWAYS if self.negated and self.quantifier is Quantifier.SINGLE else NEVER


_ORDERS = {
    "equals": operator.eq,
    "lessthan": operator.lt,
    "lessthanequals": operator.le,
    "greaterthan": operator.gt,
    "greaterthanequals": operator.ge,
}

_numeric = partial(comparing.ordered, comparing.number_of)
_dated = partial(comparing.ordered, comparing.seconds_of)

_BASE: dict[str, Operator] = {
    "null": Operator(Kind.OTHER, None),
    "stringequals": Operator(Kind.TEXT, comparing.same_text),
    "stringnotequals": Operator(Kind.TEXT, comparing.same_text, negated=True),
    "stringequalsignorecase": Operator(Kind.TEXT, comparing.same_text_in_any_case),
    "stringnotequalsignorecase": Operator(Kind.TEXT, comparing.same_text_in_any_case, negated=True),
    "stringlike": Operator(Kind.PATTERN, comparing.text_like),
    "stringnotlike": Operator(Kind.PATTERN, comparing.text_like, negated=True),
    "arnequals": Operator(Kind.ARN, comparing.arn_like),
    "arnlike": Operator(Kind.ARN, comparing.arn_like),
    "arnnotequals": Operator(Kind.ARN, comparing.arn_like, negated=True),
    "arnnotlike": Operator(Kind.ARN, comparing.arn_like, negated=True),
    "bool": Operator(Kind.OTHER, comparing.same_boolean),
    "binaryequals": Operator(Kind.OTHER, comparing.same_binary),
    "ipaddress": Operator(Kind.ADDRESS, comparing.address_in),
    "notipaddress": Operator(Kind.ADDRESS, comparing.address_in, negated=True),
    "numericnotequals": Operator(Kind.NUMBER, _numeric(operator.eq), negated=True, order=operator.eq),
    "datenotequals": Operator(Kind.DATE, _dated(operator.eq), negated=True, order=operator.eq),
    **{f"numeric{name}": Operator(Kind.NUMBER, _numeric(less), order=less) for name, less in _ORDERS.items()},
    **{f"date{name}": Operator(Kind.DATE, _dated(less), order=less) for name, less in _ORDERS.items()},
}

_QUANTIFIERS = {"foranyvalue": Quantifier.ANY, "forallvalues": Quantifier.ALL}
_WITH_VARIABLES = frozenset({Kind.TEXT, Kind.PATTERN, Kind.ARN})
_NULL = {"true": True, "false": False}


@lru_cache(512)
def operator_named(name: str) -> Operator | None:
    """The operator of this name, in any case; None where there is no such operator."""
    qualifier, colon, rest = name.lower().rpartition(":")
    quantifier = _QUANTIFIERS.get(qualifier) if colon else Quantifier.SINGLE
    if_exists = rest.endswith("ifexists")
    base = _BASE.get(rest.removesuffix("ifexists"))
    if base is None or quantifier is None:
        return None
    if base.compare is None and (if_exists or quantifier is not Quantifier.SINGLE):
        return None
    return Operator(base.kind, base.compare, base.negated, base.order, quantifier, if_exists)


def conditions_extent(statement: Statement, context: Context) -> Extent:
    """For how many of the requests of this context all that the statement's Condition asks for holds."""
    extent = ALWAYS
    for condition in statement.conditions:
        extent = both(extent, condition_extent(condition, context, statement.has_variables))
        if extent is NEVER:
            break
    return extent


def condition_extent(condition: Condition, context: Context, has_variables: bool) -> Extent:
    """The same for one key of one operator; an operator that AWS does not document is UNKNOWN."""
    test = operator_named(condition.operator)
    if test is None:
        return UNKNOWN
    value = context.value(condition.key)
    if test.compare is None:
        return _null_extent(condition.values, value)
    wanted: tuple[Wanted, ...] = condition.values
    if has_variables and test.kind in _WITH_VARIABLES and any(map(has_variable, condition.values)):
        wanted = tuple([_resolved(test, text, context) for text in condition.values])
    return _value_extent(test, value, wanted)


def _resolved(test: Operator, text: str, context: Context) -> Wanted:
    if not has_variable(text):
        return text
    pieces = resolve(text, context)
    if isinstance(pieces, Unresolved):
        return pieces
    return pieces_text(pieces) if test.kind is Kind.TEXT else pieces_glob(pieces)


def _null_extent(values: tuple[str, ...], value: Value) -> Extent:
    absent = ALWAYS if value is Gap.ABSENT or value == () else NEVER
    if value is Gap.UNKNOWN:
        absent = UNKNOWN
    elif value is Gap.VARYING:
        absent = SOMETIMES
    extent = NEVER
    for text in values:
        wants_absent = _NULL.get(text.lower())
        if wants_absent is None:
            return UNKNOWN
        extent = either(extent, absent if wants_absent else opposite(absent))
    return extent


def _value_extent(test: Operator, value: Value, wanted: tuple[Wanted, ...]) -> Extent:
    match value:
        case tuple():
            return _known_extent(test, value, wanted)
        case Gap.PUBLIC_ADDRESS | Span() | Prefixed():
            return _signed(test, _matched(test, wanted, _partly_known, value))
        case Gap():
            return _gap_extent(test, value, wanted)
        case Choice(options=options):
            extents = [_value_extent(test, option, wanted) for option in options]
            return extents[0] if all(extent is extents[0] for extent in extents) else UNKNOWN
        case _ as never:
            assert_never(never)


def _gap_extent(test: Operator, gap: Gap, wanted: tuple[Wanted, ...]) -> Extent:
    if gap is Gap.ABSENT:
        return test.when_absent
    present = _signed(test, _anything_extent(test, wanted, SOMETIMES if gap is Gap.VARYING else UNKNOWN))
    if gap is Gap.PRESENT or present is test.when_absent:
        return present
    return SOMETIMES if gap is Gap.VARYING and present is not UNKNOWN else UNKNOWN


def _known_extent(test: Operator, values: tuple[str, ...], wanted: tuple[Wanted, ...]) -> Extent:
    if not values:
        return test.when_absent
    extents = [_signed(test, _matched(test, wanted, _compared, value)) for value in values]
    extent = extents[0]
    for each in extents[1:]:
        if test.quantifier is Quantifier.ANY:
            extent = either(extent, each)
        elif test.quantifier is Quantifier.ALL:
            extent = both(extent, each)
        elif each is not extent:
            # A plain operator on several values is not documented, except where all of them agree.
            return UNKNOWN
    return extent


def _signed(test: Operator, extent: Extent) -> Extent:
    return opposite(extent) if test.negated else extent


def _matched(
    test: Operator, wanted: tuple[Wanted, ...], compare: Callable[[Operator, P, str | Glob], Extent], value: P
) -> Extent:
    """Whether one of the policy's values matches, by a comparison of ``value`` with one of them."""
    extent = NEVER
    for one in wanted:
        if one is Unresolved.UNKNOWN:
            extent = either(extent, UNKNOWN)
        elif one is Unresolved.NOT_PRESENT:
            # Nothing matches it; under a negated operator AWS may hold the whole statement for invalid.
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
            extent = either(extent, UNKNOWN if test.negated else NEVER)
        else:
            extent = either(extent, compare(test, value, one))
        if extent is ALWAYS:
            break
    return extent


def _compared(test: Operator, actual: str, wanted: str | Glob) -> Extent:
    assert test.compare is not None  # noqa: S101  # Null has been answered before
    return _as_extent(test.compare(actual, wanted))


def _anything_extent(test: Operator, wanted: tuple[Wanted, ...], otherwise: Extent) -> Extent:
    """How much of all values there are the policy's values match: all for ``*``, none for an empty list."""
    if test.kind in (Kind.PATTERN, Kind.ARN):
        for one in wanted:
            if not isinstance(one, Unresolved) and comparing.is_everything(one):
                return ALWAYS
    return otherwise if wanted else NEVER


def _partly_known(test: Operator, value: Gap | Span | Prefixed, wanted: str | Glob) -> Extent:
    """Compare a value of which something is known; SOMETIMES is no answer here: there is one value, if unknown."""
    if isinstance(value, Prefixed):
        return _prefixed_extent(test, value.start, wanted)
    if not isinstance(wanted, str):
        return UNKNOWN
    if isinstance(value, Span):
        return _span_extent(test, value, wanted)
    return _as_extent(comparing.public_address_in(wanted)) if test.kind is Kind.ADDRESS else UNKNOWN


def _prefixed_extent(test: Operator, start: str, wanted: str | Glob) -> Extent:
    if test.kind is Kind.PATTERN:
        pattern = glob(wanted) if isinstance(wanted, str) else wanted
    elif test.kind is Kind.TEXT:
        pattern = tuple(wanted)
    else:
        return UNKNOWN
    extent = glob_extent(pattern, Resource(start, family=True))
    return UNKNOWN if extent is SOMETIMES else extent


def _span_extent(test: Operator, span: Span, wanted: str) -> Extent:
    number = comparing.number_of(wanted) if test.kind is Kind.NUMBER else comparing.seconds_of(wanted)
    if test.order is None or number is None:
        return UNKNOWN
    return _as_extent(comparing.span_compares(test.order, span.low, span.high, number))


def _as_extent(answer: bool | None) -> Extent:
    if answer is None:
        return UNKNOWN
    return ALWAYS if answer else NEVER
