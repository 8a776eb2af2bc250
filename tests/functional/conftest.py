"""A small AWS account in memory, with the gateways on it."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.functional.world import World
from tests.memoized import install

install()


@pytest.fixture(scope="session")
def _session() -> boto3.Session:
    """One session for all tests: it reads the models of AWS's APIs only once, which takes longer than most tests."""
    return boto3.Session()


@pytest.fixture
def world(_session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An account with the cloud's bucket, a work queue, and an alerts topic whose messages can be read."""
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", _session)
        yield World()
