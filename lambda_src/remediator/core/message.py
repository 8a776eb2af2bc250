"""Tell people what happened: one value made from the outcome, rendered as text for e-mail and as JSON for machines.

The first line says whether the reader has to do anything. Foreign text (names, tags, error messages, documents) is
stripped of control characters, so that it can break neither lines, headers nor terminals.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum

from remediator.core.actors import tool_of
from remediator.core.arn import RoleArn
from remediator.core.change import ChangeState, Json, before_and_after, document_of
from remediator.core.contest import how_to_resume
from remediator.core.event import Cause
from remediator.core.finding import Finding, FindingCode
from remediator.core.finding_texts import FINDING_TEXTS
from remediator.core.instance_profile import compute_configuration, own_instance_profile_arn
from remediator.core.outcome import Applied, Hold, NotApplied, Outcome, OutcomeKind, Unconfirmed, is_retried
from remediator.core.permanent import PermanentFix, permanent_fix
from remediator.core.plan import Step, TrustStep
from remediator.core.sweep import is_sweep
from remediator.core.telling import News, Telling
from remediator.settings import MODE_TAG, GrantSide, WriteLimit

FORMAT = 2
"""Version of the JSON form."""

_SUBJECT_LIMIT = 99  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (Subject: less than 100 characters)
_MESSAGE_LIMIT = 250_000  # bytes; SNS takes 262,144, the attributes and the subject included
_SENTENCE_LIMIT = 600
_CAUSES_LIMIT = 5
_USER_AGENT_LIMIT = 60
_DIFF_LINES_LIMIT = 120
_DIFF_LINE_LIMIT = 200

_MENTION = re.compile(r"(?<![\w.+-])@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)


class Severity(StrEnum):
    """How soon a person should look."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Change:
    """One document before and after, as JSON objects; ``state`` is a key of ``_CHANGE_TITLES``, ``note`` says why.

    ``before`` is None where it did not exist, ``after`` where it does not exist any more. ``change_id`` is that of the
    record in the history, empty where nothing was to be written.
    """

    document: str
    state: str
    before: Json | None
    after: Json | None
    note: str = ""
    change_id: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is wrong, or to do: a sentence, and further sentences that explain it."""

    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """Everything that an alert says, in no channel's form yet.

    ``incident_id`` is the same in all alerts about one incident of a role, from the first to its resolution. ``title``
    is what the subject says of the role, ``headline`` the first line.
    """

    kind: OutcomeKind
    hold: Hold | None
    news: News
    incident_id: str | None
    severity: Severity
    title: str
    headline: str
    role_name: str
    role_arn: str | None
    account: str
    cloud: str | None
    wrong: tuple[Point, ...]
    changes: tuple[Change, ...]
    to_do: tuple[Point, ...]
    causes: tuple[Cause, ...]
    permanent: PermanentFix | None
    compute_configuration: str | None
    undo: tuple[str, ...]
    resume: str | None
    pause: str | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """A notification as it is published: subject and text for e-mail, JSON for machines, attributes to filter on."""

    subject: str
    text: str
    json: str
    attributes: Mapping[str, str]

    @property
    def message(self) -> str:
        """The message for SNS with MessageStructure ``json``: the text for e-mail, the JSON for every other protocol.

        https://docs.aws.amazon.com/sns/latest/dg/sns-send-custom-platform-specific-payloads-mobile-devices.html
        """
        return json.dumps({"default": self.json, "email": self.text})


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is told: details per point, characters per detail, and whether documents and diffs are shown."""

    sentences: int
    length: int
    documents: bool


_DETAILS = (
    _Detail(8, _SENTENCE_LIMIT, documents=True),
    _Detail(2, 240, documents=True),
    _Detail(1, 120, documents=False),
    _Detail(0, 60, documents=False),
)


_PROFILE_CODES = frozenset({FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED, FindingCode.PROFILE_UNDECIDED})

_SEVERITIES = {
    OutcomeKind.NOT_ENROLLED: Severity.INFO,
    OutcomeKind.OFF: Severity.INFO,
    OutcomeKind.CLEAN: Severity.INFO,
    OutcomeKind.REPAIRED: Severity.INFO,
    OutcomeKind.CONTESTED: Severity.ERROR,
    OutcomeKind.WOULD_REPAIR: Severity.WARNING,
    OutcomeKind.REFUSED: Severity.WARNING,
    OutcomeKind.NEEDS_PERSON: Severity.ERROR,
    OutcomeKind.FAILED: Severity.ERROR,
}

