"""What is written is recorded before, settled after a crash, and never written without a record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediator import __version__
from remediator.core.alerts.decide import AlertReason
from remediator.core.events.event import APPLY_CALL
from remediator.core.history.change import ChangeKind, ChangeState
from remediator.core.history.pause import Pause
from remediator.core.model.finding import FindingCode
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.repair.outcome import Hold, NotApplied, OutcomeKind
from remediator.errors import DeniedError, MalformedRecord, ThrottledError, TransientError
from remediator.gateways.iam import IamGateway
from remediator.gateways.topic import AlertsTopic
from remediator.settings import MODE_TAG, WriteLimit
from tests.examples import (
    BUCKET,
    EC2_STATEMENT,
    ENROLLED,
    LAMBDA_STATEMENT,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.faults import interfering, once, raising, throttled
from tests.functional.world import ROLE, TABLE, World
from tests.unit.history.changes import a_change


class Killed(BaseException):
    """The function is ended on the spot, as by a time-out: nothing of it runs any more."""


def writes_of_aws(world: World) -> list[str]:
    return [call for call in world.writes if call != "Publish"]


def test_every_write_is_recorded_with_what_it_was_what_it_became_why_and_who_caused_it(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, profile=False)
    world.settings = settings(instanceProfile="repair")
    before = world.iam.get_role(RoleName=ROLE)["Role"]
    world.reconcile()
    trust, inline, profile = world.changes()
    assert [str(change.document) for change in (trust, inline, profile)] == [
        *("trust policy", f"inline policy {OWN_POLICY_NAME}", f"instance profile {ROLE}")
    ]
    assert trust.before == before["AssumeRolePolicyDocument"]
    assert trust.after == world.iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
    assert (inline.before, inline.after) == (None, world.inline()[OWN_POLICY_NAME])
    assert profile.after == {"InstanceProfileName": ROLE, "Path": before["Path"], "Roles": [ROLE]}
    for change in (trust, inline, profile):
        assert change.state is ChangeState.COMPLETED
        assert change.kind is ChangeKind.REPAIR
        assert change.causes == (a_cause(),)
        assert change.role_id == before["RoleId"]
        assert change.code_version == __version__
    assert [finding.code for finding in trust.findings] == [FindingCode.TRUST_MISSING]
    assert world.history.read_role_record(ROLE).open_changes == ()


def test_a_bucket_policy_and_a_removal_are_recorded_too(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.reconcile()
    world.settings = settings(grant="bucket-policy", formerGrant="role-policy")
    world.reconcile()
    _, bucket, removal = world.changes()
    assert (bucket.before, bucket.after) == (None, world.bucket_policy())
    assert (bucket.document.account, bucket.document.region) == ("111122223333", "us-east-1")
    assert removal.kind is ChangeKind.REMOVAL
    assert (removal.after, world.inline()) == (None, {})


def test_a_clean_role_leaves_no_record(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    world.reconcile()
    assert world.changes() == []


def test_the_record_is_there_before_the_document_is_written(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    seen: list[Any] = []
    roles = world.disturbed_roles(before_write_trust=lambda: seen.extend(world.changes()))
    world.reconcile(roles=roles)
    (change,) = seen
    assert change.state is ChangeState.INTENDED


@pytest.mark.parametrize(
    "error",
    [
        DeniedError("dynamodb:PutItem", "AccessDeniedException", "no"),
        DeniedError("dynamodb:PutItem", "ResourceNotFoundException", "no table"),
    ],
)
def test_without_a_record_nothing_is_written(world: World, error: Exception) -> None:
    world.create_role(LAMBDA_STATEMENT)
    outcome = world.reconcile(history=world.disturbed_history(before_intend=raising(error)))
    assert outcome.kind is OutcomeKind.FAILED
    assert all(isinstance(result, NotApplied) for result in outcome.results)
    assert writes_of_aws(world) == []
    assert not world.trusts_ec2()


def test_a_history_that_cannot_be_reached_for_now_is_tried_again_and_nothing_is_written(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    throttled = raising(ThrottledError("dynamodb:TransactWriteItems", "ThrottlingException", ""))
    for moment in ("before_intend", "before_read_role_record"):
        with pytest.raises(TransientError):
            world.reconcile(history=world.disturbed_history(**{moment: throttled}))
        assert writes_of_aws(world) == []


def test_a_memory_that_cannot_be_understood_is_an_error_and_nothing_is_written(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    item = {"pk": {"S": f"ROLE#{ROLE}"}, "sk": {"S": "MEMORY"}, "memory": {"S": "{}"}, "version": {"N": "1"}}
    world.dynamodb.put_item(TableName=TABLE, Item=item)
    with pytest.raises(MalformedRecord):
        world.reconcile()
    assert writes_of_aws(world) == []


def test_a_change_that_was_not_made_after_all_is_recorded_as_such(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    meddled = once(
        lambda: world.iam.update_assume_role_policy(
            RoleName=ROLE, PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT, {**EC2_STATEMENT, "Sid": "Theirs"}))
        )
    )
    outcome = world.reconcile(history=world.disturbed_history(after_intend=meddled))
    assert outcome.kind is OutcomeKind.CLEAN
    (change,) = world.changes()
    assert change.state is ChangeState.NOT_WRITTEN
    assert "had changed" in change.why
    assert world.history.read_role_record(ROLE).open_changes == ()


def test_what_came_of_a_change_is_recorded_before_anybody_is_told(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    world.reconcile_only()
    (change,) = world.changes()
    assert change.state is ChangeState.COMPLETED
    assert world.history.read_role_record(ROLE).open_changes == (change.change_id,)


def test_a_conclusion_that_cannot_be_recorded_is_made_up_for(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    failing = raising(ThrottledError("dynamodb:UpdateItem", "ThrottlingException", ""))
    outcome = world.reconcile_only(history=world.disturbed_history(before_conclude=failing))
    assert outcome.kind is OutcomeKind.REPAIRED
    (change,) = world.changes()
    assert (change.state, world.unconcluded) == (ChangeState.INTENDED, [change.change_id])
    world.look()
    assert world.changes()[0].state is ChangeState.COMPLETED


def test_a_change_that_cannot_be_closed_fails_the_message_and_is_told_by_its_next_try(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    failing = raising(ThrottledError("dynamodb:UpdateItem", "ThrottlingException", ""))
    outcome = world.reconcile_only()
    with pytest.raises(TransientError):
        world.deliver(outcome, history=world.disturbed_history(before_close=failing))
    assert world.look()[1] is AlertReason.NEW
    assert world.look()[1] is AlertReason.NONE


def test_a_write_whose_answer_is_lost_and_that_shows_late_is_known_and_told(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    lost = raising(TransientError("iam:UpdateAssumeRolePolicy", "ReadTimeoutError", ""))
    with pytest.raises(TransientError):
        world.reconcile_only(roles=world.disturbed_roles(before_write_trust=lost))
    (change,) = world.changes()
    assert change.state is ChangeState.INTENDED
    assert change.after is not None
    world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(change.after))
    assert world.look()[1] is AlertReason.NEW
    assert [each.state for each in world.changes()] == [ChangeState.COMPLETED]
    (alert,) = world.alerts()
    assert alert["changes"][0]["changeId"] == change.change_id


def test_a_write_whose_answer_is_lost_and_that_never_shows_is_made_again(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    lost = raising(TransientError("iam:UpdateAssumeRolePolicy", "ReadTimeoutError", ""))
    with pytest.raises(TransientError):
        world.reconcile_only(roles=world.disturbed_roles(before_write_trust=lost))
    assert world.look()[0].kind is OutcomeKind.REPAIRED
    assert [each.state for each in world.changes()] == [ChangeState.UNKNOWN, ChangeState.COMPLETED]


def test_an_interrupted_write_that_somebody_undid_before_the_next_look_is_told(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    with pytest.raises(Killed):
        world.reconcile_only(roles=world.disturbed_roles(after_write_trust=raising(Killed())))  # type: ignore[arg-type]  # not an Exception, on purpose
    world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)))
    outcome, reason = world.look()
    assert (outcome.kind, reason) == (OutcomeKind.REPAIRED, AlertReason.NEW)
    (alert,) = world.alerts()
    interrupted, repaired = world.changes()
    assert (interrupted.state, repaired.state) == (ChangeState.UNKNOWN, ChangeState.COMPLETED)
    told = [(change["changeId"], change["state"]) for change in alert["changes"]]
    assert told == [(interrupted.change_id, "unconfirmed"), (repaired.change_id, "applied")]


def test_an_interrupted_write_to_a_role_that_is_in_order_now_is_told_to_a_person(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    with pytest.raises(Killed):
        world.reconcile_only(roles=world.disturbed_roles(before_write_trust=raising(Killed())))  # type: ignore[arg-type]  # not an Exception, on purpose
    world.iam.tag_role(RoleName=ROLE, Tags=[{"Key": MODE_TAG, "Value": "off"}])
    outcome, reason = world.look()
    assert (outcome.kind, reason) == (OutcomeKind.MANUAL_ACTION, AlertReason.NEW)
    (alert,) = world.alerts()
    assert "Check in CloudTrail" in json.dumps(alert)
    assert not world.trusts_ec2()
    assert world.look()[1] is AlertReason.RESOLVED
    assert world.look()[1] is AlertReason.NONE


def test_a_write_that_is_throttled_is_looked_at_again_and_sent_again_under_the_same_record(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    outcome = world.reconcile_only(roles=world.disturbed_roles(before_write_trust=once(throttled())))
    assert outcome.kind is OutcomeKind.REPAIRED
    assert [change.state for change in world.changes()] == [ChangeState.COMPLETED]
    assert world.pauses == [0.5]


def test_an_edit_made_while_a_write_is_throttled_is_kept(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    theirs = {**LAMBDA_STATEMENT, "Sid": "Theirs"}

    def edited() -> None:
        world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(policy(theirs)))
        throttled()()

    outcome = world.reconcile_only(roles=world.disturbed_roles(before_write_trust=once(edited)))
    assert outcome.kind is OutcomeKind.REPAIRED
    assert theirs in world.trust()
    assert [change.state for change in world.changes()] == [ChangeState.NOT_WRITTEN, ChangeState.COMPLETED]


def test_a_write_that_stays_throttled_was_not_made_and_is_tried_again_by_the_queue(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    for _ in range(4):
        with pytest.raises(TransientError):
            world.reconcile_only(roles=world.disturbed_roles(before_write_trust=throttled()))
    assert {change.state for change in world.changes()} == {ChangeState.NOT_WRITTEN}
    assert world.look()[0].kind is OutcomeKind.REPAIRED  # and no contest, as nothing was repaired before


def test_repairs_that_are_undone_before_anybody_could_be_told_are_known_told_and_contested(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    for number in range(6):
        world.time += timedelta(minutes=1)
        undone = json.dumps(policy(LAMBDA_STATEMENT))
        world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=undone)
        outcome = world.reconcile_only()
        if number < 3:
            assert world.trusts_ec2()
    assert outcome.kind is OutcomeKind.CONFLICT
    assert [change.state for change in world.changes()] == [ChangeState.COMPLETED] * 3
    world.deliver(outcome)
    told = {change["changeId"] for alert in world.alerts() for change in alert["changes"] if change["changeId"]}
    assert told == {change.change_id for change in world.changes()}


def test_of_a_refusal_that_could_not_be_recorded_only_cloudtrail_knows_later(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    failing = raising(ThrottledError("dynamodb:UpdateItem", "ThrottlingException", ""))
    denied = raising(DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "no"))
    outcome = world.reconcile(
        replace(a_cause(), time="2026-03-04T09:00:00Z"),
        roles=world.disturbed_roles(before_write_trust=denied),
        history=world.disturbed_history(before_conclude=failing),
    )
    assert outcome.kind is OutcomeKind.FAILED
    (change,) = world.changes()
    assert (change.state, world.unconcluded) == (ChangeState.INTENDED, [change.change_id])
    world.reconcile()
    assert world.changes()[0].state is ChangeState.UNKNOWN


def test_a_repair_whose_alert_could_not_be_published_is_told_with_the_next_look(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    outcome = world.reconcile_only()
    silent = interfering(
        AlertsTopic(world.sns, world.topic_arn),
        before_publish=raising(ThrottledError("sns:Publish", "Throttling", "")),
    )
    with pytest.raises(TransientError):
        world.deliver(outcome, topic=silent)
    assert world.alerts() == []
    again, reason = world.look()
    assert (again.kind, reason) == (OutcomeKind.REPAIRED, AlertReason.NEW)
    (alert,) = world.alerts()
    assert [change["state"] for change in alert["changes"]] == ["applied", "applied"]
    assert world.look()[1] is AlertReason.NONE
    assert world.alerts() == []


def test_a_function_that_dies_before_it_tells_leaves_that_to_the_next_look(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.reconcile_only()
    assert world.history.pending_roles() == (ROLE,)
    assert world.look()[1] is AlertReason.NEW
    world.look()
    assert world.history.pending_roles() == ()


class TestACrash:
    def test_between_record_and_write_is_settled_as_unknown_and_the_role_is_repaired(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        with pytest.raises(Killed):
            world.reconcile(roles=world.disturbed_roles(before_write_trust=raising(Killed())))  # type: ignore[arg-type]  # not an Exception, on purpose
        assert len(world.history.read_role_record(ROLE).open_changes) == 1
        outcome = world.reconcile()
        assert outcome.kind is OutcomeKind.REPAIRED
        assert [change.state for change in world.changes()] == [ChangeState.UNKNOWN, ChangeState.COMPLETED]
        assert world.history.read_role_record(ROLE).open_changes == ()

    def test_between_write_and_conclusion_is_settled_as_made_and_told_although_the_role_is_in_order(
        self, world: World
    ) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        with pytest.raises(Killed):
            world.reconcile(roles=world.disturbed_roles(after_write_trust=raising(Killed())))  # type: ignore[arg-type]  # not an Exception, on purpose
        outcome, reason = world.look()
        assert writes_of_aws(world) == []
        assert (outcome.kind, reason) == (OutcomeKind.REPAIRED, AlertReason.NEW)
        (change,) = world.changes()
        assert change.state is ChangeState.COMPLETED
        (alert,) = world.alerts()
        assert alert["changes"][0]["changeId"] == change.change_id
        assert world.look()[1] is AlertReason.NONE

    def test_after_which_somebody_changed_the_document_is_told_to_a_person(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        world.grant(bucket_grant())
        with pytest.raises(Killed):
            world.reconcile(roles=world.disturbed_roles(after_write_trust=raising(Killed())))  # type: ignore[arg-type]  # not an Exception, on purpose
        theirs = json.dumps(policy({**EC2_STATEMENT, "Sid": "Theirs"}))
        world.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=theirs)
        outcome, reason = world.look()
        assert (outcome.kind, reason) == (OutcomeKind.MANUAL_ACTION, AlertReason.NEW)
        assert world.changes()[0].state is ChangeState.SUPERSEDED

    def test_before_the_role_was_deleted_is_settled_with_the_next_look_at_its_name(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        with pytest.raises(Killed):
            world.reconcile(roles=world.disturbed_roles(after_write_trust=raising(Killed())))  # type: ignore[arg-type]  # not an Exception, on purpose
        written = world.trust()
        world.delete_role()
        world.create_role(*written)
        world.grant(bucket_grant())
        world.look()
        assert world.changes()[0].state is ChangeState.SUPERSEDED
        assert world.history.read_role_record(ROLE).open_changes == ()

    def test_leaves_the_role_among_those_that_a_sweep_asks_for(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        with pytest.raises(Killed):
            world.reconcile(roles=world.disturbed_roles(after_write_trust=raising(Killed())))  # type: ignore[arg-type]  # not an Exception, on purpose
        assert world.history.pending_roles() == (ROLE,)
        world.look()
        world.look()
        assert world.history.pending_roles() == ()


def test_a_look_by_hand_leaves_alone_what_the_reconciler_is_about_to_write(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())

    def looked_at_by_hand() -> None:
        world.reconcile_only(a_cause(APPLY_CALL), paused=Pause(everything=True))

    # The first look of the reconciler is before its record, the second after it and just before the write.
    roles = world.disturbed_roles(before_read_role_2=once(looked_at_by_hand))
    assert world.look(roles=roles)[0].kind is OutcomeKind.REPAIRED
    assert [change.state for change in world.changes()] == [ChangeState.COMPLETED]


def test_the_reconciler_leaves_alone_for_two_minutes_what_is_about_to_be_written_by_hand(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant(bucket_grant())
    with pytest.raises(Killed):
        world.reconcile_only(
            a_cause(APPLY_CALL),
            roles=world.disturbed_roles(before_write_trust=raising(Killed())),  # type: ignore[arg-type]  # not an Exception, on purpose
        )
    world.look()
    by_hand, ours = world.changes()
    assert (by_hand.state, ours.state) == (ChangeState.INTENDED, ChangeState.COMPLETED)
    world.time += timedelta(minutes=3)
    world.look()
    assert world.changes()[0].state is ChangeState.COMPLETED
    assert world.history.pending_roles() == ()


def test_an_undo_that_may_still_be_under_way_is_left_open_for_two_minutes(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    world.look()
    (state,) = (world.iam.get_role(RoleName=ROLE)["Role"],)
    undo = replace(
        a_change(at=world.time, kind=ChangeKind.UNDO),
        role_id=state["RoleId"],
        before=state["AssumeRolePolicyDocument"],
        after=policy(LAMBDA_STATEMENT),
    )
    world.history.intend(undo)
    world.look()
    assert world.history.read_role_record(ROLE).open_changes == (undo.change_id,)
    world.time += timedelta(minutes=3)
    world.look()
    assert world.history.read_role_record(ROLE).open_changes == ()
    assert world.changes()[0].state is ChangeState.UNKNOWN


GATEWAYS = {
    "roles": ("read_role", "read_policies", "read_inline_policy", "write_trust", "write_inline_policy"),
    "history": ("read_role_record", "changes_since", "intend", "conclude", "close", "write_role_record"),
    "topic": ("publish",),
}
MOMENTS = [
    (gateway, f"{when}_{method}")
    for gateway, methods in GATEWAYS.items()
    for method in methods
    for when in ("before", "after")
]


@pytest.mark.parametrize(("gateway", "moment"), MOMENTS)
def test_wherever_a_function_dies_the_role_is_repaired_in_the_end_and_every_write_recorded_and_told(
    world: World, gateway: str, moment: str
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    dying = once(raising(Killed()))  # type: ignore[arg-type]  # not an Exception, on purpose
    gateways: dict[str, Any] = {
        "roles": IamGateway(world.iam, lambda: world.iam),
        "history": world.history,
        "topic": AlertsTopic(world.sns, world.topic_arn),
    }
    gateways[gateway] = interfering(gateways[gateway], **{moment: dying})

    def look() -> None:
        outcome = world.reconcile_only(roles=gateways["roles"], history=gateways["history"])
        world.deliver(outcome, topic=gateways["topic"], history=gateways["history"])

    with pytest.raises(Killed):
        look()
    for _ in range(3):
        world.look()
    assert world.trusts_ec2()
    assert list(world.inline()) == [OWN_POLICY_NAME]
    assert world.history.pending_roles() == ()
    made = [change for change in world.changes() if change.state is ChangeState.COMPLETED]
    assert sorted(str(change.document) for change in made) == [f"inline policy {OWN_POLICY_NAME}", "trust policy"]
    assert ChangeState.INTENDED not in [change.state for change in world.changes()]
    told = [
        change["changeId"] for alert in world.alerts() for change in alert["changes"] if change["state"] == "applied"
    ]
    assert set(told) == {change.change_id for change in made}
    assert len(told) <= 2 * len(made)


class TestTheLimitOfWrites:
    def test_stops_all_roles_and_one_person_is_told_once(self, world: World) -> None:
        names = [f"node-{number}" for number in range(5)]
        for name in names:
            world.create_role(LAMBDA_STATEMENT, name=name)
        limited = settings()
        world.settings = type(limited)(clouds=limited.clouds, write_limit=WriteLimit(3, 60))
        outcomes = [world.look(role=name)[0] for name in names]
        assert [outcome.hold for outcome in outcomes] == [None, Hold.CAPPED, Hold.CAPPED, Hold.CAPPED, Hold.CAPPED]
        assert sum(world.trusts_ec2(name) for name in names) + sum(len(world.inline(name)) for name in names) == 3
        told = [alert["outcome"] for alert in world.alerts()]
        assert told.count("limit-reached") == 1
        assert len(told) == 3  # one repaired, one repaired in part, and the limit

    def test_is_told_by_the_next_one_where_it_could_not_be_published(self, world: World) -> None:
        for name in ("one", "two"):
            world.create_role(LAMBDA_STATEMENT, name=name)
        limited = settings()
        world.settings = type(limited)(clouds=limited.clouds, write_limit=WriteLimit(2, 60))
        world.look(role="one")
        world.alerts()
        failing = interfering(
            AlertsTopic(world.sns, world.topic_arn),
            before_publish=raising(ThrottledError("sns:Publish", "Throttling", "")),
        )
        held = world.reconcile(role="two")
        with pytest.raises(TransientError):
            world.deliver(held, topic=failing)
        assert world.alerts() == []
        world.deliver(held)
        assert [alert["outcome"] for alert in world.alerts()] == ["limit-reached"]

    def test_is_told_again_with_the_same_id_where_nobody_could_note_that_it_was(self, world: World) -> None:
        for name in ("one", "two"):
            world.create_role(LAMBDA_STATEMENT, name=name)
        limited = settings()
        world.settings = type(limited)(clouds=limited.clouds, write_limit=WriteLimit(2, 60))
        world.look(role="one")
        world.alerts()
        held = world.reconcile(role="two")
        lost = world.disturbed_history(
            before_note_limit_reported=raising(TransientError("dynamodb:UpdateItem", "", ""))
        )
        with pytest.raises(TransientError):
            world.deliver(held, history=lost)
        world.deliver(held)
        assert world.look(role="two")
        first, second = world.alerts()
        assert first["id"] == second["id"]
        assert first["outcome"] == second["outcome"] == "limit-reached"

    def test_counts_only_what_was_written(self, world: World) -> None:
        for name in ("denied", "other"):
            world.create_role(LAMBDA_STATEMENT, name=name)
            world.grant(bucket_grant(), role=name)
        limited = settings()
        world.settings = type(limited)(clouds=limited.clouds, write_limit=WriteLimit(1, 60))
        error = raising(DeniedError("iam:UpdateAssumeRolePolicy", "AccessDenied", "an SCP"))
        long_ago = replace(a_cause(), time="2026-03-04T09:00:00Z")
        for _ in range(5):
            world.look(long_ago, role="denied", roles=world.disturbed_roles(before_write_trust=error))
        assert world.look(role="other")[0].kind is OutcomeKind.REPAIRED

    def test_ends_with_the_window(self, world: World) -> None:
        world.create_role(LAMBDA_STATEMENT)
        limited = settings()
        world.settings = type(limited)(clouds=limited.clouds, write_limit=WriteLimit(1, 60))
        assert world.reconcile().hold is Hold.CAPPED
        world.time = world.time.replace(hour=world.time.hour + 1)
        outcome = world.reconcile()
        assert (outcome.kind, outcome.hold) == (OutcomeKind.REPAIRED, None)


def test_two_roles_of_one_bucket_leave_both_records_and_lose_nothing(world: World) -> None:
    world.settings = settings(grant="bucket-policy")
    for name in ("one", "two"):
        world.create_role(EC2_STATEMENT, name=name)
        world.look(role=name)
    assert world.named_in(BUCKET) == ["one", "two"]
    assert [change.role_name for change in world.changes(None)] == ["one", "two"]


def test_a_role_that_is_first_seen_is_remembered_by_its_id(world: World) -> None:
    world.create_role(EC2_STATEMENT, tags=ENROLLED)
    world.grant(bucket_grant())
    world.look()
    assert world.history.read_role_record(ROLE).role_id == world.iam.get_role(RoleName=ROLE)["Role"]["RoleId"]
