"""Two synthesised stacks, made once: the example of ``cdk.json``, and the largest configuration that we promise."""

from __future__ import annotations

import os

import pytest

os.environ["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "20"  # read when the CDK is imported, below

from remediator.settings import Mode
from tests.infrastructure.templates import ACCOUNT, CONTEXT, Synthesised, synthesise


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """The stack of the configuration in ``cdk.json``, for any account."""
    return synthesise(CONTEXT["remediator"], tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def largest(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """50 clouds of 5 buckets and 3 role patterns with long names, for one account, with all that is optional."""
    configuration = {
        "account": ACCOUNT,
        "enrollmentTag": "acme:anyscale-cluster-role",
        "emails": [f"team-{number}@example.com" for number in range(20)],
        "logRetentionDays": 545,
        "clouds": {
            f"cloud-{cloud:02}": {
                "buckets": [
                    {
                        "name": f"acme-machine-learning-anyscale-cloud-{cloud:02}-data-bucket-number-{bucket}".ljust(
                            63, "x"
                        ),
                        "region": "eu-central-1",
                        "account": "444455556666",
                    }
                    for bucket in range(5)
                ],
                "roles": [
                    f"anyscale/machine-learning/cloud-{cloud:02}/*",
                    f"acme-machine-learning-cloud-{cloud:02}-cluster-node-role-?",
                    f"*/machine-learning-cloud-{cloud:02}-*-cluster-node-role",
                ],
                "mode": Mode.REPAIR,
                "account": ACCOUNT,
            }
            for cloud in range(50)
        },
    }
    return synthesise(configuration, tmp_path_factory.mktemp("largest"))
