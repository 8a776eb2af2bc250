"""From the reconciler and the alarms to people."""

from __future__ import annotations

from typing import Final

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from remediator.settings import Settings

ALARM_PREFIX: Final = "AnyscaleRemediator-"
"""The beginning of the names of our alarms; the topic admits no others."""


class Alerts(Construct):
    """The encrypted topic that alerts are published to, with its e-mail subscribers.

    The key is a customer managed one because CloudWatch, whose alarms publish here, can be admitted to such a key only.
    It protects messages on their way and none at rest, so it goes with the stack.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            description="Encrypts the alerts of the Anyscale role remediator",
            enable_key_rotation=True,
            pending_window=Duration.days(7),
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.topic = sns.Topic(
            self, "Topic", display_name="Anyscale role remediator", master_key=self.key, enforce_ssl=True
        )
        for email in settings.emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self._admit_alarms(settings)

    def allow_publishing(self, role: iam.Role) -> None:
        """Let the role publish to the topic, and encrypt for it."""
        self.topic.grant_publish(role)
        Validations.of(role).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Action::kms:GenerateDataKey*]",
                reason="On the topic's own key only; SNS asks for a data key with or without its plain text.",
            )
        )

    def _admit_alarms(self, settings: Settings) -> None:
        """Let the alarms of this stack publish to the topic, and CloudWatch encrypt for those of this account.

        https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html#sns-publish-alarm-notification
        """
        stack = Stack.of(self)
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        of_this_account = {"aws:SourceAccount": stack.account}
        alarms = f"arn:{settings.partition}:cloudwatch:{stack.region}:{stack.account}:alarm:{ALARM_PREFIX}*"
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OurAlarms",
                principals=[cloudwatch],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": of_this_account, "ArnLike": {"aws:SourceArn": alarms}},
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OurAlarms",
                principals=[cloudwatch],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],  # in a key's policy: this key
                conditions={"StringEquals": of_this_account},
            )
        )
