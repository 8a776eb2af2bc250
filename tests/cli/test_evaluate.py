"""``remediator evaluate`` answers every policy case as AWS would, and says what repairs it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from remediator.core.access.actions import KEY_ACTIONS, REQUIRED_BUCKET_ACTIONS, REQUIRED_OBJECT_ACTIONS
from remediator.core.access.decision import GrantVerdict
from remediator.core.model.finding import FindingCode
from remediator.core.repair.trust import TrustVerdict
from remediator_cli.evaluation.evaluation import Edit
from tests.cases.case import FILES, HERE
from tests.cli.terminal import (
    ACCESS,
    BUCKET,
    EC2,
    KEY,
    LAMBDA,
    OTHER_ACCOUNT,
    ROOT,
    Json,
    Remediator,
    case,
    document,
    lines,
    run,
)

CASES = [json.loads(line) for name in FILES for line in (HERE / name).read_text(encoding="utf-8").splitlines()]
SCHEMA: Json = json.loads((ROOT / "docs" / "evaluation.schema.json").read_text(encoding="utf-8"))
OWN_POLICY = "AnyscaleRemediatorS3Access"


def conforms(record: Json) -> Json:
    """The record itself, if it has the published form."""
    jsonschema.validate(record, SCHEMA, cls=jsonschema.Draft202012Validator)
    return record


def deny(**elements: Any) -> Json:
    return {**ACCESS, "Sid": "Locked", "Effect": "Deny", **elements}


@pytest.fixture(scope="module")
def answers() -> dict[str, Json]:
    """The answers to all cases, from one run as a program of its own, by id."""
    answer = run("evaluate", *(str(HERE / name) for name in FILES))
    assert (answer.code, answer.err) == (0, "")
    assert [record["id"] for record in answer.records] == [line["id"] for line in CASES]
    return {record["id"]: record for record in answer.records}


@pytest.mark.parametrize("line", CASES, ids=lambda line: f"{line['id']}: {line['what']}")
def test_every_case_is_answered_as_aws_would(line: Json, answers: dict[str, Json]) -> None:
    record, expected = conforms(answers[line["id"]]), line["expected"]
    assert record["ec2_trust"] in {expected["ec2_trust"], *expected.get("accept_ec2_trust", ())}
    for action, verdict in record["s3"].items():
        assert verdict in {expected["s3"][action], *expected.get("accept_s3", ())}
    assert record["s3"].keys() == expected["s3"].keys()
    assert record.get("kms") == expected.get("kms")
    if "fix_by" in expected:
        fix_by = {action: sides for action, sides in record["repair"]["fix_by"].items() if action not in KEY_ACTIONS}
        assert fix_by == {action: sorted(sides) for action, sides in expected["fix_by"].items()}


def repaired(line: Json, writes: list[Json]) -> Json:
    """The case with the documents that a repair writes."""
    after = copy.deepcopy(line)
    for write in writes:
        if write["document"] == "trust policy":
            after["role"]["trust"] = write["after"]
        else:
            after["role"]["inline"][write["document"].removeprefix("inline policy ")] = write["after"]
    return after


def test_what_a_repair_writes_repairs_the_role_and_leaves_nothing_to_write(
    answers: dict[str, Json], remediator: Remediator
) -> None:
    broken = [line for line in CASES if answers[line["id"]]["repair"]["writes"]]
    assert len(broken) > 50
    again = remediator(
        "evaluate", stdin=lines(*(repaired(line, answers[line["id"]]["repair"]["writes"]) for line in broken))
    )
    for line, record in zip(broken, again.records, strict=True):
        before = answers[line["id"]]["repair"]
        assert record["repair"]["writes"] == []
        assert record["repair"]["withheld"] == before["withheld"]
        if any(write["document"] == "trust policy" for write in before["writes"]):
            assert record["ec2_trust"] == "ok"
        if any(write["document"] != "trust policy" for write in before["writes"]):
            assert set(record["s3"].values()) == {"allowed"}


def test_the_repair_is_about_what_the_verdicts_say(answers: dict[str, Json]) -> None:
    required = {*REQUIRED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS}
    for record in answers.values():
        repair = record["repair"]
        trust_is_wrong = record["ec2_trust"] != "ok"
        grant_is_wrong = any(record["s3"][action] != "allowed" for action in required)
        key_is_wrong = any(verdict != "allowed" for verdict in record.get("kms", {}).values())
        reported = {left["finding"].partition("-")[0] for left in repair["withheld"]} - {"quarantined"}
        for write in repair["writes"]:
            sids = {statement.get("Sid") for statement in write["after"]["Statement"]}
            reported |= {"trust"} if write["document"] == "trust policy" else set()
            reported |= {"grant"} if "AnyscaleRemediatorBucket" in sids else set()
            reported |= {"key"} if "AnyscaleRemediatorKeys" in sids else set()
        assert reported == {
            kind
            for kind, is_wrong in (("trust", trust_is_wrong), ("grant", grant_is_wrong), ("key", key_is_wrong))
            if is_wrong
        }, record["id"]


def test_every_document_before_is_the_one_of_the_case(answers: dict[str, Json]) -> None:
    for line in CASES:
        for write in answers[line["id"]]["repair"]["writes"]:
            given = line["role"]["trust"] if write["document"] == "trust policy" else None
            given = json.loads(given) if isinstance(given, str) else given
            assert write["before"] == given


def test_the_answer_depends_on_nothing_but_the_case(answers: dict[str, Json]) -> None:
    files = [str(HERE / name) for name in FILES]
    one, other = (run("evaluate", *files, variables={"PYTHONHASHSEED": seed}) for seed in ("1", "2"))
    assert one == other
    assert one.out == "".join(json.dumps(record) + "\n" for record in answers.values())


def test_the_members_of_an_answer_come_in_a_fixed_order(remediator: Remediator) -> None:
    key = {"sse": "aws:kms", "key_arn": KEY, "key_policy": document({**EC2, "Action": "kms:*", "Resource": "*"})}
    record = remediator("evaluate", stdin=lines(case(bucket={"encryption": key}))).record
    assert list(record) == ["id", "ec2_trust", "s3", "kms", "because", "repair"]
    assert list(record["repair"]) == ["fix_by", "writes", "withheld", "refused"]
    assert list(record["s3"])[:2] == ["s3:GetObject", "s3:PutObject"]


def test_the_schema_lists_the_verdicts_findings_and_edits_that_there_are() -> None:
    members = SCHEMA["properties"]
    repair = members["repair"]["properties"]
    not_in_a_case = {
        *(FindingCode.BUCKET_ABSENT, FindingCode.BUCKET_UNREADABLE, FindingCode.KEY_UNUSABLE, FindingCode.KEY_UNKNOWN),
        *(FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED, FindingCode.PROFILE_UNDECIDED),
    }
    codes = {code.value for code in FindingCode if code not in not_in_a_case}
    assert members["ec2_trust"]["enum"] == [verdict.value for verdict in TrustVerdict]
    assert SCHEMA["$defs"]["verdict"]["enum"] == [verdict.value for verdict in GrantVerdict]
    assert set(repair["withheld"]["items"]["properties"]["finding"]["enum"]) == codes
    assert repair["writes"]["items"]["properties"]["edit"]["enum"] == [edit.value for edit in Edit]


def test_a_usable_role_needs_no_repair(remediator: Remediator) -> None:
    record = conforms(remediator("evaluate", stdin=lines(case())).record)
    assert record["repair"] == {"fix_by": {}, "writes": [], "withheld": [], "refused": None}
    on_objects = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts"
    on_bucket = "s3:ListBucket, s3:ListBucketMultipartUploads and s3:GetBucketLocation"
    assert record["because"] == [
        "ok: statement 1 of the trust policy lets ec2.amazonaws.com assume the role",
        f"allowed: statement 1 of inline policy `data` allows {on_objects} on every object of {BUCKET}",
        f"allowed: statement 1 of inline policy `data` allows {on_bucket} on {BUCKET}",
    ]


def test_a_missing_trust_and_a_missing_grant_are_repaired_by_one_document_each(remediator: Remediator) -> None:
    broken = case(role={"trust": document(LAMBDA), "inline": {}})
    trust, grant = conforms(remediator("evaluate", stdin=lines(broken)).record)["repair"]["writes"]
    assert (trust["document"], trust["call"], trust["edit"]) == (
        "trust policy",
        "iam:UpdateAssumeRolePolicy",
        "appended",
    )
    assert trust["before"] == document(LAMBDA)
    assert trust["after"]["Statement"] == [LAMBDA, {"Sid": "AnyscaleRemediatorEC2Trust", **EC2}]
    assert (grant["document"], grant["call"], grant["edit"]) == (
        f"inline policy {OWN_POLICY}",
        "iam:PutRolePolicy",
        "created",
    )
    assert grant["before"] is None
    assert {statement["Sid"] for statement in grant["after"]["Statement"]} == {
        "AnyscaleRemediatorBucket",
        "AnyscaleRemediatorObjects",
    }


def test_changed_statements_of_the_remediator_are_restored_in_place(remediator: Remediator) -> None:
    (own,) = remediator("evaluate", stdin=lines(case(role={"inline": {}}))).record["repair"]["writes"]
    narrowed = copy.deepcopy(own["after"])
    narrowed["Statement"][1]["Action"].remove("s3:ListMultipartUploadParts")
    record = remediator("evaluate", stdin=lines(case(role={"inline": {OWN_POLICY: narrowed}}))).record
    (write,) = record["repair"]["writes"]
    assert (write["edit"], write["before"], write["after"]) == ("replaced", narrowed, own["after"])


def full_trust(size: int, *services: str) -> Json:
    """A trust policy of so many characters without white space."""
    trust = document(
        {"Sid": "S", "Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    )
    missing = size - len(json.dumps(trust, separators=(",", ":")))
    trust["Statement"][0]["Sid"] = "S" * (missing + 1)
    return trust


def test_the_smaller_edit_is_reported_where_a_new_statement_would_not_fit(remediator: Remediator) -> None:
    trust = full_trust(2_000, "lambda.amazonaws.com")
    (write,) = conforms(remediator("evaluate", stdin=lines(case(role={"trust": trust}))).record)["repair"]["writes"]
    assert write["edit"] == "merged"
    assert write["note"].endswith("would have 2,124 characters; the quota is 2,048 (ACLSizePerRole).")
    assert write["after"]["Statement"][0]["Principal"] == {"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}


def blocked(remediator: Remediator, line: Json) -> Json:
    """The one thing that is not repaired in a case without a write."""
    repair = conforms(remediator("evaluate", stdin=lines(line)).record)["repair"]
    assert repair["writes"] == []
    (left,) = repair["withheld"]
    return dict(left)


def test_a_quota_is_reported_with_its_numbers(remediator: Remediator) -> None:
    left = blocked(remediator, case(role={"trust": full_trust(2_040, "lambda.amazonaws.com")}))
    assert left["finding"] == "trust-missing"
    assert left["because"] == ["The trust policy would have 2,164 characters; the quota is 2,048 (ACLSizePerRole)."]
    other = {"Effect": "Allow", "Action": "ec2:*", "Resource": ["arn:aws:ec2:us-west-2:111111111111:" + "x" * 10_000]}
    left = blocked(remediator, case(role={"inline": {"big": document(other)}}))
    assert left["finding"] == "grant-missing"
    assert left["because"][0].startswith("The role's inline policies would have 10,")
    assert left["because"][0].endswith("characters together; the quota is 10,240.")


def test_a_stale_principal_is_reported_with_its_id(remediator: Remediator) -> None:
    stale = {**LAMBDA, "Principal": {"AWS": "AROADELETEDROLE000001"}}
    left = blocked(remediator, case(role={"trust": document(stale)}))
    assert "AROADELETEDROLE000001, the id of a role or user that no longer exists" in left["because"][0]


def test_a_malformed_document_is_never_rewritten(remediator: Remediator) -> None:
    left = blocked(remediator, case(role={"trust": document({**LAMBDA, "effect": "allow"})}))
    assert left["because"][0].startswith("The trust policy must not be rewritten, because it breaks the grammar: ")


def test_nothing_is_written_on_a_role_that_belongs_to_aws(remediator: Remediator) -> None:
    arn = "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
    broken = case(role={"arn": arn, "trust": document(LAMBDA), "inline": {}})
    repair = conforms(remediator("evaluate", stdin=lines(broken)).record)["repair"]
    assert repair["writes"] == []
    assert [left["finding"] for left in repair["withheld"]] == ["trust-missing", "grant-missing"]
    for left in repair["withheld"]:
        assert "AWSServiceRoleForX is a service-linked role" in left["because"][0]


def test_a_boundary_and_a_deny_are_reported_and_not_changed(remediator: Remediator) -> None:
    limit = {"arn": "arn:aws:iam::111111111111:policy/Limit", "document": document({**ACCESS, "Action": "ec2:*"})}
    left = blocked(remediator, case(role={"boundary": limit}))
    assert (left["finding"], left["subject"]) == ("grant-blocked", BUCKET)
    assert left["because"][0].startswith("the permissions boundary `Limit` does not allow")
    left = blocked(remediator, case(bucket={"policy": document(deny(Principal="*"))}))
    assert (left["finding"], left["actions"]) == (
        "grant-blocked",
        ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"],
    )
    assert left["because"][0].startswith("statement `Locked` of the bucket policy denies")


def test_the_statement_for_the_owner_of_another_accounts_bucket_is_shown_and_works(remediator: Remediator) -> None:
    theirs = case(bucket={"account": OTHER_ACCOUNT})
    left = blocked(remediator, theirs)
    assert left["finding"] == "grant-beyond-role"
    theirs["bucket"]["policy"] = document(*left["statements"])
    assert set(remediator("evaluate", stdin=lines(theirs)).record["s3"].values()) == {"allowed"}


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        ([{**EC2, "Principal": "*", "Action": "kms:*", "Resource": "*", "Effect": "Deny"}], "key-blocked"),
        ([], "key-beyond-role"),
    ],
)
def test_a_key_that_the_role_cannot_use_is_reported(statements: list[Json], code: str, remediator: Remediator) -> None:
    key = {"sse": "aws:kms", "key_arn": KEY, "key_policy": document(*statements)}
    left = blocked(remediator, case(bucket={"encryption": key}))
    assert (left["finding"], left["subject"], left["actions"]) == (code, KEY, list(KEY_ACTIONS))


def test_a_key_that_is_left_to_iam_is_granted_in_the_remediators_policy(remediator: Remediator) -> None:
    to_iam = {**EC2, "Principal": {"AWS": "111111111111"}, "Action": "kms:*", "Resource": "*"}
    broken = case(bucket={"encryption": {"sse": "aws:kms", "key_arn": KEY, "key_policy": document(to_iam)}})
    repair = conforms(remediator("evaluate", stdin=lines(broken)).record)["repair"]
    (write,) = repair["writes"]
    assert repair["withheld"] == []
    (statement,) = write["after"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == (list(KEY_ACTIONS), [KEY])
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": ["s3.us-west-2.amazonaws.com"]}}


def test_the_statement_for_the_key_policy_is_shown_and_works(remediator: Remediator) -> None:
    broken = case(bucket={"encryption": {"sse": "aws:kms", "key_arn": KEY, "key_policy": document()}})
    left = blocked(remediator, broken)
    broken["bucket"]["encryption"]["key_policy"] = document(*left["statements"])
    assert set(remediator("evaluate", stdin=lines(broken)).record["kms"].values()) == {"allowed"}


def test_a_key_policy_that_is_not_given_is_undecided_and_an_aws_managed_key_is_no_question(
    remediator: Remediator,
) -> None:
    key = {"sse": "aws:kms", "key_arn": KEY}
    record = conforms(remediator("evaluate", stdin=lines(case(bucket={"encryption": key}))).record)
    assert set(record["kms"].values()) == {"undecided"}
    managed = case(bucket={"encryption": {**key, "aws_managed": True}})
    assert "kms" not in remediator("evaluate", stdin=lines(managed)).record


def test_a_role_that_others_can_assume_is_refused_and_the_repair_is_shown_anyway(
    remediator: Remediator,
) -> None:
    control = {"Effect": "Allow", "Principal": {"AWS": "525325868955"}, "Action": "sts:AssumeRole"}
    repair = conforms(remediator("evaluate", stdin=lines(case(role={"trust": document(control)}))).record)["repair"]
    assert "525325868955, which is outside this account" in repair["refused"]
    assert [write["document"] for write in repair["writes"]] == ["trust policy"]


@pytest.mark.parametrize("trust", [None, [], 7, "not json", document(EC2) | {"Statement": "x"}])
def test_an_invalid_trust_policy_is_evaluated_and_not_changed(trust: object, remediator: Remediator) -> None:
    record = conforms(remediator("evaluate", stdin=lines(case(role={"trust": trust}))).record)
    assert record["ec2_trust"] in {"missing", "undecided"}
    assert record["repair"]["writes"] == []
    assert record["repair"]["withheld"][0]["because"]


@pytest.mark.parametrize("network", ["vpce-1", {"vpce": "vpce-1"}, {"vpce": "vpce-1", "vpc": "vpc-1"}], ids=json.dumps)
def test_the_way_of_the_requests_is_a_part_of_the_case(network: object, remediator: Remediator) -> None:
    locked = deny(Principal="*", Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})
    given = case(bucket={"policy": document(locked)}, env={"network": network})
    assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"allowed"}
    for env in (None, {}, {"network": "nat"}, {"network": "vpce-2"}):
        given["env"] = env
        assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"blocked"}
    given["env"] = {"network": "unknown"}
    assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"undecided"}


def test_organization_controls_and_context_are_parts_of_the_case(remediator: Remediator) -> None:
    stranger = deny(Principal="*", Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-abc123"}})
    given = case(bucket={"policy": document(stranger)}, env={"org": "o-abc123"})
    assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"allowed"}
    given = case(env={"scp": [[document({**ACCESS, "Action": "ec2:*"})]]})
    assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"blocked"}
    sized = deny(Condition={"NumericGreaterThan": {"aws:Moon": 3}, "StringEquals": {"aws:Full": "true"}})
    given = case(role={"inline": {"data": document(ACCESS, sized)}}, env={"context": {"aws:Moon": 4, "aws:Full": True}})
    assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"blocked"}


def test_a_key_with_no_value_in_the_context_is_not_carried(remediator: Remediator) -> None:
    plain = {**ACCESS, "Condition": {"Null": {"aws:SecureTransport": "true"}}}
    given = case(role={"inline": {"data": document(plain)}})
    assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"missing"}
    given["env"] = {"context": {"aws:SecureTransport": []}}
    assert set(remediator("evaluate", stdin=lines(given)).record["s3"].values()) == {"allowed"}


def test_a_boundary_may_be_given_as_its_document_alone(remediator: Remediator) -> None:
    allowed, limited = ({**ACCESS, "Action": action} for action in ("s3:*", "ec2:*"))
    for boundary, verdict in ((document(allowed), "allowed"), (document(limited), "blocked")):
        record = remediator("evaluate", stdin=lines(case(role={"boundary": boundary}))).record
        assert set(record["s3"].values()) == {verdict}


def test_members_that_no_verdict_depends_on_are_ignored(remediator: Remediator) -> None:
    noted = case(notes=["x"], expected={}, kind=7, role={"name": 1, "path": None, "x": {}}, bucket={"y": []})
    assert remediator("evaluate", stdin=lines(noted)).record == remediator("evaluate", stdin=lines(case())).record


def test_check_ends_with_3_where_a_role_is_not_usable(remediator: Remediator) -> None:
    broken = case(role={"trust": document(LAMBDA)})
    assert remediator("evaluate", "--check", stdin=lines(case())).code == 0
    assert remediator("evaluate", "--check", stdin=lines(case(), broken, case())).code == 3
    assert remediator("evaluate", stdin=lines(broken)).code == 0
    assert remediator("evaluate", "--check", stdin=lines(broken) + b"x\n").code == 2
    assert remediator("evaluate", "--check", stdin=b"x\n" + lines(broken)).code == 2


def test_several_files_and_standard_input_are_read_in_their_order(remediator: Remediator, tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_bytes(lines(case(id="1"), case(id="2")))
    two.write_bytes(lines(case(id="4")).rstrip())
    answer = remediator("evaluate", str(one), "-", str(two), stdin=lines(case(id="3")))
    assert [record["id"] for record in answer.records] == ["1", "2", "3", "4"]


def test_a_role_with_administrator_privileges_is_refused(remediator: Remediator) -> None:
    privileged = document({"Effect": "Allow", "Action": "iam:*", "Resource": "*"})
    record = conforms(remediator("evaluate", stdin=lines(case(role={"inline": {"admin": privileged}}))).record)
    assert "as privileged as an administrator" in record["repair"]["refused"]


def test_json_says_what_is_so_without_it_and_excludes_the_form_for_people(remediator: Remediator) -> None:
    stdin = lines(case(id="1"), case(id="2"))
    assert remediator("evaluate", "--json", stdin=stdin) == remediator("evaluate", stdin=stdin)
    answer = remediator("evaluate", "--json", "--output=text", stdin=stdin)
    assert (answer.code, answer.out) == (2, "")
    assert "--json and --output text exclude each other" in " ".join(answer.err.replace("│", " ").split())
