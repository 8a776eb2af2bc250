"""Queues and topics: who may send, what is encrypted, who is told, and where what fails ends up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remediator.errors import SettingsError
from remediator.permissions import PERMISSIONS
from remediator.settings_check import parse_settings
from stacks.queues import MAX_RECEIVE_COUNT
from tests.infrastructure.conftest import AMAZON_Q
from tests.infrastructure.templates import ACCOUNT, Synthesised, listed

QUEUES = (
    *("IntakeQueue", "IntakeDeadLetters", "IntakeUndelivered"),
    *("WorkQueue", "WorkDeadLetters", "SweepQueue", "SweepDeadLetters"),
    *("DigestQueue", "DigestDeadLetters", "SlackQueue", "SlackDeadLetters", "AlertsUndelivered"),
)
TOPICS = ("Alerts", "People")
BEHIND_TOPICS = pytest.mark.parametrize(("queue", "topic"), [("DigestQueue", "Alerts"), ("SlackQueue", "People")])


def policy_statements(stack: Synthesised, queue: str) -> list[dict[str, Any]]:
    """The statements of a queue's policy."""
    return [
        listed(statement)
        for resource in stack.resources("AWS::SQS::QueuePolicy").values()
        if queue in resource["Properties"]["Queues"]
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]


def test_these_are_all_the_queues(example: Synthesised) -> None:
    assert len(example.resources("AWS::SQS::Queue")) == len(QUEUES)


