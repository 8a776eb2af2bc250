"""The declaration of the calls to AWS: who may write, and what."""

from __future__ import annotations

import re

import pytest

from remediator.permissions import IAM_WRITES, PERMISSIONS, Access, Permission, Target


@pytest.mark.parametrize("function", ["router", "sweeper"])
def test_what_looks_for_roles_writes_nothing(function: str) -> None:
    assert not [permission for permission in PERMISSIONS[function] if permission.access is Access.WRITE]


@pytest.mark.parametrize(
    ("function", "target"), [("digester", Target.DIGESTER_ITEMS), ("notifier", Target.NOTIFIER_ITEMS)]
)
def test_what_tells_people_writes_nothing_but_what_it_has_told(function: str, target: Target) -> None:
    assert {p for p in PERMISSIONS[function] if p.access is Access.WRITE} == {
        Permission("dynamodb:PutItem", Access.WRITE, target),
        Permission("dynamodb:UpdateItem", Access.WRITE, target),
        Permission("dynamodb:DeleteItem", Access.WRITE, target),
    }


def test_only_the_notifier_reads_a_secret_and_that_one_only() -> None:
    secret = Permission("secretsmanager:GetSecretValue", Access.READ, Target.SLACK_WEBHOOK)
    found = {
        (function, permission)
        for function, declared in PERMISSIONS.items()
        for permission in declared
        if permission.action.startswith("secretsmanager:") or permission.target is Target.SLACK_WEBHOOK
    }
    assert found == {("notifier", secret)}


def test_the_reconciler_writes_what_a_repair_consists_of_and_its_history_and_nothing_else() -> None:
    assert {p for p in PERMISSIONS["reconciler"] if p.access is Access.WRITE} == {
        Permission("iam:UpdateAssumeRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
        Permission("iam:PutRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
        Permission("iam:DeleteRolePolicy", Access.WRITE, Target.ENROLLED_ROLES),
        Permission("s3:PutBucketPolicy", Access.WRITE, Target.GRANTING_BUCKETS),
        Permission("s3:DeleteBucketPolicy", Access.WRITE, Target.GRANTING_BUCKETS),
        Permission("iam:CreateInstanceProfile", Access.WRITE, Target.REPAIRED_INSTANCE_PROFILES),
        Permission("iam:AddRoleToInstanceProfile", Access.WRITE, Target.REPAIRED_INSTANCE_PROFILES),
        Permission("iam:PassRole", Access.WRITE, Target.PASSED_ROLES),
        Permission("dynamodb:PutItem", Access.WRITE, Target.HISTORY_TABLE),
        Permission("dynamodb:UpdateItem", Access.WRITE, Target.HISTORY_TABLE),
    }


def test_all_writes_to_iam_are_named_for_the_statement_that_denies_them() -> None:
    assert IAM_WRITES == (
        "iam:AddRoleToInstanceProfile",
        "iam:CreateInstanceProfile",
        "iam:DeleteRolePolicy",
        "iam:PassRole",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
    )


@pytest.mark.parametrize("target", [target for target in Target if "any " in target or "the account" in target])
def test_what_is_not_named_by_the_configuration_is_read_only(target: Target) -> None:
    written = [p for declared in PERMISSIONS.values() for p in declared if p.access is Access.WRITE]
    assert target not in {permission.target for permission in written}


@pytest.mark.parametrize("target", Target)
def test_every_target_is_that_of_some_call(target: Target) -> None:
    assert [p for declared in PERMISSIONS.values() for p in declared if p.target is target]


def test_what_the_history_knows_is_never_deleted() -> None:
    of_the_history = (Target.HISTORY_TABLE, Target.HISTORY_LISTING)
    actions = {p.action for declared in PERMISSIONS.values() for p in declared if p.target in of_the_history}
    assert actions == {*("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem")}


def test_no_function_can_resume_what_a_person_has_paused() -> None:
    actions = {permission.action for declared in PERMISSIONS.values() for permission in declared}
    assert {action for action in actions if action.startswith("ssm:")} == {"ssm:GetParameter"}


def test_key_policies_are_never_written() -> None:
    actions = {permission.action for declared in PERMISSIONS.values() for permission in declared}
    assert {action for action in actions if action.startswith("kms:")} == {"kms:DescribeKey", "kms:GetKeyPolicy"}


@pytest.mark.parametrize("function", PERMISSIONS)
def test_no_action_is_declared_twice_or_with_a_wildcard(function: str) -> None:
    actions = [permission.action for permission in PERMISSIONS[function]]
    assert len(actions) == len(set(actions))
    assert all(re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z0-9]+", action) for action in actions)


@pytest.mark.parametrize("permission", [permission for declared in PERMISSIONS.values() for permission in declared])
def test_what_is_called_a_read_reads(permission: Permission) -> None:
    reads = permission.action.split(":")[1].startswith(("Get", "List", "Describe", "Query"))
    assert (permission.access is Access.READ) == reads
