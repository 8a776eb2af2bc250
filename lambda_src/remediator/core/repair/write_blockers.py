"""What AWS would refuse when a document is written.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

from remediator.core.model.role import Role
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.explain import Obstacle
from remediator.core.policy.principals import stale_principals

_UNMODIFIABLE = {
    "/aws-service-role/": "a service-linked role, which only the AWS service itself can change",
    "/aws-reserved/": "reserved by AWS (IAM Identity Center), which alone can change it",
}


def unmodifiable_obstacles(role: Role) -> tuple[Obstacle, ...]:
    """A role whose documents IAM does not let anybody write (``UnmodifiableEntity``).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
    """
    for path, why in _UNMODIFIABLE.items():
        if role.arn.path.startswith(path):
            return (Obstacle("unmodifiable", f"The role {role.arn.name} is {why}."),)
    return ()


def faults_obstacles(name: str, document: PolicyDocument) -> tuple[Obstacle, ...]:
    """A document that breaks the grammar: rewriting it could change what it means."""
    if not document.faults:
        return ()
    text = f"{name[:1].upper()}{name[1:]} must not be rewritten, because it breaks the grammar: "
    return (Obstacle("faults", text + " ".join(document.faults)),)


def stale_obstacles(name: str, document: PolicyDocument, own_id: str) -> tuple[Obstacle, ...]:
    """Principals that were deleted: AWS refuses to save a document that still holds their unique ids.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
    """
    return tuple(
        Obstacle(
            "stale-principal",
            f"{document.statements[index].name[:1].upper()}{document.statements[index].name[1:]} of {name} names "
            f"{principal}, the id of a role or user that no longer exists; AWS would refuse to save it again "
            f"(Invalid principal in policy).",
        )
        for index, principal in stale_principals(document, own_id)
    )
