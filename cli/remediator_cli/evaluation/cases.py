"""Cases: a role, its bucket and what is known of the requests, as one JSON object; see docs/command-line.md.

The reader is strict: what a verdict depends on must be there and be of the right kind. "Not given" is never taken for
"nothing there". All other members are ignored: those that the role's ARN says already (name, path, partition), and
whatever else a case may carry, such as notes and expectations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from remediator.core.model.bucket import Bucket, CustomerKey, PublicAccessBlock
from remediator.core.model.evaluation_context import EvaluationContext, Network
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import MalformedArn, RemediatorError

_SHOWN_CHARACTERS = 60
_ACCOUNT_DIGITS = 12
_NETWORK_KEYS = {"vpce": "aws:SourceVpce", "vpc": "aws:SourceVpc", "source_ip": "aws:SourceIp"}


class MalformedCase(RemediatorError):
    """A JSON value is not a case; the text names the member, what was found, and what is needed."""


@dataclass(frozen=True, slots=True)
class Case:
    """One role with its policies and its bucket, to be evaluated in the given context; ``id`` is its name."""

    id: str
    role: Role
    policies: RolePolicies
    bucket: Bucket
    evaluation_context: EvaluationContext


def read_case(value: object) -> Case:
    """The case that a parsed JSON value describes; raises MalformedCase with the first thing that is wrong."""
    if not isinstance(value, dict):
        raise MalformedCase(f"found {_shown(value)}; expected a JSON object with id, role and bucket")
    case = _Object(value, "")
    case_id, role, bucket = case.text("id"), case.inner("role"), case.inner("bucket")
    arn = _role_arn(role)
    boundary_arn, boundary = _boundary(role, arn)
    return Case(
        id=case_id,
        role=Role(
            arn=arn,
            role_id=role.text("role_id"),
            tags=_tags(role.inner("tags")),
            trust=read_policy(role.needed("trust")),
            boundary_arn=boundary_arn,
        ),
        policies=RolePolicies(inline=Present(_inline(role)), attached=Present(_managed(role)), boundary=boundary),
        bucket=_bucket(bucket),
        evaluation_context=_evaluation_context(case.optional_inner("env")),
    )


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object of the case, and its place in the case."""

    members: Mapping[str, object]
    path: str

    def place(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def needed(self, name: str) -> object:
        if name not in self.members:
            raise MalformedCase(f"{self.place(name)} is missing")
        return self.members[name]

    def text(self, name: str) -> str:
        text = self.needed(name)
        if not isinstance(text, str):
            raise _unexpected(self.place(name), text, "a string")
        if not text:
            raise MalformedCase(f"{self.place(name)} is empty")
        return text

    def optional_text(self, name: str) -> str | None:
        return None if self.members.get(name) is None else self.text(name)

    def optional_flag(self, name: str) -> bool:
        flag = self.members.get(name)
        if flag is not None and not isinstance(flag, bool):
            raise _unexpected(self.place(name), flag, "true or false")
        return bool(flag)

    def inner(self, name: str) -> _Object:
        return _object(self.needed(name), self.place(name))

    def optional_inner(self, name: str) -> _Object:
        """An empty one where it is missing or null."""
        return _NOTHING if self.members.get(name) is None else self.inner(name)

    def items(self, name: str) -> list[tuple[object, str]]:
        """The items, each with its place."""
        return _list(self.needed(name), self.place(name))


_NOTHING = _Object({}, "")


def _role_arn(role: _Object) -> RoleArn:
    try:
        return RoleArn.parse(role.text("arn"))
    except MalformedArn as error:
        raise MalformedCase(f"role.arn: {error}") from error


def _tags(tags: _Object) -> dict[str, str]:
    return {key: _text(tag, tags.place(key)) for key, tag in tags.members.items()}


def _inline(role: _Object) -> tuple[InlinePolicy, ...]:
    return tuple(
        InlinePolicy(name, _document(document, f"role.inline.{name}"))
        for name, document in role.inner("inline").members.items()
    )


def _managed(role: _Object) -> tuple[ManagedPolicy, ...]:
    policies = [_object(each, place) for each, place in role.items("managed")]
    return tuple(
        ManagedPolicy(policy.text("arn"), _document(policy.needed("document"), policy.place("document")))
        for policy in policies
    )


def _boundary(role: _Object, arn: RoleArn) -> tuple[str | None, Reading[ManagedPolicy]]:
    """The ARN and the policy: null, the document by itself, or an object with ``arn`` and ``document``."""
    if role.needed("boundary") is None:
        return None, Absent()
    boundary = role.inner("boundary")
    if "Statement" in boundary.members:
        unnamed = f"arn:{arn.partition}:iam::{arn.account}:policy/boundary"
        return unnamed, Present(ManagedPolicy(unnamed, read_policy(boundary.members)))
    name = boundary.text("arn")
    return name, Present(ManagedPolicy(name, _document(boundary.needed("document"), boundary.place("document"))))


def _bucket(bucket: _Object) -> Bucket:
    account = bucket.text("account")
    if not (len(account) == _ACCOUNT_DIGITS and account.isascii() and account.isdigit()):
        raise _unexpected("bucket.account", account, "the 12 digits of an account")
    block = bucket.optional_inner("bpa")
    return Bucket(
        name=bucket.text("name"),
        account=account,
        region=bucket.text("region"),
        policy=read_policy(bucket.needed("policy")),
        public_access_block=PublicAccessBlock(
            block.optional_flag("BlockPublicPolicy"), block.optional_flag("RestrictPublicBuckets")
        ),
        key=_key(bucket.optional_inner("encryption")),
    )


def _key(encryption: _Object) -> CustomerKey | None:
    """The customer's key; None where the bucket uses S3's own or the AWS managed one, which need no grant."""
    encryption.optional_text("sse")
    arn = encryption.optional_text("key_arn")
    if encryption.optional_flag("aws_managed") or arn is None:
        return None
    policy = read_policy(encryption.members.get("key_policy"))
    return CustomerKey(arn, Unreadable("the case does not give it") if isinstance(policy, Absent) else policy)


def _evaluation_context(env: _Object) -> EvaluationContext:
    if not env.members:
        return EvaluationContext()
    context = _network(env)
    for key, value in env.optional_inner("context").members.items():
        place = f"env.context.{key}"
        listed = value if isinstance(value, list) else [value]
        context[key] = tuple(_context_value(each, place) for each in listed)
    controls = None
    if env.members.get("scp") is not None:
        controls = tuple(
            tuple(_readable(document, at) for document, at in _list(level, place)) for level, place in env.items("scp")
        )
    return EvaluationContext(
        organization=env.optional_text("org"),
        service_control_policies=controls,
        context=context,
        network=Network.UNKNOWN if env.members.get("network") == Network.UNKNOWN else Network.NAT,
    )


def _network(env: _Object) -> dict[str, tuple[str, ...]]:
    """The condition keys that the way of the requests to S3 sets."""
    network = env.members.get("network")
    if network in (None, *Network):
        return {}
    if isinstance(network, str) and network.startswith("vpce-"):
        network = {"vpce": network}
    if not isinstance(network, dict) or not network.keys() <= _NETWORK_KEYS.keys():
        names = ", ".join(f'"{each}"' for each in Network)
        needed = f"{names}, the id of a VPC endpoint, or an object with {', '.join(_NETWORK_KEYS)}"
        raise _unexpected("env.network", network, needed)
    return {_NETWORK_KEYS[name]: (_text(value, f"env.network.{name}"),) for name, value in network.items()}


def _context_value(value: object, place: str) -> str:
    """A value as the request contains it, always a string."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return json.dumps(value)
        case _:
            return _text(value, place)


def _document(value: object, place: str) -> Reading[PolicyDocument]:
    """A policy that must be there; what is no policy is unreadable, and evaluated as such."""
    if value is None:
        raise _unexpected(place, value, "a policy document")
    return read_policy(value)


def _readable(value: object, place: str) -> PolicyDocument:
    match _document(value, place):
        case Present(value=document):
            return document
        case Unreadable(why=why):
            raise MalformedCase(f"{place}: {why}")
        case Absent():
            raise _unexpected(place, value, "a policy document")


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise _unexpected(place, value, "a string")
    return value


def _object(value: object, place: str) -> _Object:
    if not isinstance(value, dict):
        raise _unexpected(place, value, "an object")
    return _Object(value, place)


def _list(value: object, place: str) -> list[tuple[object, str]]:
    if not isinstance(value, list):
        raise _unexpected(place, value, "a list")
    return [(item, f"{place}[{index}]") for index, item in enumerate(value)]


def _unexpected(place: str, found: object, needed: str) -> MalformedCase:
    return MalformedCase(f"{place}: found {_shown(found)}; expected {needed}")


def _shown(value: object) -> str:
    """A found value, short enough for one line."""
    match value:
        case dict():
            return "an object"
        case list():
            return f"a list of {len(value)}"
        case str() if len(value) > _SHOWN_CHARACTERS:
            return f"{json.dumps(value[:_SHOWN_CHARACTERS])}... ({len(value)} characters)"
        case _:
            return json.dumps(value)
