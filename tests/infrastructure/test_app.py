"""The app as the CDK's command line starts it: a process of its own, with the context in its environment."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import app
from tests.infrastructure.templates import CONTEXT, Synthesised

APP = Path(app.__file__)


def run(context: dict[str, object], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the app without credentials or any other AWS settings."""
    return subprocess.run(
        [sys.executable, str(APP)],
        capture_output=True,
        text=True,
        check=False,
        cwd=APP.parent,
        env={
            "PATH": os.environ["PATH"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CDK_CONTEXT_JSON": json.dumps(context),
            "CDK_OUTDIR": str(folder),
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            **{
                name: value
                for name, value in os.environ.items()  # how packages are reached, and where caches are: not at home
                if name.startswith(("UV_", "PIP_", "SSL_", "JSII_RUNTIME_"))
            },
        },
    )


def test_without_credentials_and_from_the_command_line_the_same_templates_come_out(
    quiet: Synthesised, tmp_path: Path
) -> None:
    as_text = {**CONTEXT, "remediator": json.dumps(CONTEXT["remediator"])}  # -c remediator='{...}'
    ran = run(as_text, tmp_path)
    assert ran.returncode == 0, ran.stderr
    for stack in quiet.stacks().values():
        assert json.loads((tmp_path / stack.path.name).read_text()) == stack.template


def test_a_wrong_configuration_ends_with_its_faults_and_without_a_traceback(tmp_path: Path) -> None:
    wrong = {"region": "eu-west-1", "clouds": {"production": {"buckets": [], "rolse": ["anyscale/*"]}}}
    ran = run({**CONTEXT, "remediator": wrong}, tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == "The configuration is not valid:"
    assert [line.split(":")[0] for line in ran.stderr.splitlines()[1:]] == [
        "  - region",
        "  - clouds.production",
        "  - clouds.production",
        "  - clouds.production.buckets",
    ]
    assert "Traceback" not in ran.stdout + ran.stderr
    assert not (tmp_path / "AnyscaleRemediator.template.json").exists()


def test_the_app_reads_the_contract_and_never_the_machinery() -> None:
    """The check of the layers cannot see a single module; see the contracts in pyproject.toml."""
    imported = {
        node.module
        for node in ast.walk(ast.parse(APP.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("remediator")
    }
    assert imported <= {
        *("remediator.settings", "remediator.settings_check", "remediator.errors"),
        "remediator.core.enrollment.own_roles",  # what the names of the stacks begin with
    }
