"""A document and one write of it: what every repair, removal and undo comes down to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from remediator.core.model.finding import TRUST_SUBJECT, Finding, bucket_policy_subject
from remediator.core.policy.document import Json, PolicyDocument


class DocumentKind(StrEnum):
    """What is changed."""

    TRUST_POLICY = "trust-policy"
    INLINE_POLICY = "inline-policy"
    BUCKET_POLICY = "bucket-policy"
    INSTANCE_PROFILE = "instance-profile"


@dataclass(frozen=True, slots=True)
class DocumentId:
    """Which document is changed; its text is the subject of the findings about it.

    ``name`` is that of the inline policy, the bucket or the instance profile, and empty for the trust policy of the
    role. ``account`` and ``region`` are those of a bucket, ``path`` that of an instance profile, None elsewhere.
    """

    kind: DocumentKind
    name: str = ""
    account: str | None = None
    region: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        match self.kind:
            case DocumentKind.TRUST_POLICY:
                return TRUST_SUBJECT
            case DocumentKind.INLINE_POLICY:
                return f"inline policy {self.name}"
            case DocumentKind.BUCKET_POLICY:
                return bucket_policy_subject(self.name)
            case DocumentKind.INSTANCE_PROFILE:
                return f"instance profile {self.name}"
            case _ as never:
                assert_never(never)


@dataclass(frozen=True, slots=True)
class Write:
    """One document that is ``before``, and becomes ``after``; None stands for no document.

    Both are JSON objects; ``instance_profile_json`` makes those of an instance profile. ``findings`` are those that
    the write repairs. ``note`` is a sentence for an operator on how the document is edited, or what that means beyond
    the document; empty where nothing needs to be said.
    """

    document: DocumentId
    before: Json | None
    after: Json | None
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    note: str = ""


def policy_write(
    document: DocumentId,
    before: PolicyDocument | None,
    after: PolicyDocument | None,
    findings: tuple[Finding, ...] = (),
    note: str = "",
) -> Write:
    """The write that replaces one policy by another; None stands for no policy."""
    return Write(document, None if before is None else before.raw, None if after is None else after.raw, findings, note)


def instance_profile_json(name: str, path: str, *roles: str) -> Json:
    """An instance profile as the history shows it."""
    return {"InstanceProfileName": name, "Path": path, "Roles": list(roles)}


def same_document(one: Json | None, other: Json | None) -> bool:
    """Whether two documents mean the same; None stands for a document that does not exist.

    This is the one notion of equality for every kind of document: before a write, when it is read back, when it is
    recovered and when it is undone. A list of one text is that text, and the order of a list of texts means nothing:
    S3 does not keep how a list of principals or actions was spelled. The order of statements counts.
    """
    return one is other or _spelling_aside(one) == _spelling_aside(other)


def _spelling_aside(document: Json | None) -> str:
    return json.dumps(_normalized(document), sort_keys=True)


def _normalized(value: object) -> object:
    match value:
        case Mapping():
            return {key: _normalized(inner) for key, inner in value.items()}
        case list() | tuple():
            inner = [_normalized(item) for item in value]
            if all(isinstance(item, str) for item in inner):
                texts = sorted(str(item) for item in inner)
                return texts[0] if len(texts) == 1 else texts
            return inner
        case _:
            return value