@pytest.mark.parametrize("queue", QUEUES)
def test_every_queue_is_encrypted_and_refuses_plain_connections(example: Synthesised, queue: str) -> None:
    name, resource = example.named("AWS::SQS::Queue", queue)
    assert resource["Properties"]["SqsManagedSseEnabled"] is True
    assert {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": ["sqs:*"],
        "Resource": [f"{name}.Arn"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    } in policy_statements(example, name)


@pytest.mark.parametrize("queue", ["IntakeQueue", "IntakeUndelivered"])
def test_eventbridge_may_send_from_our_rules_only_and_nobody_else_may(example: Synthesised, queue: str) -> None:
    name, _ = example.named("AWS::SQS::Queue", queue)
    (allow,) = [statement for statement in policy_statements(example, name) if statement["Effect"] == "Allow"]
    assert allow["Action"] == ["sqs:SendMessage"]
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    ours = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/AnyscaleRemediator"
    assert allow["Condition"] == {"ArnLike": {"aws:SourceArn": f"{ours}*"}}
    for rule in example.resources("AWS::Events::Rule").values():
        if "Name" in rule["Properties"]:
            bus = "AnyscaleRemediatorInbox/" if "EventBusName" in rule["Properties"] else ""
            assert f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{bus}{rule['Properties']['Name']}".startswith(ours)


@pytest.mark.parametrize("queue", ["SweepQueue", "SweepDeadLetters"])
def test_eventbridge_may_ask_for_a_sweep_after_our_deployment_or_a_resumption_only(
    example: Synthesised, queue: str
) -> None:
    name, _ = example.named("AWS::SQS::Queue", queue)
    rules = {example.named("AWS::Events::Rule", rule)[0] for rule in ("SweepDeployed", "SweepResumed")}
    allows = [statement for statement in policy_statements(example, name) if statement["Effect"] == "Allow"]
    for allow in allows:
        assert "sqs:SendMessage" in allow["Action"]
        assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert [allow["Condition"] for allow in allows] == [
        {"ArnEquals": {"aws:SourceArn": f"{rule}.Arn"}} for rule in sorted(rules)
    ]


@BEHIND_TOPICS
@pytest.mark.parametrize("configuration", ["example", "largest"])
def test_sns_may_send_from_our_topic_only_and_nobody_else_may(
    queue: str, topic: str, configuration: str, request: pytest.FixtureRequest
) -> None:
    stack: Synthesised = request.getfixturevalue(configuration)
    name, _ = stack.named("AWS::SQS::Queue", queue)
    arn, _ = stack.named("AWS::SNS::Topic", topic)
    (allow,) = [statement for statement in policy_statements(stack, name) if statement["Effect"] == "Allow"]
    assert allow == {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": ["sqs:SendMessage"],
        "Resource": [f"{name}.Arn"],
        "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
    }


def test_what_sns_cannot_deliver_comes_from_our_topics_only(example: Synthesised) -> None:
    name, _ = example.named("AWS::SQS::Queue", "AlertsUndelivered")
    allows = [statement for statement in policy_statements(example, name) if statement["Effect"] == "Allow"]
    topics = {example.named("AWS::SNS::Topic", topic)[0] for topic in TOPICS}
    assert {allow["Condition"]["ArnEquals"]["aws:SourceArn"] for allow in allows} == topics
    for allow in allows:
        assert allow["Principal"] == {"Service": "sns.amazonaws.com"}
        assert allow["Action"] == ["sqs:SendMessage"]


@BEHIND_TOPICS
def test_a_queue_gets_the_messages_of_its_topic_as_they_are_and_what_cannot_be_delivered_is_kept(
    example: Synthesised, queue: str, topic: str
) -> None:
    arn, _ = example.named("AWS::SNS::Topic", topic)
    name, _ = example.named("AWS::SQS::Queue", queue)
    kept, undelivered = example.named("AWS::SQS::Queue", "AlertsUndelivered")
    (subscription,) = [
        found["Properties"]
        for found in example.resources("AWS::SNS::Subscription").values()
        if found["Properties"]["Endpoint"] == f"{name}.Arn"
    ]
    assert subscription == {
        "TopicArn": arn,
        "Protocol": "sqs",
        "Endpoint": f"{name}.Arn",
        "RawMessageDelivery": True,
        "RedrivePolicy": {"deadLetterTargetArn": f"{kept}.Arn"},
    }
    assert undelivered["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize("configuration", ["example", "largest"])
def test_the_policy_of_every_queue_fits_the_limits_of_sqs(configuration: str, request: pytest.FixtureRequest) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html."""
    home: Synthesised = request.getfixturevalue(configuration)
    for stack in home.stacks().values():
        for policy in stack.resources("AWS::SQS::QueuePolicy").values():
            statements = policy["Properties"]["PolicyDocument"]["Statement"]
            assert len(statements) <= 20
            assert sum(len(statement.get("Condition", ())) for statement in statements) <= 10
            assert len(json.dumps(policy["Properties"]["PolicyDocument"])) <= 4_096


@pytest.mark.parametrize(
    "queue", ["WorkQueue", "WorkDeadLetters", "IntakeDeadLetters", "DigestDeadLetters", "SlackDeadLetters"]
)
def test_the_other_queues_let_nobody_in_by_their_own_policy(example: Synthesised, queue: str) -> None:
    name, _ = example.named("AWS::SQS::Queue", queue)
    assert {statement["Effect"] for statement in policy_statements(example, name)} == {"Deny"}


@pytest.mark.parametrize(
    ("queue", "letters"),
    [(name, name.replace("Queue", "DeadLetters")) for name in QUEUES if name.endswith("Queue")],
)
def test_what_keeps_failing_is_kept_for_fourteen_days(example: Synthesised, queue: str, letters: str) -> None:
    _, resource = example.named("AWS::SQS::Queue", queue)
    name, dead_letters = example.named("AWS::SQS::Queue", letters)
    assert resource["Properties"]["RedrivePolicy"] == {
        "deadLetterTargetArn": f"{name}.Arn",
        "maxReceiveCount": MAX_RECEIVE_COUNT,
    }
    assert dead_letters["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert dead_letters["Properties"].get("FifoQueue") == resource["Properties"].get("FifoQueue")


def test_what_the_rules_cannot_deliver_is_kept_for_fourteen_days_in_a_standard_queue(example: Synthesised) -> None:
    _, undelivered = example.named("AWS::SQS::Queue", "IntakeUndelivered")
    assert undelivered["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert "FifoQueue" not in undelivered["Properties"]


def test_the_work_queue_keeps_order_within_a_document_only(example: Synthesised) -> None:
    _, work = example.named("AWS::SQS::Queue", "WorkQueue")
    assert work["Properties"]["FifoQueue"] is True
    assert work["Properties"]["DeduplicationScope"] == "messageGroup"
    assert work["Properties"]["FifoThroughputLimit"] == "perMessageGroupId"
    # The deduplication id comes from the event: over equal bodies SQS would swallow a second, real change.
    assert "ContentBasedDeduplication" not in work["Properties"]


def test_each_queue_hides_a_message_six_times_as_long_as_its_function_may_run(example: Synthesised) -> None:
    queues = example.resources("AWS::SQS::Queue")
    functions = example.resources("AWS::Lambda::Function")
    mappings = example.resources("AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == len(functions) == 5
    for mapping in mappings:
        queue = queues[mapping["Properties"]["EventSourceArn"].removesuffix(".Arn")]
        function = functions[mapping["Properties"]["FunctionName"]]
        window = mapping["Properties"].get("MaximumBatchingWindowInSeconds", 0)
        assert queue["Properties"]["VisibilityTimeout"] == 6 * function["Properties"]["Timeout"] + window


def test_each_function_fails_messages_one_by_one_and_runs_a_few_times_at_once(example: Synthesised) -> None:
    for mapping in example.resources("AWS::Lambda::EventSourceMapping").values():
        assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert 2 <= mapping["Properties"]["ScalingConfig"]["MaximumConcurrency"] <= 10


@pytest.mark.parametrize(
    ("function", "batches"),
    [
        *(("Router", (10, None, 5)), ("Reconciler", (10, None, 5)), ("Sweeper", (1000, 2, 2))),
        *(("Digester", (10, None, 2)), ("Notifier", (10, None, 2))),
    ],
)
def test_one_sweep_answers_many_requests_and_nobody_else_waits_for_a_batch(
    example: Synthesised, function: str, batches: tuple[int, int | None, int]
) -> None:
    _, mapping = example.named("AWS::Lambda::EventSourceMapping", function)
    properties = mapping["Properties"]
    assert batches == (
        properties["BatchSize"],
        properties.get("MaximumBatchingWindowInSeconds"),
        properties["ScalingConfig"]["MaximumConcurrency"],
    )


@pytest.mark.parametrize("beginning", TOPICS)
def test_alerts_are_encrypted_with_a_key_of_our_own_that_rotates(example: Synthesised, beginning: str) -> None:
    _, topic = example.named("AWS::SNS::Topic", beginning)
    key, resource = example.named("AWS::KMS::Key", "Alerts")
    assert topic["Properties"]["KmsMasterKeyId"] == f"{key}.Arn"
    assert resource["Properties"]["EnableKeyRotation"] is True


def test_the_topic_for_people_admits_our_alarms_alone_by_its_policy_and_refuses_plain_connections(
    example: Synthesised,
) -> None:
    topic, _ = example.named("AWS::SNS::Topic", "People")
    _, policy = example.named("AWS::SNS::TopicPolicy", "People")
    deny, allow = policy["Properties"]["PolicyDocument"]["Statement"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    alarms = f"arn:aws:cloudwatch:{example.settings.region}:{ACCOUNT}:alarm:AnyscaleRemediator-"
    assert allow == {
        "Sid": "OurAlarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
            "ArnLike": {"aws:SourceArn": f"{alarms}*"},
        },
    }
    assert policy["Properties"]["Topics"] == [topic]
    for alarm in example.resources("AWS::CloudWatch::Alarm").values():
        name = alarm["Properties"]["AlarmName"]
        assert f"arn:aws:cloudwatch:{example.settings.region}:{ACCOUNT}:alarm:{name}".startswith(alarms)


def test_the_topic_for_machines_admits_nobody_by_its_policy_and_refuses_plain_connections(
    example: Synthesised,
) -> None:
    topic, _ = example.named("AWS::SNS::Topic", "Alerts")
    _, policy = example.named("AWS::SNS::TopicPolicy", "Alerts")
    (deny,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert policy["Properties"]["Topics"] == [topic]


def test_the_key_lets_cloudwatch_encrypt_for_this_account_and_nobody_else_from_outside(example: Synthesised) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services."""
    _, key = example.named("AWS::KMS::Key", "Alerts")
    account, cloudwatch = key["Properties"]["KeyPolicy"]["Statement"]
    assert account["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert cloudwatch == {
        "Sid": "OurAlarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }


def test_every_configured_address_is_told_what_people_are_and_nobody_else_is(
    example: Synthesised, largest: Synthesised
) -> None:
    for stack in (example, largest):
        people, _ = stack.named("AWS::SNS::Topic", "People")
        subscriptions = [resource["Properties"] for resource in stack.resources("AWS::SNS::Subscription").values()]
        others = [subscription for subscription in subscriptions if subscription["Protocol"] != "sqs"]
        assert {subscription["Endpoint"] for subscription in others} == set(stack.settings.emails)
        assert {subscription["Protocol"] for subscription in others} == {"email"}
        assert {subscription["TopicArn"] for subscription in others} == {people}
        assert len(subscriptions) == len(others) + 2


def test_amazon_q_is_told_what_people_are_and_lets_nobody_do_anything(example: Synthesised) -> None:
    (channel,) = example.resources("AWS::Chatbot::SlackChannelConfiguration").values()
    people, _ = example.named("AWS::SNS::Topic", "People")
    role, resource = example.named("AWS::IAM::Role", "PeopleAmazonQRole")
    assert channel["Properties"] == {
        "ConfigurationName": "AnyscaleRemediator",
        "SlackWorkspaceId": AMAZON_Q["workspace"],
        "SlackChannelId": AMAZON_Q["channel"],
        "SnsTopicArns": [people],
        "IamRoleArn": f"{role}.Arn",
        "GuardrailPolicies": ["arn:AWS::Partition:iam::aws:policy/AWSDenyAll"],
        "LoggingLevel": "ERROR",
    }
    (statement,) = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "chatbot.amazonaws.com"}
    assert example.policies_of(role) == ([], [])


def test_without_slack_in_the_configuration_there_is_nothing_of_it(quiet: Synthesised) -> None:
    functions = {each["Properties"]["Handler"] for each in quiet.resources("AWS::Lambda::Function").values()}
    assert functions == {f"remediator.handlers.{name}.handle" for name in PERMISSIONS if name != "notifier"}
    assert len(quiet.resources("AWS::SQS::Queue")) == len(QUEUES) - len(("SlackQueue", "SlackDeadLetters"))
    text = json.dumps(quiet.template).lower()
    assert [word for word in ("slack", "chatbot", "secretsmanager", "amazonq") if word in text] == []


@pytest.mark.parametrize("configuration", ["example", "largest", "quiet"])
def test_no_template_and_no_file_of_the_functions_holds_the_address_of_a_webhook(
    configuration: str, request: pytest.FixtureRequest
) -> None:
    """The configuration refuses it, so that it stands neither in a template, which many may read, nor in the code."""
    stack: Synthesised = request.getfixturevalue(configuration)
    for each in stack.stacks().values():
        assert "hooks.slack.com" not in json.dumps(each.template)
    configured = json.loads((stack.asset() / "remediator_settings.json").read_text())
    assert "://" not in json.dumps(configured)
    with pytest.raises(SettingsError):
        parse_settings({**configured, "slackWebhookSecret": "https://hooks.slack.com/services/T0000000/B0000000/x"})
