"""The roles of the account behind the current profile, as the configuration sees them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from remediator.errors import RemediatorError
from remediator.flows.survey import Survey, is_surveyed, survey
from remediator.gateways.world import World
from remediator.settings import Settings
from remediator_cli.deployment.aws import Account
from remediator_cli.deployment.denials import Denials
from remediator_cli.terminal import clock
from remediator_cli.terminal.command import suggested
from remediator_cli.terminal.output import print_error
from remediator_cli.terminal.settings_file import own_account


@dataclass(frozen=True, slots=True)
class Fleet:
    """The roles of an account (12 digits); ``denied`` are the names of the calls that AWS denied."""

    account: str
    survey: Survey
    denied: tuple[str, ...]

    def print_errors(self, command: str) -> None:
        """Print what could not be read, and what to do about it."""
        if self.denied:
            print_error(
                command,
                f"your credentials may not call {', '.join(self.denied)}, so what needs it counts as unreadable. To "
                f"print the permissions that they need: {suggested('plan --print-policy')}",
            )
        for each in self.survey.unjudged:
            print_error(each.name or "a role of unknown name", f"could not be checked: {each.why}")


def assess_fleet(behind: Account, settings: Settings, names: frozenset[str]) -> Fleet:
    """Assess all roles of the account, or those of some ``names``, with read-only calls; a bar shows the progress.

    Raises RemediatorError where the credentials are for another account than the configuration, and where there is no
    role of one of the names, and any AwsError of the scan.
    """
    from remediator.gateways.account import AccountScan  # noqa: PLC0415  # only commands that ask AWS pay for it
    from remediator.gateways.iam import IamGateway  # noqa: PLC0415  # only commands that ask AWS pay for it
    from remediator.gateways.kms import KmsGateway  # noqa: PLC0415  # only commands that ask AWS pay for it
    from remediator.gateways.s3 import S3Gateway  # noqa: PLC0415  # only commands that ask AWS pay for it

    account = own_account(behind.caller(settings.region).arn, settings)
    denials = Denials()
    iam = denials.watched(behind.scan_client())
    keys = KmsGateway(lambda region: denials.watched(behind.client("kms", region)))
    with _progress() as on_roles:
        world = World(
            account=account,
            settings=settings,
            clock=clock.now,
            scan=AccountScan(iam, settings.enrollment_tag, also=is_surveyed(settings, names)),
            roles=IamGateway(iam),
            buckets=S3Gateway(lambda region: denials.watched(behind.client("s3", region)), keys),
        )
        found = survey(world, names, on_roles=on_roles)
    seen = {each.assessment.scanned.role.arn.name for each in found.roles} | {each.name for each in found.unjudged}
    if missing := sorted(names - seen):
        raise RemediatorError(f"there is no role {', '.join(missing)} in account {account}")
    return Fleet(account, found, tuple(denials.calls))


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal; the number of roles is not known beforehand."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("reading the roles of the account", total=None)
        yield lambda count: bar.update(task, description=f"{count:,} roles read")
