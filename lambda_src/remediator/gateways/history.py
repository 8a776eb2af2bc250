"""The table of every change that we make, of what is remembered of roles, and of how much was written lately."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
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
from remediator.core.history.role_record import RoleMemory, memory_json, parse_memory
from remediator.errors import (
    AwsError,
    MalformedRecord,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownAwsError,
    WritesCapped,
)
from remediator.gateways.aws_errors import ERROR_CLASSES, translated
from remediator.settings import WriteLimit

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

LISTING: Final = "Listing"
"""The index of all changes, and of the roles with something open, by ``listed`` and ``at``."""

_CHANGES: Final = "changes"
_UNSETTLED: Final = "unsettled"

_PART_BYTES: Final = 350_000
"""How much of a change goes into one item, which holds 400 KB, the names of its attributes included.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items
"""

_CONDITION_FAILED: Final = "ConditionalCheckFailedException"

# Words that expressions reserve, and so can only mean by another name.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
_NAMES: Final = {"#at": "at", "#open": "open", "#state": "state"}

_HEAD: Final = "pk, sk, head, #state, why, concluded_at"
_COUNTED_LONGER: Final = timedelta(days=1)


class HistoryTable:
    """The history as the flows, the sweep and people at a terminal see it.

    Changes and memories of a role are together under ``ROLE#<name>``; the writes of each window are counted under
    ``WRITES``. ``limit`` is how many writes may be made, ``keep_days`` how long a change is kept. Every method raises
    any AwsError, and MalformedRecord for what cannot be read: it is never taken for nothing.
    """

    def __init__(self, client: DynamoDBClient, table: str, *, limit: WriteLimit, keep_days: int) -> None:
        self._client = client
        self._table = table
        self._limit = limit
        self._keep = timedelta(days=keep_days)

    def read_memory(self, role_name: str) -> RoleMemory:
        """What is remembered of the role, with the ids of its open changes, in one call; empty where nothing is.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
        """
        item = self._item(_memory_key(role_name))
        if item is None:
            return RoleMemory()
        try:
            return _memory(item)
        except MalformedRecord as error:
            raise MalformedRecord(f"what is remembered of role {role_name} cannot be read: {error}") from error

    def write_memory(self, role_name: str, memory: RoleMemory) -> None:
        """Replace what is remembered of the role, if it is still what ``memory`` was made from.

        The ids of its open changes stay as they are. One call, or two where the role has open changes and nothing else
        that is open. Raises TransientError where somebody else wrote in the meantime.
        """
        written = "SET memory = :memory, version = :next"
        values: dict[str, AttributeValueTypeDef] = {
            ":memory": {"S": memory_json(memory)},
            ":next": {"N": str(memory.version + 1)},
        }
        unchanged = "attribute_not_exists(version)"
        if memory.version:
            unchanged = "version = :read"
            values[":read"] = {"N": str(memory.version)}
        key = _memory_key(role_name)
        if memory.is_unsettled:
            was_written = self._update(
                key,
                f"{written}, unsettled = :yes, listed = :list, #at = :role",
                unchanged,
                {**values, ":yes": {"BOOL": True}, **_listed(role_name)},
            )
        else:
            was_written = self._update(
                key,
                f"{written} REMOVE unsettled, listed, #at",
                f"{unchanged} AND attribute_not_exists(#open)",
                values,
            ) or self._update(key, f"{written} REMOVE unsettled", unchanged, values)
        if not was_written:
            raise TransientError(
                "dynamodb:UpdateItem",
                _CONDITION_FAILED,
                f"what is remembered of role {role_name} was changed by somebody else after it was read",
            )

    def intend(self, change: Change) -> None:
        """Record a change that is about to be made, as open, and count it towards the limit of writes.

        It is counted first and by a call of its own: a transaction on the one counter would be in conflict with that of
        every other role. What is counted and then not recorded lets less be written, never more. What a person undoes
        is counted and never held back. Recording it is one transaction, which the SDK may send again without harm.
        Raises WritesCapped where no more may be written within this window.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        self._count(change)
        role_name, key = split_change_id(change.change_id)
        expires: AttributeValueTypeDef = _epoch(change.intended_at + self._keep)
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
                self._put({"pk": item["pk"], "sk": {"S": sk}, "documents": {"B": part}, "expires": expires})
            item["parts"] = {"N": str(len(parts))}
        self._record(change.change_id, item)

    def conclude(self, change_id: str, state: ChangeState, why: str, at: datetime) -> None:
        """Say what came of a change, if that is not known yet; it is still open.

        One that was not made does not count towards the limit of writes any more, which takes a second call.
        """
        role_name, key = split_change_id(change_id)
        is_new = self._update(
            _key(role_name, f"CHANGE#{key}"),
            "SET #state = :state, why = :why, concluded_at = :at",
            "#state = :intended",
            {
                ":state": {"S": state},
                ":why": {"S": why},
                ":at": {"S": at.astimezone(UTC).isoformat()},
                ":intended": {"S": ChangeState.INTENDED},
            },
        )
        if is_new and state is ChangeState.NOT_WRITTEN:
            start, _ = self._window(intended_of(key))
            self._update(
                {"pk": {"S": "WRITES"}, "sk": {"S": start}},
                "ADD writes :less",
                "writes > :none",
                {":less": {"N": "-1"}, ":none": {"N": "0"}},
            )

    def close(self, change_id: str) -> None:
        """Take a change out of those that are open; that it is none of them is no error.

        One call, or two where the role has something else that is open. A role that nothing is open of any more is not
        listed any more; only two changes that are closed at the very same moment may leave it listed until its next
        change or memory.
        """
        role_name, _ = split_change_id(change_id)
        memory = _memory_key(role_name)
        this: dict[str, AttributeValueTypeDef] = {":id": {"S": change_id}, ":this": {"SS": [change_id]}}
        last = "contains(#open, :id) AND size(#open) = :one AND attribute_not_exists(unsettled)"
        if not self._update(memory, "DELETE #open :this REMOVE listed, #at", last, {**this, ":one": {"N": "1"}}):
            self._update(memory, "DELETE #open :this", "contains(#open, :id)", this)

    def read_change(self, change_id: str) -> Change | None:
        """The change with its documents; None where there is none of that id (any more)."""
        role_name, key = split_change_id(change_id)
        item = self._item(_key(role_name, f"CHANGE#{key}"))
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
        found = self._query(
            KeyConditionExpression="pk = :role AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":role": {"S": _role(role_name)},
                ":first": {"S": f"CHANGE#{time_key(since)}"},
                ":last": {"S": "CHANGE#~"},
            },
            ExpressionAttributeNames={"#state": "state"},
            ProjectionExpression=_HEAD,
            ConsistentRead=True,
        )
        return tuple(_change(item) for item in found)

    def list_changes(self, role_name: str | None = None, *, most: int) -> tuple[Change, ...]:
        """The last changes of the role, or of all, newest first and ``most`` at most, without their documents.

        Those of all are read from the index, which may be a moment behind.
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
        """
        which: dict[str, Any] = {
            "IndexName": LISTING,
            "KeyConditionExpression": "listed = :list",
            "ExpressionAttributeValues": {":list": {"S": _CHANGES}},
        }
        if role_name is not None:
            which = {
                "KeyConditionExpression": "pk = :role AND begins_with(sk, :change)",
                "ExpressionAttributeValues": {":role": {"S": _role(role_name)}, ":change": {"S": "CHANGE#"}},
                "ConsistentRead": True,
            }
        found = self._query(
            **which,
            ExpressionAttributeNames={"#state": "state"},
            ProjectionExpression=_HEAD,
            ScanIndexForward=False,
            PaginationConfig={"MaxItems": most, "PageSize": most},
        )
        return tuple(_change(item) for item in found)

    def unsettled_roles(self) -> tuple[str, ...]:
        """The roles that must be looked at even if nothing happens, by name: something is open of each.

        They are read from the index, which may be a moment behind, and may name a role that is settled by now.
        """
        found = self._query(
            IndexName=LISTING,
            KeyConditionExpression="listed = :list",
            ExpressionAttributeValues={":list": {"S": _UNSETTLED}},
            ProjectionExpression="pk",
        )
        return tuple(_text(item, "pk").removeprefix(_role("")) for item in found)

    def is_limit_told(self, at: datetime) -> bool:
        """Whether people know that no more may be written within the window of that time."""
        start, _ = self._window(at)
        item = self._item({"pk": {"S": "WRITES"}, "sk": {"S": start}})
        return item is not None and "told" in item

    def note_limit_told(self, at: datetime) -> None:
        """Note that people know that no more may be written within the window of that time."""
        start, expires = self._window(at)
        self._update(
            {"pk": {"S": "WRITES"}, "sk": {"S": start}},
            "SET told = :yes, expires = :expires",
            None,
            {":yes": {"BOOL": True}, ":expires": expires},
        )

    def _count(self, change: Change) -> None:
        start, expires = self._window(change.intended_at)
        key: Item = {"pk": {"S": "WRITES"}, "sk": {"S": start}}
        counted = "ADD writes :one SET expires = :expires"
        values: dict[str, AttributeValueTypeDef] = {":one": {"N": "1"}, ":expires": expires}
        condition = None
        if change.kind is not ChangeKind.UNDO:
            condition = "attribute_not_exists(writes) OR writes < :limit"
            values[":limit"] = {"N": str(self._limit.writes)}
        if not self._update(key, counted, condition, values):
            raise WritesCapped(
                f"{self._limit.writes} writes have been made within the {self._limit.minutes} minutes from {start}, as "
                "many as the configuration allows, and nothing more is written before they are over"
            )

    def _window(self, at: datetime) -> tuple[str, AttributeValueTypeDef]:
        """The beginning of the window of writes that a time lies in, and when its count may be deleted."""
        window = window_of(at, self._limit.minutes)
        return window.start.isoformat(), _epoch(window.end + _COUNTED_LONGER)

    def _record(self, change_id: str, item: Item) -> None:
        role_name, _ = split_change_id(change_id)
        with translated("dynamodb:TransactWriteItems"):
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        {
                            "Put": {
                                "TableName": self._table,
                                "Item": item,
                                "ConditionExpression": "attribute_not_exists(pk)",
                            }
                        },
                        {
                            "Update": {
                                "TableName": self._table,
                                "Key": _memory_key(role_name),
                                "UpdateExpression": "ADD #open :this SET listed = :list, #at = :role",
                                "ExpressionAttributeNames": {"#open": "open", "#at": "at"},
                                "ExpressionAttributeValues": {":this": {"SS": [change_id]}, **_listed(role_name)},
                            }
                        },
                    ]
                )
            except self._client.exceptions.TransactionCanceledException as error:
                raise _cancelled(change_id, error) from error

    def _parts(self, change_id: str, count: int) -> bytes:
        role_name, key = split_change_id(change_id)
        found = self._query(
            KeyConditionExpression="pk = :role AND begins_with(sk, :part)",
            ExpressionAttributeValues={":role": {"S": _role(role_name)}, ":part": {"S": _parts_of(key)}},
            ConsistentRead=True,
        )
        if [_text(item, "sk") for item in found] != [f"{_parts_of(key)}{number:04}" for number in range(1, count + 1)]:
            raise MalformedRecord(f"of the {count} parts of change {change_id}, not all are there")
        return b"".join(item.get("documents", {}).get("B", b"") for item in found)

    def _item(self, key: Item) -> Item | None:
        with translated("dynamodb:GetItem"):
            return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _put(self, item: Item) -> None:
        with translated("dynamodb:PutItem"):
            self._client.put_item(TableName=self._table, Item=item)

    def _query(self, **query: Any) -> tuple[Item, ...]:  # noqa: ANN401 - the SDK's own arguments
        with translated("dynamodb:Query"):
            pages = self._client.get_paginator("query").paginate(TableName=self._table, **query)
            return tuple(item for page in pages for item in page["Items"])

    def _update(
        self, key: Item, expression: str, condition: str | None, values: Mapping[str, AttributeValueTypeDef]
    ) -> bool:
        """Change an item, or make it; False where the condition does not hold.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
        """
        used = {short: name for short, name in _NAMES.items() if short in f"{expression} {condition}"}
        further: Any = {
            **({"ConditionExpression": condition} if condition else {}),
            **({"ExpressionAttributeNames": used} if used else {}),
            **({"ExpressionAttributeValues": values} if values else {}),
        }
        try:
            with translated("dynamodb:UpdateItem"):
                self._client.update_item(
                    TableName=self._table,
                    Key=key,
                    UpdateExpression=expression,
                    **further,
                )
        except RejectedError as error:
            if error.code == _CONDITION_FAILED:
                return False
            raise
        return True


