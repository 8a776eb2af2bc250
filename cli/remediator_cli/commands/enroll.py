"""``remediator enroll``: have a role managed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.model.plain_text import plain
from remediator.core.model.role import Role
from remediator.errors import RemediatorError
from remediator.flows.survey import Surveyed
from remediator.settings import Settings
from remediator_cli.deployment import aws
from remediator_cli.deployment.enrollment_tag import EnrollmentTag, named_cloud, tags_with, why_not_enrolled
from remediator_cli.deployment.one_role import foresee, read_role
from remediator_cli.rendering.fleet import surveyed_record, surveyed_text
from remediator_cli.rendering.records import enrollment_record, tag_record
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.options import RoleArgument, SettingsFile, Yes, named_role
from remediator_cli.terminal.output import OutputFormat, agreed, print_error, print_text, record
from remediator_cli.terminal.settings_file import needed_settings, own_account

EXAMPLES = """
remediator enroll head-node production
remediator enroll --yes --settings cdk.json head-node production
"""


def enroll(
    role: RoleArgument,
    cloud: Annotated[str, typer.Argument(metavar="CLOUD", help="A cloud of the configuration.")],
    yes: Yes = False,
    form: OutputFormat = OutputFormat.TEXT,
    settings: SettingsFile = None,
) -> None:
    """Enroll a role in a cloud by setting its enrollment tag.

    Shows what the remediator will do with the role, and asks first. A role that a guard would refuse is not tagged, and
    the guard is named. The configuration is cdk.json in the working directory, or --settings. Repeating it changes
    nothing.

    Calls iam:TagRole on the role, iam:GetRole, and what `remediator plan` reads.
    """
    named = named_role(role)
    configuration = needed_settings(settings)
    named_cloud(cloud, configuration)
    with aws.answered():
        behind = aws.account()
        own_account(behind.caller(configuration.region).arn, configuration)
        found = read_role(behind, named)
        enrolling = _Enrolling(found, cloud, configuration, form)
        enrolling.enroll(behind, yes=yes)


@dataclass(frozen=True, slots=True)
class _Enrolling:
    """A role that an operator wants to enroll in a cloud of the configuration."""

    role: Role
    cloud: str
    settings: Settings
    form: OutputFormat

    def enroll(self, behind: aws.Account, *, yes: bool) -> None:
        """Show the effect, ask, and set the tag. Raises any AwsError."""
        name, key, was = self.role.arn.name, self.settings.enrollment_tag, self._was
        foreseen = foresee(behind, self.role, self.settings, tags=tags_with(self.role, key, self.cloud))
        if refusal := why_not_enrolled(foreseen):
            self._record("refused", foreseen, why=refusal)
            raise RemediatorError(f"{name} cannot be enrolled in {self.cloud}, and nothing was changed. {refusal}")
        seen: list[RenderableType] = [surveyed_text(foreseen)]
        if was == self.cloud:
            seen.append(Text(f"{name} is enrolled in {self.cloud} already; nothing was changed."))
            print_text(Group(*seen), self.form)
            self._record("already-enrolled", foreseen)
            return
        if was is not None:
            seen.append(Text(f"Its tag names {plain(was)} now. What was granted for that stays.", style="yellow"))
        if not agreed(self.form, Group(*seen), f"Enroll {name} in {self.cloud}?", yes=yes):
            print_error(name, "nothing was changed")
            self._record("declined", foreseen, why="Not confirmed.")
            raise typer.Exit(ExitCode.ERROR)
        EnrollmentTag(behind, key).set(name, self.cloud)
        for line in _said(name, self.cloud, self.settings):
            print_text(Text(line), self.form)
        self._record("enrolled", foreseen)

    @property
    def _was(self) -> str | None:
        return self.role.tags.get(self.settings.enrollment_tag)

    def _record(self, result: str, foreseen: Surveyed, *, why: str | None = None) -> None:
        after = self.cloud if result == "enrolled" else self._was
        tag = tag_record(self.settings.enrollment_tag, self._was, after)
        record(
            self.form,
            lambda: {
                **enrollment_record(self.role, tag, result, why),
                "foreseen": surveyed_record(foreseen),
                "approvers": [str(each) for each in self.settings.approvers],
            },
        )


def _said(name: str, cloud: str, settings: Settings) -> tuple[str, ...]:
    tagged = f"{name} is enrolled in {cloud}: its tag {settings.enrollment_tag} is set."
    said = f"{tagged} A deployed remediator checks the role within seconds."
    if not settings.approvers:
        return (said,)
    allowed = ", ".join(map(str, settings.approvers))
    return (said, f"The tag counts only if you are an approver. Otherwise one of these must set it: {allowed}")
