"""The trust policy of a role: may EC2 assume the role, and the statement of the remediator that lets it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from remediator.core.access.calls import ec2_assumes
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import TRUST_SUBJECT, Finding, FindingCode
from remediator.core.model.own_names import TRUST_SID
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentId, DocumentKind, Write, policy_write
from remediator.core.policy.arn import RoleArn, ec2_service_principal
from remediator.core.policy.document import NEW_VERSION, PolicyDocument, policy_size, read_mapping, same_policy
from remediator.core.policy.edit import append_statement, raw_statements, replaced_statement
from remediator.core.policy.evaluate import Hit, Request, Source, weigh_service
from remediator.core.policy.explain import conditions_in_words, reason
from remediator.core.policy.extent import NEVER
from remediator.core.policy.matching import Resource
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.infrastructure_code import PermanentFix, hcl, subjects_of, without_sid, yaml
from remediator.core.repair.write_blockers import (
    QUOTA_REMEDIES,
    Planned,
    Retained,
    WriteBlocker,
    block_repairs,
    faults_blockers,
    stale_blockers,
    unmodifiable_blockers,
    write_unless_blocked,
)

ASSUME_ROLE = "sts:AssumeRole"
TRUST_QUOTA = 2_048
LARGEST_TRUST_QUOTA = 8_192
"""The quota of a trust policy can be raised; this is the most, in characters.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

TRUST_POLICY: Final = DocumentId(DocumentKind.TRUST_POLICY)

_DOCUMENT = "the trust policy"


class TrustVerdict(StrEnum):
    """Whether EC2 may assume the role.

    OK: without condition. MISSING: nothing says so. CONDITIONAL: only under a Condition, which the next edit of a
    colleague or a change at AWS can break. BLOCKED: a Deny applies, no Allow can help. UNDECIDED: it is unknown.
    """

    OK = "ok"
    MISSING = "missing"
    CONDITIONAL = "conditional"
    BLOCKED = "blocked"
    UNDECIDED = "undecided"


_CODES = {
    TrustVerdict.MISSING: FindingCode.TRUST_MISSING,
    TrustVerdict.CONDITIONAL: FindingCode.TRUST_CONDITIONAL,
    TrustVerdict.BLOCKED: FindingCode.TRUST_BLOCKED,
    TrustVerdict.UNDECIDED: FindingCode.TRUST_UNDECIDED,
}


@dataclass(frozen=True, slots=True)
class TrustEvaluation:
    """The verdict on a trust policy, with the statements that decide it."""

    verdict: TrustVerdict
    because: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.verdict}: {'; '.join(self.because)}"


def evaluate_trust(role: Role, evaluation_context: EvaluationContext = EvaluationContext()) -> TrustEvaluation:  # noqa: B008  # it is frozen
    """Decide whether EC2 may assume the role. A trust policy that could not be read is undecided."""
    match role.trust:
        case Present(value=document):
            return _evaluate(document, role, evaluation_context)
        case Absent():
            return TrustEvaluation(TrustVerdict.MISSING, (f"{_DOCUMENT} does not exist",))
        case Unreadable(why=why):
            return TrustEvaluation(TrustVerdict.UNDECIDED, (f"{_DOCUMENT} could not be read: {why}",))
        case _ as never:
            assert_never(never)


def assess(role: Role, context: EvaluationContext) -> tuple[Finding, ...]:
    """What is wrong with the trust policy: one finding, or none."""
    assessment = evaluate_trust(role, context)
    if assessment.verdict is TrustVerdict.OK:
        return ()
    because = tuple(dict.fromkeys(assessment.because))
    return (Finding(_CODES[assessment.verdict], TRUST_SUBJECT, because, (ASSUME_ROLE,)),)


def _evaluate(document: PolicyDocument, role: Role, evaluation_context: EvaluationContext) -> TrustEvaluation:
    target = Resource(str(role.arn))
    request = Request((ASSUME_ROLE,), target, ec2_assumes(role, evaluation_context), ASSUME_ROLE)
    service = ec2_service_principal(role.arn.partition)
    allows, denials = weigh_service(Source(_DOCUMENT, document), request, service)
    blocking = tuple(_denies(hit, "denies") for hit in denials if hit.extent.is_certain_somewhere)
    if blocking:
        return TrustEvaluation(TrustVerdict.BLOCKED, blocking)
    if denials:
        return TrustEvaluation(TrustVerdict.UNDECIDED, tuple(_denies(hit, "may deny") for hit in denials))
    plain = tuple(hit for hit in allows if not hit.statement.has_condition)
    if plain:
        return TrustEvaluation(TrustVerdict.OK, tuple(_allows(hit, service) for hit in plain))
    if allows:
        return TrustEvaluation(TrustVerdict.CONDITIONAL, tuple(_allows(hit, service) for hit in allows))
    missing = f"{_DOCUMENT} has no statement that lets {service} assume the role"
    return TrustEvaluation(TrustVerdict.MISSING, (missing,))


