"""From the reconciler to machines, and from the digester and the alarms to people."""

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
"""The beginning of the names of our alarms; the topic for people admits no others."""

CHANNEL_NAME: Final = "AnyscaleRemediator"
"""The name of what Amazon Q knows of the channel: CloudFormation makes none of its own."""


class Alerts(Construct):
    """The encrypted topic that carries every alert to machines, and the key that both topics are encrypted with.

    ``undelivered`` keeps what neither topic could deliver to our own queues.

    The key is a customer managed one because CloudWatch, whose alarms tell people, can be admitted to such a key only.
    It protects messages on their way and none at rest, so it goes with the stack.
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
        """Let the role publish to the topic, and encrypt for it."""
        _allow_publishing(self.topic, role)


class PeopleNotifications(Construct):
    """The encrypted topic of what people are told: by e-mail and, where it is configured, by Amazon Q in Slack.

    No call to AWS can be made from the channel: its role may do nothing, and the guardrail denies everything to whoever
    has rights of their own there.
    https://docs.aws.amazon.com/chatbot/latest/adminguide/understanding-permissions.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.Key, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", display_name="Anyscale role remediator", master_key=key, enforce_ssl=True)
        for email in settings.emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self._admit_alarms(key)
        if settings.amazon_q:
            self._message_amazon_q(settings.amazon_q)

    def allow_publishing(self, role: iam.Role) -> None:
        """Let the role publish to the topic, and encrypt for it."""
        _allow_publishing(self.topic, role)

    def _message_amazon_q(self, channel: AmazonQ) -> None:
        role = iam.Role(
            self,
            "AmazonQRole",
            description="Role of the Anyscale role remediator's channel in Slack, which may do nothing",
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
            logging_level=chatbot.LoggingLevel.ERROR,  # of what it drops nobody else hears
        )

    def _admit_alarms(self, key: kms.Key) -> None:
        """Let the alarms of this stack publish to the topic, and CloudWatch encrypt for those of this account.

        https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html#sns-publish-alarm-notification
        """
        stack = Stack.of(self)
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        of_this_account = {"aws:SourceAccount": stack.account}
        alarms = f"arn:aws:cloudwatch:{stack.region}:{stack.account}:alarm:{ALARM_PREFIX}*"
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OurAlarms",
                principals=[cloudwatch],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": of_this_account, "ArnLike": {"aws:SourceArn": alarms}},
            )
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OurAlarms",
                principals=[cloudwatch],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],  # in a key's policy: this key
                conditions={"StringEquals": of_this_account},
            )
        )


def _allow_publishing(topic: sns.Topic, role: iam.Role) -> None:
    topic.grant_publish(role)
    Validations.of(role).acknowledge(
        Acknowledgment(
            id="AwsSolutions-IAM5[Action::kms:GenerateDataKey*]",
            reason="On the topics' own key only; SNS asks for a data key with or without its plain text.",
        )
    )
