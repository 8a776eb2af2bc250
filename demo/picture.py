"""The picture in the README: a recorded terminal session on the embedded AWS, as an SVG.

``python -m demo.picture`` deploys the remediator, breaks a role, and writes ``docs/images/session.svg``.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from demo.account import CLOUD, EC2_TRUST, LAMBDA_TRUST, ROLE_PATH, TAG, CommandFailed, DemoAccount, wait_until
from demo.deployment import PROJECT
from demo.embedded import EmbeddedAws
from demo.playground import install_remediator
from demo.story import next_email, set_up

PICTURE: Final = PROJECT / "docs" / "images" / "session.svg"
ROLE: Final = "ray-head"
TRUST: Final = "lambda-only.json"
WIDTH: Final = 100
EMAIL_LINES: Final = 5

BREAK: Final = f"aws iam update-assume-role-policy --role-name {ROLE} --policy-document file://{TRUST}"
SHOW: Final = (
    f"aws iam get-role --role-name {ROLE} --output text \\\n"
    "    --query 'Role.AssumeRolePolicyDocument.Statement[].[Principal.Service, Sid]'"
)
HISTORY: Final = f"remediator history {ROLE} --limit 1"

_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""rich refers to fonts on another server. Viewers then use their own monospace font."""


def main() -> None:
    """Record the session on a new embedded AWS, and write the picture."""
    with tempfile.TemporaryDirectory(prefix="remediator-picture-") as folder, EmbeddedAws() as aws:
        account = set_up(aws, Path(folder) / "cdk")
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(record(account, Path(folder) / "session"), encoding="utf-8")


def record(account: DemoAccount, folder: Path) -> str:
    """Break an enrolled role, wait for its repair, and return the session as an SVG; ``folder`` must not exist."""
    install_remediator(folder / "bin")
    shutil.copy(account.settings, folder / "cdk.json")
    (folder / TRUST).write_text(json.dumps(LAMBDA_TRUST), encoding="utf-8")
    _enroll(account)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)

    def run(command: str) -> None:
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(_output(account, command, folder)))

    with account.aws.delay_events():  # as CloudTrail does
        run(BREAK)
        started = time.monotonic()
        run(SHOW)
    wait_until(lambda: account.trusts_ec2(ROLE), "The repair")
    console.print(f"# {time.monotonic() - started:.1f} seconds after the change:", style="dim")
    run(SHOW)
    email = next_email(account, "repaired")
    run(HISTORY)
    console.print("# The first lines of the alert by e-mail:", style="dim")
    console.print(Text(f"Subject: {email.subject}\n", "bold"))
    console.print(Text("\n".join(email.body.splitlines()[:EMAIL_LINES])))
    svg = _FONT_FACE.sub("", console.export_svg(title="Anyscale role remediator", unique_id="session"))
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


def _enroll(account: DemoAccount) -> None:
    account.as_alice.create_role(RoleName=ROLE, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(EC2_TRUST))
    account.as_alice.tag_role(RoleName=ROLE, Tags=[{"Key": TAG, "Value": CLOUD}])
    next_email(account, "repaired")


def _output(account: DemoAccount, command: str, folder: Path) -> str:
    programs = os.pathsep.join([str(folder / "bin"), str(PROJECT / ".venv-aws" / "bin"), os.defpath])
    variables = {"PATH": programs, "AWS_PAGER": "", "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    environment = {**account.aws.environment(account.alice), **variables}
    ran = subprocess.run(  # noqa: S603 - the commands above
        ["/bin/bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise CommandFailed(f"{command} failed: {ran.stderr.strip()}")
    return ran.stdout


if __name__ == "__main__":
    main()
