"""``remediator explain-event`` says of every event what the router makes of it, in whatever wrapping it comes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.core.events.event import Ignored, parse_event
from remediator.core.events.watched import UNWATCHED, WATCHED, WATCHED_CALLS, Concern
from remediator_cli.commands import explain_event as command
from remediator_cli.evaluation.explanation import NOTHING, Explanation, explain
from remediator_cli.evaluation.records import FoundRecord
from remediator_cli.terminal import json_values, options
from tests.cli.schemas import schema_errors
from tests.cli.terminal import ROOT, Json, Remediator, environment, lines, run
from tests.cli.terminal import command as program

ACCOUNT, OTHER_ACCOUNT = "111122223333", "999988887777"
FILES = sorted((ROOT / "tests" / "events").glob("*.json"))
KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/anyscale/bucket-access"
CONFIGURATION: Json = {
    "enrollmentTag": "acme:role",
    "clouds": {
        "production": {
            "buckets": [
                {"name": "anyscale-production-data", "region": "us-east-1"},
                {"name": "anyscale-production-datasets", "region": "us-west-2", "key": KEY},
            ],
            "roles": ["anyscale/production/*"],
        },
        "research": {
            "buckets": [{"name": "anyscale-production-data", "region": "us-east-1"}],
            "roles": ["anyscale/research/*"],
        },
    },
}


def load(name: str) -> Json:
    event: Json = json.loads((ROOT / "tests" / "events" / f"{name}.json").read_text())
    return event


def named(name: str, **parameters: object) -> Json:
    """The event of a call with other request parameters."""
    event = load(name)
    event["detail"]["requestParameters"] = parameters
    return event


@pytest.fixture
def cdk_json(tmp_path: Path) -> Callable[..., str]:
    """Writes a cdk.json with a configuration, and gives its name."""

    def write(**changes: object) -> str:
        file = tmp_path / "cdk.json"
        file.write_text(json.dumps({"app": "x", "context": {"remediator": {**CONFIGURATION, **changes}}}))
        return str(file)

    return write


CONCERNS = {
    Concern.ROLE: {"role": "head-node"},
    Concern.INSTANCE_PROFILE: {"role": "head-node"},
    Concern.MANAGED_POLICY: {"policy": POLICY},
    Concern.KEY: {"key": KEY},
    Concern.ACCOUNT: {"account": ACCOUNT},
}


def test_every_fixture_is_explained_as_the_router_reads_it(remediator: Remediator) -> None:
    answer = remediator("explain-event", *map(str, FILES))
    assert (answer.code, answer.err, len(answer.records)) == (0, "", len(WATCHED) + len(UNWATCHED))
    for file, record in zip(FILES, answer.records, strict=True):
        event = json.loads(file.read_text())
        detail = event["detail"]
        source, name = detail["eventSource"], detail["eventName"]
        assert list(record) == [
            *("place", "event_id", "call", "account", "region", "concerns", "clouds", "ignored", "next")
        ]
        assert record["place"] == f"{file}:1"
        assert record["event_id"] == detail["eventID"]
        assert record["call"] == f"{source.split('.')[0]}:{name}"
        assert (record["account"], record["region"], record["clouds"]) == (ACCOUNT, event["region"], None)
        if (source, name) in UNWATCHED:
            assert UNWATCHED[source, name] in record["ignored"]
            assert (record["concerns"], record["next"]) == (None, NOTHING)
        else:
            concern = WATCHED[source, name].concern
            bucket = detail["requestParameters"].get("bucketName")
            assert record["concerns"] == ({"bucket": bucket} if concern is Concern.BUCKET else CONCERNS[concern])
            assert record["ignored"] is None
            assert record["next"] != NOTHING


def wrapped(*events: Json) -> dict[str, tuple[bytes, list[str]]]:
    """The events in every wrapping, each with the places of the answers."""
    records = [event["detail"] for event in events]
    looked_up = [
        {"EventId": record["eventID"], "EventTime": 1.5, "CloudTrailEvent": json.dumps(record)} for record in records
    ]
    received = [{"MessageId": "m", "Body": json.dumps(event, indent=1)} for event in events]
    intake = [{"messageId": "m", "body": json.dumps(event), "eventSource": "aws:sqs"} for event in events]
    pretty = [json.dumps(event, indent=4) for event in events]
    one_a_line = [f"<stdin>:{number}" for number in (1, 2, 3)]
    in_one_line = ["<stdin>:1"] * 3

    def listed(name: str) -> list[str]:
        return [f"<stdin>:1 {name}[{index}]" for index in range(3)]

    return {
        "events, one a line": (lines(*events), one_a_line),
        "bare records, one a line": (lines(*records), one_a_line),
        "blank lines and line ends of Windows": (
            b"\xef\xbb\xbf" + b"\r\n \r\n".join(json.dumps(event).encode() for event in events),
            ["<stdin>:1", "<stdin>:3", "<stdin>:5"],
        ),
        "no line ends, as unpacked log files have none": (lines(*records).replace(b"\n", b""), in_one_line),
        "a log file": (lines({"Records": records}), listed("Records")),
        "a log file, printed for people": (json.dumps({"Records": records}, indent=2).encode(), listed("Records")),
        "values printed for people, one after the other": (
            "\n".join(pretty).encode(),
            [f"<stdin>:{1 + sum(len(text.splitlines()) for text in pretty[:index])}" for index in range(3)],
        ),
        "lookup-events": (json.dumps({"Events": looked_up, "NextToken": "x"}, indent=4).encode(), listed("Events")),
        "single results of lookup-events": (lines(*looked_up), one_a_line),
        "receive-message": (json.dumps({"Messages": received}, indent=4).encode(), listed("Messages")),
        "what the router gets": (lines({"Records": intake}), listed("Records")),
        "a list": (json.dumps(events, indent=4).encode(), listed("")),
        "a list of different things": (
            lines([events[0], {"Records": [records[1]]}, [looked_up[2]]]),
            ["<stdin>:1 [0]", "<stdin>:1 [1] Records[0]", "<stdin>:1 [2] [0]"],
        ),
        "one value a line, then over many lines": (
            lines(events[0]) + pretty[1].encode() + b"\n" + lines(events[2]),
            ["<stdin>:1", "<stdin>:2", f"<stdin>:{2 + len(pretty[1].splitlines())}"],
        ),
    }


THREE = (load("PutBucketPolicy"), load("CreateRole"), load("PutBucketAcl"))


@pytest.mark.parametrize("wrapping", wrapped(*THREE))
def test_every_wrapping_gives_the_same_answers(wrapping: str, remediator: Remediator) -> None:
    plain = remediator("explain-event", stdin=lines(*THREE)).records
    stdin, places = wrapped(*THREE)[wrapping]
    answer = remediator("explain-event", stdin=stdin)
    assert (answer.code, answer.err) == (0, "")
    assert [record["place"] for record in answer.records] == places
    assert [record | {"place": ""} for record in answer.records] == [record | {"place": ""} for record in plain]


def test_an_empty_answer_of_aws_has_no_records(remediator: Remediator) -> None:
    for stdin in (b"", b"\n", lines({"Records": []}, {"Events": []}, [])):
        answer = remediator("explain-event", stdin=stdin)
        assert (answer.code, answer.out, answer.err) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "clouds", "then"),
    [
        ("DeleteBucket", ["production", "research"], "of the clouds production and research."),
        ("PutBucketPolicy", ["production"], "of the cloud production."),
        ("DisableKey", ["production"], "of the cloud production."),
        ("PutAccountPublicAccessBlock", ["production", "research"], "of the clouds production and research."),
    ],
)
def test_the_configuration_says_to_which_clouds_a_call_leads(
    name: str, clouds: list[str], then: str, remediator: Remediator, cdk_json: Callable[..., str]
) -> None:
    record = remediator("explain-event", "--settings", cdk_json(), stdin=lines(load(name))).record
    assert (record["clouds"], record["ignored"]) == (clouds, None)
    assert record["next"] == f"A sweep checks every enrolled role {then}"


def test_a_bucket_or_key_that_is_not_configured_is_ignored_and_still_named(
    remediator: Remediator, cdk_json: Callable[..., str]
) -> None:
    bucket, key = named("DeleteBucket", bucketName="acme-other"), load("DisableKey")
    key["detail"]["resources"][0]["ARN"] = KEY.replace("1234abcd", "dcba4321")
    first, second = remediator("explain-event", "--settings", cdk_json(), stdin=lines(bucket, key)).records
    assert first["concerns"] == {"bucket": "acme-other"}
    assert (first["clouds"], first["ignored"]) == ([], "bucket acme-other is not in the configuration")
    assert second["ignored"] == f"key {KEY.replace('1234abcd', 'dcba4321')} is not in the configuration"
    assert first["next"] == second["next"] == NOTHING


def test_without_the_configuration_it_is_said_what_would_decide(remediator: Remediator) -> None:
    names = ("DeleteBucket", "DisableKey", "DeleteAccountPublicAccessBlock", "TagRole", "SetDefaultPolicyVersion")
    bucket, key, account, role, policy = remediator("explain-event", stdin=lines(*map(load, names))).records
    assert bucket["next"].startswith("If the bucket anyscale-production-data is in the configuration, a sweep checks")
    assert key["next"].startswith(f"If the key {KEY} is in the configuration, a sweep checks")
    assert account["next"] == "A sweep checks every enrolled role."
    assert role["next"].startswith(
        "The router reads the role head-node. If it carries the enrollment tag, which is not"
    )
    assert policy["next"].startswith(f"The router reads each role that {POLICY} is attached to, or that it bounds. If")


def test_of_a_role_it_is_said_that_the_tag_decides_and_is_not_known(
    remediator: Remediator, cdk_json: Callable[..., str]
) -> None:
    stdin = lines(load("PutRolePolicy"), load("DeleteInstanceProfile"))
    role, of_profile = remediator("explain-event", "--settings", cdk_json(), stdin=stdin).records
    assert role["clouds"] is None
    assert "If it carries the tag acme:role, which is not known offline" in role["next"]
    assert "the role head-node, which has the name of the instance profile." in of_profile["next"]


def test_an_event_of_a_region_without_a_rule_is_reported_as_such(
    remediator: Remediator, cdk_json: Callable[..., str]
) -> None:
    far, global_service = load("PutAccountPublicAccessBlock"), load("TagRole")
    far["detail"]["awsRegion"] = "eu-west-1"
    global_service["detail"]["awsRegion"] = "us-west-2"
    first, second = remediator("explain-event", "--settings", cdk_json(), stdin=lines(far, global_service)).records
    assert first["ignored"] == "no rule listens in eu-west-1, only in us-east-1 and us-west-2"
    assert second["ignored"] == "no rule listens in us-west-2, only in us-east-1"
    assert first["next"] == second["next"] == NOTHING
    assert second["concerns"] == {"role": "head-node"}


def test_the_account_is_the_one_asked_for_else_the_configured_one_else_the_records_own(
    remediator: Remediator, cdk_json: Callable[..., str]
) -> None:
    def ignored(*arguments: str, event: Json) -> Any:
        return remediator("explain-event", *arguments, stdin=lines(event)).record["ignored"]

    for event in (load("TagRole"), load("TagRole")["detail"]):
        other = f"it belongs to account {ACCOUNT}, and this deployment manages {OTHER_ACCOUNT}"
        assert ignored(event=event) is None
        assert ignored("--account", OTHER_ACCOUNT, event=event) == other
        assert ignored("--settings", cdk_json(account=OTHER_ACCOUNT), event=event) == other
        assert ignored("--settings", cdk_json(account=OTHER_ACCOUNT), "--account", ACCOUNT, event=event) is None


def test_an_old_record_that_does_not_say_its_account_needs_it_said(remediator: Remediator) -> None:
    record = load("TagRole")["detail"]
    del record["recipientAccountId"]
    answer = remediator("explain-event", stdin=lines(record))
    assert (answer.code, answer.out) == (2, "")
    assert "neither `account` nor `recipientAccountId` says where" in answer.err
    assert remediator("explain-event", "--account", ACCOUNT, stdin=lines(record)).record["account"] == ACCOUNT


def test_failed_and_forged_events_are_explained(remediator: Remediator) -> None:
    failed, forged = load("PutRolePolicy"), load("PutRolePolicy")
    failed["detail"].update(errorCode="AccessDenied", requestParameters=None)
    forged["source"] = "com.example"
    one, bare, other = remediator("explain-event", stdin=lines(failed, failed["detail"], forged)).records
    assert one["ignored"] == bare["ignored"] == "the call failed with AccessDenied"
    assert other["ignored"].startswith("it was not published by AWS")


def test_unwatched_calls_are_explained(remediator: Remediator) -> None:
    notified = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "us-east-1"}]}
    (record,) = remediator("explain-event", stdin=lines(notified)).records
    assert record["call"] == "aws:s3:ObjectCreated:Put"
    assert record["ignored"] == "ObjectCreated:Put of aws:s3 is not a watched call"
    assert (record["event_id"], record["account"], record["concerns"]) == (None, None, None)


def complaint(remediator: Remediator, bad: bytes) -> str:
    """What is said of a bad line between two good ones, which are answered."""
    good = lines(load("TagRole"))
    answer = remediator("explain-event", stdin=good + bad + b"\n" + good)
    assert [record["place"] for record in answer.records] == ["<stdin>:1", "<stdin>:3"]
    assert answer.code == 2
    place, _, why = answer.err.partition(": ")
    assert place.startswith("<stdin>:2")
    assert why.count("\n") == 1
    return why.strip()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"hello", "is not JSON: Expecting value (column 1)"),
        (b"{", "is not JSON: Expecting property name enclosed in double quotes (line 3, column 1)"),
        (b'{"detail": {"eventName": "TagR', "is not JSON: Unterminated string starting at (column 26)"),
        (
            b'{"detail": {"eventName": "TagRole",',
            "is not JSON: Expecting property name enclosed in double quotes (line",
        ),
        (b'{"Records": [', "is not JSON: Expecting ',' delimiter (line 4, column 1)"),
        (b'{"a": NaN}', "is not JSON: NaN is not a JSON value"),
        (b'{"detail": {}, "detail": {}}', 'has the key "detail" twice in one object'),
        (b'{"detail": ' + b"9" * 5_000 + b"}", "holds a number with too many digits"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"detail": "\xff"}', "is not UTF-8: byte 0xff cannot be read"),
        (b"7", "is neither an EventBridge event nor a CloudTrail record"),
        (b'"' + b"x" * 1_000_000 + b'"', "is neither an EventBridge event nor a CloudTrail record"),
        (b'{"Records": {}}', "is neither an EventBridge event nor a CloudTrail record"),
        (b'{"Records": [7]}', "is neither an EventBridge event nor a CloudTrail record"),
        (b'{"CloudTrailEvent": "{"}', "CloudTrailEvent is not JSON: Expecting property name"),
        (b'{"Body": "hello"}', "Body is not JSON: Expecting value (column 1)"),
        (b'{"detail": null}', "the event's `detail` is missing or null, not a JSON object; the router leaves such an"),
        (b'{"detail-type": "x"}', "the event's `detail` is missing or null, not a JSON object; the router leaves such"),
        (b'{"eventSource": 1, "eventName": []}', "the event's detail names no call"),
        (json.dumps(named("TagRole")).encode(), "TagRole succeeded, but its `requestParameters.roleName` is not the"),
        (
            json.dumps(named("TagRole", roleName="\x1b[31m" * 9_000)).encode(),
            "TagRole succeeded, but its `requestParameters.roleName` is not the name of a role; the router leaves such",
        ),
    ],
    ids=lambda value: value[:40].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_what_cannot_be_read_is_reported_with_its_place_and_costs_no_other_its_answer(
    bad: bytes, said: str, remediator: Remediator
) -> None:
    why = complaint(remediator, bad)
    assert why.startswith(said)
    assert len(why) < 250


def test_the_place_of_a_bad_record_in_a_log_file_is_reported(remediator: Remediator) -> None:
    good = load("TagRole")["detail"]
    answer = remediator("explain-event", stdin=lines({"Records": [good, {**good, "requestParameters": None}, 7, good]}))
    assert [record["place"] for record in answer.records] == ["<stdin>:1 Records[0]", "<stdin>:1 Records[3]"]
    one, other = answer.err.splitlines()
    assert one.startswith("<stdin>:1 Records[1]: TagRole succeeded, but its `requestParameters` are missing or null;")
    assert other.startswith("<stdin>:1 Records[2]: is neither")


def test_a_value_over_many_lines_with_a_mistake_is_one_fault(remediator: Remediator) -> None:
    text = json.dumps({"Records": [load("TagRole")["detail"]]}, indent=2).replace('"TagRole",', '"TagRole"')
    answer = remediator("explain-event", stdin=text.encode())
    number = 2 + text[: text.index('"TagRole"')].count("\n")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"<stdin>:1: is not JSON: Expecting ',' delimiter (line {number}, column 7)\n"


def test_reading_ends_where_nothing_is_json_over_many_lines(remediator: Remediator) -> None:
    answer = remediator("explain-event", stdin=b"{\n" + b"{x\n" * 5_000)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 101
    assert answer.err.splitlines()[-1].startswith("<stdin>:100: is the last of 100 places that cannot be read")


def test_a_text_without_measure_is_passed_over(remediator: Remediator, monkeypatch: pytest.MonkeyPatch) -> None:
    long = named("TagRole", roleName="head-node", notes="x" * 1_000_000)
    assert remediator("explain-event", stdin=lines(long)).code == 0
    monkeypatch.setattr(json_values, "LONGEST_TEXT", 100_000)
    for stdin in (lines(long), json.dumps(long, indent=2).encode()):
        answer = remediator("explain-event", stdin=stdin)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("<stdin>:1: is longer than 0 MiB")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_reported_once(encoding: str, remediator: Remediator) -> None:
    text = json.dumps(named("TagRole", roleName="Café"), indent=2, ensure_ascii=False)
    answer = remediator("explain-event", stdin=text.encode(encoding))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)


def test_files_that_cannot_be_read_are_reported_and_the_others_answered(remediator: Remediator, tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    answer = remediator("explain-event", str(missing), str(tmp_path), str(FILES[0]))
    assert (answer.code, len(answer.records)) == (2, 1)
    assert answer.err.splitlines() == [
        f"{missing}: no such file",
        f"{tmp_path}: is a directory; expected a file with JSON",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "the file is not JSON: Expecting property name enclosed in double quotes (column 2)"),
        ("{}", 'the configuration: the key "clouds" is missing'),
        ('{"context": {}}', 'the key "remediator" is missing under "context"'),
        ('{"context": []}', 'the key "remediator" is missing under "context"'),
        ('{"context": {"remediator": 7}}', "the configuration: found 7; needed is an object"),
        ('{"clouds": {}, "clouds": {}}', 'the file has the key "clouds" twice in one object'),
    ],
)
def test_a_configuration_that_is_wrong_is_a_wrong_call(
    text: str, said: str, remediator: Remediator, tmp_path: Path
) -> None:
    file = tmp_path / "cdk.json"
    file.write_text(text)
    answer = remediator("explain-event", "--settings", str(file), stdin=lines(load("TagRole")))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"{file}: {said}")


def test_every_fault_of_the_configuration_is_reported(remediator: Remediator, cdk_json: Callable[..., str]) -> None:
    answer = remediator("explain-event", "--settings", cdk_json(region="mars", emails=7), stdin=b"")
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 2


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_configuration_that_cannot_be_read_is_reported(name: str, remediator: Remediator, tmp_path: Path) -> None:
    answer = remediator("explain-event", "--settings", f"{tmp_path}/{name}", stdin=b"")
    assert (answer.code, answer.out) == (2, "")
    assert ": the file cannot be read: " in answer.err


def test_a_configuration_that_is_not_utf_8_is_reported(remediator: Remediator, tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_bytes(b"\xff")
    answer = remediator("explain-event", "--settings", str(tmp_path / "cdk.json"), stdin=b"")
    assert (answer.code, answer.err) == (2, f"{tmp_path / 'cdk.json'}: the file is not UTF-8\n")


def test_the_configuration_may_be_a_file_of_its_own_and_the_repositorys_is_understood(
    remediator: Remediator, tmp_path: Path
) -> None:
    alone = tmp_path / "remediator.json"
    alone.write_text(json.dumps(CONFIGURATION))
    for file in (alone, ROOT / "cdk.json"):
        answer = remediator("explain-event", "--settings", str(file), stdin=lines(load("PutAccountPublicAccessBlock")))
        assert len(answer.record["clouds"]) == 2


@pytest.mark.parametrize("account", ["1", "111122223333\n", "\u0661" * 12, "my-account"])
def test_an_account_has_twelve_digits(account: str, remediator: Remediator) -> None:
    answer = remediator("explain-event", "--account", account, stdin=lines(load("TagRole")))
    assert (answer.code, answer.out) == (2, "")
    assert "12 digits" in answer.err


def test_a_terminal_without_piped_input_is_an_error_with_a_remedy(
    remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_is_terminal", lambda: True)
    answer = remediator("explain-event")
    assert answer.code == 2
    assert "name a file, or pipe events in" in answer.err


def test_a_bug_on_one_record_affects_no_other_and_is_no_traceback(
    remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(found: FoundRecord, **known: Any) -> Explanation:
        if found.place == "<stdin>:2":
            raise KeyError("surprise")
        return explain(found, **known)

    monkeypatch.setattr(command, "explain", faulty)
    answer = remediator("explain-event", stdin=lines(*[load("TagRole")] * 3))
    assert [record["place"] for record in answer.records] == ["<stdin>:1", "<stdin>:3"]
    assert answer.code == 1
    assert answer.err == "<stdin>:2: this is a bug in the program: KeyError: 'surprise'\n"


EXPECTED = f"""\
s3:PutBucketPolicy  {THREE[0]["detail"]["eventID"]}  111122223333
us-west-2  <stdin>:1
concerns  bucket anyscale-production-datasets
next      A sweep checks every enrolled role of the cloud production.

