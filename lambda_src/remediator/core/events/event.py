"""From a CloudTrail record on the event bus to what it concerns: a role, a managed policy, a bucket, a key.

The event is a doorbell, never a witness: only names are taken from it, and the present state is read afterwards.
CloudTrail cuts request parameters at 100 KB, and events come late, twice, out of order or not at all.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, assert_never

from remediator.core.events.watched import UNWATCHED, WATCHED, Concern, WatchedCall
from remediator.core.policy.arn import CUSTOMER_POLICY_ARN, KEY_ARN
from remediator.errors import MalformedEvent
from remediator.settings import REGION

DETAIL_TYPE = "AWS API Call via CloudTrail"

APPLY_CALL = "Apply"
"""What is where the name of a call is when an operator has a role repaired with the command line."""

TAGGING = frozenset({"TagRole", "UntagRole"})
"""The calls that change nothing about a role but its tags."""

CONSISTENCY_WINDOW = timedelta(minutes=2)
"""How long a read that contradicts an event is taken for not yet consistent, and is made again.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html (RoleName)
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetInstanceProfile.html (InstanceProfileName)
_INSTANCE_PROFILE_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
# Names of old buckets may be longer than those of new ones, and hold capitals and underscores.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
# CloudTrail cuts userAgent and error texts here; nothing that the remediator keeps of an event needs to be longer.
_LONGEST_TEXT = 1_024
# CloudTrail writes a truth value as one; who hands on "false" is understood as well.
_NO = (False, "false")
_KINDS: Mapping[type, str] = {
    type(None): "missing or null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a call.

    ``arn`` is the caller's ARN as CloudTrail gives it (a session's ARN for an assumed role). ``issuer_arn`` is the ARN
    of the role behind a session, with its path; None for users and root. ``invoked_by`` names the AWS service that
    called on a caller's behalf (``cloudformation.amazonaws.com``), None otherwise.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """

    kind: str
    arn: str
    issuer_arn: str | None = None
    invoked_by: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """The call that triggered a check: by whom, at ``time`` (ISO 8601, UTC), under CloudTrail's ``event_id``.

    ``enrolls`` is the value of the enrollment tag that the call itself set, empty where it removed the tag; ``mode`` is
    that of ``anyscale:remediation``. ``region`` is where CloudTrail recorded the event. Each is None where unknown.
    """

    event_id: str
    call: str
    time: str
    actor: Actor
    enrolls: str | None = None
    mode: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class RoleTrigger:
    """An event that concerns one role.

    ``tagged`` holds the tags that the call set, by key, ``untagged`` the keys of those that it removed: only hints to
    report a read that is not yet consistent from the truth. ``namesake`` is the name of another role that the call may
    concern, because it has the name of the instance profile that the call changed; None where there is none.
    """

    account: str
    role_name: str
    cause: Cause
    tagged: Mapping[str, str] = field(default_factory=dict)
    untagged: tuple[str, ...] = ()
    namesake: str | None = None


