"""The demo account: the deployment, its users, and access to its state."""

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
    # The demo breaks many roles in a minute; each alert must be sent individually.
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

# The AWS calls that the `remediator` commands make, besides IAM and S3.
_DEPLOYMENT_CALLS = (
    "cloudformation:DescribeStacks",
    *("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics"),
    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"),
    *("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GetKeyPolicy"),
    *("sns:ListSubscriptionsByTopic", "sns:Publish"),
    "sqs:GetQueueAttributes",
    *("ssm:GetParameter", "ssm:PutParameter"),
)

# Far longer than any step takes, because the machine can be busy with other work.
_TIMEOUT_SECONDS = 240
_IDLE_CHECKS = 3

_TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.14.2 (+https://www.terraform.io) terraform-provider-aws/6.20.0"


Alert = dict[str, Any]
"""The JSON of an alert."""


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail as its reader sees it."""

    subject: str
    body: str


class CommandFailed(Exception):
    """A ``remediator`` command failed; the text holds its error message."""


class DemoAccount:
    """An embedded AWS with the remediator deployed, two buckets, and two principals: alice and Terraform."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self.iam = aws.client("iam")
        self.s3 = aws.client("s3")
        self.research_s3 = aws.client("s3", region=RESEARCH_REGION)
        self.sqs = aws.client("sqs")
        self.alice: Credentials
        self.stacks: dict[str, dict[str, str]] = {}
        self.outputs: dict[str, str] = {}
        self.settings: Path
        self._emails_read = 0

    def deploy(self, on_line: Callable[[str], None], output: Path, settings: Mapping[str, Any] = SETTINGS) -> None:
        """Bootstrap, synthesize and deploy with the CDK CLI; ``output`` is an empty folder for cdk.out."""
        buckets = [bucket for cloud in settings["clouds"].values() for bucket in cloud["buckets"]]
        regions = dict.fromkeys((REGION, *(bucket["region"] for bucket in buckets)))
        bootstrap(self.aws, on_line, regions=tuple(regions))
        self.redeploy(on_line, output, settings)

    def redeploy(self, on_line: Callable[[str], None], output: Path, settings: Mapping[str, Any] = SETTINGS) -> None:
        """Synthesize and deploy to the bootstrapped account.

        The file ``self.settings`` then holds the deployed configuration, for ``remediator --settings``.
        """
        app = shlex.join([sys.executable, str(PROJECT / "app.py")])
        self.stacks = deploy(self.aws, on_line, app=app, output=output, context={"remediator": settings})
        self.outputs = self.stacks["AnyscaleRemediator"]
        self.settings = output / "cdk.json"

    def create_resources(self) -> None:
        """Create the buckets, the webhook secret, an alert subscription, alice and Terraform."""
        self.s3.create_bucket(Bucket=BUCKET)
        elsewhere = {"LocationConstraint": RESEARCH_REGION}
        self.research_s3.create_bucket(Bucket=RESEARCH_BUCKET, CreateBucketConfiguration=elsewhere)
        self.aws.client("secretsmanager").create_secret(Name=WEBHOOK_SECRET, SecretString=self.aws.slack_webhook())
        self._alerts_queue = self._subscribe_queue()
        work = policy_document(allow(["iam:*", "s3:*"], "*"))
        operate = policy_document(allow(["iam:*", "s3:*"], "*"), allow(_DEPLOYMENT_CALLS, "*"))
        self.alice = self.aws.user("alice", operate)
        self.as_alice = self.aws.client("iam", self.alice)
        self.alice_s3 = self.aws.client("s3", self.alice)
        self.alice_research_s3 = self.aws.client("s3", self.alice, region=RESEARCH_REGION)
        terraform = self.aws.role("terraform", work, path="/ci/", session="apply-42")
        self.as_terraform = self.aws.client("iam", terraform, user_agent=_TERRAFORM)

    def trust(self, role: str) -> Any:  # noqa: ANN401 - a policy document
        """Return the role's current trust policy."""
        return self.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]

    def inline(self, role: str) -> dict[str, Any]:
        """Return the role's current inline policies by name."""
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {
            name: self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in sorted(names)
        }

    def bucket_policy(self, bucket: str = RESEARCH_BUCKET) -> Any:  # noqa: ANN401 - a policy document
        """Return the bucket's current policy, or None."""
        s3 = self.s3 if bucket == BUCKET else self.research_s3
        try:
            return json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except s3.exceptions.from_code("NoSuchBucketPolicy"):
            return None

    def named_roles(self) -> list[str]:
        """Return the sorted names of the roles in the remediator's statement in the research bucket's policy.

        A deleted role appears with its unique id. The list is empty if there is no such statement.
        """
        statements = (self.bucket_policy() or {"Statement": []})["Statement"]
        named = [each["Principal"]["AWS"] for each in statements if each.get("Sid") == BUCKET_POLICY_SID]
        arns = [arn for names in named for arn in ([names] if isinstance(names, str) else names)]
        return sorted(arn.rpartition("/")[2] for arn in arns)

    def instance_profile(self, role: str) -> str | None:
        """Return the ARN of the instance profile with the role's name if it contains the role, else None."""
        profiles = self.iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
        return next((profile["Arn"] for profile in profiles if profile["InstanceProfileName"] == role), None)

    def create_instance_profile(self, role: str) -> None:
        """Create, as alice, an instance profile with the role's name and path, and add the role to it."""
        path = self.iam.get_role(RoleName=role)["Role"]["Path"]
        self.as_alice.create_instance_profile(InstanceProfileName=role, Path=path)
        self.as_alice.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)

    def sweep_now(self) -> None:
        """Have EventBridge Scheduler send its hourly sweep request once, within a second."""
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
        """Return the ids of the remediator's latest changes to a role, newest first."""
        listed = self.remediator("history", role, "--json").splitlines()
        return [json.loads(line)["change"] for line in listed]

    def remediator(self, *arguments: str) -> str:
        """Run ``remediator`` as alice and return its output; raises CommandFailed with its error message."""
        ran = self.run_remediator(*arguments)
        if ran.returncode:
            raise CommandFailed(f"remediator {' '.join(arguments)} failed: {ran.stderr.strip()}")
        return ran.stdout

    def run_remediator(self, *arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        """Run ``remediator`` as alice in a folder, and return the result."""
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
        """Return whether a statement of the trust policy allows EC2 without a condition."""
        return any(
            "ec2.amazonaws.com" in json.dumps(statement.get("Principal"))
            for statement in self.trust(role)["Statement"]
            if statement["Effect"] == "Allow" and not statement.get("Condition")
        )

    def is_granted(self, role: str) -> bool:
        """Return whether an inline policy of the role names the bucket."""
        return BUCKET in json.dumps(self.inline(role))

    def has_new_emails(self) -> bool:
        """Return whether an e-mail has arrived since the last call of ``new_emails``."""
        return len(self.aws.emails()) > self._emails_read

    def new_emails(self) -> list[Email]:
        """Return the e-mails that have arrived since the last call."""
        emails = [Email(email["subject"], email["body"]) for email in self.aws.emails()]
        new, self._emails_read = emails[self._emails_read :], len(emails)
        return new

    def _subscribe_queue(self) -> str:
        """Subscribe a queue to the alerts topic, and return its URL."""
        topic, arn = self.outputs["AlertsTopicArn"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:machine"
        statement = allow("sqs:SendMessage", arn, Principal={"Service": "sns.amazonaws.com"})
        policy = policy_document({**statement, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}})
        url = str(self.sqs.create_queue(QueueName="machine", Attributes={"Policy": json.dumps(policy)})["QueueUrl"])
        raw = {"RawMessageDelivery": "true"}
        self.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        return url

    def latest_slack_message(self) -> dict[str, Any]:
        """Return the latest message in the Slack channel."""
        return self.aws.slack_messages()[-1]

    def new_alerts(self) -> list[Alert]:
        """Return the alerts that a subscriber of the alerts topic has received since the last call."""
        alerts: list[Alert] = []
        while messages := self.sqs.receive_message(QueueUrl=self._alerts_queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self._alerts_queue, ReceiptHandle=message["ReceiptHandle"])
                alerts.append(json.loads(message["Body"]))
        return alerts

    def is_idle(self) -> bool:
        """Return whether no event, request or alert is waiting or in flight.

        The queues are checked in processing order, so no message is missed on its way.
        """
        if self.aws.pending_events():
            return False
        for queue in ("IntakeQueueUrl", "SweepQueueUrl", "WorkQueueUrl", "DigestQueueUrl", "SlackQueueUrl"):
            url = self.outputs[queue]
            attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            if int(attributes["ApproximateNumberOfMessages"]) or int(
                attributes["ApproximateNumberOfMessagesNotVisible"]
            ):
                return False
        return True

    def settle(self, seconds: float = 0.5) -> None:
        """Wait until all queues have been empty for some time, which means that all processing has ended.

        A minimum number of checks covers slow machines: the last write causes events once more.
        """
        idle_since, checks = time.monotonic(), 0
        deadline = idle_since + _TIMEOUT_SECONDS
        while time.monotonic() - idle_since < seconds or checks < _IDLE_CHECKS:
            if time.monotonic() > deadline:
                raise TimeoutError(f"The queues were not idle within {_TIMEOUT_SECONDS} seconds.")
            time.sleep(0.1)
            if self.is_idle():
                checks += 1
            else:
                idle_since, checks = time.monotonic(), 0


def wait_until(done: Callable[[], object], what: str, seconds: float = _TIMEOUT_SECONDS) -> float:
    """Wait until a condition is true and return the seconds that it took; raises TimeoutError."""
    start = time.monotonic()
    while not done():
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} seconds.")
        time.sleep(0.05)
    return time.monotonic() - start


__all__ = ["ACCOUNT", "Alert", "CommandFailed", "DemoAccount", "Email", "wait_until"]
