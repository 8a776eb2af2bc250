"""The read-only IAM policy for reading an account, made from the permissions declared for the sweeper."""

from __future__ import annotations

from typing import Final

from remediator.permissions import SWEEPER, Target
from remediator.settings import Settings

SCAN: Final = tuple(permission for permission in SWEEPER if permission.target is not Target.HISTORY_LISTING)
"""What is called on the way: all that the sweeper reads, but for the history, which there need not be yet."""

_SIDS: Final = {
    Target.WHOLE_ACCOUNT: "ReadAccount",
    Target.ANY_INSTANCE_PROFILE: "ReadInstanceProfiles",
    Target.ANY_MANAGED_POLICY: "ReadManagedPolicies",
    Target.CONFIGURED_BUCKETS: "ReadBuckets",
    Target.CONFIGURED_KEYS: "ReadKeys",
}


def scan_policy(settings: Settings) -> dict[str, object]:
    """The policy: one statement for each kind of resource that the configuration names any of.

    ``sts:GetCallerIdentity`` takes no permission.
    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    statements = [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Action": [permission.action for permission in SCAN if permission.target is target],
            "Resource": resources,
        }
        for target, sid in _SIDS.items()
        if (resources := _resources(settings)[target])
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _resources(settings: Settings) -> dict[Target, list[str]]:
    account = settings.account or "*"
    buckets = [bucket for cloud in settings.clouds for bucket in cloud.buckets]
    return {
        Target.WHOLE_ACCOUNT: ["*"],  # the call can be granted on nothing narrower
        Target.ANY_INSTANCE_PROFILE: [f"arn:aws:iam::{account}:instance-profile/*"],
        Target.ANY_MANAGED_POLICY: [f"arn:aws:iam::{account}:policy/*", "arn:aws:iam::aws:policy/*"],
        Target.CONFIGURED_BUCKETS: list(dict.fromkeys(f"arn:aws:s3:::{bucket.name}" for bucket in buckets)),
        Target.CONFIGURED_KEYS: list(dict.fromkeys(bucket.key for bucket in buckets if bucket.key)),
    }
