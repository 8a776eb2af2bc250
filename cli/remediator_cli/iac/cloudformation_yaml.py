"""Read the text of a template, YAML or JSON, with CloudFormation's short forms such as ``!Sub``.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from remediator_cli.iac.declared import NotReadable
from remediator_cli.terminal.json_lines import NotJson, parse_json

LARGEST_TEMPLATE = 1024 * 1024
"""Bytes. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""

_YAML = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_FULL_NAMES = {"!Ref": "Ref", "!Condition": "Condition"}
_GET_ATT = "!GetAtt"


@dataclass(frozen=True, slots=True)
class TemplateText:
    """What a template says, in the full forms of its functions, and the line of each resource that is known."""

    value: object
    lines: Mapping[str, int]


class _Loader(yaml.SafeLoader):
    """Composes nodes; nothing is constructed with it, so that no tag can make anything but JSON."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuses aliases, which CloudFormation does not support."""
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # its types leave this one out
            raise yaml.composer.ComposerError(
                None, None, "an alias, which CloudFormation does not support", event.start_mark
            )
        return super().compose_node(parent, index)


def read_template_text(text: str) -> TemplateText:
    """Understand a template, by itself or as ``aws cloudformation get-template`` prints it.

    Raises NotReadable, with the line where one is known, for what is none.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplate.html
    """
    if len(text) > LARGEST_TEMPLATE:
        raise NotReadable(f"is larger than {LARGEST_TEMPLATE // 1024**2} MiB, which CloudFormation does not accept")
    try:
        if text.lstrip().startswith(("{", '"')):
            return _of_json(text)
        node = _composed(text)
        return TemplateText(_value(node), _lines(node))
    except NotJson as error:
        raise NotReadable(str(error)) from error
    except yaml.YAMLError as error:
        raise NotReadable(f"is not YAML: {_problem(error)}") from error
    except RecursionError as error:
        raise NotReadable("is nested too deeply") from error


def _of_json(text: str) -> TemplateText:
    value = parse_json(text)
    body = value.get("TemplateBody") if isinstance(value, dict) and "Resources" not in value else value
    if isinstance(body, str):
        # The template was YAML, whose lines are those of a file that is not at hand.
        return TemplateText(_value(_composed(body)), {})
    return TemplateText(value if body is None else body, _lines_of_json(text) if body is value else {})


def _composed(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _lines_of_json(text: str) -> Mapping[str, int]:
    """Most JSON is YAML; where it is not, as with tabs, no line is known."""
    try:
        return _lines(_composed(text))
    except (yaml.YAMLError, RecursionError):
        return {}


def _lines(template: yaml.Node | None) -> Mapping[str, int]:
    """The line of each resource, by its logical id."""
    for key, resources in _members(template):
        if key == "Resources":
            return {
                name.value: name.start_mark.line + 1
                for name, _ in (resources.value if isinstance(resources, yaml.MappingNode) else ())
                if isinstance(name, yaml.ScalarNode)
            }
    return {}


def _members(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _value(node: yaml.Node | None) -> object:
    match node:
        case None:
            return None
        case yaml.ScalarNode():
            return _tagged(node, _scalar(node))
        case yaml.SequenceNode():
            return _tagged(node, [_value(each) for each in node.value])
        case yaml.MappingNode():
            return _tagged(node, _mapping(node))
        case _:
            raise _fault(node, "its type is not supported in templates")


def _mapping(node: yaml.MappingNode) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag.startswith("!"):
            raise _fault(key, "a key must be a string")
        if key.tag == f"{_YAML}merge":
            raise _fault(key, "a merge (<<), which CloudFormation does not support")
        if key.value in members:
            raise _fault(key, f"the key {key.value!r} is duplicated")
        members[key.value] = _value(value)
    return members


def _scalar(node: yaml.ScalarNode) -> object:
    """Dates stay texts, as do numbers in a form that JSON does not have: an account such as 012345670123."""
    text: str = node.value
    match node.tag.removeprefix(_YAML):
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "on", "y")
        case "int" if _INTEGER.fullmatch(text):
            return int(text)
        case _:
            return text


def _tagged(node: yaml.Node, value: object) -> object:
    tag: str = node.tag
    if tag.startswith(_YAML):
        if tag.removeprefix(_YAML) in ("str", "seq", "map", "null", "bool", "int", "float", "timestamp", "value"):
            return value
        raise _fault(node, f"the tag {tag!r}, which CloudFormation does not support")
    if not re.fullmatch(r"![A-Za-z0-9]+(?:::[A-Za-z0-9]+)*", tag):
        raise _fault(node, f"the tag {tag!r}, which CloudFormation does not support")
    if tag == _GET_ATT and isinstance(value, str):
        value = list(value.split(".", 1))
    return {_FULL_NAMES.get(tag, f"Fn::{tag[1:]}"): value}


def _fault(node: yaml.Node, why: str) -> NotReadable:
    return NotReadable(f"line {node.start_mark.line + 1}: {why}")


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        where = "" if error.problem_mark is None else f" (line {error.problem_mark.line + 1})"
        return f"{error.problem or error.context or 'it cannot be parsed'}{where}"
    return " ".join(str(error).split())