_HEADLINES = {
    OutcomeKind.NOT_ENROLLED: "Not looked after any more; nothing for you to do. What was wrong was not repaired.",
    OutcomeKind.OFF: "Left alone, as its tag asks for; nothing for you to do. What was wrong was not repaired.",
    OutcomeKind.CLEAN: "Resolved; nothing for you to do. What you were told of is in order again.",
    OutcomeKind.REPAIRED: "Repaired; nothing for you to do now. To keep it so, change the code that broke it.",
    OutcomeKind.REFUSED: "Refused to look after this role; nothing was written. Please correct tag or settings.",
    OutcomeKind.CONTESTED: "Please decide: somebody keeps undoing this repair, so we have stopped repairing this role.",
}

_CHANGE_TITLES = {
    "applied": "What was done",
    "proposed": "What would be done",
    "unconfirmed": "What was or may have been written, but is not seen",
    "not applied": "What could not be done",
}

_HELD_HEADLINES = {
    Hold.OBSERVE: "Broken, and left as it is because observe mode writes nothing. Please repair it.",
    Hold.PAUSED: "Broken, and left as it is because writes are paused. Please repair it, or resume the writes.",
    Hold.CAPPED: "Repaired in part only, because as much was written as is allowed. Please see who breaks so much.",
    None: "Repaired in part; nothing for you to do now. The next sweep repairs the rest.",
}

_HELD_TITLES = {
    Hold.OBSERVE: "broken, not repaired (observe mode)",
    Hold.PAUSED: "broken, not repaired (writes are paused)",
    Hold.CAPPED: "repaired in part only (the limit of writes)",
    None: "repaired in part",
}

_HELD_ADVICE = {
    Hold.OBSERVE: "Make the changes below; or have us make them: give the cloud the mode `repair`, and the role's tag "
    f"{MODE_TAG} no other one.",
    Hold.PAUSED: "Make the changes below; or have us make them: `remediator resume` lets the writes go on.",
    Hold.CAPPED: "See who breaks so much: `remediator history` names who caused each repair. The next sweep after the "
    "window repairs the rest.",
}

_TITLES = {
    OutcomeKind.NOT_ENROLLED: "no longer looked after",
    OutcomeKind.OFF: "left alone",
    OutcomeKind.CLEAN: "resolved",
    OutcomeKind.REPAIRED: "repaired",
    OutcomeKind.REFUSED: "refused",
    OutcomeKind.CONTESTED: "contested, no longer repaired",
    OutcomeKind.NEEDS_PERSON: "needs a person",
}

_WRONG_TITLES = {
    OutcomeKind.NOT_ENROLLED: "Why",
    OutcomeKind.OFF: "Why",
    OutcomeKind.CLEAN: "Why",
    OutcomeKind.REPAIRED: "What was wrong",
    OutcomeKind.REFUSED: "Why",
    OutcomeKind.WOULD_REPAIR: "What is wrong",
    OutcomeKind.CONTESTED: "What is wrong",
    OutcomeKind.NEEDS_PERSON: "What is wrong",
    OutcomeKind.FAILED: "What is wrong",
}

_WRITTEN_TO = frozenset(
    {
        OutcomeKind.REPAIRED,
        OutcomeKind.WOULD_REPAIR,
        OutcomeKind.CONTESTED,
        OutcomeKind.NEEDS_PERSON,
        OutcomeKind.FAILED,
    }
)
"""The outcomes after which the remediator may write to the role, so that somebody may want to keep it from that."""


