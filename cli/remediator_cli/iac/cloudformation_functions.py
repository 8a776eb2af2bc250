"""Work out the functions of a CloudFormation template as far as anything is known before it is deployed.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from remediator.core.policy.arn import SERVICE_DNS_SUFFIX
from remediator_cli.iac.cloudformation_values import (
    NO_VALUE,
    Unknown,
    bounded,
    comparable,
    is_known,
    joined,
    scalar,
    selected,
)
from remediator_cli.iac.declared import NotReadable
from remediator_cli.iac.json_members import object_of

_SUBSTITUTED = re.compile(r"\$\{([^}]*)\}")
_DYNAMIC = "{{resolve:"
_LISTS = re.compile(r"CommaDelimitedList|List<.*>")
_DECIDES = re.compile(
    r"AWS::(?:IAM|KMS|S3)::.*|AWS::CloudFormation::(?:Stack|CustomResource|Macro)|Custom::.*|AWS::SSM::Parameter"
    r"|AWS::SecretsManager::.*|AWS::ServiceCatalog::.*"
)
"""The types of resources whose attributes may be what a verdict depends on, or may be anything."""
_NAMED: Final = {
    "AWS::IAM::Role": ("role", "RoleName"),
    "AWS::IAM::ManagedPolicy": ("policy", "ManagedPolicyName"),
    "AWS::IAM::InstanceProfile": ("instance-profile", "InstanceProfileName"),
    "AWS::IAM::User": ("user", "UserName"),
    "AWS::IAM::Group": ("group", "GroupName"),
    "AWS::S3::Bucket": ("", "BucketName"),
}
"""What the ARNs of resources of a type begin with, and the property that gives them a name."""


@dataclass(frozen=True, slots=True)
class StackDeployment:
    """What is known of a deployment besides its template; ``account`` and ``region`` are None where they are not.

    ``former_parameters`` are the names of the parameters of the template before, None where there is none: the values
    may be given for them as well.
    """

    partition: str
    account: str | None = None
    region: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    stack_tags: Mapping[str, str] = field(default_factory=dict)
    former_parameters: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a template's parameters, conditions and resources."""

    deployment: StackDeployment
    parameters: Mapping[str, Mapping[str, object]]
    mappings: Mapping[str, object]
    conditions: Mapping[str, object]
    resources: Mapping[str, Mapping[str, object]]
    _role_record_of: dict[tuple[str, str], object] = field(default_factory=dict)

    @classmethod
    def of(cls, template: Mapping[str, object], deployment: StackDeployment) -> Values:
        """Raises NotReadable where a parameter is given that neither this template has nor the one before."""
        parameters = {name: object_of(each) for name, each in object_of(template.get("Parameters")).items()}
        former = deployment.former_parameters
        names = parameters.keys() | (former or frozenset())
        for name in deployment.parameters:
            if name not in names:
                known = ", ".join(sorted(names)) or "none"
                it_has = "; it has" if former is None else ", and neither has the template before; they have"
                raise NotReadable(f"has no parameter {name}{it_has} {known}")
        return cls(
            deployment,
            parameters,
            object_of(template.get("Mappings")),
            object_of(template.get("Conditions")),
            {name: object_of(each) for name, each in object_of(template.get("Resources")).items()},
        )

    def type_of(self, name: str) -> str:
        """The type of a resource, empty where there is none of that id."""
        kind = self.resources.get(name, {}).get("Type")
        return kind if isinstance(kind, str) else ""

    def exists(self, name: str) -> bool | None:
        """Whether a resource is created; None where its condition cannot be worked out."""
        condition = self.resources[name].get("Condition")
        if not isinstance(condition, str):
            return True
        answer = self._condition(condition)
        return None if isinstance(answer, Unknown) else answer

    def property(self, name: str, key: str) -> object:
        """A property of a resource; None where it is not given."""
        return self._remembered(("property", f"{name}.{key}"), lambda: self._property(name, key))

    def _property(self, name: str, key: str) -> object:
        value = self.value(object_of(self.resources[name], "Properties").get(key))
        return None if value is NO_VALUE else value

    def arn_of(self, name: str) -> str:
        """The ARN of a role, a managed policy or an instance profile; its logical id replaces a generated name."""
        word, key = _NAMED.get(self.type_of(name), ("resource", ""))
        own, path = self.property(name, key), self.property(name, "Path")
        below = path if isinstance(path, str) and path else "/"
        known = own if isinstance(own, str) and own else f"{name}-made-up-by-CloudFormation"
        return f"arn:{self.deployment.partition}:iam::{self.deployment.account or ''}:{word}{below}{known}"

    def value(self, value: object) -> object:
        """A value with its functions worked out; raises RecursionError for one that refers to itself."""
        match value:
            case dict() if len(value) == 1:
                ((name, argument),) = value.items()
                if name in ("Ref", "Condition") or name.startswith("Fn::"):
                    return self._function(name, argument)
                return self._object(value)
            case dict():
                return self._object(value)
            case list():
                items = [self.value(each) for each in value]
                return [each for each in items if each is not NO_VALUE]
            case str() if _DYNAMIC in value:
                return Unknown("a dynamic reference is resolved only at deployment")
            case _:
                return value

    def _object(self, value: Mapping[str, object]) -> dict[str, object]:
        members = {key: self.value(each) for key, each in value.items()}
        return {key: each for key, each in members.items() if each is not NO_VALUE}

    def _remembered(self, key: tuple[str, str], work_out: Callable[[], object]) -> object:
        if key not in self._role_record_of:
            self._role_record_of[key] = Unknown(f"{key[1]} refers to itself")
            self._role_record_of[key] = work_out()
        return self._role_record_of[key]

    def _function(self, name: str, argument: object) -> object:
        match name:
            case "Ref":
                return self._ref(argument) if isinstance(argument, str) else Unknown("Ref needs a name")
            case "Condition":
                # The same word is an element of a policy's statement, whose value is an object.
                return self._condition(argument) if isinstance(argument, str) else {name: self.value(argument)}
            case "Fn::GetAtt":
                return self._get_att(argument)
            case "Fn::Sub":
                return self._sub(argument)
            case "Fn::If":
                return self._if(argument)
            case "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not":
                return self._truth(name, argument)
            case _:
                return self._function_of_values(name, self.value(argument))

    def _function_of_values(self, name: str, argument: object) -> object:
        match name, argument:
            case _, Unknown():
                return argument
            case "Fn::Join", [str() as separator, list() as items]:
                return joined(separator, items)
            case "Fn::Split", [str() as separator, str() as text] if separator:
                return list(text.split(separator))
            case "Fn::Select", [int() | str() as index, list() as items]:
                return selected(index, items)
            case "Fn::FindInMap", [str() as table, str() | int() as first, str() | int() as second, *rest]:
                return self._found_in_map(table, str(first), str(second), rest)
            case "Fn::ToJsonString", _ if is_known(argument):
                return json.dumps(argument)
            case _:
                return Unknown(f"{name} is known only when it is deployed")

    def _ref(self, name: str) -> object:
        if name.startswith("AWS::"):
            return self._pseudo(name)
        if name in self.parameters:
            return self._parameter(name)
        if name not in self.resources:
            return Unknown(f"{name} is neither a parameter nor a resource of the template")
        return self._remembered(("ref", name), lambda: self._ref_to_resource(name))

    def _pseudo(self, name: str) -> object:
        known = self.deployment
        match name:
            case "AWS::NoValue":
                return NO_VALUE
            case "AWS::Partition":
                return known.partition
            case "AWS::URLSuffix":
                return SERVICE_DNS_SUFFIX.get(known.partition, "amazonaws.com")
            case "AWS::AccountId":
                return known.account or Unknown("AWS::AccountId is not known; name it with --account")
            case "AWS::Region":
                return known.region or Unknown("AWS::Region is not known; name it with --region")
            case _:
                return Unknown(f"{name} is known only when it is deployed")

    def _parameter(self, name: str) -> object:
        parameter = self.parameters[name]
        kind = parameter.get("Type")
        if isinstance(kind, str) and kind.startswith("AWS::SSM::Parameter::Value"):
            return Unknown(f"the parameter {name} is read from SSM at deployment")
        value = self.deployment.parameters.get(name, parameter.get("Default"))
        if value is None:
            return Unknown(f"the parameter {name} has no default; give it with --parameter {name}=VALUE")
        if isinstance(value, bool):
            value = "true" if value else "false"
        text = str(value)
        return [each.strip() for each in text.split(",")] if _LISTS.fullmatch(str(kind)) else text

    def _ref_to_resource(self, name: str) -> object:
        kind = self.type_of(name)
        word, key = _NAMED.get(kind, ("", ""))
        own = self.property(name, key) if key else None
        if kind == "AWS::IAM::ManagedPolicy":
            return self.arn_of(name) if isinstance(own, str) else Unknown(f"{name} has no name yet", name)
        if not key or word == "group":
            return self._of_resource(name, "Ref")
        if isinstance(own, str) and own:
            return own
        return Unknown(own.why if isinstance(own, Unknown) else f"{name} has no {key}, so its name is generated", name)

    def _of_resource(self, name: str, attribute: str) -> object:
        """What identifies a resource that no verdict depends on is like nothing else; anything else is unknown."""
        if _DECIDES.fullmatch(self.type_of(name)):
            return Unknown(f"{name}.{attribute} is known only when it is deployed")
        return f"arn:{self.deployment.partition}:cloudformation:::{name}/{attribute}"

    def _get_att(self, argument: object) -> object:
        match argument:
            case [str() as name, str() as attribute]:
                pass
            case str() if "." in argument:
                name, _, attribute = argument.partition(".")
            case _:
                return Unknown("Fn::GetAtt needs a resource and its attribute")
        if name not in self.resources:
            return Unknown(f"{name} is not a resource of the template")
        kind = self.type_of(name)
        if kind == "AWS::S3::Bucket" and attribute == "Arn":
            bucket = self._ref(name)
            return f"arn:{self.deployment.partition}:s3:::{bucket}" if isinstance(bucket, str) else bucket
        has_arn = kind in ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::InstanceProfile") and attribute == "Arn"
        if has_arn or (kind, attribute) == ("AWS::IAM::ManagedPolicy", "PolicyArn"):
            return self._arn(name, attribute)
        return self._of_resource(name, attribute)

    def _arn(self, name: str, attribute: str) -> object:
        if self.deployment.account is None:
            return Unknown(f"{name}.{attribute} needs the account; name it with --account")
        for key in ("Path", "RoleName", "UserName", "InstanceProfileName", "ManagedPolicyName"):
            part = self.property(name, key)
            if isinstance(part, Unknown):
                return Unknown(part.why, name)
        return self.arn_of(name)

    def _sub(self, argument: object) -> object:
        own: Mapping[str, object] = {}
        if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], dict):  # noqa: PLR2004  # a text, and its own names
            own = {key: self.value(each) for key, each in argument[1].items()}
            argument = argument[0]
        if not isinstance(argument, str):
            return Unknown("Fn::Sub needs a string")
        unknown: list[Unknown] = []

        def put(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            value = own[name] if name in own else self._get_att(name) if "." in name else self._ref(name)
            text = scalar(value)
            if isinstance(text, Unknown):
                unknown.append(text)
                return ""
            return text

        text = _SUBSTITUTED.sub(put, argument)
        if unknown:
            return Unknown(unknown[0].why)
        return bounded(text)

    def _if(self, argument: object) -> object:
        match argument:
            case [str() as condition, then, otherwise]:
                answer = self._condition(condition)
                if isinstance(answer, Unknown):
                    one, other = self.value(then), self.value(otherwise)
                    return (
                        one if one == other and is_known(one) else Unknown(f"the condition {condition}: {answer.why}")
                    )
                return self.value(then if answer else otherwise)
            case _:
                return Unknown("Fn::If needs a condition and two values")

    def _condition(self, name: str) -> bool | Unknown:
        if name not in self.conditions:
            return Unknown(f"there is no condition {name}")
        answer = self._remembered(("condition", name), lambda: self.value(self.conditions[name]))
        match answer:
            case bool() | Unknown():
                return answer
            case _:
                return Unknown(f"the condition {name} is neither true nor false")

    def _truth(self, name: str, argument: object) -> bool | Unknown:
        if not isinstance(argument, list):
            return Unknown(f"{name} needs a list")
        values = [self.value(each) for each in argument]
        unknown = next((each for each in values if isinstance(each, Unknown)), None)
        match name:
            case "Fn::And" if _has(values, False):
                return False
            case "Fn::And":
                return unknown or all(each is True for each in values)
            case "Fn::Or":
                return _has(values, True) or unknown or False
            case _:
                return unknown or _equal_or_not(name, values)

    def _found_in_map(self, table: str, first: str, second: str, rest: list[object]) -> object:
        found = object_of(self.mappings, table, first).get(second)
        if found is not None:
            return found
        default = object_of(rest[0]).get("DefaultValue") if rest else None
        return Unknown(f"the mapping {table} has no {first}, {second}") if default is None else default


def _has(values: list[object], wanted: bool) -> bool:  # it is one of the values
    return any(each is wanted for each in values)


def _equal_or_not(name: str, values: list[object]) -> bool | Unknown:
    match name, values:
        case "Fn::Equals", [one, other]:
            return comparable(one) == comparable(other)
        case "Fn::Not", [bool() as only]:
            return not only
        case _:
            return Unknown(f"{name} is malformed")
