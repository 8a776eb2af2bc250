"""Every test runs without the host's AWS settings: with them, a forgotten mock could reach a real account."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent

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


# The files of one process: those of a stage have one deployment, and those of the stacks the same templates. The stages
# take about as long as each other. They wait half of their time, so that the others have the cores meanwhile.
TOGETHER: Mapping[str, str] = {
    "e2e/test_deployed_stack.py": "stage of the functions",
    "e2e/test_demo.py": "stage of the functions",
    "e2e/test_command_line.py": "stage of the functions",
    "e2e/test_picture.py": "stage of the functions",
    "e2e/test_alerts.py": "stage of the pages",
    "e2e/test_documented_recipes.py": "stage of the pages",
    "e2e/test_embedded_aws.py": "embedded AWS",
    "e2e/test_embedded_services.py": "embedded AWS",
    "e2e/test_embedded_watched_calls.py": "embedded AWS",
    **{
        str(path.relative_to(HERE)): "stacks"
        for path in sorted((HERE / "infrastructure").glob("test_*.py"))
        if path.name != "test_bundle.py"  # it synthesises nothing
    },
}
# What takes longest comes first: a process that took it last would leave the others idle.
LONG = ("stage of the pages", "stage of the functions", "stacks", "embedded AWS", "chaos", "properties")


def group_of(path: Path) -> str:
    """What the tests of a file are run together with, in one process."""
    name = str(path.relative_to(HERE))
    return TOGETHER.get(name, name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a group one after the other, and the groups that take longest first."""
    groups: dict[str, dict[Path, list[pytest.Item]]] = {}
    for item in items:
        groups.setdefault(group_of(item.path), {}).setdefault(item.path, []).append(item)
    long = {name: at for name in groups for at, start in enumerate(LONG) if name.startswith(start)}
    ordered = sorted(groups, key=lambda name: long.get(name, len(LONG)))
    items[:] = [item for name in ordered for tests in groups[name].values() for item in tests]


class InGroups(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each process one group after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(Path(self.config.rootpath, nodeid.split("::", 1)[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InGroups | None:
    """Take the place of the distribution by files; that has no way to keep two of them together."""
    return InGroups(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _quiet_jsii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
