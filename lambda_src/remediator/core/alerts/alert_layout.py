"""Alerts and system notices laid out for readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from remediator.core.alerts.headlines import SUBJECT_LIMIT
from remediator.core.alerts.layout import Layout, Rank, Section, SectionForm
from remediator.core.alerts.notification import DocumentChange, Notification, Point, SystemNotice, WriteState
from remediator.core.events.actors import tool_of
from remediator.core.events.causes import causes_of, event_link, short_actor
from remediator.core.events.event import APPLY_CALL, Cause, utc_minute
from remediator.core.events.sweep import is_sweep
from remediator.core.model.plain_text import document_diff, foreign
from remediator.core.repair.outcome import OutcomeKind

_USER_AGENT_LIMIT: Final = 60

_CHANGE_TITLES = {
    WriteState.APPLIED: "Changed",
    WriteState.PROPOSED: "Proposed change",
    WriteState.UNCONFIRMED: "Possibly changed, not confirmed",
    WriteState.NOT_APPLIED: "Not changed",
}

_WRONG_TITLES = {
    OutcomeKind.REPAIRED: "What was wrong",
    **dict.fromkeys((OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF, OutcomeKind.CLEAN, OutcomeKind.REFUSED), "Reason"),
}


def layout_of(message: Notification | SystemNotice) -> Layout:
    """The message laid out: what is wrong, who changed it, what to do, and last the code that makes it permanent."""
    return _of_notice(message) if isinstance(message, SystemNotice) else _of_notification(message)


def subject_line(text: str) -> str:
    """The text as the subject of an e-mail: one line of at most 99 ASCII characters."""
    ascii_only = foreign(text).encode("ascii", "replace").decode("ascii")
    return ascii_only if len(ascii_only) <= SUBJECT_LIMIT else f"{ascii_only[: SUBJECT_LIMIT - 3]}..."


def _of_notice(notice: SystemNotice) -> Layout:
    return Layout(
        subject=subject_line(notice.title),
        headline=foreign(notice.headline),
        severity=notice.severity,
        facts=(("Account", notice.account),),
        sections=(Section("Next steps", tuple(foreign(line) for line in notice.to_do)),),
        thread=None,
        keywords=(notice.kind.value, notice.severity.value, notice.account),
        record="remediator history",
    )


def _of_notification(notification: Notification) -> Layout:
    facts = [
        ("Role", notification.role_arn or notification.role_name),
        ("Cloud", foreign(notification.cloud or "unknown")),
        ("Account", notification.account),
    ]
    if notification.since is not None:
        facts.append(("Since", utc_minute(notification.since)))
    if notification.incident_id is not None:
        facts.append(("Incident", notification.incident_id))
    keywords = (notification.kind.value, notification.severity.value, notification.account, notification.role_name)
    return Layout(
        subject=subject_line(notification.subject),
        headline=foreign(notification.headline),
        severity=notification.severity,
        facts=tuple(facts),
        sections=tuple(section for section in _sections(notification) if section.lines or section.note),
        thread=notification.incident_id,
        keywords=(*keywords, foreign(notification.cloud)) if notification.cloud else keywords,
        record=_record(notification),
        links=tuple(_links(notification)),
    )


def _links(notification: Notification) -> Iterator[tuple[str, str]]:
    """Where the role and the last event are shown in the AWS console.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/console_controlling-access.html
    """
    if notification.role_arn is not None:
        name = quote(notification.role_name, safe="")
        yield "Role in the console", f"https://console.aws.amazon.com/iam/home#/roles/details/{name}"
    for cause in notification.causes[-1:]:
        if (link := event_link(cause)) is not None:
            yield "CloudTrail event", link


def _record(notification: Notification) -> str:
    """The command that shows the rest: the history has what was written, a plan what is still wrong."""
    if any(change.change_id for change in notification.changes):
        return f"remediator history {notification.role_name}"
    return f"remediator plan --role {notification.role_name}"


def _sections(notification: Notification) -> Iterator[Section]:
    yield Section(_WRONG_TITLES.get(notification.kind, "What is wrong"), tuple(_lines(notification.wrong)))
    yield Section(_cause_title(notification), tuple(_causes(notification)), rank=Rank.DETAIL)
    yield Section("Next steps", tuple(_lines(notification.to_do)))
    for change in notification.changes:
        yield _change(change, documents=notification.documents)
    for title, commands in (
        ("To let the remediator repair the role again", (notification.resume,)),
        ("To undo it (sets the role to observe: later drift is reported, not repaired)", notification.undo),
        ("To turn remediation off for this role", (notification.pause,)),
    ):
        yield Section(title, tuple(filter(None, commands)), SectionForm.COMMANDS, Rank.HANDY)
    verb = "make it permanent" if notification.kind is OutcomeKind.REPAIRED else "fix it"
    if notification.permanent is not None:
        yield _code(f"To {verb} in Terraform", notification.permanent.terraform, Rank.LASTING)
        yield _code(f"To {verb} in CloudFormation", notification.permanent.cloudformation, Rank.SPARE)
    if notification.compute_configuration is not None:
        title = "To name the instance profile in an Anyscale compute configuration (advanced configuration)"
        yield _code(title, notification.compute_configuration, Rank.HANDY)


def _lines(points: Iterable[Point]) -> Iterator[str]:
    for sentence, *explaining in points:
        yield foreign(sentence)
        yield from (f"  {foreign(line)}" for line in explaining)


def _change(change: DocumentChange, *, documents: bool) -> Section:
    if documents:
        shown = document_diff(change.before, change.after)
    elif change.change_id:
        shown = f"(too long for this message: remediator history {change.change_id})"
    else:
        shown = "(too long for this message)"
    return Section(
        title=f"{_CHANGE_TITLES[change.state]}: {foreign(change.document)}",
        lines=tuple(shown.splitlines()),
        form=SectionForm.DIFF,
        rank=Rank.DETAIL,
        note=foreign(change.note),
    )


def _code(title: str, text: str, rank: Rank) -> Section:
    return Section(title, tuple(text.splitlines()), SectionForm.CODE, rank)


def _cause_title(notification: Notification) -> str:
    """A call is called the cause only where it can have led to a finding, or to the state of the role."""
    known = causes_of(notification.findings, notification.causes)
    return "Caused by" if known and len(known) == len(notification.causes) else "What triggered this check"


def _causes(notification: Notification) -> Iterator[str]:
    for cause in notification.causes:
        if is_sweep(cause):
            yield f"The scheduled sweep at {foreign(cause.time)} found it; no event named a caller."
            continue
        if cause.call == APPLY_CALL:
            yield f"{foreign(cause.actor.arn)} with `remediator apply` at {foreign(cause.time)}"
            continue
        yield f"{foreign(cause.call)} by {_who(cause, notification.account)} at {foreign(cause.time)}"
        yield f"  CloudTrail event {foreign(cause.event_id)}"


def _who(cause: Cause, account: str) -> str:
    agent = cause.actor.user_agent
    is_known = tool_of(cause.actor) is not None or agent == cause.actor.arn
    via = f" via {foreign(agent, _USER_AGENT_LIMIT)}" if agent and not is_known else ""
    return f"{short_actor(cause.actor, account)}{via}"
