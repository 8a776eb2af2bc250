"""Every test runs without the host's AWS settings: with them, a forgotten mock could reach a real account."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from hypothesis import settings

for _name in [name for name in os.environ if name.startswith(("AWS_", "POWERTOOLS_"))]:
    del os.environ[_name]
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    MOTO_ACCOUNT_ID="111122223333",
    POWERTOOLS_TRACE_DISABLED="true",
    POWERTOOLS_SERVICE_NAME="remediator",
    POWERTOOLS_METRICS_NAMESPACE="AnyscaleRemediator",
)

# Each session would read the models of AWS's services anew: half of the time of the tests of the command line.
botocore.session.create_loader = cache(botocore.session.create_loader)

settings.register_profile("default", deadline=None)
settings.load_profile("default")


_LONG = ("e2e", "chaos", "infrastructure")
"""The folders whose files take longest; each file is worked off by one process alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process waits for another one's last file."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).parts[0] not in _LONG)


@pytest.fixture(autouse=True)
def _quiet_jsii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
