"""The sweeper as Lambda calls it: one sweep for a batch, what it counts and logs, and what it hands back."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from remediator.core.events.request import parse_request
from remediator.core.events.sweep import (
    Sweep,
    SweepCounts,
    SweepReason,
    SweepRequest,
    begin_sweep,
    parse_sweep,
    sweep_json,
)
from remediator.errors import DeniedError, SettingsError, ThrottledError, TransientError
from remediator.gateways.account import AccountScan
from remediator.handlers import consumer, sweeper
from tests.examples import ACCOUNT, EC2_STATEMENT, LAMBDA_STATEMENT, a_cause, bucket_grant
from tests.functional.stub_account import StubAccount, raw_role
from tests.functional.test_handlers import Context, batch, failures, forget, hand
from tests.functional.world import TABLE, World

Json = dict[str, Any]

DEPLOYED = '{"format":1,"reason":"deployment"}'
SCHEDULED = '{"format":1,"reason":"schedule","time":"2026-03-04T10:20:00Z"}'


@pytest.fixture(autouse=True)
def function(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The function, with the environment and the configuration that the stack gives it."""
    monkeypatch.setenv("WORK_QUEUE_URL", world.queue_url)
    monkeypatch.setenv("SWEEP_QUEUE_URL", world.sweep_url)
    monkeypatch.setenv("CONSUMED_QUEUE_URL", world.consumed_url)
    monkeypatch.setenv("HISTORY_TABLE", TABLE)
    monkeypatch.setattr(consumer, "load_settings", lambda: world.settings)
    forget(sweeper)
    yield
    forget(sweeper)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The markers of the pages that are read from now on."""
    markers: list[str | None] = []
    page = AccountScan.page

    def recorded(self: AccountScan, marker: str | None = None) -> Any:
        markers.append(marker)
        return page(self, marker)

    monkeypatch.setattr(AccountScan, "page", recorded)
    return markers


def answering(stub: StubAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the sweeper see a stubbed account."""
    client: Any = stub
    hand(monkeypatch, sweeper, scan=AccountScan(client, "anyscale:cluster-role"))


def handle(*bodies: Any, context: Any = None) -> list[str]:
    return failures(sweeper.handle(batch(*bodies), context or Context(milliseconds_left=300_000)))


@contextmanager
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], tuple[list[Json], Counter[str]]]]:
    """Gives, after the sweeper has run, the lines of its log and the metrics that it has counted."""
    log = io.StringIO()
    handler = consumer.logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(log)
    capsys.readouterr()

    def told() -> tuple[list[Json], Counter[str]]:
        counted: Counter[str] = Counter()
        for line in map(json.loads, capsys.readouterr().out.splitlines()):
            counted.update({name: int(sum(value)) for name, value in line.items() if isinstance(value, list)})
        return [json.loads(line) for line in log.getvalue().splitlines()], counted

    try:
        yield told
    finally:
        handler.setStream(before or sys.stdout)


def queued(world: World) -> list[str]:
    return sorted(parse_request(message["Body"]).role_name for message in world.queued())


def test_one_sweep_answers_all_that_a_batch_asks_for(world: World, scans: list[str | None]) -> None:
    world.create_role(LAMBDA_STATEMENT)
    events = [
        sweep_json(
            SweepRequest(SweepReason.EVENT, ("production",), replace(a_cause("PutBucketPolicy"), event_id=f"e-{n}"))
        )
        for n in range(20)
    ]
    assert handle(SCHEDULED, DEPLOYED, *events) == []
    assert scans == [None]
    assert queued(world) == ["head-node"]


def test_a_batch_without_any_request_that_can_be_read_makes_no_sweep(scans: list[str | None]) -> None:
    assert handle("not json", "{}", "[" * 100_000) == ["m0", "m1", "m2"]
    assert scans == []


def test_an_unreadable_message_fails_alone(world: World, scans: list[str | None]) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert handle("not json", SCHEDULED, '{"format":2,"reason":"schedule"}') == ["m0", "m2"]
    assert scans == [None]
    assert queued(world) == ["head-node"]


