"""Deploy a CDK app to the embedded AWS with the CDK's own command line, as one would to a real account."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from demo.embedded import EmbeddedAws
from demo.embedded_aws import ACCOUNT, REGION

PROJECT = Path(__file__).resolve().parents[1]

_CDK = PROJECT / "node_modules" / ".bin" / "cdk"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINES_OF_AN_ERROR = 40

# The CDK warns at length, in Node's name, about every version of it but one or two.
_QUIET = {
    "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20,21,22,23",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
    "NO_COLOR": "1",
}


class DeploymentError(Exception):
    """The CDK's command line failed; the message has what it was asked and the end of what it printed."""


def bootstrap(aws: EmbeddedAws, say: Callable[[str], None], *, regions: Sequence[str] = (REGION,)) -> None:
    """Make the account ready for the CDK in some regions. ``say`` gets each line of progress.

    Raises DeploymentError. It runs in an empty folder: next to an app's ``cdk.json``, ``cdk bootstrap`` would
    synthesise the app without bundling its assets, and leave the unbundled ones where a deployment looks for them.
    """
    with tempfile.TemporaryDirectory(prefix="bootstrap-") as empty:
        _run(aws, ["bootstrap", *(f"aws://{ACCOUNT}/{region}" for region in regions)], Path(empty), say)


def deploy(
    aws: EmbeddedAws,
    say: Callable[[str], None],
    *,
    app: str,
    output: Path,
    context: Mapping[str, object] | None = None,
    stacks: Sequence[str] = ("--all",),
) -> dict[str, dict[str, str]]:
    """Synthesise an app and deploy its stacks; returns the outputs of each stack by the stack's name.

    ``app`` is the command that synthesises, in a shell, with absolute paths, or the folder of a cloud assembly that was
    synthesised before. ``output`` is a folder that is empty or
    does not exist yet: the cloud assembly goes there. ``context`` is merged over that of the project's ``cdk.json``;
    its values may be objects. ``say`` gets each line of progress. Raises DeploymentError.
    """
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()):
        raise DeploymentError(f"{output} is not empty: what an earlier synthesis left there could be deployed.")
    configuration = {"app": app, "output": "cdk.out", "context": {**_project_context(), **(context or {})}}
    (output / "cdk.json").write_text(json.dumps(configuration, indent=2))
    outputs = output / "outputs.json"
    options = ["--require-approval", "never", "--progress", "events", "--outputs-file", str(outputs)]
    _run(aws, ["deploy", *stacks, *options], output, say)
    told: dict[str, dict[str, str]] = json.loads(outputs.read_text()) if outputs.exists() else {}
    return told


def _project_context() -> dict[str, object]:
    with suppress(FileNotFoundError):
        context: dict[str, object] = json.loads((PROJECT / "cdk.json").read_text()).get("context", {})
        return context
    return {}


def _run(aws: EmbeddedAws, arguments: Sequence[str], folder: Path, say: Callable[[str], None]) -> None:
    if not _CDK.exists():
        raise DeploymentError("node_modules is missing: run `make setup` first.")
    # --ci sends progress to standard output.
    command = [str(_CDK), *arguments, "--ci", "--no-notices", "--no-version-reporting"]
    last: deque[str] = deque(maxlen=_LINES_OF_AN_ERROR)
    process = subprocess.Popen(  # noqa: S603 - the project's own cdk, with our own arguments
        command,
        cwd=folder,
        env={**aws.environment(), **_QUIET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        for line in process.stdout or ():
            if text := _COLOUR.sub("", line).rstrip():
                last.append(text)
                say(text)
        if process.wait():
            told = "\n".join(last)
            raise DeploymentError(f"`cdk {' '.join(arguments)}` failed (exit code {process.returncode}):\n{told}")
    finally:
        if process.poll() is None:  # interrupted: the app it runs is to end too
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
