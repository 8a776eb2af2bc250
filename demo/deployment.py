"""Deploy a CDK app to the embedded AWS with the CDK CLI, as to a real account."""

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
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_ERROR_LINES = 40

# The CDK prints long warnings about all but one or two versions of Node.
_QUIET = {
    "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20,21,22,23",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
    "NO_COLOR": "1",
}


class DeploymentError(Exception):
    """The CDK CLI failed; the message has the command and the end of its output."""


def bootstrap(aws: EmbeddedAws, on_line: Callable[[str], None], *, regions: Sequence[str] = (REGION,)) -> None:
    """Bootstrap the account for the CDK in some Regions. ``on_line`` gets each line of output.

    The command runs in an empty folder. Next to an app's ``cdk.json``, ``cdk bootstrap`` would synthesize the app with
    unbundled assets, and a later deployment would use them. Raises DeploymentError.
    """
    with tempfile.TemporaryDirectory(prefix="bootstrap-") as empty:
        _run(aws, ["bootstrap", *(f"aws://{ACCOUNT}/{region}" for region in regions)], Path(empty), on_line)


def deploy(
    aws: EmbeddedAws,
    on_line: Callable[[str], None],
    *,
    app: str,
    output: Path,
    context: Mapping[str, object] | None = None,
    stacks: Sequence[str] = ("--all",),
) -> dict[str, dict[str, str]]:
    """Synthesize an app and deploy its stacks. Return the outputs by stack name.

    ``app`` is a shell command, with absolute paths, that synthesizes the app, or the folder of an existing cloud
    assembly. ``output`` is an empty or new folder for the cloud assembly. ``context`` is merged over the context in the
    project's ``cdk.json``; its values may be objects. ``on_line`` gets each line of output. Raises DeploymentError.
    """
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()):
        raise DeploymentError(f"{output} is not empty. The CDK could deploy files of an earlier synthesis.")
    configuration = {"app": app, "output": "cdk.out", "context": {**_project_context(), **(context or {})}}
    (output / "cdk.json").write_text(json.dumps(configuration, indent=2))
    outputs = output / "outputs.json"
    options = ["--require-approval", "never", "--progress", "events", "--outputs-file", str(outputs)]
    _run(aws, ["deploy", *stacks, *options], output, on_line)
    found: dict[str, dict[str, str]] = json.loads(outputs.read_text()) if outputs.exists() else {}
    return found


def _project_context() -> dict[str, object]:
    with suppress(FileNotFoundError):
        context: dict[str, object] = json.loads((PROJECT / "cdk.json").read_text()).get("context", {})
        return context
    return {}


def _run(aws: EmbeddedAws, arguments: Sequence[str], folder: Path, on_line: Callable[[str], None]) -> None:
    if not _CDK.exists():
        raise DeploymentError("node_modules is missing. Run `make setup` first.")
    # --ci sends progress to standard output.
    command = [str(_CDK), *arguments, "--ci", "--no-notices", "--no-version-reporting"]
    last: deque[str] = deque(maxlen=_ERROR_LINES)
    process = subprocess.Popen(  # noqa: S603 - the project's own cdk, with fixed arguments
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
            if text := _COLOR.sub("", line).rstrip():
                last.append(text)
                on_line(text)
        if process.wait():
            ending = "\n".join(last)
            raise DeploymentError(f"`cdk {' '.join(arguments)}` failed (exit code {process.returncode}):\n{ending}")
    finally:
        if process.poll() is None:  # interrupted: the app that it runs must end too
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
