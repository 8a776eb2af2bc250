"""What the remediator owns in roles and buckets, and what is left of each document without it.

Statements of others go back unchanged and in order. What another principal has made their own is left, and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from remediator.core.events.event import Cause
from remediator.core.history.change import Change, ChangeContext
from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.scan import ScannedRole
from remediator.core.model.write import DocumentId, Write
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Present, Reading
from remediator.core.repair import bucket_policy, instance_profile, role_policy, trust
from remediator.core.repair.write_blockers import Retained
from remediator.settings import PARTITION, Settings


@dataclass(frozen=True, slots=True)
class Removal:
    """One write that takes what belongs to the remediator out of a document, or deletes it; its note says what stops
    working.

    ``role`` is the one that it is recorded under, with its unique id in ``role_id``; both are None where the roles that
    it was made for do not exist any more. ``clouds`` are those whose roles the remediator would repair so that it came
    back, as long as it runs.
    """

    write: Write
    role: RoleArn | None
    role_id: str | None
    clouds: tuple[str, ...] = ()

    def occasion(self, account: str, cause: Cause) -> ChangeContext:
        """The occasion under which it is recorded; ``cause`` is who removes it."""
        name, arn = ("", "") if self.role is None else (self.role.name, str(self.role))
        cloud = self.clouds[0] if self.clouds else None
        return ChangeContext(account, name, self.role_id or "", arn, cloud, causes=(cause,))


def removals_from_role(scanned: ScannedRole, clouds: tuple[str, ...]) -> Iterable[Removal | Retained]:
    """What belongs to the remediator in a role: the remediator's inline policy, and the remediator's statement in its
    trust policy."""
    role = scanned.role
    own = (policy for policy in scanned.inline if policy.name == OWN_POLICY_NAME)
    for found in (*(role_policy.removal(role, policy) for policy in own), trust.removal(role)):
        if found is not None:
            yield found if isinstance(found, Retained) else Removal(found, role.arn, role.role_id, clouds)


def removals_from_bucket(
    document: DocumentId,
    policy: Reading[PolicyDocument],
    roles: Mapping[str, ScannedRole],
    names: frozenset[str],
    account: str,
    settings: Settings,
) -> Iterable[Removal | Retained]:
    """The remediator's statement in the policy of a bucket; of some roles only where there are ``names``.

    ``roles`` are all roles of ``account``, by their ARNs.
    """
    found = bucket_policy.removal(document, policy, names, account, PARTITION)
    if isinstance(found, Retained):
        yield found
    elif found is not None and isinstance(policy, Present):
        taken = sorted(bucket_policy.roles_to_remove(policy.value, names, account))
        clouds = tuple(cloud.name for cloud in settings.clouds_of_bucket(document.name))
        for role in (roles[arn].role for arn in taken if arn in roles):
            yield Removal(found, role.arn, role.role_id, clouds)
            return
        yield Removal(found, None, None, clouds)


def removals_of_profile(made: Change, profile: Reading[InstanceProfile]) -> Iterable[Removal | Retained]:
    """An instance profile that the change ``made`` created, if it is empty."""
    found = instance_profile.removal(made, profile)
    if found is not None:
        yield found if isinstance(found, Retained) else Removal(found, RoleArn.parse(made.role_arn), made.role_id)
