"""The table of every change that the remediator makes, of the role records, and of how much was written lately."""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from remediator.core.alerts.window import window_of
from remediator.core.history.change import (
    Change,
    ChangeKind,
    ChangeState,
    documents_json,
    head_json,
    intended_of,
    parse_change,
    split_change_id,
    time_key,
)
from remediator.core.history.role_record import RoleRecord, parse_role_record, role_record_json
from remediator.errors import MalformedRecord, TransientError, WritesCapped
from remediator.gateways.table import CONDITION_FAILED, Table, epoch, text
from remediator.settings import WriteLimit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from remediator.gateways.table import Item

LISTING: Final = "Listing"
"""The index of all changes, and of the roles with something open, by ``listed`` and ``at``."""

_CHANGES: Final = "changes"
_UNSETTLED: Final = "unsettled"

_PART_BYTES: Final = 350_000
"""How much of a change goes into one item, which holds 400 KB, the names of its attributes included.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items
"""

_HEAD: Final = "pk, sk, head, #state, why, concluded_at"
_COUNTED_LONGER: Final = timedelta(days=1)


class HistoryTable:
    """The history as the flows, the sweep and people at a terminal see it.

    Changes and memories of a role are together under ``ROLE#<name>``; the writes of each window are counted under
    ``WRITES``. ``limit`` is how many writes may be made, ``keep_days`` how long a change is kept. Every method raises
    any AwsError, and MalformedRecord for what cannot be read: it is never taken for nothing.
    """

    def __init__(self, client: DynamoDBClient, table: str, *, limit: WriteLimit, keep_days: int) -> None:
        self._table = Table(client, table)
        self._limit = limit
        self._keep = timedelta(days=keep_days)

    def read_role_record(self, role_name: str) -> RoleRecord:
        """What is remembered of the role, with the ids of its open changes, in one call; empty where nothing is.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
        """
        item = self._table.item(_role_record_key(role_name))
        if item is None:
            return RoleRecord()
        try:
            return _role_record_of(item)
        except MalformedRecord as error:
            raise MalformedRecord(f"what is remembered of role {role_name} cannot be read: {error}") from error

    def write_role_record(self, role_name: str, role_record: RoleRecord) -> None:
        """Replace what is remembered of the role, if it is still what ``memory`` was made from.

        The ids of its open changes stay as they are. One call, or two where the role has open changes and nothing else
        that is open. Raises TransientError where somebody else wrote in the meantime.
        """
        key = _role_record_key(role_name)
        written = "SET memory = :memory, version = :next"
        values: dict[str, AttributeValueTypeDef] = {
            ":memory": {"S": role_record_json(role_record)},
            ":next": {"N": str(role_record.version + 1)},
        }
        unchanged = "attribute_not_exists(version)"
        if role_record.version:
            unchanged = "version = :read"
            values[":read"] = {"N": str(role_record.version)}
        if role_record.is_pending:
            listed = f"{written}, pending = :yes, listed = :list, #at = :role"
            values |= {":yes": {"BOOL": True}, **_listed(role_name)}
            is_written = self._table.update(key, listed, values, condition=unchanged) is not None
        else:
            last = f"{unchanged} AND attribute_not_exists(#open)"
            is_written = (
                self._table.update(key, f"{written} REMOVE pending, listed, #at", values, condition=last) is not None
                or self._table.update(key, f"{written} REMOVE pending", values, condition=unchanged) is not None
            )
        if not is_written:
            raise TransientError(
                "dynamodb:UpdateItem",
                CONDITION_FAILED,
                f"what is remembered of role {role_name} was changed by another principal after it was read",
            )

    def intend(self, change: Change) -> None:
        """Record a change that is about to be made, as open, and count it towards the limit of writes.

        It is counted first and by a call of its own: a transaction on the one counter would be in conflict with that of
        every other role. What is counted and then not recorded lets less be written, never more. An undo by an operator
        counts and is never put on hold. Recording it is one transaction, which the SDK may send again without harm.
        Raises WritesCapped where no more may be written within this window.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        self._count(change)
        role_name, key = split_change_id(change.change_id)
        expires: AttributeValueTypeDef = epoch(change.intended_at + self._keep)
        head = head_json(change)
        documents = gzip.compress(documents_json(change).encode(), mtime=0)
        item: dict[str, AttributeValueTypeDef] = {
            "pk": {"S": _role(role_name)},
            "sk": {"S": f"CHANGE#{key}"},
            "listed": {"S": _CHANGES},
            "at": {"S": f"{key}/{role_name}"},
            "head": {"S": head},
            "state": {"S": change.state},
            "expires": expires,
        }
        if len(documents) + len(head) <= _PART_BYTES:
            item["documents"] = {"B": documents}
        else:
            parts = [documents[start : start + _PART_BYTES] for start in range(0, len(documents), _PART_BYTES)]
            for number, part in enumerate(parts, start=1):
                sk = f"{_parts_of(key)}{number:04}"
                self._table.put({"pk": item["pk"], "sk": {"S": sk}, "documents": {"B": part}, "expires": expires})
            item["parts"] = {"N": str(len(parts))}
        self._table.add(
            item,
            _role_record_key(role_name),
            "ADD #open :this SET listed = :list, #at = :role",
            {":this": {"SS": [change.change_id]}, **_listed(role_name)},
            name=f"change {change.change_id}",
        )

    def conclude(self, change_id: str, state: ChangeState, why: str, at: datetime) -> None:
        """Say what came of a change, if that is not known yet; it is still open.

        One that was not made does not count towards the limit of writes any more, which takes a second call.
        """
        role_name, key = split_change_id(change_id)
        concluded = self._table.update(
            _key(role_name, f"CHANGE#{key}"),
            "SET #state = :state, why = :why, concluded_at = :at",
            {
                ":state": {"S": state},
                ":why": {"S": why},
                ":at": {"S": at.astimezone(UTC).isoformat()},
                ":intended": {"S": ChangeState.INTENDED},
            },
            condition="#state = :intended",
        )
        if concluded is not None and state is ChangeState.NOT_WRITTEN:
            window, _ = self._window(intended_of(key))
            less: Item = {":less": {"N": "-1"}, ":none": {"N": "0"}}
            self._table.update(window, "ADD writes :less", less, condition="writes > :none")

    def close(self, change_id: str) -> None:
        """Take a change out of those that are open; that it is none of them is no error.

        One call, or two where the role has something else that is open. A role that nothing is open of any more is not
        listed any more; only two changes that are closed at the very same moment may leave it listed until its next
        change or memory.
        """
        role_name, _ = split_change_id(change_id)
        role_record = _role_record_key(role_name)
        this: dict[str, AttributeValueTypeDef] = {":id": {"S": change_id}, ":this": {"SS": [change_id]}}
        last = "contains(#open, :id) AND size(#open) = :one AND attribute_not_exists(pending)"
        closed = self._table.update(
            role_record, "DELETE #open :this REMOVE listed, #at", {**this, ":one": {"N": "1"}}, condition=last
        )
        if closed is None:
            self._table.update(role_record, "DELETE #open :this", this, condition="contains(#open, :id)")

    def read_change(self, change_id: str) -> Change | None:
        """The change with its documents; None where there is none of that id (any more)."""
        role_name, key = split_change_id(change_id)
        item = self._table.item(_key(role_name, f"CHANGE#{key}"))
        if item is None:
            return None
        compressed = item.get("documents", {}).get("B")
        if compressed is None:
            compressed = self._parts(change_id, _number(item, "parts"))
        try:
            documents = gzip.decompress(compressed).decode()
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise MalformedRecord(f"the documents of change {change_id} cannot be read: {error}") from error
        return _change(item, documents)

    def changes_since(self, role_name: str, since: datetime) -> tuple[Change, ...]:
        """The changes of the role that were intended at or after that time, oldest first, without their documents.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
        """
        found = self._table.query(
            "pk = :role AND sk BETWEEN :first AND :last",
            {
                ":role": {"S": _role(role_name)},
                ":first": {"S": f"CHANGE#{time_key(since)}"},
                ":last": {"S": "CHANGE#~"},
            },
            ProjectionExpression=_HEAD,
            ConsistentRead=True,
        )
        return tuple(_change(item) for item in found)

    def list_changes(self, role_name: str | None = None, *, most: int) -> tuple[Change, ...]:
        """The last changes of the role, or of all, newest first and ``most`` at most, without their documents.

        Those of all are read from the index, which may be a moment behind.
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
        """
        newest: dict[str, Any] = {
            "ProjectionExpression": _HEAD,
            "ScanIndexForward": False,
            "PaginationConfig": {"MaxItems": most, "PageSize": most},
        }
        if role_name is None:
            found = self._table.query("listed = :list", {":list": {"S": _CHANGES}}, IndexName=LISTING, **newest)
        else:
            of_role: Item = {":role": {"S": _role(role_name)}, ":change": {"S": "CHANGE#"}}
            condition = "pk = :role AND begins_with(sk, :change)"
            found = self._table.query(condition, of_role, ConsistentRead=True, **newest)
        return tuple(_change(item) for item in found)

    def pending_roles(self) -> tuple[str, ...]:
        """The roles that must be checked even if nothing happens, by name: something is open of each.

        They are read from the index, which may be a moment behind, and may name a role that is resolved now.
        """
        unsettled: Item = {":list": {"S": _UNSETTLED}}
        found = self._table.query("listed = :list", unsettled, IndexName=LISTING, ProjectionExpression="pk")
        return tuple(text(item, "pk").removeprefix(_role("")) for item in found)

    def limit_was_reported(self, at: datetime) -> bool:
        """Whether people know that no more may be written within the window of that time."""
        window, _ = self._window(at)
        item = self._table.item(window)
        return item is not None and "told" in item

    def note_limit_reported(self, at: datetime) -> None:
        """Note that people know that no more may be written within the window of that time."""
        window, expires = self._window(at)
        self._table.update(window, "SET told = :yes, expires = :expires", {":yes": {"BOOL": True}, ":expires": expires})

    def _count(self, change: Change) -> None:
        window, expires = self._window(change.intended_at)
        values: dict[str, AttributeValueTypeDef] = {":one": {"N": "1"}, ":expires": expires}
        condition = ""
        if change.kind is not ChangeKind.UNDO:
            condition = "attribute_not_exists(writes) OR writes < :limit"
            values[":limit"] = {"N": str(self._limit.writes)}
        counted = self._table.update(window, "ADD writes :one SET expires = :expires", values, condition=condition)
        if counted is None:
            raise WritesCapped(
                f"{self._limit.writes} writes have been made within the {self._limit.minutes} minutes from "
                f"{text(window, 'sk')}, as many as the configuration allows, and nothing more is written before they "
                "are over"
            )

    def _window(self, at: datetime) -> tuple[Item, AttributeValueTypeDef]:
        """The key of the window of writes that a time lies in, and when its count may be deleted."""
        window = window_of(at, self._limit.minutes)
        key: Item = {"pk": {"S": "WRITES"}, "sk": {"S": window.start.isoformat()}}
        return key, epoch(window.end + _COUNTED_LONGER)

    def _parts(self, change_id: str, count: int) -> bytes:
        role_name, key = split_change_id(change_id)
        found = self._table.query(
            "pk = :role AND begins_with(sk, :part)",
            {":role": {"S": _role(role_name)}, ":part": {"S": _parts_of(key)}},
            ConsistentRead=True,
        )
        if [text(item, "sk") for item in found] != [f"{_parts_of(key)}{number:04}" for number in range(1, count + 1)]:
            raise MalformedRecord(f"of the {count} parts of change {change_id}, not all are there")
        return b"".join(item.get("documents", {}).get("B", b"") for item in found)


def _change(item: Item, documents: str | None = None) -> Change:
    change_id = f"{text(item, 'pk').removeprefix(_role(''))}/{text(item, 'sk').removeprefix('CHANGE#')}"
    return parse_change(
        change_id,
        text(item, "head"),
        documents=documents,
        state=text(item, "state"),
        why=item.get("why", {}).get("S", ""),
        concluded_at=item.get("concluded_at", {}).get("S"),
    )


def _role_record_of(item: Item) -> RoleRecord:
    open_changes = tuple(sorted(_texts(item, "open"))) if "open" in item else ()
    if "memory" not in item and "version" not in item:
        return RoleRecord(open_changes=open_changes)
    return parse_role_record(text(item, "memory"), open_changes=open_changes, version=_number(item, "version"))


def _role(role_name: str) -> str:
    return f"ROLE#{role_name}"


def _key(role_name: str, sk: str) -> Item:
    return {"pk": {"S": _role(role_name)}, "sk": {"S": sk}}


def _role_record_key(role_name: str) -> Item:
    return _key(role_name, "MEMORY")


def _parts_of(key: str) -> str:
    return f"PART#{key}#"


def _listed(role_name: str) -> dict[str, AttributeValueTypeDef]:
    return {":list": {"S": _UNSETTLED}, ":role": {"S": role_name}}


def _texts(item: Item, name: str) -> tuple[str, ...]:
    texts = item.get(name, {}).get("SS")
    if texts is None:
        raise MalformedRecord(f"`{name}` of a record of the history is missing, or no set of texts")
    return tuple(texts)


def _number(item: Item, name: str) -> int:
    text = item.get(name, {}).get("N", "")
    if not text.isdecimal():
        raise MalformedRecord(f"`{name}` of a record of the history is missing, or no whole number")
    return int(text)
