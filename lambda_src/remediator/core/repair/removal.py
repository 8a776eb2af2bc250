"""What the remediator owns in roles and buckets, and what is left of each document without it.

Foreign statements go back unchanged and in order. What somebody has made their own is left, and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from remediator.core.events.event import Cause
from remediator.core.history.change import Change, Occasion
from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME, TRUST_SID
from remediator.core.model.scan import ScannedRole
from remediator.core.model.write import DocumentId, DocumentKind, Write, instance_profile_json, policy_write
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import NEW_VERSION, PolicyDocument, read_mapping, same_policy
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.bucket_policy import granting_bucket_policy, is_turned_into_deny, named_roles
from remediator.core.repair.role_policy import OwnGrant, own_policy, turned_into_deny
from remediator.core.repair.trust import ec2_trust_statement
from remediator.settings import BucketSettings

_DELETED = "a role that does not exist any more"


@dataclass(frozen=True, slots=True)
class Removal:
    """One write that takes what is ours out of a document, or deletes it.

    ``loses`` says in a sentence what stops working. ``role`` is the one that it is recorded under, with its unique id
    in ``role_id``; both are None where the roles that it was made for do not exist any more. ``clouds`` are those whose
    roles the remediator would repair so that it came back, as long as it runs.
    """

    write: Write
    loses: str
    role: RoleArn | None
    role_id: str | None
    clouds: tuple[str, ...] = ()

    def occasion(self, account: str, cause: Cause) -> Occasion:
        """The occasion under which it is recorded; ``cause`` is who removes it."""
        name, arn = ("", "") if self.role is None else (self.role.name, str(self.role))
        cloud = self.clouds[0] if self.clouds else None
        return Occasion(account, name, self.role_id or "", arn, cloud, causes=(cause,))


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is ours, or was, and is left as it is; ``why`` says why, and what a person can do."""

    what: str
    why: str


def take_back_from_role(scanned: ScannedRole, clouds: tuple[str, ...]) -> tuple[Removal | Left, ...]:
    """What is ours in a role: our inline policy, and our statement in its trust policy."""
    role = scanned.role
    name = role.arn.name
    found: list[Removal | Left] = []
    for policy in scanned.inline:
        if policy.name != OWN_POLICY_NAME:
            continue
        what = f"inline policy {OWN_POLICY_NAME} of {name}"
        match policy.document:
            case Present(value=document) if document.faults:
                found.append(Left(what, f"It cannot be understood: {document.faults[0]}."))
            case Present(value=document) if turned_into_deny(document):
                found.append(Left(what, "Somebody has turned our statement into a Deny, which is never removed."))
            case Present(value=document):
                after = own_policy(Present(document), OwnGrant(), role.arn.partition)
                if after is None or not same_policy(document, after):
                    loses = f"{name} loses what we have granted it on its buckets and keys."
                    inline = DocumentId(DocumentKind.INLINE_POLICY, OWN_POLICY_NAME)
                    found.append(_taking(inline, document, after, loses, scanned, clouds))
            case Absent():
                continue
            case Unreadable(why=why):
                found.append(Left(what, f"It could not be read: {why}"))
            case _ as never:
                assert_never(never)
    if isinstance(role.trust, Present):
        found += _trust(scanned, role.trust.value, clouds)
    return tuple(found)


