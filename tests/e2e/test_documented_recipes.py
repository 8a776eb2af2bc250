"""What the pages have people paste into a shell does its work on the deployed stack, with AWS's own command line."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from demo.account import (
    BUCKET,
    BUCKET_POLICY_SID,
    LAMBDA_TRUST,
    RESEARCH_REGION,
    ROLE_PATH,
    WEBHOOK_SECRET,
    DemoAccount,
)
from demo.deployment import PROJECT
from demo.embedded import allow, policy_document
from demo.embedded_aws import ACCOUNT, REGION
from remediator.core.model.own_names import OWN_POLICY_NAME, TRUST_SID
from tests.cli.test_documented_commands import BLOCKS, NOT_HERE, SPANS, Shown
from tests.e2e.clearing import clear
from tests.e2e.trail import unique

pytestmark = pytest.mark.embedded

LAMBDA_STATEMENTS: Any = LAMBDA_TRUST["Statement"]

OWN_TESTS = ("docs/command-line.md", "docs/checks.md")
"""Pages whose commands have tests of their own."""

AWS = r"""#!/bin/bash
case "$*" in
NOT_HERE) exit 0 ;;
esac
# Version 1 has no `logs tail`: what that asks for is asked for here, whatever its age. And it would ask SQS elsewhere.
if [ "$1 $2 $4" = "logs tail --since" ]; then
  set -- logs filter-log-events --log-group-name "$3" "${@:6}"
