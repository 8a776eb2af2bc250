"""Which roles are ours, and the pattern that says the same to IAM."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from remediator.core.enrollment.own_roles import is_own_role, own_roles_pattern
from remediator.core.policy.arn import RoleArn
from tests.examples import ACCOUNT, OWN_ROLE_ARN, ROLE_ARN

ROLES = {
    OWN_ROLE_ARN: True,
    f"arn:aws:iam::{ACCOUNT}:role/AnyscaleRemediatorForwarde-Role1ABCC5F0-ftsyJqRnKmAd": True,
    f"arn:aws:iam::{ACCOUNT}:role/AnyscaleRemediator": True,
    # The pattern matches it, so that we could not write to it: it is refused rather than denied.
    f"arn:aws:iam::{ACCOUNT}:role/AnyscaleRemediators/head-node": True,
    f"arn:aws:iam::{ACCOUNT}:role/anyscale/AnyscaleRemediator-Router": False,
    f"arn:aws:iam::{ACCOUNT}:role/anyscaleremediator-Router": False,
    f"arn:aws:iam::{ACCOUNT}:role/AnyscaleRemediato": False,
    ROLE_ARN: False,
}


@pytest.mark.parametrize(("arn", "ours"), ROLES.items())
def test_the_rule_and_its_pattern_agree(arn: str, ours: bool) -> None:
    assert is_own_role(RoleArn.parse(arn)) is ours
    assert fnmatchcase(arn, own_roles_pattern(ACCOUNT)) is ours
