"""``remediator unenroll``: remove the enrollment tag of a role."""

from __future__ import annotations

from rich.text import Text

from remediator.core.model.plain_text import plain
from remediator.settings import DEFAULT_ENROLLMENT_TAG
from remediator_cli.deployment import aws
from remediator_cli.deployment.enrollment_tag import EnrollmentTag
from remediator_cli.deployment.one_role import read_role
from remediator_cli.rendering.records import enrollment_record, tag_record
from remediator_cli.terminal.command import suggested
from remediator_cli.terminal.options import RoleArgument, SettingsFile, Yes, named_role
from remediator_cli.terminal.output import OutputFormat, agreed, decline, print_text, record
from remediator_cli.terminal.settings_file import DEFAULT_FILE, given_settings

EXAMPLES = """
remediator unenroll head-node
remediator unenroll --yes head-node
"""


def unenroll(
    role: RoleArgument, yes: Yes = False, form: OutputFormat = OutputFormat.TEXT, settings: SettingsFile = None
) -> None:
    """Remove the enrollment tag of a role.

    Asks first. The remediator then no longer manages the role. What was repaired and granted stays; `remediator
    remove-grants` removes it. Repeating it changes nothing.

    Calls iam:GetRole and iam:UntagRole on the role.
    """
    named = named_role(role)
    configuration = given_settings(settings or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None))
    key = configuration.enrollment_tag if configuration else DEFAULT_ENROLLMENT_TAG
    with aws.answered():
        behind = aws.account()
        found = read_role(behind, named)
        name, was = found.arn.name, found.tags.get(key)
        if was is None:
            print_text(Text(f"{name} does not carry the tag {key}; nothing was changed."), form)
            record(form, lambda: enrollment_record(found, tag_record(key, None, None), "not-enrolled", None))
            return
        seen = Text(f"{name} is enrolled in {plain(was)}. Without its tag, it is no longer repaired or reported.")
        if not agreed(form, seen, f"Remove the tag {key} of {name}?", yes=yes):
            same = tag_record(key, was, was)
            decline(name, form, lambda: enrollment_record(found, same, "declined", "Not confirmed."))
        EnrollmentTag(behind, key).remove(name)
    print_text(Text(f"The tag {key} of {name} is removed. What was granted stays. To remove the grants:"), form)
    print_text(Text(f"  {suggested(f'remove-grants --role {name}')}"), form)
    record(form, lambda: enrollment_record(found, tag_record(key, was, None), "unenrolled", None))
