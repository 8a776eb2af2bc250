"""EventBridge rules, with event patterns made from the table of watched calls."""

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
"""Default limit of a pattern, in characters: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html."""

RULE_PREFIX: Final = "AnyscaleRemediator"
"""Name prefix of all the remediator's rules for CloudTrail events."""


@dataclass(frozen=True, slots=True)
class WatchedRule:
    """A rule's name (without the prefix), description and event pattern."""

    name: str
    description: str
    pattern: Mapping[str, Any]


def watched_rules(settings: Settings, region: str, account: str) -> tuple[WatchedRule, ...]:
    """Return the rules for the default event bus of a Region: every watched call that CloudTrail records there.

    CloudTrail records IAM calls in the home region only, and calls on a key in the Region of the key. It records calls
    on a bucket in the bucket's Region, or in the home region if they used S3's global endpoint (CreateBucket
    does). Calls on the account's public access block may be recorded anywhere. ``account`` is the account of the calls,
    or the CDK's token for it. No pattern is longer than ``LONGEST_PATTERN``.
    """
    here = settings.buckets_in(region)
    home = region == settings.region
    buckets = [bucket for cloud in settings.clouds for bucket in cloud.buckets] if home else here

    def pattern(event_source: str, *concerns: Concern, **pinned: object) -> dict[str, Any]:
        return {
            # Only AWS can send an event with this source; without it anyone with PutEvents could forge one.
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

    def bucket_pattern(names: Sequence[str]) -> dict[str, Any]:
        return pattern(S3, Concern.BUCKET, requestParameters={"bucketName": list(names)})

    def key_pattern(arns: Sequence[str]) -> dict[str, Any]:
        # Not the parameter keyId, which may be an id or an alias; every KMS record has resources.
        return pattern(KMS, Concern.KEY, resources={"ARN": list(arns)})

    roles = WatchedRule(
        "Roles",
        "Successful IAM calls that can break or enroll a role of an Anyscale cluster",
        pattern(IAM, Concern.ROLE, Concern.INSTANCE_PROFILE, Concern.MANAGED_POLICY),
    )
    return (
        *((roles,) if home else ()),
        WatchedRule("Account", "Successful calls on the account's public access block", pattern(S3, Concern.ACCOUNT)),
        *_numbered(
            "Buckets",
            "Successful calls on configured buckets",
            [bucket.name for bucket in buckets],
            bucket_pattern,
            account,
        ),
        *_numbered(
            "Keys",
            "Successful calls on configured keys",
            [bucket.key for bucket in here if bucket.key],
            key_pattern,
            account,
        ),
    )


def forwarded_rule(regions: Sequence[str], account: str) -> WatchedRule:
    """Return the rule for the inbox bus: every call that the rules of other Regions can forward."""
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
    make_pattern: Callable[[Sequence[str]], dict[str, Any]],
    account: str,
) -> Iterator[WatchedRule]:
    """Yield as many rules as are needed to keep each pattern within the limit; none without values."""

    def fits(part: Sequence[str]) -> bool:
        text = json.dumps(make_pattern(part)).replace(account, "0" * 12)
        return len(text) <= LONGEST_PATTERN

    for number, part in enumerate(_parts(tuple(dict.fromkeys(values)), fits), start=1):
        yield WatchedRule(f"{name}{number}", description, make_pattern(part))


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
    """Rules that send matching events to one target, and undeliverable events to a queue.

    Their names are fixed, so one policy statement can allow all of them. The CDK's own targets add a statement per
    rule, and a queue policy holds 20.
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
        """``role`` is needed if the target is an event bus; ``bus`` is None for the default bus of the Region."""
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


def allow_rules(queue: sqs.Queue) -> None:
    """Allow EventBridge to send to the queue for the remediator's rules only, in its Region and account, on any bus."""
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
