"""Which roles are nearly enrolled, and which nobody can have meant."""

from __future__ import annotations

import pytest

from remediator.core.enrollment.misconfigured import (
    MisconfigurationKind,
    MisconfiguredEnrollment,
    misconfigured_enrollment,
)
from remediator.core.policy.arn import RoleArn
from tests.examples import ACCOUNT, ENROLLED, OWN_ROLE_ARN, ROLE_ARN, settings

EVERYWHERE = settings(roles=["anyscale/production/*", "*AWSServiceRoleFor*", "*AWSReservedSSO*"])
AWS_OWNED = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch",
    f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef",
)
MISSPELT = {"Anyscale:Cluster-Role": "production"}


def missed(arn: str, tags: dict[str, str]) -> MisconfiguredEnrollment | None:
    return misconfigured_enrollment(RoleArn.parse(arn), tags, EVERYWHERE)


@pytest.mark.parametrize("arn", AWS_OWNED)
@pytest.mark.parametrize("tags", [{}, MISSPELT])
def test_nobody_means_a_role_of_aws_though_a_pattern_allows_it_or_a_tag_resembles_ours(
    arn: str, tags: dict[str, str]
) -> None:
    assert missed(arn, tags) is None


@pytest.mark.parametrize("tags", [{}, MISSPELT, {"anyscale:cluster-role": "Production"}])
def test_nobody_means_a_role_of_ours_whatever_pattern_allows_it(tags: dict[str, str]) -> None:
    assert misconfigured_enrollment(RoleArn.parse(OWN_ROLE_ARN), tags, settings(roles=["Anyscale*"])) is None


@pytest.mark.parametrize(
    ("tags", "nearness"), [({}, MisconfigurationKind.UNTAGGED), (MISSPELT, MisconfigurationKind.TAG_MISSPELT)]
)
def test_of_any_other_role_the_same_is_a_near_miss(tags: dict[str, str], nearness: MisconfigurationKind) -> None:
    found = missed(ROLE_ARN, tags)
    assert found is not None
    assert (found.nearness, found.cloud) == (nearness, "production")
    assert "Nor does" not in found.why


@pytest.mark.parametrize("arn", [*AWS_OWNED, ROLE_ARN])
def test_a_role_that_is_enrolled_is_none(arn: str) -> None:
    assert missed(arn, ENROLLED) is None


@pytest.mark.parametrize(
    ("tags", "nearness", "cloud"),
    [
        ({"anyscale:clutser-role": "production"}, MisconfigurationKind.TAG_MISSPELT, None),
        ({"Anyscale:Cluster-Role": "something else"}, MisconfigurationKind.TAG_MISSPELT, None),
        ({"anyscale:cluster-role": "Production"}, MisconfigurationKind.UNKNOWN_CLOUD, "production"),
        ({"anyscale:cluster-role": "something else"}, MisconfigurationKind.UNKNOWN_CLOUD, None),
        (ENROLLED, MisconfigurationKind.NOT_ALLOWED, "production"),
    ],
)
def test_of_a_role_that_no_cloud_allows_only_what_somebody_has_tried_is_told(
    tags: dict[str, str], nearness: MisconfigurationKind, cloud: str | None
) -> None:
    elsewhere = f"arn:aws:iam::{ACCOUNT}:role/elsewhere/head-node"
    found = missed(elsewhere, tags)
    assert found is not None
    assert (found.nearness, found.cloud, found.is_intended) == (nearness, cloud, True)
    assert ("Nor does the cloud production allow role/elsewhere/head-node." in found.why) is (
        nearness is MisconfigurationKind.TAG_MISSPELT and "production" in tags.values()
    )
    if nearness is MisconfigurationKind.UNKNOWN_CLOUD:
        assert found.why.endswith("is 'production' meant?" if cloud else "there are production.")
    assert missed(elsewhere, {"team": "ray"}) is None


def test_the_tag_on_a_role_of_aws_is_a_mistake_where_no_cloud_allows_it() -> None:
    found = misconfigured_enrollment(RoleArn.parse(AWS_OWNED[0]), ENROLLED, settings())
    assert found is not None
    assert (found.nearness, found.is_intended) == (MisconfigurationKind.NOT_ALLOWED, True)
