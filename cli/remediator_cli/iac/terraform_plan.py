"""Read the JSON of a Terraform plan: what it says of roles, policies, buckets and instance profiles, before and after.

https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from remediator.core.model.bucket import PublicAccessBlock
from remediator.core.policy.document import PolicyDocument, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator_cli.iac.aws_managed import aws_managed_document
from remediator_cli.iac.declared import (
    Declared,
    DeclaredBucket,
    DeclaredChange,
    DeclaredPolicy,
    DeclaredProfile,
    DeclaredRole,
    HeldBucket,
    NotReadable,
    Place,
    Retention,
)

_TYPES = frozenset(
    {
        "aws_iam_instance_profile",
        "aws_iam_policy",
        "aws_iam_policy_attachment",
        "aws_iam_role",
        "aws_iam_role_policies_exclusive",
        "aws_iam_role_policy",
        "aws_iam_role_policy_attachment",
        "aws_iam_role_policy_attachments_exclusive",
        "aws_s3_bucket",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_caller_identity",
    }
)
_PUT_OFF: Mapping[str, tuple[str, ...]] = {
    "aws_iam_instance_profile": ("name", "name_prefix"),
    "aws_iam_policy": ("policy",),
    "aws_iam_policy_attachment": ("policy_arn",),
    "aws_iam_role": ("assume_role_policy", "inline_policy", "managed_policy_arns", "permissions_boundary"),
    "aws_iam_role_policies_exclusive": ("policy_names",),
    "aws_iam_role_policy": ("policy",),
    "aws_iam_role_policy_attachment": ("policy_arn",),
    "aws_iam_role_policy_attachments_exclusive": ("policy_arns",),
    "aws_s3_bucket_policy": ("policy",),
}
"""What nobody knows of a resource while its change is put off: what verdicts depend on, but not whose it is."""
_INLINE_LIST = ("aws_iam_role_policies_exclusive", "policy_names")
_FORMAT = re.compile(r"[01]\.[0-9]+")
_SUFFIX = "0" * 26
"""The provider appends as many digits to a ``name_prefix``; which ones is known only after it is applied."""
_ACCOUNT_IN_ARN = re.compile(r"arn:[^:]+:iam::([0-9]{12}):.*", re.DOTALL)
_STEP = re.compile(r"(?P<name>[^.\[\]]+)(?P<index>\[(?:[0-9]+|\"(?:[^\"\\]|\\.)*\")\])?(?:\.|$)")
_MOST_HOPS = 20

_Json: TypeAlias = Mapping[str, object]
_NOTHING: _Json = {}


def read_plan(value: object, file: str, *, partition: str, account: str | None = None) -> DeclaredChange:
    """What a plan changes; ``value`` is what ``terraform show -json`` printed, ``file`` its name.

    ``account`` is the one to deploy to, where it is known. Raises NotReadable, saying what to do, for what is no plan.
    """
    plan = _Plan.of(_checked(value), file)
    found = account or plan.account()
    before = _Moment(plan, found, partition)
    after = _Moment(plan, found, partition, former=before)
    return DeclaredChange(before.declared(), after.declared(), found)


def _checked(value: object) -> _Json:
    needed = "needed is what `terraform show -json tfplan` prints for a plan that `terraform plan -out=tfplan` wrote"
    if not isinstance(value, dict):
        raise NotReadable(f"is not a plan but {'a list' if isinstance(value, list) else 'a bare value'}; {needed}")
    if "@level" in value:
        raise NotReadable(f"is the log of `terraform plan -json` and not the plan; {needed}")
    if "values" in value or {"lineage", "serial"} <= value.keys():
        raise NotReadable(f"is a state and not a plan; {needed}")
    version = value.get("format_version")
    if not isinstance(version, str):
        raise NotReadable(f"has no format_version, so it is not a plan; {needed}")
    if not _FORMAT.fullmatch(version):
        raise NotReadable(f"is a plan of format_version {version!r}; this command understands 0.x and 1.x")
    if value.get("errored") is True:
        raise NotReadable("is a plan that failed and is not complete; mend what `terraform plan` complained about")
    return value


@dataclass(frozen=True, slots=True)
class _Resource:
    """One resource; ``before`` and ``after`` are None where it does not exist then.

    ``is_forgotten`` says that what was before is left as it is, and no longer looked after. ``put_off`` says why the
    plan puts a change off to a later apply, None where it does not.
    """

    address: str
    module: str
    type: str
    name: str
    index: object
    is_managed: bool
    is_replaced: bool
    before: _Json | None
    after: _Json | None
    unknown: _Json
    is_forgotten: bool = False
    put_off: str | None = None

    def why_unknown(self, attribute: str) -> str:
        """Why an attribute is not known, as a sentence."""
        if self.put_off is not None:
            return f"the plan puts the change of {self.address} off ({self.put_off})"
        return f"{attribute} of {self.address} is known only after apply"


@dataclass(frozen=True, slots=True)
class _Named:
    """A role that the plan does not hold, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is left where a list removes everything else; ``unknown`` says why there may be more, None if not."""

    names: tuple[str, ...]
    unknown: str | None


@dataclass(frozen=True, slots=True)
class _Plan:
    file: str
    resources: tuple[_Resource, ...]
    configuration: _Json
    _expressions: dict[str, dict[tuple[bool, object, object], _Json]] = field(default_factory=dict)
    _instances: dict[tuple[str, str, str, bool], list[_Resource]] = field(default_factory=dict)

    @classmethod
    def of(cls, value: _Json, file: str) -> _Plan:
        """Raises NotReadable where a resource is not what the format says."""
        changed = (
            *_changed_resources(value.get("resource_changes")),
            *_put_off_resources(value.get("deferred_changes")),
        )
        addresses = {resource.address for resource in changed}
        prior = _object(_object(_object(value.get("prior_state")).get("values")).get("root_module"))
        kept = tuple(each for each in _prior_resources(prior) if each.address not in addresses)
        root = _object(_object(value.get("configuration")).get("root_module"))
        return cls(file, (*changed, *kept), root)

    def account(self) -> str | None:
        """The account that the plan is about, by the caller's identity or else by the ARN of a role."""
        for resource in self.resources:
            values = resource.after or resource.before or _NOTHING
            if resource.type == "aws_caller_identity" and isinstance(number := values.get("account_id"), str):
                return number
        for resource in self.resources:
            if resource.type == "aws_iam_role":
                known = _account_of(resource.before) or _account_of(resource.after)
                if known is not None:
                    return known
        return None

    def referenced(self, resource: _Resource, attribute: str) -> _Resource | None:
        """The one resource that an attribute is taken from; None where that cannot be told."""
        expression = _object(self.expressions(resource).get(attribute))
        found = list(self._sources(expression, resource.module, resource.index, _MOST_HOPS))
        return found[0] if len({each.address for each in found}) == 1 else None

    def expressions(self, resource: _Resource) -> _Json:
        """What the code says of a resource's attributes; empty where the plan does not hold it."""
        if resource.module not in self._expressions:
            block = _module_block(self.configuration, resource.module)
            self._expressions[resource.module] = {
                (each.get("mode") != "data", each.get("type"), each.get("name")): _object(each.get("expressions"))
                for each in _objects(block.get("resources"))
                if isinstance(each.get("type"), str) and isinstance(each.get("name"), str)
            }
        return self._expressions[resource.module].get((resource.is_managed, resource.type, resource.name), _NOTHING)

    def _sources(self, expression: _Json, module: str, index: object, hops: int) -> Iterator[_Resource]:
        """The resources that an expression of a module refers to, through variables and outputs."""
        references = [each for each in _list(expression.get("references")) if isinstance(each, str)]
        # Beside "aws_iam_role.x.name" the format lists "aws_iam_role.x", which says the same less exactly.
        exact = [
            each for each in references if not any(other.startswith((f"{each}.", f"{each}[")) for other in references)
        ]
        for reference in exact if hops else ():
            steps = [(step["name"], step["index"]) for step in _STEP.finditer(reference)]
            match steps:
                case [("var", None), (name, _), *_]:
                    parent, _, call = module.rpartition("module.")
                    parent = parent.rstrip(".")
                    if call:
                        calls = _object(_module_block(self.configuration, parent).get("module_calls"))
                        expressions = _object(_object(calls.get(_without_index(call))).get("expressions"))
                        yield from self._sources(_object(expressions.get(name)), parent, None, hops - 1)
                case [("module", None), (name, at), (output, _), *_]:
                    child = f"{module}.module.{name}{at or ''}".lstrip(".")
                    outputs = _object(_module_block(self.configuration, child).get("outputs"))
                    inner = _object(_object(outputs.get(output)).get("expression"))
                    yield from self._sources(inner, child, None, hops - 1)
                case [(("each" | "count" | "path" | "terraform" | "local" | "self"), _), *_]:
                    pass
                case [("data", None), (kind, _), (name, at), *_]:
                    yield from self._named(kind, name, at, module, index, is_managed=False)
                case [(kind, None), (name, at), *_]:
                    yield from self._named(kind, name, at, module, index, is_managed=True)

    def _named(
        self, kind: str, name: str, at: str | None, module: str, index: object, *, is_managed: bool
    ) -> list[_Resource]:
        if not self._instances:
            for each in self.resources:
                key = (each.type, each.name, each.module, each.is_managed)
                self._instances.setdefault(key, []).append(each)
        found = self._instances.get((kind, name, module, is_managed), [])
        if at is not None:
            return [each for each in found if each.address.endswith(at)]
        alike = [each for each in found if each.index == index]
        return alike if len(found) > 1 and alike else found


