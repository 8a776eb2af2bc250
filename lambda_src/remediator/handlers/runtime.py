"""What all functions share: the clients' configuration, who we are, what becomes of failed messages."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from botocore.config import Config

from remediator import __version__
from remediator.errors import MalformedArn
from remediator.gateways.queue import FailedDelivery

CLIENT_CONFIG = Config(
    # Standard mode backs off with jitter; what is still throttled after that goes back to the queue.
    # https://docs.aws.amazon.com/boto3/latest/guide/retries.html
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=5,
    user_agent_extra=f"anyscale-role-remediator/{__version__}",
)

WRITE_CLIENT_CONFIG = CLIENT_CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""For documents of IAM and S3: what the SDK sent again would not have been looked at again (``flows.writing``)."""

SCAN_CLIENT_CONFIG = CLIENT_CONFIG.merge(Config(read_timeout=30))
"""For calls whose answer holds a thousand roles, which IAM takes its time for."""

_ACCOUNT_FIELD = 4


def account_of(function_arn: str) -> str:
    """The account (12 digits) that a function runs in, from the ARN under which it was invoked.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html (invoked_function_arn)
    """
    fields = function_arn.split(":")
    if len(fields) <= _ACCOUNT_FIELD or not fields[_ACCOUNT_FIELD].isdigit():
        raise MalformedArn(f"{function_arn!r} is not the ARN of a function")
    return fields[_ACCOUNT_FIELD]


def own_roles() -> frozenset[str]:
    """The ARNs of the remediator's own roles, from the environment."""
    return frozenset(os.environ["OWN_ROLE_ARNS"].split(","))


def failed_deliveries(event: dict[str, Any], answer: PartialItemFailureResponse) -> tuple[FailedDelivery, ...]:
    """The messages of a batch that failed or were skipped, by the answer that Lambda is given."""
    failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    return tuple(
        FailedDelivery(record["receiptHandle"], int(record["attributes"]["ApproximateReceiveCount"]))
        for record in event["Records"]
        if record["messageId"] in failed
    )
