"""Which roles are the remediator's own: the one answer for the functions, the command line and the stack's policies.

The remediator's stacks give their roles no names, so CloudFormation makes them: the name of the stack comes first. It
may be cut short, but never to less than ``STACK_PREFIX``, with which the names of all the remediator's stacks begin.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html#aws-resource-iam-role-return-values
"""

from __future__ import annotations

from typing import Final

from remediator.core.policy.arn import RoleArn

STACK_PREFIX: Final = "AnyscaleRemediator"
"""What the names of all the remediator's stacks begin with, and so those of their roles."""


def is_own_role(role: RoleArn) -> bool:
    """Whether a role is one of ours, so that it must never be enrolled or written to.

    A path that begins so counts as well, as it does for the pattern: what is not refused must not be denied.
    """
    return role.path_and_name.startswith(STACK_PREFIX)


def own_roles_pattern(account: str) -> str:
    """The pattern, for the Resource element of a policy, of the ARNs of all the remediator's roles in an account."""
    return f"arn:aws:iam::{account}:role/{STACK_PREFIX}*"
