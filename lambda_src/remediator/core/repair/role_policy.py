"""The remediator's own inline policy in a role: what it grants, what it should grant, and what it is without us.

It grants buckets, unless the bucket policies do, and keys. Statements that others put into it stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from remediator.core.access.actions import (
    KEY_ACTIONS,
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.model.finding import OWN_POLICY_SUBJECT, REPAIRABLE, TRUST_SUBJECT, Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import BUCKET_SID, KEYS_SID, OBJECTS_SID, OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, Role, RolePolicies
from remediator.core.model.write import DocumentId, DocumentKind, Write, policy_write
from remediator.core.policy.arn import RoleArn, service_by_s3
from remediator.core.policy.document import PolicyDocument, policy_size, read_mapping, same_policy
from remediator.core.policy.edit import replace_own_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import Desired
from remediator.core.repair.infrastructure_code import PermanentFix, hcl, subjects_of, without_sid, yaml
from remediator.core.repair.keys import keys_of
from remediator.core.repair.write_blockers import (
    NOT_GRANTED_YET,
    QUOTA_REMEDIES,
    Planned,
    Retained,
    WriteBlocker,
    block_repairs,
    faults_blockers,
    unmodifiable_blockers,
    why_left,
    write_unless_blocked,
)
from remediator.settings import GrantLocation

OWN_POLICY: Final = DocumentId(DocumentKind.INLINE_POLICY, OWN_POLICY_NAME)

_OWN_SIDS = frozenset({BUCKET_SID, OBJECTS_SID, KEYS_SID})

INLINE_QUOTA = 10_240
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

SUGGESTED_POLICY_NAME = "anyscale-bucket-access"
"""Not the name of the remediator's own policy: two owners of one policy would overwrite each other."""

_REGION_IN_ARN = 3
_UNKNOWN = "what the remediator's policy should say is unknown"


@dataclass(frozen=True, slots=True)
class OwnGrant:
    """What the remediator's inline policy grants: the use of buckets, by their names, and of KMS keys, by their ARNs;
    sorted."""

    buckets: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, buckets: Iterable[str] = (), keys: Iterable[str] = ()) -> OwnGrant:
        """The grant of all of them, each once."""
        return cls(tuple(sorted(set(buckets))), tuple(sorted(set(keys))))


def own_grant_statements(buckets: tuple[str, ...], partition: str) -> tuple[dict[str, object], dict[str, object]]:
    """The remediator's two statements for buckets given by name: one on the buckets, one on their objects; the names
    sorted."""
    arns = [f"arn:{partition}:s3:::{name}" for name in sorted(set(buckets))]
    return (
        {
            "Sid": BUCKET_SID,
            "Effect": "Allow",
            "Action": [*REQUIRED_BUCKET_ACTIONS, *WANTED_BUCKET_ACTIONS],
            "Resource": arns,
        },
        {
            "Sid": OBJECTS_SID,
            "Effect": "Allow",
            "Action": [*REQUIRED_OBJECT_ACTIONS, *WANTED_OBJECT_ACTIONS],
            "Resource": [f"{arn}/*" for arn in arns],
        },
    )


def own_key_statement(keys: tuple[str, ...], partition: str) -> dict[str, object]:
    """The remediator's statement for KMS keys given by ARN: they may be used through S3 only, in the Regions of the
    keys.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """
    arns = sorted(set(keys))
    services = sorted({service_by_s3(arn.split(":")[_REGION_IN_ARN], partition) for arn in arns})
    return {
        "Sid": KEYS_SID,
        "Effect": "Allow",
        "Action": [*KEY_ACTIONS],
        "Resource": arns,
        "Condition": {"StringEquals": {"kms:ViaService": services}},
    }


def own_policy(current: Reading[PolicyDocument], grant: OwnGrant, partition: str) -> PolicyDocument | None:
    """Our inline policy as it should be for this grant; statements that somebody else put into it stay.

    None where nothing would be left in it, so that it should not exist. A present document with faults comes back as
    it is. Raises ValueError where the present one could not be read: it must not be overwritten.
    """
    statements: list[dict[str, object]] = []
    if grant.buckets:
        statements += own_grant_statements(grant.buckets, partition)
    if grant.keys:
        statements.append(own_key_statement(grant.keys, partition))
    match current:
        case Present(value=document):
            return replace_own_statements(document, _OWN_SIDS, statements)
        case Absent():
            return replace_own_statements(None, _OWN_SIDS, statements)
        case Unreadable(why=why):
            raise ValueError(f"{OWN_POLICY_NAME} must not be written over a policy that could not be read: {why}")
        case _ as never:
            assert_never(never)


