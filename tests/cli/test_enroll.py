"""``remediator enroll``: what is checked and said before the tag is set."""

from __future__ import annotations

import json

import pytest

from tests.cli.deployed import ROLE
from tests.cli.running import CLOUD, OWN_ROLE, Running, configure, deny, running, without_credentials, write_settings
from tests.cli.schemas import schema_errors
from tests.cli.terminal import Remediator
from tests.examples import ACCOUNT, EC2_STATEMENT, LAMBDA_STATEMENT, OUTSIDE, policy

__all__ = ["running"]

KEY = "anyscale:cluster-role"
NEW = "worker"


@pytest.fixture
def worker(running: Running) -> Running:
    """The deployment, and a role that is not enrolled."""
    create(running)
    return running


def create(
    running: Running, *trust: object, tags: dict[str, str] | None = None, path: str = "/anyscale/production/"
) -> None:
    """Create a role that EC2 may not assume."""
    running.account.iam.create_role(
        RoleName=NEW,
        Path=path,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust or [LAMBDA_STATEMENT]}),
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
    )


def test_it_shows_what_will_be_done_asks_and_sets_the_tag(worker: Running, remediator: Remediator) -> None:
    answer = remediator("enroll", NEW, "production", stdin=b"y\n")
    assert (answer.code, answer.err) == (0, f"Enroll {NEW} in production? [y/N] ")
    assert answer.out.startswith(f"{NEW}  would-repair  cloud production\n")
    assert "would be written: trust policy" in answer.out
    assert answer.out.endswith("checks the role within seconds.\n")
    assert worker.tags(NEW) == {KEY: "production"}
    assert worker.inline(NEW) == []


@pytest.mark.parametrize("said", [b"", b"n\n", b"\n"])
def test_without_a_yes_nothing_is_changed(said: bytes, worker: Running, remediator: Remediator) -> None:
    answer = remediator("enroll", NEW, "production", stdin=said)
    assert (answer.code, worker.tags(NEW)) == (1, {})
    assert answer.err.splitlines()[-1].endswith("nothing was changed")


def test_a_role_that_is_enrolled_already_stays_as_it_is(worker: Running, remediator: Remediator) -> None:
    remediator("enroll", "--yes", NEW, "production")
    answer = remediator("enroll", "--yes", NEW, "production")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith(f"{NEW} is enrolled in production already; nothing was changed.\n")
    assert worker.tags(NEW) == {KEY: "production"}


def test_a_role_of_another_cloud_moves_and_it_is_said_what_stays(running: Running, remediator: Remediator) -> None:
    create(running, tags={KEY: "former", "team": "ml"})
    answer = remediator("enroll", "--yes", NEW, "production")
    assert answer.code == 0
    assert "Its tag names former now. What was granted for that stays." in answer.out
    assert running.tags(NEW) == {KEY: "production", "team": "ml"}


def test_a_cloud_that_is_not_configured_is_an_error_with_the_one_that_may_be_meant(
    worker: Running, remediator: Remediator
) -> None:
    answer = remediator("enroll", "--yes", NEW, "Production")
    assert (answer.code, worker.tags(NEW)) == (1, {})
    assert answer.err.endswith("nothing was changed: is production meant?\n")
    assert "there are production" in remediator("enroll", "--yes", NEW, "xyz").err


@pytest.mark.parametrize(
    ("trust", "path", "guard"),
    [
        ((LAMBDA_STATEMENT,), "/elsewhere/", "not-allowed: Cloud production is not configured to allow role/elsewhere"),
        (
            ({**EC2_STATEMENT, "Principal": {"AWS": OUTSIDE}},),
            "/anyscale/production/",
            f"trusts-others: The statement 1 of the trust policy trusts {OUTSIDE}",
        ),
    ],
)
def test_a_role_that_a_guard_refuses_is_not_tagged_and_the_guard_is_named(
    trust: tuple[object, ...], path: str, guard: str, running: Running, remediator: Remediator
) -> None:
    create(running, *trust, path=path)
    answer = remediator("enroll", "--yes", NEW, "production")
    assert (answer.code, answer.out, running.tags(NEW)) == (1, "", {})
    assert f"{NEW} cannot be enrolled in production, and nothing was changed. {guard}" in answer.err


def test_a_role_of_the_remediator_is_not_tagged(running: Running, remediator: Remediator) -> None:
    configure(roles=["Anyscale*"])
    running.create_own_role()
    answer = remediator("enroll", "--yes", OWN_ROLE, "production")
    assert (answer.code, answer.out, running.tags(OWN_ROLE)) == (1, "", {})
    why = "own-role: The role is one of the remediator's own, which it never touches."
    assert f"{OWN_ROLE} cannot be enrolled in production, and nothing was changed. {why}" in answer.err


