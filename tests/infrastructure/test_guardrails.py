"""The guardrails hold every resource of every stack."""

from __future__ import annotations

from typing import Any

from remediator.core.enrollment.guardrails import Guarded, guardrails
from remediator.core.policy.matching import glob, matches
from tests.infrastructure.templates import ACCOUNT, Synthesised, resolved

GUARDED = Guarded("anyscale:cluster-role", (f"arn:aws:iam::{ACCOUNT}:role/platform/*",), (), ACCOUNT)

# The ARN of a resource of a type: by the property that names it, and else by the name that CloudFormation makes of the
# names of the stack and of the resource.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
ARNS = {
    "AWS::Chatbot::SlackChannelConfiguration": (
        "ConfigurationName",
        "chatbot::{account}:chat-configuration/slack-channel/{name}",
    ),
    "AWS::CloudWatch::Alarm": ("AlarmName", "cloudwatch:us-east-1:{account}:alarm:{name}"),
    "AWS::CloudWatch::Dashboard": ("DashboardName", "cloudwatch::{account}:dashboard/{name}"),
    "AWS::DynamoDB::Table": ("TableName", "dynamodb:us-east-1:{account}:table/{name}"),
    "AWS::Events::EventBus": ("Name", "events:us-east-1:{account}:event-bus/{name}"),
    "AWS::Events::Rule": ("Name", "events:us-east-1:{account}:rule/{name}"),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", "iam::{account}:policy/{name}"),
    "AWS::IAM::Role": ("RoleName", "iam::{account}:role/{name}"),
    "AWS::Lambda::Function": ("FunctionName", "lambda:us-east-1:{account}:function:{name}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs:us-east-1:{account}:log-group:{name}"),
    "AWS::SNS::Topic": ("TopicName", "sns:us-east-1:{account}:{name}"),
    "AWS::SQS::Queue": ("QueueName", "sqs:us-east-1:{account}:{name}"),
    "AWS::SSM::Parameter": ("Name", "ssm:us-east-1:{account}:parameter{name}"),
    "AWS::Scheduler::Schedule": ("Name", "scheduler:us-east-1:{account}:schedule/default/{name}"),
}

WITHIN_ANOTHER = {
    *("AWS::IAM::Policy", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription", "AWS::SQS::QueuePolicy"),
    *("AWS::CDK::Metadata", "AWS::Lambda::Permission"),
}
"""They have no ARN of their own, or one that begins with that of what they belong to."""

BY_OTHER_MEANS = {"AWS::KMS::Key", "AWS::Lambda::EventSourceMapping"}
"""The key by its tag, and what starts a function by that function: they have no names."""


def names_of_ours() -> list[str]:
    (statement,) = [each for each in guardrails(GUARDED)["Statement"] if "NotAction" in each]
    return list(statement["Resource"])


def arn(stack: str, logical_id: str, resource: dict[str, Any]) -> str:
    named_by, form = ARNS[resource["Type"]]
    name = resource.get("Properties", {}).get(named_by) or f"{stack}-{logical_id}-ABCDEFGHIJKL"
    return f"arn:aws:{form.format(account=ACCOUNT, name=name)}"


def test_every_resource_is_held(example: Synthesised, largest: Synthesised) -> None:
    held = [glob(each) for each in names_of_ours()]
    for app in (example, largest):
        for stack, synthesised in app.stacks().items():
            for logical_id, resource in synthesised.template["Resources"].items():
                if resource["Type"] in WITHIN_ANOTHER | BY_OTHER_MEANS:
                    continue
                found = arn(stack, logical_id, resolved(resource))
                assert any(matches(pattern, found) for pattern in held), found


def test_the_tag_of_the_key_is_that_of_the_stacks(example: Synthesised) -> None:
    (statement,) = [each for each in guardrails(GUARDED)["Statement"] if each["Sid"].endswith("Key")]
    ((key, tag),) = statement["Condition"]["StringEquals"].items()
    for stack in example.stacks().values():
        assert stack.manifest()["properties"]["tags"] == {key.removeprefix("aws:ResourceTag/"): tag}