fi
exec PROGRAM --endpoint-url "$AWS_ENDPOINT_URL" "$@"
"""


PROFILE = "[NAME]\ncli_follow_urlparam = false\n"
"""In version 1 a value that is an address would be what is found there; in version 2 it is the address."""


def is_whole(shown: Shown) -> bool:
    """Whether it calls ``aws`` with options, or the command line on a deployment, and nothing that is not in here."""
    typed = shown.script
    called = re.search(r"\baws \w[\w-]* [\w-]+ .*--", typed) or (
        shown in BLOCKS and shown.page.path.name in ("runbook.md", "rollout.md") and "remediator " in typed
    )
    return bool(called) and "npx " not in typed and str(shown.page) not in OWN_TESTS


RECIPES = tuple(shown for shown in BLOCKS + SPANS if is_whole(shown))


@pytest.fixture(scope="module")
def theatre(stage: DemoAccount) -> DemoAccount:
    """The stage, cleared of what other tests have left."""
    clear(stage)
    return stage


@pytest.fixture
def role(theatre: DemoAccount) -> str:
    """A role with all that is ours beside what others wrote, and a statement for it in the policy of the bucket.

    It is not enrolled and no event tells of it, so that nothing is put back.
    """
    name = unique("node")
    trust = {"Sid": TRUST_SID, **allow("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})}
    access = allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}")
    with theatre.aws.lose_events():
        role = theatre.iam.create_role(
            RoleName=name,
            Path=ROLE_PATH,
            AssumeRolePolicyDocument=json.dumps({**LAMBDA_TRUST, "Statement": [*LAMBDA_STATEMENTS, trust]}),
        )["Role"]
        own = json.dumps(policy_document(access))
        theatre.iam.put_role_policy(RoleName=name, PolicyName=OWN_POLICY_NAME, PolicyDocument=own)
        policy = policy_document(
            {"Sid": BUCKET_POLICY_SID, **access, "Principal": {"AWS": role["Arn"]}},
            {"Sid": "Others", **access, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}},
        )
        theatre.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    return name


@pytest.fixture
def table(theatre: DemoAccount) -> str:
    """A table that is protected as the history is."""
    name = unique("history")
    theatre.aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )
    return name


@pytest.fixture
def shell(theatre: DemoAccount, tmp_path: Path) -> Iterator[Path]:
    """A folder with the files and programs that the pages speak of; in the end nothing is paused."""
    programs = tmp_path / "bin"
    programs.mkdir()
    patterns = "|".join(re.sub(r"[^*]+", lambda found: shlex.quote(found[0]), pattern) for pattern in NOT_HERE)
    aws = AWS.replace("NOT_HERE", patterns).replace("PROGRAM", str(PROJECT / ".venv-aws" / "bin" / "aws"))
    remediator = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m remediator_cli "$@"\n'
    # It ends with 1 where files differ, which stops nobody who pastes.
    diff = f'#!/bin/sh\n{shutil.which("diff")} "$@"; test $? -le 1\n'
    for name, text in (("aws", aws), ("remediator", remediator), ("diff", diff)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    shutil.copy(theatre.settings, tmp_path / "cdk.json")
    (tmp_path / "accounts").mkdir()
    for name in ("production", "research"):
        shutil.copy(theatre.settings, tmp_path / "accounts" / f"{name}.json")
    (tmp_path / "profiles").write_text(
        "".join(PROFILE.replace("NAME", name) for name in ("default", "profile production", "profile research"))
    )
    shutil.copy(PROJECT / "tests" / "events" / "TagRole.json", tmp_path / "RECORD.json")
    yield tmp_path
    if paused(theatre) != "running":
        parameter = theatre.outputs["PauseParameterName"]
        theatre.aws.client("ssm").put_parameter(Name=parameter, Value="running", Overwrite=True)


def pasted(shown: Shown, account: DemoAccount, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """How a shell ended that was given a recipe, after what its page says to set up once; events about it are lost."""
    environment = {
        **account.aws.environment(),
        "AWS_CONFIG_FILE": str(folder / "profiles"),
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "lambda_src"), str(PROJECT / "cli")]),
        "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
        **variables,
    }
    script = f"set -euo pipefail\n{shown.before}\n{shown.script}"
    with account.aws.lose_events():
        return subprocess.run(
            ["/bin/bash", "-c", script],
            cwd=folder,
            env=environment,
            input="y\n",  # to what a command of ours asks
            capture_output=True,
            text=True,
            check=False,
        )


def filled_in(shown: Shown, account: DemoAccount, role: str) -> Shown:
    """The recipe with what its readers put in place of the words in capitals."""
    clients = account.aws.client
    router = account.outputs["RouterFunctionName"]
    words: dict[str, Callable[[], str]] = {
        r"(?<=--secret-id )NAME": lambda: WEBHOOK_SECRET,
        r"(?<!\w)NAME|(?<=--role-name )head-node|(?<=enroll )head-node": lambda: role,
        r"(?<=--key-id )KEY": lambda: str(clients("kms").list_keys()["Keys"][0]["KeyId"]),
        r"(?<=--region )REGION": lambda: RESEARCH_REGION,
        r"(?<=--uuid )UUID": lambda: str(
            clients("lambda").list_event_source_mappings(FunctionName=router)["EventSourceMappings"][0]["UUID"]
        ),
    }
    script = shown.script
    for word, value in words.items():
        if re.search(word, script):
            script = re.sub(word, value(), script)
    return Shown(shown.page, shown.line, script, shown.before)


@pytest.mark.parametrize("shown", RECIPES, ids=str)
def test_every_recipe_does_its_work_on_the_deployed_stack(
    shown: Shown, theatre: DemoAccount, role: str, table: str, shell: Path
) -> None:
    if "jq " in shown.script and not shutil.which("jq"):
        pytest.skip("jq is not installed, which the recipe calls")
    queue = theatre.sqs.create_queue(QueueName=unique("listener"))["QueueUrl"]
    if "create-secret" in shown.script:
        secrets = theatre.aws.client("secretsmanager")
        with suppress(secrets.exceptions.ResourceNotFoundException):
            secrets.delete_secret(SecretId=WEBHOOK_SECRET, ForceDeleteWithoutRecovery=True)
    ran = pasted(
        filled_in(shown, theatre, role),
        theatre,
        shell,
        ACCOUNT_NAME="research",
        ALERTS_TOPIC_ARN=theatre.outputs["AlertsTopicArn"],
        BUCKET=BUCKET,
        QUEUE_ARN=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue.rpartition('/')[2]}",
        ROLE=role,
        SWEEP_QUEUE_URL=theatre.outputs["SweepQueueUrl"],
        TABLE=table,
        WEBHOOK_URL=theatre.aws.slack_webhook(),
    )
    assert ran.returncode == 0, ran.stderr
    done = [holds for part, holds in AFTERWARDS.items() if part in shown.script]
    assert [holds(theatre, role, table) for holds in done] == [True] * len(done)


def sids(account: DemoAccount) -> list[str] | None:
    policy = account.bucket_policy(BUCKET)
    return None if policy is None else [statement["Sid"] for statement in policy["Statement"]]


def tags(account: DemoAccount, role: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in account.iam.list_role_tags(RoleName=role)["Tags"]}


def paused(account: DemoAccount) -> str:
    parameter = account.outputs["PauseParameterName"]
    return str(account.aws.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"])


def listeners(account: DemoAccount) -> list[Any]:
    topic = account.outputs["AlertsTopicArn"]
    listed: list[Any] = account.aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return [one["Endpoint"] for one in listed]


AFTERWARDS: Mapping[str, Callable[[DemoAccount, str, str], bool]] = {
    "iam delete-role-policy": lambda account, role, _: OWN_POLICY_NAME not in account.inline(role),
    "iam update-assume-role-policy": lambda account, role, _: bool(account.trust(role) == LAMBDA_TRUST),
    "iam tag-role": lambda account, role, _: set(tags(account, role).values()) & {"production", "off"} != set(),
    "s3api put-bucket-policy": lambda account, _role, _: sids(account) == ["Others"],
    "s3api delete-bucket-policy": lambda account, _role, _: sids(account) is None,
    "dynamodb delete-table": lambda account, _, table: (
        table not in account.aws.client("dynamodb").list_tables()["TableNames"]
    ),
    "ssm put-parameter": lambda account, _role, _: paused(account) == "paused",
    "remediator pause": lambda account, _role, _: paused(account).startswith("paused"),
    "--notification-endpoint arn:": lambda account, _role, _: (
        f"arn:aws:sqs:{REGION}:999900001111:anyscale-remediator-alerts" in listeners(account)
    ),
    "secretsmanager create-secret": lambda account, _role, _: (
        account.aws.client("secretsmanager").get_secret_value(SecretId=WEBHOOK_SECRET)["SecretString"]
        == account.aws.slack_webhook()
    ),
}
"""What is so after recipes with these words in them."""


def test_the_recipe_that_lists_what_is_ours_finds_the_roles_that_have_it(
    theatre: DemoAccount, role: str, shell: Path
) -> None:
    (shown,) = [shown for shown in RECIPES if "get-account-authorization-details" in shown.script]
    assert role in json.loads(pasted(shown, theatre, shell).stdout)


def test_every_command_that_is_not_made_here_stands_on_a_page() -> None:
    typed = [line.strip() for shown in RECIPES for line in re.split(r"aws |\n", shown.script)]
    for pattern in NOT_HERE:
        assert any(fnmatchcase(line, pattern) for line in typed), pattern
