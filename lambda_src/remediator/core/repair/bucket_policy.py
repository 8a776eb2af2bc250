"""The policy of a bucket: the remediator's own statement in it, whom it names, whom it should name, and what it is
without us.

It is one statement for all roles, under a fixed Sid. Everything else in the policy is of others.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from remediator.core.access.actions import (
    REQUIRED_ACTIONS,
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.access.decision import GrantVerdict
from remediator.core.access.grants import evaluate_grants
from remediator.core.model.bucket import Bucket
from remediator.core.model.finding import Finding, FindingCode, bucket_policy_subject
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import BUCKET_POLICY_SID
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentId, DocumentKind, Write, policy_write
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, policy_text, read_mapping
from remediator.core.policy.edit import replace_own_statements
from remediator.core.policy.public import public_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.policy.statement import Statement
from remediator.core.repair.desired import Desired
from remediator.core.repair.infrastructure_code import PermanentFix, hcl, subjects_of, without_sid, yaml
from remediator.core.repair.role_policy import without_own_buckets
from remediator.core.repair.write_blockers import (
    NOT_GRANTED_YET,
    QUOTA_REMEDIES,
    Planned,
    Retained,
    WriteBlocker,
    block_repairs,
    faults_blockers,
    stale_blockers,
    why_left,
    write_unless_blocked,
)
from remediator.errors import MalformedArn
from remediator.settings import GrantLocation

BUCKET_POLICY_QUOTA = 20 * 1_024
"""Bytes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"""

_POLICY = "the bucket policy"
_OWN_SIDS = frozenset({BUCKET_POLICY_SID})
_ACTIONS = (*REQUIRED_OBJECT_ACTIONS, *WANTED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS, *WANTED_BUCKET_ACTIONS)


def bucket_policy_statement(bucket: str, role_arns: Iterable[str], partition: str) -> dict[str, object]:
    """The remediator's statement in the policy of a bucket, given by name: these roles may do all that a cluster does.

    S3 applies each action to the kind of resource that it is for, so that one statement serves both kinds.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Sid": BUCKET_POLICY_SID,
        "Effect": "Allow",
        "Principal": {"AWS": sorted(set(role_arns))},
        "Action": [*_ACTIONS],
        "Resource": [arn, f"{arn}/*"],
    }


def granting_bucket_policy(
    current: Reading[PolicyDocument], bucket: str, role_arns: Iterable[str], partition: str
) -> PolicyDocument | None:
    """The policy of the bucket with the remediator's statement for exactly these roles, and everything else as it was.

    Without roles the remediator's statement goes, and None means that nothing is left, so that the policy should not
    exist. A present document with faults comes back as it is. Raises ValueError where the present one could not be
    read.
    """
    arns = tuple(role_arns)
    statements = [bucket_policy_statement(bucket, arns, partition)] if arns else []
    match current:
        case Present(value=document):
            return replace_own_statements(document, _OWN_SIDS, statements)
        case Absent():
            return replace_own_statements(None, _OWN_SIDS, statements)
        case Unreadable(why=why):
            raise ValueError(f"the policy of {bucket} must not be written over one that could not be read: {why}")
        case _ as never:
            assert_never(never)


def without_own_statements(observed: Observed) -> Observed:
    """What is observed, less what the remediator's statements in the policies of its buckets grant the role."""
    role = observed.role.arn
    return replace(
        observed,
        buckets=tuple(
            (
                name,
                Present(replace(reading.value, policy=Present(without_role(reading.value.policy.value, name, role))))
                if isinstance(reading, Present) and isinstance(reading.value.policy, Present)
                else reading,
            )
            for name, reading in observed.buckets
        ),
    )


