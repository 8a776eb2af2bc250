"""Builds the folder that becomes the functions' zip, before synthesis and without Docker.

The CDK's bundling option is avoided on purpose. ``cdk bootstrap`` synthesizes with bundling disabled and stores the
unbundled source under the hash of the bundled one; a later ``cdk deploy`` would ship that. A folder built before
synthesis is the same for every command.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from remediator.settings import SETTINGS_FILE, Settings, settings_json

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = ROOT / "lambda_src" / "remediator"
REQUIREMENTS: Final = ROOT / "lambda_src" / "requirements.txt"

# Files that Lambda never reads: type stubs, C sources, installer records that pruning makes wrong, and the HTTP event
# handler of Powertools (more than half of the package; no import reaches it).
_PRUNED: Final = (
    *(".lock", "bin", "*-stubs", "**/*.pyi", "**/*.c", "**/tests", "**/__pycache__"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    "aws_lambda_powertools/event_handler",
)

_KEPT_BUNDLES: Final = 10


class BundleError(Exception):
    """The functions' packages could not be installed; the text holds the installer's output."""


def build_bundle(settings: Settings, into: Path = ROOT / ".build" / "lambda") -> Path:
    """Build a folder with the functions' code, packages and configuration, and return it.

    The folder is named by a hash of its inputs. An existing folder is reused: only a complete one ever gets its name.
    The network is needed only for packages that the installer's cache lacks.
    Raises BundleError if the packages cannot be installed.
    """
    bundle = into / _fingerprint(settings)
    if bundle.is_dir():
        os.utime(bundle)  # mark it as recently used
        return bundle
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".building-") as temporary:
        building = Path(temporary) / "bundle"
        _install_packages(building)
        for source, relative in _source_files():
            target = building / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        (building / SETTINGS_FILE).write_text(settings_json(settings) + "\n", encoding="utf-8")
        _make_readable(building)
        try:
            building.rename(bundle)
        except OSError:
            if not bundle.is_dir():  # otherwise another process has just built the same bundle
                raise
    _delete_old_bundles(into)
    return bundle


def _delete_old_bundles(folder: Path) -> None:
    """Keep only the latest bundles; a running command may still need one that is not the newest."""
    bundles = [path for path in folder.iterdir() if not path.name.startswith(".")]
    with suppress(FileNotFoundError):  # another command may clean up at the same time
        for old in sorted(bundles, key=lambda path: path.stat().st_mtime)[:-_KEPT_BUNDLES]:
            shutil.rmtree(old, ignore_errors=True)


def _fingerprint(settings: Settings) -> str:
    digest = hashlib.sha256()
    for name, content in (
        ("recipe", Path(__file__).read_bytes()),
        ("requirements", REQUIREMENTS.read_bytes()),
        ("settings", settings_json(settings).encode()),
        *((relative.as_posix(), source.read_bytes()) for source, relative in _source_files()),
    ):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def _source_files() -> Iterator[tuple[Path, Path]]:
    """Yield each file of the package and its path in the zip, in a fixed order, without caches and hidden files."""
    for path in sorted(SOURCE.rglob("*")):
        relative = path.relative_to(SOURCE.parent)
        if (
            path.is_file()
            and "__pycache__" not in relative.parts
            and not any(p.startswith(".") for p in relative.parts)
        ):
            yield path, relative


def _install_packages(target: Path) -> None:
    """Install the packages without boto3 and botocore, which Lambda's Python runtime provides."""
    installed = subprocess.run(  # noqa: S603 - no shell, and every argument is fixed here
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable),
            *("--target", str(target), "--link-mode", "copy", "--requirement", str(REQUIREMENTS)),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
            *("--python-platform", "aarch64-manylinux2014", "--python-version", "3.14"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode != 0:
        raise BundleError(f"Could not install the functions' packages ({REQUIREMENTS}):\n{installed.stderr.strip()}")
    for pattern in _PRUNED:
        for path in tuple(target.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _make_readable(folder: Path) -> None:
    """Make all files world-readable: Lambda reads them as another user, and the zip keeps the modes of the umask."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