def _cancelled(change_id: str, error: ClientError) -> AwsError:
    """Why a transaction was not made, by the reasons of its items: one that trying again can help, if there is any."""
    reasons = [
        (str(each.get("Code")), str(each.get("Message"))) for each in error.response.get("CancellationReasons", ())
    ]
    kinds = [(ERROR_CLASSES.get(code, UnknownAwsError), code, why) for code, why in reasons if code != "None"]
    kinds.sort(key=lambda each: not issubclass(each[0], TransientError))
    kind, code, why = (
        kinds[0] if kinds else (ThrottledError, "TransactionCanceledException", "DynamoDB gives no reason")
    )
    return kind("dynamodb:TransactWriteItems", code, f"change {change_id} is not recorded: {why}")


def _change(item: Item, documents: str | None = None) -> Change:
    change_id = f"{_text(item, 'pk').removeprefix(_role(''))}/{_text(item, 'sk').removeprefix('CHANGE#')}"
    return parse_change(
        change_id,
        _text(item, "head"),
        documents=documents,
        state=_text(item, "state"),
        why=item.get("why", {}).get("S", ""),
        concluded_at=item.get("concluded_at", {}).get("S"),
    )


def _memory(item: Item) -> RoleMemory:
    open_changes = tuple(sorted(_texts(item, "open"))) if "open" in item else ()
    if "memory" not in item and "version" not in item:
        return RoleMemory(open_changes=open_changes)
    return parse_memory(_text(item, "memory"), open_changes=open_changes, version=_number(item, "version"))


def _role(role_name: str) -> str:
    return f"ROLE#{role_name}"


def _key(role_name: str, sk: str) -> Item:
    return {"pk": {"S": _role(role_name)}, "sk": {"S": sk}}


def _memory_key(role_name: str) -> Item:
    return _key(role_name, "MEMORY")


def _parts_of(key: str) -> str:
    return f"PART#{key}#"


def _listed(role_name: str) -> dict[str, AttributeValueTypeDef]:
    return {":list": {"S": _UNSETTLED}, ":role": {"S": role_name}}


def _epoch(at: datetime) -> AttributeValueTypeDef:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-before-you-start.html."""
    return {"N": str(int(at.timestamp()))}


def _text(item: Item, name: str) -> str:
    text = item.get(name, {}).get("S")
    if text is None:
        raise MalformedRecord(f"`{name}` of a record of the history is missing, or no text")
    return text


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
