"""Turn findings into writes: at most one new document per policy, and what is withheld with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from remediator.core.access.actions import REQUIRED_ACTIONS
from remediator.core.access.decision import GrantVerdict
from remediator.core.access.grants import judge_grants
from remediator.core.model.bucket import Bucket
from remediator.core.model.finding import (
    OWN_POLICY_SUBJECT,
    REPAIRABLE,
    Finding,
    FindingCode,
    Withheld,
    bucket_policy_subject,
)
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.model.write import DocumentId, DocumentKind, Write, instance_profile_json, policy_write
from remediator.core.policy.document import PolicyDocument, read_mapping
from remediator.core.policy.explain import Obstacle
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.bucket_policy import bucket_policy_write_obstacles, granting_bucket_policy, named_roles
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import desired_own_policy, keys_to_grant, own_policy_reading, without_former_side
from remediator.core.repair.instance_profile import path_of_instance_profile
from remediator.core.repair.role_policy import OwnGrant, granted_by, inline_write_obstacles, own_policy
from remediator.core.repair.trust import add_ec2_trust, merged_ec2_trust, trust_write_obstacles
from remediator.settings import GrantSide, InstanceProfileMode

TRUST_POLICY: Final = DocumentId(DocumentKind.TRUST_POLICY)
OWN_POLICY: Final = DocumentId(DocumentKind.INLINE_POLICY, OWN_POLICY_NAME)


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What would be written, in this order, and which repairable findings are withheld.

    ``removals`` take away what is ours on the side where grants were put before: they come last, and only after every
    step was applied and seen.
    """

    writes: tuple[Write, ...]
    withheld: tuple[Withheld, ...]
    removals: tuple[Write, ...] = ()


def plan_repair(
    observed: Observed,
    findings: tuple[Finding, ...],
    desired: Desired = Desired(),  # noqa: B008  # it is frozen
) -> RepairPlan:
    """The writes that repair the findings: none for a finding that is not repairable, none on a role that was shut.

    Planning again with the state that the writes and the removals leave behind gives neither.
    """
    if any(finding.code is FindingCode.QUARANTINED for finding in findings):
        why = "Somebody has shut the role."
        return RepairPlan((), tuple(Withheld(each, (why,)) for each in findings if each.code in REPAIRABLE))
    planned: list[Write | Withheld] = [
        *(_trust(observed, finding) for finding in findings if finding.code is FindingCode.TRUST_MISSING),
        *_own_policy(observed, findings, desired),
        *(_bucket_policies(observed, findings, desired) if desired.grant is GrantSide.BUCKET_POLICY else ()),
        *(_profile(observed, finding, desired) for finding in findings if finding.code is FindingCode.PROFILE_MISSING),
    ]
    writes = tuple(part for part in planned if not isinstance(part, Withheld))
    withheld = tuple(part for part in planned if isinstance(part, Withheld))
    taken_back = _leftovers(observed, findings, desired, writes, withheld)
    return RepairPlan(
        writes=writes,
        withheld=(*withheld, *(part for part in taken_back if isinstance(part, Withheld))),
        removals=tuple(part for part in taken_back if not isinstance(part, Withheld)),
    )


def _trust(observed: Observed, finding: Finding) -> Write | Withheld:
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
            note = f"EC2 joins the services of an existing statement, because one more does not fit. {why}"
            return policy_write(TRUST_POLICY, before, merged, (finding,), note)
        return Withheld(finding, _texts(obstacles))
    return policy_write(TRUST_POLICY, before, after, (finding,))


def _own_policy(observed: Observed, findings: tuple[Finding, ...], desired: Desired) -> list[Write | Withheld]:
    granted = keys_to_grant(observed, findings)
    waiting: list[Write | Withheld] = [
        Withheld(finding, ("Its bucket is for a person first; a grant on the key would not make it usable.",))
        for finding in findings
        if finding.code is FindingCode.KEY_MISSING and finding not in granted
    ]
    concerned = [f for f in findings if f in granted or _is_for_own_policy(f, desired)]
    if not concerned:
        return waiting
    return [*waiting, *_own_policy_written(observed, findings, desired, concerned)]


