"""What the gateways make of AWS's answers, the odd ones included."""

from __future__ import annotations

import json
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber

from remediator.core.policy.document import read_policy
from remediator.core.reading import Absent, Present, Unreadable
from remediator.core.state import Role
from remediator.errors import (
    AwsError,
    DeniedError,
    NotFoundError,
    QuotaError,
    RejectedError,
    TransientError,
    UnknownAwsError,
)
from remediator.gateways.aws_errors import ERROR_CLASSES, translated
from remediator.gateways.iam import IamGateway
from remediator.gateways.s3 import S3Gateway
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, ROLE_ARN, a_role, bucket_grant, policy
from tests.functional.world import ROLE, World


def client_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


def translate(error: Exception) -> AwsError:
    with pytest.raises(AwsError) as caught, translated("iam:GetRole"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("Throttling"), TransientError),
        (client_error("ThrottlingException"), TransientError),
        (client_error("SlowDown", 503), TransientError),
        (client_error("ServiceFailure", 500), TransientError),
        (client_error("ConcurrentModification", 409), TransientError),
        (client_error("AccessDenied", 403), DeniedError),
        (client_error("AuthorizationError", 403), DeniedError),
        (client_error("NoSuchEntity", 404), NotFoundError),
        (client_error("NoSuchBucket", 404), NotFoundError),
        (client_error("LimitExceeded", 409), QuotaError),
        (client_error("MalformedPolicyDocument"), RejectedError),
        (client_error("UnmodifiableEntity"), RejectedError),
        (client_error("SomethingNew"), UnknownAwsError),
        (client_error("SomethingNew", 502), TransientError),
        (client_error("SomethingNew", 429), TransientError),
        (client_error("", 500), TransientError),
        (ConnectTimeoutError(endpoint_url="https://iam"), TransientError),
        (EndpointConnectionError(endpoint_url="https://iam"), TransientError),
        (NoCredentialsError(), UnknownAwsError),
    ],
)
def test_each_error_becomes_the_one_that_says_what_to_do(error: Exception, kind: type[AwsError]) -> None:
    translated_error = translate(error)
    assert type(translated_error) is kind
    assert translated_error.operation == "iam:GetRole"


def test_every_error_that_the_api_models_declare_for_our_calls_is_known() -> None:
    session = botocore.session.get_session()
    calls = {
        "iam": (
            "GetRole",
            "ListRolePolicies",
            "GetRolePolicy",
            "ListAttachedRolePolicies",
            "GetPolicy",
            "GetPolicyVersion",
            "UpdateAssumeRolePolicy",
            "PutRolePolicy",
        ),
    }
    for service, operations in calls.items():
        model = session.get_service_model(service)
        for operation in operations:
            for shape in model.operation_model(operation).error_shapes:
                code = shape.metadata.get("error", {}).get("code", shape.name)
                assert code in ERROR_CLASSES, f"{service}:{operation} can answer {code}"


@pytest.fixture
def stubbed() -> Any:
    client = boto3.client("iam")
    with Stubber(client) as stubber:
        yield IamGateway(client), stubber


def test_lists_that_come_in_pages_are_read_to_the_end(stubbed: Any) -> None:
    gateway, stubber = stubbed
    asked = {"RoleName": ROLE}
    stubber.add_response("list_role_policies", {"PolicyNames": ["a"], "IsTruncated": True, "Marker": "m"}, {**asked})
    stubber.add_response("list_role_policies", {"PolicyNames": ["b"], "IsTruncated": False}, {**asked, "Marker": "m"})
    for name in ("a", "b"):
        answer = {"RoleName": ROLE, "PolicyName": name, "PolicyDocument": json.dumps(policy(bucket_grant(name * 5)))}
        stubber.add_response("get_role_policy", answer, {**asked, "PolicyName": name})
    attached = {"PolicyName": "p", "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p"}
    stubber.add_response(
        "list_attached_role_policies", {"AttachedPolicies": [], "IsTruncated": True, "Marker": "n"}, {**asked}
    )
    stubber.add_response(
        "list_attached_role_policies",
        {"AttachedPolicies": [attached], "IsTruncated": False},
        {**asked, "Marker": "n"},
    )
    stubber.add_client_error("get_policy", "AccessDenied", http_status_code=403)
    policies = gateway.read_policies(a_role(EC2_STATEMENT))
    assert isinstance(policies.inline, Present)
    assert [inline.name for inline in policies.inline.value] == ["a", "b"]
    assert isinstance(policies.attached, Present)
    assert isinstance(policies.attached.value[0].document, Unreadable)
    assert policies.boundary == Absent()
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("denied", ["list_role_policies", "list_attached_role_policies"])
def test_a_denied_list_is_unreadable_and_not_empty(stubbed: Any, denied: str) -> None:
    gateway, stubber = stubbed
    empty = {
        "list_role_policies": {"PolicyNames": [], "IsTruncated": False},
        "list_attached_role_policies": {"AttachedPolicies": [], "IsTruncated": False},
    }
    for call, answer in empty.items():
        if call == denied:
            stubber.add_client_error(call, "AccessDenied", http_status_code=403)
        else:
            stubber.add_response(call, answer)
    policies = gateway.read_policies(a_role(EC2_STATEMENT))
    readings = {"list_role_policies": policies.inline, "list_attached_role_policies": policies.attached}
    assert isinstance(readings.pop(denied), Unreadable)
    assert list(readings.values()) == [Present(())]


