"""Which bucket policies S3 takes for public."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.core.policy.public import public_statements
from tests.unit.policy.documents import allow, deny, document


def is_public(**elements: Any) -> bool:
    return bool(public_statements(document(allow(**elements))))


@pytest.mark.parametrize(
    "principal",
    ["*", {"AWS": "*"}, {"AWS": ["111111111111", "*"]}, {"Federated": "graph.facebook.com"}],
)
def test_a_grant_to_everybody_is_public(principal: object) -> None:
    assert is_public(Principal=principal)


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": "111111111111"},
        {"Service": "logging.s3.amazonaws.com"},
        {"Federated": "arn:aws:iam::111111111111:saml-provider/x"},
        {"CanonicalUser": "79a59df9"},
    ],
)
def test_a_grant_to_somebody_is_not(principal: object) -> None:
    assert not is_public(Principal=principal)


def test_a_grant_to_all_but_somebody_is_public() -> None:
    elements = allow(NotPrincipal={"AWS": "111111111111"})
    assert public_statements(document(elements))


def test_a_deny_makes_nothing_public() -> None:
    assert public_statements(document(deny(Principal="*"))) == ()


@pytest.mark.parametrize(
    ("operator", "key", "value", "public"),
    [
        ("StringEquals", "aws:SourceVpc", "vpc-91237329", False),
        ("StringLike", "aws:SourceVpc", "vpc-*", True),
        ("StringLike", "aws:SourceVpc", "vpc-91237329", False),
        ("StringEquals", "AWS:PrincipalOrgID", "o-abc123", False),
        ("StringEquals", "aws:PrincipalOrgID", "${aws:PrincipalOrgID}", True),
        ("StringNotEquals", "aws:PrincipalOrgID", "o-abc123", True),
        ("StringEqualsIfExists", "aws:SourceVpce", "vpce-1", True),
        ("ForAllValues:StringEquals", "aws:SourceVpce", "vpce-1", True),
        ("ForAnyValue:StringEquals", "aws:SourceVpce", "vpce-1", False),
        ("Null", "aws:SourceVpce", "false", True),
        ("StringEquals", "aws:UserAgent", "me", True),
        ("Bool", "aws:SecureTransport", "true", True),
        ("StringEquals", "aws:SourceVpce", [], True),
        ("StringEquals", "aws:SourceVpce", ["vpce-1", "vpce-2"], False),
        ("StringLike", "aws:SourceVpce", ["vpce-1", "*"], True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/*", True),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/x", False),
        ("StringLike", "aws:userid", "AROAEXAMPLE:*", True),
        ("StringLike", "s3:DataAccessPointArn", "arn:aws:s3:us-west-2:123456789012:accesspoint/*", False),
        ("StringLike", "s3:DataAccessPointArn", "arn:aws:s3:us-west-2:*:accesspoint/*", True),
        ("IpAddress", "aws:SourceIp", "203.0.113.0/24", False),
        ("IpAddress", "aws:SourceIp", "0.0.0.0/1", True),
        ("IpAddress", "aws:SourceIp", "9.0.0.0/8", False),
        ("IpAddress", "aws:SourceIp", "8.0.0.0/7", True),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/7", True),
        ("IpAddress", "aws:SourceIp", "192.168.0.0/16", False),
        ("IpAddress", "aws:SourceIp", "2001::/31", True),
        ("IpAddress", "aws:SourceIp", "2001:db8::/32", False),
        ("IpAddress", "aws:SourceIp", ["203.0.113.0/24", "0.0.0.0/0"], True),
        ("IpAddress", "aws:SourceIp", "everywhere", True),
        ("NotIpAddress", "aws:SourceIp", "203.0.113.0/24", True),
        ("StringEquals", "aws:SourceIp", "203.0.113.0/24", True),
        ("StringMatches", "aws:SourceVpc", "vpc-1", True),
        ("NumericEquals", "aws:PrincipalAccount", "111111111111", True),
    ],
)
def test_only_a_fixed_value_of_some_keys_makes_it_private(operator: str, key: str, value: object, public: bool) -> None:
    assert is_public(Principal="*", Condition={operator: {key: value}}) is public


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:PrincipalAccount", "111111111111"),
        ("aws:PrincipalArn", "arn:aws:iam::111111111111:role/x"),
        ("aws:PrincipalOrgID", "o-abc123"),
        ("aws:PrincipalOrgPaths", "o-abc123/r-ab12/"),
        ("aws:SourceAccount", "111111111111"),
        ("aws:SourceArn", "arn:aws:s3:::b"),
        ("aws:SourceOwner", "111111111111"),
        ("aws:SourceVpc", "vpc-1"),
        ("aws:SourceVpce", "vpce-1"),
        ("aws:userid", "AROAEXAMPLE:i-1"),
        ("s3:DataAccessPointAccount", "111111111111"),
        ("s3:DataAccessPointArn", "arn:aws:s3:us-west-2:123456789012:accesspoint/x"),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:us-west-2:111111111111:key/x"),
    ],
)
def test_each_key_that_aws_lists_makes_it_private(key: str, value: str) -> None:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    assert not is_public(Principal="*", Condition={"StringEquals": {key: value}})


def test_one_fixed_value_is_enough() -> None:
    condition = {
        "StringEquals": {"aws:SourceVpc": "vpc-1", "aws:UserAgent": "x"},
        "Bool": {"aws:SecureTransport": "true"},
    }
    assert not is_public(Principal="*", Condition=condition)


def test_each_statement_counts_for_itself() -> None:
    held = document(allow(Principal={"AWS": "111111111111"}), allow(Sid="World", Principal="*"))
    assert [each.sid for each in public_statements(held)] == ["World"]
