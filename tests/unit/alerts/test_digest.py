"""A digest says in its first line whether action is required, and names every role that requires it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from remediator.core.alerts.alert_json import parse_record
from remediator.core.alerts.digest import Asks, Digest, DigestItem, digest_item
from remediator.core.alerts.digest_json import (
    digest_item_json,
    digest_json,
    digest_of,
    parse_digest,
    parse_digest_item,
)
from remediator.core.alerts.digest_layout import digest_layout
from remediator.core.alerts.layout import Rank, email_text
from remediator.core.alerts.notification import Notification, Severity
from remediator.core.alerts.topic_messages import topic_message_layout
from remediator.core.alerts.window import Window, parse_window, parse_window_end, window_end_json, window_of
from remediator.core.events.sweep import sweep_cause
from remediator.core.repair.outcome import Applied, Hold, Outcome, OutcomeKind
from remediator.errors import MalformedAlert
from tests.examples import ACCOUNT, a_cause
from tests.unit.alerts.samples import ALERTS, GRANT_BLOCKED, HOSTILE, alert, hostile, outcome
from tests.unit.history.changes import NOW, TRUST_STEP

WINDOW = window_of(NOW, 5)
TERRAFORM = f"Terraform, as arn:aws:sts::{ACCOUNT}:assumed-role/ci/apply"


HEADLINE = "EC2 trust was removed by ci/apply-42 via Terraform and restored 3 s later. No action needed."


def an_item(role: str = "head-node", **fields: Any) -> DigestItem:
    """A digest's part about a repair."""
    item = DigestItem(
        role=role,
        account=ACCOUNT,
        cloud="production",
        outcome=OutcomeKind.REPAIRED,
        hold=None,
        severity=Severity.INFO,
        title="repaired",
        headline=HEADLINE,
        incident="0123456789abcdef",
        actors=(TERRAFORM,),
        undo=(f"remediator undo {role}/20260304T100020000000Z-0a1b2c3d",),
    )
    return replace(item, **fields)


def from_outcome(of: Outcome) -> DigestItem:
    """A digest's part about an outcome that was published and read back."""
    message = parse_record(alert(of).json)
    assert isinstance(message, Notification)
    return digest_item(message)


def of_kind(kind: OutcomeKind, *roles: str, **fields: Any) -> tuple[DigestItem, ...]:
    """A digest's parts about the example alerts of a kind, for these roles."""
    item = from_outcome(outcome(kind, **fields))
    return tuple(replace(item, role=role) for role in roles)


def repaired(count: int) -> tuple[DigestItem, ...]:
    return tuple(an_item(f"role-{n:04d}") for n in range(1, count + 1))


def manual(count: int) -> tuple[DigestItem, ...]:
    names = (f"broken-{n:04d}" for n in range(1, count + 1))
    return of_kind(OutcomeKind.MANUAL_ACTION, *names, findings=(GRANT_BLOCKED,), results=())


def headline(*items: DigestItem) -> str:
    return email_text(digest_layout(digest_of(WINDOW, items))).splitlines()[0]


def text(*items: DigestItem) -> str:
    return email_text(digest_layout(digest_of(WINDOW, items)))


OBSERVED = of_kind(
    OutcomeKind.WOULD_REPAIR, "watched-1", "watched-2", results=(), proposed=(TRUST_STEP,), hold=Hold.OBSERVE
)
PARTLY = of_kind(OutcomeKind.WOULD_REPAIR, "partly", results=(), proposed=(TRUST_STEP,), hold=None)
UNFINISHED = of_kind(OutcomeKind.FAILED, "unfinished", results=(Applied(TRUST_STEP),), again=True)
RESOLVED = of_kind(OutcomeKind.CLEAN, "well-1", "well-2", findings=(), results=())


AGAIN = "No action needed now. Correct the code behind it, or the next run breaks them again."


