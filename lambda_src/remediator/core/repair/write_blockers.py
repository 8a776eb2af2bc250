"""What keeps a document from being written, and the write where nothing does.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from remediator.core.model.finding import BlockedRepair, Finding
from remediator.core.model.plain_text import capitalized
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentId, DocumentKind, Write, policy_write
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.principals import stale_principals

QUOTA_REMEDIES: Mapping[DocumentKind, str] = MappingProxyType(
    {
        DocumentKind.TRUST_POLICY: "Shorten the trust policy, or raise the IAM quota `Role trust policy length` in "
        "Service Quotas (Region us-east-1).",
        DocumentKind.INLINE_POLICY: "Shorten or remove other inline policies of the role. Their quota is shared and "
        "cannot be raised.",
        DocumentKind.BUCKET_POLICY: "Shorten the bucket policy, or set the cloud's `grant` to role-policy and its "
        "`formerGrant` to bucket-policy. The quota cannot be raised.",
        DocumentKind.INSTANCE_PROFILE: "Delete unused instance profiles, or raise the IAM quota `Instance profiles per "
        "account` in Service Quotas (Region us-east-1).",
    }
)
"""What an operator can do where a document exceeds its quota.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

Planned: TypeAlias = Write | BlockedRepair
"""The answer to one or more findings: the write that repairs them, or for each the reason why there is none."""


@dataclass(frozen=True, slots=True)
class WriteBlocker:
    """Why a document must not, or cannot, be written.

    ``code`` is one fixed word for programs. ``text`` is the reason and ``to_do`` the remedy, each a whole sentence.
    """

    code: str
    text: str
    to_do: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Retained:
    """Something that belongs to the remediator, or was, and is left as it is; ``why`` says why, and what an operator
    can do."""

    what: str
    why: str


NOT_GRANTED_YET = "It goes when the side where grants are put now grants the bucket, which it does not yet."

_UNMODIFIABLE = {
    "/aws-service-role/": "a service-linked role, which only the AWS service itself can change",
    "/aws-reserved/": "reserved by AWS (IAM Identity Center), which alone can change it",
}


def unmodifiable_blockers(role: Role) -> tuple[WriteBlocker, ...]:
    """A role whose documents IAM does not let anybody write (``UnmodifiableEntity``).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
    """
    for path, why in _UNMODIFIABLE.items():
        if role.arn.path.startswith(path):
            to_do = "Remove the enrollment tag from the role."
            return (WriteBlocker("unmodifiable", f"The role {role.arn.name} is {why}.", to_do),)
    return ()


def faults_blockers(name: str, document: PolicyDocument) -> tuple[WriteBlocker, ...]:
    """A document that breaks the grammar: rewriting it could change what it means."""
    if not document.faults:
        return ()
    text = f"{capitalized(name)} must not be rewritten, because it breaks the grammar: "
    return (WriteBlocker("faults", text + " ".join(document.faults), f"Correct the grammar of {name}."),)


def stale_blockers(name: str, document: PolicyDocument, own_id: str) -> tuple[WriteBlocker, ...]:
    """Principals that were deleted: AWS refuses to save a document that still holds their unique ids.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
    """
    return tuple(
        WriteBlocker(
            "stale-principal",
            f"{capitalized(document.statements[index].name)} of {name} names "
            f"{principal}, the id of a role or user that no longer exists; AWS would refuse to save it again "
            f"(Invalid principal in policy).",
            f"Remove {principal} from {name}.",
        )
        for index, principal in stale_principals(document, own_id)
    )


def why_left(document: PolicyDocument, *, is_deny: bool) -> str:
    """Why what belongs to the remediator is not taken out of a policy; ``is_deny`` says that it is a Deny now. Empty
    where it can be."""
    if document.faults:
        return f"It cannot be understood: {document.faults[0]}."
    return "The remediator's statement was changed into a Deny, which is never removed." if is_deny else ""


def block_repairs(findings: Iterable[Finding], *because: str) -> tuple[Planned, ...]:
    """None of the findings is repaired, for these reasons."""
    return tuple(BlockedRepair(finding, because) for finding in findings)


def write_unless_blocked(
    document: DocumentId,
    before: PolicyDocument | None,
    after: PolicyDocument | None,
    findings: tuple[Finding, ...],
    blockers: tuple[WriteBlocker, ...],
) -> tuple[Planned, ...]:
    """The write that repairs the findings by making ``after`` of the policy, unless something blocks it."""
    if blockers:
        because = tuple(map(str, blockers))
        to_do = tuple(dict.fromkeys(blocker.to_do for blocker in blockers))
        return tuple(BlockedRepair(finding, because, to_do) for finding in findings)
    return (policy_write(document, before, after, findings),)