def test_an_administrators_role_is_not_tagged(worker: Running, remediator: Remediator) -> None:
    everything = json.dumps(policy({"Effect": "Allow", "Action": "*", "Resource": "*"}))
    worker.account.iam.put_role_policy(RoleName=NEW, PolicyName="all", PolicyDocument=everything)
    answer = remediator("enroll", "--yes", NEW, "production")
    assert (answer.code, worker.tags(NEW)) == (1, {})
    assert "powerful: " in answer.err


def test_a_role_that_is_set_to_off_is_tagged_and_reported_as_skipped(running: Running, remediator: Remediator) -> None:
    create(running, tags={"anyscale:remediation": "off"})
    answer = remediator("enroll", "--yes", NEW, "production")
    assert (answer.code, running.tags(NEW)[KEY]) == (0, "production")
    assert "the tag anyscale:remediation of the role is 'off'" in answer.out


def test_where_approvers_are_configured_it_says_whose_word_counts(worker: Running, remediator: Remediator) -> None:
    approver = f"arn:aws:iam::{ACCOUNT}:role/platform/*"
    write_settings({"approvers": [approver], "clouds": {"production": CLOUD}})
    answer = remediator("enroll", "--yes", NEW, "production")
    assert f"one of these must set it: {approver}" in " ".join(answer.out.split())


def test_in_an_observed_cloud_it_says_that_nothing_is_written(worker: Running, remediator: Remediator) -> None:
    configure(mode="observe")
    assert "observed only: nothing is written" in " ".join(remediator("enroll", "--yes", NEW, "production").out.split())


def test_a_role_that_is_not_there_is_an_error(running: Running, remediator: Remediator) -> None:
    answer = remediator("enroll", "--yes", "missing", "production")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: there is no role missing in the account of your credentials\n"


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("TagRole", "your credentials may not call iam:TagRole"),
        ("GetRole", "iam:GetRole failed with AccessDenied"),
        ("ListRolePolicies", "iam:ListRolePolicies failed with AccessDenied"),
    ],
)
def test_a_call_that_is_denied_is_named_and_nothing_is_changed(
    operation: str, action: str, worker: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as denied:
        deny(denied, operation)
        answer = remediator("enroll", "--yes", NEW, "production")
    assert (answer.code, worker.tags(NEW)) == (1, {})
    assert action in answer.err
    assert answer.err.count("\n") == 1


def test_without_credentials_it_says_what_to_set(
    running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch)
    answer = remediator("enroll", "--yes", ROLE, "production")
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err


@pytest.mark.parametrize(
    "arn", [f"arn:aws:iam::999999999999:role/anyscale/production/{NEW}", f"arn:aws:iam::{ACCOUNT}:role/{NEW}"]
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, worker: Running, remediator: Remediator
) -> None:
    answer = remediator("enroll", "--yes", arn, "production")
    assert (answer.code, answer.out, worker.tags(NEW)) == (1, "", {})
    assert f"{arn} was given" in answer.err
    assert f"is arn:aws:iam::{ACCOUNT}:role/anyscale/production/{NEW}. Nothing was changed." in answer.err


class TestWithJson:
    def test_it_says_what_was_tagged_and_what_is_foreseen(self, worker: Running, remediator: Remediator) -> None:
        answer = remediator("enroll", "--json", "--yes", NEW, "production")
        record = answer.record
        assert (answer.code, answer.err, schema_errors("enrollment", record)) == (0, "", [])
        assert (record["result"], record["why"]) == ("enrolled", None)
        assert record["tag"] == {"key": KEY, "before": None, "after": "production"}
        assert [each["document"]["kind"] for each in record["foreseen"]["writes"]] == ["trust-policy", "inline-policy"]
        again = remediator("enroll", "--json", "--yes", NEW, "production").record
        assert schema_errors("enrollment", again) == []
        assert (again["result"], again["tag"]["before"]) == ("already-enrolled", "production")

    def test_it_asks_on_standard_error_with_what_it_asks_about(self, worker: Running, remediator: Remediator) -> None:
        answer = remediator("enroll", "--json", NEW, "production", stdin=b"n\n")
        assert (answer.code, answer.record["result"], worker.tags(NEW)) == (1, "declined", {})
        assert schema_errors("enrollment", answer.record) == []
        assert "would be written: trust policy" in answer.err
        assert f"Enroll {NEW} in production? [y/N] " in answer.err

    def test_a_role_that_is_refused_is_one_with_the_guard(self, running: Running, remediator: Remediator) -> None:
        create(running, path="/elsewhere/")
        answer = remediator("enroll", "--json", "--yes", NEW, "production")
        assert (answer.code, answer.record["result"]) == (1, "refused")
        assert schema_errors("enrollment", answer.record) == []
        assert answer.record["why"].startswith("not-allowed: ")
