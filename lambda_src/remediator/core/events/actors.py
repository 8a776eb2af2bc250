"""Who made a call, and with what, in words."""

from __future__ import annotations

import re

from remediator.core.events.event import Actor

# What the tools write into the user agent. It can be forged, and so it only ever serves to describe.
_TOOLS = (
    (re.compile(r"\bTerraform/"), "Terraform"),
    (re.compile(r"\bOpenTofu/"), "OpenTofu"),
    (re.compile(r"\bpulumi", re.IGNORECASE), "Pulumi"),
    (re.compile(r"\baws-cli/"), "the AWS CLI"),
    (re.compile(r"console\.amazonaws\.com|signin\.amazonaws\.com|^AWS Internal|^Mozilla/"), "the AWS console"),
    (re.compile(r"(?<![\w-])remediator/"), "the remediator CLI"),
    (re.compile(r"\bBoto3/"), "a script (boto3)"),
)
_SERVICES = {"cloudformation.amazonaws.com": "CloudFormation", "sso.amazonaws.com": "IAM Identity Center"}


def tool_of(actor: Actor) -> str | None:
    """What the call was made with, as far as it says so: ``Terraform``, ``CloudFormation``, ``the AWS console``.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    """
    if actor.invoked_by is not None:
        return _SERVICES.get(actor.invoked_by, actor.invoked_by)
    agent = actor.user_agent or ""
    return next((name for sign, name in _TOOLS if sign.search(agent)), None)


def describe_actor(actor: Actor) -> str:
    """The actor in words: ``Terraform, as arn:aws:sts::111122223333:assumed-role/ci/apply``."""
    tool = tool_of(actor)
    return actor.arn if tool is None or tool == actor.arn else f"{tool}, as {actor.arn}"
