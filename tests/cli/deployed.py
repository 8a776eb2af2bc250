"""A deployment in an account in memory, for the commands that use one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from remediator.core.events.event import Actor, Cause
from remediator.core.history.change import Change, ChangeContext, ChangeKind, ChangeState, intended
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.policy.reading import Present
from remediator.core.repair.trust import add_ec2_trust
from remediator.gateways.history import HistoryTable
from remediator.gateways.iam import IamGateway
from remediator.settings import WriteLimit, settings_digest
from remediator_cli.terminal.settings_file import read_settings
from tests.examples import ACCOUNT, ENROLLED, LAMBDA_STATEMENT, document, policy
from tests.functional.world import PAUSE_PARAMETER, TABLE, client, create_history_table
from tests.writes import trust_write

ROLE = "head-node"
STACK = "AnyscaleRemediator"
NOW = datetime(2026, 3, 4, 10, 0, 20, tzinfo=UTC)
CAUSE = Cause(
    event_id="6344a4bf-135d-4259-8927-9abb39a8c472",
    call="UpdateAssumeRolePolicy",
    time="2026-03-04T10:00:17Z",
    actor=Actor(
        kind="AssumedRole",
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/apply",
        issuer_arn=f"arn:aws:iam::{ACCOUNT}:role/ci",
        user_agent="APN/1.0 HashiCorp/1.0 Terraform/1.9.5",
    ),
)


class Deployed:
    """The stack, its history and its parameter, and a role whose trust policy was repaired."""

    def __init__(self) -> None:
        self._stacks: dict[tuple[str, str], Mapping[str, str]] = {}
        self.iam = client("iam")
        self.ssm = client("ssm")
        self.dynamodb = client("dynamodb")
        create_history_table(self.dynamodb)
        self.pause("running")
        self.deploy({"HistoryTableName": TABLE, "PauseParameterName": PAUSE_PARAMETER})
        self.iam.create_role(
            RoleName=ROLE,
            Path="/anyscale/production/",
            AssumeRolePolicyDocument=json.dumps(policy(LAMBDA_STATEMENT)),
            Tags=[{"Key": key, "Value": value} for key, value in ENROLLED.items()],
        )
        self.change = self.repair_trust()

    @property
    def history(self) -> HistoryTable:
        """The history."""
        return HistoryTable(self.dynamodb, TABLE, limit=WriteLimit(), keep_days=400)

    def deploy(self, outputs: Mapping[str, str], *, stack: str = STACK, region: str = "us-east-1") -> None:
        """Make a stack that has these outputs."""
        self._stacks[region, stack] = outputs

    def describe_stacks(self, region: str, stack: str) -> Any:
        """What CloudFormation answers, without empty outputs; moto's own answer needs packages that are not installed.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
        """
        outputs = self._stacks.get((region, stack))
        if outputs is None:
            message = f"Stack with id {stack} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        outputs = {**_digest(), **outputs}
        listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items() if value]
        return {"Stacks": [{"StackName": stack, "Outputs": listed}]}

    def pause(self, value: str) -> None:
        """Set the parameter that pauses the writes."""
        self.ssm.put_parameter(Name=PAUSE_PARAMETER, Type="String", Value=value, Overwrite=True)

    @property
    def paused(self) -> str:
        """The value of that parameter."""
        return str(self.ssm.get_parameter(Name=PAUSE_PARAMETER)["Parameter"]["Value"])

    def repair_trust(self, *, at: datetime = NOW, cause: Cause = CAUSE) -> Change:
        """Let EC2 assume the role, and record it, as the remediator does."""
        role = IamGateway(self.iam).read_role(ROLE)
        assert isinstance(role, Present)
        step = trust_write(document(LAMBDA_STATEMENT), add_ec2_trust(document(LAMBDA_STATEMENT), "aws"))
        step = replace(step, findings=(Finding(FindingCode.TRUST_MISSING, "trust policy"),))
        occasion = ChangeContext.for_role(role.value, "production", (cause,))
        change = replace(intended(step, occasion, ChangeKind.REPAIR, at), code_version="1.2.3")
        self.history.intend(change)
        self.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(change.after))
        self.history.conclude(change.change_id, ChangeState.COMPLETED, "", at)
        self.history.close(change.change_id)
        found = self.history.read_change(change.change_id)
        assert found is not None
        return found

    def trust(self) -> Any:
        """The statements of the role's trust policy."""
        return self.iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]["Statement"]

    def mode(self) -> str | None:
        """The tag of the role that narrows what may be done."""
        tags = self.iam.list_role_tags(RoleName=ROLE)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}.get("anyscale:remediation")


def _digest() -> dict[str, str]:
    """The output that identifies the configuration: it was deployed with the one in the working directory, if any."""
    path = Path("cdk.json")
    return {"ConfigurationDigest": settings_digest(read_settings(path))} if path.exists() else {}
