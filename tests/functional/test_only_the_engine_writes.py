"""Documents are written in one place: no module but the engine of writes calls what writes to IAM or S3."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from remediator.gateways.iam import IamGateway
from remediator.gateways.s3 import S3Gateway

ROOT = Path(__file__).parents[2]
PRODUCT = (ROOT / "lambda_src" / "remediator", ROOT / "cli" / "remediator_cli")
ENGINE = "lambda_src/remediator/flows/write.py"
GATEWAYS = ("lambda_src/remediator/gateways/iam.py", "lambda_src/remediator/gateways/s3.py")

TAGGING = frozenset({"tag_role", "untag_role"})
"""Tags are no documents: enroll, resume and undo set one, read it back, and nothing of others is lost by that."""

DOCUMENT_WRITES = frozenset(
    {
        "write_trust",
        "write_inline_policy",
        "delete_inline_policy",
        "create_instance_profile",
        "add_role_to_instance_profile",
        "remove_role_from_instance_profile",
        "delete_instance_profile",
        "write_policy",
        "delete_policy",
    }
)

_READS = re.compile("(get|list|head|simulate|generate)_|(read|roles_of)_")


def modules() -> Iterator[tuple[str, ast.AST]]:
    for folder in PRODUCT:
        for path in folder.rglob("*.py"):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def named_in(module: ast.AST) -> set[str]:
    """Every attribute that a module names, called or passed on, also by ``getattr`` with its name."""
    texts = {node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)} | (
        texts if any(isinstance(node, ast.Name) and node.id == "getattr" for node in ast.walk(module)) else set()
    )


def writing_operations() -> frozenset[str]:
    """What boto3 calls the operations of IAM and S3 that write something."""
    session = botocore.session.get_session()
    operations = {
        xform_name(name) for service in ("iam", "s3") for name in session.get_service_model(service).operation_names
    }
    return frozenset(name for name in operations if not _READS.match(name))


def writers(names: frozenset[str]) -> set[str]:
    return {path for path, module in modules() if names & named_in(module)}


@pytest.mark.parametrize("gateway", [IamGateway, S3Gateway])
def test_every_method_of_a_gateway_reads_or_writes_a_document_or_sets_a_tag(gateway: type) -> None:
    methods = {name for name in vars(gateway) if not name.startswith("_") and not _READS.match(name)}
    assert methods <= DOCUMENT_WRITES | TAGGING


def test_only_the_engine_writes_documents() -> None:
    assert writers(DOCUMENT_WRITES) - set(GATEWAYS) == {ENGINE}


def test_only_the_gateways_call_an_operation_that_writes() -> None:
    """Names that our gateways share with boto3 are the engine's; the test before this one covers them."""
    operations = writing_operations() - DOCUMENT_WRITES - TAGGING
    assert {"put_role_policy", "update_assume_role_policy", "put_bucket_policy", "delete_bucket_policy"} <= operations
    assert writers(operations) == set(GATEWAYS)