@pytest.mark.parametrize(
    ("items", "first_line"),
    [
        (repaired(300), f"{TERRAFORM} changed 300 roles between 10:00 and 10:05 UTC; all repaired. {AGAIN}"),
        (
            tuple(replace(item, actors=(f"actor-{n}",)) for n, item in enumerate(repaired(3))),
            f"3 roles changed between 10:00 and 10:05 UTC; all repaired. {AGAIN}",
        ),
        (
            (*repaired(283), *manual(12)),
            "12 of 295 roles require an operator now; the others: 283 repaired.",
        ),
        ((*repaired(2), *manual(1)), "1 of 3 roles requires an operator now; the others: 2 repaired."),
        (manual(3), "All 3 roles require an operator now."),
        ((*repaired(1), *OBSERVED), "2 of 3 roles require an operator today; the others: 1 repaired."),
        (
            (*OBSERVED, *manual(1), *RESOLVED),
            "1 of 5 roles requires an operator now; the others: 2 not repaired (observe mode); 2 resolved.",
        ),
        (
            (*repaired(2), *RESOLVED),
            f"2 roles changed between 10:00 and 10:05 UTC; all repaired. {AGAIN} The others: 2 resolved.",
        ),
        (RESOLVED, "2 roles: 2 resolved. No action needed now."),
        ((*UNFINISHED, *PARTLY), "2 roles: 1 partly repaired; 1 repair pending. No action needed now."),
        (repaired(1), HEADLINE),
        (manual(1), manual(1)[0].headline),
    ],
)
def test_the_first_line_says_whether_action_is_required(items: tuple[DigestItem, ...], first_line: str) -> None:
    assert headline(*items) == first_line


@pytest.mark.parametrize("name", [name for name in ALERTS if name not in {"limit-reached", "test"}])
def test_a_digest_requires_an_operator_where_its_alerts_do(name: str) -> None:
    message = parse_record(ALERTS[name].json)
    assert isinstance(message, Notification)
    items = (replace(digest_item(message), role="one"), replace(digest_item(message), role="two"))
    digest = digest_of(WINDOW, items)
    subject = digest_layout(digest).subject
    assert subject.startswith("ACTION REQUIRED: ") == (message.severity is Severity.ERROR), subject
    assert ("No action needed" in headline(*items)) == (digest.asks is Asks.NOTHING)
    assert digest.severity is message.severity


def test_the_text_of_a_digest() -> None:
    items = (*repaired(22), *manual(2), *of_kind(OutcomeKind.CLEAN, "well", findings=(), results=()))
    items = (*items, an_item("by-no-caller", actors=(), undo=()))
    named = "".join(f"  role-{n:04d} (production)\n" for n in range(1, 20))
    assert text(*items) == (
        "2 of 26 roles require an operator now; the others: 23 repaired; 1 resolved.\n"
        "\n"
        "Alerts   26 about 26 roles\n"
        "Sent     2026-03-04 10:00 to 10:05 UTC\n"
        f"Account  {ACCOUNT}\n"
        "\n"
        "Manual action required: 2 roles\n"
        f"  {manual(1)[0].headline}\n"
        "  broken-0001 (production)\n"
        "  broken-0002 (production)\n"
        "\n"
        "Repaired: 23 roles\n"
        f"  {HEADLINE}\n"
        "  by-no-caller (production)\n"
        f"{named}"
        "  … and 3 more\n"
        "\n"
        "Resolved: 1 role\n"
        f"  {RESOLVED[0].headline}\n"
        "  well (production)\n"
        "\n"
        "What triggered the checks\n"
        f"  {TERRAFORM} (22 roles)\n"
        "  user/alice via the AWS CLI (3 roles)\n"
        "  Found by the scheduled sweep; no event named a caller (1 role)\n"
        "\n"
        "To see what is still open, by role\n"
        "  remediator status\n"
        "\n"
        "To see every change, its caller, and its id for `remediator undo`\n"
        "  remediator history --limit 104\n"
        "\n"
        "To pause all writes of the remediator\n"
        "  remediator pause\n"
    )


def test_the_subject_says_the_same_briefly() -> None:
    def subject(*items: DigestItem) -> str:
        return digest_layout(digest_of(WINDOW, items)).subject

    by_terraform = tuple(replace(item, actors=("ci/apply-42 via Terraform",)) for item in repaired(300))
    assert subject(*by_terraform) == "Repaired: 300 roles changed by ci/apply-42 via Terraform (production)"
    assert subject(*repaired(5), *manual(2)) == "ACTION REQUIRED: 2 of 7 roles (production)"
    assert subject(*manual(2)) == "ACTION REQUIRED: all 2 roles changed by user/alice via the AWS CLI (production)"
    assert subject(*repaired(1)) == "Repaired: role-0001 (production)"
    assert subject(*manual(1)) == "ACTION REQUIRED: broken-0001, manual action required (production)"
    assert subject(*OBSERVED, *repaired(1)) == "Check today: 2 of 3 roles (production)"
    assert len(subject(an_item("r" * 64, title="t" * 600, cloud="c" * 60))) <= 99


