"""Clearing the stage between tests."""

from __future__ import annotations

from typing import Any

from demo.account import BUCKET, RESEARCH_BUCKET, TAG, DemoAccount


def clear(stage: DemoAccount) -> None:
    """Remove what the tests so far have left, without an event about it, once they have come to rest."""
    stage.settle()
    with stage.aws.lose_events():
        for page in stage.iam.get_paginator("get_account_authorization_details").paginate(Filter=["Role"]):
            for role in page["RoleDetailList"]:
                if role["Path"].startswith("/anyscale/") or TAG in [tag["Key"] for tag in role["Tags"]]:
                    delete_role(stage, role)
        stage.s3.delete_bucket_policy(Bucket=BUCKET)
        stage.research_s3.delete_bucket_policy(Bucket=RESEARCH_BUCKET)
    stage.new_emails()
    stage.new_alerts()


def delete_role(account: DemoAccount, role: Any) -> None:
    """Delete a role, as GetAccountAuthorizationDetails tells of it, with all that hangs on it."""
    iam, name = account.iam, role["RoleName"]
    for profile in role["InstanceProfileList"]:
        iam.remove_role_from_instance_profile(InstanceProfileName=profile["InstanceProfileName"], RoleName=name)
        iam.delete_instance_profile(InstanceProfileName=profile["InstanceProfileName"])
    for policy in role["AttachedManagedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for inline in role["RolePolicyList"]:
        iam.delete_role_policy(RoleName=name, PolicyName=inline["PolicyName"])
    iam.delete_role(RoleName=name)
