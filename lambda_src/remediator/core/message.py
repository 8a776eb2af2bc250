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
from typing import assert_never

from remediator.core.arn import RoleArn
from remediator.core.event import Cause
from remediator.core.finding import Finding, FindingCode, bucket_policy_subject
from remediator.core.finding_texts import FINDING_TEXTS
from remediator.core.instance_profile import compute_configuration, own_instance_profile_arn
from remediator.core.outcome import Applied, NotApplied, Outcome, OutcomeKind, Unconfirmed, is_retried
from remediator.core.permanent import PermanentFix, permanent_fix
from remediator.core.plan import BucketPolicyStep, InlinePolicyStep, InstanceProfileStep, Step, TrustStep
from remediator.core.policy.document import PolicyDocument
from remediator.core.sweep import is_sweep
from remediator.settings import MODE_TAG, GrantSide

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
    """One document before and after, as JSON objects; ``state`` is a key of ``_CHANGE_TITLES``, ``note`` says why.

    ``before`` is None where it did not exist, ``after`` where it does not exist any more.
    """

    document: str
    state: str
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
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
    compute_configuration: str | None
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


def describe(
    outcome: Outcome, *, buckets: tuple[str, ...] = (), grant: GrantSide = GrantSide.ROLE_POLICY
) -> Notification | None:
    """What to tell people about an outcome; None where there is nothing to tell.

    ``buckets`` are the names of the cloud's buckets, and ``grant`` is the side where it grants them, for the text on
    how to make the repair permanent.
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
        permanent=permanent_fix(outcome.role_arn, outcome.findings, buckets, grant),
        compute_configuration=_compute_configuration(outcome),
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


def document_diff(before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> str:
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
            return Change("trust policy", state, before.raw, after.raw, " ".join(filter(None, (merged, note))))
        case InlinePolicyStep(name=name):
            return Change(f"inline policy {name}", state, _raw(step.before), _raw(step.after), note)
        case BucketPolicyStep(bucket=bucket):
            return Change(bucket_policy_subject(bucket), state, _raw(step.before), _raw(step.after), note)
        case InstanceProfileStep(name=name, path=path, is_new=is_new):
            made = {"InstanceProfileName": name, "Path": path, "Roles": [name]}
            return Change(f"instance profile {name}", state, None if is_new else {**made, "Roles": []}, made, note)
        case _ as never:
            assert_never(never)


def _raw(document: PolicyDocument | None) -> Mapping[str, object] | None:
    return None if document is None else document.raw


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


def _compute_configuration(outcome: Outcome) -> str | None:
    """What to write into a compute configuration, where the instance profile is the matter; None elsewhere."""
    if outcome.role_arn is None or not any(finding.code in _PROFILE_CODES for finding in outcome.findings):
        return None
    return compute_configuration(own_instance_profile_arn(RoleArn.parse(outcome.role_arn)))


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
    if notification.compute_configuration is not None:
        title = "To name the instance profile in an Anyscale compute configuration (advanced configuration)"
        sections.append(f"{title}\n{_indented(notification.compute_configuration)}")
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
        if is_sweep(cause):
            yield f"Nobody that we heard of: the sweep at {plain(cause.time)} found it, and no event had told of it."
            continue
        through = f" through {plain(cause.actor.invoked_by)}" if cause.actor.invoked_by else ""
        yield f"{plain(cause.call)} by {plain(cause.actor.arn)}{through} at {plain(cause.time)}"
        yield f"  event {plain(cause.event_id)}, user agent {plain(cause.actor.user_agent or 'unknown', 120)}"


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return f"{title}\n{body}" if body else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _lines(document: Mapping[str, object] | None) -> list[str]:
    return [] if document is None else json.dumps(document, indent=2).splitlines()


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
                    "before": change.before if detail.documents else None,
                    "after": change.after if detail.documents else None,
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
            "computeConfiguration": None
            if notification.compute_configuration is None
            else json.loads(notification.compute_configuration),
            "pause": notification.pause,
        },
        separators=(",", ":"),
    )