def granted_by(document: PolicyDocument, partition: str) -> OwnGrant:
    """The buckets and keys that the remediator's own statements in the remediator's inline policy name now."""
    start = f"arn:{partition}:s3:::"
    buckets: set[str] = set()
    keys: set[str] = set()
    for statement in document.statements:
        if statement.resources is None or statement.resources.negated:
            continue
        arns = statement.resources.patterns
        if statement.sid in (BUCKET_SID, OBJECTS_SID):
            buckets |= {arn.removeprefix(start).partition("/")[0] for arn in arns if arn.startswith(start)}
        elif statement.sid == KEYS_SID:
            keys |= {arn for arn in arns if arn.startswith(f"arn:{partition}:kms:")}
    return OwnGrant.of(buckets, keys)


def own_policy_reading(policies: RolePolicies) -> Reading[PolicyDocument]:
    """The remediator's own inline policy on the role: Absent where the role has none, Unreadable where that cannot be
    said."""
    match policies.inline:
        case Present(value=inline):
            return next((policy.document for policy in inline if policy.name == OWN_POLICY_NAME), Absent())
        case Absent():
            return Absent()
        case Unreadable() as unreadable:
            return unreadable
        case _ as never:
            assert_never(never)


def without_own_buckets(observed: Observed) -> Observed:
    """What is observed, less what the remediator's inline policy grants on buckets; a policy that the remediator would
    not edit stays."""
    inline, own = observed.policies.inline, own_policy_reading(observed.policies)
    if not isinstance(inline, Present) or not isinstance(own, Present) or not _is_editable(own.value):
        return observed
    kept = _without_buckets(own.value, observed.role.arn.partition)
    others = tuple(each for each in inline.value if each.name != OWN_POLICY_NAME)
    mine = () if kept is None else (InlinePolicy(OWN_POLICY_NAME, Present(kept)),)
    return replace(observed, policies=replace(observed.policies, inline=Present((*others, *mine))))


def _is_editable(document: PolicyDocument) -> bool:
    return not document.faults and not turned_into_deny(document)


def _without_buckets(document: PolicyDocument, partition: str) -> PolicyDocument | None:
    return own_policy(Present(document), OwnGrant(keys=granted_by(document, partition).keys), partition)


