"""The embedded AWS does what the demo and the other end-to-end tests believe of it.

Much of it rests on private names of ministack, so this is also what has to pass before its version may change.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from demo.deployment import DeploymentError, deploy
from demo.embedded import ROOT, Credentials, EmbeddedAws, EmbeddedAwsError, allow, policy_document
from demo.embedded_aws import ACCOUNT, MINISTACK, REGION
from tests.e2e.functions import TRUST_LAMBDA, make_function
from tests.e2e.trail import Trail, eventually, unique

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

pytestmark = pytest.mark.embedded

PROJECT = Path(__file__).resolve().parents[2]
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
LIST_NOTHING = json.dumps(policy_document(allow("s3:ListBucket", "arn:aws:s3:::nothing")))

# What Lambda's runtime and this machine's AWS put into a function's environment; nothing else may be there.
OF_THE_RUNTIME = re.compile(
    r"AWS_\w+|_HANDLER|_X_AMZN_TRACE_ID|LAMBDA_TASK_ROOT|LANG|LC_CTYPE|LD_LIBRARY_PATH|PATH|PWD|TMPDIR|TZ"
    r"|SSL_CERT_FILE"  # on AWS a function trusts the world's authorities; in here, that of the Slack in here
)


@pytest.fixture(scope="module")
def trail(embedded_aws: EmbeddedAws) -> Trail:
    return Trail(embedded_aws, REGION)


@pytest.fixture(scope="module")
def alice(embedded_aws: EmbeddedAws) -> Credentials:
    """A person who may do everything with IAM, and nothing else."""
    return embedded_aws.user("alice", policy_document(allow("iam:*", "*")))


@pytest.fixture
def iam(embedded_aws: EmbeddedAws, alice: Credentials) -> IAMClient:
    client: IAMClient = embedded_aws.client("iam", alice)
    return client


@pytest.fixture
def role(embedded_aws: EmbeddedAws) -> str:
    """The name of a role with an inline policy, an attached policy and a tag, made by the account's root user."""
    root: IAMClient = embedded_aws.client("iam")
    role = unique("role")
    root.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST_LAMBDA, Tags=[{"Key": "old", "Value": "1"}])
    root.put_role_policy(RoleName=role, PolicyName="Old", PolicyDocument=LIST_NOTHING)
    root.attach_role_policy(RoleName=role, PolicyArn=READ_ONLY)
    return role


# --- CloudTrail and EventBridge ---

CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "UpdateAssumeRolePolicy": ({"PolicyDocument": TRUST_LAMBDA}, {"policyDocument": TRUST_LAMBDA}),
    "TagRole": (
        {"Tags": [{"Key": "team", "Value": "a=b + c"}, {"Key": "empty", "Value": ""}]},
        {"tags": [{"key": "team", "value": "a=b + c"}, {"key": "empty", "value": ""}]},
    ),
    "UntagRole": ({"TagKeys": ["old", "other"]}, {"tagKeys": ["old", "other"]}),
    "PutRolePolicy": (
        {"PolicyName": "New", "PolicyDocument": LIST_NOTHING},
        {"policyName": "New", "policyDocument": LIST_NOTHING},
    ),
    "DeleteRolePolicy": ({"PolicyName": "Old"}, {"policyName": "Old"}),
    "AttachRolePolicy": ({"PolicyArn": READ_ONLY}, {"policyArn": READ_ONLY}),
    "DetachRolePolicy": ({"PolicyArn": READ_ONLY}, {"policyArn": READ_ONLY}),
}


