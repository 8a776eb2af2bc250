"""Options that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remediator.core.arn import RoleArn
from remediator.errors import MalformedArn

DEFAULT_STACK = "AnyscaleRemediator"

Stack = Annotated[str, typer.Option("--stack", metavar="NAME", help="The stack of the deployment.")]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="REGION",
        show_default=False,
        help="The home Region of the deployment, where it is neither in the settings nor us-east-1.",
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        show_default=False,
        help="The cdk.json of the deployment, or its configuration alone.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def role_name_of(role: str) -> str:
    """The name of a role that is given by its name or its ARN. Raises BadParameter for what is no ARN of a role."""
    if not role.startswith("arn:"):
        return role
    try:
        return RoleArn.parse(role).name
    except MalformedArn as error:
        raise typer.BadParameter(str(error), param_hint="ROLE") from error
