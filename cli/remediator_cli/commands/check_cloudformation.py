"""``remediator check-cloudformation``: what a template does to the enrolled roles, before it is deployed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from remediator.settings import PARTITION
from remediator_cli.checks.output_formats import CheckFormat
from remediator_cli.checks.run import Account, All, CheckOptions, Read, Strict, read_text, run_check
from remediator_cli.checks.state import Language
from remediator_cli.iac.cloudformation_functions import StackDeployment
from remediator_cli.iac.cloudformation_template import read_previous_template, read_template
from remediator_cli.iac.declared import Declared, DeclaredChange, NotReadable
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.options import SettingsFile
from remediator_cli.terminal.output import print_error

EXAMPLES = """
remediator check-cloudformation template.yaml
remediator check-cloudformation --settings cdk.json --before deployed.yaml template.yaml
remediator check-cloudformation --strict --parameter Environment=production template.yaml
remediator check-cloudformation --settings cdk.json --output sarif cdk.out/*.template.json > roles.sarif
"""


def check_cloudformation(
    templates: Annotated[
        list[str], typer.Argument(metavar="TEMPLATE", help="Templates, YAML or JSON; - is standard input.")
    ],
    *,
    settings: SettingsFile = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="FILE", help="The template that is deployed now, to compare with.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter's value; may be repeated."),
    ] = None,
    stack_tag: Annotated[
        list[str] | None,
        typer.Option(
            "--stack-tag", metavar="KEY=VALUE", help="A tag of the stack, which its roles get too; may be repeated."
        ),
    ] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="REGION", help="The value of AWS::Region.")] = None,
    account: Account = None,
    form: CheckFormat = CheckFormat.TEXT,
    show_all: All = False,
    strict: Strict = False,
) -> None:
    """Check which enrolled roles a CloudFormation template would break.

    Resolves the functions of the template as far as their values are known, and reads the configuration of a deployment
    (cdk.json in the working directory, or --settings). Needs no credentials and no network. Exits with 3 if a role
    would break, or if the remediator would undo each deployment.
    """
    if before is not None and len(templates) > 1:
        raise typer.BadParameter("only one template can be compared", param_hint="--before")
    given = _pairs(parameter, "--parameter"), _pairs(stack_tag, "--stack-tag")
    read = partial(_reader, before=before, region=region, given=given)
    options = CheckOptions(settings, account, form, show_all, strict)
    raise typer.Exit(run_check(templates, read, Language.CLOUDFORMATION, options))


def _reader(
    account: str | None, *, before: str | None, region: str | None, given: tuple[dict[str, str], dict[str, str]]
) -> Read:
    deployment = StackDeployment(PARTITION, account, region, *given)
    if before is None:
        return partial(_read, deployment=deployment, former=None)
    former, parameters = _former(before, deployment)
    return partial(_read, deployment=replace(deployment, former_parameters=parameters), former=former)


def _former(name: str, deployment: StackDeployment) -> tuple[Declared, frozenset[str]]:
    try:
        return read_previous_template(read_text(name, Language.CLOUDFORMATION), name, deployment)
    except NotReadable as error:
        print_error(name, str(error))
        raise typer.Exit(ExitCode.BAD_INPUT) from error


def _read(text: str, file: str, *, deployment: StackDeployment, former: Declared | None) -> DeclaredChange:
    return DeclaredChange(former, read_template(text, file, deployment), deployment.account)


def _pairs(listed: list[str] | None, option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in listed or ():
        key, sign, value = each.partition("=")
        if not sign or not key:
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE", param_hint=option)
        pairs[key] = value
    return pairs