@pytest.mark.parametrize("call", CHANGES)
def test_a_change_to_a_role_arrives_on_the_default_bus_as_its_cloudtrail_record(
    call: str, iam: IAMClient, alice: Credentials, role: str, trail: Trail
) -> None:
    asked, expected = CHANGES[call]
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", call).lower()
    getattr(iam, method)(RoleName=role, **asked)

    event = trail.event(call, userIdentity=identity_of(alice), requestParameters={"roleName": role, **expected})

    assert (event["source"], event["detail-type"]) == ("aws.iam", "AWS API Call via CloudTrail")
    assert (event["account"], event["region"], event["resources"]) == (ACCOUNT, REGION, [])
    detail = event["detail"]
    assert detail["eventSource"] == "iam.amazonaws.com"
    assert (detail["awsRegion"], detail["recipientAccountId"]) == (REGION, ACCOUNT)
    assert detail["responseElements"] is None
    assert detail["readOnly"] is False
    assert detail["managementEvent"] is True
    assert detail["sourceIPAddress"] == "127.0.0.1"
    assert detail["userAgent"].startswith("Boto3/")
    assert not detail.keys() & {"errorCode", "errorMessage"}
    assert uuid.UUID(detail["eventID"]) != uuid.UUID(detail["requestID"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", detail["eventTime"])


def identity_of(user: Credentials, user_name: str = "alice") -> Mapping[str, object]:
    class Anything:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, str) and other.startswith("AIDA")

        __hash__ = None  # type: ignore[assignment] # equal to many, so it has no hash

    return {
        "type": "IAMUser",
        "principalId": Anything(),
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{user_name}",
        "accountId": ACCOUNT,
        "accessKeyId": user.access_key_id,
        "userName": user_name,
    }


def test_a_created_role_is_recorded_with_its_tags_and_its_url_encoded_document(iam: IAMClient, trail: Trail) -> None:
    role = unique("created")
    iam.create_role(
        RoleName=role,
        Path="/anyscale/",
        AssumeRolePolicyDocument=TRUST_LAMBDA,
        MaxSessionDuration=7200,
        Tags=[{"Key": "team", "Value": "ml"}],
    )

    detail = trail.detail(
        "CreateRole",
        requestParameters={
            "path": "/anyscale/",
            "roleName": role,
            "assumeRolePolicyDocument": TRUST_LAMBDA,
            "maxSessionDuration": 7200,
            "tags": [{"key": "team", "value": "ml"}],
        },
    )

    created = detail["responseElements"]["role"]
    assert created["arn"] == f"arn:aws:iam::{ACCOUNT}:role/anyscale/{role}"
    assert created["roleId"].startswith("AROA")
    assert created["tags"] == [{"key": "team", "value": "ml"}]
    assert created["assumeRolePolicyDocument"].startswith("%7B")
    assert json.loads(urllib.parse.unquote(created["assumeRolePolicyDocument"])) == json.loads(TRUST_LAMBDA)
    assert re.fullmatch(r"[A-Z][a-z]{2} \d\d, \d{4} \d\d:\d\d:\d\d [AP]M", created["createDate"])


def test_a_denied_call_is_recorded_without_its_parameters(embedded_aws: EmbeddedAws, role: str, trail: Trail) -> None:
    mallory = embedded_aws.user(unique("mallory"), policy_document(allow("iam:GetRole", "*")))
    denied: IAMClient = embedded_aws.client("iam", mallory)

    with pytest.raises(ClientError, match="AccessDenied"):
        denied.update_assume_role_policy(RoleName=role, PolicyDocument=TRUST_LAMBDA)

    detail = trail.detail("UpdateAssumeRolePolicy", errorCode="AccessDenied")
    assert detail["requestParameters"] is None
    assert detail["responseElements"] is None
    assert "is not authorized to perform: iam:UpdateAssumeRolePolicy" in detail["errorMessage"]
    assert detail["userIdentity"]["accessKeyId"] == mallory.access_key_id


def test_an_invalid_call_is_recorded_with_cloudtrails_name_of_the_error(iam: IAMClient, trail: Trail) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.delete_role_policy(RoleName=unique("missing"), PolicyName="Old")

    detail = trail.detail("DeleteRolePolicy", errorCode="NoSuchEntityException")
    assert detail["requestParameters"] is None


def test_a_request_that_only_reads_is_not_recorded(iam: IAMClient, role: str, trail: Trail) -> None:
    iam.get_role(RoleName=role)
    iam.tag_role(RoleName=role, Tags=[{"Key": "after", "Value": role}])

    trail.event("TagRole", requestParameters={"roleName": role, "tags": [{"key": "after", "value": role}]})
    assert not [event for event in trail.events if event["detail"]["eventName"].startswith("Get")]


def test_the_session_of_a_role_is_identified_by_an_issuer_that_keeps_the_roles_path(
    embedded_aws: EmbeddedAws, role: str, trail: Trail
) -> None:
    terraform = unique("terraform")
    session = embedded_aws.role(terraform, policy_document(allow("iam:*", "*")), path="/ci/", session="apply-17")
    agent = "APN/1.0 HashiCorp/1.0 Terraform/1.9.0"
    client: IAMClient = embedded_aws.client("iam", session, user_agent=agent)
    client.tag_role(RoleName=role, Tags=[{"Key": "by", "Value": terraform}])

    detail = trail.detail("TagRole", requestParameters={"roleName": role, "tags": [{"key": "by", "value": terraform}]})

    identity = detail["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{terraform}/apply-17"
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert issuer["arn"] == f"arn:aws:iam::{ACCOUNT}:role/ci/{terraform}"
    assert issuer["userName"] == terraform
    assert identity["principalId"] == f"{issuer['principalId']}:apply-17"
    assert issuer["principalId"].startswith("AROA")
    assert detail["userAgent"].startswith(agent)


def test_a_change_to_a_bucket_is_recorded_in_the_buckets_region_as_cloudtrail_spells_it(
    embedded_aws: EmbeddedAws,
) -> None:
    region = "eu-west-1"
    trail = Trail(embedded_aws, region)
    s3: S3Client = embedded_aws.client("s3", region=region)
    bucket = unique("bucket")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy_document(deny)))
    s3.put_object(Bucket=bucket, Key="policy", Body=b"data events are not recorded")
    s3.delete_bucket_policy(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.delete_bucket_policy(Bucket=unique("missing"))

    created = trail.event("CreateBucket")
    assert (created["source"], created["region"], created["detail"]["awsRegion"]) == ("aws.s3", region, region)
    parameters = created["detail"]["requestParameters"]
    assert (parameters["bucketName"], parameters["Host"]) == (bucket, f"{bucket}.s3.{region}.amazonaws.com")
    assert parameters["CreateBucketConfiguration"] == {"LocationConstraint": region}

    blocked = trail.detail("PutBucketPublicAccessBlock")["requestParameters"]
    assert blocked["publicAccessBlock"] == ""
    assert blocked["PublicAccessBlockConfiguration"] == {"BlockPublicPolicy": True}

    changed = trail.detail("PutBucketPolicy")
    assert changed["requestParameters"]["bucketPolicy"] == policy_document(deny)
    assert [resource["ARN"] for resource in changed["resources"]] == [f"arn:aws:s3:::{bucket}"]
    assert trail.detail("DeleteBucketPolicy", errorCode="NoSuchBucket")["requestParameters"]["policy"] == ""
    assert trail.detail("DeleteBucketPolicy")["requestParameters"]["bucketName"] == bucket
    assert "PutObject" not in [event["detail"]["eventName"] for event in trail.events]


def test_a_change_to_a_key_is_recorded_with_the_keys_arn(embedded_aws: EmbeddedAws, trail: Trail) -> None:
    kms: KMSClient = embedded_aws.client("kms")
    key = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "ml"}])["KeyMetadata"]
    kms.encrypt(KeyId=key["KeyId"], Plaintext=b"using a key is not recorded")
    kms.disable_key(KeyId=key["KeyId"])

    disabled = trail.detail("DisableKey")
    assert disabled["requestParameters"] == {"keyId": key["KeyId"]}
    assert disabled["resources"] == [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key["Arn"]}]
    assert trail.detail("CreateKey")["requestParameters"]["tags"] == [{"tagKey": "team", "tagValue": "ml"}]
    assert "Encrypt" not in [event["detail"]["eventName"] for event in trail.events]