@dataclass(frozen=True, slots=True)
class _Moment:
    """The plan before it is applied; or after, where ``former`` is the moment before."""

    plan: _Plan
    account: str | None
    partition: str
    former: _Moment | None = None
    _by_type: dict[str, list[_Resource]] = field(default_factory=dict)
    _by_role: dict[tuple[str, str], dict[str | _Named | None, list[_Resource]]] = field(default_factory=dict)

    @property
    def is_after(self) -> bool:
        return self.former is not None

    def declared(self) -> Declared:
        roles = {each.address: self._role(each) for each in self._of("aws_iam_role")}
        stray = (*self._inline(None), *self._attached(None))
        buckets, stray_buckets = self._buckets()
        return Declared(
            roles=roles,
            buckets=buckets,
            profiles=tuple(self._profile(each) for each in self._of("aws_iam_instance_profile")),
            stray_policies=stray,
            stray_buckets=stray_buckets,
            elsewhere=self._elsewhere(),
            held={each.address: self._held(each) for each in self._of("aws_s3_bucket") if each.is_managed},
        )

    def _elsewhere(self) -> dict[str, tuple[DeclaredPolicy, ...]]:
        found: dict[str, tuple[DeclaredPolicy, ...]] = {}
        for kind, read in (
            ("aws_iam_role_policy", self._inline_policy),
            ("aws_iam_role_policy_attachment", self._attachment),
        ):
            for owner, resources in self._owned(kind, "role").items():
                if isinstance(owner, _Named):
                    found[owner.name] = (*found.get(owner.name, ()), *(read(each) for each in resources))
        return found

    # Values.

    def _values(self, resource: _Resource) -> _Json | None:
        return resource.after if self.is_after else resource.before

    def _of(self, kind: str) -> list[_Resource]:
        if not self._by_type:
            for resource in self.plan.resources:
                if self._values(resource) is not None:
                    self._by_type.setdefault(resource.type, []).append(resource)
        return self._by_type.get(kind, [])

    def _unknown(self, resource: _Resource, attribute: str) -> object:
        return resource.unknown.get(attribute) if self.is_after else None

    def _raw(self, resource: _Resource, attribute: str) -> Reading[object]:
        if self._unknown(resource, attribute) is True:
            return Unreadable(resource.why_unknown(attribute))
        value = (self._values(resource) or _NOTHING).get(attribute)
        return Absent() if value is None else Present(value)

    def _text(self, resource: _Resource, attribute: str) -> Reading[str]:
        match self._raw(resource, attribute):
            case Present(value=str() as text):
                return Present(text) if text else Absent()
            case Present():
                return Unreadable(f"{attribute} of {resource.address} is not a text")
            case other:
                return other

    def _document(self, resource: _Resource, attribute: str) -> Reading[PolicyDocument]:
        match self._raw(resource, attribute):
            case Present(value=value):
                match read_policy(value):
                    case Unreadable(why=why):
                        return Unreadable(f"{attribute} of {resource.address}: {why}")
                    case other:
                        return other
            case other_reading:
                return other_reading

    def _place(self, resource: _Resource) -> Place:
        return Place(self.plan.file, resource.address)

    # Roles.

    def _role(self, resource: _Resource) -> DeclaredRole:
        values = self._values(resource) or _NOTHING
        tags, tags_unknown = self._tags(resource)
        boundary = self._text(resource, "permissions_boundary")
        boundary_document: Reading[PolicyDocument] = Absent()
        boundary_place: Place | None = None
        if isinstance(boundary, Unreadable):
            source = self.plan.referenced(resource, "permissions_boundary")
            if source is not None and source.type == "aws_iam_policy":
                boundary = Present(self._policy_arn(source))
                boundary_document, boundary_place = self._document(source, "policy"), self._place(source)
        elif isinstance(boundary, Present):
            boundary_document, boundary_place = self._managed(boundary.value)
        role_id = values.get("unique_id")
        return DeclaredRole(
            place=self._place(resource),
            name=self._name(resource),
            path=_or_root(self._text(resource, "path")),
            trust=self._document(resource, "assume_role_policy"),
            tags=tags,
            tags_unknown=tags_unknown,
            boundary=boundary,
            boundary_document=boundary_document,
            boundary_place=boundary_place,
            policies=(*self._inline(resource), *self._attached(resource)),
            account=_account_of(values),
            role_id=role_id if isinstance(role_id, str) else None,
            retention=Retention(if_replaced=resource.is_forgotten),
        )

    def _name(self, resource: _Resource) -> Reading[str]:
        name = self._text(resource, "name")
        if not isinstance(name, Present):
            prefix = self._text(resource, "name_prefix")
            if isinstance(prefix, Present):
                return Present(f"{prefix.value}{_SUFFIX}")
        if isinstance(name, Absent):
            return Unreadable(resource.why_unknown("name"))
        return name

    def _tags(self, resource: _Resource) -> tuple[dict[str, Reading[str]], str | None]:
        """The tags, with those that the provider adds to all resources, and why there may be others."""
        tags: dict[str, Reading[str]] = {}
        why: str | None = None
        for attribute in ("tags", "tags_all"):
            match self._raw(resource, attribute):
                case Present(value=dict() as listed):
                    for key, value in listed.items():
                        if isinstance(value, str):
                            tags[key] = Present(value)
                case Unreadable(why=because):
                    why = because
                case _:
                    pass
            match self._unknown(resource, attribute):
                case dict() as unknown:
                    for key, is_unknown in unknown.items():
                        if is_unknown is True:
                            tags[key] = Unreadable(resource.why_unknown(f"tag {key}"))
                case _:
                    pass
        return tags, why

    def _owned(self, kind: str, attribute: str) -> dict[str | _Named | None, list[_Resource]]:
        """The resources of a type by the role that they belong to, by its address where the plan holds it.

        None stands for the role of those of which nobody can say to which role they belong.
        """
        if (kind, attribute) not in self._by_role:
            roles = [(role.address, self._name(role)) for role in self._of("aws_iam_role")]
            addresses = {name.value: address for address, name in roles if isinstance(name, Present)}
            is_one_nameless = len(addresses) < len(roles)
            owned: dict[str | _Named | None, list[_Resource]] = {}
            for each in self._of(kind):
                name = self._text(each, attribute)
                if isinstance(name, Present):
                    # A role without a name yet may come to have this one.
                    other = None if is_one_nameless else _Named(name.value)
                    owner = addresses.get(name.value, other)
                else:
                    source = self.plan.referenced(each, attribute)
                    owner = source.address if source is not None and source.type == "aws_iam_role" else None
                owned.setdefault(owner, []).append(each)
            self._by_role[kind, attribute] = owned
        return self._by_role[kind, attribute]

    def _belonging(self, kind: str, attribute: str, role: _Resource | None) -> list[_Resource]:
        return self._owned(kind, attribute).get(None if role is None else role.address, [])

    def _inline(self, role: _Resource | None) -> tuple[DeclaredPolicy, ...]:
        found = {
            policy.name: policy
            for policy in map(self._inline_policy, self._belonging("aws_iam_role_policy", "role", role))
        }
        if role is None:
            return tuple(found.values())
        for policy in self._listed_inline(role):
            found.setdefault(policy.name, policy)
        return tuple(found.values())

    def _inline_policy(self, resource: _Resource) -> DeclaredPolicy:
        name = self._text(resource, "name")
        known = name.value if isinstance(name, Present) else resource.address
        return DeclaredPolicy(self._place(resource), known, False, self._document(resource, "policy"))

    def _listed_inline(self, role: _Resource) -> Iterator[DeclaredPolicy]:
        """The inline policies that the role itself lists: those it manages, and those that others gave it."""
        unknown = self._unknown(role, "inline_policy")
        if not self.is_after or self._manages(role, "inline_policy"):
            if unknown is True:
                yield self._hidden(role, "inline_policy", is_managed=False)
            hidden = _list(unknown)
            for position, entry in enumerate(_objects((self._values(role) or _NOTHING).get("inline_policy"))):
                yield from self._inline_entry(entry, hidden[position] if position < len(hidden) else None, role)
            if self.is_after:
                return
        kept = self.kept(role, *_INLINE_LIST)
        elsewhere = self.managed_elsewhere(role, "aws_iam_role_policy", "name")
        others = {policy.name: policy for policy in self._inline_of_others(role)}
        # Such a list gives no inline policy by itself: what only it names is there if it was there before.
        told = kept if self.former is None else self.former.kept(role, *_INLINE_LIST)
        for name in told.names if told else ():
            why = f"the plan does not hold the inline policy {name}"
            others.setdefault(name, DeclaredPolicy(self._place(role), name, False, Unreadable(why)))
        for name, policy in others.items():
            if name not in elsewhere and (left := self._left(policy, name, kept)) is not None:
                yield left

    def _inline_of_others(self, role: _Resource) -> Iterator[DeclaredPolicy]:
        if not (self.is_after and role.is_replaced):
            for entry in _objects((role.before or _NOTHING).get("inline_policy")):
                yield from self._inline_entry(entry, None, role)

    def _inline_entry(self, entry: _Json, unknown: object, role: _Resource) -> Iterator[DeclaredPolicy]:
        name = entry.get("name")
        if _is_unknown(unknown):
            hidden = self._hidden(role, "inline_policy", is_managed=False)
            yield replace(hidden, name=name) if isinstance(name, str) and name else hidden
        elif isinstance(name, str) and name and entry.get("policy"):
            yield DeclaredPolicy(self._place(role), name, False, read_policy(entry["policy"]))

    def _hidden(self, resource: _Resource, attribute: str, *, is_managed: bool) -> DeclaredPolicy:
        """Stands for what an attribute holds that is not known yet."""
        why = Unreadable(resource.why_unknown(attribute))
        return DeclaredPolicy(self._place(resource), attribute, is_managed, why)

    def _left(self, policy: DeclaredPolicy, name: str, kept: _Kept | None) -> DeclaredPolicy | None:
        """A policy of others as a list leaves it that removes all but what it names; None where it is removed."""
        if not self.is_after or kept is None or name in kept.names:
            return policy
        return None if kept.unknown is None else replace(policy, document=Unreadable(kept.unknown))

    def _attached(self, role: _Resource | None) -> tuple[DeclaredPolicy, ...]:
        found: dict[str, DeclaredPolicy] = {}
        for each in self._belonging("aws_iam_role_policy_attachment", "role", role):
            policy = self._attachment(each)
            found[policy.name] = policy
        if role is None:
            for each in self._of("aws_iam_policy_attachment"):
                if _is_unknown(self._unknown(each, "roles")):
                    policy = self._attachment(each)
                    found[policy.name] = policy
            return tuple(found.values())
        name = self._name(role)
        for each in self._of("aws_iam_policy_attachment"):
            if isinstance(name, Present) and name.value in _list((self._values(each) or _NOTHING).get("roles")):
                policy = self._attachment(each)
                found[policy.name] = policy
        for policy in self._listed_managed(role):
            found.setdefault(policy.name, policy)
        return tuple(found.values())

    def _attachment(self, resource: _Resource) -> DeclaredPolicy:
        place = self._place(resource)
        match self._text(resource, "policy_arn"):
            case Present(value=arn):
                return DeclaredPolicy(place, arn, True, *self._managed(arn))
            case Unreadable(why=why):
                source = self.plan.referenced(resource, "policy_arn")
                if source is not None and source.type == "aws_iam_policy":
                    document = self._document(source, "policy")
                    return DeclaredPolicy(place, self._policy_arn(source), True, document, self._place(source))
                return DeclaredPolicy(place, resource.address, True, Unreadable(why))
            case Absent():
                why = f"policy_arn of {resource.address} is missing"
                return DeclaredPolicy(place, resource.address, True, Unreadable(why))

    def _listed_managed(self, role: _Resource) -> Iterator[DeclaredPolicy]:
        """The managed policies that the role itself lists: those it manages, and those that others attached."""
        if not self.is_after or self._manages(role, "managed_policy_arns"):
            if _is_unknown(self._unknown(role, "managed_policy_arns")):
                yield self._hidden(role, "managed_policy_arns", is_managed=True)
            for arn in _texts((self._values(role) or _NOTHING).get("managed_policy_arns")):
                yield DeclaredPolicy(self._place(role), arn, True, *self._managed(arn))
            if self.is_after:
                return
        kept = self.kept(role, "aws_iam_role_policy_attachments_exclusive", "policy_arns")
        elsewhere = self.managed_elsewhere(role, "aws_iam_role_policy_attachment", "policy_arn")
        before = (
            [] if self.is_after and role.is_replaced else _texts((role.before or _NOTHING).get("managed_policy_arns"))
        )
        for arn in dict.fromkeys([*before, *(kept.names if kept else ())]):
            policy = DeclaredPolicy(self._place(role), arn, True, *self._managed(arn))
            if arn not in elsewhere and (left := self._left(policy, arn, kept)) is not None:
                yield left

    def _manages(self, role: _Resource, attribute: str) -> bool:
        """Whether the role's own block says all its policies; else the provider only reads what others gave it."""
        if attribute in self.plan.expressions(role):
            return True
        if self._unknown(role, attribute) is True or role.after is None:
            return False
        return (role.before or _NOTHING).get(attribute) != role.after.get(attribute)

    def managed_elsewhere(self, role: _Resource, kind: str, attribute: str) -> frozenset[str]:
        """What resources of their own gave the role before: after, they alone say whether it has it."""
        if self.former is not None:
            return self.former.managed_elsewhere(role, kind, attribute)
        given = self._belonging(kind, "role", role)
        known = self._name(role)
        if kind == "aws_iam_role_policy_attachment" and isinstance(known, Present):
            groups = self._of("aws_iam_policy_attachment")
            given = [*given, *(each for each in groups if known.value in _list((each.before or _NOTHING).get("roles")))]
        texts = (self._text(each, attribute) for each in given)
        return frozenset(text.value for text in texts if isinstance(text, Present))

    def kept(self, role: _Resource, kind: str, attribute: str) -> _Kept | None:
        """What is left of the policies of others at this time; None where nothing is removed."""
        for each in self._belonging(kind, "role_name", role):
            names = tuple(_texts((self._values(each) or _NOTHING).get(attribute)))
            is_unknown = _is_unknown(self._unknown(each, attribute))
            return _Kept(names, each.why_unknown(attribute) if is_unknown else None)
        return None

    # Managed policies.

    def _policy_arn(self, resource: _Resource) -> str:
        """The ARN of a policy, or the one that it will have."""
        arn = self._text(resource, "arn")
        if isinstance(arn, Present):
            return arn.value
        name, path = self._text(resource, "name"), _or_root(self._text(resource, "path"))
        known = name.value if isinstance(name, Present) else resource.address
        below = path.value if isinstance(path, Present) else "/"
        return f"arn:{self.partition}:iam::{self.account or ''}:policy{below}{known}"

    def _managed(self, arn: str) -> tuple[Reading[PolicyDocument], Place | None]:
        """The document of a managed policy, and the resource that it stands in; None where the plan has none."""
        for each in self._of("aws_iam_policy"):
            if self._policy_arn(each) == arn:
                return self._document(each, "policy"), self._place(each)
        known = aws_managed_document(arn)
        if known is None:
            return Unreadable(f"the plan does not hold the managed policy {arn}"), None
        return Present(known), None

    # Buckets and instance profiles.

    def _buckets(self) -> tuple[dict[str, DeclaredBucket], tuple[DeclaredBucket, ...]]:
        blocks: dict[str, PublicAccessBlock] = {}
        for each in self._of("aws_s3_bucket_public_access_block"):
            name = self._bucket_name(each)
            if name is not None:
                values = self._values(each) or _NOTHING
                blocks[name] = PublicAccessBlock(
                    values.get("block_public_policy") is True, values.get("restrict_public_buckets") is True
                )
        buckets: dict[str, DeclaredBucket] = {}
        stray: list[DeclaredBucket] = []
        for each in self._of("aws_s3_bucket_policy"):
            name = self._bucket_name(each)
            found = DeclaredBucket(self._place(each), self._document(each, "policy"), blocks.get(name or ""))
            if name is None:
                stray.append(found)
            else:
                buckets[name] = found
        given: frozenset[str] = frozenset() if self.former is None else self.former.given_policies()
        for each in self._of("aws_s3_bucket"):
            own, policy = self._text(each, "bucket"), self.policy_within(each, given)
            if isinstance(own, Present) and not isinstance(policy, Absent):
                found = DeclaredBucket(self._place(each), policy, blocks.get(own.value))
                buckets.setdefault(own.value, found)
        return buckets, tuple(stray)

    def _held(self, resource: _Resource) -> HeldBucket:
        name = self._text(resource, "bucket")
        return HeldBucket(
            place=self._place(resource),
            name=Unreadable(resource.why_unknown("bucket")) if isinstance(name, Absent) else name,
            retention=Retention(if_replaced=resource.is_forgotten),
            is_new=resource.before is None or resource.is_replaced,
            unsure=None if not self.is_after or resource.put_off is None else resource.why_unknown("bucket"),
        )

    def policy_within(self, bucket: _Resource, given: frozenset[str]) -> Reading[PolicyDocument]:
        """The policy that the bucket itself tells: one that it is given there, else the one that it was read to have.

        ``given`` are the buckets that got theirs from a resource of its own: where that is gone, so is the policy.
        """
        is_there_before = bucket.before is not None and not bucket.is_replaced
        is_hidden = is_there_before and self._unknown(bucket, "policy") is True
        if self.former is None or self._manages(bucket, "policy") or is_hidden:
            return Absent() if self._raw(bucket, "policy") == Present("") else self._document(bucket, "policy")
        name = self._text(bucket, "bucket")
        if not is_there_before or (isinstance(name, Present) and name.value in given):
            return Absent()
        return self.former.policy_within(bucket, frozenset())

    def given_policies(self) -> frozenset[str]:
        """The names of the buckets to which resources of their own give their policies."""
        names = (self._bucket_name(each) for each in self._of("aws_s3_bucket_policy"))
        return frozenset(name for name in names if name is not None)

    def _bucket_name(self, resource: _Resource) -> str | None:
        name = self._text(resource, "bucket")
        if isinstance(name, Present):
            return name.value
        source = self.plan.referenced(resource, "bucket")
        if source is not None and source.type == "aws_s3_bucket":
            name = self._text(source, "bucket")
        return name.value if isinstance(name, Present) else None

    def _profile(self, resource: _Resource) -> DeclaredProfile:
        role = self._text(resource, "role")
        if isinstance(role, Unreadable):
            source = self.plan.referenced(resource, "role")
            if source is not None and source.type == "aws_iam_role":
                return DeclaredProfile(self._place(resource), self._name(resource), self._name(source), source.address)
        return DeclaredProfile(self._place(resource), self._name(resource), role)


