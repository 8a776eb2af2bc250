"""Who changed a role, as far as the calls that triggered a check can show it.

A call is a trigger, not a witness. It is named as the cause of a finding only where it can change the kind of document
that the finding is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from remediator.core.events.actors import tool_of
from remediator.core.events.event import APPLY_CALL, Actor, Cause, parse_time
from remediator.core.events.sweep import is_sweep
from remediator.core.events.watched import KMS, S3, WATCHED_CALLS, Concern
from remediator.core.model.finding import Finding
from remediator.core.model.plain_text import foreign
from remediator.settings import REGION

_TOOL_LIMIT: Final = 60
_LONGEST_SECONDS: Final = 3600
_SECONDS_SHOWN: Final = 120
_EVENT_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_ROLE_POLICIES: Final = frozenset(
    {
        *("CreateRole", "PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy"),
        *("PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary", "CreatePolicyVersion"),
        "SetDefaultPolicyVersion",
    }
)
_S3: Final = frozenset(call.name for call in WATCHED_CALLS if call.event_source == S3)
_KMS: Final = frozenset(call.name for call in WATCHED_CALLS if call.event_source == KMS)
_PROFILES: Final = frozenset(
    call.name
    for call in WATCHED_CALLS
    if call.concern is Concern.INSTANCE_PROFILE or call.name.endswith("InstanceProfile")
)

_AFFECTING: Final = {
    "trust": frozenset({"CreateRole", "UpdateAssumeRolePolicy"}),
    "grant": _ROLE_POLICIES | _S3,
    "bucket": _S3,
    "key": _ROLE_POLICIES | _S3 | _KMS,
    "profile": _PROFILES,
    "quarantined": _ROLE_POLICIES | {"UpdateAssumeRolePolicy"},
}
"""The calls that can lead to a finding, by the first word of its code."""


def causes_of(findings: Iterable[Finding], triggers: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """The triggers that can have led to one of the findings, oldest first."""
    affecting = frozenset[str]().union(*(_AFFECTING[finding.code.partition("-")[0]] for finding in findings))
    return tuple(cause for cause in triggers if cause.call in affecting)


def short_actor(actor: Actor, account: str) -> str:
    """The actor in a few words: ``user/alice via the AWS CLI``, ``ci/apply-42 via Terraform``."""
    tool = tool_of(actor)
    via = f" via {foreign(tool, _TOOL_LIMIT)}" if tool and tool != actor.arn else ""
    return f"{foreign(_within(account, actor.arn))}{via}"


def short_cause(cause: Cause, account: str) -> str:
    """The caller, the call and the time: ``user/alice via the AWS CLI (UpdateAssumeRolePolicy, 10:00 UTC)``."""
    return f"{short_actor(cause.actor, account)} ({_call(cause)}{_at(cause, ', ')})"


def short_call(cause: Cause, account: str) -> str:
    """The call, the caller and the time: ``UpdateAssumeRolePolicy by user/alice via the AWS CLI (10:00 UTC)``."""
    if is_sweep(cause):
        return "the scheduled sweep"
    at = _at(cause)
    return f"{_call(cause)} by {short_actor(cause.actor, account)}{f' ({at})' if at else ''}"


def _call(cause: Cause) -> str:
    return "remediator apply" if cause.call == APPLY_CALL else foreign(cause.call)


def _at(cause: Cause, before: str = "") -> str:
    time = parse_time(cause.time)
    return "" if time is None else f"{before}{time:%H:%M} UTC"


def event_link(cause: Cause) -> str | None:
    """The address of the event in CloudTrail's console; None where the Region or the id is invalid.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events-console.html
    """
    # Others may have published the message, and the Region becomes part of the host name.
    if not REGION.fullmatch(cause.region or "") or not _EVENT_ID.fullmatch(cause.event_id):
        return None
    return f"https://{cause.region}.console.aws.amazon.com/cloudtrailv2/home?region={cause.region}#/events/{cause.event_id}"


def elapsed(cause: Cause, now: datetime) -> str:
    """How long after the call it is: ``9 s``, ``4 min``; empty where that is unknown, or more than an hour."""
    time = parse_time(cause.time)
    seconds = -1 if time is None else int((now - time).total_seconds())
    if not 0 <= seconds <= _LONGEST_SECONDS:
        return ""
    return f"{seconds} s" if seconds < _SECONDS_SHOWN else f"{seconds // 60} min"


def _within(account: str, arn: str) -> str:
    """The ARN without what goes without saying within the account: ``user/alice``, ``ci/apply-42`` for a session."""
    head, of_account, name = arn.partition(f"::{account}:")
    return name.removeprefix("assumed-role/") if head.startswith("arn:") and of_account and name else arn
