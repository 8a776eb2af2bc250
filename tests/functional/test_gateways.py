"""What the gateways make of AWS's answers, the odd ones included."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber

from remediator.core.model.bucket import Bucket, CustomerKey, KeyState, PublicAccessBlock
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.role import Role
from remediator.core.policy.document import read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import (
    AwsError,
    DeniedError,
    NotFoundError,
    QuotaError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownAwsError,
)
from remediator.gateways.aws_errors import ERROR_CLASSES, translated
from remediator.gateways.iam import IamGateway
from remediator.gateways.kms import KmsGateway
from remediator.gateways.s3 import S3Gateway
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, ROLE_ARN, a_role, bucket_grant, policy
from tests.functional.world import NOW, ROLE, World, understood


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
        (client_error("Throttling"), ThrottledError),
        (client_error("ThrottlingException"), ThrottledError),
        (client_error("SlowDown", 503), ThrottledError),
        (client_error("ServiceFailure", 500), TransientError),
        (client_error("ConcurrentModification", 409), ThrottledError),
        (client_error("AccessDenied", 403), DeniedError),
        (client_error("AuthorizationError", 403), DeniedError),
        (client_error("NoSuchEntity", 404), NotFoundError),
        (client_error("NoSuchBucket", 404), NotFoundError),
        (client_error("NoSuchPublicAccessBlockConfiguration", 404), NotFoundError),
        (client_error("ServerSideEncryptionConfigurationNotFoundError", 404), NotFoundError),
        (client_error("KMSInternalException", 500), TransientError),
        (client_error("DependencyTimeoutException", 503), TransientError),
        (client_error("KMSInvalidStateException"), RejectedError),
        (client_error("InvalidArnException"), RejectedError),
        (client_error("MalformedPolicy"), RejectedError),
        (client_error("EntityAlreadyExists", 409), RejectedError),
        (client_error("LimitExceeded", 409), QuotaError),
        (client_error("MalformedPolicyDocument"), RejectedError),
        (client_error("UnmodifiableEntity"), RejectedError),
        (client_error("SomethingNew"), UnknownAwsError),
        (client_error("SomethingNew", 502), TransientError),
        (client_error("SomethingNew", 429), ThrottledError),
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
            "DeleteRolePolicy",
            "ListEntitiesForPolicy",
            "ListInstanceProfilesForRole",
            "GetInstanceProfile",
            "CreateInstanceProfile",
            "AddRoleToInstanceProfile",
            "GetAccountAuthorizationDetails",
        ),
        "kms": ("DescribeKey", "GetKeyPolicy"),
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
        yield IamGateway(client, lambda: client), stubber


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
    assert role.created == world.iam.get_role(RoleName=ROLE)["Role"]["CreateDate"]
    assert role.tags == {"anyscale:cluster-role": "production", "Team": "ML"}


OWNED = {"Bucket": BUCKET, "ExpectedBucketOwner": ACCOUNT}
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PUBLIC = policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"})

Answer = tuple[str, dict[str, Any] | tuple[str, int]]
"""An operation of the SDK with what it answers: a response, or the code and status of an error."""

NO_POLICY: Answer = ("get_bucket_policy", ("NoSuchBucketPolicy", 404))
NO_ENCRYPTION: Answer = ("get_bucket_encryption", ("ServerSideEncryptionConfigurationNotFoundError", 404))
PUBLIC_POLICY: Answer = ("get_bucket_policy", {"Policy": json.dumps(PUBLIC)})


def encrypted_with(algorithm: str, key: str | None = None) -> Answer:
    by_default = {"SSEAlgorithm": algorithm, **({} if key is None else {"KMSMasterKeyID": key})}
    rules = [{"ApplyServerSideEncryptionByDefault": by_default}]
    return "get_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def key_in_state(state: str) -> Answer:
    return "describe_key", {"KeyMetadata": {"KeyId": "1234", "Arn": KEY, "KeyState": state}}


def answering(service: str, *answers: Answer, **asked: Any) -> tuple[Any, Stubber]:
    """A client that gives these answers one after the other, each to a request with the parameters ``asked``."""
    client = boto3.client(service)
    stubber = Stubber(client)
    for operation, answer in answers:
        if isinstance(answer, dict):
            stubber.add_response(operation, answer, asked or None)
        else:
            stubber.add_client_error(operation, answer[0], http_status_code=answer[1], expected_params=asked or None)
    stubber.activate()
    return client, stubber


def read_bucket(*answers: Answer, keys: tuple[Answer, ...] = (), key: str | None = None) -> Reading[Bucket]:
    """What is read of a bucket from exactly these answers, of S3 and of KMS."""
    s3, of_s3 = answering("s3", *answers, **OWNED)
    kms, of_kms = answering("kms", *keys)
    gateway = S3Gateway(lambda _: s3, KmsGateway(lambda _: kms))
    reading = gateway.read_bucket(BUCKET, region="us-east-1", account=ACCOUNT, key=key)
    of_s3.assert_no_pending_responses()
    of_kms.assert_no_pending_responses()
    return reading


def present(reading: Reading[Bucket]) -> Bucket:
    assert isinstance(reading, Present)
    return reading.value


def test_a_bucket_without_policy_and_encryption_is_present_and_its_policy_absent() -> None:
    bucket = present(read_bucket(NO_POLICY, NO_ENCRYPTION))
    assert bucket.policy == Absent()
    assert bucket.encryption == Present(None)
    assert bucket.public_access_block is None
    assert bucket.key is None


@pytest.mark.parametrize(
    "answers",
    [
        (("get_bucket_policy", ("NoSuchBucket", 404)),),
        (NO_POLICY, ("get_bucket_encryption", ("NoSuchBucket", 404))),
        (PUBLIC_POLICY, NO_ENCRYPTION, ("get_public_access_block", ("NoSuchBucket", 404))),
    ],
)
def test_a_missing_bucket_is_absent_also_where_it_goes_while_it_is_read(answers: tuple[Answer, ...]) -> None:
    assert read_bucket(*answers) == Absent()


def test_a_bucket_of_another_owner_is_unreadable() -> None:
    reading = read_bucket(("get_bucket_policy", ("AccessDenied", 403)))
    assert isinstance(reading, Unreadable)
    assert ACCOUNT in reading.why


def test_each_region_gets_one_client(world: World) -> None:
    made: list[tuple[str, str]] = []

    def client_for(service: str) -> Any:
        def make(region: str) -> Any:
            made.append((service, region))
            return boto3.client(service, region_name=region)

        return make

    gateway = S3Gateway(client_for("s3"), KmsGateway(client_for("kms")))
    for region in ("us-west-2", "us-east-1", "us-west-2"):
        gateway.read_bucket(BUCKET, region=region, account=ACCOUNT, key=KEY.replace("us-east-1", region))
    regions = ("us-west-2", "us-east-1")
    assert made == [(service, region) for region in regions for service in ("s3", "kms")]


@pytest.mark.parametrize("code", ["MethodNotAllowed", "PermanentRedirect", "InvalidToken", "SomethingNew"])
def test_a_bucket_that_s3_refuses_to_show_for_any_reason_is_unreadable(code: str) -> None:
    assert isinstance(read_bucket(("get_bucket_policy", (code, 405))), Unreadable)


@pytest.mark.parametrize(
    ("encryption", "key"),
    [
        (encrypted_with("AES256"), None),
        (encrypted_with("aws:kms"), None),
        (encrypted_with("aws:kms", "alias/aws/s3"), None),
        (encrypted_with("aws:kms", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/aws/s3"), None),
        (encrypted_with("aws:kms:dsse", KEY), KEY),
        (encrypted_with("aws:kms", "alias/anyscale"), "alias/anyscale"),
        (encrypted_with("aws:kms", "1234abcd-12ab-34cd-56ef-1234567890ab"), "1234abcd-12ab-34cd-56ef-1234567890ab"),
    ],
)
def test_the_key_of_a_bucket_is_that_of_a_customer_and_none_of_aws(encryption: Answer, key: str | None) -> None:
    assert present(read_bucket(NO_POLICY, encryption)).encryption == Present(key)


ENABLED = (key_in_state("Enabled"), ("get_key_policy", {"Policy": json.dumps(PUBLIC)}))
OTHER_KEY = KEY.replace("1234abcd", "4321dcba")


@pytest.mark.parametrize(
    ("named", "resolved", "key"),
    [
        (KEY.rpartition("/")[2], (), KEY),
        (KEY, (), KEY),
        (OTHER_KEY, (), OTHER_KEY),
        (OTHER_KEY.rpartition("/")[2], (), OTHER_KEY.rpartition("/")[2]),
        ("alias/anyscale", (key_in_state("Enabled"),), KEY),
        (f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/anyscale", (key_in_state("Disabled"),), KEY),
        ("alias/anyscale", (("describe_key", ("NotFoundException", 400)),), "alias/anyscale"),
        ("alias/anyscale", (("describe_key", ("AccessDeniedException", 400)),), "alias/anyscale"),
    ],
)
def test_an_id_or_an_alias_of_the_configured_key_counts_as_the_key(
    named: str, resolved: tuple[Answer, ...], key: str
) -> None:
    bucket = present(read_bucket(NO_POLICY, encrypted_with("aws:kms", named), keys=(*resolved, *ENABLED), key=KEY))
    assert bucket.encryption == Present(key)
    assert bucket.key == CustomerKey(KEY, read_policy(PUBLIC), Present(KeyState.ENABLED))


def test_an_encryption_that_is_not_shown_is_unreadable_and_the_rest_of_the_bucket_is_read() -> None:
    bucket = present(read_bucket(PUBLIC_POLICY, ("get_bucket_encryption", ("AccessDenied", 403)), NOT_BLOCKED))
    assert isinstance(bucket.encryption, Unreadable)
    assert bucket.policy == read_policy(PUBLIC)
    assert bucket.public_access_block == PublicAccessBlock()


NOT_BLOCKED: Answer = ("get_public_access_block", ("NoSuchPublicAccessBlockConfiguration", 404))


@pytest.mark.parametrize(
    ("answer", "block"),
    [
        (NOT_BLOCKED, PublicAccessBlock()),
        (("get_public_access_block", ("AccessDenied", 403)), None),
        (("get_public_access_block", {"PublicAccessBlockConfiguration": {}}), PublicAccessBlock()),
        (
            (
                "get_public_access_block",
                {"PublicAccessBlockConfiguration": {"BlockPublicPolicy": True, "BlockPublicAcls": True}},
            ),
            PublicAccessBlock(block_public_policy=True),
        ),
        (
            ("get_public_access_block", {"PublicAccessBlockConfiguration": {"RestrictPublicBuckets": True}}),
            PublicAccessBlock(restrict_public_buckets=True),
        ),
    ],
)
def test_the_public_access_block_is_read_where_the_policy_is_public(
    answer: Answer, block: PublicAccessBlock | None
) -> None:
    assert present(read_bucket(PUBLIC_POLICY, NO_ENCRYPTION, answer)).public_access_block == block


@pytest.mark.parametrize(
    ("answers", "keys"),
    [
        ((("get_bucket_policy", ("SlowDown", 503)),), ()),
        ((NO_POLICY, ("get_bucket_encryption", ("SlowDown", 503))), ()),
        ((PUBLIC_POLICY, NO_ENCRYPTION, ("get_public_access_block", ("InternalError", 500))), ()),
        ((NO_POLICY, encrypted_with("aws:kms", "alias/x")), (("describe_key", ("ThrottlingException", 400)),)),
        ((NO_POLICY, NO_ENCRYPTION), (("describe_key", ("DependencyTimeoutException", 503)),)),
        ((NO_POLICY, NO_ENCRYPTION), (key_in_state("Enabled"), ("get_key_policy", ("KMSInternalException", 500)))),
    ],
)
def test_a_throttled_read_of_any_part_of_a_bucket_is_an_error(
    answers: tuple[Answer, ...], keys: tuple[Answer, ...]
) -> None:
    with pytest.raises(TransientError):
        read_bucket(*answers, keys=keys, key=KEY)


def bucket_policies(*answers: Answer, **asked: Any) -> S3Gateway:
    client, _ = answering("s3", *answers, **{**OWNED, **asked})
    return S3Gateway(lambda _: client, KmsGateway(lambda _: client), lambda _: client)


def test_the_policy_of_a_bucket_is_read_by_itself() -> None:
    gateway = bucket_policies(PUBLIC_POLICY, NO_POLICY, ("get_bucket_policy", ("AccessDenied", 403)))
    readings = [gateway.read_policy(BUCKET, region="us-east-1", account=ACCOUNT) for _ in range(3)]
    assert readings[:2] == [read_policy(PUBLIC), Absent()]
    assert isinstance(readings[2], Unreadable)


@pytest.mark.parametrize(
    ("code", "kind"), [("NoSuchBucket", NotFoundError), ("SlowDown", TransientError), ("", TransientError)]
)
def test_the_policy_of_a_missing_bucket_is_an_error_and_no_reading(code: str, kind: type[AwsError]) -> None:
    with pytest.raises(kind):
        bucket_policies(("get_bucket_policy", (code, 503))).read_policy(BUCKET, region="us-east-1", account=ACCOUNT)


def test_a_bucket_policy_is_written_minified_and_only_to_the_bucket_of_its_owner() -> None:
    minified = json.dumps(PUBLIC, separators=(",", ":"))
    gateway = bucket_policies(
        ("put_bucket_policy", {}), ("put_bucket_policy", ("MalformedPolicy", 400)), Policy=minified
    )
    document = understood(PUBLIC)
    gateway.write_policy(BUCKET, document, region="us-east-1", account=ACCOUNT)
    with pytest.raises(RejectedError):
        gateway.write_policy(BUCKET, document, region="us-east-1", account=ACCOUNT)


def test_a_bucket_policy_is_deleted_only_on_the_bucket_of_its_owner() -> None:
    gateway = bucket_policies(("delete_bucket_policy", {}), ("delete_bucket_policy", ("AccessDenied", 403)))
    gateway.delete_policy(BUCKET, region="us-east-1", account=ACCOUNT)
    with pytest.raises(DeniedError):
        gateway.delete_policy(BUCKET, region="us-east-1", account=ACCOUNT)


def read_key(*answers: Answer) -> CustomerKey:
    client, stubber = answering("kms", *answers)
    key = KmsGateway(lambda _: client).read_key(KEY)
    stubber.assert_no_pending_responses()
    return key


POLICY_OF_KEY: Answer = ("get_key_policy", {"Policy": json.dumps(PUBLIC)})


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("Enabled", KeyState.ENABLED),
        ("Updating", KeyState.ENABLED),
        ("Disabled", KeyState.DISABLED),
        ("PendingDeletion", KeyState.PENDING_DELETION),
        ("PendingReplicaDeletion", KeyState.PENDING_DELETION),
        ("Creating", KeyState.UNAVAILABLE),
        ("PendingImport", KeyState.UNAVAILABLE),
        ("Unavailable", KeyState.UNAVAILABLE),
    ],
)
def test_the_state_of_a_key_says_whether_it_can_be_used(state: str, means: KeyState) -> None:
    assert read_key(key_in_state(state), POLICY_OF_KEY) == CustomerKey(KEY, read_policy(PUBLIC), Present(means))


def test_every_state_of_the_api_model_is_known() -> None:
    model = botocore.session.get_session().get_service_model("kms")
    for state in model.shape_for("KeyState").enum:  # type: ignore[attr-defined]  # it is a shape of a string
        assert isinstance(read_key(key_in_state(state), POLICY_OF_KEY).state, Present), state


def test_a_state_that_is_new_to_us_is_unreadable() -> None:
    assert isinstance(read_key(key_in_state("Melted"), POLICY_OF_KEY).state, Unreadable)


def test_a_key_that_does_not_exist_is_absent_and_nothing_more_is_asked() -> None:
    assert read_key(("describe_key", ("NotFoundException", 400))) == CustomerKey(KEY, Absent(), Absent())


@pytest.mark.parametrize("code", ["AccessDeniedException", "KMSInvalidStateException", "SomethingNew"])
def test_each_part_of_a_key_is_unreadable_for_itself(code: str) -> None:
    key = read_key(("describe_key", (code, 400)), POLICY_OF_KEY)
    assert isinstance(key.state, Unreadable)
    assert key.policy == read_policy(PUBLIC)
    key = read_key(key_in_state("Enabled"), ("get_key_policy", (code, 400)))
    assert key.state == Present(KeyState.ENABLED)
    assert isinstance(key.policy, Unreadable)


def test_a_key_policy_is_never_absent_where_there_is_a_key() -> None:
    key = read_key(key_in_state("Enabled"), ("get_key_policy", ("NotFoundException", 400)))
    assert isinstance(key.policy, Unreadable)


def test_keys_and_aliases_are_looked_for_in_their_regions() -> None:
    client, _ = answering("kms", key_in_state("Enabled"), POLICY_OF_KEY, key_in_state("Enabled"))
    asked: list[str] = []

    def client_for(region: str) -> Any:
        asked.append(region)
        return client

    gateway = KmsGateway(client_for)
    gateway.read_key(KEY.replace("us-east-1", "eu-west-1"))
    gateway.resolve("alias/anyscale", "us-west-2")
    assert asked == ["eu-west-1", "us-west-2"]


def profile_answer(name: str, *roles: str) -> dict[str, Any]:
    role = {
        "Path": "/",
        "RoleId": "AROAEXAMPLEHEADNODE01",
        "Arn": ROLE_ARN,
        "CreateDate": NOW,
    }
    return {
        "Path": "/",
        "InstanceProfileName": name,
        "InstanceProfileId": "AIPAEXAMPLEHEADNODE01",
        "Arn": profile_arn(name),
        "CreateDate": NOW,
        "Roles": [{**role, "RoleName": each} for each in roles],
    }


def profile_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}"


def holding(*names: str) -> Answer:
    return "list_instance_profiles_for_role", {
        "InstanceProfiles": [profile_answer(name, ROLE) for name in names],
        "IsTruncated": False,
    }


def read_profiles(*answers: Answer) -> InstanceProfiles:
    client, stubber = answering("iam", *answers)
    profiles = IamGateway(client).read_instance_profiles(ROLE)
    stubber.assert_no_pending_responses()
    return profiles


def test_an_instance_profile_of_the_roles_name_that_holds_it_takes_no_second_call() -> None:
    own, other = (InstanceProfile(profile_arn(name), name, (ROLE,)) for name in (ROLE, "other"))
    assert read_profiles(holding("other", ROLE)) == InstanceProfiles(Present((other, own)))


@pytest.mark.parametrize(
    ("answer", "namesake"),
    [
        (("get_instance_profile", ("NoSuchEntity", 404)), Absent()),
        (
            ("get_instance_profile", {"InstanceProfile": profile_answer(ROLE)}),
            Present(InstanceProfile(profile_arn(ROLE), ROLE, ())),
        ),
        (
            ("get_instance_profile", {"InstanceProfile": profile_answer(ROLE, "somebody")}),
            Present(InstanceProfile(profile_arn(ROLE), ROLE, ("somebody",))),
        ),
    ],
)
def test_the_instance_profile_of_the_roles_name_is_looked_for_where_the_role_is_not_in_it(
    answer: Answer, namesake: Reading[InstanceProfile]
) -> None:
    other = InstanceProfile(profile_arn("other"), "other", (ROLE,))
    assert read_profiles(holding("other"), answer) == InstanceProfiles(Present((other,)), namesake)


def test_instance_profiles_that_are_not_shown_are_unreadable() -> None:
    assert isinstance(read_profiles(("list_instance_profiles_for_role", ("AccessDenied", 403))).holding, Unreadable)
    profiles = read_profiles(holding(), ("get_instance_profile", ("AccessDenied", 403)))
    assert profiles.holding == Present(())
    assert isinstance(profiles.namesake, Unreadable)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((("list_instance_profiles_for_role", ("NoSuchEntity", 404)),), NotFoundError),
        ((("list_instance_profiles_for_role", ("Throttling", 400)),), TransientError),
        ((holding(), ("get_instance_profile", ("Throttling", 400))), TransientError),
    ],
)
def test_a_role_that_is_gone_and_a_throttled_read_of_its_instance_profiles_are_errors(
    answers: tuple[Answer, ...], kind: type[AwsError]
) -> None:
    with pytest.raises(kind):
        read_profiles(*answers)


def test_instance_profiles_that_come_in_pages_are_read_to_the_end(stubbed: Any) -> None:
    gateway, stubber = stubbed
    for number, (name, more) in enumerate((("other", True), (ROLE, False))):
        answer = {"InstanceProfiles": [profile_answer(name, ROLE)], "IsTruncated": more}
        marker = {"Marker": "m"} if number else {}
        stubber.add_response(
            "list_instance_profiles_for_role",
            {**answer, **({"Marker": "m"} if more else {})},
            {"RoleName": ROLE, **marker},
        )
    profiles = gateway.read_instance_profiles(ROLE)
    assert [profile.name for profile in profiles.holding.value] == ["other", ROLE]


def test_what_is_there_already_or_gone_already_is_no_error(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.roles.create_instance_profile(ROLE, "/")
    assert world.profiles() == [ROLE]
    world.roles.delete_inline_policy(ROLE, "never-was")


@pytest.mark.parametrize(
    ("operation", "code", "kind"),
    [
        ("create_instance_profile", "LimitExceeded", QuotaError),
        ("create_instance_profile", "InvalidInput", RejectedError),
        ("create_instance_profile", "AccessDenied", DeniedError),
        ("add_role_to_instance_profile", "LimitExceeded", QuotaError),
        ("add_role_to_instance_profile", "AccessDenied", DeniedError),
        ("add_role_to_instance_profile", "NoSuchEntity", NotFoundError),
        ("delete_role_policy", "UnmodifiableEntity", RejectedError),
        ("delete_role_policy", "Throttling", TransientError),
    ],
)
def test_a_write_that_aws_refuses_raises(stubbed: Any, operation: str, code: str, kind: type[AwsError]) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error(operation, code, http_status_code=400)
    writes = {
        "create_instance_profile": partial(gateway.create_instance_profile, ROLE, "/"),
        "add_role_to_instance_profile": partial(gateway.add_role_to_instance_profile, ROLE, ROLE),
        "delete_role_policy": partial(gateway.delete_inline_policy, ROLE, "ours"),
    }
    with pytest.raises(kind):
        writes[operation]()


def test_a_role_that_iam_refuses_to_show_for_an_unknown_reason_is_unreadable(stubbed: Any) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error("get_role", "SomethingNew", http_status_code=400)
    assert isinstance(gateway.read_role(ROLE), Unreadable)