def assess(observed: Observed, counted: Observed, found: tuple[Finding, ...], desired: Desired) -> Iterable[Finding]:
    """Whether the remediator's statements are as they should be, and whether they name the role where its own policy
    should grant.

    ``counted`` is what is observed less what does not count as a grant any more; ``found`` is what is wrong with the
    use of the buckets: a missing grant restores our statement anyway, and any other bucket is for a person.
    """
    role = observed.role.arn
    wrong = {finding.subject for finding in found}
    for name, bucket in _present(counted).items():
        if desired.grant is GrantLocation.BUCKET_POLICY and name not in wrong and _is_altered(bucket, role):
            because = "the remediator's statement in the bucket policy names other principals, or was changed"
            yield Finding(FindingCode.GRANT_ALTERED, bucket_policy_subject(name), (because,))
    for name, bucket in _present(observed).items():
        if desired.grant is GrantLocation.ROLE_POLICY and str(role) in _named(bucket, role):
            because = (
                "grants are put into the role now, and the remediator's statement in this policy still names the role"
            )
            yield Finding(FindingCode.GRANT_LEFTOVER, bucket_policy_subject(name), (because,))


def repair(observed: Observed, findings: tuple[Finding, ...], desired: Desired) -> Iterable[Planned]:
    """The policy of each bucket that is missing the role in the remediator's statement, or in which the remediator's
    statement was changed."""
    if desired.grant is not GrantLocation.BUCKET_POLICY:
        return
    role = observed.role.arn
    missing = {finding.subject: finding for finding in findings if finding.code is FindingCode.GRANT_MISSING}
    altered = {finding.subject: finding for finding in findings if finding.code is FindingCode.GRANT_ALTERED}
    counted = without_own_buckets(observed)
    for name, bucket in _present(observed).items():
        finding = missing.get(name) or altered.get(bucket_policy_subject(name))
        if finding is None:
            continue
        roles = _named(bucket, role)
        if name in missing or not _is_granted_by_others(counted, bucket, roles):
            roles |= {str(role)}
        yield from _naming(observed.role, bucket, roles, finding)


def remove_from_previous(
    observed: Observed, finding: Finding, not_granted: frozenset[str], desired: Desired
) -> tuple[Planned, ...]:
    """The write that takes the role out of the remediator's statement in the policy that the finding is about."""
    if not desired.writes_bucket_policies:
        why = (
            "The configuration allows no writes to bucket policies. Set `formerGrant` of the cloud to bucket-policy "
            "and deploy, or take the role out of the remediator's statement by hand."
        )
        return block_repairs((finding,), why)
    role = observed.role
    (bucket,) = (each for name, each in _present(observed).items() if bucket_policy_subject(name) == finding.subject)
    if bucket.name in not_granted:
        return block_repairs((finding,), NOT_GRANTED_YET)
    return _naming(role, bucket, _named(bucket, role.arn) - {str(role.arn)}, finding)


def _naming(role: Role, bucket: Bucket, roles: frozenset[str], finding: Finding) -> tuple[Planned, ...]:
    """The policy in which the remediator's statement names exactly these roles."""
    if isinstance(bucket.policy, Unreadable):
        return block_repairs((finding,), f"The bucket policy could not be read: {bucket.policy.why}")
    before = bucket.policy.value if isinstance(bucket.policy, Present) else None
    after = granting_bucket_policy(bucket.policy, bucket.name, roles, role.arn.partition)
    blockers = bucket_policy_write_blockers(role, bucket, after)
    document = DocumentId(DocumentKind.BUCKET_POLICY, bucket.name, account=bucket.account, region=bucket.region)
    return write_unless_blocked(document, before, after, (finding,), blockers)


def _is_granted_by_others(observed: Observed, bucket: Bucket, roles: Iterable[str]) -> bool:
    """Whether the role may use the bucket when the remediator's statement in its policy, restored, names only these
    roles.

    A statement of ours that another principal changed may have let the role in without naming it.
    """
    if not isinstance(bucket.policy, Present):
        return False
    after = granting_bucket_policy(bucket.policy, bucket.name, roles, observed.role.arn.partition)
    restored = replace(bucket, policy=Absent() if after is None else Present(after))
    return all(
        assessment.verdict is GrantVerdict.ALLOWED
        for assessment in evaluate_grants(observed.role, observed.policies, restored)
        if assessment.action in REQUIRED_ACTIONS
    )