s3:PutBucketAcl  {THREE[2]["detail"]["eventID"]}  111122223333  us-east-1
<stdin>:2
ignored  PutBucketAcl of s3.amazonaws.com is not a watched call: within an
         account access is decided by policies; ACLs are not evaluated
next     Nothing happens.

"""


def test_an_answer_as_text_is_a_few_lines(cdk_json: Callable[..., str]) -> None:
    stdin = lines(THREE[0], THREE[2])
    arguments = ("explain-event", "--output=text", "--settings", cdk_json())
    assert run(*arguments, stdin=stdin, variables={"COLUMNS": "80"}).out == EXPECTED


@pytest.mark.parametrize("columns", [1, 40, 120])
def test_every_fixture_fits_every_width(columns: int) -> None:
    answer = run("explain-event", "--output=text", *map(str, FILES), variables={"COLUMNS": str(columns)})
    assert (answer.code, answer.err) == (0, "")
    assert max(map(len, answer.out.splitlines())) <= columns


def test_foreign_text_is_neither_mark_up_nor_a_control_sequence(remediator: Remediator) -> None:
    hostile = "[red]x[/red] \x1b[31m\r\n\u202e:smile: " + "\ud800" + "[/]"
    event = load("TagRole")
    event["detail"].update(eventName=hostile, eventID=hostile, awsRegion=hostile, recipientAccountId=hostile)
    for human in ((), ("--output=text",)):
        answer = remediator("explain-event", *human, stdin=lines(event))
        assert answer.code == 0
        assert not [char for char in answer.out if unicodedata.category(char)[0] == "C" and char != "\n"]
        assert "[red]x[/red]" in answer.out


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Records", "Events", "Body", "detail", "eventName", "eventSource"]), inner)
    ),
    max_leaves=10,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), call=st.sampled_from(WATCHED_CALLS))
def test_whatever_is_changed_in_an_event_the_answer_is_the_routers(
    data: st.DataObject, call: Any, remediator: Remediator
) -> None:
    event = load(call.name)
    place = data.draw(st.sampled_from([event, event["detail"], event["detail"]["requestParameters"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(ANY_JSON)
    answer = remediator("explain-event", "--account", ACCOUNT, stdin=lines(event))
    assert "fault of this program" not in answer.err
    if answer.code == 0 and isinstance(event.get("detail"), dict):
        trigger = parse_event(event, account=ACCOUNT)
        assert answer.record["ignored"] == (trigger.why if isinstance(trigger, Ignored) else None)
    else:
        assert answer.code == 2


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(st.sampled_from([*'{}[]",:\n \\', '"Records"', '"detail"', "null", "\xff", "1"])).map("".join))
def test_whatever_the_input_is_there_are_answers_or_complaints(text: str, remediator: Remediator) -> None:
    answer = remediator("explain-event", stdin=text.encode("latin-1"))
    assert answer.code in {0, 2}
    assert "fault of this program" not in answer.err
    assert (answer.code == 2) == bool(answer.err)


def test_help_has_the_examples(remediator: Remediator) -> None:
    assert "explain-event" in remediator("--help").out
    helped = remediator("explain-event", "--help")
    assert helped.code == 0
    for example in command.EXAMPLES.strip().splitlines():
        assert example in helped.out


def test_explaining_imports_no_sdk_and_opens_no_connection() -> None:
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a connection')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        f"sys.argv = ['remediator', 'explain-event', '--settings', {str(ROOT / 'cdk.json')!r}, {str(FILES[0])!r}]\n"
        "from remediator_cli.app import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    ran = subprocess.run(  # this interpreter and a script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment()
    )
    imported = {name.partition(".")[0] for name in ran.stderr.split()}
    assert "remediator_cli" in imported
    assert not imported & {"boto3", "botocore", "aws_lambda_powertools", "urllib3", "aws_cdk"}


def test_a_line_is_answered_before_the_next_one_comes() -> None:
    with subprocess.Popen(
        [*program(), "explain-event"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        patience = threading.Timer(30, running.kill)
        patience.start()
        for number in (1, 2):
            running.stdin.write(lines(load("TagRole")))
            running.stdin.flush()
            assert running.stdout.readline().startswith(f'{{"place": "<stdin>:{number}"'.encode())
        running.stdin.close()
        assert running.wait() == 0
        patience.cancel()


def test_a_call_on_an_instance_profile_of_another_name_names_the_role_of_that_name_too(remediator: Remediator) -> None:
    event = load("RemoveRoleFromInstanceProfile")
    event["detail"]["requestParameters"]["instanceProfileName"] = "worker"
    answer = remediator("explain-event", "-", stdin=json.dumps(event).encode())
    assert (
        "the role head-node, and the role worker, which has the name of the instance profile" in answer.record["next"]
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_answer_has_the_published_form(file: Path, remediator: Remediator, cdk_json: Callable[..., str]) -> None:
    for arguments in ((), ("--settings", cdk_json())):
        answer = remediator("explain-event", "--json", *arguments, str(file))
        assert [schema_errors("explanation", each) for each in answer.records] == [[]] * len(answer.records)
        assert answer == remediator("explain-event", *arguments, str(file))


def test_json_excludes_the_form_for_people(remediator: Remediator) -> None:
    answer = remediator("explain-event", "--json", "--output=text", str(FILES[0]))
    assert (answer.code, answer.out) == (2, "")
    assert "--json and --output text exclude each other" in " ".join(answer.err.replace("│", " ").split())
