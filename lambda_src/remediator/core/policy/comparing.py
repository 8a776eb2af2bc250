"""How one value of the request is compared with one value of the policy, kind by kind.

Each comparison says True or False, or None where the policy's value is not of the kind that the operator needs: how
AWS treats such a value is not documented.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from remediator.core.policy.matching import Glob, Wildcard, glob, matches, text_matches

Number = Callable[[float, float], bool]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CACHED = 1024
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)"
    r"(?:\.\d+)?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = re.compile(r"\d{5,12}", re.ASCII)
_ARN_PARTS = 6
_BOOLEANS = frozenset({"true", "false"})

# Addresses that no request from the internet can have; S3's public endpoints never see them.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourceip
_NOT_PUBLIC = tuple(
    ipaddress.IPv4Network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
)


def same_text(actual: str, wanted: str) -> bool | None:
    """StringEquals: exact, case-sensitive."""
    return actual == wanted


def same_text_in_any_case(actual: str, wanted: str) -> bool | None:
    """StringEqualsIgnoreCase."""
    return actual.lower() == wanted.lower()


def text_like(actual: str, wanted: str | Glob) -> bool | None:
    """StringLike: case-sensitive, with wildcards."""
    return text_matches(wanted, actual) if isinstance(wanted, str) else matches(wanted, actual)


def arn_like(actual: str, wanted: str | Glob) -> bool | None:
    """ArnLike and ArnEquals, which behave alike: each of the six parts is compared for itself, with wildcards."""
    parts = _arn_parts(glob(wanted) if isinstance(wanted, str) else wanted)
    if parts is None:
        return True if is_everything(wanted) else None
    actual_parts = actual.split(":", _ARN_PARTS - 1)
    if len(actual_parts) != _ARN_PARTS:
        return False
    return all(matches(part, actual_part) for part, actual_part in zip(parts, actual_parts, strict=True))


def same_boolean(actual: str, wanted: str) -> bool | None:
    """Bool: true or false, in any case."""
    wanted = wanted.lower()
    return actual.lower() == wanted if wanted in _BOOLEANS else None


def same_binary(actual: str, wanted: str) -> bool | None:
    """BinaryEquals: both are base-64 text of the bytes that are compared."""
    try:
        return base64.b64decode(actual, validate=True) == base64.b64decode(wanted, validate=True)
    except (binascii.Error, ValueError):
        return None


def address_in(actual: str, wanted: str) -> bool | None:
    """IpAddress: the address lies in the range; one without a prefix length is a single address."""
    network, address = network_of(wanted), network_of(actual)
    if network is None or address is None:
        return None
    return address.network_address in network


def public_address_in(wanted: str) -> bool | None:
    """Whether some public IPv4 address lies in a range; None where it depends on the address."""
    network = network_of(wanted)
    if network is None:
        return None
    if isinstance(network, ipaddress.IPv6Network) or any(network.subnet_of(private) for private in _NOT_PUBLIC):
        return False
    return True if network.prefixlen == 0 else None


def ordered(read: Callable[[str], float | None], compare: Number) -> Callable[[str, str], bool | None]:
    """NumericEquals, DateEquals and their kin: the comparison of two numbers, or of two times in seconds."""

    def compared(actual: str, wanted: str) -> bool | None:
        one, other = read(actual), read(wanted)
        return None if one is None or other is None else compare(one, other)

    return compared


def span_compares(compare: Number, low: float, high: float, wanted: float) -> bool | None:
    """Compare a number of which only the bounds are known; None where it depends on the number."""
    if compare is operator.eq:
        if not low <= wanted <= high:
            return False
        return True if low == high else None
    at_low, at_high = compare(low, wanted), compare(high, wanted)
    return at_low if at_low == at_high else None


def is_everything(wanted: str | Glob) -> bool:
    """Whether a pattern consists of stars alone."""
    return bool(wanted) and all(token in ("*", Wildcard.STAR) for token in wanted)


def number_of(text: str) -> float | None:
    """The number that a text stands for; None where it is none."""
    return float(text) if _NUMBER.fullmatch(text) else None


@lru_cache(_CACHED)
def seconds_of(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 date of the W3C's profile or of epoch seconds; None for anything else.

    https://www.w3.org/TR/NOTE-datetime
    """
    if _EPOCH.fullmatch(text):
        return float(text)
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        time = datetime.fromisoformat(
            f"{match['year']}-{match['month'] or '01'}-{match['day'] or '01'}"
            f"T{match['hour'] or '00'}:{match['minute'] or '00'}:{match['second'] or '00'}"
            f"{match['zone'] or 'Z'}"
        )
    except ValueError:
        return None
    return (time - _EPOCH_START).total_seconds()


@lru_cache(_CACHED)
def network_of(text: str) -> Network | None:
    """The range of addresses that a text stands for; None where it is none."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _arn_parts(pattern: Glob) -> list[Glob] | None:
    parts: list[Glob] = []
    start = 0
    for place, character in enumerate(pattern):
        if character == ":" and len(parts) < _ARN_PARTS - 1:
            parts.append(pattern[start:place])
            start = place + 1
    parts.append(pattern[start:])
    return parts if len(parts) == _ARN_PARTS else None


_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
