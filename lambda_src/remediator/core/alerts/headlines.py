"""The state label, the subject line and the first line of an alert.

The subject leads with what the reader must do, then says what happened to which role. The first line says it in a
sentence with the actor.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, assert_never

from remediator.core.alerts.decide import AlertDecision, AlertReason
from remediator.core.events.causes import causes_of, elapsed, short_actor, short_call, short_cause
from remediator.core.events.event import APPLY_CALL, TAGGING, Cause, utc_minute
from remediator.core.events.sweep import is_sweep
from remediator.core.history.change import ChangeState
from remediator.core.history.conflict import resume_command
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.plain_text import capitalized, foreign
from remediator.core.repair.finding_texts import FINDING_TEXTS, problems_of
from remediator.core.repair.outcome import Hold, NotApplied, Outcome, OutcomeKind
from remediator.errors import DeniedError, ThrottledError, TransientError

SUBJECT_LIMIT: Final = 99
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (Subject: less than 100 characters)"""

_REASON_LIMIT: Final = 300
_NOUNS_SHOWN: Final = 3
_MAKING: Final = frozenset({"CreateRole", "CreateBucket", "CreateInstanceProfile"})
_REFUSALS: Final = {
    "unknown-cloud": "unknown cloud",
    "not-allowed": "no pattern allows it",
    "service-role": "owned by an AWS service",
    "other-account": "other account",
    "trusts-others": "trusts other principals",
    "trust-unreadable": "unreadable trust policy",
    "own-role": "the remediator's own role",
    "powerful": "privileged role",
    "power-unknown": "privileges unknown",
    "boundary-lacking": "no permissions boundary",
    "not-approved": "not approved",
}
_TITLES: Final = {
    OutcomeKind.NOT_ENROLLED: "no longer managed",
    OutcomeKind.OFF: "off, no longer checked",
    OutcomeKind.CLEAN: "resolved",
    OutcomeKind.REPAIRED: "repaired",
    OutcomeKind.REFUSED: "refused",
    OutcomeKind.CONFLICT: "repair loop",
    OutcomeKind.MANUAL_ACTION: "manual action required",
}
_FOUND_BY_SWEEP: Final = "The scheduled sweep found it; no event named a caller."
_CODE: Final = "If code manages this role, update it, or the next run breaks it again."
_HOLDS: Final = {
    Hold.OBSERVE: ("not repaired (observe mode)", "Observe mode: nothing was changed."),
    Hold.PAUSED: ("not repaired (writes paused)", "Writes are paused: nothing was changed."),
    Hold.CAPPED: ("not repaired (write limit)", "The write limit is reached: the rest is not repaired yet."),
    None: ("partly repaired", "The next scheduled sweep repairs the rest. No action needed now."),
}
"""By the reason why a repair is on hold: the state label and the sentence."""


def is_pending(outcome: Outcome) -> bool:
    """Whether everything that could be written was, so that it only has to be confirmed or completed.

    A write that AWS rejected is none of this even if it is retried.
    """
    if outcome.kind is not OutcomeKind.FAILED or outcome.manual_findings or outcome.is_last:
        return False
    if any(isinstance(result, NotApplied) for result in outcome.results):
        return False
    return outcome.again or bool(outcome.results)


def title_of(outcome: Outcome) -> str:
    """The state in a few words, without the role: ``repaired``."""
    match outcome.kind:
        case OutcomeKind.WOULD_REPAIR:
            title, _ = _HOLDS[outcome.hold]
            return title.replace("not repaired", "partly repaired") if outcome.applied else title
        case OutcomeKind.FAILED if is_pending(outcome):
            return "repair pending"
        case OutcomeKind.FAILED:
            return "repair failed" if outcome.results or outcome.is_last else "could not be checked"
        case kind:
            return _TITLES[kind]


def subject_of(outcome: Outcome, decision: AlertDecision) -> str:
    """The subject, at most 99 characters: what to do first; the cloud and the problem are cut before the role."""
    lead, before, after = _subject(outcome)
    if (reminded := _reminded(outcome, decision)) is not None:
        _, day = reminded
        lead = f"{lead}, day {day}"
    start = f"{lead}: {before}{outcome.role_name}"
    cloud = f" ({foreign(outcome.cloud)})" if outcome.cloud and not after.endswith(")") else ""
    for text in (f"{start}{after}{cloud}", f"{start}{after}"):
        if len(text) <= SUBJECT_LIMIT:
            return text
    return f"{start}{after}"[: SUBJECT_LIMIT - 3] + "..."


