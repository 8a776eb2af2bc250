"""Synthesised apps, made once: the example of ``cdk.json``, the largest that we promise, and one of mixed clouds.

All but the quiet one have a webhook of Slack, so that all have the same functions.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "20"  # read when the CDK is imported, below

from remediator.settings import Mode
from tests.infrastructure.templates import ACCOUNT, CONTEXT, Synthesised, synthesise

WEBHOOK = "anyscale-remediator/slack-webhook"
AMAZON_Q = {"workspace": "T07EA123LEP", "channel": "C07EZ1ABC23"}


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The stack of the configuration in ``cdk.json``, for any account, with Slack told in both ways."""
    configuration = {**CONTEXT["remediator"], "slackWebhookSecret": WEBHOOK, "amazonQ": AMAZON_Q}
    return synthesise(configuration, tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The stack of the configuration in ``cdk.json`` as it is, with nobody told in Slack."""
    return synthesise(CONTEXT["remediator"], tmp_path_factory.mktemp("quiet"))


@pytest.fixture(scope="session")
def largest(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """50 clouds of 5 buckets and 3 role patterns with long names, for one account, with all that is optional."""
    regions = ("us-east-1", "eu-central-1", "ap-southeast-2", "us-west-2")
    configuration = {
        "account": ACCOUNT,
        "enrollmentTag": "acme:anyscale-cluster-role",
        "emails": [f"team-{number}@example.com" for number in range(20)],
        "logRetentionDays": 545,
        "sweepMinutes": 1440,
        "digest": {"alone": 100, "minutes": 14},
        "slackWebhookSecret": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{'slack'.ljust(505, 'x')}-AbCdEf",
        "amazonQ": AMAZON_Q,
        "clouds": {
            f"cloud-{cloud:02}": {
                "buckets": [
                    {
                        "name": f"acme-machine-learning-anyscale-cloud-{cloud:02}-data-bucket-number-{bucket}".ljust(
                            63, "x"
                        ),
                        "region": (region := regions[cloud % len(regions)]),
                        "account": ACCOUNT,
                        "key": f"arn:aws:kms:{region}:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890{cloud:02}",
                    }
                    for bucket in range(5)
                ],
                "roles": [
                    f"anyscale/machine-learning/cloud-{cloud:02}/*",
                    f"acme-machine-learning-cloud-{cloud:02}-cluster-node-role-?",
                    f"*/machine-learning-cloud-{cloud:02}-*-cluster-node-role",
                ],
                "mode": Mode.REPAIR,
                "grant": "bucket-policy",
                "formerGrant": "role-policy",
                "instanceProfile": "repair",
                "account": ACCOUNT,
            }
            for cloud in range(50)
        },
    }
    return synthesise(configuration, tmp_path_factory.mktemp("largest"))


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands in for the functions' code where nothing is asked about it."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "nothing.py").write_text("")
    return folder


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory, code: Path) -> Synthesised:
    """Clouds in one Region, the home region, each of which asks for something else."""

    def bucket(name: str, **more: str) -> dict[str, str]:
        return {"name": name, "region": "us-east-1", **more}

    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    configuration = {
        "slackWebhookSecret": WEBHOOK,
        "clouds": {
            "plain": {"buckets": [bucket("acme-plain"), bucket("acme-shared")], "roles": ["plain/*"]},
            "granting": {
                "buckets": [bucket("acme-granting", key=key), bucket("acme-shared")],
                "roles": ["granting/*", "shared/*"],
                "grant": "bucket-policy",
            },
            "switching": {
                "buckets": [bucket("acme-switching")],
                "roles": ["switching/*", "shared/*"],
                "formerGrant": "bucket-policy",
                "instanceProfile": "repair",
            },
            "observed": {
                "buckets": [bucket("acme-observed")],
                "roles": ["observed/*"],
                "mode": "observe",
                "grant": "bucket-policy",
                "instanceProfile": "repair",
            },
            "foreign": {"buckets": [bucket("acme-foreign", account="444455556666")], "roles": ["foreign/*"]},
        },
    }
    return synthesise(configuration, tmp_path_factory.mktemp("mixed"), code=code)
