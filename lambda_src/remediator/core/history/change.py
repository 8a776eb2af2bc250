"""A change that we make to one document: what it was, what it becomes, why, and what came of it.

It is recorded as an intent before it is made, and concluded after it was read back, so that nothing is ever written
that the history does not know, and everything can be undone.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import assert_never

from remediator import __version__
from remediator.core.events.event import Cause
from remediator.core.events.message_fields import Fields, read_cause, read_message
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentId, DocumentKind, Write, same_document
from remediator.core.policy.document import Json
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import MalformedRecord

FORMAT = 1
"""Version of the record's form; a record of another version is never guessed at."""

_TIME_FORM = "%Y%m%dT%H%M%S%fZ"
_KEY = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


class ChangeKind(StrEnum):
    """Why a document is changed."""

    REPAIR = "repair"
    """Something that was missing is added, or something of ours restored."""
    REMOVAL = "removal"
    """What belongs to the remediator on the previous location is removed."""
    UNDO = "undo"
    """An operator puts back what was there before one of the remediator's changes."""


class ChangeState(StrEnum):
    """What is known of a change."""

    INTENDED = "intended"
    """It is about to be made, or was interrupted: whether it was made is not known."""
    COMPLETED = "completed"
    """It was written, and reading it back showed it."""
    UNCONFIRMED = "unconfirmed"
    """It was, or may have been, written, but reading it back did not show it."""
    NOT_WRITTEN = "not-written"
    """It was not written."""
    SUPERSEDED = "superseded"
    """It was interrupted, and when we came back somebody had changed the document: whether it was made is not known."""
    UNKNOWN = "unknown"
    """It was interrupted, and when the remediator came back the document was as before: it was never made, or undone
    since."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one document.

    ``change_id`` is how people name it (``head-node/20260304T100020123456Z-1a2b3c4d``). ``before`` is None where the
    document did not exist, ``after`` where it does not exist any more; both are JSON objects, those of an instance
    profile made by the remediator (``InstanceProfileName``, ``Path``, ``Roles``). ``findings`` are those that it
    repairs, without their reasons. ``causes`` are the calls that triggered the check. ``code_version`` is the version
    of the code that made it. ``intended_at`` and ``concluded_at`` have their zone; the latter is None as long as the
    state is INTENDED.
    """

    change_id: str
    kind: ChangeKind
    document: DocumentId
    before: Json | None
    after: Json | None
    account: str
    role_name: str
    role_id: str
    role_arn: str
    cloud: str | None
    findings: tuple[Finding, ...]
    causes: tuple[Cause, ...]
    code_version: str
    intended_at: datetime
    state: ChangeState = ChangeState.INTENDED
    why: str = ""
    concluded_at: datetime | None = None

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether the document was, or may have been, changed by it."""
        return self.state not in (ChangeState.INTENDED, ChangeState.NOT_WRITTEN)


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """For which role documents are changed, and because of which calls.

    The fields about the role are empty where no role is left for which a document is changed; ``cloud`` is None where
    it is not known.
    """

    account: str
    role_name: str
    role_id: str
    role_arn: str
    cloud: str | None
    causes: tuple[Cause, ...]

    @classmethod
    def for_role(cls, role: Role, cloud: str | None, causes: tuple[Cause, ...]) -> ChangeContext:
        """The occasion to change documents of a role as it was read, or for it."""
        return cls(role.arn.account, role.arn.name, role.role_id, str(role.arn), cloud, causes)

    @classmethod
    def for_change(cls, change: Change, causes: tuple[Cause, ...]) -> ChangeContext:
        """The occasion to change once more what a change was about."""
        return cls(change.account, change.role_name, change.role_id, change.role_arn, change.cloud, causes)


def intended(write: Write, occasion: ChangeContext, kind: ChangeKind, at: datetime, sequence: int = 0) -> Change:
    """The change that a write is about to make, at a time with its zone.

    ``sequence`` counts the writes of one occasion, so that no two changes have the same id.
    """
    seeds = (cause.event_id for cause in occasion.causes)
    return Change(
        change_id=change_id(occasion.role_name, at, write.document, sequence, *seeds),
        kind=kind,
        document=write.document,
        before=write.before,
        after=write.after,
        account=occasion.account,
        role_name=occasion.role_name,
        role_id=occasion.role_id,
        role_arn=occasion.role_arn,
        cloud=occasion.cloud,
        findings=tuple(Finding(finding.code, finding.subject) for finding in write.findings),
        causes=occasion.causes,
        code_version=__version__,
        intended_at=at.astimezone(UTC),
    )


def change_id(role_name: str, at: datetime, document: DocumentId, sequence: int, *seeds: str) -> str:
    """An id that sorts by time within its role."""
    digest = hashlib.sha256("\n".join((str(document), str(sequence), *seeds)).encode()).hexdigest()
    return f"{role_name}/{at.astimezone(UTC).strftime(_TIME_FORM)}-{digest[:8]}"


def split_change_id(text: str) -> tuple[str, str]:
    """The name of the role, and the key of the change within it. Raises MalformedRecord for any other text."""
    role_name, slash, key = text.partition("/")
    if not slash or not _ROLE_NAME.fullmatch(role_name) or not _KEY.fullmatch(key):
        raise MalformedRecord(
            f"{text!r} is not the id of a change. It looks like head-node/20260304T100020123456Z-1a2b3c4d; "
            "`remediator history` lists them"
        )
    return role_name, key


def intended_of(key: str) -> datetime:
    """When the change of that key was intended."""
    return datetime.strptime(key.partition("-")[0], _TIME_FORM).replace(tzinfo=UTC)


def time_key(at: datetime) -> str:
    """What the keys of all changes that were intended at or after that time are not less than."""
    return at.astimezone(UTC).strftime(_TIME_FORM)


def settlement(change: Change, now: Reading[Json]) -> tuple[ChangeState, str]:
    """What became of an interrupted change, by what its document is now; with a sentence for people.

    Raises nothing: where the document cannot be read, the change stays INTENDED, and is checked again.
    """
    match now:
        case Unreadable(why=why):
            return ChangeState.INTENDED, why
        case Absent():
            current = None
        case Present(value=value):
            current = value
        case _ as never:
            assert_never(never)
    if same_document(current, change.after):
        return ChangeState.COMPLETED, "It was interrupted after it was written, before it was reported."
    if same_document(current, change.before):
        return (
            ChangeState.UNKNOWN,
            "It was interrupted: it was never written, or has been undone since, or AWS does not show it yet.",
        )
    return ChangeState.SUPERSEDED, "It was interrupted, and another principal has changed the document since."


def head_json(change: Change) -> str:
    """All of the change but its documents, its state and what came of it, as one line of JSON."""
    head = {
        "format": FORMAT,
        "kind": change.kind,
        "document": asdict(change.document),
        "account": change.account,
        "role_id": change.role_id,
        "role_arn": change.role_arn,
        "cloud": change.cloud,
        "findings": [[finding.code, finding.subject] for finding in change.findings],
        "causes": [asdict(cause) for cause in change.causes],
        "code_version": change.code_version,
        "intended_at": change.intended_at.isoformat(),
    }
    return json.dumps(head, separators=(",", ":"))


def documents_json(change: Change) -> str:
    """The documents of the change, as one line of JSON."""
    return json.dumps({"before": change.before, "after": change.after}, separators=(",", ":"))


def parse_change(
    change_id: str,
    head: str,
    *,
    documents: str | None = None,
    state: str,
    why: str = "",
    concluded_at: str | None = None,
) -> Change:
    """The change that ``head_json`` and ``documents_json`` wrote; without ``documents`` both of them are None.

    Raises MalformedRecord for anything else.
    """
    role_name, _ = split_change_id(change_id)

    def read(fields: Fields) -> Change:
        kept = Fields({"before": None, "after": None} if documents is None else json.loads(documents))
        return Change(
            change_id=change_id,
            kind=ChangeKind(fields.text("kind")),
            document=fields.read("document", _document_id),
            before=kept.document("before"),
            after=kept.document("after"),
            account=fields.text("account"),
            role_name=role_name,
            role_id=fields.text("role_id"),
            role_arn=fields.text("role_arn"),
            cloud=fields.text_or_none("cloud"),
            findings=tuple(Finding(FindingCode(code), subject) for code, subject in fields.pairs("findings")),
            causes=fields.each("causes", read_cause),
            code_version=fields.text("code_version"),
            intended_at=datetime.fromisoformat(fields.text("intended_at")),
            state=ChangeState(state),
            why=why,
            concluded_at=None if concluded_at is None else datetime.fromisoformat(concluded_at),
        )

    return read_message(head, f"change {change_id}", FORMAT, read, MalformedRecord)


def _document_id(fields: Fields) -> DocumentId:
    return DocumentId(
        kind=DocumentKind(fields.text("kind")),
        name=fields.text("name", may_be_empty=True),
        account=fields.text_or_none("account"),
        region=fields.text_or_none("region"),
        path=fields.text_or_none("path"),
    )
