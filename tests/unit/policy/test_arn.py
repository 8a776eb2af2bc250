"""The ARN of a role: read whole, or said to be none."""

from __future__ import annotations

import pytest

from remediator.core.policy.arn import RoleArn, ec2_service_principal, service_by_s3
from remediator.errors import MalformedArn


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::111122223333:role/head-node",
        "arn:aws-us-gov:iam::111122223333:role/anyscale/production/head-node",
        "arn:aws-cn:iam::111122223333:role/a/b/c/node+=,.@-_1",
    ],
)
def test_an_arn_is_read_and_written_as_it_was(text: str) -> None:
    assert str(RoleArn.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "head-node",
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::11112222333:role/head-node",
        "arn:aws:sts::111122223333:role/head-node",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/head-node\n",
        "x" * 5_000,
    ],
)
def test_anything_else_is_malformed_and_shown_in_short(text: str) -> None:
    with pytest.raises(MalformedArn, match="is not the ARN of an IAM role") as raised:
        RoleArn.parse(text)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("partition", "suffix"),
    [
        ("aws", "amazonaws.com"),
        ("aws-us-gov", "amazonaws.com"),
        ("aws-cn", "amazonaws.com.cn"),
        ("aws-new", "amazonaws.com"),
    ],
)
def test_the_services_of_a_partition_have_its_suffix_and_those_of_an_unknown_one_the_usual(
    partition: str, suffix: str
) -> None:
    assert service_by_s3("region-1", partition) == f"s3.region-1.{suffix}"
    assert ec2_service_principal(partition) == f"ec2.{suffix}"