def describe(
    outcome: Outcome,
    telling: Telling,
    *,
    buckets: tuple[str, ...] = (),
    grant: GrantSide = GrantSide.ROLE_POLICY,
) -> Notification:
    """What to tell people about an outcome in which there is something new.

    ``buckets`` are the names of the cloud's buckets, and ``grant`` is the side where it grants them, for the text on
    how to make the repair permanent.
    """
    contested = outcome.kind is OutcomeKind.CONTESTED
    headline = _headline(outcome)
    return Notification(
        kind=outcome.kind,
        hold=outcome.hold,
        news=telling.news,
        incident_id=telling.incident_id,
        severity=Severity.WARNING if _ends_by_itself(outcome) else _SEVERITIES[outcome.kind],
        title=_title(outcome),
        headline=f"Still so after a day. {headline}" if telling.news is News.REMINDER else headline,
        role_name=outcome.role_name,
        role_arn=outcome.role_arn,
        account=outcome.account,
        cloud=outcome.cloud,
        wrong=tuple(_wrong(outcome)),
        changes=tuple(_changes(outcome)),
        to_do=tuple(_to_do(outcome)),
        causes=outcome.causes,
        permanent=permanent_fix(
            outcome.role_arn, outcome.findings, buckets, grant, instance_profile=outcome.instance_profile
        ),
        compute_configuration=_compute_configuration(outcome),
        undo=tuple(f"remediator undo {change_id}" for change_id in _written(outcome)),
        resume=how_to_resume(outcome.role_name) if contested else None,
        pause=_pause(outcome),
        findings=outcome.findings,
    )


def _title(outcome: Outcome) -> str:
    match outcome.kind:
        case OutcomeKind.WOULD_REPAIR:
            return _HELD_TITLES[outcome.hold]
        case OutcomeKind.FAILED if _ends_by_itself(outcome):
            return "repair not finished yet"
        case OutcomeKind.FAILED:
            return "repair failed" if outcome.results else "could not be looked at"
        case kind:
            return _TITLES[kind]


def _headline(outcome: Outcome) -> str:
    match outcome.kind:
        case OutcomeKind.WOULD_REPAIR:
            return _HELD_HEADLINES[outcome.hold]
        case OutcomeKind.NEEDS_PERSON:
            return f"Please look: {_what_needs_a_person(outcome)}"
        case OutcomeKind.FAILED:
            return _failed_headline(outcome)
        case kind:
            return _HEADLINES[kind]


def _what_needs_a_person(outcome: Outcome) -> str:
    if any(finding.code is FindingCode.QUARANTINED for finding in outcome.findings):
        return "somebody has shut this role on purpose, so nothing is repaired."
    if outcome.applied:
        return "part of it was repaired, the rest must not be repaired automatically."
    if not outcome.findings and outcome.settled:
        return "a repair was interrupted, and somebody has changed the document since."
    return "something is wrong that must not be repaired automatically."


def _failed_headline(outcome: Outcome) -> str:
    if _ends_by_itself(outcome):
        if outcome.again:
            return "Written in part; nothing for you to do now. The rest is tried again within minutes."
        return "Written, but not all of it is seen yet; nothing for you to do now. We look again within minutes."
    if not outcome.results:
        return "Please look: whether this role is broken could not be found out."
    if outcome.to_be_retried and not outcome.for_a_person:
        return (
            "A repair failed, and is tried again within minutes. Please look if you are not told soon that it worked."
        )
    return "Please look: a repair failed."


def _ends_by_itself(outcome: Outcome) -> bool:
    """Whether all that could be written was, so that it only has to be seen or finished, and is told in the end.

    A write that failed is none of this even if it is tried again: that it fails for good would be nothing new.
    """
    if outcome.kind is not OutcomeKind.FAILED or outcome.for_a_person:
        return False
    if any(isinstance(result, NotApplied) for result in outcome.results):
        return False
    return outcome.again or bool(outcome.results)


def limit_reached(outcome: Outcome, limit: WriteLimit) -> Alert:
    """The one alert that says that no more is written within this window; ``outcome`` is the first that is held up."""
    headline = (
        f"Please look: {limit.writes} documents were written within {limit.minutes} minutes, which is the limit. "
        "Until the next window begins, nothing more is repaired."
    )
    advice = (
        "See who breaks so many roles: the history (remediator history) names who caused each repair.",
        "If it is intended, raise `writeLimit` in the configuration and deploy.",
        "What is still broken is found by the next sweep after the window ends.",
    )
    lines = [headline, "", f"Account  {outcome.account}", "", "What you can do", *(f"  {line}" for line in advice)]
    content = {
        "format": FORMAT,
        "outcome": "limit-reached",
        "severity": Severity.ERROR,
        "headline": headline,
        "account": outcome.account,
        "limit": {"writes": limit.writes, "minutes": limit.minutes},
        "toDo": advice,
    }
    return Alert(
        subject="Anyscale role remediator: the limit of writes is reached",
        text="\n".join(lines) + "\n",
        json=json.dumps(content, separators=(",", ":")),
        attributes={"outcome": "limit-reached", "severity": Severity.ERROR.value, "account": outcome.account},
    )


