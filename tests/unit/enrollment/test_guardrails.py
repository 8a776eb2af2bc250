"""The guardrails: what our own evaluation of policies says they deny, and to whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from remediator.core.enrollment.guardrails import (
    PARAMETERS,
    Guarded,
    PolicyType,
    bootstrap_roles,
    guardrails,
    guardrails_text,
)
from remediator.core.enrollment.own_roles import STACK_PREFIX
from remediator.core.policy.context import Context, Gap, Value
from remediator.core.policy.document import read_policy
from remediator.core.policy.evaluate import PolicySet, Request, Source, weigh
from remediator.core.policy.extent import ALWAYS
from remediator.core.policy.matching import Resource
from remediator.core.policy.reading import Present
from remediator.settings import DEFAULT_ENROLLMENT_TAG, MODE_TAG
from stacks.alerts import ALARM_PREFIX, CHANNEL_NAME
from stacks.history import PAUSE_PARAMETER
from stacks.inbox import FORWARDER_PREFIX
from stacks.watched_rules import RULE_PREFIX
from tests.examples import ACCOUNT

APPROVER = f"arn:aws:iam::{ACCOUNT}:role/platform/lead"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-us-east-1"
RECONCILER = f"arn:aws:iam::{ACCOUNT}:role/AnyscaleRemediator-ReconcilerRole4A5B6C7D-abcdefghijkl"
ANYBODY = f"arn:aws:iam::{ACCOUNT}:role/developers"
NEARLY = f"arn:aws:iam::{ACCOUNT}:role/x/AnyscaleRemediator-Impostor"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/anyscale/production/head-node"

FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:AnyscaleRemediator-ReconcilerFunction-x"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/AnyscaleRemediator-HistoryTable-x"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:AnyscaleRemediator-WorkQueue-x.fifo"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:AnyscaleRemediator-AlertsTopic-x"
PEOPLE = f"arn:aws:sns:us-east-1:{ACCOUNT}:AnyscaleRemediator-PeopleTopic-x"
RULE = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/AnyscaleRemediator-Iam"
INBOX = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/AnyscaleRemediatorInbox"
SCHEDULE = f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule/default/AnyscaleRemediator-SweepSchedule-x"
PARAMETER = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{PAUSE_PARAMETER}"
CHANNEL = f"arn:aws:chatbot::{ACCOUNT}:chat-configuration/slack-channel/{CHANNEL_NAME}"
STACK = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/AnyscaleRemediator/1a2b3c4d"
LOGS = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:AnyscaleRemediator-RouterLogs-x:*"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALARM = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:AnyscaleRemediator-Silence"
DASHBOARD = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/AnyscaleRemediator-us-east-1"
EVENT_SOURCE = f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:1234abcd"

TOUCHES = [
    ("lambda:UpdateFunctionCode", FUNCTION),
    ("lambda:InvokeFunction", FUNCTION),
    ("lambda:AddPermission", FUNCTION),
    ("iam:PassRole", RECONCILER),
    ("iam:UpdateAssumeRolePolicy", RECONCILER),
    ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/AnyscaleRemediator-Impostor"),
    ("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/AnyscaleRemediator-ReconcilerRolePolicy-x"),
    ("sts:AssumeRole", RECONCILER),
    ("sqs:SendMessage", QUEUE),
    ("sqs:PurgeQueue", QUEUE),
    ("sns:Publish", TOPIC),
    ("sns:Subscribe", TOPIC),
    ("sns:Publish", PEOPLE),
    ("chatbot:DeleteSlackChannelConfiguration", CHANNEL),
    ("chatbot:UpdateSlackChannelConfiguration", CHANNEL),
    ("events:DisableRule", RULE),
    ("events:PutEvents", INBOX),
    ("scheduler:DeleteSchedule", SCHEDULE),
    ("dynamodb:DeleteItem", TABLE),
    ("dynamodb:UpdateContinuousBackups", TABLE),
    ("ssm:PutParameter", PARAMETER),
    ("cloudformation:UpdateStack", STACK),
    ("logs:DeleteLogGroup", LOGS),
    ("cloudwatch:DisableAlarmActions", ALARM),
    ("cloudwatch:DeleteDashboards", DASHBOARD),
]

LOOKS = [
    ("lambda:GetFunction", FUNCTION),
    ("iam:GetRole", RECONCILER),
    ("sqs:GetQueueAttributes", QUEUE),
    ("dynamodb:Query", f"{TABLE}/index/Listing"),
    ("dynamodb:GetItem", TABLE),
    ("ssm:GetParameter", PARAMETER),
    ("chatbot:DescribeSlackChannelConfigurations", CHANNEL),
    ("sns:ListSubscriptionsByTopic", PEOPLE),
    ("cloudformation:DescribeStacks", STACK),
    ("logs:FilterLogEvents", LOGS),
    *(("chatbot:GetMicrosoftTeamsChannelConfiguration", CHANNEL), ("chatbot:ListTagsForResource", CHANNEL)),
    *(("cloudformation:DetectStackDrift", STACK), ("cloudformation:GetTemplate", STACK)),
    ("cloudformation:ListStackResources", STACK),
    *(("cloudwatch:DescribeAlarms", ALARM), ("cloudwatch:GetDashboard", DASHBOARD)),
    ("cloudwatch:ListTagsForResource", ALARM),
    *(("dynamodb:BatchGetItem", TABLE), ("dynamodb:CreateBackup", TABLE), ("dynamodb:DescribeTable", TABLE)),
    *(("dynamodb:ListTagsOfResource", TABLE), ("dynamodb:Scan", TABLE), ("dynamodb:StartAwsBackupJob", TABLE)),
    *(("events:DescribeRule", RULE), ("events:ListTargetsByRule", RULE)),
    *(("iam:GenerateServiceLastAccessedDetails", RECONCILER), ("iam:ListRolePolicies", RECONCILER)),
    *(("iam:SimulatePrincipalPolicy", RECONCILER), ("lambda:ListTags", FUNCTION)),
    *(("logs:DescribeLogStreams", LOGS), ("logs:GetLogEvents", LOGS), ("logs:ListTagsForResource", LOGS)),
    *(("logs:StartLiveTail", LOGS), ("logs:StartQuery", LOGS)),
    *(("scheduler:GetSchedule", SCHEDULE), ("scheduler:ListTagsForResource", SCHEDULE)),
    *(("sns:GetTopicAttributes", TOPIC), ("sqs:ListQueueTags", QUEUE)),
    *(("ssm:DescribeParameters", PARAMETER), ("ssm:ListTagsForResource", PARAMETER)),
    ("lambda:UpdateFunctionCode", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:theirs"),
    ("iam:PassRole", ROLE),
    ("dynamodb:DeleteItem", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/theirs"),
]


def guarded(account: str | None = ACCOUNT, **changes: Any) -> Guarded:
    arguments: dict[str, Any] = {
        "enrollment_tag": DEFAULT_ENROLLMENT_TAG,
        "approvers": (f"arn:aws:iam::{ACCOUNT}:role/platform/*",),
        "deployers": bootstrap_roles(account, ("us-east-1", "us-west-2")),
        "account": account,
        **changes,
    }
    return Guarded(**arguments)


NO_KEYS: Mapping[str, Value] = {}


def denied(
    action: str, resource: str, principal: str, keys: Mapping[str, Value] = NO_KEYS, *, account: str | None = ACCOUNT
) -> bool:
    """Whether the policy denies a principal a call on a resource that carries these condition keys."""
    reading = read_policy(dict(guardrails(guarded(account))))
    assert isinstance(reading, Present)
    assert not reading.value.faults
    values: dict[str, Value] = {
        "aws:principalarn": (principal,),
        "aws:principalaccount": (principal.split(":")[4],),
        **keys,
    }
    context = Context((values,), (("", Gap.ABSENT),))
    side = PolicySet("guardrails", (Source("guardrails", reading.value),))
    weighed = weigh(side, Request((action,), Resource(resource), context, action))
    assert not weighed.allows
    assert all(denial.extent is ALWAYS for denial in weighed.denials)
    return bool(weighed.denials)


class TestOurTags:
    @pytest.mark.parametrize("call", ["iam:TagRole", "iam:UntagRole", "iam:CreateRole"])
    @pytest.mark.parametrize("tag", [DEFAULT_ENROLLMENT_TAG, MODE_TAG, "Anyscale:Remediation"])
    def test_are_set_and_removed_by_approvers_only(self, call: str, tag: str) -> None:
        for keys in ((tag,), ("team", tag)):
            assert denied(call, ROLE, ANYBODY, {"aws:tagkeys": keys})
            assert denied(call, ROLE, DEPLOYER, {"aws:tagkeys": keys})
            assert denied(call, ROLE, RECONCILER, {"aws:tagkeys": keys})
            assert not denied(call, ROLE, APPROVER, {"aws:tagkeys": keys})

    def test_leave_other_tags_and_roles_without_tags_to_everybody(self) -> None:
        assert not denied("iam:TagRole", ROLE, ANYBODY, {"aws:tagkeys": ("team",)})
        assert not denied("iam:CreateRole", ROLE, ANYBODY)

    def test_are_those_of_the_configuration(self) -> None:
        statement = guardrails(guarded(enrollment_tag="acme:cluster"))["Statement"][0]
        assert list(statement["Condition"]["ForAnyValue:StringEqualsIgnoreCase"]["aws:TagKeys"]) == [
            "acme:cluster",
            MODE_TAG,
        ]


class TestOurResources:
    @pytest.mark.parametrize(("action", "resource"), TOUCHES)
    @pytest.mark.parametrize("account", [ACCOUNT, None])
    def test_are_touched_only_by_approvers_and_whoever_deploys_and_by_ourselves(
        self, action: str, resource: str, account: str | None
    ) -> None:
        for principal in (ANYBODY, NEARLY):
            assert denied(action, resource, principal, account=account)
        for principal in (APPROVER, DEPLOYER, RECONCILER):
            assert not denied(action, resource, principal, account=account)

    @pytest.mark.parametrize(("action", "resource"), LOOKS)
    def test_can_be_looked_at_and_other_resources_be_touched_by_everybody(self, action: str, resource: str) -> None:
        assert not denied(action, resource, ANYBODY)

    def test_include_what_starts_the_functions(self) -> None:
        for verb in ("Create", "Delete", "Update"):
            call = f"lambda:{verb}EventSourceMapping"
            assert denied(call, EVENT_SOURCE, ANYBODY, {"lambda:functionarn": (FUNCTION,)})
            assert not denied(
                call, EVENT_SOURCE, ANYBODY, {"lambda:functionarn": (FUNCTION.replace(STACK_PREFIX, "Theirs"),)}
            )
            assert not denied(call, EVENT_SOURCE, DEPLOYER, {"lambda:functionarn": (FUNCTION,)})

    def test_include_the_key_by_its_tag(self) -> None:
        ours = {"aws:resourcetag/application": ("anyscale-role-remediator",)}
        for call in ("kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy", "kms:UntagResource"):
            assert denied(call, KEY, ANYBODY, ours)
            assert not denied(call, KEY, ANYBODY)
            assert not denied(call, KEY, APPROVER, ours)

    def test_are_not_opened_by_a_role_that_is_called_like_one_of_the_bootstrap(self) -> None:
        impostors = [DEPLOYER.replace(f"-{ACCOUNT}-", "-x-"), f"{DEPLOYER}-2", DEPLOYER.replace("role/", "role/x/")]
        for account in (ACCOUNT, None):
            for principal in impostors:
                assert denied("lambda:UpdateFunctionCode", FUNCTION, principal, account=account)

    def test_have_the_names_that_the_stacks_give(self) -> None:
        assert RULE_PREFIX == CHANNEL_NAME == STACK_PREFIX
        assert ALARM_PREFIX.startswith(STACK_PREFIX)
        assert FORWARDER_PREFIX.startswith(STACK_PREFIX)
        assert PAUSE_PARAMETER.startswith(PARAMETERS)


class TestTheText:
    @pytest.mark.parametrize("form", list(PolicyType))
    def test_is_the_policy_and_within_the_limit(self, form: PolicyType) -> None:
        text = guardrails_text(guarded(), form)
        assert text is not None
        assert json.loads(text) == json.loads(json.dumps(guardrails(guarded())))
        assert "\n" in text
        assert (
            len(text if form is PolicyType.SCP else json.dumps(json.loads(text), separators=(",", ":"))) <= form.value
        )

    @pytest.mark.parametrize(
        ("changes", "indent"),
        [({"deployers": ()}, 2), ({}, 1), ({"approvers": (APPROVER, NEARLY)}, None)],
    )
    def test_for_an_organization_is_indented_as_far_as_it_fits(self, changes: Any, indent: int | None) -> None:
        policy = guardrails(guarded(**changes))
        separators = (",", ":") if indent is None else None
        assert guardrails_text(guarded(**changes), PolicyType.SCP) == json.dumps(
            policy, indent=indent, separators=separators
        )

    @pytest.mark.parametrize("approvers", [1, 8])
    def test_for_iam_is_indented_by_two_whatever_that_takes_because_white_space_does_not_count(
        self, approvers: int
    ) -> None:
        names = tuple(f"arn:aws:iam::{ACCOUNT}:role/team-{number:02}" for number in range(approvers))
        text = guardrails_text(guarded(approvers=names), PolicyType.IAM)
        assert text == json.dumps(guardrails(guarded(approvers=names)), indent=2)
        assert (len(text) > PolicyType.IAM.value) == (approvers == 8)

    def test_is_compact_where_it_would_not_fit_otherwise(self) -> None:
        approvers = tuple(f"arn:aws:iam::{ACCOUNT}:role/team-{number:02}" for number in range(6))
        text = guardrails_text(guarded(approvers=approvers), PolicyType.SCP)
        assert text is not None
        assert len(text) <= PolicyType.SCP.value
        assert "\n" not in text

    def test_is_none_where_it_does_not_fit(self) -> None:
        approvers = tuple(f"arn:aws:iam::{ACCOUNT}:role/team-{number:02}" for number in range(60))
        assert guardrails_text(guarded(approvers=approvers), PolicyType.SCP) is None
