"""The ARN of a role: read whole, or said to be none."""

from __future__ import annotations

import pytest

from remediator.core.arn import RoleArn
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
