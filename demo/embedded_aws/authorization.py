"""Differences between ministack and AWS in the resources and actions of authorization.

- IAM calls on a role or instance profile: AWS looks up the ARN. ministack builds a role's ARN without a path, from the
  name in the request. So policies on ``role/anyscale/production/*`` and conditions on the role's tags never match. It
  does not support instance profiles. A resource that is being created has the requested path.
  https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
- SQS batch calls: AWS checks the action of the single call; ministack checks one named like the batch call, which does
  not exist.
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions
from ministack.services import iam

# The first of these parameters in a request names its resource.
_NAMED_BY = (("InstanceProfileName", "instance-profile"), ("RoleName", "role"))
_CREATED_BY = {
    "CreateInstanceProfile": ("InstanceProfileName", "instance-profile"),
    "CreatePolicy": ("PolicyName", "policy"),
    "CreateRole": ("RoleName", "role"),
}


def install() -> None:
    """Make ministack authorize calls as AWS does."""
    extract_arn = iam_actions.extract_resource_arn
    extract_action = iam_actions.extract_iam_action

    def extract_single_action(*arguments: Any, **options: Any) -> str | None:  # noqa: ANN401 - passed on unchanged
        action: str | None = extract_action(*arguments, **options)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    def extract_arn_with_path(
        service: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        parameters: Mapping[str, Any],
        region: str,
        account: str,
    ) -> str:
        found = _iam_arn(parameters, account) if service == "iam" else None
        return found or str(extract_arn(service, method, path, headers, body, parameters, region, account))

    iam_actions.extract_resource_arn = extract_arn_with_path
    iam_actions.extract_iam_action = extract_single_action


def _iam_arn(parameters: Mapping[str, Any], account: str) -> str | None:
    """Return the ARN of the role or instance profile of an IAM call, or of the resource that it creates, else None."""

    def parameter(name: str) -> str:
        return str(iam_actions._query_param(parameters, name))  # noqa: SLF001 - ministack's parameter access

    if created := _CREATED_BY.get(parameter("Action")):
        name, kind = created
        return f"arn:aws:iam::{account}:{kind}{parameter('Path') or '/'}{parameter(name)}"
    known = {"role": iam._roles, "instance-profile": iam._instance_profiles}  # noqa: SLF001 - the only lookup
    for name, kind in _NAMED_BY:
        if value := parameter(name):
            found = known[kind].get_scoped(account, None, value)
            return str(found["Arn"]) if found else f"arn:aws:iam::{account}:{kind}/{value}"
    return None
