"""``remediator report``: one page on all roles, which says what is so, and in which no foreign text is ever markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from referencing import Registry, Resource

from remediator.core.events.event import APPLY_CALL, Actor, Cause
from remediator.core.events.sweep import SWEEP_CALL
from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.history.role_record import Conflict, Incident, RoleRecord
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.plain_text import plain
from remediator.core.model.scan import UnreadableRole
from remediator.flows.survey import is_surveyed, survey
from remediator.gateways.account import AccountScan
from remediator_cli.commands import report as command
from remediator_cli.commands.report import report_record
from remediator_cli.deployment.fleet import Fleet
from remediator_cli.rendering.fleet import fleet_record
from remediator_cli.report import past
from remediator_cli.report.contents import Report, RoleStatus, make_report
from remediator_cli.report.page import environment, report_page, verbatim
from remediator_cli.report.past import Past
from tests.cli.deployed import CAUSE, NOW, ROLE, Deployed
from tests.cli.running import CLOUD, Running, deny, documented, running, without_credentials, write_settings
from tests.cli.terminal import ROOT, Json, Remediator
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, settings
from tests.functional.stub_account import StubAccount, raw_role
from tests.functional.test_survey import stub_world
from tests.functional.test_sweep import Buckets
from tests.unit.history.changes import a_change

__all__ = ["running"]

SCHEMA: Json = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
PLAN_SCHEMA: Json = json.loads((ROOT / "docs" / "plan.schema.json").read_text(encoding="utf-8"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TODAY = NOW.date()
TAG = "anyscale:cluster-role"
TERRAFORM = CAUSE.actor
ALICE = Actor("IAMUser", f"arn:aws:iam::{ACCOUNT}:user/alice", user_agent="aws-cli/2.31.5")


def report_on(*roles: Any, past: Past | None = None) -> Report:
    """The report on a stubbed account of these raw roles."""
    client: Any = StubAccount.of(*roles)
    configuration = settings()
    scan = AccountScan(client, TAG, also=is_surveyed(configuration, frozenset()))
    world = stub_world(client, scan, Buckets(), configuration)
    found = survey(world, frozenset(), on_roles=lambda count: None)
    fleet = Fleet(ACCOUNT, found, ())
    return make_report(
        at=NOW,
        fleet=fleet,
        plan=fleet_record(fleet, configuration),
        past=past,
        without_past="" if past else "there is no stack AnyscaleRemediator in us-east-1",
    )


def a_past(
    *changes: Change, days: int = 30, open_roles: Mapping[str, RoleRecord] | None = None, is_cut: bool = False
) -> Past:
    """The history of the last days."""
    return Past("AnyscaleRemediator", "us-east-1", days, TODAY, changes, is_cut, tuple((open_roles or {}).items()))


def after(actor: Actor, *, call: str = "UpdateAssumeRolePolicy", role: str = ROLE, ago: int = 0, n: int = 0) -> Change:
    """A repair after a call, some days ago; ``n`` distinguishes those of one role and day."""
    at = NOW - timedelta(days=ago)
    return a_change(
        at=at,
        causes=(replace(CAUSE, actor=actor, call=call),),
        state=ChangeState.COMPLETED,
        role_name=role,
        change_id=f"{role}/{at:%Y%m%dT%H%M%S%fZ}-{n:08x}",
    )


def conflict(*actors: str) -> Conflict:
    """A conflict about the trust policy."""
    findings = (Finding(FindingCode.TRUST_MISSING, "trust policy"),)
    return Conflict(NOW, NOW + timedelta(days=1), findings, actors, events=7)


def one_of_each() -> tuple[Any, ...]:
    """One role for each status; the conflict is only in the role record."""
    denied = {"Sid": "KeepOut", "Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    return (
        raw_role("contested", LAMBDA_STATEMENT),
        raw_role("manual", inline=denied),
        raw_role("broken", LAMBDA_STATEMENT, granted=False),
        raw_role("refused", tags={TAG: "research"}),
        raw_role("nearly", tags={"Anyscale:Cluster-Role": "production"}),
        raw_role("off", tags={TAG: "production", "anyscale:remediation": "off"}),
        raw_role("usable"),
    )


CONFLICT = {"contested": RoleRecord(role_id="AROACONTESTEDXXX", conflict=conflict("Terraform, as ci"))}


@dataclass
class Page(HTMLParser):
    """A page as a browser reads it: its elements one after the other, and the texts in them."""

    text: str
    tags: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    attributes: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.text)
        self.close()
        assert self.inside == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts.append((self.inside[-1], data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def said(self) -> str:
        """All that the page says, its words one space from each other."""
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("style", "script")).split())


def hidden(page: Page) -> list[str]:
    """The elements that are hidden as long as no script shows them, by their ids."""
    return [str(found.get("id")) for _, found in page.attributes if "hidden" in found]


def schema_errors(record: Json) -> list[str]:
    """What is wrong with a record by the published schema, and the one that it points to."""
    registry: Any = Registry().with_resource("plan.schema.json", Resource.from_contents(PLAN_SCHEMA))
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA, registry=registry).iter_errors(record)]


class TestTheCommand:
    def test_writes_a_page_on_every_role_with_its_history_and_changes_nothing(
        self, running: Running, remediator: Remediator
    ) -> None:
        running.remember(RoleRecord(role_id="AROA", conflict=conflict("Terraform, as ci")))
        answer = remediator("report", "roles.html")
        assert (answer.code, answer.out, answer.err) == (0, "roles.html: 1 conflict.\n", "")
        said = Page(Path("roles.html").read_text(encoding="utf-8")).said
        assert "1 repair from 2026-02-03 to 2026-03-04, most on 2026-03-04: 1." in said
        assert f"arn:aws:iam::{ACCOUNT}:role/ci Terraform 1 {ROLE} 2026-03-04 10:00 UTC" in said
        assert f"When that is resolved: remediator resume {ROLE}" in said
        assert "Would be written without the conflict: inline policy AnyscaleRemediatorS3Access" in said
        assert (running.inline(), len(running.account.history.list_changes(most=10))) == ([], 1)
        assert sorted(path.name for path in Path().iterdir()) == ["cdk.json", "roles.html"]

    def test_works_before_anything_is_deployed_and_says_that_it_is_without_history(
        self, running: Running, remediator: Remediator
    ) -> None:
        answer = remediator("report", "roles.html", "--stack", "Another")
        assert (answer.code, answer.out) == (0, "roles.html: 1 broken, to be repaired.\n")
        assert answer.err.startswith("report: without history: there is no stack Another in us-east-1")
        said = Page(Path("roles.html").read_text(encoding="utf-8")).said
        assert "Without history: there is no stack Another in us-east-1" in said
        assert "Who breaks roles" not in said

    def test_what_is_documented_is_what_it_prints(self, running: Running, remediator: Remediator) -> None:
        running.account.iam.create_role(
            RoleName="worker",
            Path="/anyscale/production/",
            AssumeRolePolicyDocument="{}",
            Tags=[{"Key": "Anyscale:Cluster-Role", "Value": "production"}],
        )
        assert remediator("report", "roles.html").out == documented("remediator report roles.html")

    def test_is_printed_and_nothing_else_where_the_file_is_standard_output(
        self, running: Running, remediator: Remediator
    ) -> None:
        answer = remediator("report", "-")
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.startswith("<!doctype html>")
        assert answer.out.rstrip().endswith("</html>")
        assert not Path("-").exists()
        assert remediator("report", "-", "--json").code == 2

    def test_overwrites_an_existing_file_only_with_force(self, running: Running, remediator: Remediator) -> None:
        Path("roles.html").write_text("mine")
        answer = remediator("report", "roles.html")
        assert (answer.code, answer.out) == (1, "")
        assert answer.err == "error: roles.html exists already: name another file, or overwrite it with --force\n"
        assert Path("roles.html").read_text() == "mine"
        assert remediator("report", "--force", "roles.html").code == 0
        assert Path("roles.html").read_text().startswith("<!doctype html>")

    def test_a_file_that_appeared_while_the_account_was_read_stays_as_well(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def made_meanwhile(made: Report) -> str:
            Path("roles.html").write_text("mine")
            return report_page(made)

        monkeypatch.setattr(command, "report_page", made_meanwhile)
        assert remediator("report", "roles.html").code == 1
        assert Path("roles.html").read_text() == "mine"
        assert sorted(path.name for path in Path().iterdir()) == ["cdk.json", "roles.html"]

    @pytest.mark.parametrize(
        ("file", "said"),
        [
            ("nowhere/roles.html", "there is no directory nowhere"),
            (".", "is a directory"),
            ("r" * 300, "cannot be written: File name too long"),
        ],
    )
    def test_a_file_that_cannot_be_written_is_one_line_that_says_why(
        self, file: str, said: str, running: Running, remediator: Remediator
    ) -> None:
        answer = remediator("report", file)
        assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
        assert said in answer.err

    def test_without_a_file_it_asks_for_one(self, running: Running, remediator: Remediator) -> None:
        answer = remediator("report")
        assert (answer.code, answer.out) == (2, "")
        assert "roles.html" in answer.err

    def test_the_json_form_has_the_published_schema_and_what_plan_prints(
        self, running: Running, remediator: Remediator
    ) -> None:
        running.remember(
            RoleRecord(
                role_id="AROA",
                conflict=conflict("Terraform, as ci"),
                incident=Incident("0123456789abcdef", "fedcba9876543210", NOW, alerted=True),
            )
        )
        answer = remediator("report", "--json", "--days", "2")
        assert (answer.code, schema_errors(answer.record)) == (0, [])
        assert answer.record["plan"] == remediator("plan", "--json").record
        assert answer.record["roles"] == [
            {
                "name": ROLE,
                "arn": f"arn:aws:iam::{ACCOUNT}:role/anyscale/production/{ROLE}",
                "standing": "contested",
                "repairs": 1,
                "last_repair": NOW.isoformat(),
            }
        ]
        past = answer.record["history"]
        assert past["repairs_by_day"] == [{"day": "2026-03-03", "repairs": 0}, {"day": "2026-03-04", "repairs": 1}]
        assert past["breakers"][0]["principal"] == f"arn:aws:iam::{ACCOUNT}:role/ci"
        assert [each["contest"]["undone_by"] for each in past["open"]] == [["Terraform, as ci"]]

    def test_the_json_form_without_history_has_the_published_schema_too(
        self, running: Running, remediator: Remediator
    ) -> None:
        record = remediator("report", "--json", "--stack", "Another").record
        assert (schema_errors(record), record["history"]) == ([], None)
        assert "there is no stack Another" in record["without_history"]

    @pytest.mark.parametrize(("operation", "action"), [("Query", "dynamodb:Query"), ("GetItem", "dynamodb:GetItem")])
    def test_a_history_that_is_denied_is_named_and_the_roles_are_shown_all_the_same(
        self, operation: str, action: str, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running.remember(RoleRecord(role_id="AROA", conflict=conflict()))
        deny(monkeypatch, operation)
        answer = remediator("report", "roles.html")
        assert (answer.code, answer.out) == (0, "roles.html: 1 broken, to be repaired.\n")
        assert f"without history: the credentials may not call {action}: no" in answer.err
        assert f"Without history: the credentials may not call {action}: no." in Path("roles.html").read_text()

    def test_a_bucket_that_is_denied_is_named_on_the_page_as_well(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deny(monkeypatch, "GetBucketPolicy")
        answer = remediator("report", "roles.html")
        assert (answer.code, answer.out) == (0, "roles.html: 1 manual action required.\n")
        assert "your credentials may not call s3:GetBucketPolicy" in answer.err
        assert "The credentials may not call s3:GetBucketPolicy" in Path("roles.html").read_text()

    def test_without_credentials_it_says_what_to_set_and_writes_nothing(
        self, running: Running, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        without_credentials(monkeypatch)
        answer = remediator("report", "roles.html")
        assert (answer.code, answer.out) == (1, "")
        assert "no AWS credentials were found" in answer.err
        assert not Path("roles.html").exists()

    def test_with_approvers_the_page_says_that_approvals_are_not_checked(
        self, running: Running, remediator: Remediator
    ) -> None:
        approver = f"arn:aws:iam::{ACCOUNT}:role/platform/*"
        write_settings({"approvers": [approver], "clouds": {"production": CLOUD}})
        assert remediator("report", "roles.html").code == 0
        assert f"none of {approver} has tagged" in Page(Path("roles.html").read_text()).said

    def test_reads_the_history_as_far_back_as_was_asked_for(
        self, deployed: Deployed, monkeypatch: pytest.MonkeyPatch, remediator: Remediator, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Running(deployed)
        for ago in range(1, 6):
            deployed.repair_trust(at=NOW - timedelta(days=ago))
        monkeypatch.setattr(past, "_AT_FIRST", 2)
        record = remediator("report", "--json", "--days", "5").record["history"]
        assert ([each["repairs"] for each in record["repairs_by_day"]], record["cut"]) == ([1] * 5, False)
        assert [each["repairs"] for each in record["breakers"]] == [5]
        monkeypatch.setattr(past, "_AT_MOST", 3)
        record = remediator("report", "--json", "--days", "5").record["history"]
        assert ([each["repairs"] for each in record["repairs_by_day"]], record["cut"]) == ([0, 0, 1, 1, 1], True)


class TestThePast:
    def test_a_day_is_one_of_utc_and_days_without_repairs_are_there(self) -> None:
        east = timezone(timedelta(hours=9))
        change = after(ALICE)
        past = a_past(replace(change, intended_at=datetime(2026, 3, 4, 1, 0, tzinfo=east)), days=3)
        assert [(str(day), count) for day, count in past.by_day] == [
            ("2026-03-02", 0),
            ("2026-03-03", 1),
            ("2026-03-04", 0),
        ]

    def test_who_breaks_roles_is_grouped_by_principal_across_sessions(self) -> None:
        past = a_past(
            after(TERRAFORM),
            after(replace(TERRAFORM, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/another"), role="worker", n=1),
            after(ALICE, ago=1),
        )
        assert [(each.principal, each.tools, each.repairs, each.roles) for each in past.breakers] == [
            (f"arn:aws:iam::{ACCOUNT}:role/ci", ("Terraform",), 2, (ROLE, "worker")),
            (ALICE.arn, ("the AWS CLI",), 1, (ROLE,)),
        ]

    def test_one_repair_after_several_calls_of_one_principal_counts_once(self) -> None:
        change = after(ALICE)
        past = a_past(replace(change, causes=(*change.causes, *change.causes)))
        assert [each.repairs for each in past.breakers] == [1]

    @pytest.mark.parametrize(
        "cause",
        [
            replace(CAUSE, call="TagRole"),
            replace(CAUSE, call="UntagRole"),
            replace(CAUSE, call="CreateRole"),
            replace(CAUSE, call=APPLY_CALL),
            Cause("sweep", SWEEP_CALL, CAUSE.time, Actor(SWEEP_CALL, "arn:aws:lambda:us-east-1:1:function:sweeper")),
        ],
    )
    def test_no_one_is_blamed_for_a_tag_a_new_role_apply_or_a_sweep(self, cause: Cause) -> None:
        past = a_past(replace(after(ALICE), causes=(cause,)))
        assert (past.breakers, past.unexplained, len(past.repairs)) == ((), 1, 1)
        assert past.asked_for == (cause.call != SWEEP_CALL)

    @pytest.mark.parametrize(
        "first", [replace(CAUSE, call="CreateRole"), replace(CAUSE, call="TagRole", enrolls="production")]
    )
    def test_the_calls_that_complete_a_new_role_break_nothing(self, first: Cause) -> None:
        change = after(ALICE)
        past = a_past(replace(change, causes=(first, *change.causes)))
        assert (past.breakers, past.asked_for) == ((), 1)

    def test_a_call_that_broke_a_role_together_with_another_tag_counts(self) -> None:
        change = after(ALICE)
        past = a_past(replace(change, causes=(replace(CAUSE, call="TagRole"), *change.causes)))
        assert [each.principal for each in past.breakers] == [ALICE.arn]

    @pytest.mark.parametrize(
        "fields",
        [
            {"state": ChangeState.NOT_WRITTEN},
            {"state": ChangeState.INTENDED},
            {"state": ChangeState.SUPERSEDED},
            {"kind": ChangeKind.UNDO},
            {"kind": ChangeKind.REMOVAL},
        ],
    )
    def test_what_was_not_written_or_is_no_repair_does_not_count(self, fields: Any) -> None:
        past = a_past(replace(after(ALICE), **fields))
        assert (past.repairs, past.breakers, past.unexplained) == ((), (), 0)


class TestTheStatusOfARole:
    def test_each_role_has_one_status(self) -> None:
        report = report_on(*one_of_each(), past=a_past(open_roles=CONFLICT))
        assert {each.name: each.standing for each in report.roles} == {
            "contested": RoleStatus.CONFLICT,
            "manual": RoleStatus.MANUAL_ACTION,
            "broken": RoleStatus.WOULD_REPAIR,
            "refused": RoleStatus.REFUSED,
            "nearly": RoleStatus.MISCONFIGURED,
            "off": RoleStatus.OFF,
            "usable": RoleStatus.USABLE,
        }
        assert report.counts == dict.fromkeys(RoleStatus, 1)
        assert schema_errors(json.loads(json.dumps(report_record(report)))) == []

    def test_a_role_in_conflict_that_is_refused_or_no_longer_enrolled_has_its_present_status(self) -> None:
        role_record = CONFLICT["contested"]
        report = report_on(*one_of_each(), past=a_past(open_roles={"refused": role_record, "nearly": role_record}))
        assert report.counts[RoleStatus.CONFLICT] == 0

    def test_an_open_incident_of_a_role_that_no_longer_exists_is_listed(self) -> None:
        report = report_on(raw_role("usable"), past=a_past(open_roles={"gone": CONFLICT["contested"]}))
        assert [name for name, _ in report.open_elsewhere] == ["gone"]
        assert "Open in the history alone" in Page(report_page(report)).said


class TestThePage:
    def test_says_what_is_wrong_what_it_means_and_what_can_be_done(self) -> None:
        said = Page(report_page(report_on(*one_of_each(), past=a_past(open_roles=CONFLICT)))).said
        for sentence in (
            "EC2 cannot assume the role: its trust policy does not allow EC2. Clusters cannot start.",
            "Undone by Terraform, as ci. Calls since then: 7.",
            "statement `KeepOut` of inline policy `p1` denies",
            "If this is not intended, change the policy named above so that it does not block this role.",
            "names the cloud 'research', which is not configured",
            "remediator enroll nearly production",
            "the tag anyscale:remediation of the role is 'off'",
            '+ "Sid": "AnyscaleRemediatorEC2Trust",',
        ):
            assert sentence in said

    def test_a_blocked_repair_requires_manual_action_and_names_the_blocker(self) -> None:
        said = Page(report_page(report_on(raw_role("x", profiled=False)))).said
        assert "The configuration does not allow it: `instanceProfile` of the cloud is not `repair`." in said

    def test_an_account_without_such_roles_says_so(self) -> None:
        assert "No role is enrolled." in Page(report_page(report_on())).said

    def test_a_role_that_could_not_be_checked_is_on_it(self) -> None:
        report = report_on(raw_role("usable"))
        unjudged = (UnreadableRole(None, "production", "its trust policy is no JSON"),)
        fleet = replace(report.fleet, survey=replace(report.fleet.survey, unjudged=unjudged))
        said = Page(report_page(replace(report, fleet=fleet))).said
        assert "a role without a name production its trust policy is no JSON" in said

    def test_a_history_that_is_cut_is_said_to_be(self) -> None:
        said = Page(report_page(report_on(past=a_past(after(ALICE), is_cut=True)))).said
        assert "the oldest are missing" in said

    def test_of_many_who_break_roles_the_first_are_shown_and_it_is_said(self) -> None:
        many = [after(replace(ALICE, arn=f"{ALICE.arn}{n}"), role=f"role-{n}", n=n) for n in range(25)]
        one = [after(ALICE, role=f"other-{n}", n=n) for n in range(10)]
        said = Page(report_page(report_on(past=a_past(*many, *one)))).said
        assert "The first 20 of 26 are shown." in said
        assert said.count(" the AWS CLI 1 role-") == 19
        assert "other-7 and 2 more" in said

    def test_loads_nothing_and_runs_nothing_but_its_own_style_and_script(self) -> None:
        page = Page(report_page(report_on(*one_of_each())))
        policy = next(str(found["content"]) for _, found in page.attributes if "http-equiv" in found)
        by_hash = {
            f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for tag, text in page.texts
            if tag in ("style", "script")
        }
        assert len(by_hash) == 2
        assert {part.strip() for part in policy.split(";")} == {
            "default-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            *by_hash,
        }
        for tag, found in page.attributes:
            assert not {"src", "srcset", "style", "action", "xlink:href"} & found.keys(), tag
            assert not [name for name in found if name.startswith("on")], tag
            assert (found.get("href") or "#").startswith("#"), tag
        style = "".join(text for tag, text in page.texts if tag == "style")
        assert "url(" not in style
        assert "@import" not in style

    def test_is_readable_without_a_script(self) -> None:
        page = Page(report_page(report_on(*one_of_each())))
        assert hidden(page) == ["filter"]

    def test_can_be_found_through_by_headings_landmarks_and_labels(self) -> None:
        past = a_past(after(ALICE), open_roles=CONFLICT)
        page = Page(report_page(report_on(*one_of_each(), past=past)))
        tags = [tag for tag, _ in page.tags]
        for landmark in ("header", "main", "nav", "footer", "search", "h1"):
            assert tags.count(landmark) == 1, landmark
        levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
        ids = [found["id"] for _, found in page.attributes if "id" in found]
        assert len(ids) == len(set(ids))
        for tag, found in page.attributes:
            if tag == "th":
                assert found["scope"] in ("col", "row")
            for name in ("href", "aria-labelledby", "for"):
                if name in found:
                    assert str(found[name]).removeprefix("#") in ids
        assert tags.count("label") == tags.count("input") + tags.count("select") == 3
        assert dict(page.attributes)["html"] == {"lang": "en"}

    @pytest.mark.parametrize("scheme", ["light", "dark", "print"])
    def test_every_text_color_has_enough_contrast(self, scheme: str) -> None:
        style = resources.files("remediator_cli.report").joinpath("report.css").read_text(encoding="utf-8")
        light, dark, paper = (
            dict(re.findall(r"--(\w+): #(\w{6});", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
        )
        colors = {"light": light, "dark": light | dark, "print": light | paper}[scheme]
        texts = ("text", "quiet", "link", "red", "amber", "green", "violet")
        pairs = [(text, behind) for text in texts for behind in ("page", "panel")]
        for text, behind in [*pairs, ("text", "added"), ("text", "taken")]:
            assert contrast(colors[text], colors[behind]) >= 4.5, (text, behind)


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""

    def luminance(color: str) -> float:
        parts = [int(color[start : start + 2], 16) / 255 for start in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


HOSTILE = st.one_of(
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "</script><script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "' onmouseover='alert(1)",
            "</style></title></textarea><!--",
            "-->]]>&lt;b&gt;&amp;#60;",
            "\u202e\u0000\r\n\ud800<b>",
            "&lt;script&gt;",
        ]
    ),
    st.text(min_size=1, max_size=60),
)


def with_foreign_text(text: str) -> Report:
    """A report with one text in every place that other principals control."""
    denied = {"Sid": text, "Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    incident = Incident(text, text, NOW, alerted=False)
    actor = Actor("AssumedRole", text, issuer_arn=text, invoked_by=text, user_agent=text)
    report = report_on(
        raw_role("trust", {**LAMBDA_STATEMENT, "Sid": text}),
        raw_role("denied", inline=denied),
        raw_role("condition", {**EC2_STATEMENT, "Condition": {"StringEquals": {f"aws:PrincipalTag/{text}": text}}}),
        raw_role("cloud", tags={TAG: f"?{text}"}),
        raw_role("off", tags={TAG: text, "anyscale:remediation": "off"}),
        raw_role("mode", tags={TAG: "production", "anyscale:remediation": f"?{text}"}),
        past=a_past(
            after(actor, role=text),
            open_roles={
                "trust": RoleRecord(role_id="AROA", conflict=conflict(text), incident=incident),
                text: RoleRecord(role_id="AROA", conflict=conflict(text), incident=incident),
            },
        ),
    )
    unjudged = (UnreadableRole(text, text, text),)
    fleet = replace(report.fleet, survey=replace(report.fleet.survey, unjudged=unjudged), denied=(text,))
    return replace(report, fleet=fleet, plan={**report.plan, "notes": [text]}, without_past=text)


class TestForeignText:
    @hypothesis_settings(max_examples=60)
    @given(HOSTILE)
    def test_is_never_markup(self, text: str) -> None:
        harmless, found = Page(report_page(with_foreign_text("x"))), Page(report_page(with_foreign_text(text)))
        assert found.tags == harmless.tags
        assert ("code", plain(text)) in found.texts
        for tag, said in found.texts:
            if tag in ("style", "script"):
                assert (tag, said) in harmless.texts
            else:
                assert not [
                    char for char in said if unicodedata.category(char)[0] == "C" and (tag, char) != ("span", "\n")
                ]

    @given(HOSTILE, st.sampled_from(["p", "b", "pre"]))
    def test_is_read_back_as_it_was_in_every_element(self, text: str, element: str) -> None:
        template = f'<div title="{{{{ text }}}}">|<{element}>{{{{ text }}}}<p>{{{{ text }}}}</p></{element}></div>'
        page = Page(environment().from_string(template).render(text=text))
        assert "".join(text for _, text in page.texts) == f"|{plain(text) * 2}"
        assert page.attributes[0] == ("div", {"title": plain(text)})

    @pytest.mark.parametrize("text", ["a { } </style>", "x = '<!-- <script>'"])
    def test_of_the_package_that_would_end_its_element_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="<!--"):
            verbatim(text)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
def test_in_a_browser_the_search_is_shown_and_knows_the_roles(tmp_path: Path) -> None:
    (tmp_path / "roles.html").write_text(report_page(report_on(*one_of_each())), encoding="utf-8")
    ran = subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "roles.html").as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    page = Page(ran.stdout)
    assert hidden(page) == []
    assert "7 of 7 roles" in page.said
