"""The content of alerts, for readers and for programs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.alerts.layout import Section
from remediator.core.alerts.notification import limit_reached
from remediator.core.events.event import APPLY_CALL, Actor, Cause
from remediator.core.events.sweep import sweep_cause
from remediator.core.history.change import ChangeState
from remediator.core.history.role_record import Conflict
from remediator.core.model.finding import REPAIRABLE, Finding, FindingCode
from remediator.core.model.plain_text import document_diff, plain
from remediator.core.model.write import Write
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator.core.repair.infrastructure_code import PermanentFix
from remediator.core.repair.outcome import Applied, Hold, NotApplied, OutcomeKind, Unconfirmed, WriteResult
from remediator.core.repair.permanent_fix import permanent_fix
from remediator.core.repair.trust import add_ec2_trust
from remediator.errors import AwsError, DeniedError, QuotaError, RejectedError, TransientError, UnknownAwsError
from remediator.settings import WriteLimit
from tests.examples import ACCOUNT, BUCKET, LAMBDA_STATEMENT, OUTSIDE, ROLE_ARN, a_cause, document
from tests.unit.alerts import situations
from tests.unit.alerts.samples import (
    ALERTS,
    GRANT_BLOCKED,
    GRANT_MISSING,
    GRANT_STEP,
    TRUST_MISSING,
    Published,
    alert,
    hostile,
    longest,
    outcome,
    published,
)
from tests.unit.history.changes import NOW, TRUST_STEP, a_change
from tests.unit.policy.documents import our_policy
from tests.writes import inline_write, trust_write

DOCS = Path(__file__).parents[3] / "docs"


def test_every_finding_has_texts_and_a_row_in_the_documentation() -> None:
    documented = (DOCS / "findings.md").read_text().partition("## Refusals")[0]
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", documented, re.MULTILINE))
    assert set(FINDING_TEXTS) == set(FindingCode)
    assert rows == {*(code.value for code in FindingCode), *(kind.value for kind in OutcomeKind)}


def test_the_documentation_calls_exactly_the_repairable_findings_repaired() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| Repaired[ :]", (DOCS / "findings.md").read_text(), re.MULTILINE)
    assert {FindingCode(row) for row in rows} == REPAIRABLE


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_the_subject_of_every_outcome_leads_with_what_to_do(kind: OutcomeKind) -> None:
    hold = Hold.OBSERVE if kind is OutcomeKind.WOULD_REPAIR else None
    sent = alert(outcome(kind, results=(), hold=hold))
    assert sent.subject.startswith(("ACTION REQUIRED: ", "FAILED: ")) == (sent.attributes["severity"] == "error")
    assert ("No action needed" in sent.text.splitlines()[0]) == (kind in (OutcomeKind.REPAIRED, OutcomeKind.CLEAN))


def test_a_repair_is_reported_with_what_why_who_and_how_to_proceed() -> None:
    sent = alert(outcome())
    assert sent.subject == "Repaired: head-node (production)"
    assert sent.text.splitlines()[0] == (
        f"EC2 trust and access to s3://{BUCKET} were removed by user/alice via the AWS CLI (UpdateAssumeRolePolicy, "
        "10:00 UTC) and restored 3 s later. No action needed now. If code manages this role, update it, or the next "
        "run breaks it again."
    )
    for part in (
        ROLE_ARN,
        "production",
        "EC2 cannot assume the role",
        '+      "Sid": "AnyscaleRemediatorEC2Trust"',
        "Changed: trust policy",
        "inline policy AnyscaleRemediatorS3Access",
        "Caused by\n  UpdateAssumeRolePolicy by user/alice via the AWS CLI at 2026-03-04T10:00:17Z",
        "event 11111111-2222-4333-8444-555555555555",
        "aws iam tag-role --role-name head-node --tags Key=anyscale:remediation,Value=off",
        "To make it permanent in Terraform",
        'resource "aws_iam_role_policy"',
        "AWS::IAM::RolePolicy",
    ):
        assert part in sent.text


def test_the_head_has_the_account_and_links_to_the_role_and_to_the_event() -> None:
    sent = alert(outcome(role_name="a+b=c@d", causes=(replace(a_cause(), region="eu-west-1"),)))
    assert f"Account  {ACCOUNT}" in sent.text
    assert "https://console.aws.amazon.com/iam/home#/roles/details/a%2Bb%3Dc%40d" in sent.text
    event = "11111111-2222-4333-8444-555555555555"
    assert f"https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/{event}" in sent.text
    assert "cloudtrailv2" not in alert(outcome()).text


def test_programs_receive_the_same_as_json() -> None:
    sent = json.loads(alert(outcome()).json)
    assert sent["outcome"] == "repaired"
    assert sent["role"] == {"name": "head-node", "arn": ROLE_ARN}
    assert [finding["code"] for finding in sent["findings"]] == ["trust-missing", "grant-missing"]
    assert [change["state"] for change in sent["changes"]] == ["applied", "applied"]
    assert sent["changes"][0]["before"] == document(LAMBDA_STATEMENT).raw
    assert sent["changes"][0]["after"] == TRUST_STEP.after
    assert sent["changes"][1]["before"] is None


def test_the_attributes_are_those_that_subscriptions_filter_on() -> None:
    assert alert(outcome()).attributes == {
        "outcome": "repaired",
        "news": "new",
        "severity": "info",
        "account": ACCOUNT,
        "role": "head-node",
        "cloud": "production",
    }
    assert "cloud" not in alert(outcome(OutcomeKind.FAILED, cloud=None, role_arn=None)).attributes


def test_a_proposal_does_not_claim_that_anything_was_changed() -> None:
    sent = alert(outcome(OutcomeKind.WOULD_REPAIR, results=(), proposed=(TRUST_STEP, GRANT_STEP), hold=Hold.OBSERVE))
    assert "Proposed change: trust policy" in sent.text
    assert "To fix it in Terraform" in sent.text
    assert "Changed:" not in sent.text
    assert "restored" not in sent.text


def test_a_failed_write_is_reported_as_not_changed_with_its_reason() -> None:
    failed = NotApplied(TRUST_STEP, "iam:UpdateAssumeRolePolicy failed with LimitExceeded: too long")
    sent = alert(outcome(OutcomeKind.FAILED, results=(failed, Applied(GRANT_STEP))))
    assert "Not changed: trust policy\n  iam:UpdateAssumeRolePolicy failed with LimitExceeded" in sent.text
    assert "Changed: inline policy" in sent.text
    assert "The next scheduled sweep retries it." in sent.text.splitlines()[0]


@pytest.mark.parametrize(
    ("error", "step", "advice"),
    [
        (
            QuotaError("iam:X", "LimitExceeded", "too long"),
            TRUST_STEP,
            "Shorten the trust policy, or raise the IAM quota",
        ),
        (QuotaError("iam:X", "LimitExceeded", "too long"), GRANT_STEP, "Shorten or remove other inline policies"),
        (DeniedError("iam:X", "AccessDenied", "no"), GRANT_STEP, "Find the service control policy or boundary"),
        (
            RejectedError("iam:X", "MalformedPolicyDocument", "no"),
            TRUST_STEP,
            "Remove from the document what AWS rejects",
        ),
        (TransientError("iam:X", "ServiceFailure", "no"), TRUST_STEP, "AWS did not answer. Check AWS Health"),
        (UnknownAwsError("iam:X", "Odd", "no"), TRUST_STEP, "Make the change below yourself"),
    ],
)
def test_the_advice_on_a_failed_write_follows_the_answer_of_aws(error: AwsError, step: Write, advice: str) -> None:
    sent = alert(outcome(OutcomeKind.FAILED, results=(NotApplied(step, str(error), error=error),)))
    assert advice in sent.text
    assert "Then run `remediator apply head-node`, or wait for the next scheduled sweep." in sent.text
    assert "Add the trust statement" not in sent.text


def test_a_role_that_could_not_be_read_is_retried_by_a_command() -> None:
    assert "Retry now: remediator apply head-node" in alert(outcome(OutcomeKind.FAILED, results=())).text


def test_after_the_last_try_the_first_line_says_whether_anything_may_have_been_written() -> None:
    unread = alert(outcome(OutcomeKind.FAILED, results=(), is_last=True))
    assert unread.text.startswith("The remediator could not check whether the role is broken")
    assert unread.subject == "FAILED: repair of head-node (production)"
    begun = alert(outcome(OutcomeKind.FAILED, results=(Unconfirmed(TRUST_STEP, "not seen"),), is_last=True))
    assert begun.text.startswith("A repair was started and not completed")


def test_a_finding_that_requires_manual_action_comes_with_its_reason_and_remedy() -> None:
    sent = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(GRANT_BLOCKED,), results=()))
    assert sent.attributes["severity"] == "error"
    assert sent.subject == f"ACTION REQUIRED: head-node cannot use s3://{BUCKET} (production)"
    assert "Reason: statement `Freeze` of the bucket policy denies s3:PutObject" in sent.text.splitlines()[0]
    assert FINDING_TEXTS[FindingCode.GRANT_BLOCKED].to_do in sent.text


def test_the_advice_on_a_blocked_repair_follows_the_blocker_and_not_the_finding() -> None:
    sent = alert(
        outcome(
            OutcomeKind.MANUAL_ACTION,
            findings=situations.FULL,
            results=(),
            blocked=situations.FULL_PLAN.blocked,
        )
    )
    assert "the quota is 2,048" in sent.text.splitlines()[0]
    assert "Shorten the trust policy, or raise the IAM quota" in sent.text
    assert FINDING_TEXTS[FindingCode.TRUST_MISSING].to_do not in sent.text


def test_a_partly_repaired_role_says_both_in_its_first_line() -> None:
    sent = alert(
        outcome(OutcomeKind.MANUAL_ACTION, findings=(TRUST_MISSING, GRANT_BLOCKED), results=(Applied(TRUST_STEP),))
    )
    first = sent.text.splitlines()[0]
    assert first.startswith("The role cannot use the bucket")
    assert "The rest was repaired." in first


def test_a_write_can_be_undone_by_the_id_of_its_record() -> None:
    sent = alert(outcome(results=(Applied(TRUST_STEP, "head-node/20260304T100020000000Z-0a1b2c3d"),)))
    assert "remediator undo head-node/20260304T100020000000Z-0a1b2c3d" in sent.text
    assert "sets the role to observe" in sent.text
    assert json.loads(sent.json)["changes"][0]["changeId"] == "head-node/20260304T100020000000Z-0a1b2c3d"
    assert "remediator undo" not in alert(outcome(results=(), proposed=(TRUST_STEP,))).text


def test_what_an_interrupted_reconcile_wrote_is_reported_by_the_next_one() -> None:
    change = replace(a_change(), state=ChangeState.COMPLETED, why="It was interrupted after it was written.")
    sent = alert(outcome(results=(), findings=(), recovered=(change,)))
    assert "Changed: trust policy\n  It was interrupted after it was written." in sent.text
    assert f"remediator undo {change.change_id}" in sent.text


def test_what_was_interrupted_before_it_was_written_is_not_reported_as_a_change() -> None:
    change = replace(a_change(), state=ChangeState.NOT_WRITTEN, why="It was interrupted before it was written.")
    sent = alert(outcome(results=(Applied(GRANT_STEP),), recovered=(change,)))
    assert [each["document"] for each in json.loads(sent.json)["changes"]] == [
        "inline policy AnyscaleRemediatorS3Access"
    ]
    assert change.change_id not in sent.text


def test_a_conflict_names_who_undoes_the_repair_what_to_change_and_the_one_way_to_resume() -> None:
    conflict = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ("Terraform, as arn:aws:iam::1:role/ci",))
    sent = alert(outcome(OutcomeKind.CONFLICT, results=(), proposed=(TRUST_STEP,), conflict=conflict))
    assert sent.subject == "ACTION REQUIRED: repair loop on head-node (production)"
    assert sent.text.startswith("user/alice via the AWS CLI keeps removing what the remediator restores: EC2 trust.")
    for part in (
        "Undone by Terraform, as arn:aws:iam::1:role/ci",
        "To fix it in Terraform",
        "resumes at 2026-03-05 10:00 UTC",
        "remediator resume head-node",
    ):
        assert part in sent.text
    assert "Value=repair" not in sent.text
    assert json.loads(sent.json)["resume"] == "remediator resume head-node"


@pytest.mark.parametrize("call", [APPLY_CALL, "TagRole", "PutBucketPolicy"])
def test_a_conflict_accuses_no_one_whose_call_cannot_have_undone_the_repair(call: str) -> None:
    conflict = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ())
    sent = alert(outcome(OutcomeKind.CONFLICT, results=(), causes=(a_cause(call),), conflict=conflict))
    assert sent.text.startswith("Another principal keeps removing what the remediator restores: EC2 trust.")


def test_a_conflict_names_both_of_two_callers() -> None:
    by_ci = replace(a_cause(), actor=Actor("AssumedRole", f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/apply"))
    conflict = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ())
    sent = alert(outcome(OutcomeKind.CONFLICT, results=(), causes=(by_ci, a_cause()), conflict=conflict))
    assert sent.text.startswith("ci/apply and user/alice via the AWS CLI keep removing what the remediator restores:")


@pytest.mark.parametrize(
    ("hold", "first", "subject"),
    [
        (Hold.OBSERVE, "Observe mode: nothing was changed.", "Not repaired (observe mode)"),
        (Hold.PAUSED, "Writes are paused: nothing was changed.", "Not repaired (writes paused)"),
        (Hold.CAPPED, "The write limit is reached", "Not repaired (write limit)"),
    ],
)
def test_a_repair_on_hold_is_reported_with_the_reason(hold: Hold, first: str, subject: str) -> None:
    proposed = replace(TRUST_STEP, findings=(TRUST_MISSING,))
    sent = alert(outcome(OutcomeKind.WOULD_REPAIR, results=(), proposed=(proposed,), hold=hold))
    assert first in sent.text.splitlines()[0]
    assert sent.subject == f"{subject}: head-node cannot be assumed by EC2 (production)"
    assert json.loads(sent.json)["hold"] == hold


def test_what_the_write_limit_left_open_is_named_beside_what_was_repaired() -> None:
    sent = ALERTS["would-repair-capped"]
    assert sent.subject == f"Partly repaired (write limit): head-node cannot use s3://{BUCKET} (production)"


def test_a_reminder_names_the_day_and_since_when() -> None:
    sent = alert(outcome(OutcomeKind.MANUAL_ACTION, results=()), AlertReason.REMINDER)
    assert sent.subject.startswith("ACTION REQUIRED, day 3: head-node ")
    assert sent.text.startswith("Open since 2026-03-04 10:00 UTC (day 3). ")
    assert "Since    2026-03-04 10:00 UTC" in sent.text
    assert sent.attributes["news"] == "reminder"
    assert json.loads(sent.json)["since"] == "2026-03-04T10:00:20+00:00"


def test_the_write_limit_is_reported_with_what_to_do() -> None:
    sent = published(limit_reached(ACCOUNT, WriteLimit(500, 60), NOW))
    assert sent.subject == "ACTION REQUIRED: write limit reached, repairs are on hold"
    assert sent.text.startswith("The remediator wrote 500 documents within 60 minutes")
    assert json.loads(sent.json)["limit"] == {"writes": 500, "minutes": 60}


@pytest.mark.parametrize("text", ["<!channel>", "<@U123>", "@here now", "a @everyone", "@Channel"])
def test_foreign_text_mentions_no_one_in_a_chat(text: str) -> None:
    step = inline_write("p", None, document({**LAMBDA_STATEMENT, "Sid": text}))
    actor = Actor(kind="AssumedRole", arn=text, user_agent=text)
    sent = alert(
        outcome(why=text, cloud=text, causes=(Cause("e", "c", "t", actor),), results=(Applied(step),), notes=(text,))
    )
    for form in (sent.subject, sent.text, sent.json):
        assert text not in form
        assert "<" not in form
        assert not re.search(r"(?<![\w.+-])@(here|channel|everyone)\b", form, re.IGNORECASE)
    assert json.loads(sent.json)["changes"][0]["after"]["Statement"][0]["Sid"] == text


def test_an_e_mail_address_as_the_name_of_a_session_stays_readable() -> None:
    session = "admin/alice@here.example.com"
    sent = alert(outcome(causes=(a_cause(actor=f"arn:aws:sts::{ACCOUNT}:assumed-role/{session}"),)))
    assert f"by {session} via" in sent.text


def test_the_caller_is_named_shortly_within_the_account_and_in_full_elsewhere() -> None:
    stranger = f"arn:aws:iam::{OUTSIDE}:user/mallory"
    sent = alert(outcome(causes=(a_cause(), a_cause(actor=stranger), a_cause(actor=f"x::{ACCOUNT}:user/alice"))))
    assert "UpdateAssumeRolePolicy by user/alice via the AWS CLI" in sent.text
    assert f"UpdateAssumeRolePolicy by {stranger} via" in sent.text
    assert f"UpdateAssumeRolePolicy by x::{ACCOUNT}:user/alice via" in sent.text
    assert [cause["actor"] for cause in json.loads(sent.json)["causes"]][1] == stranger


def test_an_arn_without_a_name_is_printed_in_full() -> None:
    sent = alert(outcome(causes=(a_cause(actor=f"arn:aws:iam::{ACCOUNT}:"),)))
    assert f"UpdateAssumeRolePolicy by arn:aws:iam::{ACCOUNT}: via" in sent.text


def test_a_service_that_calls_as_itself_is_named_once() -> None:
    service = replace(a_cause().actor, arn="autoscaling.amazonaws.com", user_agent="autoscaling.amazonaws.com")
    sent = alert(outcome(causes=(replace(a_cause(), actor=service),)))
    assert "UpdateAssumeRolePolicy by autoscaling.amazonaws.com at" in sent.text


def triggers(sent: Published) -> Section:
    """The section that names the calls that triggered the check."""
    (section,) = (
        section for section in sent.layout.sections if section.title in ("Caused by", "What triggered this check")
    )
    return section


def test_an_operator_who_applied_a_repair_is_named_in_full_without_a_cloudtrail_event() -> None:
    operator, call, event = triggers(alert(outcome(causes=(a_cause(APPLY_CALL), a_cause())))).lines
    assert operator == f"arn:aws:iam::{ACCOUNT}:user/alice with `remediator apply` at 2026-03-04T10:00:17Z"
    assert call.startswith("UpdateAssumeRolePolicy by user/alice")
    assert event == "  CloudTrail event 11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize(
    ("finding", "call", "is_cause"),
    [
        (TRUST_MISSING, "UpdateAssumeRolePolicy", True),
        (TRUST_MISSING, "CreateRole", True),
        (TRUST_MISSING, "PutBucketPolicy", False),
        (TRUST_MISSING, "TagRole", False),
        (GRANT_MISSING, "DetachRolePolicy", True),
        (GRANT_MISSING, "DeleteBucketPolicy", True),
        (GRANT_MISSING, "DeleteInstanceProfile", False),
        (situations.LOCKED_KEY[0], "PutKeyPolicy", True),
        (situations.NO_PROFILE[0], "RemoveRoleFromInstanceProfile", True),
    ],
)
def test_a_call_is_called_the_cause_only_where_it_can_have_led_to_the_finding(
    finding: Finding, call: str, is_cause: bool
) -> None:
    sent = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(finding,), results=(), causes=(a_cause(call),)))
    assert triggers(sent).title == ("Caused by" if is_cause else "What triggered this check")
    assert (f"Last change: {call} by user/alice" in sent.text) == is_cause


def test_whoever_fixed_a_problem_is_not_called_its_cause() -> None:
    sent = alert(
        outcome(OutcomeKind.CLEAN, causes=(a_cause("DeleteBucketPolicy"),), findings=(), results=()),
        AlertReason.RESOLVED,
    )
    assert sent.subject == "Resolved: head-node (production)"
    assert triggers(sent).title == "What triggered this check"
    assert "works again after DeleteBucketPolicy by user/alice" in sent.text.splitlines()[0]


def test_of_a_long_user_agent_readers_get_the_tool_or_its_beginning_and_programs_all_of_it() -> None:
    terraform = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 " + "x" * 200
    unknown = "Mosaic/1.0 " * 20
    for agent, via in ((terraform, "Terraform"), (unknown, f"{unknown[:59]}…")):
        cause = replace(a_cause(), actor=replace(a_cause().actor, user_agent=agent))
        sent = alert(outcome(causes=(cause,)))
        assert f"by user/alice via {via} at" in sent.text
        assert json.loads(sent.json)["causes"][0]["userAgent"] == agent


@pytest.mark.parametrize(
    ("results", "again", "severity", "subject"),
    [
        ((Unconfirmed(TRUST_STEP, "not seen"),), False, "warning", "Repair pending: head-node (production)"),
        ((Applied(TRUST_STEP),), True, "warning", "Repair pending: head-node (production)"),
        (
            (Unconfirmed(TRUST_STEP, "not seen"), NotApplied(GRANT_STEP, "denied")),
            False,
            "error",
            "FAILED: repair of head-node, retrying (production)",
        ),
        ((NotApplied(GRANT_STEP, "denied"),), False, "error", "FAILED: repair of head-node (production)"),
        (
            (NotApplied(GRANT_STEP, "throttled", retried=True),),
            False,
            "error",
            "FAILED: repair of head-node, retrying (production)",
        ),
        ((), False, "error", "FAILED: head-node could not be checked (production)"),
    ],
)
def test_a_write_that_only_has_to_be_confirmed_or_completed_is_a_warning(
    results: tuple[WriteResult, ...], again: bool, severity: str, subject: str
) -> None:
    sent = alert(outcome(OutcomeKind.FAILED, results=results, again=again))
    assert ("No action needed now" in sent.text.splitlines()[0]) == (severity == "warning")
    assert sent.subject == subject
    assert sent.attributes["severity"] == severity


def test_a_failed_write_that_is_retried_says_so_in_its_first_line() -> None:
    failed = NotApplied(TRUST_STEP, "throttled", retried=True)
    first, *_ = alert(outcome(OutcomeKind.FAILED, results=(failed,))).text.splitlines()
    assert first.startswith("The repair failed: throttled. EC2 cannot assume the role")
    assert "It is retried within minutes." in first


@pytest.mark.parametrize("result", [Unconfirmed(TRUST_STEP, "not seen"), NotApplied(TRUST_STEP, "lost", retried=True)])
def test_a_retry_beside_a_finding_that_requires_manual_action_is_an_error(result: WriteResult) -> None:
    sent = alert(outcome(OutcomeKind.FAILED, findings=(TRUST_MISSING, GRANT_BLOCKED), results=(result,)))
    assert sent.subject.startswith("FAILED: ")
    assert FINDING_TEXTS[FindingCode.GRANT_BLOCKED].to_do in sent.text
    assert sent.attributes["severity"] == "error"


def test_the_cause_and_the_next_steps_come_before_the_documents() -> None:
    sent = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(TRUST_MISSING, GRANT_BLOCKED))).text
    titles = ("What is wrong", "Caused by", "Next steps", "Changed:", "To turn remediation off", "To fix it in")
    assert sorted(titles, key=sent.index) == list(titles)


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF, OutcomeKind.CLEAN, OutcomeKind.REFUSED])
def test_remediation_is_not_offered_to_be_turned_off_where_nothing_is_written(kind: OutcomeKind) -> None:
    sent = alert(outcome(kind, findings=(), results=()))
    assert "To turn remediation off" not in sent.text
    assert json.loads(sent.json)["pause"] is None


def test_a_quarantined_role_is_reported_as_that_first_and_only_its_end_is_asked_for() -> None:
    sent = ALERTS["needs-person-quarantined"]
    assert sent.subject == "ACTION REQUIRED: head-node is quarantined, 1 more (production)"
    assert sent.text.startswith("The role is locked down, as during a security incident.")
    assert json.loads(sent.json)["toDo"] == [f"role: {FINDING_TEXTS[FindingCode.QUARANTINED].to_do}"]
    assert json.loads(sent.json)["pause"] is None


def test_a_role_that_is_off_with_an_open_problem_is_a_warning() -> None:
    sent = ALERTS["off"]
    assert sent.attributes["severity"] == "warning"
    assert sent.subject == "No longer checked: head-node is off and still broken (production)"
    assert "aws iam tag-role --role-name head-node --tags Key=anyscale:remediation,Value=repair" in sent.text


def test_a_role_that_is_refused_after_a_repair_names_the_statement_and_how_to_undo_it() -> None:
    sent = ALERTS["refused-after-a-repair"]
    change = a_change(state=ChangeState.COMPLETED)
    assert sent.attributes["severity"] == "error"
    assert sent.subject == "ACTION REQUIRED: head-node was refused after a repair (privileged role)"
    assert "Remove the statement AnyscaleRemediatorEC2Trust from the trust policy" in sent.text
    assert f"remediator undo {change.change_id}" in sent.text


def test_an_interrupted_write_that_another_principal_overwrote_is_reported_with_what_to_do() -> None:
    change = a_change(state=ChangeState.SUPERSEDED, why="It was interrupted.")
    sent = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(), results=(), recovered=(change,)))
    assert sent.text.startswith("A repair was interrupted, and another principal has changed the document since.")
    assert "Next steps\n  trust policy: Check whether the intended change below is still needed" in sent.text


def test_a_finding_beside_an_interrupted_write_comes_first() -> None:
    change = a_change(state=ChangeState.SUPERSEDED, why="It was interrupted.")
    sent = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(GRANT_BLOCKED,), results=(), recovered=(change,)))
    assert sent.text.startswith("The role cannot use the bucket")


def test_a_repair_that_waits_because_of_the_own_event_is_not_attributed_to_observe_mode() -> None:
    change = a_change(state=ChangeState.COMPLETED)
    sent = alert(outcome(OutcomeKind.WOULD_REPAIR, results=(), proposed=(GRANT_STEP,), own=True, recovered=(change,)))
    assert "bserve mode" not in sent.subject + sent.text
    assert "No action needed now" in sent.text.splitlines()[0]


def test_hostile_text_breaks_no_line_no_header_and_no_json() -> None:
    sent = hostile()
    assert re.fullmatch(r"[\x20-\x7e]{1,99}", sent.subject)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u202e]", sent.text)
    assert not re.search(r"^\s*Bcc:", sent.text, re.MULTILINE)
    assert json.loads(sent.json)["outcome"] == "refused"
    assert all(value.isprintable() and len(value) <= 256 for value in sent.attributes.values())


def test_the_longest_possible_alert_fits_a_message_of_sns() -> None:
    sent = longest()
    assert len(sent.json.encode()) < 256 * 1024 - 2_000
    assert len(sent.subject) <= 99
    assert sent.subject.isascii()


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_the_subject_keeps_the_longest_role_name_whole(kind: OutcomeKind) -> None:
    name = "head-node-" + "n" * 54
    hold = Hold.OBSERVE if kind is OutcomeKind.WOULD_REPAIR else None
    sent = alert(outcome(kind, role_name=name, results=(), hold=hold))
    assert name in sent.subject
    assert len(sent.subject) <= 99


def test_a_diff_shows_what_was_added_and_nothing_as_removed_for_an_appended_statement() -> None:
    diff = document_diff(TRUST_STEP.before, TRUST_STEP.after).splitlines()[2:]
    removed = [line for line in diff if line.startswith("-")]
    assert removed == []
    assert any("ec2.amazonaws.com" in line for line in diff if line.startswith("+"))


def test_a_long_diff_is_cut_in_the_middle() -> None:
    many = document(*({**LAMBDA_STATEMENT, "Sid": f"S{n}"} for n in range(100)))
    diff = document_diff(None, many.raw).splitlines()
    assert len(diff) <= 121
    assert any("lines left out" in line for line in diff)


def test_a_diff_of_120_lines_of_200_signs_is_whole() -> None:
    assert len(document_diff(None, {"x": ["a"] * 113}).splitlines()) == 120
    assert "left out" not in document_diff(None, {"x": ["a"] * 113})
    assert "… 1 lines left out …" in document_diff(None, {"x": ["a"] * 114})
    assert max(map(len, document_diff(None, {"x": "a" * 300}).splitlines())) == 200


def test_documents_that_do_not_fit_are_left_out_with_a_pointer_to_the_history() -> None:
    many = document(*({**LAMBDA_STATEMENT, "Sid": f"S{n}"} for n in range(2_000)))
    step = trust_write(many, add_ec2_trust(many, "aws"))
    sent = alert(outcome(results=(Applied(step, "head-node/20260304T100020000000Z-0a1b2c3d"),)))
    assert "(too long for this message: remediator history head-node/20260304T100020000000Z-0a1b2c3d)" in sent.text
    content = json.loads(sent.json)
    assert content["documentsLeftOut"] is True
    assert (content["changes"][0]["before"], content["changes"][0]["after"]) == (None, None)
    assert json.loads(alert(outcome()).json)["documentsLeftOut"] is False


@pytest.mark.parametrize("char", ["\n", "\r", "\t", "\x00", "\x7f", "\u2028", "\u202e", "\ud800", "\u200b"])
def test_plain_text_has_no_control_format_or_line_breaking_character(char: str) -> None:
    assert plain(f"a{char}b") == "a b"


def test_what_the_sweep_found_has_no_caller() -> None:
    cause = sweep_cause("5d1f", datetime(2026, 3, 4, 11, 0, tzinfo=UTC))
    sent = alert(outcome(causes=(cause,)))
    assert "The scheduled sweep found it; no event named a caller." in sent.text.splitlines()[0]
    assert "The scheduled sweep at 2026-03-04T11:00:00Z found it; no event named a caller." in sent.text
    assert json.loads(sent.json)["causes"][0]["actorType"] == "Sweep"


def test_a_caller_is_listed_after_what_the_sweep_found() -> None:
    found = sweep_cause("5d1f", datetime(2026, 3, 4, 11, 0, tzinfo=UTC))
    assert [line.partition(" at ")[0] for line in triggers(alert(outcome(causes=(found, a_cause())))).lines[:2]] == [
        "The scheduled sweep",
        "UpdateAssumeRolePolicy by user/alice via the AWS CLI",
    ]


def test_the_permanent_fix_gives_what_the_findings_lack_and_nothing_else() -> None:
    fix = permanent_fix(ROLE_ARN, (TRUST_MISSING,), (BUCKET,))
    assert isinstance(fix, PermanentFix)
    assert "aws_iam_role_policy" not in fix.terraform
    assert "ec2.amazonaws.com" in fix.terraform
    assert permanent_fix(ROLE_ARN, (GRANT_BLOCKED,), (BUCKET,)) is None
    assert permanent_fix(None, (TRUST_MISSING,), (BUCKET,)) is None
    assert permanent_fix(ROLE_ARN, (GRANT_MISSING,), ("another-bucket",)) is None


def test_the_cloudformation_of_the_permanent_fix_is_yaml_that_says_what_our_own_policy_says() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the development packages")
    fix = permanent_fix(ROLE_ARN, (GRANT_MISSING,), (BUCKET,))
    assert fix is not None
    (resource,) = yaml.safe_load(fix.cloudformation).values()
    written = raw_statements(our_policy(Absent(), BUCKET))
    ours = [{key: value for key, value in each.items() if key != "Sid"} for each in written]
    assert resource["Properties"]["PolicyDocument"]["Statement"] == ours
    assert resource["Properties"]["PolicyName"] != GRANT_STEP.document.name


def test_the_terraform_of_the_permanent_fix_is_hcl_that_names_role_and_bucket() -> None:
    fix = permanent_fix(ROLE_ARN, (TRUST_MISSING, GRANT_MISSING), (BUCKET,))
    assert fix is not None
    assert 'role   = "head-node"' in fix.terraform
    assert f'"arn:aws:s3:::{BUCKET}/*"' in fix.terraform
    assert fix.terraform.count("{") == fix.terraform.count("}")
    assert fix.terraform.count("[") == fix.terraform.count("]")


def test_no_name_or_path_can_begin_a_template_in_the_terraform_of_the_permanent_fix() -> None:
    arn = f'arn:aws:iam::{ACCOUNT}:role/a"}}${{file("secret")}}%{{if}}/head-node'
    fix = permanent_fix(arn, (Finding(FindingCode.PROFILE_MISSING, "instance profile head-node"),), (BUCKET,))
    assert fix is not None
    assert 'path = "/a\\"}$${file(\\"secret\\")}%%{if}/"' in fix.terraform