@dataclass(frozen=True, slots=True)
class SharedTrigger:
    """An event that may concern more than one role: every one that uses what ``concern`` and ``name`` say.

    ``name`` is the ARN of a managed policy or a key, the name of a bucket, which may be any owner's, or the account.
    """

    account: str
    concern: Concern
    name: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that means nothing to the remediator, with the reason."""

    why: str


Trigger: TypeAlias = RoleTrigger | SharedTrigger | Ignored


def parse_event(envelope: object, *, account: str) -> Trigger:
    """Say what an EventBridge event concerns, or why it is ignored.

    ``envelope`` is the event as parsed from JSON, ``account`` the 12 digits of the account that we run in.
    Raises MalformedEvent where a watched call was made but cannot be read, so that it is kept for a person.
    """
    if not isinstance(envelope, Mapping):
        raise MalformedEvent(f"the event is {_kind(envelope)}, not a JSON object")
    detail = envelope.get("detail")
    if not isinstance(detail, Mapping):
        raise MalformedEvent(f"the event's `detail` is {_kind(detail)}, not a JSON object")
    event_source, name = detail.get("eventSource"), detail.get("eventName")
    if not isinstance(event_source, str) or not isinstance(name, str):
        raise MalformedEvent("the event's detail names no call: `eventSource` and `eventName` must be texts")
    call = WATCHED.get((event_source, name))
    if call is None:
        because = UNWATCHED.get((event_source, name))
        return Ignored(
            f"{_clip(name)} of {_clip(event_source)} is not a watched call{f': {because}' if because else ''}"
        )
    ignored = _not_ours(call, envelope, detail, account)
    return _trigger(call.concern, detail, account) if ignored is None else ignored


def _not_ours(
    call: WatchedCall, envelope: Mapping[object, object], detail: Mapping[str, object], account: str
) -> Ignored | None:
    """Why a watched call is none that was made, by what AWS says, in our account; None where it is one."""
    # Only AWS itself can publish under a source that starts with "aws.", so any other source may be forged.
    # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html (Source)
    if envelope.get("source") != call.bus_source or envelope.get("detail-type") != DETAIL_TYPE:
        return Ignored(f"it was not published by AWS: source and detail-type are not {call.bus_source}, {DETAIL_TYPE}")
    if detail.get("errorCode"):
        return Ignored(f"the call failed with {_shown(detail['errorCode'])}")
    owners = [owner for owner in (detail.get("recipientAccountId"), envelope.get("account")) if owner is not None]
    if not owners:
        raise MalformedEvent(f"{call.name} succeeded, but neither `account` nor `recipientAccountId` says where")
    other = next((owner for owner in owners if owner != account), None)
    return (
        None
        if other is None
        else Ignored(f"it belongs to account {_shown(other)}, and this deployment manages {account}")
    )


def _trigger(concern: Concern, detail: Mapping[str, object], account: str) -> Trigger:
    match concern:
        case Concern.ROLE:
            return _role_trigger(detail, account=account)
        case Concern.INSTANCE_PROFILE:
            return _instance_profile_trigger(detail, account=account)
        case Concern.MANAGED_POLICY:
            name = _parameter(detail, "policyArn", CUSTOMER_POLICY_ARN, "the ARN of a managed policy of an account")
            if detail["eventName"] == "CreatePolicyVersion" and not _may_be_default(detail):
                why = "the new version is not the default, so that it takes no effect before SetDefaultPolicyVersion"
                return Ignored(why)
        case Concern.BUCKET:
            name = _parameter(detail, "bucketName", _BUCKET_NAME, "the name of a bucket")
        case Concern.KEY:
            name = _key_arn(detail)
        case Concern.ACCOUNT:
            name = account
        case _ as never:
            assert_never(never)
    return SharedTrigger(account, concern, name, _cause(detail))


def _parameters(detail: Mapping[str, object]) -> Mapping[str, object]:
    parameters = detail.get("requestParameters")
    if not isinstance(parameters, Mapping):
        raise MalformedEvent(f"{detail['eventName']} succeeded, but its `requestParameters` are {_kind(parameters)}")
    return parameters


def _parameter(detail: Mapping[str, object], key: str, form: re.Pattern[str], what: str) -> str:
    value = _parameters(detail).get(key)
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise MalformedEvent(f"{detail['eventName']} succeeded, but its `requestParameters.{key}` is not {what}")
    return value


def _role_trigger(detail: Mapping[str, object], *, account: str) -> RoleTrigger:
    parameters = _parameters(detail)
    role_name = _parameter(detail, "roleName", _ROLE_NAME, "the name of a role")
    profile = parameters.get("instanceProfileName")
    is_of_another = isinstance(profile, str) and profile != role_name and _ROLE_NAME.fullmatch(profile) is not None
    return RoleTrigger(
        account=account,
        role_name=role_name,
        cause=_cause(detail),
        tagged={
            key: value
            for tag in _sequence(parameters.get("tags"))
            if isinstance(tag, Mapping)
            and isinstance(key := tag.get("key"), str)
            and isinstance(value := tag.get("value"), str)
        },
        untagged=tuple(key for key in _sequence(parameters.get("tagKeys")) if isinstance(key, str)),
        namesake=str(profile) if is_of_another else None,
    )


def _instance_profile_trigger(detail: Mapping[str, object], *, account: str) -> RoleTrigger | Ignored:
    name = _parameter(detail, "instanceProfileName", _INSTANCE_PROFILE_NAME, "the name of an instance profile")
    if _ROLE_NAME.fullmatch(name) is None:
        return Ignored("no role can have the name of that instance profile, which is longer than 64 characters")
    return RoleTrigger(account, name, _cause(detail))


def _may_be_default(detail: Mapping[str, object]) -> bool:
    """Whether a new version of a policy is its default, or may be, because both places that say so were cut off."""
    version = _mapping(_mapping(detail.get("responseElements")).get("policyVersion"))
    asked, answered = _parameters(detail).get("setAsDefault"), version.get("isDefaultVersion")
    said = [sign for sign in (asked, answered) if sign is not None]
    return not said or any(sign not in _NO for sign in said)


def _key_arn(detail: Mapping[str, object]) -> str:
    """The key's ARN: of the record's resources, because the parameters may name it by its id or by an alias."""
    for resource in _sequence(detail.get("resources")):
        arn = _mapping(resource).get("ARN")
        if isinstance(arn, str) and KEY_ARN.fullmatch(arn):
            return arn
    return _parameter(detail, "keyId", KEY_ARN, "the ARN of a key, and neither are its `resources`")


def _cause(detail: Mapping[str, object]) -> Cause:
    event_id = detail.get("eventID")
    if not isinstance(event_id, str) or not event_id:
        raise MalformedEvent(
            f"{detail['eventName']} has no `eventID`, so that it cannot be distinguished from its duplicates"
        )
    time = detail.get("eventTime")
    if not isinstance(time, str) or parse_time(time) is None:
        raise MalformedEvent(f"{detail['eventName']} has no `eventTime` in the form 2026-01-31T12:00:00Z")
    region = detail.get("awsRegion")
    return Cause(
        event_id=_clip(event_id),
        call=str(detail["eventName"]),
        time=time,
        actor=_actor(detail),
        region=region if isinstance(region, str) and REGION.fullmatch(region) else None,
    )


def _actor(detail: Mapping[str, object]) -> Actor:
    identity = _mapping(detail.get("userIdentity"))
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    invoked_by = _text(identity.get("invokedBy"))
    return Actor(
        kind=_text(identity.get("type")) or "Unknown",
        arn=_text(identity.get("arn")) or _text(identity.get("userName")) or invoked_by or "unknown",
        issuer_arn=_text(issuer.get("arn")),
        invoked_by=invoked_by,
        user_agent=_text(detail.get("userAgent")),
    )


def is_recent_cause(cause: Cause, now: datetime, *, within: timedelta = CONSISTENCY_WINDOW) -> bool:
    """Whether a call was made so recently that what contradicts it may not be consistent yet."""
    time = parse_time(cause.time)
    return time is not None and now - time < within


def parse_time(text: str) -> datetime | None:
    """Read CloudTrail's time (``2026-01-31T12:00:00Z``, always UTC); None where it is anything else.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    """
    try:
        return datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:  # such as a 13th month
        return None


def utc_minute(at: datetime) -> str:
    """An aware time for readers, to the minute: ``2026-01-31 12:00 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def _text(value: object) -> str | None:
    return _clip(value) if isinstance(value, str) and value else None


def _clip(text: str) -> str:
    # JSON can spell half a character (a lone surrogate), which no message of the remediator could carry.
    return text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()


def _shown(value: object) -> str:
    return _clip(value) if isinstance(value, str) else _kind(value)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "an object")
