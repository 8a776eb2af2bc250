"""A small AWS account in memory, with the gateways on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from tests.functional.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """An account with the cloud's bucket, a work queue, and an alerts topic whose messages can be read."""
    with mock_aws():
        yield World()
