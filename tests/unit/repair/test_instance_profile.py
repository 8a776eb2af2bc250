"""What is found about the instance profile of a role's own name, and what is done about it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from remediator.core.alerts.decide import AlertDecision, AlertReason
from remediator.core.alerts.describe import describe
from remediator.core.history.role_record import RoleRecord
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.observed import Observed
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.instance_profile import (
    compute_configuration,
    own_instance_profile_arn,
    path_of_instance_profile,
    usable_instance_profile,
)
from remediator.core.repair.outcome import Applied, Outcome, OutcomeKind
from remediator.core.repair.plan import plan_repair
from remediator.settings import InstanceProfileMode, RolePattern
from tests.unit.alerts.samples import published
from tests.unit.history.changes import NOW
from tests.unit.policy.documents import ACCOUNT, BUCKET, ROLE_ARN, allow, bucket, document, policies, role, trust
from tests.writes import profile_write

NAME = "cluster"
ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/anyscale/{NAME}"
EMPTY = InstanceProfile(ARN, NAME, ())
OURS = InstanceProfile(ARN, NAME, (NAME,))
TAKEN = InstanceProfile(ARN, NAME, ("somebody-elses",))
ELSEWHERE = InstanceProfile(f"arn:aws:iam::{ACCOUNT}:instance-profile/shared", "shared", (NAME,))
REPAIR = Desired(instance_profile=InstanceProfileMode.REPAIR, instance_profiles=(RolePattern("anyscale/*"),))
ALERTED = AlertDecision(AlertReason.NEW, None, RoleRecord(), NOW)
REPORT = Desired(instance_profile=InstanceProfileMode.REPORT)


def observed(holding: Reading[tuple[InstanceProfile, ...]], namesake: Reading[InstanceProfile] | None) -> Observed:
    """A role that lacks nothing else."""
    return Observed(
        role(trust()),
        policies(document(allow())),
        ((BUCKET, Present(bucket())),),
        InstanceProfiles(holding, namesake),
    )


@pytest.mark.parametrize(
    ("holding", "namesake", "code"),
    [
        (Present((OURS,)), None, None),
        (Present((ELSEWHERE, OURS)), None, None),
        (Present(()), Present(OURS), None),
        (Present(()), Absent(), "profile-missing"),
        (Present(()), Present(EMPTY), "profile-missing"),
        (Present((ELSEWHERE,)), Absent(), "profile-missing"),
        (Present(()), None, "profile-missing"),
        (Absent(), Absent(), "profile-missing"),
        (Present(()), Present(TAKEN), "profile-occupied"),
        (Unreadable("denied"), None, "profile-undecided"),
        (Present(()), Unreadable("denied"), "profile-undecided"),
    ],
)
def test_only_an_instance_profile_of_the_roles_name_that_holds_it_will_do(
    holding: Reading[tuple[InstanceProfile, ...]], namesake: Reading[InstanceProfile] | None, code: str | None
) -> None:
    state = observed(holding, namesake)
    assert [finding.code for finding in diagnose(state, None, REPORT)] == ([] if code is None else [code])
    assert diagnose(state, None, Desired(instance_profile=InstanceProfileMode.IGNORE)) == ()


@pytest.mark.parametrize(("namesake", "is_new"), [(Absent(), True), (Present(EMPTY), False)])
def test_with_repair_it_is_created_under_the_roles_path_and_holds_the_role(
    namesake: Reading[InstanceProfile], is_new: bool
) -> None:
    state = observed(Present(()), namesake)
    plan = plan_repair(state, diagnose(state, None, REPAIR), REPAIR)
    assert plan.writes == (profile_write(NAME, "/anyscale/", is_new=is_new),)
    assert plan.blocked == ()


def test_an_empty_instance_profile_under_another_allowed_path_is_filled() -> None:
    blue = InstanceProfile(f"arn:aws:iam::{ACCOUNT}:instance-profile/anyscale/blue/{NAME}", NAME, ())
    state = observed(Present(()), Present(blue))
    assert len(plan_repair(state, diagnose(state, None, REPAIR), REPAIR).writes) == 1


def test_an_empty_instance_profile_under_a_path_that_is_not_allowed_is_told() -> None:
    elsewhere = InstanceProfile(f"arn:aws:iam::{ACCOUNT}:instance-profile/{NAME}", NAME, ())
    state = observed(Present(()), Present(elsewhere))
    plan = plan_repair(state, diagnose(state, None, REPAIR), REPAIR)
    assert plan.writes == ()
    assert elsewhere.arn in plan.blocked[0].because[0]


def test_with_report_it_is_told_and_the_setting_is_named() -> None:
    state = observed(Present(()), Absent())
    plan = plan_repair(state, diagnose(state, None, REPORT), REPORT)
    assert plan.writes == ()
    assert "instanceProfile" in plan.blocked[0].because[0]


def test_nothing_is_taken_out_of_an_instance_profile() -> None:
    state = observed(Present(()), Present(TAKEN))
    plan = plan_repair(state, diagnose(state, None, REPAIR), REPAIR)
    assert plan.writes == ()


def test_another_instance_profile_that_holds_the_role_is_named() -> None:
    (finding,) = diagnose(observed(Present((ELSEWHERE,)), Absent()), None, REPORT)
    assert any(ELSEWHERE.arn in because for because in finding.because)


def test_the_compute_configuration_names_the_instance_profile_and_not_the_role() -> None:
    assert own_instance_profile_arn(role().arn) == ARN
    assert json.loads(compute_configuration(ARN)) == {"IamInstanceProfile": {"Arn": ARN}}


@pytest.mark.parametrize("kind", [OutcomeKind.REPAIRED, OutcomeKind.MANUAL_ACTION])
def test_the_alert_gives_the_compute_configuration_ready_to_paste(kind: OutcomeKind) -> None:
    findings = diagnose(observed(Present(()), Absent()), None, REPAIR)
    results = (Applied(profile_write(NAME, "/anyscale/", is_new=True)),) if kind is OutcomeKind.REPAIRED else ()
    outcome = Outcome(kind, ACCOUNT, NAME, (), role_arn=ROLE_ARN, findings=findings, results=results)
    alert = published(describe(outcome, ALERTED))
    assert f'"Arn": "{ARN}"' in alert.text
    assert json.loads(alert.json)["computeConfiguration"] == {"IamInstanceProfile": {"Arn": ARN}}
    assert "aws_iam_instance_profile" in alert.text
    assert "AWS::IAM::InstanceProfile" in alert.text


def test_the_alert_names_the_instance_profile_that_there_is() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/{NAME}"
    findings = diagnose(observed(Present(()), Absent()), None, REPAIR)
    outcome = Outcome(
        OutcomeKind.MANUAL_ACTION, ACCOUNT, NAME, (), role_arn=ROLE_ARN, findings=findings, instance_profile=arn
    )
    alert = published(describe(outcome, ALERTED))
    assert json.loads(alert.json)["computeConfiguration"] == {"IamInstanceProfile": {"Arn": arn}}
    assert 'path = "/"' in alert.text


AT_THE_ROOT = InstanceProfile(f"arn:aws:iam::{ACCOUNT}:instance-profile/{NAME}", NAME, ())


@pytest.mark.parametrize(
    ("holding", "namesake", "mode", "arn"),
    [
        ((OURS,), None, InstanceProfileMode.REPORT, ARN),
        ((), Present(AT_THE_ROOT), InstanceProfileMode.REPAIR, AT_THE_ROOT.arn),
        ((), Present(AT_THE_ROOT), InstanceProfileMode.REPORT, AT_THE_ROOT.arn),
        ((), Present(replace(AT_THE_ROOT, role_names=(NAME,))), InstanceProfileMode.REPORT, AT_THE_ROOT.arn),
        ((), Absent(), InstanceProfileMode.REPORT, ARN),
        ((ELSEWHERE,), Absent(), InstanceProfileMode.REPORT, ELSEWHERE.arn),
        ((ELSEWHERE,), Absent(), InstanceProfileMode.REPAIR, ARN),
        ((ELSEWHERE,), Present(TAKEN), InstanceProfileMode.REPAIR, ELSEWHERE.arn),
        ((ELSEWHERE,), Present(AT_THE_ROOT), InstanceProfileMode.REPAIR, AT_THE_ROOT.arn),
    ],
)
def test_a_compute_configuration_can_name_what_holds_the_role_or_is_about_to(
    holding: tuple[InstanceProfile, ...],
    namesake: Reading[InstanceProfile] | None,
    mode: InstanceProfileMode,
    arn: str,
) -> None:
    assert usable_instance_profile(observed(Present(holding), namesake), mode) == arn


def test_where_instance_profiles_were_not_looked_at_nothing_is_found_and_what_was_found_earlier_is_withheld() -> None:
    state = replace(observed(Present(()), Absent()), profiles=None)
    assert diagnose(state, None, REPAIR) == ()
    earlier = diagnose(observed(Present(()), Absent()), None, REPAIR)
    plan = plan_repair(state, earlier, REPAIR)
    assert plan.writes == ()
    (blocked,) = plan.blocked
    assert blocked.finding == earlier[0]
    assert "was not checked" in blocked.because[0]


@pytest.mark.parametrize("mode", list(InstanceProfileMode))
def test_where_instance_profiles_were_not_looked_at_a_compute_configuration_can_name_that_of_the_roles_name(
    mode: InstanceProfileMode,
) -> None:
    state = replace(observed(Present((ELSEWHERE,)), None), profiles=None)
    assert usable_instance_profile(state, mode) == ARN


@pytest.mark.parametrize(
    ("arn", "path"), [(AT_THE_ROOT.arn, "/"), (ARN, "/anyscale/"), (ARN.replace("anyscale", "a/b"), "/a/b/")]
)
def test_the_path_of_an_instance_profile_stands_in_its_arn(arn: str, path: str) -> None:
    assert path_of_instance_profile(arn) == path


def test_an_alert_about_anything_else_gives_no_compute_configuration() -> None:
    outcome = Outcome(OutcomeKind.FAILED, ACCOUNT, NAME, (), role_arn=ROLE_ARN, why="throttled")
    notification = describe(outcome, ALERTED)
    assert notification.compute_configuration is None
    assert json.loads(published(notification).json)["computeConfiguration"] is None