# Reading the JSON. What is not of the kind that the format promises is passed over, unless a verdict depends on it.


def _changed_resources(value: object) -> Iterator[_Resource]:
    if value is not None and not isinstance(value, list):
        raise NotReadable("resource_changes is not a list, so it is not a plan of Terraform")
    for position, each in enumerate(_list(value)):
        found = _changed_resource(_object(each), f"resource_changes[{position}]")
        if found is not None:
            yield found


def _put_off_resources(value: object) -> Iterator[_Resource]:
    """The resources whose changes wait for a later apply: until then they are what they were, and then nobody knows."""
    if value is not None and not isinstance(value, list):
        raise NotReadable("deferred_changes is not a list, so it is not a plan of Terraform")
    for position, each in enumerate(_list(value)):
        entry = _object(each)
        found = _changed_resource(_object(entry.get("resource_change")), f"deferred_changes[{position}]")
        if found is None:
            continue
        is_new = found.before is None
        unknown = dict.fromkeys(_PUT_OFF.get(found.type, ()), True)
        yield replace(
            found,
            is_replaced=False,
            after=(found.after or _NOTHING) if is_new else found.before,
            unknown={**(found.unknown if is_new else _NOTHING), **unknown},
            put_off=_text(entry.get("reason")) or "it does not say why",
        )


