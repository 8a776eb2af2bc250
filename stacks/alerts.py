"""The SNS topics: alerts from the reconciler for machines; messages from the digester and the alarms for people."""

from __future__ import annotations

from typing import Final

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_chatbot as chatbot
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from remediator.settings import AmazonQ, Settings
from stacks.queues import undelivered_queue

ALARM_PREFIX: Final = "AnyscaleRemediator-"
"""Name prefix of the remediator's alarms; the people topic accepts messages from no other alarm."""

CHANNEL_NAME: Final = "AnyscaleRemediator"
"""Name of Amazon Q's channel configuration: CloudFormation does not generate one."""


class Alerts(Construct):
    """The encrypted topic that carries every alert to machines, and the key for both topics.

    ``undelivered`` keeps messages that the topics could not deliver to the remediator's queues.

    The key is customer managed because alarms publish to the people topic, and CloudWatch can only be granted access to
    such a key. It protects messages in transit and none at rest, so it is deleted with the stack.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            description="Encrypts the alerts of the Anyscale role remediator",
            enable_key_rotation=True,
            pending_window=Duration.days(7),
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        self.undelivered = undelivered_queue(self, "Undelivered")

    def allow_publishing(self, role: iam.Role) -> None:
        """Allow the role to publish to the topic, and to encrypt for it."""
        _allow_publishing(self.topic, role)


class PeopleNotifications(Construct):
    """The encrypted topic for people: it notifies them by e-mail and, if configured, by Amazon Q in Slack.

    No AWS call can be made from the channel: its role has no permissions, and the guardrail denies everything, even to
    users with their own permissions there.
    https://docs.aws.amazon.com/chatbot/latest/adminguide/understanding-permissions.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.Key, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", display_name="Anyscale role remediator", master_key=key, enforce_ssl=True)
        for email in settings.emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self._allow_alarms(key)
        if settings.amazon_q:
            self._add_amazon_q(settings.amazon_q)

    def allow_publishing(self, role: iam.Role) -> None:
        """Allow the role to publish to the topic, and to encrypt for it."""
        _allow_publishing(self.topic, role)

    def _add_amazon_q(self, channel: AmazonQ) -> None:
        role = iam.Role(
            self,
            "AmazonQRole",
            description="Role of the Anyscale role remediator's Slack channel; it has no permissions",
            assumed_by=iam.ServicePrincipal("chatbot.amazonaws.com"),
        )
        chatbot.SlackChannelConfiguration(
            self,
            "AmazonQ",
            slack_channel_configuration_name=CHANNEL_NAME,
            slack_workspace_id=channel.workspace,
            slack_channel_id=channel.channel,
            notification_topics=[self.topic],
            role=role,
            guardrail_policies=[iam.ManagedPolicy.from_aws_managed_policy_name("AWSDenyAll")],
            logging_level=chatbot.LoggingLevel.ERROR,  # dropped messages are reported nowhere else
        )

    def _allow_alarms(self, key: kms.Key) -> None:
        """Allow this stack's alarms to publish to the topic, and CloudWatch to encrypt for alarms in this account.

        https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html#sns-publish-alarm-notification
        """
        stack = Stack.of(self)
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        this_account = {"aws:SourceAccount": stack.account}
        alarms = f"arn:aws:cloudwatch:{stack.region}:{stack.account}:alarm:{ALARM_PREFIX}*"
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OurAlarms",
                principals=[cloudwatch],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": this_account, "ArnLike": {"aws:SourceArn": alarms}},
            )
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OurAlarms",
                principals=[cloudwatch],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],  # in a key's policy: this key
                conditions={"StringEquals": this_account},
            )
        )


def _allow_publishing(topic: sns.Topic, role: iam.Role) -> None:
    topic.grant_publish(role)
    Validations.of(role).acknowledge(
        Acknowledgment(
            id="AwsSolutions-IAM5[Action::kms:GenerateDataKey*]",
            reason="On the topics' own key only; SNS requests data keys with or without plaintext.",
        )
    )
