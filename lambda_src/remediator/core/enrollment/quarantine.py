"""Has somebody shut the role on purpose? Then nothing is written at all, not even what is missing elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from remediator.core.access.actions import REQUIRED_BUCKET_ACTIONS, REQUIRED_OBJECT_ACTIONS
from remediator.core.model.finding import ROLE_SUBJECT, Finding, FindingCode
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.arn import ec2_service_principal
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.evaluate import actions_match
from remediator.core.policy.principals import service_is_named
from remediator.core.policy.reading import Present, Reading
from remediator.core.policy.statement import Patterns, Statement

_QUARANTINE = re.compile(r"arn:[^:]+:iam::[^:]*:policy/(?:.*/)?(?P<name>AWSCompromisedKeyQuarantine(?:V\d+)?)")
_EVERYTHING = re.compile(r"\*+")
_UNNAMED_ACTION = "\N{REPLACEMENT CHARACTER}:\N{REPLACEMENT CHARACTER}"
"""An action that no policy has named: an element that covers it without exceptions covers every action."""


def quarantine_findings(role: Role, policies: RolePolicies) -> tuple[Finding, ...]:
    """One finding, with each document by which somebody has shut the role; empty where nobody has.

    That is a Deny of everything without a condition, as in ``AWSDenyAll``; the policy that AWS attaches to what was
    compromised; a Deny without a condition in the trust policy that keeps EC2 out; and a trust policy of Denies alone.
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html
    """
    because = (*_by_trust(role), *_by_policies(policies))
    return (Finding(FindingCode.QUARANTINED, ROLE_SUBJECT, because),) if because else ()


def _by_trust(role: Role) -> Iterator[str]:
    if not isinstance(role.trust, Present):
        return
    ec2 = ec2_service_principal(role.arn.partition)
    statements = role.trust.value.statements
    if statements and all(statement.effect == "Deny" for statement in statements):
        yield "the trust policy allows no one to assume the role, and denies it in addition"
        return
    for statement in statements:
        if (
            _is_plain_deny(statement)
            and _covers(statement.actions, "sts:AssumeRole")
            and statement.principals is not None
            and service_is_named(statement.principals, ec2)
        ):
            yield f"{statement.name} of the trust policy denies EC2 the role without a condition"


def _by_policies(policies: RolePolicies) -> Iterator[str]:
    if isinstance(policies.inline, Present):
        for inline in policies.inline.value:
            yield from _by_document(f"the inline policy {inline.name}", inline.document)
    if isinstance(policies.attached, Present):
        for managed in policies.attached.value:
            name = f"the managed policy {managed.arn.rpartition('/')[2]}"
            if _QUARANTINE.fullmatch(managed.arn):
                yield f"{name} is attached, as AWS does to what was compromised"
            else:
                yield from _by_document(name, managed.document)
    if isinstance(policies.boundary, Present):
        boundary = policies.boundary.value
        yield from _by_document(f"the permissions boundary {boundary.arn.rpartition('/')[2]}", boundary.document)


def _by_document(name: str, reading: Reading[PolicyDocument]) -> Iterator[str]:
    if not isinstance(reading, Present):
        return
    for statement in reading.value.statements:
        if (
            _is_plain_deny(statement)
            and _covers_everything(statement.actions)
            and statement.resources is not None
            and not statement.resources.negated
            and any(_EVERYTHING.fullmatch(pattern) for pattern in statement.resources.patterns)
        ):
            yield f"{statement.name} of {name} denies everything without a condition"
            return


def _is_plain_deny(statement: Statement) -> bool:
    return statement.effect == "Deny" and not statement.has_condition and not statement.faults


def _covers_everything(actions: Patterns | None) -> bool:
    """Whether every action there is is covered, or all but some that are no use to a cluster.

    A NotAction that excepts what a cluster uses only confines the role to that.
    """
    return all(
        _covers(actions, action) for action in (_UNNAMED_ACTION, *REQUIRED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS)
    )


def _covers(actions: Patterns | None, action: str) -> bool:
    return actions is not None and actions_match(actions, action)
