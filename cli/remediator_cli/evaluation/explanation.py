"""What an event means to the remediator: what it concerns, or why it is ignored, and what happens then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from remediator.core.events.event import DETAIL_TYPE, Ignored, RoleTrigger, SharedTrigger, Trigger, parse_event
from remediator.core.events.sweep import MOST_ROLES_OF_A_POLICY, sweep_for
from remediator.core.events.watched import BUS_SOURCES, IAM, WATCHED, Concern
from remediator.settings import Settings
from remediator_cli.evaluation.records import FoundRecord

NOTHING = "Nothing happens."

_AMAZON = ".amazonaws.com"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one record means.

    ``call`` is like ``iam:PutRolePolicy``. ``concerns`` is what the call names, with its kind (role, policy, bucket,
    key, account), None where it was not looked for. ``clouds`` are the names of the clouds that it leads to, None where
    the configuration is not known, or a role's tag decides. ``ignored`` is the reason, None where something is done.
    """

    place: str
    event_id: str | None
    call: str | None
    account: str | None
    region: str | None
    concerns: tuple[str, str] | None
    clouds: tuple[str, ...] | None
    ignored: str | None
    next: str


def explain(found: FoundRecord, *, account: str | None, settings: Settings | None) -> Explanation:
    """Say what the remediator makes of a record, as far as that can be known without an account.

    ``account`` is the account of the deployment; where it is None, that of the configuration, else the record's own. A
    bare record is taken for one that AWS published itself: who has it has it from CloudTrail.
    Raises MalformedEvent as ``parse_event`` does.
    """
    detail = found.detail if isinstance(found.detail, dict) else {}
    own = _text(detail.get("recipientAccountId")) or _text((found.envelope or {}).get("account"))
    own_account = account or (settings and settings.account) or own
    trigger = parse_event(_event(found, detail, own_account), account=own_account or "")
    explanation = Explanation(
        place=found.place,
        event_id=_text(detail.get("eventID")),
        call=_call(detail),
        account=own or own_account,
        region=_text(detail.get("awsRegion")),
        concerns=_concerns(trigger),
        clouds=None,
        ignored=None,
        next=NOTHING,
    )
    if isinstance(trigger, Ignored):
        return replace(explanation, ignored=trigger.why)
    return _followed(explanation, trigger, detail, settings)


def _event(found: FoundRecord, detail: Mapping[str, object], account: str | None) -> Mapping[str, object]:
    """The event that a record came in, or that EventBridge would make of a bare one."""
    if found.envelope is not None:
        return found.envelope
    source = BUS_SOURCES.get(_text(detail.get("eventSource")) or "")
    return {"source": source, "detail-type": DETAIL_TYPE, "account": account, "detail": detail}


def _concerns(trigger: Trigger) -> tuple[str, str] | None:
    match trigger:
        case RoleTrigger(role_name=name):
            return "role", name
        case SharedTrigger(concern=concern, name=name):
            return ("policy" if concern is Concern.MANAGED_POLICY else concern.value), name
        case Ignored():
            return None
        case _ as never:
            assert_never(never)


def _followed(
    explanation: Explanation,
    trigger: RoleTrigger | SharedTrigger,
    detail: Mapping[str, object],
    settings: Settings | None,
) -> Explanation:
    source = str(detail["eventSource"])
    if settings is not None and explanation.region is not None:
        heard = (settings.region, *(() if source == IAM else settings.other_regions))
        if explanation.region not in heard:
            return replace(explanation, ignored=f"no rule listens in {explanation.region}, only in {_and(heard)}")
    match trigger:
        case RoleTrigger(role_name=name, namesake=namesake):
            of_profile = WATCHED[source, trigger.cause.call].concern is Concern.INSTANCE_PROFILE
            role = f"role {name}, which has the name of the instance profile" if of_profile else f"role {name}"
            if namesake is not None:
                role = f"role {name}, and the role {namesake}, which has the name of the instance profile"
            return replace(explanation, next=f"The router reads the {role}. {_if_enrolled(settings)}")
        case SharedTrigger(concern=Concern.MANAGED_POLICY, name=arn):
            then = f"{_if_enrolled(settings)} Where there are more than {MOST_ROLES_OF_A_POLICY}, a sweep does that."
            return replace(
                explanation, next=f"The router reads each role that {arn} is attached to, or that it bounds. {then}"
            )
        case SharedTrigger():
            return _swept(explanation, trigger, settings)
        case _ as never:
            assert_never(never)


def _if_enrolled(settings: Settings | None) -> str:
    tag = "the enrollment tag" if settings is None else f"the tag {settings.enrollment_tag}"
    return f"If it carries {tag}, which is not known offline, the reconciler checks it and repairs what it may."


def _swept(explanation: Explanation, trigger: SharedTrigger, settings: Settings | None) -> Explanation:
    if settings is None:
        if trigger.concern is Concern.ACCOUNT:
            return replace(explanation, next="A sweep checks every enrolled role.")
        what = f"the {trigger.concern} {trigger.name}"
        then = f"If {what} is in the configuration, a sweep checks every enrolled role of its clouds."
        return replace(explanation, next=then)
    request = sweep_for(trigger, settings)
    if isinstance(request, Ignored):
        return replace(explanation, clouds=(), ignored=request.why)
    clouds = request.clouds or tuple(cloud.name for cloud in settings.clouds)
    many = "cloud" if len(clouds) == 1 else "clouds"
    return replace(explanation, clouds=clouds, next=f"A sweep checks every enrolled role of the {many} {_and(clouds)}.")


def _call(detail: Mapping[str, object]) -> str | None:
    source, name = _text(detail.get("eventSource")), _text(detail.get("eventName"))
    return f"{source.removesuffix(_AMAZON)}:{name}" if source and name else None


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
