"""Generates IAM's responses for a large account on demand, as the XML that botocore parses."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any, Final
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from tests.examples import ACCOUNT, EC2_STATEMENT, ENROLLED, LAMBDA_STATEMENT, bucket_grant, policy

ENROLLED_OF: Final = 10
"""One in this many roles is enrolled."""
BROKEN_OF: Final = 20
PAGE: Final = 1_000
"""Maximum number of roles in a page."""
MANAGED: Final = 120
"""Managed policies in the account; each role has four of them, and two inline policies."""
_ATTACHED: Final = 4
_PATH: Final = "/anyscale/production/"


class IamEndpoint:
    """An account with this many roles. ``calls`` counts the calls by operation.

    ``client`` is an IAM client whose requests end here. ``own_seconds`` is the CPU time for creating the responses,
    which is AWS's work and not the remediator's.
    """

    def __init__(self, roles: int) -> None:
        self.calls: Counter[str] = Counter()
        self.own_seconds = 0.0
        self.client: Any = boto3.client("iam", aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106 - none
        self.client.meta.events.register("before-send.iam", self._answer)
        self._roles = roles

    def _answer(self, request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's own
        start = time.process_time()
        fields = {name: values[0] for name, values in parse_qs(request.body).items()}
        operation = fields["Action"]
        self.calls[operation] += 1
        match operation:
            case "GetAccountAuthorizationDetails":
                result = self._page(int(fields.get("Marker", "0")))
            case "ListInstanceProfiles":
                result = "<InstanceProfiles/><IsTruncated>false</IsTruncated>"
            case "GetPolicy":
                arn = fields["PolicyArn"]
                version = "<DefaultVersionId>v1</DefaultVersionId>"
                result = f"<Policy><PolicyId>{arn}</PolicyId><Arn>{arn}</Arn>{version}</Policy>"
            case "GetPolicyVersion":
                document = _document(*(_unrelated(fields["PolicyArn"], part) for part in range(6)))
                result = f"<PolicyVersion><Document>{document}</Document></PolicyVersion>"
            case _:
                raise LookupError(f"No response is defined for {operation}.")
        body = f"<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>".encode()
        self.own_seconds += time.process_time() - start
        return AWSResponse(request.url, 200, HTTPHeaders.from_dict({"Content-Type": "text/xml"}), _Raw(body))

    def _page(self, start: int) -> str:
        end = min(start + PAGE, self._roles)
        roles = "".join(map(_role_xml, range(start, end)))
        more = f"<Marker>{end}</Marker>" if end < self._roles else ""
        return f"<RoleDetailList>{roles}</RoleDetailList><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}"


class _Raw:
    """A response body with urllib3's interface."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Any:  # noqa: ANN401 - urllib3's own
        """Yield the whole body."""
        yield self._body


def is_enrolled(number: int) -> bool:
    """Return whether the role with this number has the tag."""
    return number % ENROLLED_OF == 0


def is_broken(number: int) -> bool:
    """Return whether the role with this number lacks EC2 trust; half of the enrolled roles do."""
    return number % BROKEN_OF == 0


def _unrelated(what: str, part: int) -> dict[str, Any]:
    """Return an unrelated statement of a typical length."""
    return {
        "Sid": f"Part{part}",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "logs:PutLogEvents", "logs:CreateLogStream"],
        "Resource": [
            f"arn:aws:s3:::{what.rpartition('/')[2]}-{part}",
            f"arn:aws:s3:::{what.rpartition('/')[2]}-{part}/*",
        ],
        "Condition": {"StringEquals": {"aws:ResourceAccount": ACCOUNT}},
    }


def _document(*statements: Any) -> str:  # noqa: ANN401 - statements of policies
    return quote(json.dumps(policy(*statements)))


def _role_xml(number: int) -> str:
    name = f"role-{number}"
    arn = f"arn:aws:iam::{ACCOUNT}:role{_PATH}{name}"
    trust = _document(LAMBDA_STATEMENT if is_broken(number) else EC2_STATEMENT)
    inline = {"data": _document(bucket_grant(), _unrelated(name, 0)), "more": _document(_unrelated(name, 1))}
    policies = "".join(
        f"<member><PolicyName>{each}</PolicyName><PolicyDocument>{document}</PolicyDocument></member>"
        for each, document in inline.items()
    )
    attached = "".join(
        f"<member><PolicyName>p{each}</PolicyName><PolicyArn>arn:aws:iam::{ACCOUNT}:policy/p{each}</PolicyArn></member>"
        for each in ((number + step) % MANAGED for step in range(_ATTACHED))
    )
    tags = "".join(
        f"<member><Key>{escape(key)}</Key><Value>{escape(value)}</Value></member>"
        for key, value in (ENROLLED if is_enrolled(number) else {"team": "data"}).items()
    )
    profile = (
        f"<member><InstanceProfileName>{name}</InstanceProfileName>"
        f"<Arn>arn:aws:iam::{ACCOUNT}:instance-profile{_PATH}{name}</Arn>"
        f"<Roles><member><RoleName>{name}</RoleName><Arn>{arn}</Arn></member></Roles></member>"
    )
    return (
        f"<member><Path>{_PATH}</Path><RoleName>{name}</RoleName><RoleId>AROA{number:016}</RoleId><Arn>{arn}</Arn>"
        f"<CreateDate>2024-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>"
        f"<InstanceProfileList>{profile}</InstanceProfileList><RolePolicyList>{policies}</RolePolicyList>"
        f"<AttachedManagedPolicies>{attached}</AttachedManagedPolicies><Tags>{tags}</Tags></member>"
    )
