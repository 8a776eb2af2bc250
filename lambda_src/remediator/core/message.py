"""Tell people what happened: one value made from the outcome, rendered as text for e-mail and as JSON for machines.

The first line says whether the reader has to do anything. Foreign text (names, tags, error messages, documents) is
stripped of control characters, so that it can break neither lines, headers nor terminals.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from remediator.core.diagnose import Finding, FindingCode
from remediator.core.event import Cause
from remediator.core.outcome import Applied, NotApplied, Outcome, OutcomeKind, Unconfirmed, is_retried
from remediator.core.permanent import PermanentFix, permanent_fix
from remediator.core.plan import InlinePolicyStep, Step, TrustStep
from remediator.core.policy.document import PolicyDocument
from remediator.settings import MODE_TAG

FORMAT = 1
"""Version of the JSON form."""

_SUBJECT_LIMIT = 99  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (Subject: less than 100 characters)
_MESSAGE_LIMIT = 250_000  # bytes; SNS takes 262,144, the attributes and the subject included
_SENTENCE_LIMIT = 600
_CAUSES_LIMIT = 5
_DIFF_LINES_LIMIT = 120
_DIFF_LINE_LIMIT = 200


class Severity(StrEnum):
    """How soon a person should look."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Change:
    """One document before and after; ``state`` is a key of ``_CHANGE_TITLES``, ``note`` says why."""

    document: str
    state: str
    before: PolicyDocument | None
    after: PolicyDocument
    note: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is wrong, or to do: a sentence, and further sentences that explain it."""

    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """Everything that an alert says, in no channel's form yet."""

    kind: OutcomeKind
    severity: Severity
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
)


@dataclass(frozen=True, slots=True)
class FindingText:
    """What a finding means in one sentence, and what a person can do about it where we cannot."""

    meaning: str
    to_do: str


FINDING_TEXTS: Mapping[FindingCode, FindingText] = MappingProxyType(
    {
        FindingCode.TRUST_MISSING: FindingText(
            "EC2 may not assume the role: its trust policy does not name EC2, so clusters cannot start.",
            "Add a statement to the trust policy that allows EC2 sts:AssumeRole; it stands below.",
        ),
        FindingCode.TRUST_CONDITIONAL: FindingText(
            "EC2 may assume the role only under a condition, so that clusters may fail to start.",
            "Decide whether the condition is intended. If it is not, remove it, or add the statement below beside it.",
        ),
        FindingCode.TRUST_BLOCKED: FindingText(
            "The trust policy denies EC2 the role, so clusters cannot start. An Allow does not help against a Deny.",
            "Remove or narrow the Deny named above, if it is not intended.",
        ),
        FindingCode.TRUST_UNDECIDED: FindingText(
            "Whether EC2 may assume the role cannot be decided from its trust policy.",
            "Look at the trust policy, and simplify what is named above.",
        ),
        FindingCode.GRANT_MISSING: FindingText(
            "The role may not use the bucket: nothing grants it what Anyscale needs.",
            "Grant the actions through the role's policies or through the bucket's policy; a policy stands below.",
        ),
        FindingCode.GRANT_BLOCKED: FindingText(
            "The role is kept from using the bucket, and another Allow does not help.",
            "Change what is named above so that it lets this role through, if it is not intended.",
        ),
        FindingCode.GRANT_UNDECIDED: FindingText(
            "Whether the role may use the bucket cannot be decided from its policies.",
            "Look at what is named above. Nothing is written while it cannot be decided.",
        ),
        FindingCode.GRANT_ALTERED: FindingText(
            "The statements that we keep in a policy of our own on this role were changed.",
            "To grant more or less, use a policy of your own instead of ours.",
        ),
        FindingCode.GRANT_BEYOND_ROLE: FindingText(
            "The role may not use the bucket, and a policy on the role alone cannot change that.",
            "The bucket belongs to another account: let its owner add this role to the bucket's policy.",
        ),
        FindingCode.BUCKET_ABSENT: FindingText(
            "The bucket of the cloud does not exist. Nothing is granted on a name that anybody could take.",
            "Create the bucket, or correct its name in the remediator's configuration and deploy again.",
        ),
        FindingCode.BUCKET_UNREADABLE: FindingText(
            "The bucket's policy could not be read, so that a Deny in it cannot be excluded.",
            "Check that the bucket belongs to the configured account, and that its policy lets the remediator's role "
            "call s3:GetBucketPolicy.",
        ),
    }
)

_SEVERITIES = {
    OutcomeKind.REPAIRED: Severity.INFO,
    OutcomeKind.WOULD_REPAIR: Severity.WARNING,
    OutcomeKind.REFUSED: Severity.WARNING,
    OutcomeKind.NEEDS_PERSON: Severity.ERROR,
    OutcomeKind.FAILED: Severity.ERROR,
}

