"""The published JSON Schemas, by the names of their files."""

from __future__ import annotations

import json

import jsonschema

from tests.cli.terminal import ROOT, Json


def schema(name: str) -> Json:
    """The schema in ``docs/<name>.schema.json``."""
    found: Json = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def schema_errors(name: str, record: object) -> list[str]:
    """What is wrong with a record by a published schema, without any other file."""
    return [error.message for error in jsonschema.Draft202012Validator(schema(name)).iter_errors(record)]
