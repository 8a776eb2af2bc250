"""What a cloud's configuration asks for."""

from __future__ import annotations

from remediator.core.repair.desired import Desired, desired_of
from remediator.settings import GrantLocation, InstanceProfileMode, RolePattern
from tests.examples import settings


def test_a_cloud_asks_for_grants_and_instance_profiles_as_it_is_configured_and_for_its_own_roles_alone() -> None:
    (plain,) = settings().clouds
    roles = (RolePattern("anyscale/production/*"),)
    assert desired_of(plain) == Desired(
        GrantLocation.ROLE_POLICY,
        writes_bucket_policies=False,
        instance_profile=InstanceProfileMode.REPORT,
        instance_profiles=roles,
    )
    (on_bucket,) = settings(grant="bucket-policy", instanceProfile="repair").clouds
    assert desired_of(on_bucket) == Desired(
        GrantLocation.BUCKET_POLICY,
        writes_bucket_policies=True,
        instance_profile=InstanceProfileMode.REPAIR,
        instance_profiles=roles,
    )
    (back,) = settings(grant="role-policy", formerGrant="bucket-policy").clouds
    assert (desired_of(back).grant, desired_of(back).writes_bucket_policies) == (GrantLocation.ROLE_POLICY, True)