def test_errors_come_first_and_then_warnings_whatever_is_more() -> None:
    digest = digest_of(WINDOW, (*RESOLVED, *repaired(9), *OBSERVED, *PARTLY, *manual(1)))
    assert [(group.severity, group.outcome, group.count) for group in digest.groups] == [
        (Severity.ERROR, OutcomeKind.MANUAL_ACTION, 1),
        (Severity.WARNING, OutcomeKind.WOULD_REPAIR, 2),
        (Severity.WARNING, OutcomeKind.WOULD_REPAIR, 1),
        (Severity.INFO, OutcomeKind.REPAIRED, 9),
        (Severity.INFO, OutcomeKind.CLEAN, 2),
    ]
    ranks = [section.rank for section in digest_layout(digest).sections[:5]]
    assert ranks == [Rank.NEEDED, Rank.NEEDED, Rank.DETAIL, Rank.DETAIL, Rank.DETAIL]


def test_the_last_state_of_a_role_is_what_counts() -> None:
    (broken,) = manual(1)
    fixed = replace(an_item(), role=broken.role)
    assert digest_of(WINDOW, (broken, fixed)).severity is Severity.INFO
    assert digest_of(WINDOW, (fixed, broken)).severity is Severity.ERROR
    digest = digest_of(WINDOW, (fixed, broken, fixed, fixed))
    assert (digest.roles, digest.alerts) == (1, 4)
    assert "Alerts   4 about 1 role\n" in text(fixed, broken, fixed, fixed)


def test_the_caller_with_the_most_roles_is_named_first_and_each_role_counts_once() -> None:
    items = [an_item(f"role-{n}", actors=tuple(f"actor-{m}" for m in range(n, 8))) for n in range(1, 8)]
    items.append(an_item("role-1", actors=("actor-1",)))
    digest = digest_of(WINDOW, tuple(items))
    assert list(digest.actors) == [(f"actor-{n}", n) for n in range(7, 2, -1)]


def test_a_role_that_a_sweep_found_has_no_caller() -> None:
    found = from_outcome(outcome(causes=(sweep_cause("5d1f", NOW),), results=(Applied(TRUST_STEP),)))
    assert found.actors == ()
    assert digest_of(WINDOW, (found, an_item("other"))).found_by_sweep == 1


def test_an_actor_is_named_once_for_an_alert_with_many_causes() -> None:
    item = from_outcome(outcome(causes=(a_cause(), a_cause("TagRole"))))
    assert item.actors == ("user/alice via the AWS CLI",)


def test_an_actor_is_described_in_a_few_words_however_long_its_name_is() -> None:
    item = from_outcome(outcome(causes=(a_cause(actor="a" * 1024),)))
    assert [len(actor) for actor in item.actors] == [300]


def test_the_undo_commands_are_listed_while_they_are_few() -> None:
    assert text(*repaired(20)).endswith(
        "".join(f"  remediator undo role-{n:04d}/20260304T100020000000Z-0a1b2c3d\n" for n in range(1, 21))
    )
    assert "remediator undo role" not in text(*repaired(21))


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[" * 100_000,
        json.dumps({**json.loads(window_end_json(WINDOW)), "format": 99}),
        json.dumps({**json.loads(window_end_json(WINDOW)), "until": None}),
        json.dumps({**json.loads(window_end_json(WINDOW)), "digest": "yesterday"}),
        json.dumps({**json.loads(window_end_json(WINDOW)), "digest": f"2026-03-04T10:00:00+00:00/{'x' * 5_000}"}),
    ],
)
def test_a_message_that_asks_for_a_digest_in_another_format_is_malformed(message: str) -> None:
    with pytest.raises(MalformedAlert) as malformed:
        parse_window_end(message)
    assert len(str(malformed.value)) < 500


