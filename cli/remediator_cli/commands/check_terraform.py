"""``remediator check-terraform``: what a plan does to the enrolled roles, before it is applied."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from remediator.settings import PARTITION
from remediator_cli.checks.output_formats import CheckFormat
from remediator_cli.checks.run import (
    Account,
    All,
    CheckOptions,
    Json,
    PolicyTypeOption,
    Read,
    Strict,
    output_option,
    run_check,
)
from remediator_cli.checks.state import Language
from remediator_cli.iac.declared import DeclaredChange, NotReadable
from remediator_cli.iac.terraform_plan import read_plan
from remediator_cli.terminal.json_lines import NotJson, parse_json
from remediator_cli.terminal.options import SettingsFile

EXAMPLES = """
remediator check-terraform plan.json
remediator check-terraform --settings cdk.json --strict --format github plan.json
remediator check-terraform --settings cdk.json --json --all plan.json | jq .verdict
terraform show -json tfplan | remediator check-terraform --settings cdk.json -
"""


def check_terraform(
    plans: Annotated[
        list[str],
        typer.Argument(
            metavar="PLAN", show_default=False, help="What terraform show -json prints; - is standard input."
        ),
    ],
    *,
    settings: SettingsFile = None,
    account: Account = None,
    form: PolicyTypeOption = CheckFormat.TABLE,
    json: Json = False,
    show_all: All = False,
    strict: Strict = False,
) -> None:
    """Say which enrolled roles a Terraform plan would break, before it is applied.

    Reads what terraform show -json prints for a plan, and judges with the configuration of a deployment (cdk.json in
    the working directory, or --settings). Needs no credentials and no network. Ends with 3 where a role would break, or
    where the remediator would undo the apply each time.
    """
    options = CheckOptions(settings, account, output_option(form, is_json=json), show_all, strict)
    raise typer.Exit(run_check(plans, _reader, Language.TERRAFORM, options))


def _reader(account: str | None) -> Read:
    return partial(_read, partition=PARTITION, account=account)


def _read(text: str, file: str, *, partition: str, account: str | None) -> DeclaredChange:
    try:
        value = parse_json(text)
    except NotJson as error:
        if text.lstrip().startswith('{"@level"'):
            value = {"@level": ""}
        else:
            raise NotReadable(f"{error}. Needed is what `terraform show -json tfplan` prints") from error
    return read_plan(value, file, partition=partition, account=account)