def _own_policy_written(
    observed: Observed, findings: tuple[Finding, ...], desired: Desired, concerned: list[Finding]
) -> list[Write | Withheld]:
    wanted = desired_own_policy(observed, findings, desired)
    before: PolicyDocument | None
    match own_policy_reading(observed.policies):
        case Present(value=document):
            before = document
        case Absent():
            before = None
        case Unreadable(why=why):
            return [Withheld(finding, (why,)) for finding in concerned]
        case _ as never:
            assert_never(never)
    if wanted is None:
        return [Withheld(finding, ("what our policy should say cannot be told",)) for finding in concerned]
    obstacles = inline_write_obstacles(observed.role, observed.policies, wanted)
    if obstacles:
        return [Withheld(finding, _texts(obstacles)) for finding in concerned]
    return [policy_write(OWN_POLICY, before, wanted, tuple(concerned))]


def _is_for_own_policy(finding: Finding, desired: Desired) -> bool:
    match finding.code:
        case FindingCode.GRANT_MISSING:
            return desired.grant is GrantSide.ROLE_POLICY
        case FindingCode.GRANT_ALTERED:
            return finding.subject == OWN_POLICY_SUBJECT
        case _:
            return False


def _bucket_policies(observed: Observed, findings: tuple[Finding, ...], desired: Desired) -> Iterable[Write | Withheld]:
    """The policy of each bucket that is missing the role in our statement, or in which our statement was changed."""
    role = observed.role.arn
    missing = {finding.subject: finding for finding in findings if finding.code is FindingCode.GRANT_MISSING}
    altered = {finding.subject: finding for finding in findings if finding.code is FindingCode.GRANT_ALTERED}
    counted = without_former_side(observed, desired)
    for name, bucket in _present_buckets(observed).items():
        finding = missing.get(name) or altered.get(bucket_policy_subject(name))
        if finding is None:
            continue
        before = bucket.policy.value if isinstance(bucket.policy, Present) else None
        roles = frozenset() if before is None else named_roles(before, role.account)
        if name in missing or before is None or not _is_granted_by_others(counted, bucket, before, roles):
            roles |= {str(role)}
        yield _bucket_policy(observed, bucket, roles, finding)


def _is_granted_by_others(observed: Observed, bucket: Bucket, before: PolicyDocument, roles: Iterable[str]) -> bool:
    """Whether the role may use the bucket when our statement in its policy, restored, names only these roles.

    A statement of ours that somebody changed may have let the role in without naming it.
    """
    after = granting_bucket_policy(Present(before), bucket.name, roles, observed.role.arn.partition)
    restored = replace(bucket, policy=Absent() if after is None else Present(after))
    return all(
        judgement.verdict is GrantVerdict.ALLOWED
        for judgement in judge_grants(observed.role, observed.policies, restored)
        if judgement.action in REQUIRED_ACTIONS
    )


def _bucket_policy(observed: Observed, bucket: Bucket, roles: Iterable[str], finding: Finding) -> Write | Withheld:
    if isinstance(bucket.policy, Unreadable):
        return Withheld(finding, (f"The bucket policy could not be read: {bucket.policy.why}",))
    before = bucket.policy.value if isinstance(bucket.policy, Present) else None
    after = granting_bucket_policy(bucket.policy, bucket.name, roles, observed.role.arn.partition)
    obstacles = bucket_policy_write_obstacles(observed.role, bucket, after)
    if obstacles:
        return Withheld(finding, _texts(obstacles))
    document = DocumentId(DocumentKind.BUCKET_POLICY, bucket.name, account=bucket.account, region=bucket.region)
    return policy_write(document, before, after, (finding,))


