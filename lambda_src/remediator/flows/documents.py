"""Read and write the documents that changes are about, by their ids."""

from __future__ import annotations

from typing import Protocol, assert_never

from remediator.core.history.change import DocumentId, DocumentKind, instance_profile_json
from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.role import Role
from remediator.core.policy.document import Json, PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import NotFoundError


class RoleDocuments(Protocol):
    """Where documents of a role are read; it promises what ``gateways.iam.IamGateway`` promises."""

    def read_role(self, role_name: str) -> Reading[Role]:
        """The role with its tags and trust policy."""
        ...

    def read_inline_policy(self, role_name: str, policy_name: str) -> Reading[PolicyDocument]:
        """One inline policy."""
        ...

    def read_instance_profile(self, name: str) -> Reading[InstanceProfile]:
        """The instance profile of that name."""
        ...


class BucketPolicies(Protocol):
    """Where bucket policies are read; it promises what ``gateways.s3.S3Gateway`` promises."""

    def read_policy(self, name: str, *, region: str, account: str) -> Reading[PolicyDocument]:
        """The policy of the bucket."""
        ...


def read_document(
    document: DocumentId, role_name: str, *, roles: RoleDocuments, buckets: BucketPolicies
) -> Reading[Json]:
    """The document as it is now, as a JSON object; Absent also where the role or the bucket is.

    Raises TransientError where trying again later can help.
    """
    match document.kind:
        case DocumentKind.TRUST_POLICY:
            role = roles.read_role(role_name)
            return _raw(role.value.trust) if isinstance(role, Present) else role
        case DocumentKind.INLINE_POLICY:
            return _raw(roles.read_inline_policy(role_name, document.name))
        case DocumentKind.BUCKET_POLICY:
            if document.region is None or document.account is None:
                return Unreadable(f"the record does not say where bucket {document.name} lives")
            try:
                return _raw(buckets.read_policy(document.name, region=document.region, account=document.account))
            except NotFoundError:
                return Absent()
        case DocumentKind.INSTANCE_PROFILE:
            return _profile(document, roles.read_instance_profile(document.name))
        case _ as never:
            assert_never(never)


def _profile(document: DocumentId, reading: Reading[InstanceProfile]) -> Reading[Json]:
    match reading:
        case Present(value=profile):
            return Present(instance_profile_json(profile.name, document.path or "/", *profile.role_names))
        case Absent() | Unreadable():
            return reading
        case _ as never:
            assert_never(never)


def _raw(reading: Reading[PolicyDocument]) -> Reading[Json]:
    match reading:
        case Present(value=document):
            return Present(document.raw)
        case Absent() | Unreadable():
            return reading
        case _ as never:
            assert_never(never)
