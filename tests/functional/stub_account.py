"""An IAM client for what moto cannot do: an account of thousands of roles in pages, and pages as they should not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from tests.examples import ACCOUNT, EC2_STATEMENT, ENROLLED, bucket_grant, policy

Raw = dict[str, Any]


def raw_role(
    name: str,
    *trust: Mapping[str, object],
    path: str = "/anyscale/production/",
    tags: Mapping[str, str] | None = None,
    granted: bool = True,
    inline: Mapping[str, object] | None = None,
    profiled: bool = True,
    attached: tuple[str, ...] = (),
    boundary: str | None = None,
) -> Raw:
    """A role as the SDK gives it: by default an enrolled one in which nothing is wrong."""
    arn = f"arn:aws:iam::{ACCOUNT}:role{path}{name}"
    profile = {
        "InstanceProfileName": name,
        "Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile{path}{name}",
        "Roles": [{"RoleName": name, "Arn": arn}],
    }
    return {
        "Path": path,
        "RoleName": name,
        "RoleId": f"AROA{name.upper():X<12}",
        "Arn": arn,
        "CreateDate": datetime(2024, 1, 1, tzinfo=UTC),
        "AssumeRolePolicyDocument": policy(*(trust or (EC2_STATEMENT,))),
        "InstanceProfileList": [profile] if profiled else [],
        "RolePolicyList": [
            {"PolicyName": f"p{number}", "PolicyDocument": policy(statement)}
            for number, statement in enumerate(filter(None, (bucket_grant() if granted else None, inline)))
        ],
        "AttachedManagedPolicies": [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in attached],
        "Tags": [{"Key": key, "Value": value} for key, value in (ENROLLED if tags is None else tags).items()],
        **({} if boundary is None else {"PermissionsBoundary": {"PermissionsBoundaryArn": boundary}}),
    }


class StubAccount:
    """IAM with roles in pages of the given sizes, of which the last is repeated, and policies that grant nothing.

    ``role`` makes the raw role of a number from 0, so that the roles of a large account need not be kept. ``calls``
    counts the calls by their operations, and ``fail`` is asked before each whether it fails.
    """

    def __init__(self, roles: int, role: Callable[[int], Any], *, pages: tuple[int, ...] = (1000,)) -> None:
        self.calls: Counter[str] = Counter()
        self.fail: Callable[[str, Raw], str | None] = lambda operation, arguments: None
        self._roles = roles
        self._role = role
        self._pages = pages

    @classmethod
    def of(cls, *roles: Any, pages: tuple[int, ...] = (1000,)) -> StubAccount:
        """An account of these raw roles."""
        return cls(len(roles), roles.__getitem__, pages=pages)

    def _called(self, operation: str, **arguments: Any) -> None:
        self.calls[operation] += 1
        code = self.fail(operation, arguments)
        if code is not None:
            error: Any = {
                "Error": {"Code": code, "Message": "as asked for"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(error, operation)

    def _starts(self) -> Iterator[tuple[int, int]]:
        """Where each page starts and ends."""
        number, start = 0, 0
        while True:
            end = min(start + self._pages[min(number, len(self._pages) - 1)], self._roles)
            yield start, end
            number, start = number + 1, end
            if end == self._roles:
                return

    def get_account_authorization_details(self, *, Filter: list[str], MaxItems: int, Marker: str = "0") -> Raw:  # noqa: N803 - the SDK's names
        """One page; its marker is the number of the page to come."""
        assert (Filter, MaxItems) == (["Role"], 1000)
        self._called("GetAccountAuthorizationDetails", Marker=Marker)
        starts = list(self._starts())
        start, end = starts[int(Marker)]
        following = int(Marker) + 1
        further = {"Marker": str(following)} if following < len(starts) else {}
        return {
            "RoleDetailList": [self._role(number) for number in range(start, end)],
            "IsTruncated": bool(further),
            **further,
        }

    def get_paginator(self, operation: str) -> StubPaginator:
        """The pages of the instance profiles: one, which is empty."""
        return StubPaginator(self, operation)

    def get_policy(self, *, PolicyArn: str) -> Raw:  # noqa: N803 - the SDK's names
        """A managed policy, without its document."""
        self._called("GetPolicy", PolicyArn=PolicyArn)
        return {"Policy": {"PolicyId": PolicyArn, "DefaultVersionId": "v1"}}

    def get_policy_version(self, *, PolicyArn: str, VersionId: str) -> Raw:  # noqa: N803 - the SDK's names
        """The document of a managed policy."""
        self._called("GetPolicyVersion", PolicyArn=PolicyArn)
        nothing = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:us-east-1:{ACCOUNT}:a"}
        return {"PolicyVersion": {"Document": policy(nothing)}}


class StubPaginator:
    """The only list besides the scan that a sweep may need: all instance profiles, of which there are none."""

    def __init__(self, account: StubAccount, operation: str) -> None:
        self._account = account
        self._operation = operation

    def paginate(self, **_: object) -> list[Raw]:
        """One page."""
        self._account._called("".join(word.capitalize() for word in self._operation.split("_")))
        return [{"InstanceProfiles": []}]
