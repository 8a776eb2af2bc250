"""From the reconciler to people."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct


class Alerts(Construct):
    """The encrypted topic that alerts are published to, with its e-mail subscribers.

    The key is a customer managed one because services that will publish here, such as CloudWatch's alarms, can be
    admitted to such a key only. It protects messages on their way and none at rest, so it goes with the stack.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, emails: Sequence[str]) -> None:
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
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))

    def allow_publishing(self, role: iam.Role) -> None:
        """Let the role publish to the topic, and encrypt for it."""
        self.topic.grant_publish(role)
        Validations.of(role).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Action::kms:GenerateDataKey*]",
                reason="On the topic's own key only; SNS asks for a data key with or without its plain text.",
            )
        )
