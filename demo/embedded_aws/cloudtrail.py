"""CloudTrail: which calls are recorded, and the content of their records.

The records have the fields, spellings and gaps of CloudTrail's own:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html

Read-only calls are not recorded, because EventBridge does not deliver them by default; nor are calls on S3 objects
(data events). Calls that one AWS service makes for another (here: CloudFormation) never pass as requests.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

DETAIL_TYPE = "AWS API Call via CloudTrail"

_SCOPE = re.compile(r"Credential=(?P<key>[^/,\s]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")

_READING: tuple[str, ...] = ("Describe", "Generate", "Get", "Head", "List", "Simulate")

# KMS calls that use a key rather than change it. https://docs.aws.amazon.com/kms/latest/developerguide/logging-using-cloudtrail.html
_USING_A_KEY = (*_READING, "Decrypt", "DeriveSharedSecret", "Encrypt", "ReEncrypt", "Sign", "Verify")

# The parts of a bucket's configuration, as named in the query string of a request. CloudTrail derives the name of the
# call from it ("publicAccessBlock" -> "PutBucketPublicAccessBlock"), which may differ from the API operation's name.
_BUCKET_CONFIGURATION = (
    *("abac", "acl", "cors", "encryption", "lifecycle", "logging", "notification", "ownershipControls", "policy"),
    *("publicAccessBlock", "replication", "requestPayment", "tagging", "versioning", "website"),
)

_ACCOUNT_PUBLIC_ACCESS_BLOCK = "/v20180820/configuration/publicAccessBlock"

# The IAM calls whose records contain the created resource.
_RECORDED_RESULTS = (
    *("CreateInstanceProfile", "CreatePolicy", "CreatePolicyVersion", "CreateRole", "CreateServiceLinkedRole"),
)

_IAM_BOOLEANS = ("setAsDefault",)
_IAM_INTEGERS = ("maxSessionDuration",)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to AWS. Header names are lowercase; ``query`` includes empty values."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """AWS's response."""

    status: int
    request_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Signer:
    """A request's access key, Region and service: the scope of an AWS Signature Version 4."""

    access_key: str
    region: str
    service: str

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Signer | None:
        """Read the scope from the Authorization header; None without one."""
        match = _SCOPE.search(headers.get("authorization", ""))
        return match and cls(match["key"], match["region"], match["service"])


@dataclass(frozen=True, slots=True)
class Call:
    """A call that CloudTrail records, with CloudTrail's name for it, and its bucket, if any."""

    signer: Signer
    name: str
    request: Request = field(repr=False)
    bucket: str | None = None

    @property
    def service(self) -> str:
        """The service's name in ``eventSource`` and in the event's ``source``: iam, s3 or kms."""
        return self.signer.service


