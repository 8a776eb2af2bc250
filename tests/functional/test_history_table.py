"""The table of the history: what was recorded is read back, whoever writes at the same time and whatever is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.history.role_record import Conflict, Incident, RoleRecord
from remediator.errors import (
    AwsError,
    DeniedError,
    MalformedRecord,
    NotFoundError,
    QuotaError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownAwsError,
    WritesCapped,
)
from remediator.gateways.aws_errors import ERROR_CLASSES
from remediator.gateways.history import HistoryTable
from remediator.settings import WriteLimit
from tests.functional.world import TABLE, create_history_table
from tests.unit.history.changes import NOW, TRUST_MISSING, a_change

ROLE = "head-node"
LATER = NOW + timedelta(seconds=3)
INCIDENT = Incident("incident-1", "fingerprint-1", NOW, alerted=True)
CONTEST = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ("Terraform (role ci)",), events=2)
SETTLED = RoleRecord(role_id="AROAEXAMPLEHEADNODE01", alerts=(("fingerprint-1", NOW),))
UNSETTLED = replace(SETTLED, incident=INCIDENT)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        client: Any = boto3.client("dynamodb")
        create_history_table(client)
        yield client


@pytest.fixture
def history(dynamodb: Any) -> HistoryTable:
    return table(dynamodb)


def table(client: Any, *, writes: int = 500, minutes: int = 60, days: int = 400) -> HistoryTable:
    return HistoryTable(client, TABLE, limit=WriteLimit(writes, minutes), keep_days=days)


def of_role(name: str, change: Change) -> Change:
    """The same change, of another role."""
    return replace(change, role_name=name, change_id=change.change_id.replace(change.role_name, name, 1))


def without_documents(change: Change) -> Change:
    return replace(change, before=None, after=None)


def items(client: Any, beginning: str = "") -> dict[str, Any]:
    """The items of the table, by their sort keys."""
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    found = {item["sk"]["S"]: item for page in pages for item in page["Items"]}
    return {sk: item for sk, item in found.items() if sk.startswith(beginning)}


def damage(client: Any, sk: str, **attributes: Any) -> None:
    """Overwrite attributes of an item; None takes one away."""
    (item,) = items(client, sk).values()
    kept = {name: value for name, value in {**item, **attributes}.items() if value is not None}
    client.put_item(TableName=TABLE, Item=kept)


class TestChanges:
    def test_a_change_is_read_back_as_it_was_intended(self, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        assert history.read_change(change.change_id) == change

    def test_what_came_of_it_is_read_back_too(self, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        history.conclude(change.change_id, ChangeState.UNCONFIRMED, "Reading it back failed.", LATER)
        assert history.read_change(change.change_id) == replace(
            change, state=ChangeState.UNCONFIRMED, why="Reading it back failed.", concluded_at=LATER
        )

    def test_a_change_that_is_not_there_is_none(self, history: HistoryTable) -> None:
        assert history.read_change(a_change().change_id) is None

    @pytest.mark.parametrize("text", ["", "head-node", "head-node/1", "../x/20260304T100020000000Z-1a2b3c4d"])
    def test_what_is_no_id_of_a_change_is_refused(self, history: HistoryTable, text: str) -> None:
        with pytest.raises(MalformedRecord, match="is not the id of a change"):
            history.read_change(text)
        with pytest.raises(MalformedRecord, match="is not the id of a change"):
            history.conclude(text, ChangeState.COMPLETED, "", NOW)

    def test_a_second_conclusion_changes_nothing(self, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        history.conclude(change.change_id, ChangeState.COMPLETED, "", LATER)
        history.conclude(change.change_id, ChangeState.SUPERSEDED, "Somebody else.", LATER + timedelta(days=1))
        assert history.read_change(change.change_id) == replace(change, state=ChangeState.COMPLETED, concluded_at=LATER)

    def test_concluding_what_was_never_intended_leaves_no_trace(self, dynamodb: Any, history: HistoryTable) -> None:
        history.conclude(a_change().change_id, ChangeState.SUPERSEDED, "Its record is gone.", NOW)
        assert items(dynamodb) == {}

    def test_a_change_is_kept_as_long_as_configured(self, dynamodb: Any) -> None:
        table(dynamodb, days=30).intend(a_change())
        (item,) = items(dynamodb, "CHANGE#").values()
        assert item["expires"] == {"N": str(int((NOW + timedelta(days=30)).timestamp()))}
        assert "expires" not in items(dynamodb)["MEMORY"]

    def test_the_same_change_is_not_intended_twice(self, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        history.conclude(change.change_id, ChangeState.COMPLETED, "", LATER)
        history.close(change.change_id)
        with pytest.raises(RejectedError, match=f"change {change.change_id} is not recorded"):
            history.intend(change)
        assert history.read_role_record(ROLE).open_changes == ()
        assert history.read_change(change.change_id) == replace(change, state=ChangeState.COMPLETED, concluded_at=LATER)

    @pytest.mark.parametrize(
        "damaged",
        [
            {"head": {"S": "{}"}},
            {"head": None},
            {"head": {"B": b"{}"}},
            {"state": {"S": "unheard-of"}},
            {"state": None},
            {"documents": {"B": b"not compressed"}},
            {"documents": {"B": b"\x1f\x8b\x08\x00"}},
            {"documents": None},
            {"documents": None, "parts": {"N": "-1"}},
            {"concluded_at": {"S": "yesterday"}},
        ],
    )
    def test_a_record_that_cannot_be_read_is_no_change_and_not_none(
        self, dynamodb: Any, history: HistoryTable, damaged: dict[str, Any]
    ) -> None:
        change = a_change()
        history.intend(change)
        damage(dynamodb, "CHANGE#", **damaged)
        with pytest.raises(MalformedRecord):
            history.read_change(change.change_id)


class TestLargeDocuments:
    @pytest.fixture
    def large(self) -> Change:
        noise = hashlib.shake_256(b"noise").hexdigest(450_000)
        return a_change(before={"Version": "2012-10-17", "Statement": [{"Sid": noise}]}, after={"Sid": noise[::-1]})

    def test_documents_larger_than_an_item_are_read_back(
        self, dynamodb: Any, history: HistoryTable, large: Change
    ) -> None:
        history.intend(large)
        history.conclude(large.change_id, ChangeState.COMPLETED, "", LATER)
        assert len(items(dynamodb, "PART#")) > 1
        assert history.read_change(large.change_id) == replace(large, state=ChangeState.COMPLETED, concluded_at=LATER)

    def test_every_item_fits_and_is_kept_as_long_as_the_change(
        self, dynamodb: Any, history: HistoryTable, large: Change
    ) -> None:
        history.intend(large)
        parts = items(dynamodb, "PART#")
        (head,) = items(dynamodb, "CHANGE#").values()
        assert all(len(part["documents"]["B"]) < 400_000 for part in parts.values())
        assert {part["expires"]["N"] for part in parts.values()} == {head["expires"]["N"]}
        assert head["parts"] == {"N": str(len(parts))}

    def test_parts_are_no_changes(self, history: HistoryTable, large: Change) -> None:
        history.intend(large)
        assert history.list_changes(ROLE, most=10) == (without_documents(large),)
        assert history.list_changes(most=10) == (without_documents(large),)
        assert history.changes_since(ROLE, NOW) == (without_documents(large),)

    def test_documents_that_do_not_fit_beside_a_long_head_go_into_a_part(
        self, dynamodb: Any, history: HistoryTable
    ) -> None:
        noise = hashlib.shake_256(b"noise").hexdigest(150_000)
        (cause,) = a_change().causes
        change = a_change(before={"Sid": noise}, causes=(replace(cause, event_id="e" * 300_000),))
        history.intend(change)
        assert len(items(dynamodb, "PART#")) == 1
        assert history.read_change(change.change_id) == change

    def test_a_change_of_which_a_part_is_missing_cannot_be_read(
        self, dynamodb: Any, history: HistoryTable, large: Change
    ) -> None:
        history.intend(large)
        lost = list(items(dynamodb, "PART#").values())[1]
        dynamodb.delete_item(TableName=TABLE, Key={"pk": lost["pk"], "sk": lost["sk"]})
        with pytest.raises(MalformedRecord, match="not all are there"):
            history.read_change(large.change_id)

    def test_parts_are_there_before_the_change_is(self, dynamodb: Any, large: Change) -> None:
        client = boto3.client("dynamodb")

        def fail(**_: Any) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slowly"}}, "TransactWriteItems")

        client.meta.events.register("before-call.dynamodb.TransactWriteItems", fail)
        with pytest.raises(TransientError):
            table(client).intend(large)
        assert items(dynamodb, "PART#")
        assert items(dynamodb, "CHANGE#") == {}
        assert table(dynamodb).read_role_record(ROLE) == RoleRecord()


class TestListing:
    @pytest.fixture
    def changes(self, history: HistoryTable) -> list[Change]:
        """Four changes of two roles, in turn, a minute after each other."""
        made = [a_change(at=NOW + timedelta(minutes=number), sequence=number) for number in range(4)]
        made = [change if number % 2 else of_role("other-node", change) for number, change in enumerate(made)]
        for change in made:
            history.intend(change)
        return made

    def test_the_changes_of_a_role_are_those_and_no_other_newest_first(
        self, history: HistoryTable, changes: list[Change]
    ) -> None:
        assert history.list_changes(ROLE, most=10) == (without_documents(changes[3]), without_documents(changes[1]))
        assert history.list_changes("head", most=10) == ()

    def test_all_changes_are_listed_newest_first(self, history: HistoryTable, changes: list[Change]) -> None:
        assert history.list_changes(most=10) == tuple(map(without_documents, reversed(changes)))

    @pytest.mark.parametrize("role", [None, ROLE])
    def test_no_more_are_listed_than_asked_for(
        self, history: HistoryTable, changes: list[Change], role: str | None
    ) -> None:
        assert history.list_changes(role, most=1) == (without_documents(changes[3]),)

    def test_what_came_of_them_is_listed(self, history: HistoryTable, changes: list[Change]) -> None:
        history.conclude(changes[3].change_id, ChangeState.NOT_WRITTEN, "It was denied.", LATER)
        for listed in (history.list_changes(most=1), history.list_changes(ROLE, most=1)):
            assert (listed[0].state, listed[0].why) == (ChangeState.NOT_WRITTEN, "It was denied.")

    def test_the_changes_since_a_time_include_those_of_that_time_oldest_first(
        self, history: HistoryTable, changes: list[Change]
    ) -> None:
        first, second = without_documents(changes[1]), without_documents(changes[3])
        assert history.changes_since(ROLE, NOW) == (first, second)
        assert history.changes_since(ROLE, first.intended_at) == (first, second)
        assert history.changes_since(ROLE, first.intended_at + timedelta(microseconds=1)) == (second,)
        assert history.changes_since(ROLE, second.intended_at + timedelta(seconds=1)) == ()

    def test_pages_are_read_to_the_end(self, history: HistoryTable, dynamodb: Any) -> None:
        made = [a_change(at=NOW + timedelta(minutes=number), sequence=number) for number in range(12)]
        for change in made:
            history.intend(change)
        client = boto3.client("dynamodb")

        def small_pages(params: dict[str, Any], **_: Any) -> None:
            params["Limit"] = 5

        client.meta.events.register("provide-client-params.dynamodb.Query", small_pages)
        expected = tuple(map(without_documents, made))
        assert table(client).changes_since(ROLE, NOW) == expected
        assert table(client).list_changes(ROLE, most=11) == expected[:0:-1]
        assert table(client).list_changes(most=11) == expected[:0:-1]


class TestMemory:
    def test_nothing_is_remembered_of_a_role_that_was_never_seen(self, history: HistoryTable) -> None:
        assert history.read_role_record(ROLE) == RoleRecord()

    @pytest.mark.parametrize("role_record", [SETTLED, UNSETTLED, replace(SETTLED, conflict=CONTEST, counted_from=NOW)])
    def test_what_is_remembered_is_read_back_and_its_writes_are_counted(
        self, history: HistoryTable, role_record: RoleRecord
    ) -> None:
        history.write_role_record(ROLE, role_record)
        assert history.read_role_record(ROLE) == replace(role_record, version=1)
        history.write_role_record(ROLE, history.read_role_record(ROLE))
        assert history.read_role_record(ROLE) == replace(role_record, version=2)
        assert history.read_role_record("other-node") == RoleRecord()

    @pytest.mark.parametrize("ours", [SETTLED, UNSETTLED])
    @pytest.mark.parametrize("read", [0, 1])
    def test_what_somebody_else_wrote_in_the_meantime_is_not_lost(
        self, history: HistoryTable, ours: RoleRecord, read: int
    ) -> None:
        for version in range(read + 1):
            history.write_role_record(ROLE, replace(UNSETTLED, version=version, counted_from=NOW))
        with pytest.raises(TransientError, match="changed by another principal"):
            history.write_role_record(ROLE, replace(ours, version=read))
        assert history.read_role_record(ROLE) == replace(UNSETTLED, version=read + 1, counted_from=NOW)

    def test_it_is_not_written_over_what_is_gone(self, dynamodb: Any, history: HistoryTable) -> None:
        with pytest.raises(TransientError):
            history.write_role_record(ROLE, replace(SETTLED, version=3))
        assert items(dynamodb) == {}

    @pytest.mark.parametrize("role_record", [SETTLED, UNSETTLED])
    def test_writing_it_leaves_open_changes_open(self, history: HistoryTable, role_record: RoleRecord) -> None:
        change = a_change()
        history.intend(change)
        history.write_role_record(ROLE, role_record)
        assert history.read_role_record(ROLE) == replace(role_record, version=1, open_changes=(change.change_id,))

    @pytest.mark.parametrize(
        "damaged",
        [
            {"memory": {"S": "{}"}},
            {"memory": {"S": ""}},
            {"memory": {"B": b"{}"}},
            {"memory": None},
            {"version": None},
            {"version": {"S": "1"}},
            {"version": {"N": "1.5"}},
            {"open": {"S": "x"}},
        ],
    )
    def test_what_cannot_be_read_is_never_taken_for_nothing(
        self, dynamodb: Any, history: HistoryTable, damaged: dict[str, Any]
    ) -> None:
        history.write_role_record(ROLE, SETTLED)
        damage(dynamodb, "MEMORY", **damaged)
        with pytest.raises(MalformedRecord):
            history.read_role_record(ROLE)


class TestOpenChanges:
    def test_a_change_is_open_from_its_intent_until_it_is_closed(self, history: HistoryTable) -> None:
        one, two = a_change(), a_change(sequence=1)
        history.intend(one)
        history.intend(two)
        assert history.read_role_record(ROLE) == RoleRecord(open_changes=tuple(sorted((one.change_id, two.change_id))))
        history.close(one.change_id)
        assert history.read_role_record(ROLE).open_changes == (two.change_id,)
        history.close(two.change_id)
        assert history.read_role_record(ROLE) == RoleRecord()

    def test_a_change_whose_record_expired_can_still_be_closed(self, dynamodb: Any, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        (record,) = items(dynamodb, "CHANGE#").values()
        dynamodb.delete_item(TableName=TABLE, Key={"pk": record["pk"], "sk": record["sk"]})
        history.close(change.change_id)
        assert history.read_role_record(ROLE).open_changes == ()
        assert items(dynamodb, "CHANGE#") == {}

    def test_a_change_of_which_it_is_known_what_came_is_open_until_it_is_closed(self, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        history.conclude(change.change_id, ChangeState.COMPLETED, "", LATER)
        assert history.read_role_record(ROLE).open_changes == (change.change_id,)
        assert history.pending_roles() == (ROLE,)
        assert history.list_changes(most=1)[0].state is ChangeState.COMPLETED

    def test_a_change_may_be_closed_twice(self, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        for _ in range(2):
            history.close(change.change_id)
        assert history.read_role_record(ROLE) == RoleRecord()


class TestUnsettledRoles:
    def test_a_role_of_which_nothing_is_open_is_not_listed(self, history: HistoryTable) -> None:
        history.write_role_record(ROLE, SETTLED)
        assert history.pending_roles() == ()

    @pytest.mark.parametrize("role_record", [UNSETTLED, replace(SETTLED, conflict=CONTEST)])
    def test_a_role_is_listed_until_people_need_not_be_told_any_more(
        self, history: HistoryTable, role_record: RoleRecord
    ) -> None:
        history.write_role_record(ROLE, role_record)
        history.write_role_record("other-node", role_record)
        assert history.pending_roles() == (ROLE, "other-node")
        history.write_role_record(ROLE, replace(SETTLED, version=1))
        assert history.pending_roles() == ("other-node",)

    def test_a_role_is_listed_as_long_as_a_change_is_open(self, history: HistoryTable) -> None:
        one, two = a_change(), a_change(sequence=1)
        history.intend(one)
        history.intend(two)
        history.close(one.change_id)
        assert history.pending_roles() == (ROLE,)
        history.close(two.change_id)
        assert history.pending_roles() == ()

    def test_the_end_of_its_last_change_does_not_settle_what_people_believe_to_be_open(
        self, history: HistoryTable
    ) -> None:
        change = a_change()
        history.write_role_record(ROLE, UNSETTLED)
        history.intend(change)
        history.close(change.change_id)
        assert history.pending_roles() == (ROLE,)
        history.write_role_record(ROLE, replace(SETTLED, version=1))
        assert history.pending_roles() == ()

    def test_a_settled_memory_does_not_hide_an_open_change(self, history: HistoryTable) -> None:
        change = a_change()
        history.write_role_record(ROLE, UNSETTLED)
        history.intend(change)
        history.write_role_record(ROLE, replace(SETTLED, version=1))
        assert history.pending_roles() == (ROLE,)
        history.close(change.change_id)
        assert history.pending_roles() == ()

    def test_changes_and_roles_are_not_mixed_up_in_the_index(self, history: HistoryTable) -> None:
        change = a_change()
        history.intend(change)
        assert history.pending_roles() == (ROLE,)
        assert history.list_changes(most=10) == (without_documents(change),)


class TestLimit:
    def test_beyond_the_limit_nothing_is_recorded(self, dynamodb: Any) -> None:
        history = table(dynamodb, writes=2)
        history.intend(a_change())
        history.intend(of_role("other-node", a_change(sequence=1)))
        with pytest.raises(
            WritesCapped, match="2 writes have been made within the 60 minutes from 2026-03-04T10:00:00"
        ):
            history.intend(a_change(sequence=2))
        assert len(items(dynamodb, "CHANGE#")) == 2
        assert len(history.read_role_record(ROLE).open_changes) == 1

    def test_every_window_is_counted_anew(self, dynamodb: Any) -> None:
        history = table(dynamodb, writes=1, minutes=30)
        at = datetime(2026, 3, 4, 10, 29, 59, tzinfo=UTC)
        history.intend(a_change(at=at))
        with pytest.raises(WritesCapped):
            history.intend(a_change(at=at, sequence=1))
        history.intend(a_change(at=at + timedelta(seconds=1), sequence=2))

    def test_what_a_person_undoes_is_counted_and_never_held_back(self, dynamodb: Any) -> None:
        history = table(dynamodb, writes=1)
        history.intend(a_change(kind=ChangeKind.UNDO))
        with pytest.raises(WritesCapped):
            history.intend(a_change(sequence=1))
        history.intend(a_change(kind=ChangeKind.UNDO, sequence=2))
        assert len(history.list_changes(ROLE, most=10)) == 2

    def test_that_people_know_that_it_is_reached_is_noted_for_a_window(self, dynamodb: Any) -> None:
        history = table(dynamodb, writes=1)
        history.intend(a_change())
        assert not history.limit_was_reported(NOW)
        history.note_limit_reported(NOW)
        history.note_limit_reported(NOW)
        assert history.limit_was_reported(NOW + timedelta(minutes=2))
        assert not history.limit_was_reported(NOW + timedelta(hours=1))
        with pytest.raises(WritesCapped):
            history.intend(a_change(sequence=1))

    def test_the_count_is_deleted_when_its_window_is_long_over(self, dynamodb: Any) -> None:
        history = table(dynamodb)
        history.intend(a_change())
        history.note_limit_reported(NOW + timedelta(hours=1))
        for start, item in items(dynamodb, "2026").items():
            window_ends = datetime.fromisoformat(start) + timedelta(hours=1)
            assert datetime.fromtimestamp(int(item["expires"]["N"]), UTC) == window_ends + timedelta(days=1)


def test_every_error_that_the_api_model_declares_for_our_calls_is_known() -> None:
    model = botocore.session.get_session().get_service_model("dynamodb")
    for operation in ("GetItem", "PutItem", "UpdateItem", "Query", "TransactWriteItems"):
        for shape in model.operation_model(operation).error_shapes:
            assert shape.metadata.get("error", {}).get("code", shape.name) in ERROR_CLASSES, shape.name


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (("None", "TransactionConflict"), ThrottledError),
        (("ConditionalCheckFailed", "TransactionConflict"), ThrottledError),
        (("ThrottlingError", "None"), ThrottledError),
        (("ProvisionedThroughputExceeded", "None"), ThrottledError),
        (("None", "ItemCollectionSizeLimitExceeded"), QuotaError),
        (("ValidationError", "None"), RejectedError),
        (("ConditionalCheckFailed", "None"), RejectedError),
        (("SomethingNew", "None"), UnknownAwsError),
        (("None", "None"), ThrottledError),
    ],
)
def test_a_transaction_that_was_cancelled_says_what_to_do(codes: tuple[str, ...], error: type[AwsError]) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stubber:
        stubber.add_response("update_item", {})
        stubber.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": code, "Message": "as asked for"} for code in codes]},
        )
        with pytest.raises(AwsError) as raised:
            table(client).intend(a_change())
    assert type(raised.value) is error


CALLS: dict[str, Callable[[HistoryTable], object]] = {
    "get_item": lambda history: history.read_role_record(ROLE),
    "query": lambda history: history.changes_since(ROLE, NOW),
    "update_item": lambda history: history.conclude(a_change().change_id, ChangeState.COMPLETED, "", NOW),
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ProvisionedThroughputExceededException", TransientError),
        ("TransactionConflictException", TransientError),
        ("AccessDeniedException", DeniedError),
        ("ResourceNotFoundException", NotFoundError),
        ("ValidationException", RejectedError),
    ],
)
def test_what_fails_is_an_error_of_ours(operation: str, code: str, error: type[AwsError]) -> None:
    client: Any = boto3.client("dynamodb")
    with Stubber(client) as stubber:
        stubber.add_client_error(operation, code)
        with pytest.raises(error):
            CALLS[operation](table(client))