def test_nobody_can_put_an_event_of_aws_on_the_bus(embedded_aws: EmbeddedAws) -> None:
    events: EventBridgeClient = embedded_aws.client("events")
    forged = {"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": "{}"}

    answer = events.put_events(Entries=[forged])  # type: ignore[list-item] # a plain dictionary is easier to read

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_test_can_put_any_event_on_the_bus(embedded_aws: EmbeddedAws, trail: Trail) -> None:
    detail = {"eventName": unique("Odd"), "requestParameters": None}

    embedded_aws.publish("aws.iam", "AWS API Call via CloudTrail", detail)

    assert trail.event(str(detail["eventName"]))["detail"] == detail


# --- IAM ---


def test_what_no_policy_allows_is_denied(embedded_aws: EmbeddedAws, alice: Credentials) -> None:
    s3: S3Client = embedded_aws.client("s3", alice)

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.create_bucket(Bucket=unique("forbidden"))


def test_a_wrong_secret_is_turned_away(embedded_aws: EmbeddedAws, alice: Credentials) -> None:
    thief: IAMClient = embedded_aws.client("iam", Credentials(alice.access_key_id, "guessed"))

    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        thief.list_roles()


# --- SNS ---


def test_an_e_mail_is_delivered_to_those_who_subscribed_and_whose_filter_it_passes(embedded_aws: EmbeddedAws) -> None:
    sns: SNSClient = embedded_aws.client("sns")
    topic = sns.create_topic(Name=unique("alerts"))["TopicArn"]
    only_failures = json.dumps({"outcome": ["failed"]})
    all_of_it, failures = f"{unique('all')}@example.com", f"{unique('failures')}@example.com"
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=all_of_it)
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=failures, Attributes={"FilterPolicy": only_failures})
    both = json.dumps({"default": "{}", "email": "We repaired a role."})

    sns.publish(
        TopicArn=topic,
        Subject="A role was repaired",
        Message=both,
        MessageStructure="json",
        MessageAttributes={"outcome": {"DataType": "String", "StringValue": "repaired"}},
    )

    letters = [letter for letter in embedded_aws.emails() if letter["to"] in (all_of_it, failures)]
    assert letters == [{"to": all_of_it, "subject": "A role was repaired", "body": "We repaired a role."}]


