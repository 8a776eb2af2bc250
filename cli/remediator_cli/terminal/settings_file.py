"""The configuration of a deployment, from the file in which people keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from remediator.errors import RemediatorError, SettingsError
from remediator.settings import Settings
from remediator.settings_check import parse_settings
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.json_lines import NotJson, parse_json
from remediator_cli.terminal.output import print_error

CONTEXT_KEY = "remediator"
DEFAULT_FILE: Final = Path("cdk.json")
"""Where the configuration is looked for when no option names it: in the working directory."""


def read_settings(path: Path) -> Settings:
    """Read a ``cdk.json``, or a file that holds nothing but the configuration.

    Raises SettingsError with every fault.
    """
    try:
        value = parse_json(path.read_text(encoding="utf-8-sig"))
    except NotJson as error:
        raise SettingsError([f"the file {error}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError(["the file is not UTF-8"]) from error
    except OSError as error:
        raise SettingsError([f"the file cannot be read: {error.strerror or error}"]) from error
    if isinstance(value, dict) and "context" in value:
        context = value["context"]
        if not isinstance(context, dict) or CONTEXT_KEY not in context:
            raise SettingsError([f'the key "{CONTEXT_KEY}" is missing under "context"'])
        value = context[CONTEXT_KEY]
    return parse_settings(value)


def given_settings(path: Path | None) -> Settings | None:
    """The configuration in the file that an option names, None without one.

    A wrong one ends the command: every fault is a complaint of its own, and the exit code is that for bad input.
    """
    if path is None:
        return None
    try:
        return read_settings(path)
    except SettingsError as error:
        for fault in error.faults:
            print_error(str(path), fault)
        raise typer.Exit(ExitCode.BAD_INPUT) from error


def needed_settings(path: Path | None) -> Settings:
    """The configuration in the file that an option names, without one that in ``cdk.json`` of the working directory.

    Raises RemediatorError where no such file. A wrong one ends the command with the exit code for bad input.
    """
    found = given_settings(path or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None))
    if found is None:
        raise RemediatorError(
            f"the configuration is missing: there is no {DEFAULT_FILE} in the working directory. Name the cdk.json of "
            "the deployment with --settings"
        )
    return found


def own_account(arn: str, settings: Settings) -> str:
    """The account (12 digits) of a caller, by its ARN. Raises RemediatorError where the configuration names another."""
    account = arn.split(":")[4]
    if settings.account not in (None, account):
        raise RemediatorError(
            f"your credentials are for account {account}, and the configuration is for {settings.account}. Use "
            "--profile with a profile of that account"
        )
    return account