_HEADLINES = {
    OutcomeKind.REPAIRED: "Repaired; nothing for you to do now. To keep it so, change the code that broke it.",
    OutcomeKind.WOULD_REPAIR: "Broken, and left as it is because observe mode writes nothing. Please repair it.",
    OutcomeKind.REFUSED: "Refused to look after this role; nothing was written. Please correct tag or settings.",
    OutcomeKind.NEEDS_PERSON: "Please look: something is wrong that must not be repaired automatically.",
    OutcomeKind.FAILED: "Please look: a repair failed.",
}

_CHANGE_TITLES = {
    "applied": "What was done",
    "proposed": "What would be done",
    "unconfirmed": "What was written, but cannot be seen yet",
    "not applied": "What could not be done",
}

_SUBJECTS = {
    OutcomeKind.REPAIRED: "repaired",
    OutcomeKind.WOULD_REPAIR: "broken, not repaired (observe mode)",
    OutcomeKind.REFUSED: "refused",
    OutcomeKind.NEEDS_PERSON: "needs a person",
    OutcomeKind.FAILED: "repair failed",
}


def describe(outcome: Outcome, *, buckets: tuple[str, ...] = ()) -> Notification | None:
    """What to tell people about an outcome; None where there is nothing to tell.

    ``buckets`` are the names of the cloud's buckets, for the text on how to make the repair permanent.
    """
    severity = _SEVERITIES.get(outcome.kind)
    if severity is None:
        return None
    headline = _HEADLINES[outcome.kind]
    if outcome.kind is OutcomeKind.NEEDS_PERSON and outcome.applied:
        headline = "Please look: part of it was repaired, the rest must not be repaired automatically."
    if outcome.kind is OutcomeKind.FAILED and not outcome.results:
        headline = "Please look: whether this role is broken could not be found out."
    elif outcome.kind is OutcomeKind.FAILED and not any(isinstance(result, NotApplied) for result in outcome.results):
        headline = "Written, but not all of it can be seen yet. We look again; you are told if it stays broken."
    return Notification(
        kind=outcome.kind,
        severity=severity,
        headline=headline,
        role_name=outcome.role_name,
        role_arn=outcome.role_arn,
        account=outcome.account,
        cloud=outcome.cloud,
        wrong=tuple(_wrong(outcome)),
        changes=tuple(_changes(outcome)),
        to_do=tuple(_to_do(outcome)),
        causes=outcome.causes,
        permanent=permanent_fix(outcome.role_arn, outcome.findings, buckets),
        pause=_pause(outcome),
        findings=outcome.findings,
    )


def render(notification: Notification) -> Alert:
    """The notification as it is published, in as much detail as fits a message of SNS (256 KB)."""
    attributes = {
        "outcome": notification.kind.value,
        "severity": notification.severity.value,
        "account": notification.account,
        "role": notification.role_name,
    }
    if notification.cloud:
        attributes["cloud"] = plain(notification.cloud, 256)
    *fuller, barest = (
        Alert(_subject(notification), _text(notification, detail), _json(notification, detail), attributes)
        for detail in _DETAILS
    )
    return next((alert for alert in fuller if len(alert.message.encode()) <= _MESSAGE_LIMIT), barest)


def document_diff(before: PolicyDocument | None, after: PolicyDocument) -> str:
    """A unified diff of two policy documents, each printed as indented ASCII JSON; long ones are cut in the middle."""
    lines = list(difflib.unified_diff(_lines(before), _lines(after), "before", "after", lineterm="", n=4))
    if len(lines) > _DIFF_LINES_LIMIT:
        half = _DIFF_LINES_LIMIT // 2
        lines = [*lines[:half], f"  … {len(lines) - 2 * half} lines left out …", *lines[-half:]]
    return "\n".join(line[:_DIFF_LINE_LIMIT] for line in lines)


def plain(text: str, limit: int = _SENTENCE_LIMIT) -> str:
    """Foreign text on one line: control, format and line-breaking characters become spaces, long text is cut."""
    cleaned = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def _wrong(outcome: Outcome) -> Iterable[Point]:
    if outcome.why:
        yield Point(outcome.why)
    for finding in outcome.findings:
        actions = f" ({', '.join(finding.actions)})" if finding.actions else ""
        yield Point(f"{finding.subject}: {FINDING_TEXTS[finding.code].meaning}{actions}", finding.because)
    yield from (Point(note) for note in outcome.notes)


def _changes(outcome: Outcome) -> Iterable[Change]:
    for step in outcome.proposed:
        yield _change(step, "proposed")
    for result in outcome.results:
        match result:
            case Applied(step=step):
                yield _change(step, "applied")
            case Unconfirmed(step=step, why=why):
                yield _change(step, "unconfirmed", why)
            case NotApplied(step=step, why=why):
                yield _change(step, "not applied", why)


