"""What people and machines are told."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.core.alerts.decide import AlertReason
from remediator.core.alerts.finding_texts import FINDING_TEXTS
from remediator.core.alerts.notification import limit_reached
from remediator.core.events.event import APPLY_CALL, Actor, Cause
from remediator.core.events.sweep import sweep_cause
from remediator.core.history.change import ChangeState
from remediator.core.history.role_record import Conflict
from remediator.core.model.finding import REPAIRABLE, BlockedRepair, Finding, FindingCode
from remediator.core.model.plain_text import document_diff, plain
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent
from remediator.core.repair.infrastructure_code import PermanentFix
from remediator.core.repair.outcome import ALERTED, Applied, Hold, NotApplied, OutcomeKind, Unconfirmed, WriteResult
from remediator.core.repair.permanent_fix import permanent_fix
from remediator.core.repair.trust import add_ec2_trust
from remediator.settings import WriteLimit
from tests.examples import ACCOUNT, BUCKET, LAMBDA_STATEMENT, OUTSIDE, ROLE_ARN, a_cause, document
from tests.unit.alerts.samples import (
    GRANT_BLOCKED,
    GRANT_MISSING,
    GRANT_STEP,
    TRUST_MISSING,
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


def test_every_finding_has_its_texts_and_its_row_in_the_documentation() -> None:
    documented = (DOCS / "findings.md").read_text().partition("## Refusals")[0]
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", documented, re.MULTILINE))
    assert set(FINDING_TEXTS) == set(FindingCode)
    assert rows == {*(code.value for code in FindingCode), *(kind.value for kind in OutcomeKind)}


def test_the_documentation_says_repaired_of_exactly_the_repairable_findings() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| Repaired[ :]", (DOCS / "findings.md").read_text(), re.MULTILINE)
    assert {FindingCode(row) for row in rows} == REPAIRABLE


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_the_first_line_of_every_outcome_says_whether_there_is_anything_to_do(kind: OutcomeKind) -> None:
    hold = Hold.OBSERVE if kind is OutcomeKind.WOULD_REPAIR else None
    first = alert(outcome(kind, results=(), hold=hold)).text.splitlines()[0]
    assert ("nothing for you to do" in first) == (kind is OutcomeKind.REPAIRED or kind not in ALERTED)
    assert ("lease" in first) == (kind in ALERTED - {OutcomeKind.REPAIRED})


def test_a_repair_is_told_with_what_why_who_and_how_to_go_on() -> None:
    told = alert(outcome())
    assert told.subject == "Anyscale role head-node: repaired (production)"
    assert told.text.splitlines()[0].startswith("Repaired; nothing for you to do now.")
    for part in (
        ROLE_ARN,
        "production",
        "EC2 may not assume the role",
        '+      "Sid": "AnyscaleRemediatorEC2Trust"',
        "inline policy AnyscaleRemediatorS3Access",
        "UpdateAssumeRolePolicy by user/alice through the AWS CLI at 2026-03-04T10:00:17Z",
        "event 11111111-2222-4333-8444-555555555555",
        "aws iam tag-role --role-name head-node --tags Key=anyscale:remediation,Value=off",
        'resource "aws_iam_role_policy"',
        "AWS::IAM::RolePolicy",
    ):
        assert part in told.text


def test_machines_get_the_same_as_json() -> None:
    told = json.loads(alert(outcome()).json)
    assert told["outcome"] == "repaired"
    assert told["role"] == {"name": "head-node", "arn": ROLE_ARN}
    assert [finding["code"] for finding in told["findings"]] == ["trust-missing", "grant-missing"]
    assert [change["state"] for change in told["changes"]] == ["applied", "applied"]
    assert told["changes"][0]["before"] == document(LAMBDA_STATEMENT).raw
    assert told["changes"][0]["after"] == TRUST_STEP.after
    assert told["changes"][1]["before"] is None


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


def test_a_proposal_does_not_claim_that_anything_was_done() -> None:
    told = alert(outcome(OutcomeKind.WOULD_REPAIR, results=(), proposed=(TRUST_STEP, GRANT_STEP), hold=Hold.OBSERVE))
    assert "What would be done: trust policy" in told.text
    assert "What was done" not in told.text
    assert "Repaired" not in told.text


def test_a_failed_write_is_told_as_not_done_with_its_reason() -> None:
    failed = NotApplied(TRUST_STEP, "iam:UpdateAssumeRolePolicy failed with LimitExceeded: too long")
    told = alert(outcome(OutcomeKind.FAILED, results=(failed, Applied(GRANT_STEP))))
    assert "What could not be done: trust policy\n  iam:UpdateAssumeRolePolicy failed with LimitExceeded" in told.text
    assert "What was done: inline policy" in told.text
    assert "It is not tried again by itself." in told.text
    assert "touching a tag" not in told.text


def test_a_role_that_could_not_be_looked_at_is_looked_at_again_when_a_tag_is_touched() -> None:
    assert "by touching a tag of the role." in alert(outcome(OutcomeKind.FAILED, results=())).text


def test_after_the_last_try_the_first_line_says_whether_anything_may_have_been_written() -> None:
    looked = alert(outcome(OutcomeKind.FAILED, results=(), is_last=True))
    assert looked.text.startswith("Please look: whether this role is broken could not be found out.")
    assert looked.subject == "Anyscale role head-node: repair failed (production)"
    begun = alert(outcome(OutcomeKind.FAILED, results=(Unconfirmed(TRUST_STEP, "not seen"),), is_last=True))
    assert begun.text.startswith("Please look: a repair was begun and not finished")


def test_a_finding_for_a_person_comes_with_its_reason_and_what_to_do() -> None:
    told = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(GRANT_BLOCKED,), results=()))
    assert told.attributes["severity"] == "error"
    assert told.text.startswith("Please look")
    assert "statement `Freeze` denies it" in told.text
    assert FINDING_TEXTS[FindingCode.GRANT_BLOCKED].to_do in told.text


def test_a_withheld_repair_says_what_stands_in_the_way() -> None:
    held = BlockedRepair(TRUST_MISSING, ("the trust policy would have 2,190 characters, and 2,048 are allowed",))
    told = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(TRUST_MISSING,), results=(), blocked=(held,)))
    assert "2,190 characters" in told.text
    assert FINDING_TEXTS[FindingCode.TRUST_MISSING].to_do in told.text


def test_a_partly_repaired_role_says_both_in_its_first_line() -> None:
    told = alert(
        outcome(OutcomeKind.MANUAL_ACTION, findings=(TRUST_MISSING, GRANT_BLOCKED), results=(Applied(TRUST_STEP),))
    )
    assert told.text.splitlines()[0] == (
        "Please look: part of it was repaired, the rest must not be repaired automatically."
    )


def test_what_was_written_can_be_undone_by_the_id_of_its_record() -> None:
    told = alert(outcome(results=(Applied(TRUST_STEP, "head-node/20260304T100020000000Z-0a1b2c3d"),)))
    assert "remediator undo head-node/20260304T100020000000Z-0a1b2c3d" in told.text
    assert json.loads(told.json)["changes"][0]["changeId"] == "head-node/20260304T100020000000Z-0a1b2c3d"
    assert "remediator undo" not in alert(outcome(results=(), proposed=(TRUST_STEP,))).text


def test_what_an_interrupted_reconcile_wrote_is_told_by_the_next_one() -> None:
    change = replace(a_change(), state=ChangeState.COMPLETED, why="It was interrupted after it was written.")
    told = alert(outcome(results=(), findings=(), recovered=(change,)))
    assert "What was done: trust policy\n  It was interrupted after it was written." in told.text
    assert f"remediator undo {change.change_id}" in told.text


def test_what_was_interrupted_before_it_was_written_is_not_told_as_a_change() -> None:
    change = replace(a_change(), state=ChangeState.NOT_WRITTEN, why="It was interrupted before it was written.")
    told = alert(outcome(results=(Applied(GRANT_STEP),), recovered=(change,)))
    assert [each["document"] for each in json.loads(told.json)["changes"]] == [
        "inline policy AnyscaleRemediatorS3Access"
    ]
    assert change.change_id not in told.text


def test_a_contest_names_who_undoes_it_what_to_change_and_how_to_go_on() -> None:
    conflict = Conflict(NOW, NOW + timedelta(days=1), (TRUST_MISSING,), ("Terraform, as arn:aws:iam::1:role/ci",))
    told = alert(outcome(OutcomeKind.CONFLICT, results=(), proposed=(TRUST_STEP,), conflict=conflict))
    assert told.subject == "Anyscale role head-node: contested, no longer repaired (production)"
    assert told.text.startswith("Please decide")
    for part in (
        "Undone by Terraform, as arn:aws:iam::1:role/ci",
        "To make it permanent in Terraform",
        "wait until 2026-03-05 10:00 UTC",
        "aws iam tag-role --role-name head-node --tags Key=anyscale:remediation,Value=repair",
    ):
        assert part in told.text


@pytest.mark.parametrize(
    ("hold", "first", "subject"),
    [
        (Hold.OBSERVE, "observe mode writes nothing", "broken, not repaired (observe mode)"),
        (Hold.PAUSED, "writes are paused", "broken, not repaired (writes are paused)"),
        (Hold.CAPPED, "is allowed", "repaired in part only (the limit of writes)"),
    ],
)
def test_what_is_left_undone_is_told_with_the_reason(hold: Hold, first: str, subject: str) -> None:
    told = alert(outcome(OutcomeKind.WOULD_REPAIR, results=(), proposed=(TRUST_STEP,), hold=hold))
    assert first in told.text.splitlines()[0]
    assert told.subject == f"Anyscale role head-node: {subject} (production)"
    assert json.loads(told.json)["hold"] == hold


def test_a_reminder_says_that_it_is_one() -> None:
    told = alert(outcome(OutcomeKind.MANUAL_ACTION, results=()), AlertReason.REMINDER)
    assert told.text.startswith("Still so after a day. Please look")
    assert told.attributes["news"] == "reminder"


def test_that_the_limit_of_writes_is_reached_is_told_with_what_to_do() -> None:
    told = published(limit_reached(ACCOUNT, WriteLimit(500, 60), NOW))
    assert told.text.startswith("Please look: 500 documents were written within 60 minutes")
    assert json.loads(told.json)["limit"] == {"writes": 500, "minutes": 60}
    assert len(told.subject) <= 99


@pytest.mark.parametrize("text", ["<!channel>", "<@U123>", "@here now", "a @everyone", "@Channel"])
def test_foreign_text_mentions_nobody_in_a_chat(text: str) -> None:
    step = inline_write("p", None, document({**LAMBDA_STATEMENT, "Sid": text}))
    actor = Actor(kind="AssumedRole", arn=text, user_agent=text)
    told = alert(
        outcome(why=text, cloud=text, causes=(Cause("e", "c", "t", actor),), results=(Applied(step),), notes=(text,))
    )
    for form in (told.subject, told.text, told.json):
        assert text not in form
        assert "<" not in form
        assert not re.search(r"(?<![\w.+-])@(here|channel|everyone)\b", form, re.IGNORECASE)
    assert json.loads(told.json)["changes"][0]["after"]["Statement"][0]["Sid"] == text


def test_an_e_mail_address_as_the_name_of_a_session_stays_readable() -> None:
    session = "assumed-role/admin/alice@here.example.com"
    told = alert(outcome(causes=(a_cause(actor=f"arn:aws:sts::{ACCOUNT}:{session}"),)))
    assert f"by {session} through" in told.text


def test_who_caused_it_is_named_shortly_in_the_own_account_and_in_full_elsewhere() -> None:
    stranger = f"arn:aws:iam::{OUTSIDE}:user/mallory"
    told = alert(outcome(causes=(a_cause(), a_cause(actor=stranger), a_cause(actor=f"x::{ACCOUNT}:user/alice"))))
    assert "UpdateAssumeRolePolicy by user/alice through the AWS CLI" in told.text
    assert f"UpdateAssumeRolePolicy by {stranger} through" in told.text
    assert f"UpdateAssumeRolePolicy by x::{ACCOUNT}:user/alice through" in told.text
    assert [cause["actor"] for cause in json.loads(told.json)["causes"]][1] == stranger


def test_an_arn_without_a_name_is_told_in_full() -> None:
    told = alert(outcome(causes=(a_cause(actor=f"arn:aws:iam::{ACCOUNT}:"),)))
    assert f"UpdateAssumeRolePolicy by arn:aws:iam::{ACCOUNT}: through" in told.text


def test_a_service_that_calls_as_itself_is_named_once() -> None:
    service = replace(a_cause().actor, arn="autoscaling.amazonaws.com", user_agent="autoscaling.amazonaws.com")
    told = alert(outcome(causes=(replace(a_cause(), actor=service),)))
    assert "UpdateAssumeRolePolicy by autoscaling.amazonaws.com at" in told.text


def test_who_applied_a_repair_by_hand_is_named_in_full_and_no_event_of_cloudtrail_is() -> None:
    told = alert(outcome(causes=(a_cause(APPLY_CALL), a_cause())))
    (caused,) = (section for section in told.layout.sections if section.title == "Who caused it")
    person, call, event = caused.lines
    assert person == f"arn:aws:iam::{ACCOUNT}:user/alice with `remediator apply` at 2026-03-04T10:00:17Z"
    assert call.startswith("UpdateAssumeRolePolicy by user/alice")
    assert event == "  CloudTrail event 11111111-2222-4333-8444-555555555555"


def test_of_a_long_user_agent_people_read_the_tool_or_else_its_beginning_and_machines_all_of_it() -> None:
    terraform = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 " + "x" * 200
    unknown = "Mosaic/1.0 " * 20
    for agent, through in ((terraform, "Terraform"), (unknown, f"{unknown[:59]}…")):
        cause = replace(a_cause(), actor=replace(a_cause().actor, user_agent=agent))
        told = alert(outcome(causes=(cause,)))
        assert f"by user/alice through {through} at" in told.text
        assert json.loads(told.json)["causes"][0]["userAgent"] == agent


@pytest.mark.parametrize(
    ("results", "again", "severity", "subject"),
    [
        ((Unconfirmed(TRUST_STEP, "not seen"),), False, "warning", "repair not finished yet"),
        ((Applied(TRUST_STEP),), True, "warning", "repair not finished yet"),
        ((Unconfirmed(TRUST_STEP, "not seen"), NotApplied(GRANT_STEP, "denied")), False, "error", "repair failed"),
        ((NotApplied(GRANT_STEP, "denied"),), False, "error", "repair failed"),
        ((NotApplied(GRANT_STEP, "throttled", retried=True),), False, "error", "repair failed"),
        ((), False, "error", "could not be looked at"),
    ],
)
def test_what_was_written_wakes_nobody_as_long_as_it_only_has_to_be_seen_or_finished(
    results: tuple[WriteResult, ...], again: bool, severity: str, subject: str
) -> None:
    told = alert(outcome(OutcomeKind.FAILED, results=results, again=again))
    assert ("nothing for you to do now" in told.text.splitlines()[0]) == (severity == "warning")
    assert told.subject == f"Anyscale role head-node: {subject} (production)"
    assert told.attributes["severity"] == severity


def test_a_failed_write_that_is_tried_again_says_so_in_its_first_line() -> None:
    failed = NotApplied(TRUST_STEP, "throttled", retried=True)
    first, *_ = alert(outcome(OutcomeKind.FAILED, results=(failed,))).text.splitlines()
    assert first.startswith("A repair failed, and is tried again within minutes. Please look if")


@pytest.mark.parametrize("result", [Unconfirmed(TRUST_STEP, "not seen"), NotApplied(TRUST_STEP, "lost", retried=True)])
def test_what_is_tried_again_beside_a_finding_for_a_person_needs_the_person(result: WriteResult) -> None:
    told = alert(outcome(OutcomeKind.FAILED, findings=(TRUST_MISSING, GRANT_BLOCKED), results=(result,)))
    assert told.text.startswith("Please look: a repair failed.")
    assert told.attributes["severity"] == "error"


def test_what_people_act_on_stands_before_the_documents() -> None:
    told = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(TRUST_MISSING, GRANT_BLOCKED))).text
    titles = ("What is wrong", "What you can do", "Who caused it", "What was done", "To pause", "To make it permanent")
    assert sorted(titles, key=told.index) == list(titles)


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF, OutcomeKind.CLEAN, OutcomeKind.REFUSED])
def test_nobody_is_told_how_to_keep_the_remediator_from_what_it_does_not_do(kind: OutcomeKind) -> None:
    told = alert(outcome(kind, findings=(), results=()))
    assert "To pause" not in told.text
    assert json.loads(told.json)["pause"] is None


def test_a_role_that_somebody_shut_on_purpose_is_told_as_that_in_the_first_line() -> None:
    quarantined = Finding(FindingCode.QUARANTINED, "role")
    told = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(TRUST_MISSING, quarantined), results=()))
    assert told.text.splitlines()[0] == "Please look: somebody has shut this role on purpose, so nothing is repaired."


def test_an_interrupted_write_over_which_somebody_wrote_is_told_with_what_to_do() -> None:
    change = a_change(state=ChangeState.SUPERSEDED, why="It was interrupted.")
    told = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(), results=(), recovered=(change,)))
    assert told.text.startswith("Please look: a repair was interrupted, and somebody has changed the document since.")
    assert "What you can do\n  trust policy: See whether what we meant to write, below, is still wanted." in told.text


def test_what_is_wrong_beside_an_interrupted_write_comes_first() -> None:
    change = a_change(state=ChangeState.SUPERSEDED, why="It was interrupted.")
    told = alert(outcome(OutcomeKind.MANUAL_ACTION, findings=(GRANT_BLOCKED,), results=(), recovered=(change,)))
    assert told.text.startswith("Please look: something is wrong that must not be repaired automatically.")


def test_what_only_our_own_event_keeps_from_being_repaired_is_not_put_down_to_observe_mode() -> None:
    change = a_change(state=ChangeState.COMPLETED)
    told = alert(outcome(OutcomeKind.WOULD_REPAIR, results=(), proposed=(GRANT_STEP,), own=True, recovered=(change,)))
    assert "observe mode" not in told.subject + told.text
    assert "nothing for you to do now" in told.text.splitlines()[0]


def test_hostile_text_breaks_no_line_no_header_and_no_json() -> None:
    told = hostile()
    assert re.fullmatch(r"[\x20-\x7e]{1,99}", told.subject)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u202e]", told.text)
    assert not re.search(r"^\s*Bcc:", told.text, re.MULTILINE)
    assert json.loads(told.json)["outcome"] == "refused"
    assert all(value.isprintable() and len(value) <= 256 for value in told.attributes.values())


def test_the_longest_possible_alert_fits_a_message_of_sns() -> None:
    told = longest()
    assert len(told.json.encode()) < 256 * 1024 - 2_000
    assert len(told.subject) <= 99
    assert told.subject.isascii()


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
    told = alert(outcome(results=(Applied(step, "head-node/20260304T100020000000Z-0a1b2c3d"),)))
    assert "(too long to be shown here: remediator history head-node/20260304T100020000000Z-0a1b2c3d)" in told.text
    content = json.loads(told.json)
    assert content["documentsLeftOut"] is True
    assert (content["changes"][0]["before"], content["changes"][0]["after"]) == (None, None)
    assert json.loads(alert(outcome()).json)["documentsLeftOut"] is False


@pytest.mark.parametrize("char", ["\n", "\r", "\t", "\x00", "\x7f", "\u2028", "\u202e", "\ud800", "\u200b"])
def test_plain_text_has_no_control_format_or_line_breaking_character(char: str) -> None:
    assert plain(f"a{char}b") == "a b"


def test_what_the_sweep_found_is_told_as_such() -> None:
    cause = sweep_cause("5d1f", datetime(2026, 3, 4, 11, 0, tzinfo=UTC))
    told = alert(outcome(causes=(cause,)))
    assert "the sweep at 2026-03-04T11:00:00Z found it, and no event had told of it" in told.text
    assert json.loads(told.json)["causes"][0]["actorType"] == "Sweep"


def test_who_else_caused_it_is_told_after_what_the_sweep_found() -> None:
    found = sweep_cause("5d1f", datetime(2026, 3, 4, 11, 0, tzinfo=UTC))
    told = alert(outcome(causes=(found, a_cause())))
    (caused,) = (section for section in told.layout.sections if section.title == "Who caused it")
    assert [line.partition(" at ")[0] for line in caused.lines[:2]] == [
        "Nobody that we heard of: the sweep",
        "UpdateAssumeRolePolicy by user/alice through the AWS CLI",
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
