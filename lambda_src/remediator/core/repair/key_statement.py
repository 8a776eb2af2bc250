"""What a key policy needs so that a role can be granted the use of the key. Key policies are never written by us."""

from __future__ import annotations

from remediator.core.access.actions import KEY_ACTIONS
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_mapping
from remediator.core.policy.edit import raw_statements


def key_policy_statement(role: RoleArn) -> dict[str, object]:
    """The statement that lets the role use a key, for the one who looks after the key policy to add.

    In a key policy ``*`` means the key that the policy belongs to.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
    """
    return {
        "Sid": "AllowAnyscaleRole",
        "Effect": "Allow",
        "Principal": {"AWS": str(role)},
        "Action": [*KEY_ACTIONS],
        "Resource": "*",
    }


def letting_iam_decide(document: PolicyDocument, role: RoleArn) -> PolicyDocument:
    """The key policy as it would be with that statement; for judging, never for writing."""
    return read_mapping({**document.raw, "Statement": [*raw_statements(document), key_policy_statement(role)]})
