"""The declaration of the calls to AWS: who may write, and what."""

from __future__ import annotations

import re

import pytest

from remediator.permissions import IAM_WRITES, PERMISSIONS, Access, Permission, Target


@pytest.mark.parametrize("function", [name for name in PERMISSIONS if name != "reconciler"])
def test_only_the_reconciler_writes(function: str) -> None:
    assert not [permission for permission in PERMISSIONS[function] if permission.access is Access.WRITE]


def test_the_reconciler_writes_two_documents_of_enrolled_roles_and_nothing_else() -> None:
    assert {p for p in PERMISSIONS["reconciler"] if p.access is Access.WRITE} == {
        Permission("iam:UpdateAssumeRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
        Permission("iam:PutRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
    }
    assert IAM_WRITES == ("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy")


@pytest.mark.parametrize("function", PERMISSIONS)
def test_no_action_is_declared_twice_or_with_a_wildcard(function: str) -> None:
    actions = [permission.action for permission in PERMISSIONS[function]]
    assert len(actions) == len(set(actions))
    assert all(re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z0-9]+", action) for action in actions)


@pytest.mark.parametrize("permission", [permission for declared in PERMISSIONS.values() for permission in declared])
def test_what_is_called_a_read_reads(permission: Permission) -> None:
    reads = permission.action.split(":")[1].startswith(("Get", "List"))
    assert (permission.access is Access.READ) == reads
