"""One role of the account behind the current profile, as a scan would show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, assert_never, cast

from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.role import Role
from remediator.core.model.scan import ScannedRole
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import RemediatorError
from remediator.flows.assess import Assessor
from remediator.flows.survey import Surveyed
from remediator.settings import Settings
from remediator_cli.deployment.aws import Account
from remediator_cli.deployment.denials import reported_once
from remediator_cli.terminal.options import RoleOption

if TYPE_CHECKING:
    from remediator.gateways.account import AccountScan
    from remediator.gateways.iam import IamGateway

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _OneRole:
    """What an assessor reads of a scan, for one role: only the instance profile of its name."""

    roles: IamGateway
    name: str

    def instance_profiles(self) -> Mapping[str, InstanceProfile]:
        """The instance profile of the role's name, if there is one."""
        found = self.roles.read_instance_profile(self.name)
        return {} if isinstance(found, Absent) else {self.name: _must(found, "its instance profile")}


def read_role(behind: Account, named: RoleOption) -> Role:
    """The role.

    Raises RemediatorError where there is none, where it cannot be read, and where the ARN that was given is that of
    another role of the same name; and TransientError.
    """
    match behind.iam().read_role(named.name):
        case Absent():
            raise RemediatorError(f"there is no role {named.arn or named.name} in the account of your credentials")
        case Unreadable(why=why):
            raise RemediatorError(f"the role {named.name} could not be read: {reported_once(why)}")
        case Present(value=role):
            named.must_be(role.arn)
            return role
        case _ as never:
            assert_never(never)


def foresee(behind: Account, role: Role, settings: Settings, *, tags: Mapping[str, str]) -> Surveyed:
    """What the remediator would make of the role if it had these ``tags``; nothing is written.

    Raises RemediatorError where a list of its policies cannot be read, and any AwsError of what cannot be reached.
    """
    roles = behind.iam()
    name = role.arn.name
    policies = roles.read_policies(role)
    scanned = ScannedRole(
        role=replace(role, tags=tags),
        inline=_must(policies.inline, "the list of its inline policies"),
        attached=tuple(each.arn for each in _must(policies.attached, "the list of its managed policies")),
        profiles=_must(roles.read_instance_profiles(name).holding, "the list of its instance profiles"),
    )
    scan = cast("AccountScan", _OneRole(roles, name))
    assessor = Assessor(behind.world(role.arn.account, settings=settings, roles=roles, scan=scan))
    assessment = assessor.assess_role(scanned)
    if assessment is None:
        assert assessor.unreached is not None  # noqa: S101 - it is why there is no assessment
        raise assessor.unreached
    return Surveyed(assessment, None)


def _must(reading: Reading[_T], what: str) -> _T:
    if isinstance(reading, Present):
        return reading.value
    why = reading.why if isinstance(reading, Unreadable) else "it is not there"
    raise RemediatorError(f"{what} could not be read: {reported_once(why)}")
