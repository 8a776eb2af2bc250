"""What calls are authorised on and as, where ministack and AWS differ.

- A call of IAM about a role: ministack makes the ARN from the name in the request, which has no path, so that neither a
  policy on ``role/anyscale/production/*`` nor a condition on the role's tags would ever match. AWS looks the role up.
  https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
- A batch call of SQS: ministack asks for an action of that name, which does not exist; AWS asks for the single one.
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions
from ministack.services import iam


def install() -> None:
    """Make ministack authorise calls as AWS does."""
    extract = iam_actions.extract_resource_arn
    name_action = iam_actions.extract_iam_action

    def name_single_action(*arguments: Any, **options: Any) -> str | None:  # noqa: ANN401 - passed on as they are
        action: str | None = name_action(*arguments, **options)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    def extract_whole(service: str, *arguments: Any, **options: Any) -> str:  # noqa: ANN401 - passed on as they are
        arn: str = extract(service, *arguments, **options)
        if service != "iam" or ":role/" not in arn:
            return arn
        account, name = arn.split(":")[4], arn.rpartition("/")[2]
        role = iam._roles.get_scoped(account, None, name)  # noqa: SLF001 - ministack offers no other way to look one up
        return str(role["Arn"]) if role else arn

    iam_actions.extract_resource_arn = extract_whole
    iam_actions.extract_iam_action = name_single_action
