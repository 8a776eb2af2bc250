"""Builds the folder that becomes the functions' zip, before synthesis and without Docker.

It is no bundling option of the CDK on purpose: ``cdk bootstrap`` synthesises with bundling switched off and leaves the
unbundled source under the hash of the bundled one, which a later ``cdk deploy`` ships. A folder that exists before
synthesis looks the same to every command.
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

# What Lambda never reads: type stubs, C sources, notes of the installer that are not true of what is left, and the
# part of Powertools that answers HTTP requests (more than half of it; nothing that we import reaches it).
_PRUNED: Final = (
    *(".lock", "bin", "*-stubs", "**/*.pyi", "**/*.c", "**/tests", "**/__pycache__"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    "aws_lambda_powertools/event_handler",
)

_KEPT_BUNDLES: Final = 10


class BundleError(Exception):
    """The functions' packages could not be installed; the text is what the installer said."""


def build_bundle(settings: Settings, into: Path = ROOT / ".build" / "lambda") -> Path:
    """Build the functions' code, its packages and its configuration, and return the folder.

    The folder is named by a hash of all that goes into it, and an existing one is taken as it is: only a complete
    folder ever gets its name. Needs the network only while the installer's cache lacks a package.
    Raises BundleError where the packages cannot be installed.
    """
    bundle = into / _fingerprint(settings)
    if bundle.is_dir():
        os.utime(bundle)  # so that it is not among the oldest
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
            if not bundle.is_dir():  # otherwise somebody else has just built the same
                raise
    _forget_old_bundles(into)
    return bundle


def _forget_old_bundles(folder: Path) -> None:
    """Every change of code or configuration makes a bundle; a command that is running may still need a late one."""
    bundles = [path for path in folder.iterdir() if not path.name.startswith(".")]
    with suppress(FileNotFoundError):  # another command tidies up at the same time
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
    """Each file of the package with its place in the zip, in a fixed order; caches and hidden files left out."""
    for path in sorted(SOURCE.rglob("*")):
        relative = path.relative_to(SOURCE.parent)
        if (
            path.is_file()
            and "__pycache__" not in relative.parts
            and not any(p.startswith(".") for p in relative.parts)
        ):
            yield path, relative


def _install_packages(target: Path) -> None:
    """boto3 and botocore are not among the packages: Lambda's Python runtime brings them."""
    installed = subprocess.run(  # noqa: S603 - no shell, and every argument is ours
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
        raise BundleError(
            f"The functions' packages ({REQUIREMENTS}) could not be installed:\n{installed.stderr.strip()}"
        )
    for pattern in _PRUNED:
        for path in tuple(target.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _make_readable(folder: Path) -> None:
    """Lambda reads the files as another user, and the zip keeps the modes that the builder's umask made."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
