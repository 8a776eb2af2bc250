"""Whether S3 takes a bucket policy for public.

A policy is public unless each of its Allows is limited to fixed values: of a principal, or of one of a few condition
keys. A fixed value has no wildcard and no policy variable.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
"""

from __future__ import annotations

from ipaddress import IPv4Network

from remediator.core.policy.comparing import network_of
from remediator.core.policy.conditions import Kind, Operator, Quantifier, operator_named
from remediator.core.policy.context import has_variable
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.matching import has_wildcards
from remediator.core.policy.statement import Condition, Statement

_LIMITING = frozenset(
    (
        *("aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:userid"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce"),
        *("s3:dataaccesspointaccount", "s3:dataaccesspointarn", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    )
)
_ACCOUNT_IN_ARN = 4
_WIDEST_IPV4, _WIDEST_IPV6 = 8, 32


def public_statements(document: PolicyDocument) -> tuple[Statement, ...]:
    """The statements that make a bucket policy public; empty where it is not."""
    return tuple([statement for statement in document.statements if _is_public(statement)])


def _is_public(statement: Statement) -> bool:
    principals = statement.principals
    if statement.effect != "Allow" or principals is None:
        return False
    names_everybody = principals.negated or "*" in (*principals.aws, *principals.service, *principals.federated)
    # Anybody can sign in with a web identity provider; a SAML or OIDC provider of an account is an ARN.
    names_everybody |= any(not name.startswith("arn:") for name in principals.federated)
    return names_everybody and not any(_limits(condition) for condition in statement.conditions)


def _limits(condition: Condition) -> bool:
    test = operator_named(condition.operator)
    if test is None or not condition.values or not _needs_the_key(test):
        return False
    key = condition.key.lower()
    if key == "aws:sourceip":
        return test.kind is Kind.ADDRESS and all(map(_is_narrow, condition.values))
    return key in _LIMITING and all(_is_fixed(test, key, value) for value in condition.values)


def _needs_the_key(test: Operator) -> bool:
    """Whether it holds only for a request that carries the key, with one of the values."""
    return (
        test.compare is not None and not test.negated and not test.if_exists and test.quantifier is not Quantifier.ALL
    )


def _is_fixed(test: Operator, key: str, value: str) -> bool:
    if has_variable(value):
        return False
    if test.kind is Kind.TEXT:
        return True
    if test.kind not in (Kind.PATTERN, Kind.ARN):
        return False
    if key == "s3:dataaccesspointarn":
        # The name of the access point may be a wildcard where the account is fixed.
        parts = value.split(":")
        return (
            len(parts) > _ACCOUNT_IN_ARN and bool(parts[_ACCOUNT_IN_ARN]) and not has_wildcards(parts[_ACCOUNT_IN_ARN])
        )
    return not has_wildcards(value)


def _is_narrow(value: str) -> bool:
    network = network_of(value)
    if network is None:
        return False
    return network.prefixlen >= (_WIDEST_IPV4 if isinstance(network, IPv4Network) else _WIDEST_IPV6)