def _profile(observed: Observed, finding: Finding, desired: Desired) -> Write | Withheld:
    if desired.instance_profile is not InstanceProfileMode.REPAIR:
        why = "The configuration does not let us: `instanceProfile` of the cloud is not `repair`."
        return Withheld(finding, (why,))
    if observed.profiles is None or observed.profiles.namesake is None:
        return Withheld(finding, ("Whether an instance profile of that name exists was not looked at.",))
    namesake = observed.profiles.namesake
    if isinstance(namesake, Present):
        _, _, path_and_name = namesake.value.arn.partition(":instance-profile/")
        if not any(pattern.matches(path_and_name) for pattern in desired.instance_profiles):
            why = (
                f"It exists as {namesake.value.arn}, under a path that no role pattern of the cloud allows, and there "
                "we may not write."
            )
            return Withheld(finding, (why,))
    arn = observed.role.arn
    path = path_of_instance_profile(namesake.value.arn) if isinstance(namesake, Present) else arn.path
    before = instance_profile_json(arn.name, path) if isinstance(namesake, Present) else None
    document = DocumentId(DocumentKind.INSTANCE_PROFILE, arn.name, path=path)
    return Write(document, before, instance_profile_json(arn.name, path, arn.name), (finding,))


def _leftovers(
    observed: Observed,
    findings: tuple[Finding, ...],
    desired: Desired,
    writes: tuple[Write, ...],
    withheld: tuple[Withheld, ...],
) -> tuple[Write | Withheld, ...]:
    """What is ours on the former side is taken back where the new side grants, or will after the writes."""
    leftovers = [finding for finding in findings if finding.code is FindingCode.GRANT_LEFTOVER]
    if not leftovers:
        return ()
    held = {each.finding for each in withheld}
    not_granted = {
        finding.subject for finding in findings if finding.code is not FindingCode.GRANT_MISSING or finding in held
    }
    if desired.grant is GrantSide.BUCKET_POLICY:
        return tuple(_own_policy_taken_back(observed, finding, not_granted, writes) for finding in leftovers)
    return tuple(_role_taken_back(observed, finding, not_granted, desired) for finding in leftovers)


_NOT_GRANTED_YET = "It goes when the side where grants are put now grants the bucket, which it does not yet."


def _own_policy_taken_back(
    observed: Observed, finding: Finding, not_granted: set[str], writes: tuple[Write, ...]
) -> Write | Withheld:
    if any(name in not_granted for name, _ in observed.buckets):
        return Withheld(finding, (_NOT_GRANTED_YET,))
    own = own_policy_reading(observed.policies)
    written = next((write.after for write in writes if write.document == OWN_POLICY), None)
    before = read_mapping(written) if written is not None else (own.value if isinstance(own, Present) else None)
    if before is None:
        return Withheld(finding, ("what our policy should say cannot be told",))
    partition = observed.role.arn.partition
    after = own_policy(Present(before), OwnGrant(keys=granted_by(before, partition).keys), partition)
    obstacles = inline_write_obstacles(observed.role, observed.policies, after)
    if obstacles:
        return Withheld(finding, _texts(obstacles))
    return policy_write(OWN_POLICY, before, after, (finding,))


def _role_taken_back(observed: Observed, finding: Finding, not_granted: set[str], desired: Desired) -> Write | Withheld:
    if not desired.writes_bucket_policies:
        why = (
            "The configuration does not let us write bucket policies. Set `formerGrant` of the cloud to bucket-policy "
            "and deploy, or take the role out of our statement by hand."
        )
        return Withheld(finding, (why,))
    (bucket,) = (
        each for name, each in _present_buckets(observed).items() if bucket_policy_subject(name) == finding.subject
    )
    if bucket.name in not_granted:
        return Withheld(finding, (_NOT_GRANTED_YET,))
    role = observed.role.arn
    roles = named_roles(bucket.policy.value, role.account) if isinstance(bucket.policy, Present) else frozenset()
    return _bucket_policy(observed, bucket, roles - {str(role)}, finding)


def _present_buckets(observed: Observed) -> Mapping[str, Bucket]:
    return {name: reading.value for name, reading in observed.buckets if isinstance(reading, Present)}


def _texts(obstacles: tuple[Obstacle, ...]) -> tuple[str, ...]:
    return tuple(str(obstacle) for obstacle in obstacles)
