"""What an attacker could try through us, from the event to the alert, and what becomes of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.core.events.request import ReconcileRequest, request_json
from remediator.gateways.parameter import PauseParameter
from remediator.handlers import reconciler
from remediator.settings import PrincipalPattern
from tests.examples import (
    ACCOUNT,
    BUCKET,
    EC2_STATEMENT,
    ENROLLED,
    LAMBDA_STATEMENT,
    OUTSIDE,
    a_cause,
    bucket_grant,
    settings,
)
from tests.functional.test_handlers import Context, batch, failures, forget, functions, reconcile_queued, route
from tests.functional.world import PAUSE_PARAMETER, ROLE, World
from tests.unit.events.test_event import load

__all__ = ["functions"]  # the fixture that gives the functions their environment

HOSTILE = 'x"}\r\nBcc: all@example.com\n<!channel> @here \u202e\u2028\x1b[31m{{7*7}}'
TAG = "anyscale:cluster-role"


def tag_event(**tags: str) -> Any:
    event = load("TagRole")
    event["detail"]["requestParameters"]["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    return event


def handled(world: World, *events: Any) -> list[dict[str, Any]]:
    """Route the events, reconcile what they queue, and give the alerts."""
    assert failures(route(*events)) == []
    if world.queued():
        assert failures(reconcile_queued(world)) == []
    return world.alerts()


def test_an_administrators_role_that_is_tagged_gets_no_ec2_trust(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant({"Effect": "Allow", "Action": "*", "Resource": "*"}, name="admin")
    (alert,) = handled(world, tag_event(**ENROLLED))
    assert alert["outcome"] == "refused"
    assert not world.trusts_ec2()
    assert list(world.inline()) == ["admin"]


@pytest.mark.parametrize("value", ["production/../secrets", f"arn:aws:s3:::{BUCKET}", "*", "production,research"])
def test_a_bucket_or_a_pattern_in_the_value_of_a_tag_grants_nothing(world: World, value: str) -> None:
    world.s3.create_bucket(Bucket="secrets")
    world.create_role(EC2_STATEMENT, tags={TAG: value})
    (alert,) = handled(world, tag_event(**{TAG: value}))
    assert alert["outcome"] == "refused"
    assert world.inline() == {}


@pytest.mark.parametrize(
    "forged",
    [
        {"source": "com.example.iam"},
        {"detail-type": "IAM says"},
        {"source": "aws.s3"},
        {"account": OUTSIDE},
    ],
)
def test_a_forged_event_leads_to_nothing(world: World, forged: dict[str, str]) -> None:
    world.create_role(LAMBDA_STATEMENT)
    assert handled(world, {**load("UpdateAssumeRolePolicy"), **forged}) == []
    assert world.queued() == []
    assert not world.trusts_ec2()


def test_a_record_of_another_account_inside_an_event_of_ours_leads_to_nothing(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    event = load("UpdateAssumeRolePolicy")
    event["detail"]["recipientAccountId"] = OUTSIDE
    assert handled(world, event) == []
    assert world.queued() == []


def test_a_forged_document_in_a_real_event_is_never_looked_at(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    event = load("UpdateAssumeRolePolicy")
    event["detail"]["requestParameters"]["policyDocument"] = json.dumps({"Statement": LAMBDA_STATEMENT})
    assert handled(world, event) == []
    assert world.changes() == []


def test_a_request_for_another_account_is_refused_and_kept(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    foreign = request_json(ReconcileRequest(OUTSIDE, ROLE, a_cause()))
    assert failures(reconciler.handle(batch(foreign), Context())) == ["m0"]
    assert not world.trusts_ec2()


class TestHostileText:
    """In the value of a tag, the name of a session, a user agent, and an error message."""

    @pytest.fixture
    def alert(self, world: World, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
        world.create_role(LAMBDA_STATEMENT, tags={TAG: "c" * 200})
        event = tag_event(**{TAG: HOSTILE})
        event["detail"]["userAgent"] = HOSTILE
        event["detail"]["userIdentity"]["arn"] = f"arn:aws:sts::{ACCOUNT}:assumed-role/x/{HOSTILE}"
        event["detail"]["eventTime"] = "2026-03-04T10:00:17Z"
        (alert,) = handled(world, event)
        return alert, capsys.readouterr().out

    def test_breaks_no_json_no_header_and_mentions_nobody(self, alert: tuple[dict[str, Any], str]) -> None:
        told, _ = alert
        assert told["outcome"] == "refused"
        assert re.fullmatch(r"[\x20-\x7e]{1,99}", told["subject"])
        assert "@here" not in told["subject"]
        assert all(value.isprintable() for value in told["attributes"].values())

    def test_breaks_no_line_of_the_log(self, alert: tuple[dict[str, Any], str]) -> None:
        _, log = alert
        lines = [line for line in log.splitlines() if line]
        assert lines
        assert all(isinstance(json.loads(line), dict) for line in lines)

    def test_as_the_name_of_a_cloud_in_the_tag_is_told_cut_and_plain(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT, tags={TAG: "<!channel> @everyone"}, name="tagged")
        event = tag_event(**{TAG: "<!channel> @everyone"})
        event["detail"]["requestParameters"]["roleName"] = "tagged"
        (alert,) = handled(world, event)
        assert "<" not in alert["subject"]
        assert "@everyone" not in alert["attributes"]["cloud"]


class TestThePauseSwitch:
    @pytest.fixture
    def seconds(self, world: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time that the function's own clock shows; the tests let it go by."""
        shown = [1000.0]
        parameter = PauseParameter(world.ssm, PAUSE_PARAMETER, clock=lambda: shown[0])
        monkeypatch.setattr(reconciler, "_pause_parameter", lambda: parameter)
        return shown

    def repair(self, world: World, name: str) -> None:
        request = request_json(ReconcileRequest(ACCOUNT, name, a_cause()))
        assert failures(reconciler.handle(batch(request), Context())) == []

    def test_stops_everything_where_it_names_a_cloud_that_there_is_not(
        self, world: World, seconds: list[float]
    ) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.ssm.put_parameter(Name=PAUSE_PARAMETER, Value="paused: Production", Overwrite=True)
        self.repair(world, "head-node")
        assert world.trust() == [LAMBDA_STATEMENT]
        (alert,) = world.alerts()
        assert alert["outcome"] == "would-repair"

    def test_stops_a_storm_within_a_minute(self, world: World, seconds: list[float]) -> None:
        names = [f"node-{number}" for number in range(4)]
        for name in names:
            world.create_role(LAMBDA_STATEMENT, name=name)
        self.repair(world, names[0])
        world.ssm.put_parameter(Name=PAUSE_PARAMETER, Value="paused", Overwrite=True)
        seconds[0] += 61
        for name in names[1:3]:
            self.repair(world, name)
        assert [world.trusts_ec2(name) for name in names] == [True, False, False, False]
        world.ssm.put_parameter(Name=PAUSE_PARAMETER, Value="running", Overwrite=True)
        seconds[0] += 61
        self.repair(world, names[3])
        assert world.trusts_ec2(names[3])
        assert [alert["outcome"] for alert in world.alerts()] == [
            *("repaired", "would-repair", "would-repair", "repaired")
        ]

    def test_that_is_gone_stops_everything(self, world: World, seconds: list[float]) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.ssm.delete_parameter(Name=PAUSE_PARAMETER)
        self.repair(world, ROLE)
        assert not world.trusts_ec2()
        (alert,) = world.alerts()
        assert "is unknown" in json.dumps(alert["wrong"])


def test_a_role_that_was_created_anew_by_somebody_else_is_not_enrolled_by_what_its_predecessor_was(
    world: World,
) -> None:
    approver = f"arn:aws:iam::{ACCOUNT}:role/platform/enroller"
    world.settings = replace(settings(), approvers=(PrincipalPattern(approver),))
    forget(reconciler)
    world.create_role(LAMBDA_STATEMENT)
    approved = tag_event(**ENROLLED)
    approved["detail"]["userIdentity"] = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/enroller/alice",
        "sessionContext": {"sessionIssuer": {"arn": approver}},
    }
    soon = datetime.now(UTC) + timedelta(seconds=2)
    approved["detail"]["eventTime"] = soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    (alert,) = handled(world, approved)
    assert alert["outcome"] == "repaired"
    world.delete_role()
    world.create_role(LAMBDA_STATEMENT)
    created = load("CreateRole")
    created["detail"]["requestParameters"]["tags"] = [{"key": TAG, "value": "production"}]
    created["detail"]["eventTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.sqs.purge_queue(QueueUrl=world.queue_url)
    (alert,) = handled(world, created)
    assert alert["outcome"] == "refused"
    assert not world.trusts_ec2()