# --- Lambda ---


def invoke(aws: EmbeddedAws, function: str, event: object = None) -> Any:
    functions: LambdaClient = aws.client("lambda")
    answer = functions.invoke(FunctionName=function, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def test_a_function_has_its_own_environment_and_nothing_of_this_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    monkeypatch.setenv("SECRET_OF_THIS_MACHINE", "1")
    code = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    with EmbeddedAws(tmp_path) as aws:
        given = invoke(aws, make_function(aws, code, environment={"OWN": "setting"}))

        assert given.pop("OWN") == "setting"
        assert given["AWS_ENDPOINT_URL"] == aws.endpoint
        assert given["AWS_CA_BUNDLE"] == str(aws.certificate_authority)
        assert given["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
        assert not {variable for variable in given if not OF_THE_RUNTIME.fullmatch(variable)}
        assert "AWS_PROFILE" not in given


def test_a_function_runs_under_its_own_role(embedded_aws: EmbeddedAws) -> None:
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    caller = boto3.client('sts').get_caller_identity()['Arn']\n"
        "    boto3.client('iam').get_role(RoleName=context.function_name)\n"
        "    try:\n"
        "        boto3.client('iam').list_roles()\n"
        "    except Exception as error:\n"
        "        return [caller, error.response['Error']['Code']]\n"
    )
    function = make_function(embedded_aws, code, statements=(allow("iam:GetRole", "*"),))

    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/{function}/{function}"
    assert invoke(embedded_aws, function) == [caller, "AccessDenied"]


def test_a_function_finds_the_sdk_of_the_runtime_and_no_package_that_is_not_in_its_zip(
    embedded_aws: EmbeddedAws,
) -> None:
    code = (
        "import importlib.util, boto3\n"
        "def handler(event, context):\n"
        "    found = [name for name in event if importlib.util.find_spec(name)]\n"
        "    return [boto3.__version__, found]\n"
    )
    ours = (PROJECT / "requirements.txt").read_text()

    version, found = invoke(embedded_aws, make_function(embedded_aws, code), ["ministack", "pytest", "aws_cdk"])

    assert f"\nboto3=={version} " in ours
    assert found == []


def test_errors_of_a_function_have_the_shape_of_the_real_runtime_client(embedded_aws: EmbeddedAws) -> None:
    raising = make_function(embedded_aws, "def handler(event, context):\n    raise KeyError('role')\n")
    returning = make_function(embedded_aws, "def handler(event, context):\n    return {1, 2}\n")

    error = invoke(embedded_aws, raising)
    assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'role'")
    assert "raise KeyError('role')" in error["stackTrace"][0]
    assert invoke(embedded_aws, returning)["errorType"] == "Runtime.MarshalError"


def test_a_failed_item_of_a_fifo_batch_is_delivered_again_and_its_group_waits_for_it(
    embedded_aws: EmbeddedAws,
) -> None:
    sqs: SQSClient = embedded_aws.client("sqs")
    functions: LambdaClient = embedded_aws.client("lambda")
    label = unique("fifo")

    def queue(kind: str, **attributes: str) -> tuple[str, str]:
        attributes["FifoQueue"] = "true"
        url = sqs.create_queue(QueueName=f"{label}-{kind}.fifo", Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type] # the names are known to SQS, not to the type
        return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{label}-{kind}.fifo"

    def bodies(url: str) -> list[str]:
        taken = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        return [message["Body"] for message in taken]

    done_url, done_arn = queue("done")
    dead_url, dead_arn = queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
    work_url, work_arn = queue("work", VisibilityTimeout="1", RedrivePolicy=redrive)
    code = (
        "import boto3, os\n"
        "def handler(event, context):\n"
        "    records, failed = event['Records'], []\n"
        "    for record in records:\n"
        "        group, count = (record['attributes'][key] for key in ('MessageGroupId', 'ApproximateReceiveCount'))\n"
        "        broken = record['body'] == 'poison' or record['body'] == 'retry' and count == '1'\n"
        "        if broken or group in [other for _, other in failed]:\n"
        "            failed.append((record['messageId'], group))\n"
        "        else:\n"
        "            boto3.client('sqs').send_message(QueueUrl=os.environ['DONE'], MessageBody=record['body'],\n"
        "                MessageGroupId='done', MessageDeduplicationId=record['messageId'])\n"
        "    return {'batchItemFailures': [{'itemIdentifier': item} for item, _ in failed]}\n"
    )
    may = allow("sqs:SendMessage", done_arn), allow(("sqs:ReceiveMessage", "sqs:DeleteMessage"), work_arn)
    function = make_function(embedded_aws, code, environment={"DONE": done_url}, statements=may)
    sent = [("a", "first"), ("a", "retry"), ("a", "later"), ("b", "other"), ("c", "poison")]
    for position, (group, body) in enumerate(sent):
        sqs.send_message(
            QueueUrl=work_url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=str(position)
        )
    functions.create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=work_arn,
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )

    done = eventually(lambda: (seen := bodies(done_url))[3:] and seen, "four messages are done")
    assert sorted(done) == ["first", "later", "other", "retry"]
    assert done.index("first") < done.index("retry") < done.index("later")
    assert eventually(lambda: bodies(dead_url), "the dead-letter queue has a message") == ["poison"]


