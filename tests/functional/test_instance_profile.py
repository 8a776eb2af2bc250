"""The instance profile of a role's own name: reported, or made, and never taken from somebody else."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.history.change import ChangeState
from remediator.core.model.finding import FindingCode
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.policy.reading import Absent, Reading, Unreadable
from remediator.core.repair.outcome import NotApplied, Outcome, OutcomeKind, Unconfirmed
from remediator.errors import DeniedError, NotFoundError, QuotaError, ThrottledError, TransientError
from remediator.gateways.iam import IamGateway
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, a_cause, bucket_grant, settings
from tests.functional.faults import once, raising, throttled, unanswered
from tests.functional.world import ROLE, World
from tests.writes import profile_write

OWN_PROFILE_ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/anyscale/production/{ROLE}"
WRITES = ["CreateInstanceProfile", "AddRoleToInstanceProfile"]


@pytest.fixture(autouse=True)
def repairing(world: World) -> None:
    world.settings = settings(instanceProfile="repair")


def create_role(world: World, **options: Any) -> None:
    """A role that lacks nothing but an instance profile."""
    world.create_role(EC2_STATEMENT, profile=False, **options)
    world.grant(bucket_grant())


def codes(outcome: Outcome) -> list[FindingCode]:
    return [finding.code for finding in outcome.findings]


def create_profile(world: World, *roles: str, name: str = ROLE, path: str = "/") -> None:
    """Create an instance profile as somebody else would."""
    world.iam.create_instance_profile(InstanceProfileName=name, Path=path)
    for role in roles:
        world.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)


def test_a_role_without_an_instance_profile_gets_one_of_its_name_under_its_path(world: World) -> None:
    create_role(world)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert codes(outcome) == [FindingCode.PROFILE_MISSING]
    assert world.writes == WRITES
    profile = world.iam.get_instance_profile(InstanceProfileName=ROLE)["InstanceProfile"]
    assert profile["Arn"] == OWN_PROFILE_ARN
    assert [role["RoleName"] for role in profile["Roles"]] == [ROLE]
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert world.writes == []


def test_by_default_a_missing_instance_profile_is_told_with_what_to_do_and_nothing_is_written(world: World) -> None:
    world.settings = settings()
    create_role(world)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome) == [FindingCode.PROFILE_MISSING]
    assert world.writes == []
    assert world.profiles() == []
    world.deliver(outcome)
    (alert,) = world.alerts()
    assert alert["computeConfiguration"] == {"IamInstanceProfile": {"Arn": OWN_PROFILE_ARN}}


def test_where_instance_profiles_are_ignored_they_are_not_even_read(world: World) -> None:
    world.settings = settings(instanceProfile="ignore")
    create_role(world)
    assert world.reconcile().kind is OutcomeKind.CLEAN
    assert not [call for call in world.calls if "InstanceProfile" in call]


def test_observe_mode_says_what_would_be_made_and_makes_nothing(world: World) -> None:
    world.settings = settings(instanceProfile="repair", mode="observe")
    create_role(world)
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.WOULD_REPAIR
    assert outcome.proposed == (profile_write(ROLE, "/anyscale/production/", is_new=True),)
    assert world.profiles() == []


@pytest.mark.parametrize("path", ["/anyscale/production/blue/", "/anyscale/production/"])
def test_an_empty_instance_profile_of_the_name_is_filled_wherever_the_patterns_allow(world: World, path: str) -> None:
    create_role(world)
    create_profile(world, path=path)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.writes == ["AddRoleToInstanceProfile"]
    assert world.profiles() == [ROLE]


@pytest.mark.parametrize("path", ["/anyscale/production/blue/", "/anyscale/production/"])
def test_the_alert_names_the_instance_profile_that_was_filled_and_not_one_under_the_path_of_the_role(
    world: World, path: str
) -> None:
    create_role(world)
    create_profile(world, path=path)
    world.look()
    (alert,) = world.alerts()
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile{path}{ROLE}"
    assert alert["computeConfiguration"] == {"IamInstanceProfile": {"Arn": arn}}
    assert alert["changes"][0]["after"]["Path"] == path
    assert f'path = "{path}"' in alert["permanent"]["terraform"]


def test_where_only_another_instance_profile_holds_the_role_the_alert_names_that_one(world: World) -> None:
    world.settings = settings()
    create_role(world)
    create_profile(world, ROLE, name="shared")
    world.look()
    (alert,) = world.alerts()
    assert alert["outcome"] == "needs-person"
    assert alert["computeConfiguration"]["IamInstanceProfile"]["Arn"].endswith(":instance-profile/shared")


def test_an_empty_instance_profile_where_the_patterns_do_not_allow_is_told(world: World) -> None:
    create_role(world)
    create_profile(world, path="/")
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert world.writes == []
    assert f"instance-profile/{ROLE}, under a path" in outcome.blocked[0].because[0]


def test_an_instance_profile_in_which_another_role_is_belongs_to_somebody_else(world: World) -> None:
    world.create_role(EC2_STATEMENT, name="other", profile=False)
    create_role(world)
    create_profile(world, "other")
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert codes(outcome) == [FindingCode.PROFILE_OCCUPIED]
    assert world.writes == []


def test_a_role_in_another_instance_profile_is_still_put_into_one_of_its_own_name(world: World) -> None:
    create_role(world)
    create_profile(world, ROLE, name="other")
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.REPAIRED
    assert "instance-profile/other" in " ".join(outcome.findings[0].because)
    assert sorted(world.profiles()) == [ROLE, "other"]


def test_trust_grant_and_instance_profile_are_repaired_in_one_go(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, profile=False)
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.writes == ["UpdateAssumeRolePolicy", "PutRolePolicy", *WRITES]
    assert world.reconcile().kind is OutcomeKind.CLEAN


def test_a_bucket_that_does_not_answer_does_not_keep_the_instance_profile_from_being_made(world: World) -> None:
    world.create_role(EC2_STATEMENT, profile=False)
    outcome = world.reconcile(buckets=world.disturbed_buckets(before_read_bucket=throttled()))
    assert world.profiles() == [ROLE]
    assert world.inline() == {}
    assert outcome.to_be_retried


@pytest.mark.parametrize(
    "denied",
    [
        InstanceProfiles(holding=Unreadable("iam:ListInstanceProfilesForRole failed with AccessDenied")),
        InstanceProfiles(holding=Absent(), namesake=Unreadable("iam:GetInstanceProfile failed with AccessDenied")),
    ],
)
def test_instance_profiles_that_cannot_be_read_are_never_taken_for_missing(
    world: World, denied: InstanceProfiles
) -> None:
    world.create_role(LAMBDA_STATEMENT, profile=False)
    outcome = world.reconcile(roles=Blind(denied))
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert FindingCode.PROFILE_UNDECIDED in codes(outcome)
    assert world.profiles() == []
    assert world.trusts_ec2()


class Blind(IamGateway):
    """IAM that shows no instance profiles."""

    def __init__(self, answer: InstanceProfiles) -> None:
        client = boto3.client("iam")
        super().__init__(client, lambda: client)
        self._answer = answer

    def read_instance_profiles(self, role_name: str) -> InstanceProfiles:
        return self._answer


# Writes that do not go as they should


@pytest.mark.parametrize("write", ["create_instance_profile", "add_role_to_instance_profile"])
def test_a_write_whose_answer_was_lost_is_found_by_reading_back(world: World, write: str) -> None:
    create_role(world)
    roles = world.disturbed_roles(**{f"after_{write}": once(unanswered())})
    assert world.reconcile(roles=roles).kind is OutcomeKind.REPAIRED
    assert world.profiles() == [ROLE]


def test_that_somebody_else_has_put_the_role_in_its_place_meanwhile_is_no_failure(world: World) -> None:
    create_role(world)
    full = QuotaError("iam:AddRoleToInstanceProfile", "LimitExceeded", "InstanceSessionsPerInstanceProfile: 1")
    outcome = world.reconcile(roles=world.disturbed_roles(after_add_role_to_instance_profile=raising(full)))
    assert outcome.kind is OutcomeKind.REPAIRED


def test_a_throttled_creation_goes_back_to_the_queue(world: World) -> None:
    create_role(world)
    with pytest.raises(TransientError):
        world.reconcile(roles=world.disturbed_roles(before_create_instance_profile=throttled()))
    assert world.profiles() == []


@pytest.mark.parametrize("read", ["read_instance_profiles_1", "read_instance_profile_2"])
def test_a_throttled_read_before_the_write_goes_back_to_the_queue(world: World, read: str) -> None:
    create_role(world)
    with pytest.raises(TransientError):
        world.reconcile(roles=world.disturbed_roles(**{f"before_{read}": throttled()}))
    assert world.profiles() == []


@pytest.mark.parametrize(
    "error",
    [
        DeniedError("iam:CreateInstanceProfile", "AccessDenied", "not authorized"),
        QuotaError("iam:CreateInstanceProfile", "LimitExceeded", "InstanceProfilesPerAccount: 1000"),
    ],
)
def test_a_creation_that_aws_refuses_is_told_with_its_reason(world: World, error: Exception) -> None:
    create_role(world)
    cause = a_cause("TagRole")  # the permission does not hang on the tag, so that a fresh one explains nothing
    outcome = world.reconcile(cause, roles=world.disturbed_roles(before_create_instance_profile=raising(error)))
    assert outcome.kind is OutcomeKind.FAILED
    assert not outcome.to_be_retried
    (result,) = outcome.results
    assert isinstance(result, NotApplied)
    assert str(error) == result.why


@pytest.mark.parametrize(
    "error",
    [
        DeniedError("iam:AddRoleToInstanceProfile", "AccessDenied", "not authorized to perform: iam:PassRole"),
        ThrottledError("iam:AddRoleToInstanceProfile", "Throttling", "Rate exceeded"),
        NotFoundError("iam:AddRoleToInstanceProfile", "NoSuchEntity", "cannot be found"),
        QuotaError("iam:AddRoleToInstanceProfile", "LimitExceeded", "InstanceSessionsPerInstanceProfile: 1"),
    ],
)
def test_an_instance_profile_that_was_made_and_stayed_empty_is_told_and_looked_at_again(
    world: World, error: Exception
) -> None:
    create_role(world)
    outcome = world.reconcile(roles=world.disturbed_roles(before_add_role_to_instance_profile=raising(error)))
    assert outcome.kind is OutcomeKind.FAILED
    assert world.deliver(outcome) is AlertReason.NEW
    assert outcome.to_be_retried
    (result,) = outcome.results
    assert isinstance(result, Unconfirmed)
    assert "created" in result.why
    assert str(error) in result.why
    assert world.reconcile().kind is OutcomeKind.REPAIRED
    assert world.writes == ["AddRoleToInstanceProfile"]


def test_an_instance_profile_that_was_made_is_told_where_somebody_fills_it_before_the_next_try(world: World) -> None:
    world.create_role(EC2_STATEMENT, name="other", profile=False)
    create_role(world)

    def fill_and_throttle() -> None:
        world.iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName="other")
        raise ThrottledError("iam:AddRoleToInstanceProfile", "Throttling", "Rate exceeded")

    moment = once(fill_and_throttle)
    outcome = world.reconcile(roles=world.disturbed_roles(before_add_role_to_instance_profile=moment))
    (result,) = outcome.results
    assert isinstance(result, Unconfirmed)
    assert "created" in result.why
    assert [change.state for change in world.changes()] == [ChangeState.UNCONFIRMED]
    assert world.profiles("other") == [ROLE]


def test_an_instance_profile_that_we_may_not_fill_is_told_with_the_reason(world: World) -> None:
    create_role(world)
    create_profile(world, path="/anyscale/production/")
    denied = raising(DeniedError("iam:AddRoleToInstanceProfile", "AccessDenied", "not authorized"))
    outcome = world.reconcile(roles=world.disturbed_roles(before_add_role_to_instance_profile=denied))
    assert outcome.kind is OutcomeKind.FAILED
    assert not outcome.to_be_retried


class Late(IamGateway):
    """IAM that shows an instance profile only at the third look after it was made."""

    def __init__(self) -> None:
        client = boto3.client("iam")
        super().__init__(client, lambda: client)
        self._hidden = 0

    def create_instance_profile(self, name: str, path: str) -> None:
        super().create_instance_profile(name, path)
        self._hidden = 2

    def read_instance_profile(self, name: str) -> Reading[InstanceProfile]:
        self._hidden -= 1
        return Absent() if self._hidden >= 0 else super().read_instance_profile(name)


def test_an_instance_profile_that_shows_late_is_waited_for(world: World) -> None:
    create_role(world)
    assert world.reconcile(roles=Late()).kind is OutcomeKind.REPAIRED
    assert world.pauses == [0.2, 0.5]


# Others who write at the same time


def test_an_instance_profile_that_somebody_makes_between_the_look_and_the_write_is_filled(world: World) -> None:
    create_role(world)
    make = once(lambda: create_profile(world, path="/anyscale/production/"))
    assert world.reconcile(roles=world.disturbed_roles(before_read_instance_profile_2=make)).kind is (
        OutcomeKind.REPAIRED
    )
    assert world.writes == ["AddRoleToInstanceProfile"]


def test_an_instance_profile_that_somebody_makes_at_the_very_same_time_is_filled(world: World) -> None:
    create_role(world)
    make = once(lambda: create_profile(world))
    assert world.reconcile(roles=world.disturbed_roles(before_create_instance_profile=make)).kind is (
        OutcomeKind.REPAIRED
    )
    assert world.profiles() == [ROLE]


def test_an_instance_profile_that_somebody_fills_between_the_look_and_the_write_stays_theirs(world: World) -> None:
    world.create_role(EC2_STATEMENT, name="other", profile=False)
    create_role(world)
    take = once(lambda: create_profile(world, "other"))
    outcome = world.reconcile(roles=world.disturbed_roles(before_read_instance_profile_2=take))
    assert codes(outcome) == [FindingCode.PROFILE_OCCUPIED]
    assert world.writes == []
    assert world.profiles("other") == [ROLE]


def test_a_role_that_is_unenrolled_between_the_look_and_the_write_gets_no_instance_profile(world: World) -> None:
    create_role(world)
    untag = once(lambda: world.iam.untag_role(RoleName=ROLE, TagKeys=["anyscale:cluster-role"]))
    outcome = world.reconcile(roles=world.disturbed_roles(before_read_role_2=untag))
    assert outcome.kind is OutcomeKind.NOT_ENROLLED
    assert world.profiles() == []


def test_a_bucket_that_is_blocked_does_not_keep_the_instance_profile_from_being_made(world: World) -> None:
    create_role(world)
    world.put_bucket_policy(
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    )
    outcome = world.reconcile()
    assert outcome.kind is OutcomeKind.MANUAL_ACTION
    assert world.profiles() == [ROLE]
