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

# As in the Makefile, for those who start pytest by themselves: the home folder may be read-only, or not there.
_CACHES = Path(__file__).resolve().parents[1] / ".cache"
os.environ.setdefault("UV_CACHE_DIR", str(_CACHES / "uv"))
os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(_CACHES / "jsii"))
os.environ.setdefault("CDK_HOME", str(_CACHES / "cdk"))

# Each session would read the models of AWS's services anew: half of the time of the tests of the command line.
botocore.session.create_loader = cache(botocore.session.create_loader)

settings.register_profile("default", deadline=None)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files whose tests mostly wait, for the embedded AWS, over the first half of the others.

    A process works off one file after the other: side by side, the waiting ones would leave the cores idle, and at the
    end, all processes but one.
    """
    here = Path(__file__).parent
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [path for path in files if path.relative_to(here).parts[0] == "e2e"]
    others = [path for path in files if path not in waiting]
    step = max(1, len(others) // (2 * len(waiting) or 1))
    for number, path in enumerate(waiting):
        others.insert(number * (step + 1), path)
    items[:] = [item for path in others for item in files[path]]


@pytest.fixture(autouse=True)
def _quiet_jsii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