# --- its life ---


def listening_addresses(pid: int) -> set[str]:
    """The local addresses (in hexadecimal, as the kernel writes them) that a process listens on."""
    held = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = fields = line.split()
            if state == "0A" and f"socket:[{fields[9]}]" in held:
                found.add(local.partition(":")[0])
    return found


def processes_of(group: int) -> list[int]:
    """The processes of a process group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        if int(process_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_it_listens_on_the_loopback_address_only(embedded_aws: EmbeddedAws) -> None:
    invoke(embedded_aws, make_function(embedded_aws, "def handler(event, context):\n    return 1\n"))

    assert listening_addresses(embedded_aws.server_pid) == {"0100007F"}  # 127.0.0.1


def test_stopping_leaves_no_process_and_no_file_of_its_own() -> None:
    aws = EmbeddedAws().start()
    functions: LambdaClient = aws.client("lambda")
    code = (
        "import tempfile, time\n"
        "def handler(event, context):\n"
        "    tempfile.NamedTemporaryFile(prefix='busy', delete=False)\n"
        "    time.sleep(60)\n"
    )
    functions.invoke(FunctionName=make_function(aws, code), InvocationType="Event")
    eventually(lambda: list(aws.state.rglob("busy*")), "the function works")
    assert len(processes_of(aws.server_pid)) == 2  # the server and the function

    aws.stop()

    eventually(lambda: not processes_of(aws.server_pid), "all processes have ended")
    assert not aws.state.exists()
    aws.stop()  # once more does no harm


def test_a_caller_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert caller.stdout
    with caller.stdout as told:
        group = int(told.readline())
        assert processes_of(group)
        caller.send_signal(signal.SIGKILL)
    caller.wait()

    eventually(lambda: not processes_of(group), "all processes have ended")


CALLER = """
import sys, time, pathlib
from demo.embedded import EmbeddedAws
aws = EmbeddedAws(pathlib.Path(sys.argv[1])).start()
print(aws.server_pid, flush=True)
time.sleep(60)
"""


def test_one_that_outlives_its_caller_is_found_and_stopped_by_another(tmp_path: Path) -> None:
    assert EmbeddedAws.find(tmp_path) is None
    code = CALLER.replace("sys.argv[1])", "sys.argv[1]), outlive=True").replace("time.sleep(60)", "")
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    )

    found = EmbeddedAws.find(tmp_path)
    assert found
    assert found.server_pid == int(told.stdout)
    assert found.client("sts").get_caller_identity()["Account"] == ACCOUNT
    with pytest.raises(EmbeddedAwsError, match=rf"already runs on {tmp_path}"):
        EmbeddedAws(tmp_path).start()
    found.stop()

    assert EmbeddedAws.find(tmp_path) is None
    eventually(lambda: not processes_of(found.server_pid), "all processes have ended")


def test_a_start_that_fails_says_why(embedded_aws: EmbeddedAws, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedAwsError, match=r"(?s)stopped during startup.*Address already in use"):
        EmbeddedAws(tmp_path, port=embedded_aws.port).start()


def test_child_processes_are_led_to_it_whatever_was_preset(
    embedded_aws: EmbeddedAws, alice: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "left over")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"

    for credentials, arn in ((ROOT, "root"), (alice, "user/alice")):
        told = subprocess.check_output(
            [sys.executable, "-c", code], env=embedded_aws.environment(credentials), text=True
        )
        assert told.strip() == f"arn:aws:iam::{ACCOUNT}:{arn}"
        assert embedded_aws.client("sts", credentials).get_caller_identity()["Arn"] == told.strip()
    assert embedded_aws.environment()["NO_PROXY"] == "intranet.example,127.0.0.1"


def test_the_pinned_ministack_is_the_one_whose_private_names_are_used() -> None:
    pinned = re.search(r"^ministack==(\S+)", (PROJECT / "demo" / "requirements-aws.txt").read_text(), re.MULTILINE)

    assert pinned
    assert pinned[1] == MINISTACK, (
        f"ministack {pinned[1]} is pinned, but demo/embedded_aws was written against {MINISTACK} and uses its private "
        "names. Run the tests of this file with the new version, compare what gateway.py and runtime.py use with its "
        "source, then change MINISTACK in demo/embedded_aws/__init__.py."
    )


# --- deployments ---


def test_a_synthesis_that_fails_is_told_in_its_own_words(embedded_aws: EmbeddedAws, tmp_path: Path) -> None:
    lines: list[str] = []

    with pytest.raises(DeploymentError, match=r"(?s)cdk deploy --all.*no such cloud"):
        deploy(embedded_aws, lines.append, app="echo no such cloud >&2; exit 3", output=tmp_path / "out")

    assert "no such cloud" in lines


def test_a_deployment_starts_from_an_empty_folder(embedded_aws: EmbeddedAws, tmp_path: Path) -> None:
    (tmp_path / "left.over").touch()

    with pytest.raises(DeploymentError, match="is not empty"):
        deploy(embedded_aws, print, app="true", output=tmp_path)
