# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""Differences between ministack and AWS in S3's bucket configuration.

- ministack ignores ExpectedBucketOwner; AWS denies a request with another expected owner.
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
- ministack accepts policies with nonexistent roles and users; AWS rejects them. When a role is deleted, AWS replaces
  its ARN in bucket policies with its unique id, which matches no principal, not even a new role with the same name.
  https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
- ministack returns a policy's principals as written; AWS returns them in its own order, and a single one as a string.
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-bucket-user-policy-specifying-principal-intro.html
- ministack lacks the account's public access block.
  https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_PutPublicAccessBlock.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree as ET

from ministack import app
from ministack.core.responses import get_account_id
from ministack.services import iam, s3

_ACCOUNT_PUBLIC_ACCESS_BLOCK = "/v20180820/configuration/publicAccessBlock"
_IDENTITY = re.compile(r"arn:aws:iam::(?P<account>\d{12}):(?P<kind>role|user)/.+")
_UNIQUE_ID = re.compile(r"AROA[A-Z0-9]+")

Answer = tuple[int, dict[str, str], bytes]

_account_blocks: dict[str, bytes] = {}


def install() -> None:
    """Make ministack answer as AWS does."""
    _expect_owners()
    _check_principals()
    _replace_deleted_roles()
    _add_account_blocks()


def _expect_owners() -> None:
    validate = s3.validate_object_request

    def validate_with_owner(method: str, path: str, headers: Mapping[str, str], query: Any) -> Any:  # noqa: ANN401 - ministack's own
        if headers.get("x-amz-expected-bucket-owner", get_account_id()) != get_account_id():
            return s3._error("AccessDenied", "Access Denied", HTTPStatus.FORBIDDEN)
        return validate(method, path, headers, query)

    s3.validate_object_request = validate_with_owner


def _check_principals() -> None:
    put = s3._put_bucket_policy

    def put_if_principals_exist(name: str, body: bytes) -> Answer:
        try:
            policy = json.loads(body)
        except ValueError:
            policy = None
        for principal in _principals(policy):
            names = _names(principal)
            if not all(_exists(each) for each in names):
                rejected: Answer = s3._error("MalformedPolicy", "Invalid principal in policy", HTTPStatus.BAD_REQUEST)
                return rejected
            principal["AWS"] = sorted(names, reverse=True) if len(names) > 1 else names[0]
        stored: Answer = put(name, json.dumps(policy).encode() if policy else body)
        return stored

    s3._put_bucket_policy = put_if_principals_exist


def _principals(policy: object) -> Iterator[dict[str, Any]]:
    """Yield a policy's principal elements with AWS identities, which may be modified."""
    statements = policy.get("Statement", []) if isinstance(policy, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            principal = statement.get(element) if isinstance(statement, dict) else None
            if isinstance(principal, dict) and principal.get("AWS"):
                yield principal


def _names(principal: Mapping[str, Any]) -> list[str]:
    names = principal["AWS"]
    return [names] if isinstance(names, str) else list(names)


def _exists(name: str) -> bool:
    """Return whether an identity exists; identities of other accounts are assumed to exist."""
    if match := _IDENTITY.fullmatch(name):
        known = {"role": iam._roles, "user": iam._users}[match["kind"]].get(name.rpartition("/")[2])
        return match["account"] != get_account_id() or (known is not None and known["Arn"] == name)
    if _UNIQUE_ID.fullmatch(name):
        return any(name == role["RoleId"] for role in iam._roles.values())
    return True


def _replace_deleted_roles() -> None:
    delete = iam._IAM_HANDLERS["DeleteRole"]

    def delete_and_replace(parameters: Mapping[str, Any]) -> Answer:
        role = iam._roles.get(iam._p(parameters, "RoleName"))
        answer: Answer = delete(parameters)
        if role and answer[0] == HTTPStatus.OK:
            for bucket, text in list(s3._bucket_policies.items()):
                policy = json.loads(text)
                for principal in _principals(policy):
                    names = [role["RoleId"] if name == role["Arn"] else name for name in _names(principal)]
                    principal["AWS"] = names if len(names) > 1 else names[0]
                s3._bucket_policies[bucket] = json.dumps(policy)
        return answer

    iam._IAM_HANDLERS["DeleteRole"] = delete_and_replace


def _add_account_blocks() -> None:
    handle, is_blocked = app._handle_s3_control_request, s3._public_access_blocked

    async def handle_with_block(
        path: str,
        method: str,
        body: bytes,
        query: Any,  # noqa: ANN401 - ministack's own
        request_id: str,
        headers: dict[str, str] | None = None,
    ) -> Answer | None:
        if path != _ACCOUNT_PUBLIC_ACCESS_BLOCK:
            other: Answer | None = await handle(path, method, body, query, request_id, headers)
            return other
        action = f"s3:{'Get' if method == 'GET' else 'Put'}AccountPublicAccessBlock"
        denied: Answer | None = app._enforce_data_plane("s3", action, headers or {}, query, request_id)
        return denied or _answer(method, body, {"x-amzn-requestid": request_id, "Content-Type": "application/xml"})

    def is_blocked_by_any(owner: str, bucket: str, setting: str) -> bool:
        block = ET.fromstring(_account_blocks.get(owner, b"<None/>"))  # noqa: S314 - sent by tests on this machine
        account_settings = {element.tag.rpartition("}")[2]: element.text for element in block}
        return account_settings.get(setting) == "true" or bool(is_blocked(owner, bucket, setting))

    app._handle_s3_control_request = handle_with_block
    s3._public_access_blocked = is_blocked_by_any


def _answer(method: str, body: bytes, headers: dict[str, str]) -> Answer:
    account = get_account_id()
    match method:
        case "PUT":
            _account_blocks[account] = body
            return HTTPStatus.CREATED, headers, b""
        case "DELETE":
            _account_blocks.pop(account, None)
            return HTTPStatus.NO_CONTENT, headers, b""
    if account in _account_blocks:
        return HTTPStatus.OK, headers, _account_blocks[account]
    error = "<Code>NoSuchPublicAccessBlockConfiguration</Code><Message>There is none.</Message>"
    return HTTPStatus.NOT_FOUND, headers, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode()
