"""``remediator plan``: what would be done in an account, and the policy that reading it requires."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import jsonschema
import pytest

from remediator.permissions import SWEEPER, Access
from remediator_cli.deployment.scan_policy import SCAN, scan_policy
from tests.cli.deployed import ROLE, Deployed
from tests.cli.running import (
    CLOUD,
    OWN_ROLE,
    answer_with,
    configure,
    deny,
    documented,
    without_credentials,
    write_settings,
)
from tests.cli.terminal import ROOT, Json, Remediator
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, bucket_grant, policy, settings
from tests.functional.test_issued_calls import ACTIONS, PUBLIC

SCHEMA: Json = json.loads((ROOT / "docs" / "plan.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def account(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """An account with the role and the bucket of a cloud, and its cdk.json in the working directory; no stack."""
    monkeypatch.chdir(tmp_path)
    configure()
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return deployed


def repair(account: Deployed) -> None:
    """Grant the role its bucket, so that nothing is wrong with it."""
    account.iam.put_role_policy(RoleName=ROLE, PolicyName="data", PolicyDocument=json.dumps(policy(bucket_grant())))


def test_it_shows_what_is_wrong_and_the_diff_and_changes_nothing(account: Deployed, remediator: Remediator) -> None:
    answer = remediator("plan")
    assert (answer.code, answer.err) == (2, "")
    assert answer.out.startswith(f"Account {ACCOUNT}, 1 role: 1 to be repaired.\n")
    assert "grant-missing  anyscale-production-data" in answer.out
    assert "would be written: inline policy AnyscaleRemediatorS3Access" in answer.out
    assert '+      "Sid": "AnyscaleRemediatorBucket",' in answer.out
    assert account.iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == []


def test_what_is_documented_is_what_it_prints(account: Deployed, remediator: Remediator) -> None:
    account.iam.create_role(
        RoleName="worker",
        Path="/anyscale/production/",
        AssumeRolePolicyDocument="{}",
        Tags=[{"Key": "Anyscale:Cluster-Role", "Value": "production"}],
    )
    assert remediator("plan").out.rstrip() == documented("remediator plan").rstrip()


def test_where_nothing_is_wrong_it_ends_with_0(account: Deployed, remediator: Remediator) -> None:
    repair(account)
    answer = remediator("plan")
    assert (answer.code, answer.err) == (0, "")
    assert "1 clean" in answer.out


def test_the_json_form_has_the_published_schema_and_the_documents(account: Deployed, remediator: Remediator) -> None:
    account.iam.create_role(RoleName="untagged", Path="/anyscale/production/", AssumeRolePolicyDocument="{}")
    account.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:remediation", "Value": "observe"}])
    answer = remediator("plan", "--json")
    assert answer.code == 2
    jsonschema.validate(answer.record, SCHEMA)
    role, untagged = answer.record["roles"]
    assert (role["state"], role["mode"], role["cloud"]) == ("would-repair", "observe", "production")
    (write,) = role["writes"]
    assert (write["document"]["kind"], write["before"]) == ("inline-policy", None)
    assert write["after"]["Statement"][0]["Sid"] == "AnyscaleRemediatorBucket"
    assert untagged["nearly"] == {
        "what": "untagged",
        "why": "The configuration allows it for production, and it does not carry the tag 'anyscale:cluster-role'.",
        "cloud": "production",
    }


def test_every_state_has_the_published_schema(account: Deployed, remediator: Remediator) -> None:
    for tags, path in (
        ({"anyscale:cluster-role": "research"}, "/anyscale/production/"),
        ({"Anyscale:Cluster-Role": "production"}, "/elsewhere/"),
        ({"anyscale:cluster-role": "production", "anyscale:remediation": "off"}, "/elsewhere/"),
        ({"anyscale:cluster-role": "production", "anyscale:remediation": "?"}, "/anyscale/production/"),
    ):
        account.iam.create_role(
            RoleName=f"role-{len(account.iam.list_roles()['Roles'])}",
            Path=path,
            AssumeRolePolicyDocument=json.dumps(policy({**EC2_STATEMENT, "Effect": "Deny"}, LAMBDA_STATEMENT)),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    record = remediator("plan", "--json").record
    jsonschema.validate(record, SCHEMA)
    assert {each["state"] for each in record["roles"]} == {
        *("would-repair", "refused", "not-enrolled", "off", "needs-person")
    }


def test_a_role_with_a_misspelled_tag_is_shown_with_the_enroll_command(
    account: Deployed, remediator: Remediator
) -> None:
    repair(account)
    account.iam.create_role(
        RoleName="worker",
        Path="/anyscale/production/",
        AssumeRolePolicyDocument="{}",
        Tags=[{"Key": "Anyscale:Cluster-Role", "Value": "Production"}],
    )
    answer = remediator("plan")
    assert answer.code == 2
    assert "1 with a misconfigured enrollment" in answer.out
    assert "It has the tag 'Anyscale:Cluster-Role'" in answer.out
    assert "remediator enroll worker production" in answer.out


def test_enrolling_a_role_of_the_remediator_is_never_suggested(account: Deployed, remediator: Remediator) -> None:
    configure(roles=["Anyscale*"])
    account.iam.create_role(RoleName=OWN_ROLE, AssumeRolePolicyDocument="{}")
    assert "remediator enroll" not in remediator("plan").out
    assert f"{OWN_ROLE}  not-enrolled" in remediator("plan", "--role", OWN_ROLE).out


def test_only_the_roles_that_are_named_are_shown(account: Deployed, remediator: Remediator) -> None:
    account.iam.create_role(RoleName="another", AssumeRolePolicyDocument="{}")
    answer = remediator("plan", "--role", "another")
    assert (answer.code, ROLE in answer.out) == (0, False)
    assert "another  not-enrolled" in answer.out


def test_a_role_that_is_not_there_is_an_error(account: Deployed, remediator: Remediator) -> None:
    answer = remediator("plan", "--role", "missing")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"error: there is no role missing in account {ACCOUNT}\n"


def test_without_a_configuration_it_says_what_to_name(
    account: Deployed, remediator: Remediator, tmp_path: Path
) -> None:
    (tmp_path / "cdk.json").unlink()
    answer = remediator("plan")
    assert (answer.code, answer.out) == (1, "")
    assert "--settings" in answer.err


def test_credentials_of_another_account_than_the_configured_are_an_error(
    account: Deployed, remediator: Remediator
) -> None:
    write_settings({"account": "999999999999", "clouds": {"production": CLOUD}})
    answer = remediator("plan")
    assert (answer.code, answer.out) == (1, "")
    assert f"your credentials are for account {ACCOUNT}, and the configuration is for 999999999999" in answer.err


def test_a_scan_that_is_denied_is_named(
    account: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "GetAccountAuthorizationDetails")
    answer = remediator("plan")
    assert (answer.code, answer.out) == (1, "")
    assert "your credentials may not call iam:GetAccountAuthorizationDetails" in answer.err


def test_a_bucket_that_is_denied_is_a_finding_and_the_call_is_named(
    account: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "GetBucketPolicy")
    answer = remediator("plan")
    assert answer.code == 2
    assert "bucket-unreadable" in answer.out
    assert "your credentials may not call s3:GetBucketPolicy" in answer.err
    assert "--print-policy" in answer.err
    assert remediator("plan", "--json").record["denied"] == ["s3:GetBucketPolicy"]


def test_what_cannot_be_reached_is_an_error_and_not_clean(
    account: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    repair(account)
    answer_with(monkeypatch, "GetBucketPolicy", 503, "SlowDown")
    monkeypatch.setattr("time.sleep", lambda _: None)
    answer = remediator("plan")
    assert answer.code == 1
    assert f"{ROLE}: could not be checked: s3:GetBucketPolicy failed with SlowDown" in answer.err


def test_without_credentials_it_says_what_to_set(
    account: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch)
    answer = remediator("plan")
    assert (answer.code, answer.out) == (1, "")
    assert "no AWS credentials were found" in answer.err


def test_with_approvers_it_says_that_approvals_are_not_checked(account: Deployed, remediator: Remediator) -> None:
    approver = f"arn:aws:iam::{ACCOUNT}:role/platform/*"
    write_settings({"approvers": [approver], "clouds": {"production": CLOUD}})
    assert f"none of {approver} has tagged" in " ".join(remediator("plan").out.split())


def test_foreign_text_cannot_reach_the_terminal_as_a_control_sequence(
    account: Deployed, remediator: Remediator
) -> None:
    hostile = "[red]\u009b31m"
    account.iam.put_role_policy(
        RoleName=ROLE,
        PolicyName="theirs",
        PolicyDocument=json.dumps(policy({**bucket_grant(), "Sid": hostile, "Effect": "Deny"})),
    )
    account.iam.create_role(
        RoleName="worker",
        AssumeRolePolicyDocument="{}",
        Tags=[{"Key": "anyscale:cluster-role", "Value": "[b] pro"}],
    )
    answer = remediator("plan")
    assert "[red]" in answer.out
    assert not [char for char in answer.out + answer.err if unicodedata.category(char)[0] == "C" and char != "\n"]


class TestThePolicyItNeeds:
    def test_covers_every_call_that_is_made_and_no_other(
        self, account: Deployed, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arn: str = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        s3 = boto3.client("s3")
        by_default: Any = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
        s3.put_bucket_encryption(
            Bucket=BUCKET,
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": by_default}]},
        )
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(PUBLIC)))
        nothing = json.dumps(policy({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::elsewhere"}))
        attached = account.iam.create_policy(PolicyName="theirs", PolicyDocument=nothing)["Policy"]["Arn"]
        account.iam.attach_role_policy(RoleName=ROLE, PolicyArn=attached)
        configure(buckets=[{**CLOUD["buckets"][0], "key": arn}], instanceProfile="repair")
        issued = noted(monkeypatch)
        assert remediator("plan").code == 2
        granted = {
            action
            for statement in json.loads(remediator("plan", "--print-policy").out)["Statement"]
            for action in statement["Action"]
        }
        assert {action for call in issued for action in ACTIONS.get(call, (call,))} - {
            "sts:GetCallerIdentity"
        } == granted

    def test_is_what_is_declared_for_the_sweeper_without_the_history(self) -> None:
        assert {each.access for each in SCAN} == {Access.READ}
        assert set(SWEEPER) - set(SCAN) == {each for each in SWEEPER if each.action.startswith("dynamodb:")}

    def test_names_the_resources_of_the_configuration(self) -> None:
        statements: Any = scan_policy(settings())["Statement"]
        assert {each["Sid"]: each["Resource"] for each in statements} == {
            "ReadAccount": ["*"],
            "ReadInstanceProfiles": ["arn:aws:iam::*:instance-profile/*"],
            "ReadManagedPolicies": ["arn:aws:iam::*:policy/*", "arn:aws:iam::aws:policy/*"],
            "ReadBuckets": [f"arn:aws:s3:::{BUCKET}"],
        }


def noted(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The calls that are made from now on (``iam:GetRole``)."""
    calls: set[str] = set()
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out

    def note(client: Any, name: str, parameters: Any) -> Any:
        calls.add(f"{client.meta.service_model.service_name}:{name}")
        return call(client, name, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", note)
    return calls


@pytest.mark.parametrize(
    "arguments",
    [("--bogus",), ("--role",), ("--role", "no role!"), ("--settings", "nowhere.json"), ("--json", "-o", "text")],
)
def test_a_wrong_call_is_an_error_and_no_drift(
    account: Deployed, remediator: Remediator, arguments: tuple[str, ...]
) -> None:
    answer = remediator("plan", *arguments)
    assert answer.code == 1
    assert answer.err != ""


def test_each_role_is_counted_once(account: Deployed, remediator: Remediator) -> None:
    trusting_outside = policy({"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole"})
    account.iam.create_role(
        RoleName="control-plane",
        Path="/anyscale/production/",
        AssumeRolePolicyDocument=json.dumps(trusting_outside),
        Tags=[{"Key": "anyscale:cluster-role", "Value": "production"}],
    )
    account.iam.create_role(
        RoleName="nameless",
        Path="/anyscale/production/",
        AssumeRolePolicyDocument=json.dumps(policy(EC2_STATEMENT)),
        Tags=[{"Key": "anyscale:cluster-role", "Value": ""}],
    )
    said = remediator("plan").out
    assert said.startswith(f"Account {ACCOUNT}, 3 roles: 1 to be repaired, 2 refused.\n")
    assert "nameless  refused\n" in said


def test_what_is_only_observed_is_not_said_to_be_repaired(account: Deployed, remediator: Remediator) -> None:
    account.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "anyscale:remediation", "Value": "observe"}])
    assert remediator("plan").out.startswith(f"Account {ACCOUNT}, 1 role: 1 broken, observed only.\n")


@pytest.mark.parametrize(
    "arn", [f"arn:aws:iam::999999999999:role/anyscale/production/{ROLE}", f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"]
)
def test_the_arn_of_another_account_or_path_never_names_the_local_role(
    arn: str, account: Deployed, remediator: Remediator
) -> None:
    answer = remediator("plan", "--role", arn)
    assert (answer.code, answer.out) == (1, "")
    assert f"{arn} was given" in answer.err
    assert f"is {account.change.role_arn}. Nothing was changed. Use --profile" in answer.err
    assert remediator("plan", "--role", account.change.role_arn).code == 2
