"""From which resource an attribute is taken, by the configuration that a Terraform plan holds.

https://developer.hashicorp.com/terraform/internals/json-format#expression-representation
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from remediator_cli.iac.json_members import NO_MEMBERS, Members, object_of, objects_of, texts_of
from remediator_cli.iac.terraform_resources import PlannedResource

_STEP = re.compile(r"(?P<name>[^.\[\]]+)(?P<index>\[(?:[0-9]+|\"(?:[^\"\\]|\\.)*\")\])?(?:\.|$)")
_MOST_HOPS = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """The resources of a plan, and the root module of its configuration."""

    file: str
    resources: tuple[PlannedResource, ...]
    configuration: Members
    _expressions: dict[str, dict[tuple[bool, object, object], Members]] = field(default_factory=dict)
    _instances: dict[tuple[str, str, str, bool], list[PlannedResource]] = field(default_factory=dict)

    def referenced(self, resource: PlannedResource, attribute: str, kind: str) -> PlannedResource | None:
        """The one resource that an attribute is taken from, if it is of that type; None where that is unknown."""
        expression = object_of(self.expressions(resource), attribute)
        found = list(self._sources(expression, resource.module, resource.index, _MOST_HOPS))
        is_one = len({each.address for each in found}) == 1
        return found[0] if is_one and found[0].type == kind else None

    def expressions(self, resource: PlannedResource) -> Members:
        """What the code says of a resource's attributes; empty where the plan does not hold it."""
        if resource.module not in self._expressions:
            self._expressions[resource.module] = {
                (each.get("mode") != "data", each.get("type"), each.get("name")): object_of(each, "expressions")
                for each in objects_of(self._module(resource.module).get("resources"))
                if isinstance(each.get("type"), str) and isinstance(each.get("name"), str)
            }
        return self._expressions[resource.module].get((resource.is_managed, resource.type, resource.name), NO_MEMBERS)

    def _sources(self, expression: Members, module: str, index: object, hops: int) -> Iterator[PlannedResource]:
        """The resources that an expression of a module refers to, through variables and outputs."""
        for reference in _exact(texts_of(expression.get("references"))) if hops else ():
            steps = [(step["name"], step["index"]) for step in _STEP.finditer(reference)]
            match steps:
                case [("var", None), (name, _), *_]:
                    yield from self._sources_of_variable(name, module, hops - 1)
                case [("module", None), (name, at), (output, _), *_]:
                    child = f"{module}.module.{name}{at or ''}".lstrip(".")
                    inner = object_of(self._module(child), "outputs", output, "expression")
                    yield from self._sources(inner, child, None, hops - 1)
                case [(("each" | "count" | "path" | "terraform" | "local" | "self"), _), *_]:
                    pass
                case [("data", None), (kind, _), (name, at), *_]:
                    yield from self._chosen((kind, name, module, False), at, index)
                case [(kind, None), (name, at), *_]:
                    yield from self._chosen((kind, name, module, True), at, index)

    def _sources_of_variable(self, name: str, module: str, hops: int) -> Iterator[PlannedResource]:
        """What the call of a module gives to one of its variables."""
        parent, _, call = module.rpartition("module.")
        parent = parent.rstrip(".")
        if call:
            called = object_of(self._module(parent), "module_calls", call.partition("[")[0], "expressions", name)
            yield from self._sources(called, parent, None, hops)

    def _chosen(self, key: tuple[str, str, str, bool], at: str | None, index: object) -> list[PlannedResource]:
        """The resources of a type, a name and a module (managed, or data): a single one, where there is an index."""
        if not self._instances:
            for each in self.resources:
                self._instances.setdefault((each.type, each.name, each.module, each.is_managed), []).append(each)
        found = self._instances.get(key, [])
        if at is not None:
            return [each for each in found if each.address.endswith(at)]
        alike = [each for each in found if each.index == index]
        return alike if len(found) > 1 and alike else found

    def _module(self, address: str) -> Members:
        """The configuration of a module by its address, such as ``module.a["x"].module.b``."""
        block = self.configuration
        for name in [step["name"] for step in _STEP.finditer(address)][1::2]:
            block = object_of(block, "module_calls", name, "module")
        return block


def _exact(references: list[str]) -> Iterator[str]:
    """Besides "aws_iam_role.x.name" the format lists "aws_iam_role.x", which is less exact."""
    for each in references:
        if not any(other.startswith((f"{each}.", f"{each}[")) for other in references):
            yield each