@pytest.mark.parametrize("message", ["{", "null", "[]", "[" * 100_000, '{"AlarmName": 7}'])
def test_what_is_no_topic_message_is_malformed(message: str) -> None:
    with pytest.raises(MalformedAlert):
        topic_message_layout(message)


def test_a_digest_about_one_role_belongs_to_its_incident() -> None:
    layout = digest_layout(digest_of(WINDOW, repaired(1)))
    assert (layout.thread, layout.record) == ("0123456789abcdef", "remediator history role-0001")
    assert digest_layout(digest_of(WINDOW, repaired(2))).thread is None


def test_alerts_that_differ_in_their_first_line_are_counted_together() -> None:
    first, second = manual(2)
    digest = digest_of(WINDOW, (first, replace(second, headline="Open since yesterday.")))
    assert [(group.count, group.headline) for group in digest.groups] == [(2, None)]


MANY = (
    *repaired(5_000),
    *(replace(item, cloud="é" * 60, role=f"{item.role}-{'r' * 50}") for item in manual(5_000)),
)


@pytest.mark.parametrize(
    "items",
    [repaired(1), repaired(300), (*manual(12), *repaired(283)), (*OBSERVED, *RESOLVED, *PARTLY), MANY],
    ids=["one", "repaired", "storm", "mixed", "thousands"],
)
def test_a_digest_is_published_in_less_than_100_kb_and_reads_the_same_when_it_is_read_back(
    items: tuple[DigestItem, ...],
) -> None:
    digest = digest_of(WINDOW, items)
    published = digest_json(digest)
    assert len(published.encode()) <= 100_000
    assert digest_layout(parse_digest(published)) == digest_layout(digest)
    assert topic_message_layout(published) == digest_layout(digest)
    assert digest_json(parse_digest(published)) == published


def test_roles_are_left_out_of_the_json_before_it_gets_too_long_and_the_counts_stay() -> None:
    items = tuple(
        replace(item, title=f"{kind} {item.title}", outcome=kind, cloud="é" * 60, severity=severity)
        for kind in OutcomeKind
        for severity in Severity
        for item in (an_item(f"{kind}-{severity}-{n}-{'r' * 30}") for n in range(120))
    )
    published = digest_json(digest_of(WINDOW, items))
    assert len(published.encode()) <= 100_000
    fields = json.loads(published)
    assert {group["count"] for group in fields["groups"]} == {120}
    assert {len(group["roles"]) for group in fields["groups"]} == {5}
    assert parse_digest(published).roles == len(items)


def test_the_json_says_what_it_is_and_the_same_digest_has_the_same_id() -> None:
    digest = digest_of(WINDOW, (*manual(1), *repaired(2)))
    fields = json.loads(digest_json(digest))
    assert (fields["format"], fields["outcome"], fields["severity"], fields["alerts"]) == (1, "digest", "error", 3)
    assert fields["groups"][0]["roles"] == [
        {"name": "broken-0001", "cloud": "production", "incident": "0123456789abcdef"}
    ]
    assert re.fullmatch("[0-9a-f]{32}", fields["id"])
    assert json.loads(digest_json(digest))["id"] == fields["id"]
    later = digest_of(window_of(NOW + timedelta(minutes=5), 5), (*manual(1), *repaired(2)))
    assert json.loads(digest_json(later))["id"] != fields["id"]


@pytest.mark.parametrize("name", [name for name in ALERTS if name not in {"limit-reached", "test"}])
def test_what_is_kept_of_an_alert_is_read_back_as_it_was(name: str) -> None:
    message = parse_record(ALERTS[name].json)
    assert isinstance(message, Notification)
    item = digest_item(message)
    assert parse_digest_item(digest_item_json(item)) == item
    assert item.severity is message.severity
    assert len(item.cloud or "") <= 60
    assert all(len(actor) <= 300 for actor in item.actors)
    assert len(digest_item_json(item)) < 30_000


