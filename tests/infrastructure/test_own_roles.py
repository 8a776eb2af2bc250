"""The rule that says which roles are ours, held against every role of every stack of every configuration."""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from remediator.core.enrollment.own_roles import is_own_role
from remediator.core.policy.arn import RoleArn
from tests.infrastructure import conftest
from tests.infrastructure.templates import ACCOUNT, Synthesised

CONFIGURATIONS = [
    each.name
    for each in ast.parse(Path(conftest.__file__).read_text()).body
    if isinstance(each, ast.FunctionDef) and each.returns is not None and ast.unparse(each.returns) == "Synthesised"
]
"""Every app that the fixtures synthesise; those of single tests differ from them in numbers only."""

SHORTENED = 24
"""To how many characters CloudFormation shortens a stack's name, and that of a resource, in a name of 64 at most."""


def own_roles(home: Synthesised) -> list[RoleArn]:
    """All roles of all stacks: by the name that the template gives, or else by the one that CloudFormation generates.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
    """
    found = []
    for stack in home.stacks().values():
        for logical_id, resource in stack.template["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                properties = resource["Properties"]
                generated = f"{stack.name[:SHORTENED]}-{logical_id[:SHORTENED]}-ftsyJqRnKmAd"
                name = properties.get("RoleName", generated)
                path = properties.get("Path", "/")
                found.append(RoleArn("aws", ACCOUNT, path, name))
    return found


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_rule_and_the_deny_know_every_role_of_every_stack(
    configuration: str, request: pytest.FixtureRequest
) -> None:
    home: Synthesised = request.getfixturevalue(configuration)
    (deny,) = [each for each in home.statements_of("reconciler") if each.get("Sid") == "NeverOwnRoles"]
    (pattern,) = deny["Resource"]
    roles = own_roles(home)
    assert len(roles) >= len(home.stacks()), "each stack has a role"
    for role in roles:
        assert is_own_role(role), role
        assert fnmatchcase(str(role), pattern), role


def test_the_largest_has_a_role_for_each_forwarder_and_for_amazon_q(largest: Synthesised) -> None:
    names = [role.name for role in own_roles(largest)]
    assert len(largest.forwarders()) == sum(name.startswith("AnyscaleRemediatorForwar") for name in names) == 3
    assert [name for name in names if "AmazonQ" in name]