def _changed_resource(resource: _Json, place: str) -> _Resource | None:
    """One change; None where it is of a type that no verdict depends on."""
    change = _object(resource.get("change"))
    address, kind = resource.get("address"), resource.get("type")
    if not isinstance(address, str) or not isinstance(kind, str):
        raise NotReadable(f"{place} lacks its address or its type")
    if kind not in _TYPES:
        return None
    actions = change.get("actions")
    if not isinstance(actions, list) or not actions:
        raise NotReadable(f"{place} ({address}): change.actions is missing")
    before = _optional(change.get("before"), f"{place} ({address}): change.before")
    after = _optional(change.get("after"), f"{place} ({address}): change.after")
    return _Resource(
        address=address,
        module=_text(resource.get("module_address")),
        type=kind,
        name=_text(resource.get("name")),
        index=resource.get("index"),
        is_managed=resource.get("mode") != "data",
        is_replaced="create" in actions and ("delete" in actions or "forget" in actions),
        before=before,
        after=before if actions == ["forget"] else after,
        unknown=_object(change.get("after_unknown")),
        is_forgotten="forget" in actions,
    )


def _prior_resources(module: _Json) -> Iterator[_Resource]:
    for each in _objects(module.get("resources")):
        address, kind, values = each.get("address"), each.get("type"), each.get("values")
        if isinstance(address, str) and kind in _TYPES and isinstance(values, dict):
            yield _Resource(
                address=address,
                module=_text(module.get("address")),
                type=str(kind),
                name=_text(each.get("name")),
                index=each.get("index"),
                is_managed=each.get("mode") != "data",
                is_replaced=False,
                before=values,
                after=values,
                unknown=_NOTHING,
            )
    for child in _objects(module.get("child_modules")):
        yield from _prior_resources(child)