def _allows(hit: Hit, service: str) -> str:
    text = f"lets {service} assume the role"
    if hit.statement.has_condition:
        text += f" only{conditions_in_words(hit.statement) or ' under a Condition'}"
        if hit.extent is NEVER:
            text += ", which EC2's own call does not meet"
    return reason(_DOCUMENT, hit.statement, text)


def _denies(hit: Hit, verb: str) -> str:
    return reason(_DOCUMENT, hit.statement, f"{verb} {ASSUME_ROLE} to EC2{conditions_in_words(hit.statement)}")


def ec2_trust_statement(partition: str) -> dict[str, object]:
    """The statement that lets EC2 assume a role, without any Condition."""
    return {
        "Sid": TRUST_SID,
        "Effect": "Allow",
        "Principal": {"Service": ec2_service_principal(partition)},
        "Action": ASSUME_ROLE,
    }


def add_ec2_trust(document: PolicyDocument, partition: str) -> PolicyDocument:
    """The document with the remediator's statement at its end; every other statement stays as it is, in its place.

    A statement of ours to which somebody has added a Condition is put back in its place instead. A document that
    holds our statement already, and one with faults, comes back as it is.
    """
    statement = ec2_trust_statement(partition)
    if document.faults:
        return document
    for index, each in enumerate(raw_statements(document)):
        if _is_ours(each, statement):
            return replaced_statement(document, index, {**statement, "Sid": each["Sid"]})
    return append_statement(document, statement)


def merged_ec2_trust(document: PolicyDocument, partition: str) -> PolicyDocument | None:
    """The smaller edit: EC2 added to the services of a statement that already lets services, and nobody else, in.

    Only an unconditional Allow of exactly ``sts:AssumeRole`` to a list of services is touched, so that nothing else
    changes. None where there is no such statement.
    """
    if document.faults:
        return None
    service = ec2_service_principal(partition)
    for index, each in enumerate(raw_statements(document)):
        services = _plain_services(each)
        if services and service not in services:
            return replaced_statement(document, index, {**each, "Principal": {"Service": [*services, service]}})
    return None


def repair(role: Role, findings: tuple[Finding, ...]) -> tuple[Planned, ...]:
    """The write that lets EC2 in where it is missing: with a statement of the remediator, or by the smaller edit if
    that fits."""
    missing = tuple(finding for finding in findings if finding.code is FindingCode.TRUST_MISSING)
    if not missing:
        return ()
    if not isinstance(role.trust, Present):
        return block_repairs(missing, "the trust policy could not be read")
    before = role.trust.value
    after = add_ec2_trust(before, role.arn.partition)
    blockers = trust_write_blockers(role, after)
    merged = merged_ec2_trust(before, role.arn.partition) if blockers else None
    if merged is not None and not trust_write_blockers(role, merged):
        why = " ".join(map(str, blockers))
        note = f"EC2 joins the services of an existing statement, because one more does not fit. {why}"
        return (policy_write(TRUST_POLICY, before, merged, missing, note),)
    return write_unless_blocked(TRUST_POLICY, before, after, missing, blockers)


def has_own_trust(role: Role) -> bool:
    """Whether the trust policy has a statement of the remediator."""
    return isinstance(role.trust, Present) and any(
        str(each.get("Sid", "")).startswith(TRUST_SID) for each in raw_statements(role.trust.value)
    )


def removal(role: Role) -> Write | Retained | None:
    """The write that takes the remediator's statement out of the trust policy; None where there is none, or no policy
    was read."""
    if not isinstance(role.trust, Present):
        return None
    document = role.trust.value
    statements = raw_statements(document)
    if not any(str(each.get("Sid", "")).startswith(TRUST_SID) for each in statements):
        return None
    ours = _unaltered(statements, role.arn.partition)
    what = f"trust policy of {role.arn.name}"
    if document.faults:
        return Retained(what, f"It cannot be understood: {document.faults[0]}.")
    if not ours:
        return Retained(
            what, f"The remediator's statement `{TRUST_SID}` was changed by another principal, which owns it now."
        )
    if len(ours) == len(statements):
        why = "is the only one, and a trust policy cannot be empty. Add another one, or delete the role."
        return Retained(what, f"The remediator's statement `{TRUST_SID}` {why}")
    after = read_mapping({**document.raw, "Statement": [each for each in statements if each not in ours]})
    note = f"EC2 may not assume {role.arn.name} any more, unless another statement lets it."
    return policy_write(TRUST_POLICY, document, after, note=note)


