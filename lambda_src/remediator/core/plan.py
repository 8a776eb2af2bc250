"""Turn findings into writes: at most one new document per policy, and what is withheld with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from remediator.core.desired import Desired
from remediator.core.diagnose import Finding, FindingCode, Observed, desired_own_policy, own_policy_reading
from remediator.core.grants import OWN_POLICY_NAME, inline_write_obstacles
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.explain import Obstacle
from remediator.core.reading import Absent, Present, Unreadable
from remediator.core.trust import add_ec2_trust, merged_ec2_trust, trust_write_obstacles


@dataclass(frozen=True, slots=True)
class TrustStep:
    """Write the role's trust policy: ``before`` is what it must still be just before the write.

    ``merged`` says why EC2 joins the services of a statement that is there, instead of getting one of its own; it is
    empty where it gets its own.
    """

    before: PolicyDocument
    after: PolicyDocument
    merged: str = ""


@dataclass(frozen=True, slots=True)
class InlinePolicyStep:
    """Write our own inline policy ``name``.

    ``before`` is None where the role does not have it yet, and ``after`` where it is deleted: what was ours on the
    former side goes, once the new side is seen to grant.
    """

    name: str
    before: PolicyDocument | None
    after: PolicyDocument | None


@dataclass(frozen=True, slots=True)
class BucketPolicyStep:
    """Write the policy of ``bucket``, which ``account`` owns and which lives in ``region``.

    ``before`` is None where the bucket has no policy yet, and ``after`` where it is deleted, because nothing but our
    statement was in it.
    """

    bucket: str
    account: str
    region: str
    before: PolicyDocument | None
    after: PolicyDocument | None


@dataclass(frozen=True, slots=True)
class InstanceProfileStep:
    """Put the role into the instance profile ``name``, which is created under ``path`` if ``is_new``."""

    name: str
    path: str
    is_new: bool


Step: TypeAlias = TrustStep | InlinePolicyStep | BucketPolicyStep | InstanceProfileStep


@dataclass(frozen=True, slots=True)
class Withheld:
    """A finding that could be repaired as such, but not here; ``because`` says what stands in the way."""

    finding: Finding
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What would be written, in this order, and which repairable findings are withheld.

    ``removals`` take away what is ours on the side where grants were put before: they come last, and only after every
    step was applied and seen.
    """

    steps: tuple[Step, ...]
    withheld: tuple[Withheld, ...]
    removals: tuple[Step, ...] = ()


def plan_repair(
    observed: Observed,
    findings: tuple[Finding, ...],
    desired: Desired = Desired(),  # noqa: B008  # it is frozen
) -> RepairPlan:
    """The writes that repair the findings: none for a finding that is not repairable.

    Planning again with the state that the steps leave behind gives no steps.
    """
    planned = [
        *(_trust(observed, finding) for finding in findings if finding.code is FindingCode.TRUST_MISSING),
        *_grant(observed, findings),
    ]
    return RepairPlan(
        steps=tuple(part for part in planned if not isinstance(part, Withheld)),
        withheld=tuple(part for part in planned if isinstance(part, Withheld)),
    )


def _trust(observed: Observed, finding: Finding) -> Step | Withheld:
    role = observed.role
    if not isinstance(role.trust, Present):
        return Withheld(finding, ("the trust policy could not be read",))
    before = role.trust.value
    after = add_ec2_trust(before, role.arn.partition)
    obstacles = trust_write_obstacles(role, after)
    if obstacles:
        merged = merged_ec2_trust(before, role.arn.partition)
        if merged is not None and not trust_write_obstacles(role, merged):
            why = " ".join(_texts(obstacles))
            return TrustStep(
                before, merged, f"EC2 joins the services of an existing statement, because one more does not fit. {why}"
            )
        return Withheld(finding, _texts(obstacles))
    return TrustStep(before, after)


def _grant(observed: Observed, findings: tuple[Finding, ...]) -> list[Step | Withheld]:
    concerned = [f for f in findings if f.code in {FindingCode.GRANT_MISSING, FindingCode.GRANT_ALTERED}]
    if not concerned:
        return []
    desired = desired_own_policy(observed, findings)
    before: PolicyDocument | None
    match own_policy_reading(observed.policies):
        case Present(value=document):
            before = document
        case Absent():
            before = None
        case Unreadable(why=why):
            return [Withheld(finding, (why,)) for finding in concerned]
    if desired is None:
        return [Withheld(finding, ("what our policy should say cannot be told",)) for finding in concerned]
    obstacles = inline_write_obstacles(observed.policies, desired)
    if obstacles:
        return [Withheld(finding, _texts(obstacles)) for finding in concerned]
    return [InlinePolicyStep(OWN_POLICY_NAME, before, desired)]


def _texts(obstacles: tuple[Obstacle, ...]) -> tuple[str, ...]:
    return tuple(str(obstacle) for obstacle in obstacles)