def test_foreign_text_is_harmless_in_a_digest() -> None:
    message = parse_record(hostile().json)
    assert isinstance(message, Notification)
    item = digest_item(message)
    digest = digest_of(WINDOW, (item, replace(item, role="other", actors=(HOSTILE,), title=HOSTILE)))
    layout = digest_layout(parse_digest(digest_json(digest)))
    shown = email_text(layout) + layout.subject
    assert "<!channel>" not in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u202e]", shown)
    assert "\nBcc" not in shown
    assert "<" not in digest_json(digest)


def without(text: str, key: str) -> str:
    fields = json.loads(text)
    del fields[key]
    return json.dumps(fields)


DIGEST = digest_json(digest_of(WINDOW, (*repaired(1), *manual(1))))
ITEM = digest_item_json(an_item())


def changed(text: str, **fields: Any) -> str:
    return json.dumps({**json.loads(text), **fields})


GROUP = json.loads(DIGEST)["groups"][0]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "7", "null", "[" * 100_000),
        *(without(DIGEST, key) for key in json.loads(DIGEST) if key not in {"id", "severity", "headline"}),
        changed(DIGEST, format=2),
        changed(DIGEST, format=True),
        changed(DIGEST, outcome="repaired"),
        changed(DIGEST, groups=[]),
        changed(DIGEST, groups=[{**GROUP, "count": 0}]),
        changed(DIGEST, groups=[{**GROUP, "count": True}]),
        changed(DIGEST, groups=[{**GROUP, "outcome": "gone"}]),
        changed(DIGEST, groups=[{**GROUP, "hold": "tight"}]),
        changed(DIGEST, groups=[{**GROUP, "severity": "fatal"}]),
        changed(DIGEST, groups=[{**GROUP, "roles": [{"name": ""}]}]),
        changed(DIGEST, groups=[{**GROUP, "title": "\ud800"}]),
        changed(DIGEST, undo=[7]),
        changed(DIGEST, actors=["x"]),
        changed(DIGEST, alerts=-1),
        changed(DIGEST, until=json.loads(DIGEST)["from"]),
    ],
    ids=str,
)
def test_what_is_no_digest_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(MalformedAlert):
        parse_digest(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}"),
        *(without(ITEM, key) for key in json.loads(ITEM)),
        changed(ITEM, format=7),
        changed(ITEM, outcome="gone"),
        changed(ITEM, actors="x"),
        changed(ITEM, role=None),
    ],
)
def test_what_is_no_kept_alert_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(MalformedAlert):
        parse_digest_item(text)


def test_windows_have_fixed_times_whatever_the_zone_is() -> None:
    start = datetime(2026, 3, 4, 10, 5, tzinfo=UTC)
    window = Window(start, start + timedelta(minutes=5))
    assert window_of(start, 5) == window
    assert window_of(start + timedelta(minutes=5, microseconds=-1), 5) == window
    assert window_of(start.astimezone(timezone(timedelta(hours=5, minutes=45))), 5).key == window.key
    assert window_of(window.end, 5) != window
    assert parse_window(window.key) == window


def test_the_message_that_ends_a_window_is_told_from_others() -> None:
    assert parse_window_end(window_end_json(WINDOW)) == WINDOW
    assert json.loads(window_end_json(WINDOW))["digest"] == "2026-03-04T10:00:00+00:00"
    assert parse_window_end(ALERTS["repaired"].json) is None
    assert parse_window_end(DIGEST) is None
    assert parse_window_end("[]") is None


@pytest.mark.parametrize(
    "key",
    [
        *("", "x/y", "2026-03-04T10:00:00+00:00"),
        "2026-03-04T10:00:00/2026-03-04T10:05:00",
        "2026-03-04T10:00:00+00:00/2026-03-04T10:05:00",
        "2026-03-04T10:00:00/2026-03-04T10:05:00+00:00",
        "2026-03-04T10:00:00+00:00/2026-03-04T10:00:00+00:00",
    ],
)
def test_what_is_no_window_is_an_error_of_ours(key: str) -> None:
    with pytest.raises(MalformedAlert):
        parse_window(key)


def test_a_digest_of_any_alerts_says_everything_that_it_counts() -> None:
    items: tuple[DigestItem, ...] = (*repaired(7), *OBSERVED, *RESOLVED, *manual(4))
    digest: Digest = digest_of(WINDOW, items)
    shown = text(*items)
    assert digest.roles == 15
    for item in items:
        assert f"  {item.role} (production)\n" in shown