def opened(outcome: Outcome, decision: AlertDecision) -> datetime | None:
    """Since when the role has been broken, as far as the role record says; None where nothing is open."""
    incident = decision.role_record.incident
    if incident is None and outcome.role_record is not None:
        incident = outcome.role_record.incident
    return None if incident is None else incident.opened


def first_line(outcome: Outcome, decision: AlertDecision, *, has_fix: bool) -> str:
    """The first line; ``has_fix`` says whether code that makes the repair permanent follows."""
    text = _first_line(outcome, decision, has_fix)
    if (reminded := _reminded(outcome, decision)) is not None:
        since, day = reminded
        return f"Open since {utc_minute(since)} (day {day}). {text}"
    return text


def _reminded(outcome: Outcome, decision: AlertDecision) -> tuple[datetime, int] | None:
    """Since when the role has been broken, and which day it is; None where the alert is no reminder."""
    since = opened(outcome, decision)
    if decision.reason is not AlertReason.REMINDER or since is None:
        return None
    return since, (decision.decided_at - since + timedelta(hours=1)).days + 1


def _subject(outcome: Outcome) -> tuple[str, str, str]:
    """The lead, the words before the role, and those after it."""
    match outcome.kind:
        case OutcomeKind.NOT_ENROLLED:
            deleted = outcome.role_arn is None
            return "No longer managed", "", " was deleted" if deleted else " lost its enrollment tag"
        case OutcomeKind.OFF:
            return "No longer checked", "", " is off and still broken"
        case OutcomeKind.REFUSED:
            return _refused_subject(outcome)
        case OutcomeKind.CONFLICT:
            return "ACTION REQUIRED", "repair loop on ", ""
        case OutcomeKind.MANUAL_ACTION:
            return "ACTION REQUIRED", "", f" {_problems(outcome)}"
        case OutcomeKind.WOULD_REPAIR:
            title = title_of(outcome)
            after = ", more to follow" if outcome.hold is None else f" {_problems(outcome)}"
            return capitalized(title), "", after
        case OutcomeKind.FAILED:
            return _failed_subject(outcome)
        case OutcomeKind.REPAIRED:
            return "Repaired, no longer managed" if outcome.why else "Repaired", "", ""
        case OutcomeKind.CLEAN:
            return "Resolved", "", ""
        case _ as never:
            assert_never(never)


def _refused_subject(outcome: Outcome) -> tuple[str, str, str]:
    reason = _REFUSALS.get(outcome.refusal or "", "see below")
    if outcome.in_place or outcome.may_have_written:
        return "ACTION REQUIRED", "", f" was refused after a repair ({reason})"
    return "Not managed", "", f" was refused ({reason})"


def _failed_subject(outcome: Outcome) -> tuple[str, str, str]:
    if is_pending(outcome):
        return "Repair pending", "", ""
    if not outcome.results and not outcome.is_last:
        return "FAILED", "", " could not be checked"
    return "FAILED", "repair of ", ", retrying" if outcome.to_be_retried else ""


def _problems(outcome: Outcome) -> str:
    """What is wrong, as a predicate; what requires manual action comes before what could be repaired."""
    return problems_of(_open(outcome)) or "has an interrupted change to check"


def _open(outcome: Outcome) -> tuple[Finding, ...]:
    """The findings that are still open, the worst first."""
    proposed = tuple(dict.fromkeys(finding for write in outcome.proposed for finding in write.findings))
    return (outcome.kind is OutcomeKind.WOULD_REPAIR and proposed) or outcome.worst_first


