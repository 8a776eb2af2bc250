"""Who may enroll a role: where the configuration names approvers, only their own call counts."""

from __future__ import annotations

from datetime import datetime

from remediator.core.enrollment.decide import Refusal, Refused
from remediator.core.events.event import Actor, Cause
from remediator.core.history.role_record import Approval
from remediator.core.model.role import Role
from remediator.settings import PrincipalPattern

_ENROLLING = frozenset({"CreateRole", "TagRole"})
_WITH_AN_ARN_OF_THEIR_OWN = frozenset({"IAMUser", "Root"})


def decide_approval(
    role: Role,
    cloud: str,
    causes: tuple[Cause, ...],
    stored_record: Approval | None,
    approvers: tuple[PrincipalPattern, ...],
) -> Approval | Refused | None:
    """The approval of a role's enrollment in ``cloud``; None where the configuration asks for none.

    ``remembered`` is that of this very role, by its unique id. A call approves if it set the enrollment tag to this
    cloud, was made by an approver, and is not older than the role: one for a predecessor of the same name is not.
    Whoever takes the tag away ends the approval: it must be given anew when the tag is set again.
    """
    if not approvers:
        return None
    approval = stored_record
    in_order = sorted(causes, key=lambda cause: cause.time)
    for cause in in_order:
        approval = _after(cause, approval, role, cloud, approvers)
    if approval is not None and approval.cloud == cloud:
        return approval
    allowed = ", ".join(str(pattern) for pattern in approvers)
    enrolling = [cause for cause in in_order if _enrolls(cause, role, cloud)]
    by = f" {enrolling[-1].actor.arn} set its tag, and may not approve." if enrolling else ""
    return Refused(
        Refusal.NOT_APPROVED,
        f"No principal that may enroll roles has enrolled this one in cloud {cloud}.{by} It waits until one of these "
        f"sets its tag again: {allowed}.",
        cloud,
    )


def _after(
    cause: Cause, approval: Approval | None, role: Role, cloud: str, approvers: tuple[PrincipalPattern, ...]
) -> Approval | None:
    """The approval after a call, which ends it, gives it, or leaves it as it is."""
    if cause.call == "UntagRole" and cause.enrolls == "" and not (approval and cause.time < approval.time):
        return None
    principal = principal_of(cause.actor)
    if principal is None or not _enrolls(cause, role, cloud):
        return approval
    approves = any(pattern.matches(principal) for pattern in approvers)
    return Approval(cloud, principal, cause.event_id, cause.time) if approves else approval


def _enrolls(cause: Cause, role: Role, cloud: str) -> bool:
    """Whether a call set the tag of this role to this cloud."""
    return cause.call in _ENROLLING and cause.enrolls == cloud and _is_about(cause, role)


def principal_of(actor: Actor) -> str | None:
    """The ARN that stands for an actor: of the role behind a session, of a user or root; None for anybody else.

    Whoever assumes a role chooses the name of the session, so that the session's own ARN says nothing.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """
    if actor.kind == "AssumedRole":
        return actor.issuer_arn
    return actor.arn if actor.kind in _WITH_AN_ARN_OF_THEIR_OWN else None


def _is_about(cause: Cause, role: Role) -> bool:
    """Whether the call is about this role, and not a predecessor: times are known to the second.

    A tag that was set within the second in which the role was created may have been set on its predecessor.
    """
    if role.created is None:
        return False
    time, created = datetime.fromisoformat(cause.time), role.created.replace(microsecond=0)
    return time >= created if cause.call == "CreateRole" else time > created