def _module_block(root: _Json, module: str) -> _Json:
    """The configuration of a module by its address, such as ``module.a["x"].module.b``."""
    block = root
    names = [step["name"] for step in _STEP.finditer(module)] if module else []
    for name in names[1::2]:
        block = _object(_object(_object(block.get("module_calls")).get(name)).get("module"))
    return block


def _without_index(call: str) -> str:
    return call.partition("[")[0]


def _account_of(values: _Json | None) -> str | None:
    arn = (values or _NOTHING).get("arn")
    match = _ACCOUNT_IN_ARN.fullmatch(arn) if isinstance(arn, str) else None
    return None if match is None else match[1]


def _or_root(path: Reading[str]) -> Reading[str]:
    return Present("/") if isinstance(path, Absent) else path


def _optional(value: object, place: str) -> _Json | None:
    if value is not None and not isinstance(value, dict):
        raise NotReadable(f"{place} is not an object")
    return value


def _object(value: object) -> _Json:
    return value if isinstance(value, dict) else _NOTHING


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [each for each in _list(value) if isinstance(each, str)]


def _is_unknown(value: object) -> bool:
    """Whether something within is known only after apply; what is known is false there, or left out."""
    match value:
        case dict():
            return any(_is_unknown(each) for each in value.values())
        case list():
            return any(_is_unknown(each) for each in value)
        case _:
            return value is True


def _objects(value: object) -> Iterable[_Json]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
