"""The playground: the deployed remediator on an embedded AWS that goes on running, to break roles by hand.

``python -m demo.playground`` starts it, ``python -m demo.playground stop`` ends it, and
``python -m demo.playground mail`` prints the alerts so far.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from demo.account import BUCKET, CLOUD, LAMBDA_TRUST, ROLE_PATH, TAG, DemoAccount
from demo.deployment import PROJECT, DeploymentError
from demo.embedded import EmbeddedAws, EmbeddedAwsError
from demo.story import Progress

STATE = PROJECT / ".playground"
ROLE = "playground-node"


def main(arguments: list[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    actions = {(): start, ("stop",): stop, ("mail",): mail}
    action = actions.get(tuple(arguments))
    if action is None:
        print("usage: python -m demo.playground [stop | mail]", file=sys.stderr)
        return 2
    try:
        return action()
    except (DeploymentError, EmbeddedAwsError) as error:
        print(f"The playground failed. {error}", file=sys.stderr)
        return 1


def start() -> int:
    """Start the embedded AWS, deploy, create an enrolled role, and say how to go on."""
    if EmbeddedAws.find(STATE / "aws") is not None:
        print("The playground is running already.")
        print_instructions(STATE / "env")
        return 0
    shutil.rmtree(STATE, ignore_errors=True)
    aws = EmbeddedAws(STATE / "aws", outlive=True).start()
    try:
        account = DemoAccount(aws)
        print(f"An AWS account now lives at {aws.endpoint}. Deploying the remediator with the CDK:")
        account.deploy(Progress(), STATE / "cdk")
        account.furnish()
        account.as_alice.create_role(
            RoleName=ROLE,
            Path=ROLE_PATH,
            AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST),
            Tags=[{"Key": TAG, "Value": CLOUD}],
        )
    except BaseException:
        aws.stop()
        raise
    install_remediator(STATE / "bin")
    variables = {**aws.variables(account.alice), "AWS_PAGER": ""}
    path = f"{STATE / 'bin'}:{PROJECT / '.venv-aws' / 'bin'}:$PATH"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    (STATE / "env").write_text("\n".join([*lines, f'export PATH="{path}"', ""]))
    print_instructions(STATE / "env")
    return 0


def install_remediator(folder: Path) -> None:
    """Put a program ``remediator`` into a folder, which is the command line as this clone has it."""
    roots = shlex.quote(os.pathsep.join([str(PROJECT / "lambda_src"), str(PROJECT / "cli")]))
    folder.mkdir(parents=True)
    program = folder / "remediator"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={roots} exec {shlex.quote(sys.executable)} -m remediator_cli "$@"\n')
    program.chmod(0o755)


def stop() -> int:
    """Stop the embedded AWS and remove its files."""
    aws = EmbeddedAws.find(STATE / "aws")
    if aws is not None:
        aws.stop()
    shutil.rmtree(STATE, ignore_errors=True)
    print("The playground is stopped." if aws else "The playground was not running.")
    return 0


def mail() -> int:
    """Print all alerts so far, as e-mails."""
    aws = EmbeddedAws.find(STATE / "aws")
    if aws is None:
        print("The playground is not running; start it with: make playground", file=sys.stderr)
        return 1
    for letter in aws.letters():
        print(f"{'=' * 100}\nTo: {letter['to']}\nSubject: {letter['subject']}\n\n{letter['body']}")
    return 0


def print_instructions(environment: Path) -> None:
    """Say which commands to type."""
    trust = shlex.quote(json.dumps(LAMBDA_TRUST))
    deny = {
        "Sid": "Freeze",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    policy = shlex.quote(json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    relative = environment.relative_to(PROJECT)
    settings = f"--settings {(STATE / 'cdk' / 'cdk.json').relative_to(PROJECT)}"
    report = (STATE / "report.html").relative_to(PROJECT)
    print(
        f"""
You are alice. In this folder, load her credentials into your shell; they also bring the commands `aws` and
`remediator` (elsewhere `pipx install .` brings that, see docs/command-line.md):

  source {relative}

Look at the role, which is enrolled and has been repaired:

  aws iam get-role --role-name {ROLE} --query Role.AssumeRolePolicyDocument
  aws iam list-role-policies --role-name {ROLE}

Break it, wait a second or two, and look again:

  aws iam update-assume-role-policy --role-name {ROLE} --policy-document {trust}
  aws iam delete-role-policy --role-name {ROLE} --policy-name AnyscaleRemediatorS3Access
  aws iam remove-role-from-instance-profile --instance-profile-name {ROLE} --role-name {ROLE}

Have the remediator leave the role alone, and let it go on:

  aws iam tag-role --role-name {ROLE} --tags Key=anyscale:remediation,Value=off
  aws iam untag-role --role-name {ROLE} --tag-keys anyscale:remediation

Deny the bucket, take the grant away: this must not be repaired. Then take the Deny away:

  aws s3api put-bucket-policy --bucket {BUCKET} --policy {policy}
  aws iam delete-role-policy --role-name {ROLE} --policy-name AnyscaleRemediatorS3Access
  aws s3api delete-bucket-policy --bucket {BUCKET}

The same from the remediator's side. --settings names the configuration that is deployed here; without it, commands
take the cdk.json of this folder, whose buckets are not in here. Is all well, and would anything be written?

  remediator status {settings}
  remediator plan {settings}

See what was done, put the newest CHANGE of the list back, and look: the role is only observed now. Let it be repaired:

  remediator history {settings} {ROLE}
  remediator undo {settings} CHANGE --yes
  remediator plan {settings}  # ends with 2: something would be written
  remediator resume {settings} {ROLE}

Stop all writes, look, and let them go on; then a sweep looks at every role:

  remediator pause {settings}
  remediator status {settings}  # ends with 3: that needs a person
  remediator resume {settings} --yes

One page to hand on, and a test of the alerts:

  remediator report {settings} {report}
  remediator test-alert {settings}

Read the alerts:   make playground-mail
Stop it:           make playground-stop
"""
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
