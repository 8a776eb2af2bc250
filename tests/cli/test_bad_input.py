"""What cannot be read is reported by file and line, and costs no other line its answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from remediator_cli.commands import evaluate as command
from remediator_cli.evaluation.cases import Case, read_case
from remediator_cli.terminal import json_lines, options
from tests.cli.terminal import Json, Remediator, case, document, lines, without

FULL: Json = case(
    role={
        "managed": [{"arn": "arn:aws:iam::aws:policy/X", "document": document()}],
        "boundary": {"arn": "arn:aws:iam::111111111111:policy/L", "document": document()},
        "tags": {"team": "x"},
    },
    bucket={
        "encryption": {"sse": "aws:kms", "key_arn": "arn", "aws_managed": True},
        "bpa": {"BlockPublicPolicy": True},
    },
    env={"org": "o-1", "scp": [[document()]], "context": {"aws:X": ["1"]}, "network": "nat"},
)
NEEDED = [
    *("id", "role", "bucket", "bucket.name", "bucket.account", "bucket.region", "bucket.policy"),
    *("role.arn", "role.role_id", "role.trust", "role.inline", "role.managed", "role.boundary", "role.tags"),
    *("role.boundary.arn", "role.boundary.document"),
]


def changed(path: str, value: object) -> Json:
    """A full case with another value at a path such as ``env.scp.0``."""
    changed = case(**json.loads(json.dumps(FULL)))
    inner: Any = changed
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        inner = inner[part]
    inner[last] = value
    return changed


def complaint(remediator: Remediator, line: bytes) -> str:
    """What is said of a bad line between two good ones, which are answered."""
    good = lines(case(id="first")), lines(case(id="last"))
    answer = remediator("evaluate", stdin=good[0] + line + b"\n" + good[1])
    assert [record["id"] for record in answer.records] == ["first", "last"]
    assert answer.code == 2
    place, _, why = answer.err.partition(": ")
    assert place == "<stdin>:2"
    assert why.endswith("\n")
    assert why.count("\n") == 1
    return why.strip()


def test_the_full_case_is_fine(remediator: Remediator) -> None:
    answer = remediator("evaluate", stdin=lines(FULL))
    assert (answer.code, answer.err, len(answer.records)) == (0, "", 1)


@pytest.mark.parametrize("path", NEEDED)
def test_what_a_verdict_depends_on_must_be_there(path: str, remediator: Remediator) -> None:
    bad = without(json.loads(json.dumps(FULL)), path)
    assert complaint(remediator, json.dumps(bad).encode()) == f"{path} is missing"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("id", 7, "id: found 7; expected a string"),
        ("id", "", "id is empty"),
        ("role", [], "role: found a list of 0; expected an object"),
        ("role/arn", "arn:aws:iam::1:user/x", "role.arn: 'arn:aws:iam::1:user/x' is not the ARN of an IAM role"),
        ("role/role_id", None, "role.role_id: found null; expected a string"),
        ("role/tags", ["x"], "role.tags: found a list of 1; expected an object"),
        ("role/tags", {"team": 1}, "role.tags.team: found 1; expected a string"),
        ("role/inline", [], "role.inline: found a list of 0; expected an object"),
        ("role/inline", {"p": None}, "role.inline.p: found null; expected a policy document"),
        ("role/managed", {}, "role.managed: found an object; expected a list"),
        ("role/managed", ["x"], 'role.managed[0]: found "x"; expected an object'),
        ("role/managed/0", {"arn": "x"}, "role.managed[0].document is missing"),
        ("role/managed/0/arn", 1, "role.managed[0].arn: found 1; expected a string"),
        ("role/managed/0/document", None, "role.managed[0].document: found null; expected a policy document"),
        ("role/boundary", "x", 'role.boundary: found "x"; expected an object'),
        ("role/boundary/document", None, "role.boundary.document: found null; expected a policy document"),
        ("bucket", None, "bucket: found null; expected an object"),
        ("bucket/name", "", "bucket.name is empty"),
        ("bucket/account", "1", 'bucket.account: found "1"; expected the 12 digits of an account'),
        ("bucket/account", "\u0661" * 12, "bucket.account: found "),
        ("bucket/region", 1, "bucket.region: found 1; expected a string"),
        ("bucket/encryption", "x", 'bucket.encryption: found "x"; expected an object'),
        ("bucket/encryption/sse", 1, "bucket.encryption.sse: found 1; expected a string"),
        ("bucket/encryption/key_arn", {}, "bucket.encryption.key_arn: found an object; expected a string"),
        ("bucket/encryption/aws_managed", "yes", 'bucket.encryption.aws_managed: found "yes"; expected true or false'),
        ("bucket/bpa", [], "bucket.bpa: found a list of 0; expected an object"),
        ("bucket/bpa/BlockPublicPolicy", 1, "bucket.bpa.BlockPublicPolicy: found 1; expected true or false"),
        ("bucket/bpa/RestrictPublicBuckets", "", 'bucket.bpa.RestrictPublicBuckets: found ""; expected true or false'),
        ("env", "x", 'env: found "x"; expected an object'),
        ("env/org", 1, "env.org: found 1; expected a string"),
        ("env/scp", {}, "env.scp: found an object; expected a list"),
        ("env/scp/0", {}, "env.scp[0]: found an object; expected a list"),
        ("env/scp/0/0", None, "env.scp[0][0]: found null; expected a policy document"),
        ("env/scp/0/0", 1, "env.scp[0][0]: The policy is a number, not a JSON object."),
        ("env/context", [], "env.context: found a list of 0; expected an object"),
        ("env/context/aws:X", None, "env.context.aws:X: found null; expected a string"),
        ("env/context/aws:X", [["1"]], "env.context.aws:X: found a list of 1; expected a string"),
        (
            "env/network",
            "vpn",
            'env.network: found "vpn"; expected "nat", "unknown", the id of a VPC endpoint, or an object',
        ),
        ("env/network", {"vpn": "x"}, "env.network: found an object; expected"),
        ("env/network", {"vpce": 1}, "env.network.vpce: found 1; expected a string"),
        ("id", ["\x1b[31m" * 50], "id: found a list of 1; expected a string"),
        ("bucket/encryption", "\x1b[31m" * 50, 'bucket.encryption: found "\\u001b[31m'),
    ],
)
def test_a_member_of_the_wrong_kind_is_named(path: str, value: object, said: str, remediator: Remediator) -> None:
    why = complaint(remediator, json.dumps(changed(path, value)).encode())
    assert why.startswith(said)
    assert len(why) < 200


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "is not JSON: Expecting property name enclosed in double quotes (column 2)"),
        (b'{"id": "x"} {}', "is not JSON: Extra data (column 13)"),
        (b'{"id": NaN}', "is not JSON: NaN is not a JSON value"),
        (b'{"id": "a", "id": "b"}', 'has the key "id" twice in one object'),
        (b'{"id": ' + b"9" * 5_000 + b"}", "holds a number with too many digits"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "id is missing"),
        (b'{"id": "\xff"}', "is not UTF-8: byte 9 cannot be read"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8: byte 1 cannot be read"),
        (b"[]", "found a list of 0; expected a JSON object with id, role and bucket"),
        (b"null", "found null; expected a JSON object with id, role and bucket"),
        (b'"' + b"x" * 10_000_000, "is not JSON: Unterminated string starting at (column 1)"),
        (b'"' + b"x" * 10_000_000 + b'"', 'found "xxxxxxx'),
    ],
    ids=lambda value: value[:30].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_a_line_that_is_no_case_is_reported(line: bytes, said: str, remediator: Remediator) -> None:
    why = complaint(remediator, line)
    assert why.startswith(said)
    assert len(why) < 200


def test_a_long_line_is_answered_and_one_without_measure_is_passed_over(
    remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = case(id="long", notes="x" * 10_000_000)
    assert remediator("evaluate", stdin=lines(long)).record["id"] == "long"
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 1024**2)
    assert complaint(remediator, b"x" * 5_000_000) == "is longer than 1 MiB"
    exactly = json.dumps(case(notes="")).encode()
    exactly = exactly.replace(b'"notes": ""', b'"notes": "' + b"x" * (1024**2 - len(exactly)) + b'"')
    assert remediator("evaluate", stdin=exactly + b"\n" + lines(case())).code == 0
    assert remediator("evaluate", stdin=exactly + b" \n" + lines(case())).code == 2
    assert remediator("evaluate", stdin=exactly + b" ").code == 2


def test_blank_lines_and_byte_order_marks_are_passed_over_and_lines_counted_all_the_same(
    remediator: Remediator,
) -> None:
    stdin = (
        b"\xef\xbb\xbf" + lines(case(id="1")) + b"\n  \t\r\n\xef\xbb\xbf" + lines(case(id="2")).replace(b"\n", b"\r\n")
    )
    answer = remediator("evaluate", stdin=stdin + b"x")
    assert [record["id"] for record in answer.records] == ["1", "2"]
    assert answer.err.startswith("<stdin>:5: is not JSON")


def test_no_input_has_no_answer(remediator: Remediator) -> None:
    answer = remediator("evaluate", stdin=b"")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_files_that_cannot_be_read_are_reported_and_the_others_answered(remediator: Remediator, tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    good.write_bytes(lines(case(id="good")))
    missing, folder, too_long = tmp_path / "missing.jsonl", tmp_path, tmp_path / ("x" * 300)
    answer = remediator("evaluate", str(missing), str(folder), str(too_long), "\0", str(good))
    assert answer.code == 2
    assert answer.record["id"] == "good"
    assert answer.err.splitlines() == [
        f"{missing}: no such file",
        f"{folder}: is a directory; expected a file of JSON lines",
        f"{too_long}: cannot be read: File name too long",
        " : is not a valid file name",
    ]


def test_a_file_without_read_permission_is_reported(
    remediator: Remediator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # root may read everything, whatever the mode
    answer = remediator("evaluate", "secret.jsonl")
    assert (answer.code, answer.err) == (2, "secret.jsonl: cannot be read: Permission denied\n")


def test_the_place_of_a_fault_is_the_file_and_the_line(remediator: Remediator, tmp_path: Path) -> None:
    file = tmp_path / "roles.jsonl"
    file.write_bytes(lines(case(), {}))
    answer = remediator("evaluate", str(file))
    assert (answer.code, answer.err) == (2, f"{file}:2: id is missing\n")


def test_a_terminal_without_piped_input_is_an_error_with_a_remedy(
    remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_is_terminal", lambda: True)
    answer = remediator("evaluate")
    assert answer.code == 2
    assert "name a file, or pipe cases in" in answer.err


def test_a_bug_on_one_line_affects_no_other_and_is_no_traceback(
    remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(value: Json) -> Case:
        if value["id"] == "second":
            raise KeyError("surprise")
        return read_case(value)

    monkeypatch.setattr(command, "read_case", faulty)
    answer = remediator("evaluate", stdin=lines(*(case(id=name) for name in ("first", "second", "third"))))
    assert [record["id"] for record in answer.records] == ["first", "third"]
    assert answer.code == 1
    assert re.fullmatch(r"<stdin>:2: .*a bug in the program: KeyError: 'surprise'\n", answer.err)