def removal(
    document: DocumentId, policy: Reading[PolicyDocument], names: frozenset[str], account: str, partition: str
) -> Write | Retained | None:
    """The write that takes the remediator's statement out of a bucket policy, or out of that the roles of some
    ``names``.

    ``account`` is the one of the roles. None where the remediator's statement is not there, or names none of these
    roles.
    """
    match policy:
        case Absent():
            return None
        case Unreadable(why=why):
            return Retained(str(document), f"It could not be read: {why}")
        case Present(value=before):
            pass
        case _ as never:
            assert_never(never)
    taken = roles_to_remove(before, names, account)
    if not _ours(before) or (names and not taken):
        return None
    if why := why_left(before, is_deny=is_turned_into_deny(before)):
        return Retained(str(document), why)
    kept = named_roles(before, account) - taken if names else frozenset()
    after = granting_bucket_policy(policy, document.name, kept, partition)
    losing = ", ".join(sorted(RoleArn.parse(arn).name for arn in taken)) or "a role that does not exist any more"
    return policy_write(document, before, after, note=f"{losing} may lose the bucket {document.name}.")


def roles_to_remove(policy: PolicyDocument, names: frozenset[str], account: str) -> frozenset[str]:
    """The ARNs of the roles that the remediator's statement names; only those of some ``names`` where there are any."""
    return frozenset(arn for arn in named_roles(policy, account) if not names or RoleArn.parse(arn).name in names)


def permanent_fix(role: RoleArn, findings: tuple[Finding, ...], buckets: tuple[str, ...]) -> Iterable[PermanentFix]:
    """The remediator's statement for the role alone, for the code that the policies of those of the ``buckets`` come
    from."""
    for bucket in subjects_of(findings, FindingCode.GRANT_MISSING):
        if bucket not in buckets:
            continue
        statement = without_sid(bucket_policy_statement(bucket, (str(role),), role.partition))
        yield PermanentFix(
            f"# Add this to the Statement list of the policy (jsonencode) of the aws_s3_bucket_policy of {bucket}:\n"
            f"{hcl(statement)}",
            f"# AWS::S3::BucketPolicy of {bucket}: add this to PolicyDocument.Statement, next to the existing ones\n"
            f"{yaml([statement])}",
        )


def without_role(document: PolicyDocument, bucket: str, role: RoleArn) -> PolicyDocument:
    """The policy as it would be if the remediator's statement did not name the role; for evaluation, never for writing.

    A document with faults, one without our statement and one that somebody turned into a Deny come back as they are.
    """
    named = named_roles(document, role.account)
    if str(role) not in named or document.faults or is_turned_into_deny(document):
        return document
    after = granting_bucket_policy(Present(document), bucket, named - {str(role)}, role.partition)
    return after or read_mapping({**document.raw, "Statement": []})


def named_roles(document: PolicyDocument, account: str) -> frozenset[str]:
    """The ARNs of the roles of ``account`` that the remediator's statement names.

    Anything else that is there is none of the remediator's: the id of a deleted role (``AROA…``), a user, everybody.
    """
    return frozenset(
        name
        for statement in _ours(document)
        if statement.principals is not None and not statement.principals.negated
        for name in statement.principals.aws
        if _is_role_of(name, account)
    )


def is_intact(document: PolicyDocument, bucket: str, role: RoleArn) -> bool:
    """Whether the remediator's statement, if there is one, is as the remediator writes it: for roles of the account
    only, without conditions."""
    ours = _ours(document)
    if not ours:
        return True
    wanted = read_mapping(
        {"Statement": [bucket_policy_statement(bucket, named_roles(document, role.account), role.partition)]}
    ).statements[0]
    return len(ours) == 1 and _meaning(ours[0]) == _meaning(wanted)


