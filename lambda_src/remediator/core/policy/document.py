"""A policy document: what AWS returned, and what its statements say.

The value that AWS returned is kept as it is and is what gets edited and written back; the parsed statements are a
view for evaluation. What the grammar does not allow is listed as a fault: such a document still gets a verdict, and
is never rewritten.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.policy.statement import Statement, read_statement

OLD_VERSION = "2008-10-17"
NEW_VERSION = "2012-10-17"

_TOP_LEVEL = frozenset({"Version", "Id", "Statement"})
_NOT_SENDABLE = re.compile("[^\x20-\xff]")
_ENCODED_OBJECT = re.compile(r"(?:%20|%0A|%0D|%09|\s)*%7B", re.IGNORECASE)

Json = Mapping[str, object]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """One policy document.

    ``raw`` is the JSON object as AWS returned it, with its order of keys; nobody may change it. ``version`` is the
    effective version: a document without one is of 2008-10-17, whose ``${…}`` are plain text. ``faults`` holds one
    sentence for each breach of the grammar; a document with faults must never be rewritten.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    """

    raw: Mapping[str, object]
    version: str
    statements: tuple[Statement, ...]
    faults: tuple[str, ...] = ()


def read_policy(value: object) -> Reading[PolicyDocument]:
    """Understand what an API returned in place of a policy document.

    ``value`` is a parsed JSON object (boto3's IAM client), a JSON text (``GetBucketPolicy``, ``GetKeyPolicy``), the
    URL-encoded text of the raw IAM API, or None where there is no policy. Any other value, a text that is not JSON,
    one with duplicate keys and one that is nested too deeply is Unreadable. Never raises for a value made of JSON.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html (PolicyDocument)
    """
    if value is None:
        return Absent()
    if isinstance(value, str):
        try:
            value = _parse_text(value)
        except ValueError as error:
            return Unreadable(f"The policy is not valid JSON: {error}.")
        except RecursionError:
            return Unreadable("The policy is nested more deeply than any policy can be.")
    if not isinstance(value, (dict, Mapping)):
        return Unreadable(f"The policy is {_kind(value)}, not a JSON object.")
    document = read_mapping(value)
    if document.faults:
        try:
            json.dumps(value)
        except (ValueError, TypeError, RecursionError):
            return Unreadable("The policy holds something that no JSON text of a policy can hold.")
    return Present(document)


def read_mapping(value: Mapping[str, object]) -> PolicyDocument:
    """The document that a JSON object stands for; whatever breaks the grammar is among its faults."""
    faults: list[str] = []
    if not value.keys() <= _TOP_LEVEL:
        unknown = ", ".join(sorted(repr(key) for key in value if key not in _TOP_LEVEL))
        faults.append(f"The policy has elements that no policy has: {unknown}.")
    version = value.get("Version", OLD_VERSION)
    if version not in (OLD_VERSION, NEW_VERSION):
        faults.append(f"Version is neither {NEW_VERSION} nor {OLD_VERSION}.")
        version = OLD_VERSION
    if not isinstance(value.get("Id", ""), str):
        faults.append("Id is not a text.")
    listed = value.get("Statement")
    if isinstance(listed, (dict, Mapping)):
        listed = (listed,)
    elif not isinstance(listed, (list, tuple)):
        faults.append("The policy has no Statement that is a list or an object.")
        listed = ()
    has_variables = version == NEW_VERSION
    statements = tuple([read_statement(item, position, has_variables) for position, item in enumerate(listed, start=1)])
    for statement in statements:
        faults.extend(statement.faults)
    return PolicyDocument(value, str(version), statements, tuple(faults))


def policy_text(document: PolicyDocument) -> str:
    """The document as minified JSON, ready to be sent to AWS.

    Characters outside U+0020 to U+00FF are escaped: IAM's ``policyDocumentType`` accepts nothing else.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html
    """
    text = json.dumps(document.raw, separators=(",", ":"), ensure_ascii=False)
    return _NOT_SENDABLE.sub(_escaped, text)


def policy_size(document: PolicyDocument) -> int:
    """Characters of the document as IAM's quotas count them: without the white space between the tokens.

    White space inside texts is counted, so that the figure is never below what AWS counts.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
    """
    return len(policy_text(document))


def same_policy(one: PolicyDocument, other: PolicyDocument) -> bool:
    """Whether two documents are the same JSON value: the order of keys means nothing, the order of lists does."""
    if one.raw is other.raw:
        return True
    return json.dumps(one.raw, sort_keys=True) == json.dumps(other.raw, sort_keys=True)


def _parse_text(text: str) -> object:
    if _ENCODED_OBJECT.match(text):
        text = unquote(text)
    return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} appears twice in one object")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON value")


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"
