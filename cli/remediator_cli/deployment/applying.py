"""One repair by an operator, through the recorded flow of the reconciler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from remediator.core.events.event import APPLY_CALL, Cause
from remediator.core.history.pause import Pause, parse_pause
from remediator.core.model.role import Role
from remediator.core.repair.outcome import Outcome
from remediator.errors import AwsError
from remediator.flows.notify import notify
from remediator.flows.reconcile import reconcile
from remediator.gateways.world import World
from remediator.settings import Settings
from remediator_cli.deployment.one_role import read_role
from remediator_cli.deployment.stack_outputs import Deployment
from remediator_cli.terminal import clock
from remediator_cli.terminal.options import RoleOption
from remediator_cli.terminal.output import print_error
from remediator_cli.terminal.settings_file import own_account

_RECONCILER_ROLE: Final = "ReconcilerRoleArn"


@dataclass(frozen=True, slots=True)
class Applying:
    """A role of a deployment that an operator wants to repair now.

    ``role`` and ``paused`` are as they were at the start. ``account`` has 12 digits. ``group`` is the bucket that all
    writers of the role's documents share, None where they share none.
    """

    deployment: Deployment
    settings: Settings
    account: str
    role: Role
    group: str | None
    cause: Cause
    paused: Pause

    def preview(self) -> Outcome:
        """What would be written, and why anything would not; no policy is written.

        Pending changes in the role's history are concluded, as in every reconcile.
        """
        return self._reconciled(Pause(everything=True))

    def repair(self) -> Outcome:
        """Write the repair, unless it is on hold, and give the outcome."""
        return self._reconciled(_paused(self.deployment, self.settings))

    def notify(self, outcome: Outcome) -> None:
        """Publish the alert, as the reconciler does. Raises any AwsError."""
        notify(outcome, self._world(Pause()))

    def _reconciled(self, paused: Pause) -> Outcome:
        return reconcile(self.role.arn.name, (self.cause,), self._world(paused), group=self.group)

    def _world(self, paused: Pause) -> World:
        return self.deployment.world(
            self.account,
            settings=self.settings,
            own_role_arn=self.deployment.output(_RECONCILER_ROLE),
            paused=paused,
            on_unrecorded=_report_pending_change,
            alerts=self.deployment.alerts_topic(),
        )


def begin_applying(deployment: Deployment, settings: Settings, named: RoleOption) -> Applying:
    """Determine the caller, the role, and what is paused.

    Raises NotDeployed for a stack of something else, RemediatorError where there is no such role, where it cannot be
    read, and where the ARN that was given is that of another one; and any AwsError.
    """
    deployment.output(_RECONCILER_ROLE)
    caller = deployment.account.caller(deployment.region)
    account = own_account(caller.arn, settings)
    at = clock.now()
    paused = _paused(deployment, settings)
    role = read_role(deployment.account, named)
    tagged = role.tags.get(settings.enrollment_tag)
    cloud = None if tagged is None else settings.cloud(tagged)
    return Applying(
        deployment,
        settings,
        account,
        role,
        group=None if cloud is None else settings.shared_bucket(cloud),
        cause=Cause(f"apply-{at:%Y%m%dT%H%M%S%fZ}", APPLY_CALL, f"{at:%Y-%m-%dT%H:%M:%SZ}", caller),
        paused=paused,
    )


def _report_pending_change(change_id: str, error: AwsError) -> None:
    print_error(change_id, f"the result could not be recorded, and is determined by the next check: {error}")


def _paused(deployment: Deployment, settings: Settings) -> Pause:
    """What the reconciler must not write now."""
    return parse_pause(deployment.pause_switch().read()).under(settings)
