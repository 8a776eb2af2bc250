"""Which events rules let through, made from the table of watched calls, and the rules themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from remediator.core.events.event import DETAIL_TYPE
from remediator.core.events.watched import BUS_SOURCES, IAM, KMS, S3, Concern, watched_names
from remediator.settings import Settings

LONGEST_PATTERN: Final = 2_048
"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html: characters of a pattern, unless raised."""

RULE_PREFIX: Final = "AnyscaleRemediator"
"""The beginning of the names of all rules of ours that CloudTrail's events take."""


@dataclass(frozen=True, slots=True)
class WatchedRule:
    """What a rule is called, after a prefix, and which events it lets through."""

    name: str
    description: str
    pattern: Mapping[str, Any]


def watched_rules(settings: Settings, region: str, account: str) -> tuple[WatchedRule, ...]:
    """The rules for the default event bus of a Region: every watched call that CloudTrail records there.

    IAM's calls are recorded in the home region only, those on a key in the Region of the key. Calls on a bucket are
    recorded in its Region, and in the home region those that went to S3's global endpoint (CreateBucket does, wherever
    the bucket is made); calls on the account's public access block may be recorded anywhere. ``account`` is the account
    that they are made in, or the CDK's token for it. No pattern is longer than ``LONGEST_PATTERN``.
    """
    here = settings.buckets_in(region)
    home = region == settings.region
    buckets = [bucket for cloud in settings.clouds for bucket in cloud.buckets] if home else here

    def pattern(event_source: str, *concerns: Concern, **pinned: object) -> dict[str, Any]:
        return {
            # Nobody but AWS can send an event with this source; without it anyone with PutEvents could forge one.
            "source": [BUS_SOURCES[event_source]],
            "account": [account],
            "detail-type": [DETAIL_TYPE],
            "detail": {
                "eventSource": [event_source],
                "eventName": list(watched_names(event_source, *concerns)),
                "errorCode": [{"exists": False}],
                **pinned,
            },
        }

    def of_buckets(names: Sequence[str]) -> dict[str, Any]:
        return pattern(S3, Concern.BUCKET, requestParameters={"bucketName": list(names)})

    def of_keys(arns: Sequence[str]) -> dict[str, Any]:
        # Not the parameter keyId, which may be the key's id or an alias; every record of KMS has resources.
        return pattern(KMS, Concern.KEY, resources={"ARN": list(arns)})

    roles = WatchedRule(
        "Roles",
        "Successful IAM calls that can break or enrol a role of an Anyscale cluster",
        pattern(IAM, Concern.ROLE, Concern.INSTANCE_PROFILE, Concern.MANAGED_POLICY),
    )
    return (
        *((roles,) if home else ()),
        WatchedRule("Account", "Successful calls on the account's public access block", pattern(S3, Concern.ACCOUNT)),
        *_numbered(
            "Buckets",
            "Successful calls on configured buckets",
            [bucket.name for bucket in buckets],
            of_buckets,
            account,
        ),
        *_numbered(
            "Keys",
            "Successful calls on configured keys",
            [bucket.key for bucket in here if bucket.key],
            of_keys,
            account,
        ),
    )


def forwarded_rule(regions: Sequence[str], account: str) -> WatchedRule:
    """The rule for the bus that other Regions send to: every call that their own rules can let through."""
    concerns = (Concern.BUCKET, Concern.ACCOUNT, Concern.KEY)
    pattern = {
        "source": [BUS_SOURCES[S3], BUS_SOURCES[KMS]],
        "account": [account],
        "region": list(regions),
        "detail-type": [DETAIL_TYPE],
        "detail": {
            "eventSource": [S3, KMS],
            "eventName": [*watched_names(S3, *concerns), *watched_names(KMS, *concerns)],
            "errorCode": [{"exists": False}],
        },
    }
    return WatchedRule("Forwarded", "Successful calls on configured buckets and keys in other Regions", pattern)


def _numbered(
    name: str,
    description: str,
    values: Sequence[str],
    pattern_of: Callable[[Sequence[str]], dict[str, Any]],
    account: str,
) -> Iterator[WatchedRule]:
    """As many rules as it takes for no pattern to be too long; none where there is no value."""

    def fits(part: Sequence[str]) -> bool:
        text = json.dumps(pattern_of(part)).replace(account, "0" * 12)
        return len(text) <= LONGEST_PATTERN

    for number, part in enumerate(_parts(tuple(dict.fromkeys(values)), fits), start=1):
        yield WatchedRule(f"{name}{number}", description, pattern_of(part))


def _parts(values: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> Iterator[list[str]]:
    part: list[str] = []
    for value in values:
        if part and not fits([*part, value]):
            yield part
            part = []
        part.append(value)
    if part:
        yield part


class WatchedRules(Construct):
    """Rules that send what they let through to one target, and to a queue what cannot be delivered.

    Their names are fixed, so that one statement of a policy can admit all of them: the CDK's own targets add a
    statement for each rule, and a queue's policy holds 20.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        rules: Sequence[WatchedRule],
        prefix: str,
        target_arn: str,
        undelivered: sqs.Queue,
        role: iam.Role | None = None,
        bus: events.CfnEventBus | None = None,
    ) -> None:
        """``role`` is needed where the target is an event bus; ``bus`` is None for the default bus of the Region."""
        super().__init__(scope, construct_id)
        for rule in rules:
            events.CfnRule(
                self,
                rule.name,
                name=f"{prefix}-{rule.name}",
                description=rule.description,
                event_bus_name=bus.ref if bus else None,
                event_pattern=rule.pattern,
                state="ENABLED",
                targets=[
                    events.CfnRule.TargetProperty(
                        id="Target",
                        arn=target_arn,
                        role_arn=role.role_arn if role else None,
                        dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=undelivered.queue_arn),
                    )
                ],
            )


def admit_rules(queue: sqs.Queue) -> None:
    """Let EventBridge send to the queue for our rules of the queue's Region and account, on any bus, and no other."""
    stack = Stack.of(queue)
    events_here = f"arn:aws:events:{stack.region}:{stack.account}"
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            sid="OurRules",
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnLike": {"aws:SourceArn": f"{events_here}:rule/{RULE_PREFIX}*"}},
        )
    )
