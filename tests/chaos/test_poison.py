"""What can never be taken holds up nobody else, lies among the dead letters, and can be sent back once it is mended."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from remediator.handlers import consumer
from tests.chaos.calls import Request
from tests.chaos.flows import BY_BUCKET, WORKER, break_roles, create, granted, hear
from tests.chaos.stage import FUNCTIONS, Stage, stage
from tests.functional.world import ROLE

OF_ANOTHER_VERSION = {
    "intake": {"detail-type": "AWS API Call via CloudTrail", "source": "aws.iam", "detail": {"eventVersion": "99"}},
    "sweep": {"format": 99, "reason": "schedule"},
    "work.fifo": {"format": 99, "account": "111122223333", "role_name": ROLE},
    "digest": {"format": 99, "id": "0" * 32, "outcome": "repaired"},
    "slack": {"format": 99, "id": "0" * 32, "outcome": "repaired"},
}


@pytest.fixture
def made() -> Iterator[Stage]:
    """Everything that is deployed, and an account in which nothing has happened yet."""
    with stage() as made:
        yield made


def repaired(made: Stage, *roles: str) -> list[bool]:
    """Of each role, whether EC2 may assume it."""
    return [made.account.trusts_ec2(role) for role in roles]


@contextmanager
def kept_log() -> Iterator[list[dict[str, Any]]]:
    """What the functions log meanwhile, line by line; they are silent in all other tests."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(consumer.logger.registered_formatter)
    lines: list[dict[str, Any]] = []
    of_all = logging.getLogger(consumer.logger.service)
    of_all.addHandler(handler)
    logging.disable(logging.NOTSET)
    try:
        yield lines
    finally:
        logging.disable(logging.CRITICAL)
        of_all.removeHandler(handler)
        lines += map(json.loads, written.getvalue().splitlines())


@pytest.mark.parametrize("queue", [function.queue for function in FUNCTIONS])
@pytest.mark.parametrize("kind", ["unreadable", "of another version"])
def test_a_message_that_cannot_be_read_lies_among_the_dead_letters_and_all_others_are_taken(
    made: Stage, queue: str, kind: str
) -> None:
    body = "not json" if kind == "unreadable" else json.dumps(OF_ANOTHER_VERSION[queue])
    granted(ROLE)(made)
    known = len(made.slack)
    break_roles(ROLE)(made)
    made.send(queue, body)
    hear("UpdateAssumeRolePolicy", ROLE)(made)
    with kept_log() as log:
        made.run()
    assert made.dead() == {queue: [body]}
    (letter,) = made.dead_ids()
    reasons = {line.get("exception_name", "") for line in log if line.get("message_id") == letter}
    assert any(reason.startswith("Malformed") for reason in reasons), "the log says why, beside the id of the letter"
    assert repaired(made, ROLE) == [True]
    assert len(made.slack) == known + 1
    made.redrive()
    made.run()
    assert made.dead() == {queue: [body]}, "it is still no message of ours"


class TestARoleWhoseRepairAlwaysFails:
    def test_holds_up_no_other_role_is_told_of_and_is_repaired_when_its_message_is_sent_back(self, made: Stage) -> None:
        granted(ROLE, WORKER)(made)
        break_roles(ROLE, WORKER)(made)
        made.seam.refuses = _calls("UpdateAssumeRolePolicy", ROLE)
        hear("UpdateAssumeRolePolicy", ROLE, WORKER)(made)
        made.run()
        assert repaired(made, ROLE, WORKER) == [False, True]
        (dead,) = made.dead()["work.fifo"]
        assert json.loads(dead)["role_name"] == ROLE
        told = [alert["role"]["name"] for alert in made.alerts() if alert["outcome"] == "failed"]
        assert set(told) == {ROLE}
        made.seam.refuses = _nothing
        made.redrive()
        made.run()
        assert repaired(made, ROLE, WORKER) == [True, True]
        assert made.dead() == {}
        assert made.unconcluded() == []

    def test_is_found_by_the_next_sweep_even_if_nobody_sends_its_message_back(self, made: Stage) -> None:
        granted(ROLE)(made)
        break_roles(ROLE)(made)
        made.seam.refuses = _calls("UpdateAssumeRolePolicy", ROLE)
        hear("UpdateAssumeRolePolicy", ROLE)(made)
        made.run()
        made.seam.refuses = _nothing
        made.sweep()
        made.run()
        assert repaired(made, ROLE) == [True]
        assert made.account.history.pending_roles() == ()

    def test_holds_up_the_roles_of_its_bucket_only_until_it_is_given_up(self, made: Stage) -> None:
        create(ROLE, WORKER, **BY_BUCKET)(made)
        made.seam.refuses = _calls("ListRolePolicies", ROLE)
        hear("UpdateAssumeRolePolicy", ROLE, WORKER)(made)
        made.run()
        assert made.account.named_in() == [WORKER]
        assert [json.loads(body)["role_name"] for body in made.dead()["work.fifo"]] == [ROLE]
        made.seam.refuses = _nothing
        made.redrive()
        made.run()
        assert sorted(made.account.named_in()) == sorted((ROLE, WORKER))


def test_an_alert_that_people_cannot_be_told_of_is_kept_and_told_when_it_is_sent_back(made: Stage) -> None:
    create(ROLE, WORKER)(made)
    made.seam.refuses = lambda request: (request.function, request.operation) == ("digester", "Publish")
    hear("UpdateAssumeRolePolicy", ROLE, WORKER)(made)
    made.run()
    assert len(made.dead()["digest"]) == 2
    assert (made.people(), len(made.alerts())) == ([], 2)
    made.seam.refuses = _nothing
    made.redrive()
    made.run()
    assert [each["outcome"] for each in made.people()] == ["repaired", "digest"]
    assert len(made.slack) == 2


def test_a_channel_that_takes_no_message_is_no_loss_for_the_others(made: Stage) -> None:
    create(ROLE)(made)
    made.seam.refuses = lambda request: request.service == "slack"
    hear("UpdateAssumeRolePolicy", ROLE)(made)
    made.run()
    assert (len(made.people()), made.slack, len(made.dead()["slack"])) == (1, [], 1)
    made.seam.refuses = _nothing
    made.redrive()
    made.run()
    assert (len(made.slack), made.dead()) == (1, {})


def _calls(operation: str, role: str) -> Callable[[Request], bool]:
    return lambda request: request.operation == operation and request.arguments["RoleName"] == role


def _nothing(request: Request) -> bool:
    return False
