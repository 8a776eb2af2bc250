"""``remediator unenroll``: have a role looked after no longer."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from remediator.core.plain_text import plain
from remediator.settings import DEFAULT_ENROLLMENT_TAG
from remediator_cli import aws
from remediator_cli.enrolment_tag import EnrolmentTag
from remediator_cli.exits import ExitCode
from remediator_cli.needed_settings import BESIDE
from remediator_cli.one_role import read_role
from remediator_cli.options import SettingsFile, Yes, role_name_of
from remediator_cli.output import complain, confirmed, tell
from remediator_cli.settings_file import given_settings

EXAMPLES = """
remediator unenroll head-node
remediator unenroll --yes head-node
"""


def unenroll(
    role: Annotated[str, typer.Argument(metavar="ROLE", show_default=False, help="The role's name or its ARN.")],
    yes: Yes = False,
    settings: SettingsFile = None,
) -> None:
    """Remove the tag that enrols a role, so that the remediator looks after it no longer; asks first.

    What was repaired and granted stays; `remediator remove-grants` takes it back. Doing it twice changes nothing the
    second time.

    Calls iam:GetRole and iam:UntagRole on the role with the credentials of the current profile.
    """
    configuration = given_settings(settings or (BESIDE if BESIDE.is_file() else None))
    key = configuration.enrollment_tag if configuration else DEFAULT_ENROLLMENT_TAG
    name = role_name_of(role)
    with aws.answered():
        behind = aws.account()
        was = read_role(behind, name).tags.get(key)
        if was is None:
            tell(Text(f"{name} does not carry the tag {key}; nothing was changed."))
            return
        tell(Text(f"{name} is enrolled in {plain(was)}. Without its tag nothing is repaired or told of it any more."))
        if not yes and not confirmed(f"Remove the tag {key} of {name}?"):
            complain(name, "nothing was changed")
            raise typer.Exit(ExitCode.ERROR)
        EnrolmentTag(behind, key).remove(name)
    tell(Text(f"The tag {key} of {name} is removed. What was granted stays. To take that back:"))
    tell(Text(f"  remediator remove-grants --role {name}"))
