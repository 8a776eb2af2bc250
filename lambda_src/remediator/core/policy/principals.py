"""Who a Principal element names, seen from the caller.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.extent import ALWAYS, NEVER, UNKNOWN, Extent
from remediator.core.policy.statement import Principals

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
_UNIQUE_ID = re.compile(r"A(?:RO|ID|GP|IP|NP|SI|KI|PK|BI|CC|NV|SC)A[A-Z0-9]{12,}")


class Named(IntEnum):
    """How directly an Allow names the caller; what is granted to it grows with the number.

    ACCOUNT: through its account, which only lets the account's own policies decide. ROLE: as the role, whose
    permissions boundary still limits it. SESSION: as this very session or as everybody, which no boundary limits.
    PERHAPS: an identifier of some account, and it is unknown which.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-single-account.html
    """

    NOT = 0
    PERHAPS = 1
    ACCOUNT = 2
    ROLE = 3
    SESSION = 4


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A session of a role as the caller, under all the names that a policy can give it.

    ``accounts`` are the ways to write the account, ``roles`` the ARN and the unique id of the role, ``session`` the
    ARN of the session. ``is_bounded`` is true where the role has a permissions boundary.
    """

    accounts: frozenset[str]
    roles: frozenset[str]
    session: str
    is_bounded: bool = False

    def allowed_as(self, principals: Principals | None) -> Named:
        """As what an Allow of a resource's policy names this caller."""
        if principals is None:
            return Named.NOT
        named = self._named(principals)
        if principals.negated:
            return Named.SESSION if named is Named.NOT else Named.NOT
        return named

    def denied_by(self, principals: Principals | None) -> Extent:
        """Whether a Deny of a resource's policy is about this caller."""
        if principals is None:
            return UNKNOWN
        if principals.negated:
            return self._denied_by_all_but(principals)
        named = self._named(principals)
        if named is Named.PERHAPS:
            return UNKNOWN
        return NEVER if named is Named.NOT else ALWAYS

    def _denied_by_all_but(self, principals: Principals) -> Extent:
        # A role with a boundary is denied whatever the element lists; any other is spared where both its account
        # and the role (or this session) are listed.
        names = set(principals.aws)
        if "*" in names:
            return NEVER
        spared = not self.accounts.isdisjoint(names) and (not self.roles.isdisjoint(names) or self.session in names)
        return NEVER if spared and not self.is_bounded else ALWAYS

    def _named(self, principals: Principals) -> Named:
        best = Named.PERHAPS if principals.canonical_user else Named.NOT
        for name in principals.aws:
            if name in ("*", self.session):
                return Named.SESSION
            if name in self.roles:
                best = Named.ROLE
            elif best < Named.ACCOUNT and name in self.accounts:
                best = Named.ACCOUNT
        return best


def service_is_named(principals: Principals | None, service: str) -> bool:
    """Whether an element names a service principal (``ec2.amazonaws.com``, always in lower case), or everybody.

    ``"*"`` names the services too; an ARN or an account does not.
    """
    if principals is None:
        return False
    named = service in principals.service or "*" in principals.service or "*" in principals.aws
    return named is not principals.negated


def stale_principals(document: PolicyDocument, own_id: str) -> Iterator[tuple[int, str]]:
    """Unique ids (``AROA…``, ``AIDA…``) in the place of a principal, each with the index of its statement.

    AWS shows them where the role or user behind them was deleted, and refuses to save them again.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
    """
    for index, statement in enumerate(document.statements):
        for name in statement.principals.aws if statement.principals else ():
            if name != own_id and _UNIQUE_ID.fullmatch(name):
                yield index, name
