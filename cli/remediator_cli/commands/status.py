"""``remediator status``: whether the remediator is well, and what needs a person."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from remediator_cli.commands.status_form import status_record, status_text
from remediator_cli.deployment import aws
from remediator_cli.deployment.deployment_status import read_status
from remediator_cli.deployment.stack_outputs import find_deployment
from remediator_cli.terminal import clock
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.needed_settings import BESIDE
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack
from remediator_cli.terminal.output import Form, complain, show

EXAMPLES = """
remediator status
remediator status --settings cdk.json
remediator status --json | jq -r '.needs_person[]'
"""


def status(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Say on one screen whether the remediator is well: pause, sweeps, queues, contests, open incidents, alarms.

    The first line says whether anything needs a person; if so, it ends with 3. What your credentials may not read is
    left out and named, and it ends with 1 then unless what it could read needs a person. The modes of the clouds are
    those of cdk.json in the working directory, or of --settings. Whether alerts arrive: `remediator test-alert`.

    Calls cloudformation:DescribeStacks, ssm:GetParameter, dynamodb:Query, dynamodb:GetItem, sqs:GetQueueAttributes,
    cloudwatch:GetMetricStatistics and cloudwatch:DescribeAlarms with the credentials of the current profile.
    """
    with aws.answered():
        deployment = find_deployment(stack, region, settings or (BESIDE if BESIDE.is_file() else None))
        if other := deployment.other_configuration(deployment.settings):
            complain("status", f"{other} The modes of the clouds are those of the one given")
        found = read_status(deployment, deployment.settings, clock.now())
    show(Form.JSON if json else Form.HUMAN, status_record(found), partial(status_text, found))
    for _, why in found.denied:
        complain("status", why)
    if found.troubles:
        raise typer.Exit(ExitCode.FOUND)
    raise typer.Exit(ExitCode.ERROR if found.denied else ExitCode.OK)
