"""The configuration of a deployment, for the commands that cannot do without it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from remediator.errors import RemediatorError
from remediator.settings import Settings
from remediator_cli.terminal.settings_file import given_settings

BESIDE: Final = Path("cdk.json")
"""Where the configuration is looked for when no option names it: in the working directory."""


def needed_settings(path: Path | None) -> Settings:
    """The configuration in the file that an option names, without one that in ``cdk.json`` of the working directory.

    Raises RemediatorError where there is no such file. A wrong one ends the command with the exit code for bad input.
    """
    found = given_settings(path or (BESIDE if BESIDE.is_file() else None))
    if found is None:
        raise RemediatorError(
            f"the configuration is needed, and there is no {BESIDE} in the working directory: name the cdk.json of the "
            "deployment with --settings"
        )
    return found


def own_account(arn: str, settings: Settings) -> str:
    """The account (12 digits) of a caller, by its ARN. Raises RemediatorError where the configuration names another."""
    account = arn.split(":")[4]
    if settings.account not in (None, account):
        raise RemediatorError(
            f"your credentials are for account {account}, and the configuration is for {settings.account}. Set "
            "AWS_PROFILE to a profile of that account"
        )
    return account
