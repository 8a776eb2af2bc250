"""The account of the demo: what is deployed there, who works there, and what can be seen from outside."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.deployment import PROJECT, bootstrap, deploy
from demo.embedded import Credentials, EmbeddedAws, allow, policy_document
from demo.embedded_aws import ACCOUNT, REGION

CLOUD = "production"
BUCKET = "anyscale-production-data"
ROLE_PATH = "/anyscale/production/"

RESEARCH = "research"
RESEARCH_BUCKET = "anyscale-research-data"
RESEARCH_REGION = "us-west-2"
RESEARCH_PATH = "/anyscale/research/"

EMAIL = "platform@example.com"
TAG = "anyscale:cluster-role"
BUCKET_POLICY_SID = "AnyscaleRemediatorAccess"

WEBHOOK_SECRET = "anyscale-remediator/slack-webhook"  # noqa: S105 - the name of a secret, not the secret

SETTINGS: Mapping[str, Any] = {
    "emails": [EMAIL],
    "slackWebhookSecret": WEBHOOK_SECRET,
    # A demo breaks more in a minute than people do in a day, and each alert shall be seen.
    "digest": {"alone": 100, "minutes": 5},
    "clouds": {
        CLOUD: {
            "buckets": [{"name": BUCKET, "region": REGION}],
            "roles": ["anyscale/production/*"],
            "instanceProfile": "repair",
        },
        RESEARCH: {
            "buckets": [{"name": RESEARCH_BUCKET, "region": RESEARCH_REGION}],
            "roles": ["anyscale/research/*"],
            "grant": "bucket-policy",
            "instanceProfile": "ignore",
        },
    },
}

EC2_TRUST = policy_document(allow("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"}))
LAMBDA_TRUST = policy_document(
    {"Sid": "Functions", **allow("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})}
)
BUCKET_ACCESS = policy_document(allow("s3:*", [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]))

# What the commands of `remediator` on a deployment ask of AWS, beside all of IAM and S3.
_DEPLOYMENT_CALLS = (
    "cloudformation:DescribeStacks",
    *("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics"),
    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"),
    *("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GetKeyPolicy"),
    *("sns:ListSubscriptionsByTopic", "sns:Publish"),
    "sqs:GetQueueAttributes",
    *("ssm:GetParameter", "ssm:PutParameter"),
)

# Far longer than anything takes: a machine can be busy with other work.
_PATIENCE = 240
_LOOKS_AT_REST = 3

_TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.14.2 (+https://www.terraform.io) terraform-provider-aws/6.20.0"


@dataclass(frozen=True, slots=True)
class Letter:
    """An e-mail as its reader sees it."""

    subject: str
    body: str


class CommandFailed(Exception):
    """A command of ours failed; the text is what it complained of."""


class DemoAccount:
    """An embedded AWS with the remediator deployed, a bucket, and two who work there: alice and Terraform."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self.iam = aws.client("iam")
        self.s3 = aws.client("s3")
        self.s3_of_research = aws.client("s3", region=RESEARCH_REGION)
        self.sqs = aws.client("sqs")
        self.alice: Credentials
        self.stacks: dict[str, dict[str, str]] = {}
        self.outputs: dict[str, str] = {}
        self.settings: Path
        self._read_letters = 0

    def deploy(self, say: Callable[[str], None], output: Path, settings: Mapping[str, Any] = SETTINGS) -> None:
        """Bootstrap, synthesise and deploy with the CDK's command line; ``output`` is an empty folder for cdk.out."""
        buckets = [bucket for cloud in settings["clouds"].values() for bucket in cloud["buckets"]]
        regions = dict.fromkeys((REGION, *(bucket["region"] for bucket in buckets)))
        bootstrap(self.aws, say, regions=tuple(regions))
        self.redeploy(say, output, settings)

    def redeploy(self, say: Callable[[str], None], output: Path, settings: Mapping[str, Any] = SETTINGS) -> None:
        """Synthesise and deploy where the account is bootstrapped already.

        The configuration of the deployment is then in the file ``self.settings``, for ``remediator --settings``.
        """
        app = shlex.join([sys.executable, str(PROJECT / "app.py")])
        self.stacks = deploy(self.aws, say, app=app, output=output, context={"remediator": settings})
        self.outputs = self.stacks["AnyscaleRemediator"]
        self.settings = output / "cdk.json"

    def furnish(self) -> None:
        """Create the buckets and the people."""
        self.s3.create_bucket(Bucket=BUCKET)
        elsewhere = {"LocationConstraint": RESEARCH_REGION}
        self.s3_of_research.create_bucket(Bucket=RESEARCH_BUCKET, CreateBucketConfiguration=elsewhere)
        self.aws.client("secretsmanager").create_secret(Name=WEBHOOK_SECRET, SecretString=self.aws.slack_webhook())
        self._machine = self._subscribed_queue()
        work = policy_document(allow(["iam:*", "s3:*"], "*"))
        operate = policy_document(allow(["iam:*", "s3:*"], "*"), allow(_DEPLOYMENT_CALLS, "*"))
        self.alice = self.aws.user("alice", operate)
        self.as_alice = self.aws.client("iam", self.alice)
        self.alice_s3 = self.aws.client("s3", self.alice)
        self.alice_s3_of_research = self.aws.client("s3", self.alice, region=RESEARCH_REGION)
        terraform = self.aws.role("terraform", work, path="/ci/", session="apply-42")
        self.as_terraform = self.aws.client("iam", terraform, user_agent=_TERRAFORM)

    def trust(self, role: str) -> Any:  # noqa: ANN401 - a policy document
        """The role's trust policy, now."""
        return self.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]

    def inline(self, role: str) -> dict[str, Any]:
        """The role's inline policies, now."""
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {
            name: self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in sorted(names)
        }

    def bucket_policy(self, bucket: str = RESEARCH_BUCKET) -> Any:  # noqa: ANN401 - a policy document
        """The bucket's policy, now; None where it has none."""
        s3 = self.s3 if bucket == BUCKET else self.s3_of_research
        try:
            return json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except s3.exceptions.from_code("NoSuchBucketPolicy"):
            return None

    def named_roles(self) -> list[str]:
        """The names of the roles that our statement in the policy of research's bucket names, sorted.

        A role that exists no more is there with its unique id. Empty where there is no such statement.
        """
        statements = (self.bucket_policy() or {"Statement": []})["Statement"]
        ours = [statement for statement in statements if statement.get("Sid") == BUCKET_POLICY_SID]
        named = [statement["Principal"]["AWS"] for statement in ours]
        arns = [arn for names in named for arn in ([names] if isinstance(names, str) else names)]
        return sorted(arn.rpartition("/")[2] for arn in arns)

    def instance_profile(self, role: str) -> str | None:
        """The ARN of the instance profile that has the role's name, if it holds the role."""
        profiles = self.iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
        return next((profile["Arn"] for profile in profiles if profile["InstanceProfileName"] == role), None)

    def create_instance_profile(self, role: str) -> None:
        """Have alice make an instance profile of the role's name and path, and put the role into it."""
        path = self.iam.get_role(RoleName=role)["Role"]["Path"]
        self.as_alice.create_instance_profile(InstanceProfileName=role, Path=path)
        self.as_alice.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)

    def sweep_now(self) -> None:
        """Have EventBridge Scheduler send, once and within a second, what it sends every hour."""
        scheduler = self.aws.client("scheduler")
        hourly = scheduler.get_schedule(Name=self.outputs["SweepScheduleName"])
        scheduler.create_schedule(
            Name=f"now-{uuid.uuid4().hex[:8]}",
            ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow=hourly["FlexibleTimeWindow"],
            Target=hourly["Target"],
            ActionAfterCompletion="DELETE",
        )

    def changes(self, role: str) -> list[str]:
        """The ids of all changes that the remediator has made to a role, newest first."""
        listed = self.remediator("history", role, "--json", "--most", "1000").splitlines()
        return [json.loads(line)["change"] for line in listed]

    def remediator(self, *arguments: str) -> str:
        """What ``remediator`` prints, run by alice; raises CommandFailed with what it complained of."""
        ran = self.run_remediator(*arguments)
        if ran.returncode:
            raise CommandFailed(f"remediator {' '.join(arguments)} failed: {ran.stderr.strip()}")
        return ran.stdout

    def run_remediator(self, *arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        """How ``remediator`` ended, run by alice in a folder, and what it printed."""
        return subprocess.run(  # noqa: S603 - the project's own command line
            [sys.executable, "-m", "remediator_cli", *arguments],
            cwd=cwd,
            env={
                **self.aws.environment(self.alice),
                "PYTHONPATH": os.pathsep.join([str(PROJECT / "lambda_src"), str(PROJECT / "cli")]),
                "COLUMNS": "110",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def trusts_ec2(self, role: str) -> bool:
        """Whether a statement of the trust policy allows EC2 without a condition."""
        return any(
            "ec2.amazonaws.com" in json.dumps(statement.get("Principal"))
            for statement in self.trust(role)["Statement"]
            if statement["Effect"] == "Allow" and not statement.get("Condition")
        )

    def is_granted(self, role: str) -> bool:
        """Whether an inline policy of the role names the bucket."""
        return BUCKET in json.dumps(self.inline(role))

    def has_new_letters(self) -> bool:
        """Whether an e-mail has come since the last look."""
        return len(self.aws.letters()) > self._read_letters

    def new_letters(self) -> list[Letter]:
        """The e-mails that have come since the last look."""
        letters = [Letter(letter["subject"], letter["body"]) for letter in self.aws.letters()]
        new, self._read_letters = letters[self._read_letters :], len(letters)
        return new

    def _subscribed_queue(self) -> str:
        """A queue that gets every alert, as any machine may: its URL."""
        topic, arn = self.outputs["AlertsTopicArn"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:machine"
        statement = allow("sqs:SendMessage", arn, Principal={"Service": "sns.amazonaws.com"})
        admitting = policy_document({**statement, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}})
        url = str(self.sqs.create_queue(QueueName="machine", Attributes={"Policy": json.dumps(admitting)})["QueueUrl"])
        raw = {"RawMessageDelivery": "true"}
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        return url

    def latest_slack_message(self) -> dict[str, Any]:
        """The message that has come into the channel last."""
        return self.aws.slack_messages()[-1]

    def new_records(self) -> list[dict[str, Any]]:
        """The alerts that have come since the last look to a machine that listens to the topic for machines."""
        records: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=self._machine, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self._machine, ReceiptHandle=message["ReceiptHandle"])
                records.append(json.loads(message["Body"]))
        return records

    def is_idle(self) -> bool:
        """Whether no event, no request and no alert is waiting or being worked on.

        It is looked for in the order in which one leads to the next, so that none is missed on its way.
        """
        if self.aws.pending_events():
            return False
        for queue in ("IntakeQueueUrl", "SweepQueueUrl", "WorkQueueUrl", "DigestQueueUrl", "SlackQueueUrl"):
            url = self.outputs[queue]
            told = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            if int(told["ApproximateNumberOfMessages"]) or int(told["ApproximateNumberOfMessagesNotVisible"]):
                return False
        return True

    def settle(self, seconds: float = 0.5) -> None:
        """Wait until the queues have been empty for some time: whatever was to happen has happened.

        Looked at some times at least, however slow the machine is: what is written last makes events once more.
        """
        quiet_since, quiet = time.monotonic(), 0
        deadline = quiet_since + _PATIENCE
        while time.monotonic() - quiet_since < seconds or quiet < _LOOKS_AT_REST:
            if time.monotonic() > deadline:
                raise TimeoutError("The queues do not come to rest.")
            time.sleep(0.1)
            if self.is_idle():
                quiet += 1
            else:
                quiet_since, quiet = time.monotonic(), 0


def wait_until(done: Callable[[], object], what: str, seconds: float = _PATIENCE) -> float:
    """Wait until something is true and return how many seconds that took; raises TimeoutError."""
    start = time.monotonic()
    while not done():
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} seconds.")
        time.sleep(0.05)
    return time.monotonic() - start


__all__ = ["ACCOUNT", "CommandFailed", "DemoAccount", "Letter", "wait_until"]
