"""``remediator enroll``: have a role looked after."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from remediator.core.plain_text import plain
from remediator.errors import RemediatorError
from remediator.settings import Settings
from remediator_cli import aws
from remediator_cli.enrolment_tag import EnrolmentTag, named_cloud, tags_with, why_not_enrolled
from remediator_cli.exits import ExitCode
from remediator_cli.fleet_form import surveyed_text
from remediator_cli.needed_settings import needed_settings, own_account
from remediator_cli.one_role import foresee, read_role
from remediator_cli.options import SettingsFile, Yes, role_name_of
from remediator_cli.output import complain, confirmed, tell

EXAMPLES = """
remediator enroll head-node production
remediator enroll --yes --settings cdk.json head-node production
"""


def enroll(
    role: Annotated[str, typer.Argument(metavar="ROLE", show_default=False, help="The role's name or its ARN.")],
    cloud: Annotated[str, typer.Argument(metavar="CLOUD", show_default=False, help="A cloud of the configuration.")],
    yes: Yes = False,
    settings: SettingsFile = None,
) -> None:
    """Set the tag that enrols a role in a cloud, after showing what the remediator will make of it; asks first.

    A role that a guard would refuse is not tagged, and the guard is named. The configuration is cdk.json in the working
    directory, or --settings. Doing it twice changes nothing the second time.

    Calls iam:TagRole on the role, beside what `remediator plan` reads and iam:GetRole, with the credentials of the
    current profile.
    """
    configuration = needed_settings(settings)
    named_cloud(cloud, configuration)
    name = role_name_of(role)
    key = configuration.enrollment_tag
    with aws.answered():
        behind = aws.account()
        own_account(behind.caller(configuration.region).arn, configuration)
        found = read_role(behind, name)
        was = found.tags.get(key)
        foreseen = foresee(behind, found, configuration, tags=tags_with(found, key, cloud))
        if refusal := why_not_enrolled(foreseen):
            raise RemediatorError(f"{name} cannot be enrolled in {cloud}, and nothing was changed. {refusal}")
        tell(surveyed_text(foreseen))
        if was == cloud:
            tell(Text(f"{name} is enrolled in {cloud} already; nothing was changed."))
            return
        if was is not None:
            tell(Text(f"Its tag names {plain(was)} now. What was granted for that stays.", style="yellow"))
        if not yes and not confirmed(f"Enrol {name} in {cloud}?"):
            complain(name, "nothing was changed")
            raise typer.Exit(ExitCode.ERROR)
        EnrolmentTag(behind, key).set(name, cloud)
    for line in _said(name, cloud, configuration):
        tell(Text(line))


def _said(name: str, cloud: str, settings: Settings) -> tuple[str, ...]:
    tagged = f"{name} is enrolled in {cloud}: its tag {settings.enrollment_tag} is set."
    said = f"{tagged} Where the remediator is deployed it looks at the role within seconds."
    if not settings.approvers:
        return (said,)
    allowed = ", ".join(map(str, settings.approvers))
    return (said, f"It counts only if you are an approver. If you are not, one of these has to set the tag: {allowed}")