def test_the_end_of_a_sweep_is_one_line_and_one_set_of_metrics(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.create_role(LAMBDA_STATEMENT, name="drifted")
    world.create_role(EC2_STATEMENT, name="clean")
    world.create_role(EC2_STATEMENT, name="refused", path="/elsewhere/")
    world.create_role(LAMBDA_STATEMENT, name="not-enrolled", tags={})
    for name in ("drifted", "clean"):
        world.grant(bucket_grant(), role=name)
    with logged(capsys) as told:
        assert handle(SCHEDULED) == []
        (line,), counted = told()
    counts = SweepCounts(scanned=4, enrolled=2, clean=1, drifted=1, refused=1, queued=1, missed=1)
    assert line["message"] == "sweep completed"
    assert {each.name: line[each.name] for each in fields(SweepCounts)} == {
        each.name: getattr(counts, each.name) for each in fields(SweepCounts)
    }
    assert (line["sweep_id"], line["scheduled"], line["thorough"], line["calls"]) == ("m0", True, False, [])
    assert counted == {
        "SweepRequestsReceived": 1,
        "SweepsCompleted": 1,
        "SweepRolesScanned": 4,
        "SweepRolesEnrolled": 2,
        "SweepRolesClean": 1,
        "SweepRolesDrifted": 1,
        "SweepRolesRefused": 1,
        "SweepRolesUndecided": 0,
        "SweepRolesUnreadable": 0,
        "SweepRolesQueued": 1,
        "SweepRolesUnsettled": 0,
        "DriftMissedByEvents": 1,
    }


@pytest.mark.parametrize(
    ("sent", "told"),
    [("2026-03-04T00:20:00", ["refused"]), ("2026-03-04T01:00:01", []), ("2026-03-04T23:59:59", [])],
)
def test_what_a_schedule_without_a_time_tells_depends_on_when_its_message_was_sent(
    world: World, sent: str, told: list[str]
) -> None:
    world.create_role(EC2_STATEMENT, name="refused", path="/elsewhere/")
    event = batch('{"format":1,"reason":"schedule"}')
    at = datetime.fromisoformat(sent).replace(tzinfo=UTC)
    event["Records"][0]["attributes"]["SentTimestamp"] = str(int(at.timestamp() * 1000))
    assert failures(sweeper.handle(event, Context(milliseconds_left=300_000))) == []
    assert queued(world) == told


def test_a_time_in_the_message_comes_before_that_at_which_it_was_sent(world: World) -> None:
    world.create_role(EC2_STATEMENT, name="refused", path="/elsewhere/")
    event = batch('{"format":1,"reason":"schedule","time":"2026-03-04T00:20:00Z"}')
    event["Records"][0]["attributes"]["SentTimestamp"] = str(
        int(datetime(2026, 3, 4, 2, tzinfo=UTC).timestamp() * 1000)
    )
    sweeper.handle(event, Context(milliseconds_left=300_000))
    assert queued(world) == ["refused"]


@pytest.mark.parametrize(
    ("code", "error"),
    [("AccessDenied", DeniedError), ("Throttling", ThrottledError), ("ServiceFailure", TransientError)],
)
def test_where_the_account_cannot_be_scanned_every_message_is_tried_again_and_one_call_was_made(
    code: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = StubAccount.of(raw_role("head-node"))
    denied.fail = lambda operation, arguments: code
    answering(denied, monkeypatch)
    with logged(capsys) as told:
        assert handle(SCHEDULED, DEPLOYED, "not json") == ["m0", "m1", "m2"]
        lines, counted = told()
    assert denied.calls == {"GetAccountAuthorizationDetails": 1}
    assert counted == {"SweepRequestsReceived": 3}
    assert sum(error.__name__ in json.dumps(line) for line in lines) == 2


def test_a_configuration_that_is_wrong_fails_the_messages_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise SettingsError(["clouds: missing"])

    monkeypatch.setattr(consumer, "load_settings", broken)
    assert handle(SCHEDULED, DEPLOYED) == ["m0", "m1"]


def test_a_large_batch_that_fails_comes_back_within_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = StubAccount.of()
    denied.fail = lambda operation, arguments: "AccessDenied"
    answering(denied, monkeypatch)
    for _ in range(25):
        world.sqs.send_message(QueueUrl=world.consumed_url, MessageBody=SCHEDULED)
    received: list[Any] = []
    while more := world.sqs.receive_message(
        QueueUrl=world.consumed_url, MaxNumberOfMessages=10, VisibilityTimeout=1_800
    ).get("Messages"):
        received.extend(more)
    event = batch(*(message["Body"] for message in received))
    for record, message in zip(event["Records"], received, strict=True):
        record.update(messageId=message["MessageId"], receiptHandle=message["ReceiptHandle"])
    assert len(failures(sweeper.handle(event, Context(milliseconds_left=300_000)))) == 25
    messages = sqs_backends[ACCOUNT]["us-east-1"].queues["consumed"]._messages
    assert all(0 < message.visible_at / 1000 - time.time() <= 15 for message in messages)


@dataclass
class Hurried(Context):
    """An invocation whose time is up after some looks at the clock."""

    looks: Iterator[int] = field(default_factory=lambda: iter(()))

    def get_remaining_time_in_millis(self) -> int:
        return next(self.looks, 0)


def hurried(looks: int) -> Hurried:
    return Hurried(looks=iter([300_000] * looks))


def test_an_unfinished_sweep_is_queued_and_the_next_invocation_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(StubAccount(40, lambda n: raw_role(f"role-{n}", path="/elsewhere/"), pages=(10,)), monkeypatch)
    bodies, invocations = [DEPLOYED], 0
    with logged(capsys) as told:
        while bodies:
            assert handle(*bodies, context=hurried(25)) == []
            received = world.sqs.receive_message(QueueUrl=world.sweep_url).get("Messages", [])
            bodies = [message["Body"] for message in received]
            for message in received:
                world.sqs.delete_message(QueueUrl=world.sweep_url, ReceiptHandle=message["ReceiptHandle"])
            invocations += 1
        lines, counted = told()
    assert invocations == 2
    assert [line["message"] for line in lines] == ["sweep to be continued", "sweep completed"]
    assert [line["scanned"] for line in lines] == [20, 40]
    assert {line["sweep_id"] for line in lines} == {"m0"}
    assert counted["SweepRolesScanned"] == 40
    assert counted["SweepRolesQueued"] == 40
    assert (counted["SweepsContinued"], counted["SweepsCompleted"]) == (1, 1)


def test_an_unfinished_sweep_and_new_requests_of_one_batch_are_each_answered(
    world: World, monkeypatch: pytest.MonkeyPatch, scans: list[str | None]
) -> None:
    answering(StubAccount(30, lambda n: raw_role(f"role-{n}"), pages=(10,)), monkeypatch)
    began = begin_sweep(
        [SweepRequest(SweepReason.DEPLOYMENT)],
        sweep_id="s-1",
        started=datetime(2026, 3, 4, tzinfo=UTC),
        interval=timedelta(hours=1),
    )
    unfinished = sweep_json(replace(began, marker="1", counts=SweepCounts(scanned=10)))
    assert handle(SCHEDULED, unfinished, DEPLOYED, unfinished) == []
    assert scans == [None, "1", "2", "1", "2"]


def test_a_sweep_for_which_there_is_no_time_left_is_left_to_the_next_invocation(scans: list[str | None]) -> None:
    assert handle(SCHEDULED, DEPLOYED, context=Context(milliseconds_left=5_000)) == ["m0", "m1"]
    assert scans == []


def test_a_sweep_that_had_to_begin_anew_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forgetful = StubAccount.of(raw_role("head-node"))
    forgetful.fail = lambda operation, arguments: "ValidationError" if arguments.get("Marker") == "9" else None
    answering(forgetful, monkeypatch)
    stale = Sweep("s-1", datetime(2026, 3, 4, tzinfo=UTC), scheduled=True, marker="9", counts=SweepCounts(scanned=7))
    with logged(capsys) as told:
        assert handle(sweep_json(stale)) == []
        (warning, line), _ = told()
    assert warning["level"] == "WARNING"
    assert "began again" in warning["message"]
    assert (line["message"], line["scanned"]) == ("sweep completed", 1)


def test_a_role_that_cannot_be_judged_stands_in_the_log_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(StubAccount.of({**raw_role("absurd"), "Arn": "arn:aws:iam"}), monkeypatch)
    with logged(capsys) as told:
        assert handle(SCHEDULED) == []
        (warning, line), counted = told()
    assert (warning["level"], warning["role"], warning["cloud"]) == ("WARNING", "absurd", "production")
    assert "arn:aws:iam" in warning["why"]
    assert line["unreadable"] == counted["SweepRolesUnreadable"] == 1


def test_a_fault_of_ours_stands_in_the_log_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(StubAccount.of(raw_role("head-node")), monkeypatch)

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("remediator.flows.assess.diagnose", broken)
    with logged(capsys) as told:
        assert handle(SCHEDULED) == []
        (warning, _), _ = told()
    assert "ZeroDivisionError" in warning["exception"]
    assert "in broken" in warning["exception"]


def test_what_is_left_of_a_sweep_fits_a_message_whatever_asked_for_it() -> None:
    longest = "\N{GRINNING FACE}" * 1024
    cause = a_cause()
    actor = replace(cause.actor, arn=longest, issuer_arn=longest, invoked_by=longest, user_agent=longest)
    asked = [
        SweepRequest(SweepReason.EVENT, (f"cloud-{n % 10}",), replace(cause, event_id=longest, actor=actor))
        for n in range(1_000)
    ]
    began = begin_sweep(asked, sweep_id="s-1", started=datetime(2026, 3, 4, tzinfo=UTC), interval=timedelta(hours=1))
    text = sweep_json(replace(began, marker="m" * 320))
    assert len(text) < 1_048_576
    assert isinstance(parse_sweep(text), Sweep)