def _change(step: Step, state: str, note: str = "") -> Change:
    match step:
        case TrustStep(before=before, after=after, merged=merged):
            return Change("trust policy", state, before, after, " ".join(filter(None, (merged, note))))
        case InlinePolicyStep(name=name, before=before, after=after):
            return Change(f"inline policy {name}", state, before, after, note)


def _to_do(outcome: Outcome) -> Iterable[Point]:
    for withheld in outcome.withheld:
        why = tuple(f"We did not do it ourselves: {reason}" for reason in withheld.because)
        yield Point(_advice(withheld.finding), why)
    held = {withheld.finding for withheld in outcome.withheld}
    yield from (Point(_advice(finding)) for finding in outcome.for_a_person if finding not in held)
    for result in outcome.results:
        if isinstance(result, NotApplied):
            again = "It is tried again within minutes." if is_retried(result) else "It is not tried again by itself."
            yield Point(f"{_change(result.step, '').document}: {again}", (result.why,))
    if outcome.kind is OutcomeKind.FAILED and not outcome.results:
        yield Point("Mend what is named above, then let the remediator look again by touching a tag of the role.")


def _advice(finding: Finding) -> str:
    return f"{finding.subject}: {FINDING_TEXTS[finding.code].to_do}"


def _pause(outcome: Outcome) -> str | None:
    if outcome.role_arn is None:
        return None
    return f"aws iam tag-role --role-name {outcome.role_name} --tags Key={MODE_TAG},Value=off"


def _subject(notification: Notification) -> str:
    cloud = f" ({notification.cloud})" if notification.cloud else ""
    subject = f"Anyscale role {notification.role_name}: {_SUBJECTS[notification.kind]}{cloud}"
    ascii_only = plain(subject).encode("ascii", "replace").decode("ascii")
    return ascii_only if len(ascii_only) <= _SUBJECT_LIMIT else f"{ascii_only[: _SUBJECT_LIMIT - 3]}..."


def _text(notification: Notification, detail: _Detail) -> str:
    sections = [
        notification.headline,
        "\n".join(
            (
                f"Role     {notification.role_arn or f'{notification.role_name} in account {notification.account}'}",
                f"Cloud    {plain(notification.cloud or 'unknown')}",
            )
        ),
        _section("What was wrong", _point_lines(notification.wrong, detail)),
        *(_change_text(change, detail) for change in notification.changes),
        _section("What you can do", _point_lines(notification.to_do, detail)),
        _section("Who caused it", _causes(notification.causes)),
    ]
    if notification.permanent is not None:
        sections.append(f"To make it permanent in Terraform\n{_indented(notification.permanent.terraform)}")
        sections.append(f"To make it permanent in CloudFormation\n{_indented(notification.permanent.cloudformation)}")
    if notification.pause is not None:
        sections.append(f"To pause the remediator for this role\n  {notification.pause}")
    return "\n\n".join(section for section in sections if section) + "\n"


def _point_lines(points: Iterable[Point], detail: _Detail) -> Iterable[str]:
    for point in points:
        yield plain(point.text)
        yield from (f"  {line}" for line in _shown(point.details, detail))


def _shown(sentences: tuple[str, ...], detail: _Detail) -> tuple[str, ...]:
    """As many sentences as are told, each on one line, and how many are left out."""
    shown = tuple(plain(sentence, detail.length) for sentence in sentences[: detail.sentences])
    more = len(sentences) - len(shown)
    return (*shown, f"… and {more} more of this kind") if more else shown


def _change_text(change: Change, detail: _Detail) -> str:
    note = f"\n  {plain(change.note, detail.length)}" if change.note else ""
    diff = document_diff(change.before, change.after) if detail.documents else "(the document is too long to be shown)"
    return f"{_CHANGE_TITLES[change.state]}: {change.document}{note}\n{_indented(diff)}"


def _causes(causes: tuple[Cause, ...]) -> Iterable[str]:
    for cause in causes[-_CAUSES_LIMIT:]:
        through = f" through {plain(cause.actor.invoked_by)}" if cause.actor.invoked_by else ""
        yield f"{plain(cause.call)} by {plain(cause.actor.arn)}{through} at {plain(cause.time)}"
        yield f"  event {plain(cause.event_id)}, user agent {plain(cause.actor.user_agent or 'unknown', 120)}"


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return f"{title}\n{body}" if body else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _lines(document: PolicyDocument | None) -> list[str]:
    return [] if document is None else json.dumps(document.raw, indent=2).splitlines()


def _json(notification: Notification, detail: _Detail) -> str:
    permanent = notification.permanent
    return json.dumps(
        {
            "format": FORMAT,
            "outcome": notification.kind,
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
                    "note": plain(change.note, detail.length),
                    "before": change.before.raw if change.before is not None and detail.documents else None,
                    "after": change.after.raw if detail.documents else None,
                }
                for change in notification.changes
            ],
            "wrong": [point.text for point in notification.wrong],
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
            "pause": notification.pause,
        },
        separators=(",", ":"),
    )
