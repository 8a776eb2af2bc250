"""One embedded AWS for all tests of a run: each test makes resources of its own, under names of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.account import BUCKET, DemoAccount
from demo.embedded import EmbeddedAws


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """An AWS account on this machine, with IAM enforced; its log stays in pytest's folder of temporary files."""
    state: Path = tmp_path_factory.mktemp("embedded-aws")
    with EmbeddedAws(state) as aws:
        yield aws


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoAccount]:
    """An account of its own with the stack deployed by the CDK's command line, a bucket, alice and Terraform."""
    with EmbeddedAws(tmp_path_factory.mktemp("stage")) as aws:
        account = DemoAccount(aws)
        lines: list[str] = []
        account.deploy(lines.append, tmp_path_factory.mktemp("cdk") / "out")
        account.furnish()
        yield account


@pytest.fixture
def account(stage: DemoAccount) -> DemoAccount:
    """The same, at rest, with nothing denied on the bucket and all e-mails read."""
    stage.s3.delete_bucket_policy(Bucket=BUCKET)
    stage.settle(0.5)
    stage.new_letters()
    return stage
