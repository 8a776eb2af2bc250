"""The playground: the remediator deployed to an embedded AWS that keeps running, to break roles by hand.

``python -m demo.playground`` starts it, ``python -m demo.playground stop`` stops it, and
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
    """Run the action in the arguments and return the exit code."""
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
    """Start the embedded AWS, deploy, create an enrolled role, and print the instructions."""
    if EmbeddedAws.find(STATE / "aws") is not None:
        print("The playground is already running.")
        print_instructions(STATE / "env")
        return 0
    shutil.rmtree(STATE, ignore_errors=True)
    aws = EmbeddedAws(STATE / "aws", outlive=True).start()
    try:
        account = DemoAccount(aws)
        print(f"An embedded AWS runs at {aws.endpoint}. The CDK deploys the remediator:")
        account.deploy(Progress(), STATE / "cdk")
        account.create_resources()
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
    """Install a program ``remediator`` that runs this clone's command line into a folder."""
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
        print("The playground is not running. Start it with: make playground", file=sys.stderr)
        return 1
    for email in aws.emails():
        print(f"{'=' * 100}\nTo: {email['to']}\nSubject: {email['subject']}\n\n{email['body']}")
    return 0


def print_instructions(environment: Path) -> None:
    """Print the commands to try."""
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
You are the user alice. In this folder, load her credentials into your shell. This also adds the commands `aws` and
`remediator` to the PATH (elsewhere, install the latter with `pipx install .`, see docs/command-line.md):

  source {relative}

Show the role {ROLE}, which is enrolled and already repaired:

  aws iam get-role --role-name {ROLE} --query Role.AssumeRolePolicyDocument
  aws iam list-role-policies --role-name {ROLE}

Break it, wait a second or two, and show it again:

  aws iam update-assume-role-policy --role-name {ROLE} --policy-document {trust}
  aws iam delete-role-policy --role-name {ROLE} --policy-name AnyscaleRemediatorS3Access
  aws iam remove-role-from-instance-profile --instance-profile-name {ROLE} --role-name {ROLE}

Turn remediation of the role off, and on again:

  aws iam tag-role --role-name {ROLE} --tags Key=anyscale:remediation,Value=off
  aws iam untag-role --role-name {ROLE} --tag-keys anyscale:remediation

Deny the bucket and delete the grant. The remediator cannot repair this until you delete the Deny:

  aws s3api put-bucket-policy --bucket {BUCKET} --policy {policy}
  aws iam delete-role-policy --role-name {ROLE} --policy-name AnyscaleRemediatorS3Access
  aws s3api delete-bucket-policy --bucket {BUCKET}

Now use the command line. --settings selects the configuration that is deployed here; without it, the commands use the
cdk.json in this folder, which names other buckets. Check the health of the deployment, and list the planned repairs:

  remediator status {settings}
  remediator plan {settings}

List the changes, and undo the newest CHANGE. This puts the role into observe mode. Then resume its repair:

  remediator history {settings} {ROLE}
  remediator undo {settings} CHANGE --yes
  remediator plan {settings}  # exits with 2: there are repairs to make
  remediator resume {settings} {ROLE}

Pause all writes, check the status, and resume them. Resuming starts a sweep of every enrolled role:

  remediator pause {settings}
  remediator status {settings}  # exits with 3: action required
  remediator resume {settings} --yes

Write a report as a single page, and send a test alert:

  remediator report {settings} {report}
  remediator test-alert {settings}

Read the alerts:   make playground-mail
Stop it:           make playground-stop
"""
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