def render(notification: Notification) -> Alert:
    """The notification as it is published, in as much detail as fits a message of SNS (256 KB)."""
    attributes = {
        "outcome": notification.kind.value,
        "news": notification.news.value,
        "severity": notification.severity.value,
        "account": notification.account,
        "role": notification.role_name,
    }
    if notification.cloud:
        attributes["cloud"] = foreign(notification.cloud, 256)
    *fuller, barest = (
        Alert(_subject(notification), _text(notification, detail), _json(notification, detail), attributes)
        for detail in _DETAILS
    )
    return next((alert for alert in fuller if len(alert.message.encode()) <= _MESSAGE_LIMIT), barest)


def document_diff(before: Json | None, after: Json | None) -> str:
    """A unified diff of two JSON objects, printed as indented ASCII JSON; a long one is cut in the middle."""
    lines = list(difflib.unified_diff(_lines(before), _lines(after), "before", "after", lineterm="", n=4))
    if len(lines) > _DIFF_LINES_LIMIT:
        half = _DIFF_LINES_LIMIT // 2
        lines = [*lines[:half], f"  … {len(lines) - 2 * half} lines left out …", *lines[-half:]]
    return "\n".join(line[:_DIFF_LINE_LIMIT] for line in lines)


def plain(text: str, limit: int = _SENTENCE_LIMIT) -> str:
    """Foreign text on one line: control, format and line-breaking characters become spaces, long text is cut."""
    cleaned = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def foreign(text: str, limit: int = _SENTENCE_LIMIT) -> str:
    """Foreign text as it stands in an alert: on one line, and without what a chat takes for markup or a mention.

    https://docs.slack.dev/messaging/formatting-message-text#special-mentions
    """
    return _MENTION.sub("@ ", plain(text, limit).replace("<", "\u2039").replace(">", "\u203a"))


def _wrong(outcome: Outcome) -> Iterable[Point]:
    if outcome.why:
        yield Point(outcome.why)
    for finding in outcome.findings:
        actions = f" ({', '.join(finding.actions)})" if finding.actions else ""
        yield Point(f"{finding.subject}: {FINDING_TEXTS[finding.code].meaning}{actions}", finding.because)
    yield from (Point(note) for note in outcome.notes)


def _changes(outcome: Outcome) -> Iterable[Change]:
    for settled in outcome.settled:
        if settled.may_have_taken_effect:
            state = "applied" if settled.state is ChangeState.COMPLETED else "unconfirmed"
            yield Change(str(settled.document), state, settled.before, settled.after, settled.why, settled.change_id)
    for step in outcome.proposed:
        yield _change(step, "proposed")
    for result in outcome.results:
        match result:
            case Applied(step=step, change_id=change_id):
                yield _change(step, "applied", change_id=change_id)
            case Unconfirmed(step=step, why=why, change_id=change_id):
                yield _change(step, "unconfirmed", why, change_id)
            case NotApplied(step=step, why=why, change_id=change_id):
                yield _change(step, "not applied", why, change_id)


def _change(step: Step, state: str, note: str = "", change_id: str = "") -> Change:
    merged = step.merged if isinstance(step, TrustStep) else ""
    before, after = before_and_after(step)
    return Change(str(document_of(step)), state, before, after, " ".join(filter(None, (merged, note))), change_id)


def _written(outcome: Outcome) -> Iterable[str]:
    """The ids of the changes that can be undone."""
    yield from (change.change_id for change in outcome.settled if change.state is ChangeState.COMPLETED)
    yield from (result.change_id for result in outcome.results if isinstance(result, Applied) and result.change_id)