def may_be_recorded(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Return whether a request may have to be recorded, by its head alone; if unsure, return true."""
    signer = Signer.from_headers(headers)
    if signer is None or method not in ("PUT", "POST", "DELETE"):
        return False
    return signer.service in ("iam", "kms") or (signer.service == "s3" and _bucket(path, headers) is not None)


def recorded_call(request: Request) -> Call | None:
    """Return the call that a request makes, or None if CloudTrail delivers no event for it."""
    signer = Signer.from_headers(request.headers)
    if signer is None:
        return None
    match signer.service:
        case "s3":
            return _bucket_call(signer, request)
        case "iam":
            name, unrecorded = _form(request).get("Action", ""), _READING
        case "kms":
            name, unrecorded = request.headers.get("x-amz-target", "").rpartition(".")[2], _USING_A_KEY
        case _:
            return None
    return Call(signer, name, request) if name and not name.startswith(unrecorded) else None


def record(
    call: Call,
    response: Response,
    identity: Mapping[str, object],
    *,
    account: str,
    region: str,
    source_address: str,
    now: datetime,
) -> dict[str, object]:
    """Create CloudTrail's record of a completed call.

    ``identity`` is the record's ``userIdentity``; ``region`` is where the call took effect: us-east-1 for IAM, the
    bucket's Region for S3; ``now`` is in UTC. The parameters are null for a failed IAM call and a denied KMS call; S3
    records always have them.
    """
    failure = _failure(call.service, response)
    blocked = failure and (call.service == "iam" or (call.service == "kms" and failure["errorCode"] == "AccessDenied"))
    parameters = None if blocked else _parameters(call, region)
    resources = [] if failure or parameters is None else _resources(call, parameters, account, region)
    return {
        "eventVersion": "1.09",
        "userIdentity": dict(identity),
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": call.name,
        "awsRegion": region,
        "sourceIPAddress": source_address,
        "userAgent": call.request.headers.get("user-agent", ""),
        **(failure or {}),
        "requestParameters": parameters,
        "responseElements": None if failure else _response_elements(call, response),
        "requestID": response.request_id,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        **({"resources": resources} if resources else {}),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": call.request.headers.get("host", ""),
        },
    }


def _bucket_call(signer: Signer, request: Request) -> Call | None:
    verb = {"PUT": "Put", "DELETE": "Delete"}.get(request.method)
    if verb is None:
        return None
    if request.path == _ACCOUNT_PUBLIC_ACCESS_BLOCK:
        return Call(signer, f"{verb}AccountPublicAccessBlock", request)
    bucket = _bucket(request.path, request.headers)
    if bucket is None:
        return None
    if part := _configuration(request):
        return Call(signer, f"{verb}Bucket{part[0].upper()}{part[1:]}", request, bucket)
    if request.query:  # a part of the configuration with an irregular name; none is relevant here
        return None
    return Call(signer, "CreateBucket" if verb == "Put" else "DeleteBucket", request, bucket)


def _bucket(path: str, headers: Mapping[str, str]) -> str | None:
    """Return the bucket in a path without an object. SDKs use the path if the host is an IP address."""
    if "x-amz-account-id" in headers:  # a call to S3 Control, about the account
        return path if path == _ACCOUNT_PUBLIC_ACCESS_BLOCK else None
    name, _, key = path.strip("/").partition("/")
    return name if name and not key else None


def _configuration(request: Request) -> str | None:
    return next((part for part in _BUCKET_CONFIGURATION if part in request.query), None)


def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def _failure(service: str, response: Response) -> dict[str, str] | None:
    if response.status < HTTPStatus.BAD_REQUEST:
        return None
    code: str | None
    message: str | None
    try:
        if service == "kms":
            body = json.loads(response.body)
            code, message = str(body.get("__type", "")).rpartition("#")[2], body.get("message") or body.get("Message")
        else:
            texts = {_tag(element): element.text for element in _xml(response.body).iter()}
            code, message = texts.get("Code"), texts.get("Message")
    except (ValueError, ET.ParseError):
        code, message = "InternalFailure", response.body.decode("utf-8", "replace")
    code = code or "InternalFailure"
    if code in ("AccessDenied", "AccessDeniedException"):
        code = "AccessDenied"
    elif service == "iam" and not code.endswith("Exception"):  # IAM returns NoSuchEntity, CloudTrail the full name
        code += "Exception"
    return {"errorCode": code, "errorMessage": message or ""}


def _parameters(call: Call, region: str) -> dict[str, Any]:
    match call.service:
        case "iam":
            form = {name: value for name, value in _form(call.request).items() if name not in ("Action", "Version")}
            return {name: _typed(name, value) for name, value in _unflattened(form).items()}
        case "kms":
            body = json.loads(call.request.body or b"{}")
            return {_lower_first(name): _lower_names(value) for name, value in body.items()}
        case _:
            return _bucket_parameters(call, region)


def _unflattened(form: Mapping[str, str]) -> dict[str, Any]:
    """Turn ``Tags.member.1.Key=a&Tags.member.1.Value=b`` into ``{"tags": [{"key": "a", "value": "b"}]}``."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        *steps, last = [_lower_first(step) for step in name.split(".")]
        node = tree
        for step in steps:
            node = node.setdefault(step, {})
        node[last] = value
    return {name: _lists(value) for name, value in tree.items()}


def _lists(node: str | dict[str, Any]) -> object:
    if isinstance(node, str):
        return node
    if set(node) == {"member"}:
        return [_lists(value) for _, value in sorted(node["member"].items(), key=lambda item: int(item[0]))]
    return {name: _lists(value) for name, value in node.items()}


def _typed(name: str, value: object) -> object:
    if name in _IAM_BOOLEANS:
        return value == "true"
    return int(str(value)) if name in _IAM_INTEGERS else value


def _bucket_parameters(call: Call, region: str) -> dict[str, Any]:
    request, part = call.request, _configuration(call.request)
    parameters: dict[str, Any] = {}
    if call.bucket:
        host = "s3.amazonaws.com" if region == "us-east-1" else f"s3.{region}.amazonaws.com"
        parameters = {"bucketName": call.bucket, "Host": f"{call.bucket}.{host}"}
    if part:
        parameters[part] = ""
    if acl := request.headers.get("x-amz-acl"):
        parameters["x-amz-acl"] = acl
    try:
        if part == "policy" and request.body:
            parameters["bucketPolicy"] = json.loads(request.body)
        elif request.body:
            root = _xml(request.body)
            parameters[_tag(root)] = _element(root)
    except (ValueError, ET.ParseError):
        pass  # CloudTrail omits malformed bodies; S3 rejects such a call
    return parameters


def _element(element: ET.Element) -> object:
    """Convert XML as CloudTrail does: one child is an object, several with one name are a list, "true" is true."""
    if not len(element):
        return {"true": True, "false": False}.get((element.text or "").strip(), element.text or "")
    converted: dict[str, Any] = {}
    for child in element:
        name, value = _tag(child), _element(child)
        if name not in converted:
            converted[name] = value
        elif isinstance(converted[name], list):
            converted[name].append(value)
        else:
            converted[name] = [converted[name], value]
    return converted


def _response_elements(call: Call, response: Response) -> dict[str, Any] | None:
    if call.service == "kms":
        body = json.loads(response.body or b"{}")
        return {_lower_first(name): _lower_names(value) for name, value in body.items()} or None
    if call.service == "iam" and call.name in _RECORDED_RESULTS:
        result = next(iter(_xml(response.body)))
        return {_lower_first(_tag(child)): _result(child) for child in result}
    return None


def _result(element: ET.Element) -> object:
    if not len(element):
        text = element.text or ""
        # CloudTrail uses a textual format for IAM's dates only.
        return datetime.fromisoformat(text).strftime("%b %d, %Y %I:%M:%S %p") if _tag(element) == "CreateDate" else text
    if {_tag(child) for child in element} == {"member"}:
        return [_result(child) for child in element]
    return {_lower_first(_tag(child)): _result(child) for child in element}


def _resources(call: Call, parameters: Mapping[str, Any], account: str, region: str) -> list[dict[str, str]]:
    if call.service == "s3" and call.bucket and call.name != "CreateBucket":
        return [{"accountId": account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{call.bucket}"}]
    key = parameters.get("keyId") or parameters.get("targetKeyId") if call.service == "kms" else None
    if isinstance(key, str):
        arn = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{account}:key/{key}"
        return [{"accountId": account, "type": "AWS::KMS::Key", "ARN": arn}]
    return []


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _lower_names(value: object) -> object:
    if isinstance(value, dict):
        return {_lower_first(name): _lower_names(inner) for name, inner in value.items()}
    return [_lower_names(inner) for inner in value] if isinstance(value, list) else value


def _xml(body: bytes) -> ET.Element:
    return ET.fromstring(body)  # noqa: S314 - sent by ministack, or by demo and tests on this machine


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