def keys_to_grant(observed: Observed, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The keys that are missing a grant and of which at least one bucket can be used, or will be after the repair.

    Where all of them are for a person first, a grant on the key would not make them usable.
    """
    manual_findings = {finding.subject for finding in findings if finding.code not in REPAIRABLE}
    usable = {
        key.arn for key, buckets in keys_of(observed) if any(bucket.name not in manual_findings for bucket in buckets)
    }
    return tuple(f for f in findings if f.code is FindingCode.KEY_MISSING and f.subject in usable)


def desired_own_grant(observed: Observed, findings: tuple[Finding, ...], desired: Desired) -> OwnGrant | None:
    """What the remediator's inline policy should grant; None where that cannot be said, because it could not be read.

    It names the buckets and keys of the cloud that are missing a grant, and those that it names already: it never comes
    to name one that is blocked, undecided or absent, because an Allow does not help there. Where grants are put into
    the bucket policies, it still names the buckets that it named before: they are removed by a write of its own.
    """
    current = own_policy_reading(observed.policies)
    if isinstance(current, Unreadable):
        return None
    named = granted_by(current.value, observed.role.arn.partition) if isinstance(current, Present) else OwnGrant()
    missing = {finding.subject for finding in findings if finding.code is FindingCode.GRANT_MISSING}
    keys = {finding.subject for finding in keys_to_grant(observed, findings)}
    of_cloud = {name for name, _ in observed.buckets}
    return OwnGrant.of(
        (missing if desired.grant is GrantLocation.ROLE_POLICY else set()) | (set(named.buckets) & of_cloud),
        keys | (set(named.keys) & {key.arn for key, _ in keys_of(observed)}),
    )


def desired_own_policy(observed: Observed, findings: tuple[Finding, ...], desired: Desired) -> PolicyDocument | None:
    """The remediator's inline policy as it should be; None where none is needed, or where it cannot be said."""
    grant = desired_own_grant(observed, findings, desired)
    if grant is None or grant == OwnGrant():
        return None
    return own_policy(own_policy_reading(observed.policies), grant, observed.role.arn.partition)


def assess(observed: Observed, counted: Observed, found: tuple[Finding, ...], desired: Desired) -> Iterable[Finding]:
    """Whether the remediator's inline policy is as it should be, and whether it grants buckets that others should
    grant.

    ``counted`` is what is observed less what does not count as a grant any more; ``found`` is what is wrong with the
    trust policy and the use of the buckets and keys.
    """
    # A missing grant restores our statements anyway. Where a bucket is blocked, undecided, absent or of somebody
    # else, our statements are left as they are: restoring them could grant on such a bucket.
    if all(finding.subject == TRUST_SUBJECT for finding in found):
        yield from _altered(counted, found, desired)
    own = own_policy_reading(observed.policies)
    granted = granted_by(own.value, observed.role.arn.partition) if isinstance(own, Present) else OwnGrant()
    if desired.grant is GrantLocation.BUCKET_POLICY and granted.buckets:
        because = "grants are put into the bucket policies now, and this policy still grants the buckets"
        yield Finding(FindingCode.GRANT_LEFTOVER, OWN_POLICY_SUBJECT, (because,))


def _altered(counted: Observed, found: tuple[Finding, ...], desired: Desired) -> Iterable[Finding]:
    current = own_policy_reading(counted.policies)
    if not isinstance(current, Present) or not _is_editable(current.value):
        return  # where somebody made a Deny of it, somebody means it; the blocked grant is told
    wanted = desired_own_policy(counted, found, desired)
    if wanted is None or same_policy(current.value, wanted):
        return
    granted = granted_by(current.value, counted.role.arn.partition)
    named = {name for name, _ in counted.buckets} | {key.arn for key, _ in keys_of(counted)}
    beyond = sorted({*granted.buckets, *granted.keys} - named)
    because = (
        f"the inline policy {OWN_POLICY_NAME} grants {', '.join(beyond)}, which is not of the role's cloud"
        if beyond
        else f"the statements that the remediator wrote into the inline policy {OWN_POLICY_NAME} were changed"
    )
    yield Finding(FindingCode.GRANT_ALTERED, OWN_POLICY_SUBJECT, (because,))


def repair(observed: Observed, findings: tuple[Finding, ...], desired: Desired) -> tuple[Planned, ...]:
    """The write that grants buckets and keys that are missing a grant, and restores what was altered."""
    granted = keys_to_grant(observed, findings)
    useless = tuple(f for f in findings if f.code is FindingCode.KEY_MISSING and f not in granted)
    waiting = block_repairs(
        useless, "The bucket requires an operator first; a grant on the key would not make it usable."
    )
    concerned = tuple(f for f in findings if f in granted or _is_for_own_policy(f, desired))
    if not concerned:
        return waiting
    return *waiting, *_replaced(observed, desired_own_policy(observed, findings, desired), concerned)


def _replaced(observed: Observed, wanted: PolicyDocument | None, concerned: tuple[Finding, ...]) -> tuple[Planned, ...]:
    current = own_policy_reading(observed.policies)
    if isinstance(current, Unreadable):
        return block_repairs(concerned, current.why)
    if wanted is None:
        return block_repairs(concerned, _UNKNOWN)
    before = current.value if isinstance(current, Present) else None
    blockers = inline_write_blockers(observed.role, observed.policies, wanted)
    return write_unless_blocked(OWN_POLICY, before, wanted, concerned, blockers)


def _is_for_own_policy(finding: Finding, desired: Desired) -> bool:
    match finding.code:
        case FindingCode.GRANT_MISSING:
            return desired.grant is GrantLocation.ROLE_POLICY
        case FindingCode.GRANT_ALTERED:
            return finding.subject == OWN_POLICY_SUBJECT
        case _:
            return False


def remove_from_previous(
    observed: Observed, finding: Finding, not_granted: frozenset[str], writes: tuple[Write, ...]
) -> tuple[Planned, ...]:
    """The write that takes the buckets out of the remediator's inline policy, as the ``writes`` before it leave
    that."""
    if any(name in not_granted for name, _ in observed.buckets):
        return block_repairs((finding,), NOT_GRANTED_YET)
    own = own_policy_reading(observed.policies)
    before = own.value if isinstance(own, Present) else None
    for write in writes:
        if write.document == OWN_POLICY and write.after is not None:
            before = read_mapping(write.after)
    if before is None:
        return block_repairs((finding,), _UNKNOWN)
    after = _without_buckets(before, observed.role.arn.partition)
    blockers = inline_write_blockers(observed.role, observed.policies, after)
    return write_unless_blocked(OWN_POLICY, before, after, (finding,), blockers)


def removal(role: Role, policy: InlinePolicy) -> Write | Retained | None:
    """The write that takes what the remediator has granted out of the remediator's inline policy; None where it grants
    nothing."""
    what = f"inline policy {OWN_POLICY_NAME} of {role.arn.name}"
    match policy.document:
        case Present(value=document) if why := why_left(document, is_deny=turned_into_deny(document)):
            return Retained(what, why)
        case Present(value=document):
            after = own_policy(Present(document), OwnGrant(), role.arn.partition)
            if after is not None and same_policy(document, after):
                return None
            note = f"{role.arn.name} loses what the remediator has granted it on its buckets and keys."
            return policy_write(OWN_POLICY, document, after, note=note)
        case Absent():
            return None
        case Unreadable(why=why):
            return Retained(what, f"It could not be read: {why}")
        case _ as never:
            assert_never(never)


def permanent_fix(role: RoleArn, findings: tuple[Finding, ...], buckets: tuple[str, ...]) -> Iterable[PermanentFix]:
    """A policy of another name that grants which of the ``buckets``, and the keys, are missing a grant."""
    missing = tuple(name for name in subjects_of(findings, FindingCode.GRANT_MISSING) if name in buckets)
    keys = subjects_of(findings, FindingCode.KEY_MISSING)
    statements = [
        *(own_grant_statements(missing, role.partition) if missing else ()),
        *([own_key_statement(keys, role.partition)] if keys else ()),
    ]
    if not statements:
        return
    document = {"Version": "2012-10-17", "Statement": [without_sid(statement) for statement in statements]}
    terraform = (
        'resource "aws_iam_role_policy" "anyscale_bucket_access" {',
        f'  name   = "{SUGGESTED_POLICY_NAME}"',
        f'  role   = "{role.name}"',
        f"  policy = jsonencode({hcl(document, '  ')})",
        "}",
    )
    properties = {"RoleName": role.name, "PolicyName": SUGGESTED_POLICY_NAME, "PolicyDocument": document}
    cloudformation = {"AnyscaleBucketAccess": {"Type": "AWS::IAM::RolePolicy", "Properties": properties}}
    yield PermanentFix("\n".join(terraform), yaml(cloudformation))


def turned_into_deny(document: PolicyDocument) -> bool:
    """Whether somebody made a Deny of one of our statements in our inline policy: then it is theirs, and stays."""
    return any(statement.sid in _OWN_SIDS and statement.effect == "Deny" for statement in document.statements)


def inline_write_blockers(
    role: Role, policies: RolePolicies, after: PolicyDocument | None, quota: int = INLINE_QUOTA
) -> tuple[WriteBlocker, ...]:
    """What blocks writing ``after`` as the remediator's inline policy, or deleting it; empty where nothing is known to.

    ``quota`` is in characters, for all inline policies of the role together. The remediator's old policy does not
    count, because the new one takes its place.
    """
    if isinstance(policies.inline, Unreadable):
        why = policies.inline.why
        text = f"The list of the role's inline policies could not be read: {why}"
        return (WriteBlocker("unread", text, "Allow the remediator's role iam:ListRolePolicies."),)
    blockers = [*unmodifiable_blockers(role), *_blockers_of_present(own_policy_reading(policies))]
    inline = policies.inline.value if isinstance(policies.inline, Present) else ()
    others = (each.document for each in inline if each.name != OWN_POLICY_NAME)
    total = sum(policy_size(each.value) for each in others if isinstance(each, Present))
    if after is not None and (total := total + policy_size(after)) > quota:
        text = f"The role's inline policies would have {total:,} characters together; the quota is {quota:,}."
        blockers.append(WriteBlocker("quota", text, QUOTA_REMEDIES[DocumentKind.INLINE_POLICY]))
    return tuple(blockers)


def _blockers_of_present(own: Reading[PolicyDocument]) -> Iterable[WriteBlocker]:
    match own:
        case Present(value=document):
            yield from faults_blockers(f"the inline policy {OWN_POLICY_NAME}", document)
            if turned_into_deny(document):
                text = (
                    f"The remediator's statement in {OWN_POLICY_NAME} was changed into a Deny; a Deny is never removed."
                )
                yield WriteBlocker("denied", text, f"If the Deny is not intended, remove it from {OWN_POLICY_NAME}.")
        case Absent():
            return
        case Unreadable(why=why):
            text = f"The inline policy {OWN_POLICY_NAME} could not be read: {why}"
            yield WriteBlocker("unread", text, "Allow the remediator's role iam:GetRolePolicy.")
        case _ as never:
            assert_never(never)
