"""``remediator compute-config``: the advanced configuration that lets a cluster's instances have a role."""

from __future__ import annotations

from typing import Annotated, assert_never

import typer

from remediator.core.instance_profile import compute_configuration
from remediator.core.reading import Absent, Present, Unreadable
from remediator.core.state import InstanceProfile, InstanceProfiles
from remediator.errors import NotFoundError, RemediatorError
from remediator_cli import aws
from remediator_cli.options import role_name_of

EXAMPLES = """
remediator compute-config head-node
remediator compute-config arn:aws:iam::111122223333:role/anyscale/production/head-node
remediator compute-config head-node --instance-profile shared-nodes
"""


def compute_config(
    role: Annotated[str, typer.Argument(metavar="ROLE", show_default=False, help="The role's name or its ARN.")],
    instance_profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="Which of the role's instance profiles, if it is in several."
        ),
    ] = None,
) -> None:
    """Print the advanced configuration of an Anyscale compute configuration that names a role's instance profile.

    It takes the ARN of an instance profile; the ARN of the role does not work.

    Calls iam:ListInstanceProfilesForRole and iam:GetInstanceProfile with the credentials of the current profile.
    """
    name = role_name_of(role)
    with aws.answered():
        try:
            profiles = aws.iam().read_instance_profiles(name)
        except NotFoundError as error:
            raise RemediatorError(f"there is no role {name} in the account of your credentials") from error
    typer.echo(compute_configuration(chosen_instance_profile(name, profiles, instance_profile).arn))


def chosen_instance_profile(role_name: str, profiles: InstanceProfiles, wanted: str | None) -> InstanceProfile:
    """The instance profile to name: the wanted one, else the one of the role's name, else the only one.

    Raises RemediatorError, saying what to do, where there is none of these.
    """
    holding = _holding(profiles)
    if not holding:
        raise RemediatorError(
            f"role {role_name} is in no instance profile, so that no instance can have it. Create one of its name: "
            f"aws iam create-instance-profile --instance-profile-name {role_name} && aws iam "
            f"add-role-to-instance-profile --instance-profile-name {role_name} --role-name {role_name}"
        )
    names = ", ".join(sorted(profile.name for profile in holding))
    for name in (wanted,) if wanted else (role_name,):
        for profile in holding:
            if profile.name == name:
                return profile
    if wanted:
        raise RemediatorError(f"role {role_name} is not in an instance profile {wanted}; it is in {names}")
    if len(holding) > 1:
        raise RemediatorError(
            f"role {role_name} is in several instance profiles ({names}): use --instance-profile NAME"
        )
    return holding[0]


def _holding(profiles: InstanceProfiles) -> tuple[InstanceProfile, ...]:
    match profiles.holding:
        case Present(value=holding):
            return holding
        case Absent():
            return ()
        case Unreadable(why=why):
            raise RemediatorError(f"the role's instance profiles could not be read: {why}")
        case _ as never:
            assert_never(never)
