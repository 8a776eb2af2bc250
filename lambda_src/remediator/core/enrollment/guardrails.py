"""Policies that keep everybody but chosen principals from setting the remediator's tags and from touching the
remediator's resources.

They only deny, so that they can be attached as a service control policy or as an IAM policy, and grant nothing. They
hold the remediator's resources by their names: a name cannot be changed, and a tag can be taken off. Only the key of
the alerts has none, and is held by its tag.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_syntax.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from remediator.core.enrollment.own_roles import STACK_PREFIX, own_roles_pattern
from remediator.settings import MODE_TAG

PARAMETERS: Final = "/anyscale-remediator/"
"""The beginning of the names of the remediator's parameters."""

_APPLICATION: Final = "anyscale-role-remediator"
_BOOTSTRAP_ROLES: Final = ("cfn-exec-role", "deploy-role")

_NAMED: Final = (
    f"chatbot::{{account}}:chat-configuration/slack-channel/{STACK_PREFIX}*",
    f"cloudformation:*:{{account}}:stack/{STACK_PREFIX}*",
    f"cloudwatch:*:{{account}}:alarm:{STACK_PREFIX}*",
    f"cloudwatch::{{account}}:dashboard/{STACK_PREFIX}*",
    f"dynamodb:*:{{account}}:table/{STACK_PREFIX}*",
    f"events:*:{{account}}:event-bus/{STACK_PREFIX}*",
    f"events:*:{{account}}:rule/{STACK_PREFIX}*",
    f"iam::{{account}}:policy/{STACK_PREFIX}*",
    f"iam::{{account}}:role/{STACK_PREFIX}*",
    f"lambda:*:{{account}}:function:{STACK_PREFIX}*",
    f"logs:*:{{account}}:log-group:{STACK_PREFIX}*",
    f"scheduler:*:{{account}}:schedule/default/{STACK_PREFIX}*",
    f"sns:*:{{account}}:{STACK_PREFIX}*",
    f"sqs:*:{{account}}:{STACK_PREFIX}*",
    f"ssm:*:{{account}}:parameter{PARAMETERS}*",
)

_HARMLESS: Final = (
    *("chatbot:Describe*", "chatbot:Get*", "chatbot:List*"),
    *("cloudformation:Describe*", "cloudformation:Detect*", "cloudformation:Get*", "cloudformation:List*"),
    *("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"),
    *("dynamodb:BatchGetItem", "dynamodb:CreateBackup", "dynamodb:Describe*", "dynamodb:GetItem", "dynamodb:List*"),
    *("dynamodb:Query", "dynamodb:Scan", "dynamodb:StartAwsBackupJob"),
    *("events:Describe*", "events:List*"),
    *("iam:Generate*", "iam:Get*", "iam:List*", "iam:Simulate*"),
    *("lambda:Get*", "lambda:List*"),
    *("logs:Describe*", "logs:FilterLogEvents", "logs:Get*", "logs:List*", "logs:StartLiveTail", "logs:StartQuery"),
    *("scheduler:Get*", "scheduler:List*"),
    *("sns:Get*", "sns:List*"),
    *("sqs:Get*", "sqs:List*"),
    *("ssm:Describe*", "ssm:Get*", "ssm:List*"),
)
"""What anybody may do to our resources whom other policies let: looking, and backing the history up.

Everything else is denied, calls that AWS has yet to invent included. It includes invoking the functions, sending to and
receiving from the queues, publishing to the topics, and assuming or passing the roles.
"""


class PolicyType(Enum):
    """Where the policy goes; the value is how many characters it may have there."""

    SCP = 5_120
    """A service control policy. AWS has raised its limit to 10,240; this is what any organization takes.

    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
    """
    IAM = 6_144
    """A managed policy, attached to users, groups, roles or permission sets.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is guarded, and who may pass.

    ``approvers`` are the ARNs (with ``*`` and ``?``) of those who may set the remediator's tags and touch the
    remediator's resources, ``deployers`` those of roles that deploy, which may only do the latter. ``account`` is the
    account of the deployment, None where it is not known.
    """

    enrollment_tag: str
    approvers: tuple[str, ...]
    deployers: tuple[str, ...]
    account: str | None = None


def bootstrap_roles(account: str | None, regions: Iterable[str]) -> tuple[str, ...]:
    """The roles that ``cdk bootstrap`` makes for deployments to these Regions, by their ARNs.

    Whoever may use them may deploy anything. They have been there since before our stack, so that nobody can take their
    names, in which there is no wildcard for that reason.
    https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
    """
    owner = account or "*"
    named = account or "${aws:PrincipalAccount}"
    return tuple(
        f"arn:aws:iam::{owner}:role/cdk-hnb659fds-{role}-{named}-{region}"
        for region in regions
        for role in _BOOTSTRAP_ROLES
    )


def guardrails(guarded: Guarded) -> Mapping[str, Any]:
    """The policy as a JSON object.

    The keys of tags are compared in any case: to IAM a role has one tag of a key, however it is spelt, so that another
    spelling would replace the remediator's.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#case-sensitivity
    """
    account = guarded.account or "*"
    approved = {"ArnNotLike": {"aws:PrincipalArn": list(guarded.approvers)}}
    own_roles = own_roles_pattern(account)
    trusted = {"ArnNotLike": {"aws:PrincipalArn": [*guarded.approvers, *guarded.deployers, own_roles]}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AnyscaleTagsByApproversOnly",
                "Effect": "Deny",
                "Action": ["iam:CreateRole", "iam:TagRole", "iam:UntagRole"],
                "Resource": "*",
                "Condition": {
                    "ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": [guarded.enrollment_tag, MODE_TAG]},
                    **approved,
                },
            },
            {
                "Sid": "AnyscaleRemediatorByDeployersOnly",
                "Effect": "Deny",
                "NotAction": list(_HARMLESS),
                "Resource": [f"arn:aws:{name.format(account=account)}" for name in _NAMED],
                "Condition": trusted,
            },
            {
                "Sid": "AnyscaleRemediatorEventSources",
                "Effect": "Deny",
                "Action": [f"lambda:{verb}EventSourceMapping" for verb in ("Create", "Delete", "Update")],
                "Resource": "*",
                "Condition": {
                    "ArnLike": {"lambda:FunctionArn": f"arn:aws:lambda:*:{account}:function:{STACK_PREFIX}*"},
                    **trusted,
                },
            },
            {
                "Sid": "AnyscaleRemediatorKey",
                "Effect": "Deny",
                "Action": [
                    *("kms:CreateGrant", "kms:Disable*", "kms:PutKeyPolicy", "kms:ReplicateKey"),
                    *("kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"),
                ],
                "Resource": f"arn:aws:kms:*:{account}:key/*",
                "Condition": {"StringEquals": {"aws:ResourceTag/application": _APPLICATION}, **trusted},
            },
        ],
    }


def guardrails_text(guarded: Guarded, form: PolicyType) -> str | None:
    """The policy as text that fits its form, indented as far as that fits as well; None where it is too long.

    The white space counts where a service control policy is not pasted into the console, and never for IAM.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
    """
    policy = guardrails(guarded)
    compact = json.dumps(policy, separators=(",", ":"))
    if len(compact) > form.value:
        return None
    indented = (json.dumps(policy, indent=indent) for indent in (2, 1))
    return next((text for text in indented if form is PolicyType.IAM or len(text) <= form.value), compact)
