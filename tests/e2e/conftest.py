"""One embedded AWS for all tests of a run: each test makes resources of its own, under names of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.account import DemoAccount
from demo.embedded import EmbeddedAws
from tests.e2e.clearing import clear


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """An AWS account on this machine, with IAM enforced; its log stays in pytest's folder of temporary files."""
    state: Path = tmp_path_factory.mktemp("embedded-aws")
    with EmbeddedAws(state) as aws:
        yield aws


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the stage's cloud assembly is written."""
    return tmp_path_factory.mktemp("cdk") / "out"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, assembly: Path) -> Iterator[DemoAccount]:
    """An account of its own with the stack deployed by the CDK's command line, buckets, alice and Terraform."""
    with EmbeddedAws(tmp_path_factory.mktemp("stage")) as aws:
        account = DemoAccount(aws)
        lines: list[str] = []
        account.deploy(lines.append, assembly)
        account.create_resources()
        yield account


@pytest.fixture
def account(stage: DemoAccount) -> DemoAccount:
    """The same, at rest, without any enrolled role or bucket policy that another test left, and all e-mails read."""
    clear(stage)
    return stage