def _unaltered(statements: Iterable[Mapping[str, object]], partition: str) -> tuple[Mapping[str, object], ...]:
    """Those of the remediator's statements that are as the remediator writes them, under the remediator's Sid or a
    numbered one."""
    wanted = _as_document(ec2_trust_statement(partition))
    signed = (each for each in statements if str(each.get("Sid", "")).startswith(TRUST_SID))
    return tuple(each for each in signed if same_policy(_as_document({**each, "Sid": TRUST_SID}), wanted))


def permanent_fix(role: RoleArn, findings: tuple[Finding, ...]) -> Iterable[PermanentFix]:
    """The remediator's statement, for the code that the trust policy comes from."""
    if not subjects_of(findings, FindingCode.TRUST_MISSING, FindingCode.TRUST_CONDITIONAL):
        return
    statement = without_sid(ec2_trust_statement(role.partition))
    yield PermanentFix(
        "# Add this to the Statement list of the role's assume_role_policy (jsonencode), next to the existing ones:\n"
        f"{hcl(statement)}",
        f"# AWS::IAM::Role {role.name}: add this to AssumeRolePolicyDocument.Statement, next to the existing ones\n"
        f"{yaml([statement])}",
    )


def trust_write_blockers(role: Role, after: PolicyDocument, quota: int = TRUST_QUOTA) -> tuple[WriteBlocker, ...]:
    """What blocks writing ``after`` as the role's trust policy; empty where nothing is known to.

    ``quota`` is in characters. A trust policy that is already above it proves that the account's quota was raised:
    then only the largest quota that AWS gives counts, and AWS itself has the last word.
    """
    blockers = [*unmodifiable_blockers(role)]
    if not isinstance(role.trust, Present):
        text = "The trust policy was not read, so it must not be overwritten."
        blockers.append(WriteBlocker("unread", text, "Allow the remediator's role iam:GetRole."))
        return tuple(blockers)
    before = role.trust.value
    blockers += faults_blockers(_DOCUMENT, before)
    blockers += stale_blockers(_DOCUMENT, after, role.role_id)
    if any(statement.principals and statement.principals.negated for statement in after.statements):
        text = "IAM no longer accepts NotPrincipal in a trust policy."
        blockers.append(WriteBlocker("not-principal", text, "Replace NotPrincipal with Principal in the trust policy."))
    allowed = quota if policy_size(before) <= quota else max(quota, LARGEST_TRUST_QUOTA)
    size = policy_size(after)
    if size > allowed and not same_policy(before, after):
        text = f"The trust policy would have {size:,} characters; the quota is {allowed:,} (ACLSizePerRole)."
        blockers.append(WriteBlocker("quota", text, QUOTA_REMEDIES[DocumentKind.TRUST_POLICY]))
    return tuple(blockers)


def _is_ours(statement: Mapping[str, object], ours: Mapping[str, object]) -> bool:
    sid = statement.get("Sid")
    if not isinstance(sid, str) or not sid.startswith(TRUST_SID):
        return False
    rest = {**statement, "Sid": TRUST_SID}
    rest.pop("Condition", None)
    return same_policy(_as_document(rest), _as_document(ours))


def _as_document(statement: Mapping[str, object]) -> PolicyDocument:
    return read_mapping({"Version": NEW_VERSION, "Statement": [statement]})


def _plain_services(statement: Mapping[str, object]) -> list[str]:
    """The services of a statement that lets services, and nobody else, assume the role; empty for any other."""
    if not statement.keys() <= {"Sid", "Effect", "Principal", "Action", "Condition"} or statement.get("Condition"):
        return []
    action, principal = statement.get("Action"), statement.get("Principal")
    actions = action if isinstance(action, list) else [action]
    if statement["Effect"] != "Allow" or len(actions) != 1 or str(actions[0]).lower() != ASSUME_ROLE.lower():
        return []
    if not isinstance(principal, Mapping) or principal.keys() != {"Service"}:
        return []
    services = principal["Service"]
    return [services] if isinstance(services, str) else list(services)
