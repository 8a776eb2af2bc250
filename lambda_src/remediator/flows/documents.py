"""Read the documents that changes are about, by their ids."""

from __future__ import annotations

from typing import assert_never

from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentId, DocumentKind, instance_profile_json
from remediator.core.policy.document import Json, PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import NotFoundError
from remediator.gateways.world import World


def read_document(document: DocumentId, role_name: str, world: World) -> Reading[Json]:
    """The document as it is now, as a JSON object; Absent also where the role or the bucket is.

    Raises TransientError where trying again later can help.
    """
    match document.kind:
        case DocumentKind.TRUST_POLICY:
            return trust_of(world.roles.read_role(role_name))
        case DocumentKind.INLINE_POLICY:
            return _raw(world.roles.read_inline_policy(role_name, document.name))
        case DocumentKind.BUCKET_POLICY:
            if document.region is None or document.account is None:
                return Unreadable(f"the record does not say where bucket {document.name} lives")
            try:
                return _raw(world.buckets.read_policy(document.name, region=document.region, account=document.account))
            except NotFoundError:
                return Absent()
        case DocumentKind.INSTANCE_PROFILE:
            return _profile(document, world.roles.read_instance_profile(document.name))
        case _ as never:
            assert_never(never)


def trust_of(role: Reading[Role]) -> Reading[Json]:
    """The trust policy of a role as it was read."""
    return _raw(role.value.trust) if isinstance(role, Present) else role


def _profile(document: DocumentId, reading: Reading[InstanceProfile]) -> Reading[Json]:
    if not isinstance(reading, Present):
        return reading
    return Present(instance_profile_json(reading.value.name, document.path or "/", *reading.value.role_names))


def _raw(reading: Reading[PolicyDocument]) -> Reading[Json]:
    return Present(reading.value.raw) if isinstance(reading, Present) else reading