def test_a_throttled_read_is_an_error_and_no_reading(stubbed: Any) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error("get_role", "Throttling", http_status_code=400)
    with pytest.raises(TransientError):
        gateway.read_role(ROLE)


def test_a_denied_role_is_unreadable_and_a_missing_one_absent(stubbed: Any) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error("get_role", "AccessDenied", http_status_code=403)
    stubber.add_client_error("get_role", "NoSuchEntity", http_status_code=404)
    assert isinstance(gateway.read_role(ROLE), Unreadable)
    assert gateway.read_role(ROLE) == Absent()


def test_a_boundary_is_read_in_its_default_version(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    document = policy({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
    arn = world.iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    world.iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=arn)
    role = world.roles.read_role(ROLE)
    assert isinstance(role, Present)
    boundary = world.roles.read_policies(role.value).boundary
    assert isinstance(boundary, Present)
    assert boundary.value.document == read_policy(document)


def test_a_role_is_read_with_its_whole_arn_its_id_and_its_tags(world: World) -> None:
    world.create_role(EC2_STATEMENT, tags={"anyscale:cluster-role": "production", "Team": "ML"})
    reading = world.roles.read_role(ROLE)
    assert isinstance(reading, Present)
    role: Role = reading.value
    assert str(role.arn) == ROLE_ARN
    assert role.role_id.startswith("AROA")
    assert role.tags == {"anyscale:cluster-role": "production", "Team": "ML"}


def bucket_gateway(code: str, status: int) -> tuple[S3Gateway, Stubber]:
    client = boto3.client("s3")
    stubber = Stubber(client)
    stubber.add_client_error(
        "get_bucket_policy",
        code,
        http_status_code=status,
        expected_params={"Bucket": BUCKET, "ExpectedBucketOwner": ACCOUNT},
    )
    stubber.activate()
    return S3Gateway(lambda _: client), stubber


def test_a_bucket_without_a_policy_is_present_and_its_policy_absent() -> None:
    gateway, _ = bucket_gateway("NoSuchBucketPolicy", 404)
    reading = gateway.read_bucket(BUCKET, region="us-east-1", account=ACCOUNT)
    assert isinstance(reading, Present)
    assert reading.value.policy == Absent()


def test_a_missing_bucket_is_absent() -> None:
    gateway, _ = bucket_gateway("NoSuchBucket", 404)
    assert gateway.read_bucket(BUCKET, region="us-east-1", account=ACCOUNT) == Absent()


def test_a_bucket_of_another_owner_is_unreadable() -> None:
    gateway, stubber = bucket_gateway("AccessDenied", 403)
    reading = gateway.read_bucket(BUCKET, region="us-east-1", account=ACCOUNT)
    assert isinstance(reading, Unreadable)
    assert ACCOUNT in reading.why
    stubber.assert_no_pending_responses()


def test_each_region_gets_one_client(world: World) -> None:
    made: list[str] = []

    def client_for(region: str) -> Any:
        made.append(region)
        return boto3.client("s3", region_name=region)

    gateway = S3Gateway(client_for)
    for region in ("us-west-2", "us-east-1", "us-west-2"):
        gateway.read_bucket(BUCKET, region=region, account=ACCOUNT)
    assert made == ["us-west-2", "us-east-1"]


@pytest.mark.parametrize("code", ["MethodNotAllowed", "PermanentRedirect", "InvalidToken", "SomethingNew"])
def test_a_bucket_that_s3_refuses_to_show_for_any_reason_is_unreadable(code: str) -> None:
    gateway, _ = bucket_gateway(code, 405)
    assert isinstance(gateway.read_bucket(BUCKET, region="us-east-1", account=ACCOUNT), Unreadable)


def test_a_role_that_iam_refuses_to_show_for_an_unknown_reason_is_unreadable(stubbed: Any) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error("get_role", "SomethingNew", http_status_code=400)
    assert isinstance(gateway.read_role(ROLE), Unreadable)
