"""What calls are authorised on and as, where ministack and AWS differ.

- A call of IAM about a role or an instance profile: ministack makes the ARN from the name in the request, which has no
  path, so that neither a policy on ``role/anyscale/production/*`` nor a condition on the role's tags would ever match;
  of instance profiles it knows none. AWS looks them up. What is only being created has the path that is asked for.
  https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
- A batch call of SQS: ministack asks for an action of that name, which does not exist; AWS asks for the single one.
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions
from ministack.services import iam

# The first parameter of these that a request has names what it is about.
_NAMED_BY = (("InstanceProfileName", "instance-profile"), ("RoleName", "role"))
_CREATED_BY = {
    "CreateInstanceProfile": ("InstanceProfileName", "instance-profile"),
    "CreatePolicy": ("PolicyName", "policy"),
    "CreateRole": ("RoleName", "role"),
}


def install() -> None:
    """Make ministack authorise calls as AWS does."""
    extract = iam_actions.extract_resource_arn
    name_action = iam_actions.extract_iam_action

    def name_single_action(*arguments: Any, **options: Any) -> str | None:  # noqa: ANN401 - passed on as they are
        action: str | None = name_action(*arguments, **options)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    def extract_whole(
        service: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        parameters: Mapping[str, Any],
        region: str,
        account: str,
    ) -> str:
        named = _identity(parameters, account) if service == "iam" else None
        return named or str(extract(service, method, path, headers, body, parameters, region, account))

    iam_actions.extract_resource_arn = extract_whole
    iam_actions.extract_iam_action = name_single_action


def _identity(parameters: Mapping[str, Any], account: str) -> str | None:
    """The ARN of the role or instance profile that a call of IAM is about, or of what it creates; None for others."""

    def parameter(name: str) -> str:
        return str(iam_actions._query_param(parameters, name))  # noqa: SLF001 - ministack's way to read a parameter

    if created := _CREATED_BY.get(parameter("Action")):
        name, kind = created
        return f"arn:aws:iam::{account}:{kind}{parameter('Path') or '/'}{parameter(name)}"
    known = {"role": iam._roles, "instance-profile": iam._instance_profiles}  # noqa: SLF001 - the only way to look one up
    for name, kind in _NAMED_BY:
        if value := parameter(name):
            found = known[kind].get_scoped(account, None, value)
            return str(found["Arn"]) if found else f"arn:aws:iam::{account}:{kind}/{value}"
    return None
