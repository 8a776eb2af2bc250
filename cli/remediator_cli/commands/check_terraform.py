"""``remediator check-terraform``: what a plan does to the enrolled roles, before it is applied."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from remediator.settings import PARTITION
from remediator_cli.checks.output_formats import CheckFormat
from remediator_cli.checks.run import Account, All, CheckOptions, Strict, run_check
from remediator_cli.checks.state import Language
from remediator_cli.iac.declared import DeclaredChange, NotReadable
from remediator_cli.iac.terraform_plan import read_plan
from remediator_cli.terminal.json_lines import NotJson, parse_json
from remediator_cli.terminal.options import SettingsFile

EXAMPLES = """
remediator check-terraform plan.json
remediator check-terraform --settings cdk.json --strict --output github plan.json
remediator check-terraform --settings cdk.json --json --all plan.json | jq .verdict
terraform show -json tfplan | remediator check-terraform --settings cdk.json -
"""


def check_terraform(
    plans: Annotated[
        list[str], typer.Argument(metavar="PLAN", help="What terraform show -json prints; - is standard input.")
    ],
    *,
    settings: SettingsFile = None,
    account: Account = None,
    form: CheckFormat = CheckFormat.TEXT,
    show_all: All = False,
    strict: Strict = False,
) -> None:
    """Check which enrolled roles a Terraform plan would break.

    Reads the output of terraform show -json for a plan, and the configuration of a deployment (cdk.json in the working
    directory, or --settings). Needs no credentials and no network. Exits with 3 if a role would break, or if the
    remediator would undo each apply.
    """
    options = CheckOptions(settings, account, form, show_all, strict)
    raise typer.Exit(run_check(plans, lambda account: partial(_read, account), Language.TERRAFORM, options))


def _read(account: str | None, text: str, file: str) -> DeclaredChange:
    try:
        value = parse_json(text)
    except NotJson as error:
        if text.lstrip().startswith('{"@level"'):
            value = {"@level": ""}
        else:
            raise NotReadable(f"{error}. Expected the output of `terraform show -json tfplan`") from error
    return read_plan(value, file, partition=PARTITION, account=account)
