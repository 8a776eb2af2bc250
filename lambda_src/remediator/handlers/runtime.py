"""What both functions share: the clients' configuration, and who we are."""

from __future__ import annotations

from botocore.config import Config

from remediator import __version__
from remediator.errors import MalformedArn

CLIENT_CONFIG = Config(
    # Standard mode backs off with jitter; what is still throttled after that goes back to the queue.
    # https://docs.aws.amazon.com/boto3/latest/guide/retries.html
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=3,
    read_timeout=10,
    user_agent_extra=f"anyscale-role-remediator/{__version__}",
)

_ACCOUNT_FIELD = 4


def account_of(function_arn: str) -> str:
    """The account (12 digits) that a function runs in, from the ARN under which it was invoked.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html (invoked_function_arn)
    """
    fields = function_arn.split(":")
    if len(fields) <= _ACCOUNT_FIELD or not fields[_ACCOUNT_FIELD].isdigit():
        raise MalformedArn(f"{function_arn!r} is not the ARN of a function")
    return fields[_ACCOUNT_FIELD]
