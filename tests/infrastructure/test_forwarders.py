"""From other Regions to the home region: one forwarder for each Region in use, and a bus that takes nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infrastructure.templates import ACCOUNT, HOME, Synthesised, resolved

INBOX = f"event-bus/{HOME}Inbox"


@pytest.mark.parametrize(
    ("configuration", "regions"),
    [
        ("mixed", []),
        ("example", ["us-west-2"]),
        ("largest", ["ap-southeast-2", "eu-central-1", "us-west-2"]),
    ],
)
def test_there_is_one_forwarder_for_each_region_in_use_and_none_otherwise(
    configuration: str, regions: list[str], request: pytest.FixtureRequest
) -> None:
    home: Synthesised = request.getfixturevalue(configuration)
    forwarders = home.forwarders()
    assert sorted(forwarders) == regions
    assert set(home.stacks()) == {HOME, *(f"{HOME}Forwarder-{region}" for region in regions)}
    account = home.settings.account or "unknown-account"
    for region, forwarder in forwarders.items():
        manifest = forwarder.manifest()
        assert manifest["environment"] == f"aws://{account}/{region}"
        assert HOME in manifest["dependencies"], "its rules send to a bus of the home stack"
        assert manifest["properties"]["tags"] == {"application": "anyscale-role-remediator"}


def bus_of(home: Synthesised) -> dict[str, Any]:
    (bus,) = home.resources("AWS::Events::EventBus").values()
    properties: dict[str, Any] = bus["Properties"]
    return properties


@pytest.mark.parametrize("configuration", ["example", "largest"])
def test_the_inbox_admits_the_rules_of_our_forwarders_alone(configuration: str, request: pytest.FixtureRequest) -> None:
    home: Synthesised = request.getfixturevalue(configuration)
    bus = bus_of(home)
    arn = f"arn:aws:events:{home.settings.region}:{ACCOUNT}:{INBOX}"
    assert bus["Name"] == INBOX.rpartition("/")[2]
    assert bus["Policy"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OurForwarders",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "events:PutEvents",
                "Resource": arn,
                "Condition": {
                    "ArnLike": {
                        "aws:SourceArn": [
                            f"arn:aws:events:{region}:{ACCOUNT}:rule/{HOME}Forwarder-*"
                            for region in sorted(home.forwarders())
                        ]
                    }
                },
            }
        ],
    }
    assert resolved(home.template["Outputs"]["InboxBusArn"]["Value"]) == arn


def test_without_forwarders_there_is_no_bus(mixed: Synthesised) -> None:
    kinds = {resource["Type"] for resource in mixed.template["Resources"].values()}
    assert "AWS::Events::EventBus" not in kinds
    assert "InboxBusArn" not in mixed.template["Outputs"]


@pytest.mark.parametrize("configuration", ["example", "largest"])
def test_a_forwarder_s_rules_send_to_the_inbox_and_keep_what_cannot_be_sent(
    configuration: str, request: pytest.FixtureRequest
) -> None:
    home: Synthesised = request.getfixturevalue(configuration)
    inbox = f"arn:aws:events:{home.settings.region}:{ACCOUNT}:{INBOX}"
    for forwarder in home.forwarders().values():
        (role,) = forwarder.resources("AWS::IAM::Role")
        (undelivered,) = forwarder.resources("AWS::SQS::Queue")
        for rule in forwarder.resources("AWS::Events::Rule").values():
            assert rule["Properties"]["Name"].startswith(f"{HOME}Forwarder-")
            assert rule["Properties"]["State"] == "ENABLED"
            assert "EventBusName" not in rule["Properties"]
            (target,) = rule["Properties"]["Targets"]
            assert target["Arn"] == inbox
            assert target["RoleArn"] == f"{role}.Arn"
            assert target["DeadLetterConfig"] == {"Arn": f"{undelivered}.Arn"}
            assert role in rule["DependsOn"]


def test_a_forwarder_s_role_may_put_events_on_the_inbox_for_its_rules_and_nothing_else(example: Synthesised) -> None:
    for region, forwarder in example.forwarders().items():
        ((role, resource),) = forwarder.resources("AWS::IAM::Role").items()
        inline, managed = forwarder.policies_of(role)
        assert managed == []
        assert [statement for document in inline for statement in document["Statement"]] == [
            {
                "Sid": "Forward",
                "Effect": "Allow",
                "Action": "events:PutEvents",
                "Resource": f"arn:aws:events:{example.settings.region}:{ACCOUNT}:{INBOX}",
            }
        ]
        (trust,) = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "events.amazonaws.com"}
        assert trust["Condition"] == {
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
            "ArnLike": {"aws:SourceArn": f"arn:aws:events:{region}:{ACCOUNT}:rule/{HOME}Forwarder-*"},
        }


def test_what_a_forwarder_cannot_send_is_encrypted_and_kept_for_fourteen_days(example: Synthesised) -> None:
    for region, forwarder in example.forwarders().items():
        ((name, queue),) = forwarder.resources("AWS::SQS::Queue").items()
        assert queue["Properties"] == {
            "QueueName": "AnyscaleRemediatorForwarderUndelivered",
            "MessageRetentionPeriod": 14 * 24 * 3600,
            "SqsManagedSseEnabled": True,
        }
        (policy,) = forwarder.resources("AWS::SQS::QueuePolicy").values()
        deny, allow = policy["Properties"]["PolicyDocument"]["Statement"]
        assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
        assert allow["Principal"] == {"Service": "events.amazonaws.com"}
        assert allow["Action"] == "sqs:SendMessage"
        assert allow["Condition"] == {
            "ArnLike": {"aws:SourceArn": f"arn:aws:events:{region}:{ACCOUNT}:rule/AnyscaleRemediator*"}
        }
        output = forwarder.template["Outputs"]["UndeliveredEventsUrl"]
        assert resolved(output["Value"]) == name
        assert output["Description"]


def test_what_arrives_in_the_inbox_goes_to_the_intake_queue(example: Synthesised) -> None:
    _, rule = example.named("AWS::Events::Rule", "IntakeInbox")
    ((bus, _),) = example.resources("AWS::Events::EventBus").items()
    intake, _ = example.named("AWS::SQS::Queue", "IntakeQueue")
    undelivered, _ = example.named("AWS::SQS::Queue", "IntakeUndelivered")
    assert rule["Properties"]["EventBusName"] == bus
    assert rule["Properties"]["State"] == "ENABLED"
    (target,) = rule["Properties"]["Targets"]
    assert target == {"Id": "Target", "Arn": f"{intake}.Arn", "DeadLetterConfig": {"Arn": f"{undelivered}.Arn"}}


def test_the_rules_of_the_home_region_are_on_the_default_bus_and_send_to_the_intake_alone(example: Synthesised) -> None:
    intake, _ = example.named("AWS::SQS::Queue", "IntakeQueue")
    undelivered, _ = example.named("AWS::SQS::Queue", "IntakeUndelivered")
    rules = [
        resource for name, resource in example.resources("AWS::Events::Rule").items() if name.startswith("IntakeRules")
    ]
    assert len(rules) == 3
    for rule in rules:
        assert "EventBusName" not in rule["Properties"]
        assert rule["Properties"]["State"] == "ENABLED"
        assert rule["Properties"]["Description"]
        (target,) = rule["Properties"]["Targets"]
        assert target == {"Id": "Target", "Arn": f"{intake}.Arn", "DeadLetterConfig": {"Arn": f"{undelivered}.Arn"}}


def warnings(stack: Synthesised) -> list[str]:
    """What whoever synthesises is warned of."""
    manifest = stack.manifest()
    entries = manifest.get("metadata", {})
    if "additionalMetadataFile" in manifest:
        entries |= json.loads((stack.folder / manifest["additionalMetadataFile"]).read_text())
    return [str(entry["data"]) for found in entries.values() for entry in found if entry["type"] == "aws:cdk:warning"]


def test_people_are_warned_where_they_would_hear_of_nothing_if_one_channel_does_not_work(
    mixed: Synthesised, example: Synthesised, largest: Synthesised
) -> None:
    assert mixed.settings.emails == ()
    (warning,) = [each for each in warnings(mixed) if "emails" in each]
    assert ("only alert channel" in warning) is bool(mixed.settings.slack_webhook_secret)
    assert [each for each in (*warnings(example), *warnings(largest)) if "emails" in each] == []
