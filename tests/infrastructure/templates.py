"""Synthesise the app in this process, and look at the template that comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk

import app
from remediator.settings import Settings

ACCOUNT = "111122223333"
HOME = "AnyscaleRemediator"
CONTEXT: dict[str, Any] = json.loads((Path(app.__file__).parent / "cdk.json").read_text())["context"]

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Synthesised:
    """A stack as CloudFormation gets it; ``folder`` is the CDK's output, with the templates of all stacks."""

    settings: Settings
    folder: Path
    name: str
    template: dict[str, Any]

    @property
    def path(self) -> Path:
        """The file of the template."""
        return self.folder / f"{self.name}.template.json"

    def manifest(self) -> dict[str, Any]:
        """What the CDK's command line is told of the stack."""
        found: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())["artifacts"][self.name]
        return found

    def stacks(self) -> dict[str, Synthesised]:
        """All stacks of the same app, by name."""
        manifest = json.loads((self.folder / "manifest.json").read_text())["artifacts"]
        names = [name for name, artifact in manifest.items() if artifact["type"] == "aws:cloudformation:stack"]
        return {
            name: replace(self, name=name, template=json.loads((self.folder / f"{name}.template.json").read_text()))
            for name in names
        }

    def forwarders(self) -> dict[str, Synthesised]:
        """The forwarders of the same app, by Region."""
        return {
            stack.manifest()["environment"].rpartition("/")[2]: stack
            for name, stack in self.stacks().items()
            if name != HOME
        }

    def resources(self, kind: str) -> dict[str, Resource]:
        """All resources of a type (``AWS::SQS::Queue``), by logical id, with the intrinsics in them resolved."""
        found = {
            name: resolved(resource)
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind
        }
        assert found, f"the template has no {kind}"
        return found

    def named(self, kind: str, beginning: str) -> tuple[str, Resource]:
        """The one resource of a type whose logical id begins so, with its id."""
        (found,) = [item for item in self.resources(kind).items() if item[0].startswith(beginning)]
        return found

    def role_of(self, function: str) -> str:
        """The logical id of a function's execution role (``router``)."""
        for resource in self.resources("AWS::Lambda::Function").values():
            if resource["Properties"]["Handler"] == f"remediator.handlers.{function}.handle":
                return str(resource["Properties"]["Role"]).removesuffix(".Arn")
        raise AssertionError(f"no function {function}")

    def policies_of(self, role: str) -> tuple[list[Any], list[Any]]:
        """The inline and the managed policy documents of a role."""
        inline: list[Any] = []
        managed: list[Any] = []
        for resource in self.template["Resources"].values():
            if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
                properties = resolved(resource["Properties"])
                if role in properties["Roles"]:
                    kind = inline if resource["Type"] == "AWS::IAM::Policy" else managed
                    kind.append(properties["PolicyDocument"])
        own = self.template["Resources"][role]["Properties"]
        assert "Policies" not in own
        assert "ManagedPolicyArns" not in own
        return inline, managed

    def statements_of(self, function: str) -> list[dict[str, Any]]:
        """Every statement that a function's role carries, with actions and resources as lists."""
        inline, managed = self.policies_of(self.role_of(function))
        return [listed(statement) for document in (*inline, *managed) for statement in document["Statement"]]

    def asset(self) -> Path:
        """The folder that becomes the zip of all functions."""
        keys = {
            resource["Properties"]["Code"]["S3Key"] for resource in self.resources("AWS::Lambda::Function").values()
        }
        (key,) = keys
        assets = json.loads((self.folder / f"{self.name}.assets.json").read_text())
        source = assets["files"][key.removesuffix(".zip")]["source"]
        assert source["packaging"] == "zip"
        return self.folder / str(source["path"])


def synthesise(configuration: object, folder: Path, *, code: Path | None = None) -> Synthesised:
    """Synthesise the app for a configuration, with the flags of ``cdk.json`` and all checks; the home stack comes back.

    ``code`` stands in for the bundle of the functions, where nothing is asked about it: building one takes a while.
    """
    context = {**CONTEXT, app.CONTEXT_KEY: configuration}
    defined = cdk.App(context=context, outdir=str(folder), analytics_reporting=False)
    settings = app.read_settings(configuration)
    if code is None:
        app.define(defined)
    else:
        app.define_stacks(defined, settings, bundle=code)
    defined.synth()
    template = json.loads((folder / f"{HOME}.template.json").read_text())
    return Synthesised(settings, folder, HOME, template)


def resolved(value: Any) -> Any:
    """A part of a template with its references replaced: ``QueueId``, ``QueueId.Arn``, the account's number."""
    match value:
        case {"Ref": "AWS::AccountId"}:
            return ACCOUNT
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Join": [separator, parts]}:
            return separator.join(resolved(part) for part in parts)
        case {"Fn::Sub": text}:
            return str(text).replace("${AWS::AccountId}", ACCOUNT)
        case Mapping():
            return {key: resolved(inner) for key, inner in value.items()}
        case list():
            return [resolved(inner) for inner in value]
        case _:
            return value


def listed(statement: Mapping[str, Any]) -> dict[str, Any]:
    """A policy statement whose actions and resources are lists, as they may be written either way."""
    either = ("Action", "NotAction", "Resource", "NotResource")
    return {
        element: [value] if element in either and isinstance(value, str) else value
        for element, value in statement.items()
    }


def allowed(statements: list[dict[str, Any]], *services: str) -> Iterator[tuple[str, str]]:
    """Each pair of an action and a resource that is allowed, of some services only (``iam``)."""
    for statement in statements:
        if statement["Effect"] == "Allow":
            for action in statement["Action"]:
                if action.split(":")[0] in services:
                    yield from ((action, resource) for resource in statement["Resource"])