def take_back_from_bucket(
    bucket: BucketSettings,
    account: str,
    policy: Reading[PolicyDocument],
    *,
    roles: Mapping[str, ScannedRole],
    role_account: str,
    partition: str,
    names: frozenset[str],
    clouds: tuple[str, ...],
) -> tuple[Removal | Left, ...]:
    """Our statement in the policy of a bucket that ``account`` owns; of some roles only where there are ``names``.

    ``roles`` are all roles of ``role_account``, by their ARNs.
    """
    what = f"bucket policy of {bucket.name}"
    match policy:
        case Absent():
            return ()
        case Unreadable(why=why):
            return (Left(what, f"It could not be read: {why}"),)
        case Present(value=document):
            pass
        case _ as never:
            assert_never(never)
    if not any(statement.sid == BUCKET_POLICY_SID for statement in document.statements):
        return ()
    named = named_roles(document, role_account)
    taken = frozenset(arn for arn in named if not names or RoleArn.parse(arn).name in names)
    if names and not taken:
        return ()
    if document.faults:
        return (Left(what, f"It cannot be understood: {document.faults[0]}."),)
    if is_turned_into_deny(document):
        return (Left(what, "Somebody has turned our statement into a Deny, which is never removed."),)
    after = granting_bucket_policy(Present(document), bucket.name, named - taken if names else (), partition)
    recorded = next((roles[arn] for arn in sorted(taken) if arn in roles), None)
    losing = ", ".join(sorted(RoleArn.parse(arn).name for arn in taken)) or _DELETED
    identity = DocumentId(DocumentKind.BUCKET_POLICY, bucket.name, account=account, region=bucket.region)
    return (_taking(identity, document, after, f"{losing} may lose the bucket {bucket.name}.", recorded, clouds),)


def take_back_profile(made: Change, profile: Reading[InstanceProfile]) -> Removal | Left | None:
    """An instance profile that the change ``made`` created: only an empty one goes; None where there is none any more.

    What a person put there after us is theirs, and instances may be running with it.
    """
    name = made.document.name
    match profile:
        case Absent():
            return None
        case Unreadable(why=why):
            return Left(str(made.document), f"It could not be read: {why}")
        case Present(value=found) if found.role_names:
            holds = ", ".join(found.role_names)
            return Left(
                str(made.document),
                f"We have created it, and it holds the role {holds}, which instances may be running with. When none "
                f"does: aws iam remove-role-from-instance-profile --instance-profile-name {name} --role-name "
                f"{found.role_names[0]} && aws iam delete-instance-profile --instance-profile-name {name}",
            )
        case Present():
            return Removal(
                Write(made.document, instance_profile_json(name, made.document.path or "/"), None),
                "It is empty, so that nothing uses it.",
                RoleArn.parse(made.role_arn),
                made.role_id,
            )
        case _ as never:
            assert_never(never)


def _trust(scanned: ScannedRole, document: PolicyDocument, clouds: tuple[str, ...]) -> Iterable[Removal | Left]:
    name = scanned.role.arn.name
    what = f"trust policy of {name}"
    statements = raw_statements(document)
    signed = [each for each in statements if str(each.get("Sid", "")).startswith(TRUST_SID)]
    if not signed:
        return
    ours = [each for each in signed if _is_our_trust(each, scanned.role.arn.partition)]
    if document.faults:
        yield Left(what, f"It cannot be understood: {document.faults[0]}.")
    elif not ours:
        yield Left(what, f"Somebody has changed our statement `{TRUST_SID}`, so that it is theirs now.")
    elif len(ours) == len(statements):
        yield Left(
            what,
            f"Our statement `{TRUST_SID}` is the only one, and a trust policy cannot be empty. Add another one, or "
            "delete the role.",
        )
    else:
        kept = [each for each in statements if each not in ours]
        after = read_mapping({**document.raw, "Statement": kept})
        loses = f"EC2 may not assume {name} any more, unless another statement lets it."
        yield _taking(DocumentId(DocumentKind.TRUST_POLICY), document, after, loses, scanned, clouds)


def _is_our_trust(statement: Mapping[str, object], partition: str) -> bool:
    wanted = ec2_trust_statement(partition)
    return same_policy(_as_document({**statement, "Sid": TRUST_SID}), _as_document(wanted))


def _as_document(statement: Mapping[str, object]) -> PolicyDocument:
    return read_mapping({"Version": NEW_VERSION, "Statement": [statement]})


def _taking(
    document: DocumentId,
    before: PolicyDocument,
    after: PolicyDocument | None,
    loses: str,
    scanned: ScannedRole | None,
    clouds: tuple[str, ...],
) -> Removal:
    role = None if scanned is None else scanned.role
    return Removal(
        policy_write(document, before, after),
        loses,
        None if role is None else role.arn,
        None if role is None else role.role_id,
        clouds,
    )
