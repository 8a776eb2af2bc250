"""State that outlasts an invocation: the table of changes and role records, and the switch that pauses writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from remediator.permissions import Target

PAUSE_PARAMETER: Final = "/anyscale-remediator/writes"
"""Its name is fixed, so operators can find it quickly."""

_LISTING: Final = "Listing"
"""Name of the index that ``remediator.gateways.history`` reads."""


class HistoryStorage(Construct):
    """The table that records every change before it is made, and the parameter that pauses all writes.

    The table is retained when the stack is deleted and is protected from deletion: undo depends on it. It is encrypted
    with the key that DynamoDB owns. Losing a customer managed key would stop the history and with it every repair.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html

    No property of the parameter may ever change: a deployment that changes one resets its value to ``running``, even
    if an operator has paused writes.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires",
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        # Without the policy documents: readers of the list see what changed and why, not the content of policies.
        self.table.add_global_secondary_index(
            index_name=_LISTING,
            partition_key=_text("listed"),
            sort_key=_text("at"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["head", "state", "why", "concluded_at"],
        )
        self.pause = ssm.StringParameter(
            self,
            "Pause",
            parameter_name=PAUSE_PARAMETER,
            string_value="running",
            description="Whether the Anyscale role remediator may write: running, paused, or paused: CLOUD, CLOUD",
        )
        stack = Stack.of(self)
        self.arns: Mapping[Target, str] = {
            Target.HISTORY_TABLE: self.table.table_arn,
            Target.DIGESTER_ITEMS: self.table.table_arn,
            Target.NOTIFIER_ITEMS: self.table.table_arn,
            Target.HISTORY_LISTING: f"{self.table.table_arn}/index/{_LISTING}",
            Target.PAUSE_PARAMETER: f"arn:aws:ssm:{stack.region}:{stack.account}:parameter{PAUSE_PARAMETER}",
        }


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