def _to_do(outcome: Outcome) -> Iterable[Point]:
    if outcome.contest is not None:
        undoing = outcome.contest.actors or ("nobody that an event has told of",)
        yield Point(
            "Decide with whoever undoes it: change their code as below, or take the role out of our hands. Then let us "
            "repair it again with the command below; or wait until "
            f"{outcome.contest.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC.",
            tuple(f"Undone by {actor}" for actor in undoing),
        )
    for withheld in outcome.withheld:
        why = tuple(f"We did not do it ourselves: {reason}" for reason in withheld.because)
        yield Point(_advice(withheld.finding), why)
    held = {withheld.finding for withheld in outcome.withheld}
    yield from (Point(_advice(finding)) for finding in outcome.for_a_person if finding not in held)
    for result in outcome.results:
        if isinstance(result, NotApplied):
            again = (
                "It is tried again within minutes."
                if is_retried(result)
                else "It is not tried again by itself. Mend what AWS complains of, or make the change below."
            )
            yield Point(f"{document_of(result.step)}: {again}", (result.why,))
    for settled in outcome.settled:
        if settled.state is ChangeState.SUPERSEDED:
            yield Point(f"{settled.document}: See whether what we meant to write, below, is still wanted.")
    if outcome.kind is OutcomeKind.WOULD_REPAIR and outcome.hold is not None:
        yield Point(_HELD_ADVICE[outcome.hold])
    if outcome.kind is OutcomeKind.FAILED and not outcome.results and not outcome.again:
        yield Point("Mend what is named above, then let the remediator look again by touching a tag of the role.")


def _advice(finding: Finding) -> str:
    return f"{finding.subject}: {FINDING_TEXTS[finding.code].to_do}"


def _compute_configuration(outcome: Outcome) -> str | None:
    """What to write into a compute configuration, where the instance profile is the matter; None elsewhere."""
    if outcome.role_arn is None or not any(finding.code in _PROFILE_CODES for finding in outcome.findings):
        return None
    return compute_configuration(outcome.instance_profile or own_instance_profile_arn(RoleArn.parse(outcome.role_arn)))


def _pause(outcome: Outcome) -> str | None:
    if outcome.role_arn is None or outcome.kind not in _WRITTEN_TO:
        return None
    return f"aws iam tag-role --role-name {outcome.role_name} --tags Key={MODE_TAG},Value=off"


def _subject(notification: Notification) -> str:
    cloud = f" ({notification.cloud})" if notification.cloud else ""
    subject = f"Anyscale role {notification.role_name}: {notification.title}{cloud}"
    ascii_only = foreign(subject).encode("ascii", "replace").decode("ascii")
    return ascii_only if len(ascii_only) <= _SUBJECT_LIMIT else f"{ascii_only[: _SUBJECT_LIMIT - 3]}..."


def _text(notification: Notification, detail: _Detail) -> str:
    sections = [
        notification.headline,
        "\n".join(
            (
                f"Role     {notification.role_arn or f'{notification.role_name} in account {notification.account}'}",
                f"Cloud    {foreign(notification.cloud or 'unknown')}",
            )
        ),
        _section(_WRONG_TITLES[notification.kind], _point_lines(notification.wrong, detail)),
        _section("What you can do", _point_lines(notification.to_do, detail)),
        _section("Who caused it", _causes(notification)),
        *(_change_text(change, detail) for change in notification.changes),
    ]
    if notification.resume is not None:
        sections.append(f"To have the role repaired again\n  {notification.resume}")
    if notification.undo:
        sections.append(_section("To undo it (the role is left alone after that)", notification.undo))
    if notification.pause is not None:
        sections.append(f"To pause the remediator for this role\n  {notification.pause}")
    if notification.permanent is not None:
        sections.append(f"To make it permanent in Terraform\n{_indented(notification.permanent.terraform)}")
        sections.append(f"To make it permanent in CloudFormation\n{_indented(notification.permanent.cloudformation)}")
    if notification.compute_configuration is not None:
        title = "To name the instance profile in an Anyscale compute configuration (advanced configuration)"
        sections.append(f"{title}\n{_indented(notification.compute_configuration)}")
    return "\n\n".join(section for section in sections if section) + "\n"


def _point_lines(points: Iterable[Point], detail: _Detail) -> Iterable[str]:
    for point in points:
        yield foreign(point.text)
        yield from (f"  {line}" for line in _shown(point.details, detail))


