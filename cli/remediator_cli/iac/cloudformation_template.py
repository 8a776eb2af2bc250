"""Read a CloudFormation template: what it says of roles, policies, buckets and instance profiles.

Its functions are resolved as far as the template, the parameters and the account allow; the rest is unknown, and says
what it depends on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from remediator.core.model.bucket import PublicAccessBlock
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator_cli.iac.aws_managed import aws_managed
from remediator_cli.iac.cloudformation_functions import StackDeployment, Values
from remediator_cli.iac.cloudformation_values import NO_VALUE, Unknown, is_known
from remediator_cli.iac.cloudformation_yaml import TemplateText, read_template_text
from remediator_cli.iac.declared import (
    Declared,
    DeclaredBucket,
    DeclaredPolicy,
    DeclaredProfile,
    DeclaredRole,
    NotReadable,
    OutsideRole,
    Place,
    PlannedBucket,
    Retention,
    or_root,
    read_document,
)
from remediator_cli.iac.json_members import object_of

_SAFE_TRANSFORMS = frozenset(
    {
        "AWS::LanguageExtensions",
        "AWS::CodeDeployBlueGreen",
        "AWS::SecretsManager-2020-07-23",
        "AWS::SecretsManager-2024-09-16",
    }
)
_PROCESSED = (
    "give the processed template: aws cloudformation get-template --template-stage Processed, for the stack or for a "
    "change set"
)
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}", re.ASCII)


def read_template(text: str, file: str, deployment: StackDeployment) -> Declared:
    """What a template declares, once it is deployed as ``deployment`` says.

    Raises NotReadable, saying what to do, for what is no template.
    """
    return _declared(read_template_text(text), file, deployment)


def read_previous_template(text: str, file: str, deployment: StackDeployment) -> tuple[Declared, frozenset[str]]:
    """What the template that is deployed now declares, and the names of its parameters.

    Parameters may be given that it does not have. Raises NotReadable, as ``read_template`` does.
    """
    source = read_template_text(text)
    parameters = frozenset(object_of(_checked(source).get("Parameters")))
    known = {name: value for name, value in deployment.parameters.items() if name in parameters}
    return _declared(source, file, replace(deployment, parameters=known)), parameters


def _declared(source: TemplateText, file: str, deployment: StackDeployment) -> Declared:
    template = _checked(source)
    try:
        return _Template(file, template, source.lines, Values.of(template, deployment)).declared()
    except RecursionError as error:
        raise NotReadable("is nested too deeply, or its parts refer to one another over too many steps") from error


def _checked(source: TemplateText) -> Mapping[str, object]:
    template = source.value
    if not isinstance(template, dict):
        raise NotReadable("is not a template: its top level is not an object")
    resources = template.get("Resources")
    if not isinstance(resources, dict):
        raise NotReadable("is not a template: it has no Resources")
    transforms = template.get("Transform", [])
    for transform in transforms if isinstance(transforms, list) else [transforms]:
        if not isinstance(transform, str) or transform not in _SAFE_TRANSFORMS:
            macro = transform if isinstance(transform, str) else "with parameters"
            raise NotReadable(f"is changed by a macro ({macro}) before it is deployed; {_PROCESSED}")
    for name, resource in resources.items():
        _check_resource(name, resource)
    return template


def _check_resource(name: str, resource: object) -> None:
    if not _LOGICAL_ID.fullmatch(name):
        raise NotReadable(f"Resources.{name[:80]} is expanded at deployment, so it is not a resource; {_PROCESSED}")
    if not isinstance(object_of(resource).get("Type"), str):
        raise NotReadable(f"Resources.{name} has no Type")


_Owner: TypeAlias = str | OutsideRole | None
"""A role by its logical id, or one of another stack; None for an unknown one."""


@dataclass(frozen=True, slots=True)
class _Template:
    file: str
    template: Mapping[str, object]
    lines: Mapping[str, int]
    values: Values

    def declared(self) -> Declared:
        by_role: dict[str, tuple[DeclaredPolicy, ...]] = {}
        elsewhere: dict[str, tuple[DeclaredPolicy, ...]] = {}
        strays: list[DeclaredPolicy] = []
        for owner, policy in (*self._inline(), *self._attached()):
            match owner:
                case None:
                    strays.append(policy)
                case OutsideRole(name=name):
                    elsewhere[name] = (*elsewhere.get(name, ()), policy)
                case str():
                    by_role[owner] = (*by_role.get(owner, ()), policy)
        buckets, stray_buckets = self._buckets()
        return Declared(
            roles={name: self._role(name, by_role.get(name, ())) for name in self._of("AWS::IAM::Role")},
            buckets=buckets,
            profiles=tuple(self._profile(name) for name in self._of("AWS::IAM::InstanceProfile")),
            stray_policies=tuple(strays),
            stray_buckets=stray_buckets,
            elsewhere=elsewhere,
            held={name: self._held(name) for name in self._of("AWS::S3::Bucket")},
        )

    def _of(self, kind: str) -> Iterator[str]:
        """The resources of a type, but those that certainly are not created."""
        for name, resource in self.values.resources.items():
            if resource.get("Type") == kind and self.values.exists(name) is not False:
                yield name

    def _place(self, name: str) -> Place:
        return Place(self.file, name, self.lines.get(name))

    def _property(self, name: str, key: str) -> object:
        return self.values.property(name, key)

    def _reading(self, name: str, key: str) -> Reading[str]:
        return _as_text(self._property(name, key), f"{key} of {name}")

    def _document(self, value: object, what: str, name: str) -> Reading[PolicyDocument]:
        unsure = self._unsure(name)
        return _as_document(value, what) if unsure is None else Unreadable(unsure)

    def _unsure(self, name: str) -> str | None:
        """Why a resource may not be created, None where it certainly is."""
        if self.values.exists(name) is not None:
            return None
        return f"whether {name} is created depends on a condition that cannot be evaluated"

    def _retention(self, name: str) -> Retention:
        """What becomes of a resource that this template is the last one to hold, or that it gives another name."""
        if self.values.exists(name) is None:
            return Retention(None, None)
        resource = self.values.resources[name]
        return Retention(
            _is_retained(self.values.value(resource.get("DeletionPolicy"))),
            _is_retained(self.values.value(resource.get("UpdateReplacePolicy"))),
        )

    def _role(self, name: str, others: tuple[DeclaredPolicy, ...]) -> DeclaredRole:
        tags, tags_unknown = self._tags(name)
        boundary = self._property(name, "PermissionsBoundary")
        arn = _as_text(boundary, f"PermissionsBoundary of {name}")
        document: Reading[PolicyDocument] = Absent()
        place: Place | None = None
        if isinstance(arn, Present):
            document = self._managed(arn.value)
        elif isinstance(boundary, Unknown) and boundary.resource is not None:
            arn = Present(self.values.arn_of(boundary.resource))
            document, place = self._managed_document(boundary.resource), self._place(boundary.resource)
        return DeclaredRole(
            place=self._place(name),
            name=self._reading_or_made_up(name, "RoleName"),
            path=or_root(self._reading(name, "Path")),
            trust=_as_document(self._property(name, "AssumeRolePolicyDocument"), f"AssumeRolePolicyDocument of {name}"),
            tags=tags,
            tags_unknown=tags_unknown,
            boundary=arn,
            boundary_document=document,
            boundary_place=place,
            policies=(*self._own_policies(name), *others),
            account=None,
            retention=self._retention(name),
        )

    def _reading_or_made_up(self, name: str, key: str) -> Reading[str]:
        reading = self._reading(name, key)
        if isinstance(reading, Absent):
            return Unreadable(f"{name} has no {key}, so CloudFormation generates its name")
        return reading

    def _tags(self, name: str) -> tuple[dict[str, Reading[str]], str | None]:
        tags: dict[str, Reading[str]] = {
            key: Present(value) for key, value in self.values.deployment.stack_tags.items()
        }
        listed = self._property(name, "Tags")
        if isinstance(listed, Unknown):
            return tags, f"Tags of {name}: {listed.why}"
        why: str | None = None
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, Unknown):
                why = f"Tags of {name}: {entry.why}"
                continue
            key = object_of(entry).get("Key")
            if isinstance(key, Unknown):
                why = f"Tags of {name}: {key.why}"
            elif isinstance(key, str):
                tags[key] = _as_text(object_of(entry).get("Value", ""), f"the tag {key} of {name}", empty="")
        return tags, why

    # Policies.

    def _own_policies(self, name: str) -> Iterator[DeclaredPolicy]:
        place = self._place(name)
        policies = self._property(name, "Policies")
        for position, entry in enumerate(_items(policies), start=1):
            policy_name = _as_text(object_of(entry).get("PolicyName"), "")
            label = policy_name.value if isinstance(policy_name, Present) else f"Policies, number {position}"
            document: Reading[PolicyDocument] = (
                Unreadable(f"Policies of {name}: {entry.why}")
                if isinstance(entry, Unknown)
                else _as_document(object_of(entry).get("PolicyDocument"), f"policy {label} of {name}")
            )
            yield DeclaredPolicy(place, label, False, document)
        for position, entry in enumerate(_items(self._property(name, "ManagedPolicyArns")), start=1):
            match entry:
                case str():
                    yield DeclaredPolicy(place, entry, True, self._managed(entry))
                case Unknown(resource=str() as resource) if self.values.type_of(resource) == "AWS::IAM::ManagedPolicy":
                    yield DeclaredPolicy(
                        self._place(resource), self.values.arn_of(resource), True, self._managed_document(resource)
                    )
                case Unknown(why=why):
                    label = f"ManagedPolicyArns, number {position}"
                    yield DeclaredPolicy(place, label, True, Unreadable(f"{label} of {name}: {why}"))
                case _:
                    pass

    def _inline(self) -> Iterator[tuple[_Owner, DeclaredPolicy]]:
        for kind, roles in (("AWS::IAM::Policy", "Roles"), ("AWS::IAM::RolePolicy", "RoleName")):
            for name in self._of(kind):
                known = self._reading(name, "PolicyName")
                policy = DeclaredPolicy(
                    self._place(name),
                    known.value if isinstance(known, Present) else name,
                    False,
                    self._document(self._property(name, "PolicyDocument"), f"PolicyDocument of {name}", name),
                )
                for owner in self._owners(self._property(name, roles)):
                    yield owner, policy

    def _attached(self) -> Iterator[tuple[_Owner, DeclaredPolicy]]:
        for name in self._of("AWS::IAM::ManagedPolicy"):
            policy = DeclaredPolicy(self._place(name), self.values.arn_of(name), True, self._managed_document(name))
            for owner in self._owners(self._property(name, "Roles")):
                yield owner, policy

    def _owners(self, roles: object) -> Iterator[_Owner]:
        for role in _items(roles):
            match role:
                case str():
                    mine = [
                        name for name in self._of("AWS::IAM::Role") if self._reading(name, "RoleName") == Present(role)
                    ]
                    yield from mine or (OutsideRole(role),)
                case Unknown(resource=str() as resource) if self.values.type_of(resource) == "AWS::IAM::Role":
                    yield resource
                case Unknown():
                    yield None
                case _:
                    pass

    def _managed(self, arn: str) -> Reading[PolicyDocument]:
        for name in self._of("AWS::IAM::ManagedPolicy"):
            if self.values.arn_of(name) == arn:
                return self._managed_document(name)
        return aws_managed(arn, "template")

    def _managed_document(self, name: str) -> Reading[PolicyDocument]:
        return self._document(self._property(name, "PolicyDocument"), f"PolicyDocument of {name}", name)

    # Buckets and instance profiles.

    def _buckets(self) -> tuple[dict[str, DeclaredBucket], tuple[DeclaredBucket, ...]]:
        blocks: dict[str, PublicAccessBlock] = {}
        for name in self._of("AWS::S3::Bucket"):
            bucket = self._reading(name, "BucketName")
            block = self._property(name, "PublicAccessBlockConfiguration")
            if isinstance(bucket, Present) and isinstance(block, dict) and is_known(block):
                blocks[bucket.value] = PublicAccessBlock(
                    _is_true(block.get("BlockPublicPolicy")), _is_true(block.get("RestrictPublicBuckets"))
                )
        buckets: dict[str, DeclaredBucket] = {}
        strays: list[DeclaredBucket] = []
        for name in self._of("AWS::S3::BucketPolicy"):
            bucket = self._reading(name, "Bucket")
            document = self._document(self._property(name, "PolicyDocument"), f"PolicyDocument of {name}", name)
            known = bucket.value if isinstance(bucket, Present) else None
            found = DeclaredBucket(self._place(name), document, blocks.get(known or ""))
            if known is None:
                strays.append(found)
            else:
                buckets[known] = found
        return buckets, tuple(strays)

    def _held(self, name: str) -> PlannedBucket:
        bucket = self._reading(name, "BucketName")
        return PlannedBucket(self._place(name), bucket, self._retention(name), unsure=self._unsure(name))

    def _profile(self, name: str) -> DeclaredProfile:
        role: Reading[str] = Absent()
        address: str | None = None
        for entry in _items(self._property(name, "Roles")):
            role = _as_text(entry, f"Roles of {name}")
            address = entry.resource if isinstance(entry, Unknown) else None
        return DeclaredProfile(self._place(name), self._reading_or_made_up(name, "InstanceProfileName"), role, address)


def _items(value: object) -> list[object]:
    """The items of a list; one unknown item where the list is unknown, one item where it is a text."""
    if isinstance(value, list):
        return value
    return [] if value is None or value is NO_VALUE else [value]


def _as_text(value: object, what: str, *, empty: str | None = None) -> Reading[str]:
    match value:
        case Unknown(why=why):
            return Unreadable(f"{what}: {why}")
        case str() if value or empty is not None:
            return Present(value)
        case bool():
            return Present("true" if value else "false")
        case int():
            return Present(str(value))
        case None | "":
            return Absent()
        case _:
            return Unreadable(f"{what} is not a string")


def _as_document(value: object, what: str) -> Reading[PolicyDocument]:
    unknown = _first_unknown(value)
    if unknown is not None:
        return Unreadable(f"{what}: {unknown.why}")
    return read_document(value, what)


def _first_unknown(value: object) -> Unknown | None:
    match value:
        case Unknown():
            return value
        case dict():
            return next((found for each in value.values() if (found := _first_unknown(each)) is not None), None)
        case list():
            return next((found for each in value if (found := _first_unknown(each)) is not None), None)
        case _:
            return None


def _is_retained(policy: object) -> bool | None:
    """Whether a policy for deletion or replacement leaves the resource as it is; None where it is not known.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    return None if isinstance(policy, Unknown) else policy in ("Retain", "RetainExceptOnCreate")


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")
