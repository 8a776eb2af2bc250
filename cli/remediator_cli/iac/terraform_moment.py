"""The attributes of a Terraform plan's resources at one time: before it is applied, or after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator_cli.iac.aws_managed import aws_managed
from remediator_cli.iac.declared import OutsideRole, Place, or_root, read_document
from remediator_cli.iac.json_members import NO_MEMBERS, Members
from remediator_cli.iac.terraform_references import Plan
from remediator_cli.iac.terraform_resources import PlannedResource

_SUFFIX = "0" * 26
"""The provider appends as many digits to a ``name_prefix``; which ones is known only after it is applied."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The plan before it is applied; or after, where ``former`` is the moment before."""

    plan: Plan
    account: str | None
    partition: str
    former: Moment | None = None
    _by_type: dict[str, list[PlannedResource]] = field(default_factory=dict)
    _by_role: dict[tuple[str, str], dict[str | OutsideRole | None, list[PlannedResource]]] = field(default_factory=dict)

    @property
    def is_after(self) -> bool:
        """Whether it is the time after the plan is applied."""
        return self.former is not None

    def of(self, kind: str) -> list[PlannedResource]:
        """The resources of a type that exist then."""
        if not self._by_type:
            for resource in self.plan.resources:
                if (resource.after if self.is_after else resource.before) is not None:
                    self._by_type.setdefault(resource.type, []).append(resource)
        return self._by_type.get(kind, [])

    def values(self, resource: PlannedResource) -> Members:
        """All attributes, as far as they are known."""
        return (resource.after if self.is_after else resource.before) or NO_MEMBERS

    def unknown(self, resource: PlannedResource, attribute: str) -> object:
        """True where an attribute is not known, or a list or object that says so of its parts."""
        return resource.unknown.get(attribute) if self.is_after else None

    def raw(self, resource: PlannedResource, attribute: str) -> Reading[object]:
        """An attribute of any kind."""
        if self.unknown(resource, attribute) is True:
            return Unreadable(resource.why_unknown(attribute))
        value = self.values(resource).get(attribute)
        return Absent() if value is None else Present(value)

    def text(self, resource: PlannedResource, attribute: str) -> Reading[str]:
        """An attribute that is a text; an empty one is as good as none."""
        match self.raw(resource, attribute):
            case Present(value=str() as text):
                return Present(text) if text else Absent()
            case Present():
                return Unreadable(f"{attribute} of {resource.address} is not a string")
            case other:
                return other

    def document(self, resource: PlannedResource, attribute: str) -> Reading[PolicyDocument]:
        """An attribute that is a policy."""
        match self.raw(resource, attribute):
            case Present(value=value):
                return read_document(value, f"{attribute} of {resource.address}")
            case other:
                return other

    def place(self, resource: PlannedResource) -> Place:
        """Where a resource is declared."""
        return Place(self.plan.file, resource.address)

    def name(self, resource: PlannedResource) -> Reading[str]:
        """The name of a role or an instance profile; one of the right form, where it has only a prefix."""
        name = self.text(resource, "name")
        if not isinstance(name, Present):
            prefix = self.text(resource, "name_prefix")
            if isinstance(prefix, Present):
                return Present(f"{prefix.value}{_SUFFIX}")
        return Unreadable(resource.why_unknown("name")) if isinstance(name, Absent) else name

    def manages(self, resource: PlannedResource, attribute: str) -> bool:
        """Whether the resource's own block decides an attribute; else the provider only reads what others gave it."""
        if attribute in self.plan.expressions(resource):
            return True
        if self.unknown(resource, attribute) is True or resource.after is None:
            return False
        return (resource.before or NO_MEMBERS).get(attribute) != resource.after.get(attribute)

    def owned(self, kind: str, attribute: str) -> dict[str | OutsideRole | None, list[PlannedResource]]:
        """The resources of a type by the role that they belong to, by its address where the plan holds it.

        None is the role of those whose role is unknown.
        """
        if (kind, attribute) not in self._by_role:
            roles = [(role.address, self.name(role)) for role in self.of("aws_iam_role")]
            addresses = {name.value: address for address, name in roles if isinstance(name, Present)}
            is_one_nameless = len(addresses) < len(roles)
            owned = self._by_role.setdefault((kind, attribute), {})
            for each in self.of(kind):
                owner: str | OutsideRole | None
                match self.text(each, attribute):
                    case Present(value=name):
                        # A role without a name yet may come to have this one.
                        owner = addresses.get(name, None if is_one_nameless else OutsideRole(name))
                    case _:
                        source = self.plan.referenced(each, attribute, "aws_iam_role")
                        owner = None if source is None else source.address
                owned.setdefault(owner, []).append(each)
        return self._by_role[kind, attribute]

    def belonging(self, kind: str, attribute: str, role: PlannedResource | None) -> list[PlannedResource]:
        """The resources of a type that belong to a role; None is an unknown role."""
        return self.owned(kind, attribute).get(None if role is None else role.address, [])

    def texts(self, resources: Iterable[PlannedResource], attribute: str) -> frozenset[str]:
        """What an attribute of some resources says, as far as it is known."""
        readings = (self.text(each, attribute) for each in resources)
        return frozenset(each.value for each in readings if isinstance(each, Present))

    def policy_arn(self, policy: PlannedResource) -> str:
        """The ARN of a managed policy, or the one that it will have."""
        arn = self.text(policy, "arn")
        if isinstance(arn, Present):
            return arn.value
        name, path = self.text(policy, "name"), or_root(self.text(policy, "path"))
        known = name.value if isinstance(name, Present) else policy.address
        below = path.value if isinstance(path, Present) else "/"
        return f"arn:{self.partition}:iam::{self.account or ''}:policy{below}{known}"

    def managed(self, arn: str) -> tuple[Reading[PolicyDocument], Place | None]:
        """The document of a managed policy, and the resource that it is in; None where the plan has none."""
        for each in self.of("aws_iam_policy"):
            if self.policy_arn(each) == arn:
                return self.document(each, "policy"), self.place(each)
        return aws_managed(arn, "plan"), None

    def referenced_policy(
        self, resource: PlannedResource, attribute: str
    ) -> tuple[str, Reading[PolicyDocument], Place] | None:
        """The managed policy of the plan that an attribute is taken from: its ARN, its document and its place."""
        source = self.plan.referenced(resource, attribute, "aws_iam_policy")
        if source is None:
            return None
        return self.policy_arn(source), self.document(source, "policy"), self.place(source)
