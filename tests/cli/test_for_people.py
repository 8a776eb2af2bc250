"""``--output text``: a table that survives narrow terminals, old encodings and hostile text."""

from __future__ import annotations

import json
import unicodedata

import pytest

from tests.cases.case import FILES, HERE
from tests.cli.terminal import BUCKET, EC2, KEY, LAMBDA, OTHER_ACCOUNT, Remediator, case, document, lines, run

BROKEN = case(role={"trust": document(LAMBDA), "inline": {}})

EXPECTED = f"""\
head-node  arn:aws:iam::111111111111:role/anyscale/head-node and bucket
{BUCKET}
may                             verdict   because
────────────────────────────────────────────────────────────────────────────────
EC2 assume the role             ok        statement 1 of the trust policy lets
                                          ec2.amazonaws.com assume the role
s3:GetObject                    allowed   statement 1 of inline policy `data`
s3:PutObject                              allows s3:GetObject, s3:PutObject,
s3:DeleteObject                           s3:DeleteObject,
s3:AbortMultipartUpload                   s3:AbortMultipartUpload and
s3:ListMultipartUploadParts               s3:ListMultipartUploadParts on every
                                          object of {BUCKET}
s3:ListBucket                   allowed   statement 1 of inline policy `data`
s3:ListBucketMultipartUploads             allows s3:ListBucket,
s3:GetBucketLocation                      s3:ListBucketMultipartUploads and
                                          s3:GetBucketLocation on {BUCKET}
Nothing to repair.

"""


def words(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def test_a_usable_role_is_a_table_of_reasons() -> None:
    assert run("evaluate", "--output=text", stdin=lines(case()), variables={"COLUMNS": "80"}).out == EXPECTED


def test_a_repair_is_shown_as_a_diff(remediator: Remediator) -> None:
    out = remediator("evaluate", "--output=text", stdin=lines(BROKEN)).out
    assert '  +      "Sid": "AnyscaleRemediatorEC2Trust",\n' in out
    assert '         "Action": "sts:AssumeRole"\n' in out
    out = words(out)
    assert "The repair: write the trust policy (iam:UpdateAssumeRolePolicy; appends one statement):" in out
    assert "write the inline policy AnyscaleRemediatorS3Access (iam:PutRolePolicy; creates it):" in out
    assert "An Allow in the bucket policy or in the role's policies would help." in out


def test_the_smaller_edit_is_shown_with_its_reason(remediator: Remediator) -> None:
    full = document({**LAMBDA, "Sid": "S" * 1_850})
    out = words(remediator("evaluate", "--output=text", stdin=lines(case(role={"trust": full}))).out)
    assert "(iam:UpdateAssumeRolePolicy; the smaller edit, as a new statement would not fit):" in out
    assert "EC2 joins the services of an existing statement, because one more does not fit." in out


def test_a_finding_that_is_not_repaired_is_shown_with_its_write_blocker(remediator: Remediator) -> None:
    stale = {**LAMBDA, "Principal": {"AWS": "AROADELETEDROLE000001"}}
    out = remediator("evaluate", "--output=text", stdin=lines(case(role={"trust": document(stale)}))).out
    assert "Not repaired: trust-missing. EC2 cannot assume the role" in out
    assert "  - Statement 1 of the trust policy names AROADELETEDROLE000001" in out
    key = {"key_arn": KEY, "key_policy": document()}
    out = remediator("evaluate", "--output=text", stdin=lines(case(bucket={"encryption": key}))).out
    assert "Not repaired: key-beyond-role. The role cannot use the KMS key of its bucket, and only" in words(out)
    out = remediator("evaluate", "--output=text", stdin=lines(case(bucket={"account": OTHER_ACCOUNT}))).out
    assert "  - Its owner must add to the bucket policy:\n" in out
    shown = out[out.index("  [\n") : out.rindex("]") + 1]
    assert {statement["Effect"] for statement in json.loads(shown)} == {"Allow"}


def test_a_broken_role_that_would_be_refused_is_reported_as_such(remediator: Remediator) -> None:
    outside = {**LAMBDA, "Principal": {"AWS": OTHER_ACCOUNT}}
    out = remediator("evaluate", "--output=text", stdin=lines(case(role={"trust": document(outside)}))).out
    assert "refuse this role: The statement 1 of the trust policy trusts 222222222222, which is" in words(out)
    out = remediator("evaluate", "--output=text", stdin=lines(case(role={"trust": document(outside, EC2)}))).out
    assert "refuse this role" not in out


@pytest.mark.parametrize("columns", [1, 40, 120])
def test_every_case_fits_every_width(columns: int) -> None:
    answer = run(
        "evaluate", "--output=text", *(str(HERE / name) for name in FILES), variables={"COLUMNS": str(columns)}
    )
    assert (answer.code, answer.err) == (0, "")
    assert max(map(len, answer.out.splitlines())) <= columns
    assert not [line for line in answer.out.splitlines() if line != line.rstrip()]


def test_only_a_terminal_gets_color() -> None:
    stdin = lines(BROKEN)
    assert "\x1b" not in run("evaluate", "--output=text", stdin=stdin).out
    assert "\x1b[" in run("evaluate", "--output=text", stdin=stdin, variables={"FORCE_COLOR": "1", "TERM": "xterm"}).out
    assert "\x1b" not in run("evaluate", "--output=text", stdin=stdin, variables={"NO_COLOR": "1", "TERM": "dumb"}).out


def test_a_terminal_that_knows_ascii_only_gets_ascii() -> None:
    wild = case(id="Café ☕", role={"trust": document({**EC2, "Sid": "Café ☕"})})
    answer = run("evaluate", "--output=text", stdin=lines(wild), variables={"PYTHONIOENCODING": "ascii", "LANG": "C"})
    assert answer.code == 0
    assert answer.out.isascii()
    assert answer.out.startswith("Caf\\xe9 \\u2615  arn:aws:iam::")


def test_foreign_text_is_neither_mark_up_nor_a_control_sequence(remediator: Remediator) -> None:
    hostile = "[red]x[/red] \x1b[31m\r\n\u202e:smile: " + "\ud800" + "[/]"
    trust = document({**EC2, "Sid": hostile}, {**LAMBDA, "Sid": hostile, "Effect": "Deny"})
    broken = case(id=hostile, role={"trust": trust, "inline": {hostile: document({**EC2, "Action": hostile})}})
    for human in ((), ("--output=text",)):
        answer = remediator("evaluate", *human, stdin=lines(broken))
        assert answer.code == 0
        assert not [char for char in answer.out if unicodedata.category(char)[0] == "C" and char != "\n"]
    assert "[red]x[/red]" in answer.out
    assert ":smile:" in answer.out
