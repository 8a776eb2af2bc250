"""Each Python on this machine that the README promises starts the embedded AWS, and its boto3 is answered.

The other tests run on the one Python of .venv. What differs from one to the next is how strictly TLS is verified: the
client's libraries are pure Python, so that another Python takes them from .venv as they are, and nothing is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.embedded_aws import ACCOUNT

pytestmark = pytest.mark.embedded

PROJECT = Path(__file__).parents[2]

START = """
from demo.embedded import EmbeddedAws

with EmbeddedAws() as aws:
    print(aws.client("sts").get_caller_identity()["Account"])
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_promised_python_starts_the_embedded_aws_and_trusts_it(version: str) -> None:
    python = next((path for path in candidates(version) if is_version(path, version)), None)
    if python is None:
        pytest.skip(f"no Python {version} on the PATH, or among those that pyenv and uv installed")
    libraries = os.pathsep.join([str(PROJECT), sysconfig.get_path("purelib")])

    ran = subprocess.run(
        [python, "-B", "-c", START],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": libraries},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (0, f"{ACCOUNT}\n"), ran.stderr


def candidates(version: str) -> Iterator[Path]:
    """Where a Python of a version may be: this one, installed by pyenv or uv, or on the PATH."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        yield Path(sys.executable)
    home = Path(os.environ.get("HOME", "/nonexistent"))
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    installed = [
        folder / "bin" for root in (pyenv, uv) if os.access(root, os.R_OK) for folder in sorted(root.iterdir())
    ]
    for folder in (*installed, *map(Path, os.get_exec_path())):
        python = folder / f"python{version}"
        if os.access(python, os.X_OK):
            yield python


def is_version(python: Path, version: str) -> bool:
    """Whether it runs, and is that version: a shim of pyenv can stand for one that is not chosen, and then fails."""
    show = "import ssl, sys; print('%d.%d' % sys.version_info[:2])"
    ran = subprocess.run([python, "-c", show], capture_output=True, text=True, check=False)
    return (ran.returncode, ran.stdout) == (0, f"{version}\n")
