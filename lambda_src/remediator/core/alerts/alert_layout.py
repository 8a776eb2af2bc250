"""Alerts laid out for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from remediator.core.alerts.layout import Layout, Rank, Section, SectionForm
from remediator.core.alerts.notification import DocumentChange, Notification, Point, SystemNotice, WriteState
from remediator.core.events.actors import tool_of
from remediator.core.events.event import APPLY_CALL, Cause
from remediator.core.events.sweep import is_sweep
from remediator.core.model.plain_text import document_diff, foreign
from remediator.core.repair.outcome import OutcomeKind

_SUBJECT_LIMIT: Final = 99
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (Subject: less than 100 characters)"""
_USER_AGENT_LIMIT: Final = 60

_CHANGE_TITLES = {
    WriteState.APPLIED: "What was done",
    WriteState.PROPOSED: "What would be done",
    WriteState.UNCONFIRMED: "What was or may have been written, but is not seen",
    WriteState.NOT_APPLIED: "What could not be done",
}

_WRONG_TITLES = {
    OutcomeKind.REPAIRED: "What was wrong",
    **dict.fromkeys((OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF, OutcomeKind.CLEAN, OutcomeKind.REFUSED), "Why"),
}


def layout_of(message: Notification | SystemNotice) -> Layout:
    """The alert laid out: what is wrong and what to do first, and last the code that makes it permanent."""
    return _of_notice(message) if isinstance(message, SystemNotice) else _of_notification(message)


def subject_line(text: str) -> str:
    """The text as the subject of an e-mail: one line of at most 99 ASCII characters."""
    ascii_only = foreign(text).encode("ascii", "replace").decode("ascii")
    return ascii_only if len(ascii_only) <= _SUBJECT_LIMIT else f"{ascii_only[: _SUBJECT_LIMIT - 3]}..."


def _of_notice(notice: SystemNotice) -> Layout:
    return Layout(
        subject=subject_line(f"Anyscale role remediator: {notice.title}"),
        headline=foreign(notice.headline),
        severity=notice.severity,
        facts=(("Account", notice.account),),
        sections=(Section("What you can do", tuple(foreign(line) for line in notice.to_do)),),
        thread=None,
        keywords=(notice.kind.value, notice.severity.value, notice.account),
        record="remediator history",
    )


def _of_notification(notification: Notification) -> Layout:
    cloud = f" ({notification.cloud})" if notification.cloud else ""
    facts = [
        ("Role", notification.role_arn or f"{notification.role_name} in account {notification.account}"),
        ("Cloud", foreign(notification.cloud or "unknown")),
    ]
    if notification.incident_id is not None:
        facts.append(("Incident", notification.incident_id))
    keywords = (notification.kind.value, notification.severity.value, notification.account, notification.role_name)
    return Layout(
        subject=subject_line(f"Anyscale role {notification.role_name}: {notification.title}{cloud}"),
        headline=foreign(notification.headline),
        severity=notification.severity,
        facts=tuple(facts),
        sections=tuple(section for section in _sections(notification) if section.lines or section.note),
        thread=notification.incident_id,
        keywords=(*keywords, foreign(notification.cloud)) if notification.cloud else keywords,
        record=_record(notification),
    )


def _record(notification: Notification) -> str:
    """Where the rest can be read: the history knows what was written, and a look at the role what is still wrong."""
    if any(change.change_id for change in notification.changes):
        return f"remediator history {notification.role_name}"
    return f"remediator plan --role {notification.role_name}"


def _sections(notification: Notification) -> Iterator[Section]:
    yield Section(_WRONG_TITLES.get(notification.kind, "What is wrong"), tuple(_lines(notification.wrong)))
    yield Section("What you can do", tuple(_lines(notification.to_do)))
    yield Section("Who caused it", tuple(_causes(notification)), rank=Rank.TELLING)
    for change in notification.changes:
        yield _change(change, documents=notification.documents)
    for title, commands in (
        ("To have the role repaired again", (notification.resume,)),
        ("To undo it (the role is left alone after that)", notification.undo),
        ("To pause the remediator for this role", (notification.pause,)),
    ):
        yield Section(title, tuple(filter(None, commands)), SectionForm.COMMANDS, Rank.HANDY)
    if notification.permanent is not None:
        yield _code("To make it permanent in Terraform", notification.permanent.terraform, Rank.LASTING)
        yield _code("To make it permanent in CloudFormation", notification.permanent.cloudformation, Rank.SPARE)
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
        shown = f"(too long to be shown here: remediator history {change.change_id})"
    else:
        shown = "(too long to be shown here)"
    return Section(
        title=f"{_CHANGE_TITLES[change.state]}: {foreign(change.document)}",
        lines=tuple(shown.splitlines()),
        form=SectionForm.DIFF,
        rank=Rank.TELLING,
        note=foreign(change.note),
    )


def _code(title: str, text: str, rank: Rank) -> Section:
    return Section(title, tuple(text.splitlines()), SectionForm.CODE, rank)


def _causes(notification: Notification) -> Iterator[str]:
    for cause in notification.causes:
        if is_sweep(cause):
            yield f"Nobody that we heard of: the sweep at {foreign(cause.time)} found it, and no event had told of it."
            continue
        if cause.call == APPLY_CALL:
            yield f"{foreign(cause.actor.arn)} with `remediator apply` at {foreign(cause.time)}"
            continue
        yield f"{foreign(cause.call)} by {_who(cause, notification.account)} at {foreign(cause.time)}"
        yield f"  CloudTrail event {foreign(cause.event_id)}"


def _who(cause: Cause, account: str) -> str:
    actor, tool = cause.actor, tool_of(cause.actor)
    if tool is None and actor.user_agent:
        tool = actor.user_agent
    through = f" through {foreign(tool, _USER_AGENT_LIMIT)}" if tool and tool != actor.arn else ""
    return f"{foreign(_within(account, actor.arn))}{through}"


def _within(account: str, arn: str) -> str:
    """The ARN of somebody in IAM, without what goes without saying within the account: ``assumed-role/ci/apply``."""
    head, of_account, name = arn.partition(f"::{account}:")
    return name if head.startswith("arn:") and of_account and name else arn
