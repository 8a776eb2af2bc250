"""``remediator compute-config``: the advanced configuration that lets a cluster's instances have a role."""

from __future__ import annotations

import json as json_text
from typing import Annotated, Any, assert_never

import typer

from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.instance_profile import compute_configuration
from remediator.errors import NotFoundError, RemediatorError
from remediator_cli.deployment import aws
from remediator_cli.deployment.denials import reported_once
from remediator_cli.deployment.one_role import read_role
from remediator_cli.terminal.command import suggested_aws
from remediator_cli.terminal.options import RoleArgument, named_role
from remediator_cli.terminal.output import OutputFormat, put, record

EXAMPLES = """
remediator compute-config head-node
remediator compute-config arn:aws:iam::111122223333:role/anyscale/production/head-node
remediator compute-config head-node --instance-profile shared-nodes
remediator compute-config --json head-node | jq -r .instance_profile.arn
"""


def compute_config(
    role: RoleArgument,
    instance_profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which of the role's instance profiles, if it is in several.")
    ] = None,
    form: OutputFormat = OutputFormat.TEXT,
) -> None:
    """Print the compute configuration that names a role's instance profile.

    Anyscale's advanced configuration takes the ARN of an instance profile; the ARN of the role does not work.

    Calls iam:ListInstanceProfilesForRole and iam:GetInstanceProfile, and iam:GetRole for a role that is given by its
    ARN.
    """
    named = named_role(role)
    with aws.answered():
        if named.arn is not None:
            read_role(aws.account(), named)
        try:
            profiles = aws.iam().read_instance_profiles(named.name)
        except NotFoundError as error:
            raise RemediatorError(f"there is no role {named.name} in the account of your credentials") from error
    chosen = chosen_instance_profile(named.name, profiles, instance_profile)
    text = compute_configuration(chosen.arn)
    if form is OutputFormat.JSON:
        record(OutputFormat.JSON, lambda: _record(named.name, chosen, text))
    else:
        put(f"{text}\n")


def _record(role_name: str, profile: InstanceProfile, configuration: str) -> dict[str, Any]:
    return {
        "account": profile.arn.split(":")[4],
        "role": role_name,
        "instance_profile": {"name": profile.name, "arn": profile.arn},
        "configuration": json_text.loads(configuration),
    }


def chosen_instance_profile(role_name: str, profiles: InstanceProfiles, wanted: str | None) -> InstanceProfile:
    """The instance profile to name: the wanted one, else the one of the role's name, else the only one.

    Raises RemediatorError, saying what to do, where there is none of these.
    """
    holding = _holding(profiles)
    if not holding:
        named = f"--instance-profile-name {role_name}"
        create = suggested_aws(f"iam create-instance-profile {named}")
        add = suggested_aws(f"iam add-role-to-instance-profile {named} --role-name {role_name}")
        raise RemediatorError(
            f"role {role_name} is in no instance profile, so no instance can use it. Create one of its name: "
            f"{create} && {add}"
        )
    names = ", ".join(sorted(profile.name for profile in holding))
    for name in (wanted,) if wanted else (role_name,):
        for profile in holding:
            if profile.name == name:
                return profile
    if wanted:
        raise RemediatorError(f"role {role_name} is not in an instance profile {wanted}; it is in {names}")
    if len(holding) > 1:
        raise RemediatorError(f"role {role_name} is in several instance profiles, {names}: use --instance-profile")
    return holding[0]


def _holding(profiles: InstanceProfiles) -> tuple[InstanceProfile, ...]:
    match profiles.holding:
        case Present(value=holding):
            return holding
        case Absent():
            return ()
        case Unreadable(why=why):
            raise RemediatorError(f"the role's instance profiles could not be read: {reported_once(why)}")
        case _ as never:
            assert_never(never)
