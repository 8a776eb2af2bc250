"""A survey of an account: which roles it shows, what it says of each, and that it writes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.core.enrollment.misconfigured import MisconfigurationKind
from remediator.core.repair.outcome import OutcomeKind
from remediator.errors import DeniedError, TransientError
from remediator.flows.survey import Survey, Surveyed, is_surveyed, survey
from remediator.gateways.account import AccountScan
from remediator.gateways.iam import IamGateway
from remediator.gateways.world import World as GivenWorld
from remediator.settings import Settings
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, LAMBDA_STATEMENT, bucket_grant, settings
from tests.functional.stub_account import StubAccount, raw_role
from tests.functional.test_sweep import Buckets
from tests.functional.world import NOW, ROLE, World

TAG = "anyscale:cluster-role"


def survey_world(world: World, *names: str, **overrides: Any) -> Survey:
    """Look at the account of moto, or at some of its roles."""
    on_roles = overrides.pop("on_roles", lambda count: None)
    scan = AccountScan(world.iam, TAG, also=is_surveyed(world.settings, frozenset(names)))
    return survey(world.given(**{"scan": scan, "now": NOW, **overrides}), frozenset(names), on_roles=on_roles)


def the_role(world: World, *names: str, **overrides: Any) -> Surveyed:
    """The only role that a survey shows."""
    (found,) = survey_world(world, *names, **overrides).roles
    return found


def survey_stub(*roles: Any, pages: tuple[int, ...] = (1000,), seen: list[int] | None = None) -> Survey:
    """Look at a stubbed account of these raw roles, and their buckets, which have no policies."""
    client: Any = StubAccount(len(roles), lambda number: roles[number], pages=pages)
    configuration: Settings = settings()
    scan = AccountScan(client, TAG, also=is_surveyed(configuration, frozenset()))
    world = stub_world(client, scan, Buckets(), configuration)
    return survey(world, frozenset(), on_roles=(lambda count: None) if seen is None else seen.append)


def stub_world(client: Any, scan: Any, buckets: Any, configuration: Settings) -> GivenWorld:
    return GivenWorld(
        account=ACCOUNT, settings=configuration, clock=lambda: NOW, scan=scan, roles=IamGateway(client), buckets=buckets
    )


def test_a_role_that_lacks_trust_and_grant_is_shown_with_the_writes_that_repair_it_and_nothing_is_written(
    world: World,
) -> None:
    world.create_role(LAMBDA_STATEMENT)
    found = the_role(world)
    assert (found.assessment.kind, found.needs_something) == (OutcomeKind.WOULD_REPAIR, True)
    written = [str(step.document) for step in found.assessment.plan.writes]
    assert written == ["trust policy", "inline policy AnyscaleRemediatorS3Access"]
    assert (world.trust(), world.inline(), world.writes) == ([LAMBDA_STATEMENT], {}, [])


def test_what_is_shown_is_what_the_reconciler_writes(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    planned = the_role(world).assessment.plan.writes
    assert world.reconcile().applied == planned
    assert the_role(world).assessment.kind is OutcomeKind.CLEAN


def test_a_role_in_order_needs_nothing(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.grant(bucket_grant())
    found = the_role(world)
    assert (found.assessment.kind, found.needs_something) == (OutcomeKind.CLEAN, False)
    assert survey_world(world).needs_something is False


def test_a_role_that_was_set_to_off_needs_nothing(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT, tags={TAG: "production", "anyscale:remediation": "off"})
    found = the_role(world)
    assert (found.assessment.kind, found.near, found.needs_something) == (OutcomeKind.OFF, None, False)


def test_an_administrators_role_is_refused_and_nothing_is_planned(world: World) -> None:
    world.create_role(LAMBDA_STATEMENT)
    world.grant({"Effect": "Allow", "Action": "*", "Resource": "*"})
    found = the_role(world)
    assert (found.assessment.kind, found.assessment.plan.writes) == (OutcomeKind.REFUSED, ())
    assert found.assessment.refused is not None
    assert found.needs_something


@pytest.mark.parametrize(
    ("tags", "path", "nearness", "cloud"),
    [
        (
            {"Anyscale:Cluster-Role": "production"},
            "/anyscale/production/",
            MisconfigurationKind.TAG_MISSPELT,
            "production",
        ),
        (
            {"anyscale_cluster_role": "Production"},
            "/anyscale/production/",
            MisconfigurationKind.TAG_MISSPELT,
            "production",
        ),
        ({"Anyscale:Cluster-Role": "production"}, "/elsewhere/", MisconfigurationKind.TAG_MISSPELT, None),
        ({"anyscale:clutser-role": "research"}, "/elsewhere/", MisconfigurationKind.TAG_MISSPELT, None),
        ({TAG: "Production"}, "/anyscale/production/", MisconfigurationKind.UNKNOWN_CLOUD, "production"),
        ({TAG: "research"}, "/anyscale/production/", MisconfigurationKind.UNKNOWN_CLOUD, None),
        ({TAG: "production"}, "/elsewhere/", MisconfigurationKind.NOT_ALLOWED, "production"),
        ({}, "/anyscale/production/", MisconfigurationKind.UNTAGGED, "production"),
    ],
)
def test_a_role_that_is_nearly_enrolled_is_shown_with_what_stands_in_the_way(
    tags: dict[str, str], path: str, nearness: MisconfigurationKind, cloud: str | None, world: World
) -> None:
    world.create_role(EC2_STATEMENT, tags=tags, path=path)
    found = the_role(world)
    assert found.near is not None
    assert (found.near.nearness, found.near.cloud) == (nearness, cloud)
    assert found.needs_something is (nearness is not MisconfigurationKind.UNTAGGED)


@pytest.mark.parametrize(
    ("tags", "path"),
    [
        ({}, "/elsewhere/"),
        ({"anyscale:cluster": "production"}, "/elsewhere/"),
        ({"Anyscale:Cluster-Role": "production"}, "/aws-service-role/x.amazonaws.com/"),
    ],
)
def test_a_role_that_nobody_meant_to_enrol_is_not_shown(tags: dict[str, str], path: str, world: World) -> None:
    world.create_role(EC2_STATEMENT, tags=tags, path=path)
    found = survey_world(world)
    assert (found.scanned, found.roles, found.needs_something) == (1, (), False)


def test_of_some_names_only_those_are_shown_enrolled_or_not(world: World) -> None:
    for name in ("first", "second", "third"):
        world.create_role(LAMBDA_STATEMENT, name=name)
    world.create_role(LAMBDA_STATEMENT, name="another", tags={}, path="/elsewhere/")
    found = survey_world(world, "second", "another").roles
    kinds = {each.assessment.scanned.role.arn.name: each.assessment.kind for each in found}
    assert kinds == {"second": OutcomeKind.WOULD_REPAIR, "another": OutcomeKind.NOT_ENROLLED}


def test_all_pages_are_looked_at_and_each_is_told_of() -> None:
    seen: list[int] = []
    found = survey_stub(*(raw_role(f"node-{number}") for number in range(5)), pages=(2,), seen=seen)
    assert ([each.assessment.kind for each in found.roles], found.scanned) == ([OutcomeKind.CLEAN] * 5, 5)
    assert seen == [2, 4, 5]


def test_a_bucket_of_many_roles_is_read_once() -> None:
    buckets = Buckets()
    client: Any = StubAccount.of(*(raw_role(f"node-{number}") for number in range(3)))
    survey(stub_world(client, AccountScan(client, TAG), buckets, settings()), frozenset(), on_roles=lambda count: None)
    assert buckets.read == [BUCKET]


def test_what_cannot_be_reached_for_now_leaves_the_role_unjudged_and_never_clean(world: World) -> None:
    world.create_role(EC2_STATEMENT)
    world.create_role(LAMBDA_STATEMENT, name="another", tags={TAG: "production", "anyscale:remediation": "off"})
    slow = Buckets({BUCKET: TransientError("s3:GetBucketPolicy", "SlowDown", "later")})
    found = survey_world(world, buckets=slow)
    assert [each.assessment.scanned.role.arn.name for each in found.roles] == ["another"]
    assert [(each.name, each.cloud) for each in found.unjudged] == [(ROLE, "production")]
    assert "SlowDown" in found.unjudged[0].why


def test_what_is_wrong_with_one_role_hides_no_other() -> None:
    found = survey_stub({**raw_role("broken"), "RolePolicyList": 7}, raw_role("node"))
    assert [each.assessment.scanned.role.arn.name for each in found.roles] == ["node"]
    assert [each.name for each in found.unjudged] == ["broken"]


def test_a_fault_of_ours_with_one_role_is_told_and_hides_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    world.create_role(EC2_STATEMENT)
    world.create_role(EC2_STATEMENT, name="another", tags={TAG: "research"})
    monkeypatch.setattr("remediator.flows.assess.diagnose", broken)
    found = survey_world(world)
    assert [each.assessment.scanned.role.arn.name for each in found.roles] == ["another"]
    assert [(each.name, each.why) for each in found.unjudged] == [(ROLE, "KeyError: 'oops'")]


def test_a_scan_that_is_denied_is_an_error(world: World) -> None:
    class Denied:
        def page(self, marker: str | None = None) -> Any:
            raise DeniedError("iam:GetAccountAuthorizationDetails", "AccessDenied", "not you")

    with pytest.raises(DeniedError, match="GetAccountAuthorizationDetails"):
        survey(world.given(scan=Denied()), frozenset(), on_roles=lambda count: None)