def _first_line(outcome: Outcome, decision: AlertDecision, has_fix: bool) -> str:
    trigger = _trigger(outcome)
    match outcome.kind:
        case OutcomeKind.REPAIRED:
            return _repaired(outcome, decision, has_fix)
        case OutcomeKind.CLEAN:
            after = f" after {trigger}" if trigger else ""
            return f"The reported problem is gone, and the role works again{after}. No action needed."
        case OutcomeKind.NOT_ENROLLED | OutcomeKind.OFF as kind:
            state = "off" if kind is OutcomeKind.OFF else "no longer managed"
            by = f" Last change: {trigger}." if trigger else ""
            return f"The role is {state}: {outcome.why}.{by} The reported problem was not repaired."
        case OutcomeKind.REFUSED:
            return _refused(outcome, trigger)
        case OutcomeKind.CONFLICT:
            return _conflict(outcome)
        case OutcomeKind.MANUAL_ACTION:
            return _manual(outcome)
        case OutcomeKind.WOULD_REPAIR:
            _, why = _HOLDS[outcome.hold]
            still = _open(outcome)
            meaning = "".join(FINDING_TEXTS[finding.code].meaning for finding in still[:1])
            return " ".join(filter(None, (meaning, _last_change(outcome, still), why)))
        case OutcomeKind.FAILED:
            return _failed(outcome)
        case _ as never:
            assert_never(never)


def _trigger(outcome: Outcome) -> str:
    """The last call that triggered the check, in a clause; empty where there is none."""
    return short_call(outcome.causes[-1], outcome.account) if outcome.causes else ""


def _last_change(outcome: Outcome, findings: tuple[Finding, ...]) -> str:
    """The last call that can have led to one of the findings; without one, what triggered the check."""
    known = causes_of(findings, outcome.causes)
    if known:
        return f"Last change: {short_call(known[-1], outcome.account)}."
    if not outcome.causes:
        return ""
    if is_sweep(outcome.causes[-1]):
        return _FOUND_BY_SWEEP
    return f"Check triggered by {_trigger(outcome)}."


def _repaired(outcome: Outcome, decision: AlertDecision, has_fix: bool) -> str:
    ending = f"No action needed now. {_CODE}" if has_fix else "No action needed."
    if outcome.why:
        ending = f"The role is no longer managed: {outcome.why}."
    if not outcome.findings:
        return f"An interrupted repair is complete. {ending}"
    things, verb = _things(outcome.findings), _plural(outcome.findings)
    what = capitalized(things)
    known = causes_of(outcome.findings, outcome.causes)
    if known:
        after = elapsed(known[-1], decision.decided_at)
        return f"{_by(what, verb, known, outcome)} and restored{f' {after} later' if after else ''}. {ending}"
    altered = any(finding.code is FindingCode.GRANT_ALTERED for finding in outcome.findings)
    have = "has" if verb == "was" else "have"
    return (
        f"{what} {verb} {'altered' if altered else 'missing'} and {have} been restored. {_how_found(outcome)} {ending}"
    )


def _by(what: str, verb: str, known: tuple[Cause, ...], outcome: Outcome) -> str:
    last = known[-1]
    cause = short_cause(last, outcome.account)
    if last.call in _MAKING:
        return f"{what} {verb} missing after {cause}"
    if len({(each.actor.arn, each.call) for each in known}) > 1:
        return f"{what} {verb} removed or altered (last change: {cause})"
    altered = all(finding.code is FindingCode.GRANT_ALTERED for finding in outcome.findings)
    return f"{what} {verb} {'altered' if altered else 'removed'} by {cause}"


def _how_found(outcome: Outcome) -> str:
    last = outcome.causes[-1] if outcome.causes else None
    if last is None or is_sweep(last):
        return _FOUND_BY_SWEEP
    if last.call == APPLY_CALL:
        return f"Repaired by {short_cause(last, outcome.account)}."
    if last.call in TAGGING:
        return f"Found when {short_actor(last.actor, outcome.account)} tagged the role ({last.call})."
    return f"Check triggered by {short_cause(last, outcome.account)}."


def _refused(outcome: Outcome, trigger: str) -> str:
    if outcome.in_place:
        left = "The trust policy still has EC2 trust from an earlier repair; remove it as below."
    elif outcome.may_have_written:
        left = "What was written before that is below."
    else:
        left = "Nothing was changed."
    by = f" Check triggered by {trigger}." if trigger else ""
    return f"The role has the enrollment tag but is not managed. {foreign(outcome.why, _REASON_LIMIT)} {left}{by}"


