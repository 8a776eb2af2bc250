"""Writes as the tests spell them: one maker for each kind of document, and the policies that a write holds."""

from __future__ import annotations

from remediator.core.model.write import DocumentId, DocumentKind, Write, instance_profile_json, policy_write
from remediator.core.policy.document import Json, PolicyDocument, read_mapping


def trust_write(before: PolicyDocument, after: PolicyDocument, note: str = "") -> Write:
    """The trust policy of the role."""
    return policy_write(DocumentId(DocumentKind.TRUST_POLICY), before, after, note=note)


def inline_write(name: str, before: PolicyDocument | None, after: PolicyDocument | None) -> Write:
    """An inline policy of the role."""
    return policy_write(DocumentId(DocumentKind.INLINE_POLICY, name), before, after)


def bucket_write(
    bucket: str, account: str, region: str, before: PolicyDocument | None, after: PolicyDocument | None
) -> Write:
    """The policy of a bucket."""
    return policy_write(DocumentId(DocumentKind.BUCKET_POLICY, bucket, account=account, region=region), before, after)


def profile_write(name: str, path: str, *, is_new: bool) -> Write:
    """An instance profile that the role of the same name is put into."""
    document = DocumentId(DocumentKind.INSTANCE_PROFILE, name, path=path)
    before = None if is_new else instance_profile_json(name, path)
    return Write(document, before, instance_profile_json(name, path, name))


def before_of(write: Write) -> PolicyDocument:
    """The policy before a write."""
    return _policy(write.before)


def after_of(write: Write) -> PolicyDocument:
    """The policy after a write."""
    return _policy(write.after)


def _policy(document: Json | None) -> PolicyDocument:
    assert document is not None
    return read_mapping(document)
