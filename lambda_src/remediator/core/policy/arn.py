"""ARNs and account ids, parsed once at the door."""

from __future__ import annotations

import re
from dataclasses import dataclass

from remediator.errors import MalformedArn

_ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role(?P<path>/(?:[\x21-\x7e]+/)?)(?P<name>[\w+=,.@-]{1,64})"
)

CUSTOMER_POLICY_ARN = re.compile(
    r"arn:aws[a-z-]*:iam::\d{12}:policy/(?:[\x21-\x7e]{1,510}/)?[\w+=,.@-]{1,128}", re.ASCII
)
"""The ARN of a managed policy of an account; those of AWS itself have the account ``aws``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (a path has at most 512 characters)
"""

KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]{1,128}", re.ASCII)
"""The ARN of a KMS key, never that of an alias."""

_LONGEST_SHOWN = 200

SERVICE_DNS_SUFFIX = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True, slots=True)
class RoleArn:
    """The ARN of an IAM role.

    ``path`` starts and ends with a slash, as AWS prints it ("/" or "/anyscale/production/").
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """

    partition: str
    account: str
    path: str
    name: str

    @classmethod
    def parse(cls, text: str) -> RoleArn:
        """Read a role's ARN; raises MalformedArn with the text when it is anything else."""
        match = _ROLE_ARN.fullmatch(text)
        if match is None:
            shown = repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")
            raise MalformedArn(f"{shown} is not the ARN of an IAM role (arn:PARTITION:iam::ACCOUNT:role/PATH/NAME)")
        return cls(match["partition"], match["account"], match["path"], match["name"])

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role{self.path}{self.name}"

    @property
    def path_and_name(self) -> str:
        """The part of the ARN after ``role/``, which role patterns are matched against."""
        return f"{self.path}{self.name}"[1:]


def ec2_service_principal(partition: str) -> str:
    """The service principal of EC2 in a partition: ``ec2.amazonaws.com``, or ``ec2.amazonaws.com.cn`` in China.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-services
    """
    return f"ec2.{SERVICE_DNS_SUFFIX.get(partition, 'amazonaws.com')}"


def service_by_s3(region: str, partition: str) -> str:
    """What ``kms:ViaService`` says where S3 uses a key on a caller's behalf: ``s3.us-west-2.amazonaws.com``.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """
    return f"s3.{region}.{SERVICE_DNS_SUFFIX.get(partition, 'amazonaws.com')}"
