"""What IAM's own calls are authorised on: the whole ARN of a role, with its path.

ministack makes the ARN from the name in the request, which has no path, so that neither a policy on
``role/anyscale/production/*`` nor a condition on the role's tags would ever match. AWS looks the role up.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions
from ministack.services import iam


def install() -> None:
    """Make ministack authorise calls on the ARN of the role that exists."""
    extract = iam_actions.extract_resource_arn

    def extract_whole(service: str, *arguments: Any, **options: Any) -> str:  # noqa: ANN401 - passed on as they are
        arn: str = extract(service, *arguments, **options)
        if service != "iam" or ":role/" not in arn:
            return arn
        account, name = arn.split(":")[4], arn.rpartition("/")[2]
        role = iam._roles.get_scoped(account, None, name)  # noqa: SLF001 - ministack offers no other way to look one up
        return str(role["Arn"]) if role else arn

    iam_actions.extract_resource_arn = extract_whole