def _shown(sentences: tuple[str, ...], detail: _Detail) -> tuple[str, ...]:
    """As many sentences as are told, each on one line, and how many are left out."""
    shown = tuple(foreign(sentence, detail.length) for sentence in sentences[: detail.sentences])
    more = len(sentences) - len(shown)
    return (*shown, f"… and {more} more of this kind") if more else shown


def _change_text(change: Change, detail: _Detail) -> str:
    note = f"\n  {foreign(change.note, detail.length)}" if change.note else ""
    if detail.documents:
        shown = document_diff(change.before, change.after)
    elif change.change_id:
        shown = f"(too long to be shown here: remediator history {change.change_id})"
    else:
        shown = "(too long to be shown here)"
    return f"{_CHANGE_TITLES[change.state]}: {change.document}{note}\n{_indented(shown)}"


def _causes(notification: Notification) -> Iterable[str]:
    for cause in notification.causes[-_CAUSES_LIMIT:]:
        if is_sweep(cause):
            yield f"Nobody that we heard of: the sweep at {foreign(cause.time)} found it, and no event had told of it."
            continue
        actor, tool = cause.actor, tool_of(cause.actor)
        if tool is None and actor.user_agent:
            tool = actor.user_agent
        through = f" through {foreign(tool, _USER_AGENT_LIMIT)}" if tool and tool != actor.arn else ""
        who = foreign(_within(notification.account, actor.arn))
        yield f"{foreign(cause.call)} by {who}{through} at {foreign(cause.time)}"
        yield f"  CloudTrail event {foreign(cause.event_id)}"


def _within(account: str, arn: str) -> str:
    """The ARN of somebody in IAM, without what goes without saying within the account: ``assumed-role/ci/apply``."""
    head, of_account, name = arn.partition(f"::{account}:")
    return name if head.startswith("arn:") and of_account and name else arn


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return f"{title}\n{body}" if body else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def _lines(document: Json | None) -> list[str]:
    return [] if document is None else _unmarked(json.dumps(document, indent=2)).splitlines()


def _unmarked(text: str) -> str:
    """JSON that says the same without the signs that a chat could take for markup or a mention."""
    return _MENTION.sub(r"\\u0040", text.replace("<", "\\u003c").replace(">", "\\u003e"))


def _json(notification: Notification, detail: _Detail) -> str:
    permanent = notification.permanent
    text = json.dumps(
        {
            "format": FORMAT,
            "outcome": notification.kind,
            "hold": notification.hold,
            "news": notification.news,
            "incident": notification.incident_id,
            "severity": notification.severity,
            "headline": notification.headline,
            "account": notification.account,
            "role": {"name": notification.role_name, "arn": notification.role_arn},
            "cloud": notification.cloud,
            "findings": [
                {
                    "code": finding.code,
                    "subject": finding.subject,
                    "actions": finding.actions,
                    "because": _shown(finding.because, detail),
                }
                for finding in notification.findings
            ],
            "changes": [
                {
                    "document": change.document,
                    "state": change.state,
                    "note": foreign(change.note, detail.length),
                    "changeId": change.change_id or None,
                    "before": change.before if detail.documents else None,
                    "after": change.after if detail.documents else None,
                }
                for change in notification.changes
            ],
            "documentsLeftOut": not detail.documents,
            "wrong": [plain(point.text) for point in notification.wrong],
            "toDo": list(_point_lines(notification.to_do, detail)),
            "causes": [
                {
                    "eventId": cause.event_id,
                    "call": cause.call,
                    "time": cause.time,
                    "actor": cause.actor.arn,
                    "actorType": cause.actor.kind,
                    "invokedBy": cause.actor.invoked_by,
                    "userAgent": cause.actor.user_agent,
                }
                for cause in notification.causes[-_CAUSES_LIMIT:]
            ],
            "permanent": None
            if permanent is None
            else {"terraform": permanent.terraform, "cloudformation": permanent.cloudformation},
            "computeConfiguration": None
            if notification.compute_configuration is None
            else json.loads(notification.compute_configuration),
            "undo": notification.undo,
            "resume": notification.resume,
            "pause": notification.pause,
        },
        separators=(",", ":"),
    )
    return _unmarked(text)
