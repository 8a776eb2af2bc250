"""``remediator guardrails``: a policy that protects the remediator's tags and resources."""

from __future__ import annotations

import json as json_text
import re
from enum import Enum
from typing import Annotated, Any

import typer

from remediator.core.enrollment.guardrails import Guarded, PolicyType, bootstrap_roles, guardrails_text
from remediator.errors import RemediatorError
from remediator.settings import DEFAULT_ENROLLMENT_TAG, HOME_REGION, PARTITION, Settings
from remediator_cli.terminal.options import SettingsFile
from remediator_cli.terminal.output import OutputFormat, put
from remediator_cli.terminal.settings_file import given_settings

EXAMPLES = """
remediator guardrails --settings cdk.json
remediator guardrails --settings cdk.json --approver 'arn:aws:iam::111122223333:role/platform/*'
remediator guardrails --settings cdk.json --type iam --deployer arn:aws:iam::111122223333:role/ci
"""

_PRINCIPAL = re.compile(r"arn:aws:iam::([0-9]{12}|\*):(root|(role|user)/[\w+=,.@/*?-]*[\w+=,.@-][\w+=,.@/*?-]*)")


class PolicyTypeOption(Enum):
    """The form of the policy."""

    SCP = "scp"
    """A service control policy."""
    IAM = "iam"
    """A managed policy."""


def guardrails(
    settings: SettingsFile = None,
    approver: Annotated[
        list[str] | None,
        typer.Option(
            "--approver",
            metavar="ARN",
            help="A principal that may set the tags and change the resources, instead of the approvers in the "
            "settings; may be repeated, and may contain * and ?.",
        ),
    ] = None,
    deployer: Annotated[
        list[str] | None,
        typer.Option(
            "--deployer",
            metavar="ARN",
            help="A principal that deploys, instead of the CDK's bootstrap roles; may be repeated.",
        ),
    ] = None,
    policy_type: Annotated[
        PolicyTypeOption, typer.Option("--type", help="A service control policy, or an IAM policy.")
    ] = PolicyTypeOption.SCP,
    form: OutputFormat = OutputFormat.TEXT,
) -> None:
    """Print a policy that protects the remediator's tags and resources.

    Only the named principals can then set these tags and change these resources. The policy grants nothing. Needs no
    credentials and no network.
    """
    configuration = given_settings(settings)
    approvers = tuple(approver or (configuration.approvers if configuration else ()))
    if not approvers:
        raise RemediatorError(
            "no principal is named. Name those that enroll roles and operate the remediator with --approver ARN, "
            'or as "approvers" in the configuration that --settings names'
        )
    principals = tuple(str(each) for each in approvers)
    _must_be_principals(principals, "--approver")
    _must_be_principals(tuple(deployer or ()), "--deployer")
    guarded = _guarded(principals, tuple(deployer or ()), configuration)
    text = guardrails_text(guarded, PolicyType[policy_type.name])
    if text is None:
        raise RemediatorError(
            f"the policy would be longer than the limit of {PolicyType[policy_type.name].value:,} characters. Name "
            "fewer approvers or deployers, by patterns such as arn:aws:iam::111122223333:role/platform/*"
        )
    put(f"{json_text.dumps(_record(guarded, policy_type, text))}\n" if form is OutputFormat.JSON else f"{text}\n")


def _guarded(approvers: tuple[str, ...], deployers: tuple[str, ...], settings: Settings | None) -> Guarded:
    account = settings.account if settings else None
    regions = (HOME_REGION, *(settings.other_regions if settings else ()))
    return Guarded(
        enrollment_tag=settings.enrollment_tag if settings else DEFAULT_ENROLLMENT_TAG,
        approvers=approvers,
        deployers=deployers or tuple(bootstrap_roles(account, regions)),
        account=account,
    )


def _record(guarded: Guarded, form: PolicyTypeOption, text: str) -> dict[str, Any]:
    return {
        "form": form.value,
        "account": guarded.account,
        "partition": PARTITION,
        "enrollment_tag": guarded.enrollment_tag,
        "approvers": list(guarded.approvers),
        "deployers": list(guarded.deployers),
        "characters": len(text),
        "policy": json_text.loads(text),
    }


def _must_be_principals(principals: tuple[str, ...], option: str) -> None:
    for principal in principals:
        if not _PRINCIPAL.fullmatch(principal):
            raise typer.BadParameter(
                f"{principal!r} is not the ARN of a role (with its path), a user or root. The session of a role counts "
                "as the role",
                param_hint=option,
            )
