"""The zip of the functions: complete, small, and the same every time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remediator.permissions import PERMISSIONS
from remediator.settings import SETTINGS_FILE, load_settings
from remediator.settings_check import parse_settings
from stacks import bundle
from stacks.bundle import BundleError, build_bundle
from tests.infrastructure.templates import Synthesised

SETTINGS = parse_settings(
    {"clouds": {"a": {"buckets": [{"name": "acme", "region": "us-east-1"}], "roles": ["anyscale/*"]}}}
)
OTHER = parse_settings(
    {"clouds": {"b": {"buckets": [{"name": "acme", "region": "us-east-1"}], "roles": ["anyscale/*"]}}}
)

# What Lambda's Python runtime brings; see lambda_src/requirements.in.
RUNTIME_BRINGS = {"boto3", "botocore", "s3transfer", "dateutil", "six", "urllib3"}
# What botocore uses where it happens to be installed, as in a developer's environment.
BOTOCORE_PREFERS = {"certifi"}

IMPORT_HANDLERS = """
import importlib, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from remediator.permissions import PERMISSIONS
from remediator.settings import load_settings
for name in PERMISSIONS:
    importlib.import_module(f"remediator.handlers.{name}").handle
print(load_settings().clouds[0].name)
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None) or "")
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bundle(SETTINGS, tmp_path_factory.mktemp("bundles"))


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its mode and a hash of what it holds."""
    return {
        path.relative_to(folder).as_posix(): f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_functions_get_the_configuration_that_was_given(example: Synthesised, largest: Synthesised) -> None:
    assert load_settings(example.asset() / SETTINGS_FILE) == example.settings
    assert load_settings(largest.asset() / SETTINGS_FILE) == largest.settings
    assert example.settings != largest.settings


def test_building_again_elsewhere_gives_the_same_name_and_the_same_content(built: Path, tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        again = build_bundle(SETTINGS, tmp_path)
    finally:
        os.umask(umask)
    assert again != built
    assert again.name == built.name
    assert content(again) == content(built)


def test_a_built_bundle_is_taken_as_it_is(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "no-python-to-install-packages-with")
    assert build_bundle(SETTINGS, built.parent) == built
    assert [path.name for path in built.parent.iterdir()] == [built.name]


def test_another_configuration_makes_another_bundle(built: Path, tmp_path: Path) -> None:
    assert build_bundle(OTHER, tmp_path).name != built.name


def test_changed_code_makes_another_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "lambda_src" / "remediator"
    shutil.copytree(bundle.SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundle, "SOURCE", source)
    first = build_bundle(SETTINGS, tmp_path)
    (source / "__init__.py").write_text("changed = True\n")
    second = build_bundle(SETTINGS, tmp_path)
    assert first != second
    assert (second / "remediator" / "__init__.py").read_text() == "changed = True\n"


def test_only_the_last_bundles_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_KEPT_BUNDLES", 1)
    first = build_bundle(SETTINGS, tmp_path)
    os.utime(first, (1, 1))
    second = build_bundle(OTHER, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [second.name]


def test_the_bundle_holds_the_package_and_nothing_that_lambda_never_reads(built: Path) -> None:
    files = set(content(built))
    assert {"remediator/settings.py", *(f"remediator/handlers/{name}.py" for name in PERMISSIONS)} <= files
    assert not [name for name in files if name.endswith((".pyc", ".pyi", ".c")) or "/tests/" in name]
    assert not [path for path in built.rglob("*") if path.name == "__pycache__"]
    assert not [name for name in RUNTIME_BRINGS if (built / name).exists() or (built / f"{name}.py").exists()]


def test_the_packages_are_for_lambdas_machine(built: Path) -> None:
    libraries = [path.name for path in built.rglob("*.so")]
    assert libraries
    assert all("314" in name and "aarch64" in name for name in libraries)


def test_everybody_may_read_the_files_because_lambda_is_another_user(built: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in built.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (built, *built.rglob("*")) if path.is_dir()} == {0o755}


def test_the_zip_is_small(built: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "functions"), "zip", built))
    assert archive.stat().st_size <= 1_500_000


def test_the_handlers_import_from_the_bundle_and_lambdas_runtime_alone(built: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_HANDLERS, str(built)],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_DEFAULT_REGION": "us-east-1", "POWERTOOLS_TRACE_DISABLED": "true"},
    )
    assert ran.returncode == 0, ran.stderr
    cloud, *files = ran.stdout.splitlines()
    assert cloud == "a"
    from_elsewhere = {
        Path(name.split("site-packages/")[1]).parts[0].removesuffix(".py") for name in files if "site-packages/" in name
    }
    # A .pth file of setuptools loads its hook into every interpreter of this environment.
    assert from_elsewhere - {"_distutils_hack"} <= RUNTIME_BRINGS | BOTOCORE_PREFERS


def test_packages_that_cannot_be_installed_are_reported_with_the_installers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("aws-lambda-powertools==3.37.0 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(bundle, "REQUIREMENTS", requirements)
    with pytest.raises(BundleError, match=r"Could not install .*:\n.*"):
        build_bundle(SETTINGS, tmp_path / "bundles")
    assert list((tmp_path / "bundles").iterdir()) == []
