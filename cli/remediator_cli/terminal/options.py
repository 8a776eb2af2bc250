"""Options that several commands have in common."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from remediator.core.policy.arn import RoleArn
from remediator.errors import MalformedArn, RemediatorError
from remediator_cli.terminal.json_lines import STANDARD_INPUT

DEFAULT_STACK = "AnyscaleRemediator"

Stack = Annotated[str, typer.Option("--stack", metavar="NAME", help="The stack of the deployment.")]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="REGION",
        help="The home Region of the deployment, where it is neither in the settings nor us-east-1.",
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="The cdk.json of the deployment, or its configuration alone."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help="The role's name or its ARN.")]

_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_ROLE_NAME: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html"""
_MOST_SHOWN: Final = 100
"""How many characters are shown of what is no role's name."""


def account_digits(account: str | None) -> str | None:
    """The account that is named, if any. Raises BadParameter for what cannot be one."""
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise typer.BadParameter("an account ID has 12 digits", param_hint="--account")
    return account


def files_or_standard_input(files: Sequence[str] | None, what: str) -> Sequence[str]:
    """The files that are named, else standard input. Raises BadParameter where that is a terminal."""
    if not files and _is_terminal():
        raise typer.BadParameter(f"name a file, or pipe {what} in (- reads them from the terminal)", param_hint="FILE")
    return files or (STANDARD_INPUT,)


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


@dataclass(frozen=True, slots=True)
class RoleOption:
    """A role that an operator has named; ``arn`` is the ARN that they gave, None where they gave only the name."""

    name: str
    arn: RoleArn | None = None

    def must_be(self, found: RoleArn) -> None:
        """See that the role that was ``found`` by the name is the one that is meant.

        Raises RemediatorError where the ARN that was given is that of another account, or has another path.
        """
        if self.arn not in (None, found):
            raise RemediatorError(
                f"{self.arn} was given, and the role of that name in the account of your credentials is {found}. "
                "Nothing was changed. Use --profile with the account of the intended role, or give the ARN of "
                "this one, or its name alone"
            )


def named_role(text: str, *, param_hint: str = "ROLE") -> RoleOption:
    """The role that is given by its name or its ARN.

    Raises BadParameter, naming the parameter, for what is neither: no call of AWS is made with it.
    """
    arn = _role_arn(text, param_hint) if text.startswith("arn:") else None
    name = text if arn is None else arn.name
    if not _ROLE_NAME.fullmatch(name):
        shown = repr(name[:_MOST_SHOWN]) + ("…" if len(name) > _MOST_SHOWN else "")
        raise typer.BadParameter(
            f"{shown} is not a valid role name: 1 to 64 ASCII letters, digits and characters of _+=,.@-",
            param_hint=param_hint,
        )
    return RoleOption(name, arn)


def _role_arn(text: str, param_hint: str) -> RoleArn:
    if not text.isascii():
        raise typer.BadParameter(f"{text[:_MOST_SHOWN]!a} is not the ARN of an IAM role", param_hint=param_hint)
    try:
        return RoleArn.parse(text)
    except MalformedArn as error:
        raise typer.BadParameter(str(error), param_hint=param_hint) from error