def _conflict(outcome: Outcome) -> str:
    findings = outcome.conflict.findings if outcome.conflict else outcome.findings
    undoing = (short_actor(cause.actor, outcome.account) for cause in causes_of(findings, outcome.causes)[-2:])
    who = tuple(dict.fromkeys(undoing)) or ("Another principal",)
    return (
        f"{' and '.join(who)} {'keeps' if len(who) == 1 else 'keep'} removing what the remediator restores: "
        f"{_things(findings)}. Automatic repair of this role has stopped. "
        f"Decide as below, then run `{resume_command(outcome.role_name)}`."
    )


def _manual(outcome: Outcome) -> str:
    if not outcome.findings:
        if any(change.state is ChangeState.SUPERSEDED for change in outcome.recovered):
            return "A repair was interrupted, and another principal has changed the document since. Check it as below."
        return "A repair was interrupted, and whether it was in effect for a time is unknown. Check it as below."
    finding = outcome.worst_first[0]
    blocked = next((each.because for each in outcome.blocked if each.finding == finding), ())
    reason = next(iter((*blocked, *finding.because)), "")
    reason = f" Reason: {foreign(reason, _REASON_LIMIT).rstrip('.')}." if reason else ""
    done = "The rest was repaired." if outcome.applied else "Nothing was changed."
    return f"{FINDING_TEXTS[finding.code].meaning}{reason} {done} {_last_change(outcome, (finding,))}".rstrip()


def _failed(outcome: Outcome) -> str:
    last = _last_change(outcome, outcome.findings)
    if is_pending(outcome):
        rest = "the rest is retried" if outcome.again else "AWS does not show it yet. It is read again"
        return f"Written; {rest} within minutes. No action needed now. {last}".rstrip()
    meaning = FINDING_TEXTS[outcome.findings[0].code].meaning if outcome.findings else ""
    if outcome.is_last and outcome.may_have_written:
        return f"A repair was started and not completed, and is not retried automatically. {meaning} {last}".rstrip()
    failed = next((result for result in outcome.results if isinstance(result, NotApplied)), None)
    if failed is None:
        why = foreign(outcome.why, _REASON_LIMIT).rstrip(".")
        return f"The remediator could not check whether the role is broken: {why}. {last}".rstrip()
    retried = outcome.to_be_retried and not outcome.manual_findings
    again = "It is retried within minutes." if retried else "The next scheduled sweep retries it."
    return " ".join(filter(None, (_rejected(failed), meaning, again, last)))


def _rejected(failed: NotApplied) -> str:
    match failed.error:
        case None:
            return f"The repair failed: {foreign(failed.why, _REASON_LIMIT).rstrip('.')}."
        case DeniedError() as error:
            verb = "denied the remediator"
        case ThrottledError() as error:
            verb = "throttled"
        case TransientError() as error:
            verb = "did not answer"
        case error:
            verb = "rejected"
    return f"AWS {verb} {error.operation} ({foreign(error.code)})."


def _things(findings: Iterable[Finding]) -> str:
    """What was missing: ``EC2 trust and access to s3://acme-data``."""
    things = list(dict.fromkeys(_thing(finding) for finding in findings))
    shown = things[:_NOUNS_SHOWN]
    if more := len(things) - len(shown):
        shown.append(f"{more} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _plural(findings: tuple[Finding, ...]) -> str:
    return "was" if len({_thing(finding) for finding in findings}) == 1 else "were"


def _thing(finding: Finding) -> str:
    subject = foreign(finding.subject)
    match finding.code.partition("-")[0]:
        case "trust":
            return "EC2 trust"
        case "grant" if finding.code is FindingCode.GRANT_LEFTOVER:
            return f"the previous grant ({subject})"
        case "grant" if finding.code is FindingCode.GRANT_ALTERED:
            return f"the remediator's grant ({subject})"
        case "grant" | "bucket":
            return f"access to s3://{subject}"
        case "key":
            return "access to the bucket's KMS key"
        case "profile":
            return "the instance profile"
        case _:
            return "the role"
