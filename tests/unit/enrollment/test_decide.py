"""Which roles are ours to look after: the tag asks, the configuration decides."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.core.enrollment.decide import Enrolled, NotEnrolled, Off, Refusal, Refused, decide_enrollment
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.reading import Absent, Unreadable
from remediator.settings import Mode
from tests.examples import ACCOUNT, EC2_STATEMENT, ENROLLED, LAMBDA_STATEMENT, OUTSIDE, a_role, settings


def assume(principal: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}


def test_a_tagged_role_of_an_allowed_path_is_enrolled_in_the_mode_of_its_cloud() -> None:
    enrollment = decide_enrollment(a_role(EC2_STATEMENT), settings(), account=ACCOUNT)
    assert isinstance(enrollment, Enrolled)
    assert (enrollment.cloud.name, enrollment.mode) == ("production", Mode.REPAIR)


def test_a_role_without_the_tag_is_not_enrolled() -> None:
    assert isinstance(decide_enrollment(a_role(tags={"team": "ml"}), settings(), account=ACCOUNT), NotEnrolled)


def test_a_tag_that_differs_in_case_does_not_enrol_and_the_reason_names_it() -> None:
    enrollment = decide_enrollment(a_role(tags={"Anyscale:Cluster-Role": "production"}), settings(), account=ACCOUNT)
    assert isinstance(enrollment, NotEnrolled)
    assert "Anyscale:Cluster-Role" in enrollment.why


@pytest.mark.parametrize(
    ("configured", "asked", "mode"),
    [
        ("repair", "repair", Mode.REPAIR),
        ("repair", "observe", Mode.OBSERVE),
        ("repair", " Observe ", Mode.OBSERVE),
        ("repair", "obserev", Mode.OBSERVE),
        ("repair", "", Mode.OBSERVE),
        ("observe", "repair", Mode.OBSERVE),
        ("observe", "observe", Mode.OBSERVE),
    ],
)
def test_the_mode_tag_narrows_and_never_widens(configured: str, asked: str, mode: Mode) -> None:
    role = a_role(tags={**ENROLLED, "anyscale:remediation": asked})
    enrollment = decide_enrollment(role, settings(mode=configured), account=ACCOUNT)
    assert isinstance(enrollment, Enrolled)
    assert enrollment.mode is mode


def test_a_misspelt_mode_tag_is_told() -> None:
    role = a_role(tags={**ENROLLED, "anyscale:remediation": "obserev"})
    enrollment = decide_enrollment(role, settings(), account=ACCOUNT)
    assert isinstance(enrollment, Enrolled)
    assert "'obserev'" in enrollment.notes[0]


@pytest.mark.parametrize("value", ["off", "OFF", " off "])
def test_the_mode_tag_off_leaves_the_role_alone(value: str) -> None:
    role = a_role(tags={**ENROLLED, "anyscale:remediation": value})
    assert isinstance(decide_enrollment(role, settings(), account=ACCOUNT), Off)


SERVICE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
RESERVED = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"

REFUSED: dict[str, tuple[Any, Refusal]] = {
    "unknown cloud": (a_role(tags={"anyscale:cluster-role": "staging"}), Refusal.UNKNOWN_CLOUD),
    "cloud name in another case": (a_role(tags={"anyscale:cluster-role": "Production"}), Refusal.UNKNOWN_CLOUD),
    "empty cloud name": (a_role(tags={"anyscale:cluster-role": ""}), Refusal.UNKNOWN_CLOUD),
    "path outside the allow list": (a_role(arn=f"arn:aws:iam::{ACCOUNT}:role/admin"), Refusal.NOT_ALLOWED),
    "path that only ends like an allowed one": (
        a_role(arn=f"arn:aws:iam::{ACCOUNT}:role/x/anyscale/production/head-node"),
        Refusal.NOT_ALLOWED,
    ),
    "service-linked role": (a_role(arn=SERVICE_ROLE), Refusal.SERVICE_ROLE),
    "role reserved by AWS": (a_role(arn=RESERVED), Refusal.SERVICE_ROLE),
    "role of another account": (
        a_role(arn=f"arn:aws:iam::{OUTSIDE}:role/anyscale/production/head-node"),
        Refusal.OTHER_ACCOUNT,
    ),
    "trusts an outside account by its root": (
        a_role(assume({"AWS": f"arn:aws:iam::{OUTSIDE}:root"})),
        Refusal.TRUSTS_OTHERS,
    ),
    "trusts an outside account by its id, among others": (
        a_role(EC2_STATEMENT, assume({"AWS": [f"arn:aws:iam::{ACCOUNT}:root", OUTSIDE]})),
        Refusal.TRUSTS_OTHERS,
    ),
    "trusts everybody": (a_role(assume("*")), Refusal.TRUSTS_OTHERS),
    "trusts everybody of AWS": (a_role(assume({"AWS": "*"})), Refusal.TRUSTS_OTHERS),
    "trusts everybody but one": (
        a_role({"Effect": "Allow", "NotPrincipal": {"AWS": OUTSIDE}, "Action": "sts:AssumeRole"}),
        Refusal.TRUSTS_OTHERS,
    ),
    "trusts a federation": (
        a_role(assume({"Federated": "cognito-identity.amazonaws.com"})),
        Refusal.TRUSTS_OTHERS,
    ),
    "trusts EKS Pod Identity": (a_role(assume({"Service": "pods.eks.amazonaws.com"})), Refusal.TRUSTS_OTHERS),
    "asks for an ExternalId": (
        a_role(assume({"AWS": ACCOUNT}, Condition={"StringEquals": {"STS:ExternalID": "cld_1"}})),
        Refusal.TRUSTS_OTHERS,
    ),
    "an unreadable trust policy": (a_role(reading=Unreadable("not JSON")), Refusal.TRUST_UNREADABLE),
    "no trust policy": (a_role(reading=Absent()), Refusal.TRUST_UNREADABLE),
    "a trust statement with something in it that cannot be understood": (
        a_role({**EC2_STATEMENT, "Unless": "full moon"}),
        Refusal.TRUSTS_OTHERS,
    ),
    "a trust statement that cannot be understood": (
        a_role({"Effect": "Allow", "Principal": 7, "Action": "sts:AssumeRole"}),
        Refusal.TRUSTS_OTHERS,
    ),
}


def test_every_refusal_has_a_case() -> None:
    by_what_is_known_later = {
        *(Refusal.POWERFUL, Refusal.PRIVILEGES_UNKNOWN, Refusal.BOUNDARY_LACKING, Refusal.NOT_APPROVED),
    }
    assert {refusal for _, refusal in REFUSED.values()} | {Refusal.OWN_ROLE} == set(Refusal) - by_what_is_known_later


def test_our_own_roles_are_refused_whatever_the_configuration_allows() -> None:
    configuration = settings(roles=["*nyscale*emediator*"])
    arn = f"arn:aws:iam::{ACCOUNT}:role/"
    for name in ("AnyscaleRemediator-RouterRole1", "AnyscaleRemediatorForwarder-eu-west-1-Role1"):
        ours = replace(a_role(EC2_STATEMENT), arn=RoleArn.parse(f"{arn}{name}"))
        enrollment = decide_enrollment(ours, configuration, account=ACCOUNT)
        assert isinstance(enrollment, Refused)
        assert enrollment.refusal is Refusal.OWN_ROLE
    for name in ("anyscaleremediator-RouterRole1", "team/AnyscaleRemediator-RouterRole1", "MyAnyscaleRemediator-Role"):
        others = replace(a_role(EC2_STATEMENT), arn=RoleArn.parse(f"{arn}{name}"))
        assert isinstance(decide_enrollment(others, configuration, account=ACCOUNT), Enrolled)


def test_every_refusal_has_its_row_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "findings.md").read_text().partition("## Refusals")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) == {refusal.value for refusal in Refusal}


@pytest.mark.parametrize("what", REFUSED)
def test_a_tag_alone_is_no_authority(what: str) -> None:
    role, refusal = REFUSED[what]
    enrollment = decide_enrollment(role, settings(), account=ACCOUNT)
    assert isinstance(enrollment, Refused)
    assert enrollment.refusal is refusal
    assert len(enrollment.why) > 20


def test_of_several_that_are_trusted_the_first_is_named_and_the_others_are_counted() -> None:
    outsiders = [f"arn:aws:iam::{OUTSIDE}:role/{name}" for name in ("a", "b", "c")]
    enrollment = decide_enrollment(a_role(assume({"AWS": outsiders})), settings(), account=ACCOUNT)
    assert isinstance(enrollment, Refused)
    assert "role/a and 2 more, which is outside this account" in enrollment.why
    enrollment = decide_enrollment(a_role(assume({"AWS": outsiders[:1]})), settings(), account=ACCOUNT)
    assert isinstance(enrollment, Refused)
    assert "role/a, which is outside this account" in enrollment.why


@pytest.mark.parametrize(
    "statement",
    [
        LAMBDA_STATEMENT,
        EC2_STATEMENT,
        assume({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        assume(
            {"AWS": [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:role/ops/admin", f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"]}
        ),
        assume({"AWS": "AROAEXAMPLEDELETED001"}),
        {"Effect": "Deny", "Principal": {"AWS": OUTSIDE}, "Action": "sts:AssumeRole"},
    ],
)
def test_trust_in_services_and_in_the_own_account_is_no_sign_of_others(statement: dict[str, Any]) -> None:
    assert isinstance(decide_enrollment(a_role(statement), settings(), account=ACCOUNT), Enrolled)


def test_a_cloud_of_another_account_refuses_our_roles() -> None:
    enrollment = decide_enrollment(a_role(EC2_STATEMENT), settings(account=OUTSIDE), account=ACCOUNT)
    assert isinstance(enrollment, Refused)
    assert enrollment.refusal is Refusal.OTHER_ACCOUNT