def is_turned_into_deny(document: PolicyDocument) -> bool:
    """Whether somebody made a Deny of our statement: then it is theirs, and stays."""
    return any(statement.effect == "Deny" for statement in _ours(document))


def bucket_policy_write_blockers(
    role: Role, bucket: Bucket, after: PolicyDocument | None, quota: int = BUCKET_POLICY_QUOTA
) -> tuple[WriteBlocker, ...]:
    """What blocks writing ``after`` as the policy of the bucket, or deleting it; empty where nothing is known.

    ``quota`` is in bytes of UTF-8.
    """
    blockers: list[WriteBlocker] = []
    if bucket.account != role.arn.account:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html (MethodNotAllowed)
        text = f"The bucket {bucket.name} belongs to account {bucket.account}; only that account can write its policy."
        to_do = "Ask the owner of that account to add the statement below, or set the cloud's `grant` to role-policy."
        blockers.append(WriteBlocker("other-account", text, to_do))
    blockers += _blockers_of_present(bucket.policy)
    if after is None:
        return tuple(blockers)
    blockers += stale_blockers(_POLICY, after, role.role_id)
    if bucket.public_access_block is not None and bucket.public_access_block.block_public_policy:
        blockers += [
            WriteBlocker(
                "public",
                f"BlockPublicPolicy rejects the bucket policy, because {each.name} makes it public.",
                f"Remove {each.name} from the bucket policy, or limit its principal.",
            )
            for each in public_statements(after)
        ]
    size = len(policy_text(after).encode())
    if size > quota:
        text = f"The bucket policy would have {size:,} bytes; the quota is {quota:,}."
        blockers.append(WriteBlocker("quota", text, QUOTA_REMEDIES[DocumentKind.BUCKET_POLICY]))
    return tuple(blockers)


def _blockers_of_present(policy: Reading[PolicyDocument]) -> Iterable[WriteBlocker]:
    match policy:
        case Present(value=before):
            yield from faults_blockers(_POLICY, before)
            if is_turned_into_deny(before):
                text = f"Statement `{BUCKET_POLICY_SID}` was changed into a Deny; a Deny is never removed."
                yield WriteBlocker("denied", text, "If the Deny is not intended, remove it from the bucket policy.")
        case Absent():
            return
        case Unreadable(why=why):
            text = f"The bucket policy could not be read: {why}"
            yield WriteBlocker("unread", text, "Allow the remediator's role s3:GetBucketPolicy in the bucket policy.")
        case _ as never:
            assert_never(never)


def _present(observed: Observed) -> Mapping[str, Bucket]:
    return {name: reading.value for name, reading in observed.buckets if isinstance(reading, Present)}


def _named(bucket: Bucket, role: RoleArn) -> frozenset[str]:
    return named_roles(bucket.policy.value, role.account) if isinstance(bucket.policy, Present) else frozenset()


def _is_altered(bucket: Bucket, role: RoleArn) -> bool:
    match bucket.policy:
        case Present(value=document) if not document.faults and not is_turned_into_deny(document):
            return not is_intact(document, bucket.name, role)
        case _:
            return False


def _ours(document: PolicyDocument) -> tuple[Statement, ...]:
    return tuple(statement for statement in document.statements if statement.sid == BUCKET_POLICY_SID)


def _is_role_of(name: str, account: str) -> bool:
    try:
        return RoleArn.parse(name).account == account
    except MalformedArn:
        return False


def _meaning(statement: Statement) -> tuple[object, ...]:
    """What a statement says, whatever the spelling: S3 may give a list of one back as a text, or in another order."""
    principals, actions, resources = statement.principals, statement.actions, statement.resources
    return (
        statement.effect,
        principals
        and (
            principals.negated,
            frozenset(principals.aws),
            (principals.service, principals.federated, principals.canonical_user),
        ),
        actions and (actions.negated, frozenset(actions.patterns)),
        resources and (resources.negated, frozenset(resources.patterns)),
        statement.has_condition,
    )
